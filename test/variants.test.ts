// Which variant of the matrix product the rule takes, on adapters of other kinds than this one's: the rule asks an engine
// for its lanes and limits, and for nothing else.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend } from "../engine/index.ts";
import { variantsFor } from "../kernels/attention/attention.ts";
import { useMatrixUnits } from "../kernels/matmul/matrix.ts";
import { candidates, plan, type Sizes } from "../kernels/matmul/variants.ts";

useMatrixUnits();

function adapter(lanes: Backend["lanes"], invocations = 256, storage = 32768): Backend {
  const limits = {
    maxComputeInvocationsPerWorkgroup: invocations,
    maxComputeWorkgroupSizeX: invocations,
    maxComputeWorkgroupStorageSize: storage,
  };
  return { lanes, device: { features: new Set(), limits }, adapterInfo: {} } as unknown as Backend;
}
const narrow = adapter({ subgroups: true, count: 8 });
const wide = adapter({ subgroups: true, count: 32 });
const shared = adapter({ subgroups: false, count: 32 });

const sizes = (m: number, n: number, k: number, batch = 1): Sizes => ({
  ...{ m, n, k, batch },
  ...{ transposeA: false, transposeB: false },
});
const first = (engine: Backend, of: Sizes, splittable = true) => candidates(engine, of, "f32", splittable)[0];

test("narrow subgroups work by themselves, on as many rows as leave eight tiles", () => {
  assert.is(first(narrow, sizes(4, 64, 64)), "subgroup-4");
  assert.is(first(narrow, sizes(5, 64, 64)), "subgroup-16");
  assert.is(first(narrow, sizes(96, 64, 64)), "subgroup-16");
  assert.is(first(narrow, sizes(100, 64, 64)), "subgroup-32");
  assert.is(first(narrow, sizes(96, 64, 64, 2)), "subgroup-32");
  // Whatever is long: parts are for adapters that have more to do at once.
  assert.is(first(narrow, sizes(100, 64, 4096)), "subgroup-32");
});

test("odd extents along memory get 16 rows, whichever way the operands are stored", () => {
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      const of = (m: number, n: number, k: number) =>
        first(narrow, { ...sizes(m, n, k), transposeA, transposeB });
      assert.is(of(256, 256, 256), "subgroup-32");
      assert.is(of(255, 256, 256), transposeA ? "subgroup-16" : "subgroup-32");
      assert.is(of(256, 255, 256), "subgroup-16");
      assert.is(of(256, 256, 255), transposeA && !transposeB ? "subgroup-32" : "subgroup-16");
    }
  }
});

test("elsewhere the largest blocks that make 128 workgroups, else the smallest, in parts where sums are long", () => {
  for (const engine of [wide, shared]) {
    assert.is(first(engine, sizes(1024, 2048, 64)), "block-128");
    assert.is(first(engine, sizes(1024, 1920, 64)), "block-64");
    assert.is(first(engine, sizes(512, 1024, 64)), "block-64");
    assert.is(first(engine, sizes(512, 960, 64)), "block-32");
    assert.is(first(engine, sizes(128, 128, 64, 8)), "block-32");
    assert.is(first(engine, sizes(64, 64, 255)), "block-32");
    assert.is(first(engine, sizes(64, 64, 256)), "block-32/split");
    assert.is(first(engine, sizes(64, 64, 256), false), "block-32");
  }
});

test("what remains is every variant that the adapter can run, and its parts", () => {
  const all = ["block-32", "block-64", "block-64-wide", "block-128"];
  assert.equal(candidates(shared, sizes(512, 960, 64), "f32", true), all);
  const parts = all.flatMap((name) => [name, `${name}/split`]);
  const [taken, ...rest] = candidates(shared, sizes(64, 64, 1024), "f32", true);
  assert.is(taken, "block-32/split");
  assert.equal(
    rest,
    parts.filter((name) => name !== taken),
  );
  const subgroups = ["subgroup-4", "subgroup-16", "subgroup-32"];
  assert.equal(new Set(candidates(wide, sizes(512, 960, 64), "f32", true)), new Set([...subgroups, ...all]));
  const small = adapter({ subgroups: false, count: 32 }, 128);
  assert.equal(candidates(small, sizes(1024, 2048, 64), "f32", true), ["block-64", "block-32"]);
  // Two operands of 32 terms by 33 quads, and of 16 by 17.
  assert.not(
    candidates(adapter(shared.lanes, 256, 16_895), sizes(64, 64, 64), "f32", true).includes("block-128"),
  );
  assert.ok(
    candidates(adapter(shared.lanes, 256, 16_896), sizes(64, 64, 64), "f32", true).includes("block-128"),
  );
});

