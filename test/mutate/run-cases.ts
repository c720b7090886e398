// Runs cases of the op table, [options of the engine, case] in a JSON file, and ends at the first that fails. Each is named on
// a line before it runs, so that whoever waits knows that this is no standstill; what failed is the last line.
import { readFileSync } from "node:fs";
import { runCase, testedCases } from "../../cases/check.ts";
import { Engine, type EngineOptions } from "../../engine/index.ts";

const wanted = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as [options: EngineOptions, name: string][];
const open = new Map<string, Engine>();

async function failureOf(options: EngineOptions, name: string): Promise<string | null> {
  const key = JSON.stringify(options);
  try {
    const engine = open.get(key) ?? (await Engine.create(options));
    open.set(key, engine);
    const { failures } = await runCase(engine, testedCases.find((opCase) => opCase.name === name)!);
    return failures[0] ?? null;
  } catch (error) {
    return `${(error as Error).message}`;
  }
}

let failure: string | null = null;
for (const [options, name] of wanted) {
  console.log(`case ${name} ${JSON.stringify(options)}`);
  failure = await failureOf(options, name);
  if (failure !== null) break;
}
console.log(failure === null ? "all pass" : `failed ${failure.replaceAll("\n", " ")}`);
process.exit(failure === null ? 0 : 1);
