// Every case of the op table on the adapter of this machine, with subgroups where it has them and without; row kernels
// also with several subgroups a row, which only adapters of wide subgroups choose by themselves.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase, testedCases } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import { Engine } from "../engine/index.ts";

const engines: [string, Engine, readonly OpCase[]][] = [];
const engine = await Engine.create({ poison: true });
engines.push([engine.lanes.subgroups ? "subgroups" : "no subgroups here", engine, testedCases]);
if (engine.lanes.subgroups) {
  const without = await Engine.create({ poison: true, withoutSubgroups: true });
  engines.push(["without subgroups", without, testedCases]);
}
if (engine.rowGroups === 1) {
  const wide = await Engine.create({ poison: true, wideRows: true });
  const rowCases = testedCases.filter(
    ({ name, bench }) => /softmax|layernorm|normalize|sum|max|contrastive|recall/i.test(name) && !bench,
  );
  engines.push(["wide rows", wide, rowCases]);
}

test("names are unique", () => {
  assert.equal(new Set(allCases.map((opCase) => opCase.name)).size, allCases.length);
});

for (const [label, engine, cases] of engines) {
  test(`all pipelines compile (${label})`, async () => {
    for (const opCase of cases) {
      if (!opCase.bench && !(opCase.lacks && engine !== engines[0]![1])) recordCase(engine, opCase);
    }
    await engine.idle();
    assert.is(engine.stats().usedBytes, 0, "a scope did not give its memory back");
  });
  for (const opCase of cases) {
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
