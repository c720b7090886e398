// The far side of tests that run the op table elsewhere, in a page or in Deno: case by case, as the test asks for them.

import { type CaseResult, recordCase, runCase, thinOut } from "../../cases/check.ts";
import { checkDriver, driverCases, type Verdict } from "../../cases/driver.ts";
import { allCases } from "../../cases/table.ts";
import { Engine } from "../../engine/index.ts";

let engine: Engine;

/** Opens an engine and compiles the pipelines of all cases, or of these. Returns the adapter in words. */
async function open(names?: readonly string[]): Promise<string> {
  engine = await Engine.create({ poison: true });
  for (const opCase of allCases) {
    if (!opCase.bench && (names?.includes(opCase.name) ?? true)) recordCase(engine, opCase);
  }
  await engine.idle();
  return engine.adapterName;
}

/** Runs one case; its outputs come thinned out, as numbers travel slowly. */
async function run(name: string): Promise<CaseResult> {
  return thinOut(await runCase(engine, allCases.find((opCase) => opCase.name === name)!));
}

/** A part of the driver's check, as an app's page would call it. */
async function checkOps(names: string[]): Promise<Verdict[]> {
  const cases = driverCases.filter(({ name }) => names.includes(name));
  const verdicts: Verdict[] = [];
  for await (const verdict of checkDriver(() => Engine.create(), { cases })) verdicts.push(verdict);
  return verdicts;
}

/** What tests call: of a page through `page.evaluate`, of Deno through test/deno/ops.ts. */
export const opsSide = { open, run, checkOps };
export type OpsSide = typeof opsSide;
Object.assign(globalThis, { opsSide });
