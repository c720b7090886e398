// The op table's cases of the matrix kernel on this process's adapter, for a process of its own with a driver that has
// matrix units (matrix.test.ts). Prints a line of JSON: null without such units, else what came of each case.
import { type CaseResult, recordCase, runCase, testedCases } from "../cases/check.ts";
import { Engine } from "../engine/index.ts";

const engine = await Engine.create({ poison: true });
const onUnits = /^product matrix|Attention matrix/;
const cases = testedCases.filter(({ name, lacks }) => onUnits.test(name) && !lacks?.(engine));
for (const opCase of cases) recordCase(engine, opCase);
const results: CaseResult[] = [];
for (const opCase of cases) results.push({ ...(await runCase(engine, opCase)), outputs: {} });
console.log(JSON.stringify(results.length > 0 ? results : null));
engine.dispose();
