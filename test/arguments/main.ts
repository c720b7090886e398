// Random argument lists from the command line, as processes:
//   node --import ./cli/register.mjs test/arguments/main.ts [--seed N] [--count N] [--list]
import { parseArgs } from "node:util";
import { wholeNumber } from "../../cli/options.ts";
import { sideBySide } from "../command.ts";
import { generate } from "./lists.ts";
import { complaints, makeScene, report, runApart } from "./run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
  },
});
const [from, count] = [wholeNumber(values.seed, "--seed", 0), wholeNumber(values.count, "--count", 1)];
const lists = Array.from({ length: count }, (_, i) => generate(from + i));

if (values.list) {
  for (const { seed, args, status } of lists) console.log(`${seed}: ${status} ${JSON.stringify(args)}`);
} else {
  const { dir, remove } = await makeScene();
  const statuses = new Map<number | null, number>();
  let failed = 0;
  await sideBySide(lists, async (list) => {
    const result = await runApart(dir, list.args);
    statuses.set(result.code, (statuses.get(result.code) ?? 0) + 1);
    const found = complaints(list, result);
    if (found.length > 0) console.log(report(list, result, found));
    if (found.length > 0) failed++;
  });
  remove();
  console.log(
    `seeds ${from} to ${from + count - 1}: ${failed} failed; exit statuses`,
    Object.fromEntries(statuses),
  );
  process.exitCode = failed > 0 ? 1 : 0;
}
