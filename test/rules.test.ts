// Where rules of the kernels' host code turn from one way to another: how many launches, workgroups and parts there are on
// either side. Nothing is run: `run` takes notes.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Backend, Engine, type Tensor } from "../engine/index.ts";
import { variantsFor } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { embedding } from "../kernels/embedding/embedding.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { rowGroups } from "../kernels/lib/rows.ts";
import { sum, sumLeading } from "../kernels/reduce/reduce.ts";
import { topk } from "../kernels/topk/topk.ts";

const engine = await Engine.create();
test.after(() => engine.dispose());

interface Note {
  kernel: string;
  grid: unknown;
  params: Record<string, unknown>;
  constants: Record<string, unknown>;
}

/** The launches of `work`. */
function launches(work: () => Tensor | undefined): Note[] {
  const notes: Note[] = [];
  const { run } = engine;
  engine.run = ({ name }, { grid, params, constants = {} }) => {
    notes.push({ kernel: name, grid, params, constants });
  };
  try {
    engine.scope(() => void work());
  } finally {
    engine.run = run;
  }
  return notes;
}

const grids = (work: () => Tensor) => launches(work).map(({ grid }) => grid);

test("sums of rows have parts of 4,096 beyond 8,192 elements", () => {
  const row = (extent: number) => grids(() => sum(engine.empty([extent])));
  assert.equal(row(8192), [1]);
  assert.equal(row(8193), [3, 1]);
  assert.equal(row(4096 * 9), [9, 1]);
});

test("sums of columns have parts of 32 rows or of the root beyond 64 rows, or beyond 1,024 of many columns", () => {
  const parts = (rows: number, columns: number) =>
    launches(() => sumLeading(engine.empty([rows, columns]), columns)).map(({ params }) => params.parts);
  assert.equal(parts(64, 8), [1]);
  assert.equal(parts(65, 8), [3, 1]);
  assert.equal(parts(1024, 8), [32, 1]);
  assert.equal(parts(2000, 8), [45, 1]);
  assert.equal(parts(65, 4 * 16383), [3, 1]);
  assert.equal(parts(65, 4 * 16384), [1]);
  assert.equal(parts(1024, 16385), [1]);
  assert.equal(parts(1025, 16385), [32, 1]);
});

test("topk searches parts of 16,384 scores, unless there are 512 rows", () => {
  const parts = (rows: number, n: number) =>
    launches(() => topk(engine.empty([rows, n]), 5).values).map(({ params }) => [
      params.parts,
      params.partSize,
    ]);
  assert.equal(parts(1, 16384), [[1, 16384]]);
  assert.equal(parts(1, 16385), [
    [2, 8193],
    [1, 10],
  ]);
  assert.is(parts(511, 16385).length, 2);
  assert.equal(parts(512, 16385), [[1, 16385]]);
  const limits = (k: number) =>
    launches(() => topk(engine.empty([1, 200]), k).values).map(({ params }) => params.limit);
  assert.equal([limits(1), limits(64), limits(65), limits(128)], [[128], [128], [130], [256]]);
});

/** The launches of a backward pass from ones. */
function backwardOf(work: () => Tensor): Note[] {
  return launches(() => {
    const y = work();
    backward(y, { grad: engine.empty(y.shape) });
    return undefined;
  });
}

function parameter(...shape: number[]): Tensor {
  const tensor = engine.empty(shape);
  tensor.requiresGrad = true;
  return tensor;
}

test("an embedding's gradient has 256 classes of ids, 64 where there are more than 16,384 ids", () => {
  const classes = (ids: number) =>
    backwardOf(() => embedding(parameter(999, 4), engine.empty([ids], "u32")))
      .filter(({ kernel }) => kernel.startsWith("scatter-add"))
      .map(({ params }) => params.classes);
  assert.equal([classes(16384), classes(16385)], [[256], [64]]);
});

test("layernorm takes two rows a workgroup from 512 on, and backward about 256 blocks of 4 to 16", () => {
  const found = (rows: number) =>
    backwardOf(() => layernorm(parameter(rows, 8), parameter(8), parameter(8)))
      .filter(({ kernel }) => /^layernorm(-backward)?$/.test(kernel))
      .map(({ grid, params, constants }) => [grid, params.blockRows ?? constants.ROWS]);
  assert.equal(found(511), [
    [511, 1],
    [128, 4],
  ]);
  assert.equal(found(512), [
    [256, 2],
    [128, 4],
  ]);
  assert.equal(found(1024)[1], [256, 4]);
  assert.equal(found(1025)[1], [205, 5]);
  assert.equal(found(9000)[1], [563, 16]);
});

test("a row has as many groups of lanes as have two rounds to do, a power of two", () => {
  const groups = (items: number, rowGroups_ = 8, count = 32) =>
    rowGroups({ lanes: { subgroups: true, count }, rowGroups: rowGroups_ } as Backend, items);
  assert.equal(
    [1, 127, 128, 255, 256, 511, 512, 1e6].map((items) => groups(items)),
    [1, 1, 2, 2, 4, 4, 8, 8],
  );
  assert.is(groups(1e6, 1), 1);
  assert.is(groups(64, 8, 8), 4);
});

test("lanes share a row of attention where a GPU's registers would not hold it whole", () => {
  const first = (headSize: number, count: number, subgroups = true, rowGroups = count > 8 ? 8 : 1) =>
    variantsFor({ lanes: { subgroups, count }, rowGroups } as Backend, headSize, "f32")[0];
  const sizes = [4, 16, 20, 32, 36, 64, 80, 128];
  assert.equal(
    sizes.map((headSize) => first(headSize, 32)),
    ["shared", "shared", "shared", "split", "shared", "split", "split", "split"],
  );
  for (const headSize of sizes) {
    assert.is(first(headSize, 8), "subgroup");
    assert.is(first(headSize, 32, false), "shared");
  }
});

test.run();
