// Every case of the op table on the adapter of this machine, with subgroups where it has them and without.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allCases } from "../bench/cases/table.ts";
import { Engine } from "../engine/index.ts";
import { recordCase, runCase, testedCases } from "./table.ts";

const engines: [string, Engine][] = [];
const engine = await Engine.create({ poison: true });
engines.push([engine.lanes.subgroups ? "subgroups" : "no subgroups here", engine]);
if (engine.lanes.subgroups) {
  engines.push(["without subgroups", await Engine.create({ poison: true, withoutSubgroups: true })]);
}

test("names are unique", () => {
  assert.equal(new Set(allCases.map((opCase) => opCase.name)).size, allCases.length);
});

for (const [label, engine] of engines) {
  test(`all pipelines compile (${label})`, async () => {
    for (const opCase of allCases) {
      if (!opCase.bench && !(opCase.lacks && engine !== engines[0]![1])) recordCase(engine, opCase);
    }
    await engine.idle();
    assert.is(engine.stats().usedBytes, 0, "a scope did not give its memory back");
  });
  for (const opCase of testedCases) {
    // What asks for something of the engine by itself is tested, or skipped, on the first.
    if (opCase.lacks && engine !== engines[0]![1]) continue;
    const name = `${opCase.name} (${label})`;
    test(name, async () => {
      const result = await runCase(engine, opCase);
      if (result.skipped) console.log(`\nskipped: ${name} (${result.skipped})`);
      assert.equal(result.failures, []);
    });
  }
}

test.after(() => {
  for (const [, engine] of engines) engine.dispose();
});

test.run();