/** An adapter with these units, M x N x K, of f16 with sums in f32. */
function withUnits(units: number[][], lanes = 32, storage = 49_152, language = ["subgroup_id"]): Backend {
  const config = ([M, N, K]: number[]) => ({ componentType: "f16", resultComponentType: "f32", M, N, K });
  const engine = adapter({ subgroups: true, count: lanes }, 1024, storage);
  (engine.device.features as Set<string>).add("chromium-experimental-subgroup-matrix");
  const subgroupMatrixConfigs = [
    { componentType: "f16", resultComponentType: "f16", M: 16, N: 16, K: 16 },
    ...units.map(config),
  ];
  return { ...engine, adapterInfo: { subgroupMatrixConfigs }, language: new Set(language) } as never;
}
const square = [16, 16, 16];
const f16 = { dtype: "f16", result: "f16" } as const;

test("matrix units are no first choice, and none for f32, small memory or an older language", () => {
  const of = (engine: Backend, dtype: "f16" | "f32" = "f16") =>
    candidates(engine, sizes(1024, 1024, 1024), dtype, false).filter((name) => name.startsWith("matrix"));
  const engine = withUnits([square]);
  assert.equal(of(engine), ["matrix", "matrix-small", "matrix-direct"]);
  assert.is(first(engine, sizes(1024, 2048, 64)), "block-128");
  assert.equal(of(engine, "f32"), []);
  assert.equal(of(withUnits([square], 32, 40_959)), ["matrix-small", "matrix-direct"]);
  assert.equal(of(withUnits([square], 32, 49_152, [])), []);
  assert.equal(of(withUnits([[16, 8, 16]])), ["matrix", "matrix-small", "matrix-direct"]);
  assert.equal(of(withUnits([[16, 4, 16]])), []);
});

test("units of 16 are preferred, then the largest", () => {
  const tile = (...units: number[][]) =>
    plan(withUnits(units), "matrix", sizes(64, 64, 64), f16, null).tile.join();
  assert.is(tile([8, 8, 8], square, [32, 32, 16]), "128,128");
  assert.is(tile([8, 8, 8], [8, 16, 16]), "64,128");
});

test("what comes straight from storage is whole units, and not packed", () => {
  const engine = withUnits([square]);
  const direct = (m: number, n: number, k: number, packed = false) =>
    candidates(engine, sizes(m, n, k), "f16", false, packed).includes("matrix-direct");
  assert.ok(direct(16, 48, 80));
  assert.equal(
    [direct(24, 48, 80), direct(16, 40, 80), direct(16, 48, 72), direct(16, 48, 80, true)],
    [false, false, false, false],
  );
});

test("parts of sums are whole steps of the units", () => {
  const { splits, depth } = plan(withUnits([square]), "matrix/split", sizes(64, 64, 1000), f16, null);
  assert.equal([splits, depth], [7, 160]);
});

test("attention takes units for f16 alone, last, and for heads of whole units up to 128", () => {
  const engine = { ...withUnits([square]), rowGroups: 8 } as Backend;
  const takes = (headSize: number, dtype: "f16" | "f32" = "f16") =>
    variantsFor(engine, headSize, dtype).indexOf("matrix");
  assert.equal(
    [32, 64, 80, 128].map((headSize) => takes(headSize)),
    [3, 3, 3, 3],
  );
  assert.equal(
    [36, 40, 144, 320].map((headSize) => takes(headSize)),
    [-1, -1, -1, -1],
  );
  assert.is(takes(64, "f32"), -1);
  const least = (bytes: number) =>
    variantsFor({ ...withUnits([square], 32, bytes), rowGroups: 8 } as Backend, 128, "f16").includes(
      "matrix",
    );
  assert.equal([least(46_352), least(24_000)], [true, false]);
});

test.run();
