// Lanes on adapters of other kinds than this one's: what is chosen, and where subgroups come in several sizes, that every
// kernel which counts on a size asks for it. No adapter of the usual test machines is like that, but Dawn's null backend is
// (4 to 128 lanes); it compiles, and runs nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recordCase } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import { chooseLanes, chooseRowGroups, isSoftware, nameOf } from "../engine/gpu/device.ts";
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

/** What the rules ask of an adapter with subgroups of these sizes. */
function adapter(min: number, max: number, features: string[], invocations = 256) {
  const info = { subgroupMinSize: min, subgroupMaxSize: max } as GPUAdapterInfo;
  const limits = { maxComputeInvocationsPerWorkgroup: invocations };
  const device = { features: new Set(features), limits } as unknown as GPUDevice;
  return { device, info, language: new Set<string>() };
}

test("subgroups of one size are taken as they are, of several what is asked for, of three and fewer none", () => {
  const chosen = (min: number, max: number, ...features: string[]) => {
    const { subgroups, count, sized } = chooseLanes(adapter(min, max, features), {});
    return [subgroups, count, sized ?? false];
  };
  const [on, sized] = ["subgroups", "subgroup-size-control"];
  assert.equal(chosen(8, 8, on), [true, 8, false]);
  assert.equal(chosen(4, 4, on), [true, 4, false]);
  assert.equal(chosen(64, 64, on, sized), [true, 64, false]);
  assert.equal(chosen(8, 32, on, sized), [true, 32, true]);
  assert.equal(chosen(8, 16, on, sized), [true, 16, true]);
  assert.equal(chosen(64, 128, on, sized), [true, 64, true]);
  assert.equal(chosen(8, 32, on), [false, 32, false]);
  assert.equal(chosen(32, 32, sized), [false, 32, false]);
  assert.equal(chosen(2, 2, on), [false, 32, false]);
  const unknown = { ...adapter(4, 4, [on]), info: {} as GPUAdapterInfo };
  assert.not(chooseLanes(unknown, {}).subgroups, "browsers that don't say");
});

test("a row gets up to 256 invocations, but one subgroup where that is a processor's vector", () => {
  const groups = (count: number, options = {}, invocations = 256) =>
    chooseRowGroups(adapter(count, count, [], invocations), { subgroups: true, count }, options);
  assert.equal(
    [4, 8, 16, 32, 64].map((count) => groups(count)),
    [1, 1, 16, 8, 4],
  );
  assert.is(groups(8, { wideRows: true }), 32);
  assert.is(groups(32, {}, 128), 4);
  assert.is(groups(32, {}, 1024), 8);
});

test("an adapter is named by what says most of it, and software is known by its name", () => {
  const info = { description: "Mesa llvmpipe", device: "0x7d55", vendor: "intel", architecture: "xe" };
  const name = (change: Partial<typeof info>) => nameOf({ ...info, ...change } as GPUAdapterInfo);
  assert.is(name({}), "Mesa llvmpipe");
  assert.is(name({ description: "" }), "0x7d55");
  assert.is(name({ description: "", device: "" }), "intel xe");
  assert.is(name({ description: "", device: "", architecture: "" }), "intel");
  assert.is(name({ description: "", device: "", architecture: "", vendor: "" }), "unknown adapter");
  const soft = (description: string, isFallbackAdapter = false) =>
    isSoftware({ ...info, description, isFallbackAdapter } as unknown as GPUAdapterInfo);
  assert.equal(
    [soft("llvmpipe"), soft("SwiftShader"), soft("A100"), soft("A100", true)],
    [true, true, false, true],
  );
});

test.run();
