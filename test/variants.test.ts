// Which variant of the matrix product the rule takes, on adapters of other kinds than this one's: the rule asks an engine
// for its lanes and limits, and for nothing else.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend } from "../engine/index.ts";
import { candidates, type Sizes } from "../kernels/matmul/variants.ts";

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

test.run();
