// Adapters whose subgroups come in several sizes: every kernel that counts on a size asks for it. No adapter of the usual
// test machines is like that, but Dawn's null backend is (4 to 128 lanes); it compiles, and runs nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recordCase } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import { Engine } from "../engine/index.ts";

test("all pipelines compile where subgroups have several sizes", async () => {
  const engine = await Engine.create({ dawn: ["backend=null"] });
  const { subgroupMinSize, subgroupMaxSize } = engine.adapterInfo;
  assert.ok(subgroupMinSize < subgroupMaxSize);
  assert.equal(engine.lanes, { subgroups: true, count: 32, sized: true, gridX: undefined });
  for (const opCase of allCases) if (!opCase.bench) recordCase(engine, opCase);
  await engine.idle();
  assert.ok(engine.stats().pipelines > 100);
  engine.dispose();
});

test("where kernels can't ask for one of several sizes, they go through workgroup memory", async () => {
  const engine = await Engine.create({ dawn: ["backend=null"], without: ["subgroup-size-control"] });
  assert.ok(engine.device.features.has("subgroups"));
  assert.not(engine.lanes.subgroups);
  assert.is(engine.lanes.count, 32);
  engine.dispose();
});

test.run();
