// 500 random argument lists: never a stack trace, a wrong echo, another exit status than what was typed deserves, or anything
// but one JSON value under --json. All run in this process, on the command line's main function; some of them once more as
// processes of their own. `node --import ./cli/register.mjs test/arguments/main.ts --seed N` repeats one as a process.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { commands } from "../cli/commands.ts";
import { generate } from "./arguments/lists.ts";
import { complaints, makeScene, report, runApart, runHere } from "./arguments/run.ts";
import { sideBySide } from "./command.ts";

const count = 500;
/** Of these, how many run as processes: a second or two each. */
const apart = 24;

const lists = Array.from({ length: count }, (_, i) => generate(i + 1));
const { dir, remove } = await makeScene();

test(`${count} random argument lists`, async () => {
  const reports: string[] = [];
  for (const list of lists) {
    const result = await runHere(dir, list.args);
    const found = complaints(list, result);
    if (found.length > 0) reports.push(report(list, result, found));
  }
  assert.is(reports.join("\n"), "", `seeds 1 to ${count}`);
});

test(`${apart} of them as processes`, async () => {
  // Not the same folders as above: what was imported there is there.
  const { dir, remove } = await makeScene();
  const chosen = lists.filter(({ seed }) => seed % Math.floor(count / apart) === 0);
  const results = await sideBySide(chosen, ({ args }) => runApart(dir, args));
  const reports = results.flatMap((result, i) => {
    const found = complaints(chosen[i]!, result);
    return found.length > 0 ? [report(chosen[i]!, result, found)] : [];
  });
  remove();
  assert.is(reports.join("\n"), "");
});

test("the lists are of all kinds", () => {
  const statuses = [0, 1, 2].map((status) => lists.filter((list) => list.status === status).length);
  assert.ok(
    statuses.every((number) => number > count / 10),
    `${statuses}`,
  );
  for (const command of commands.keys()) {
    const [word] = command.split(" ");
    assert.ok(
      lists.some(({ args }) => args.includes(word!)),
      command,
    );
  }
});

test.after(remove);
test.run();
