// Every case of the op table on the adapter of this machine, with subgroups where it has them and without; row kernels
// also with several subgroups a row, which only adapters of wide subgroups choose by themselves. What else no test would
// come to on a small machine, workgroups of 64 lanes and grids of more than GRID_X workgroups, a cut of the table comes
// to on an engine of that kind.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase, testedCases } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import { Engine, type Kernel } from "../engine/index.ts";
import { allKernels } from "../kernels/index.ts";

const engines: [string, Engine, readonly OpCase[]][] = [];
const engine = await Engine.create({ poison: true });
engines.push([engine.lanes.subgroups ? "subgroups" : "no subgroups here", engine, testedCases]);
if (engine.lanes.subgroups) {
  const without = await Engine.create({ poison: true, without: ["subgroups"] });
  engines.push(["without subgroups", without, testedCases]);
}
if (engine.rowGroups === 1) {
  const wide = await Engine.create({ poison: true, wideRows: true });
  const rowCases = testedCases.filter(
    ({ name, bench }) => /softmax|layernorm|normalize|sum|max|contrastive|recall/i.test(name) && !bench,
  );
  engines.push(["wide rows", wide, rowCases]);
}

/** The texts of a kernel that find their workgroup in a folded grid. */
const foldingTexts = ({ source, includes }: Kernel) =>
  [
    source,
    ...includes.flatMap((include) => (typeof include === "string" ? include : Object.values(include))),
  ].filter((text) => text.includes("GRID_X"));
const folded = new Set<string>();
{
  const unusual = { poison: true, without: ["subgroups"], sharedLanes: 64, gridX: 2 };
  const notes = await Engine.create(unusual);
  let seen: Kernel[] = [];
  notes.run = (kernel, { grid }) => {
    if ((typeof grid === "number" ? notes.fold(grid) : grid)[1] > 1) seen.push(kernel);
  };
  const cut = testedCases.filter((opCase) => {
    if (opCase.bench || opCase.lacks) return false;
    seen = [];
    recordCase(notes, opCase);
    const fresh = seen.flatMap(foldingTexts).filter((text) => !folded.has(text));
    for (const text of fresh) folded.add(text);
    return fresh.length > 0 || opCase.name.startsWith("embedding");
  });
  notes.dispose();
  engines.push(["64 lanes, folded grids", await Engine.create(unusual), cut]);
}

test("every kernel of the table that finds its workgroup in a folded grid has folded ones", () => {
  // test/optimizer.test.ts and test/peak.test.ts fold their own.
  const others = /^(adamw|peak)/;
  const missing = allKernels.filter(
    (kernel) => !others.test(kernel.name) && foldingTexts(kernel).some((text) => !folded.has(text)),
  );
  assert.equal(
    missing.map(({ name }) => name),
    [],
  );
});

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
