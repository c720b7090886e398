// Runs cases of the op table, [engine, case] in a JSON file, and ends at the first that fails. Each is named on a line before
// it runs, so that whoever waits knows that this is no standstill; what failed is the last line.
import { readFileSync } from "node:fs";
import { runCase } from "../../cases/check.ts";
import { Engine } from "../../engine/index.ts";
import { opEngines } from "../op-engines.ts";

const wanted = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as [engine: string, name: string][];
const { engines } = await opEngines();
const open = new Map<string, Engine>();

async function failureOf(label: string, name: string): Promise<string | null> {
  const { options, cases } = engines.find((one) => one.label === label)!;
  // A fault can take a case out of the cut for folded grids, where it was for being the first.
  const opCase =
    cases.find((one) => one.name === name) ?? engines[0]!.cases.find((one) => one.name === name)!;
  try {
    const engine = open.get(label) ?? (await Engine.create(options));
    open.set(label, engine);
    const { failures } = await runCase(engine, opCase);
    return failures[0] ?? null;
  } catch (error) {
    return `${(error as Error).message}`;
  }
}

let failure: string | null = null;
for (const [label, name] of wanted) {
  console.log(`case ${name} (${label})`);
  failure = await failureOf(label, name);
  if (failure !== null) break;
}
console.log(failure === null ? "all pass" : `failed ${failure.replaceAll("\n", " ")}`);
process.exit(failure === null ? 0 : 1);
