// Rows of a table by id, and position embeddings.
import { type Tensor, TensorError } from "../../engine/index.ts";
import { add } from "../elementwise/arithmetic.ts";
import { cast } from "../elementwise/cast.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth, requireFloat } from "../lib/items.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { rowLanes } from "../lib/rows.ts";
import { partOf, perElement } from "../lib/work.ts";
import { amongZeros, partAlong } from "../shape/slice.ts";
import forwardSource from "./embedding.wgsl?raw";
import backwardSource from "./embedding-backward.wgsl?raw";

const forwardKernel = defineByWidth({
  name: "embedding",
  source: forwardSource,
  includes: [nanSource, eachSource],
  bindings: ["table: In", "ids: u32", "+y: Out"],
  params: {
    // Items (of WIDTH elements) of y.
    count: "u32",
    // Items of a row.
    length: "u32",
    rows: "u32",
  },
  flops: () => 0,
  bytes: partOf("y"),
});
const backwardKernel = defineByWidth({
  name: "embedding-backward",
  source: backwardSource,
  includes: [rowLanes],
  bindings: ["dy: In", "ids: u32", "+dTable: Wide"],
  params: {
    tokens: "u32",
    // Items (of WIDTH elements) of a row.
    length: "u32",
    rows: "u32",
    // Residue classes, a power of two; one workgroup each.
    classes: "u32",
  },
  flops: perElement("dy", 1),
  bytes: partOf("dy"),
});

export const embeddingKernels = [...forwardKernel.all, ...backwardKernel.all];

/** Residue classes of ids in backward: enough workgroups for a GPU, but each reads all ids once. */
const classesFor = (tokens: number) => (tokens > 16384 ? 64 : 256);

/**
 * Rows of `table` [V, C] (f32 or f16) by `ids` (u32, any shape): [...ids, C]. An id of V or more, which the host
 * can't see, gives NaN and gets no gradient. Throws TensorError on other shapes or dtypes.
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  requireFloat("embedding", table);
  if (table.shape.length !== 2 || ids.dtype !== "u32")
    throw new TensorError(`embedding: needs a table [V, C] and ids u32, not ${table} and ${ids}.`);
  const { engine, dtype } = table;
  const [rows, length] = table.shape as [number, number];
  const items = length % 4 === 0 ? length / 4 : length;
  const y = engine.empty([...ids.shape, length], dtype);
  engine.run(forwardKernel.of(length), {
    bind: [table, ids, y],
    params: { count: ids.size * items, length: items, rows },
    grid: blocks(ids.size * items),
    dtype,
  });
  return engine.record("embedding", y, [table], (dy) => {
    // Sums are f32 also where the table is f16.
    const dTable = engine.zeros(table.shape);
    const classes = ids.size > 0 ? classesFor(ids.size) : 0;
    engine.run(backwardKernel.of(length), {
      bind: [dy, ids, dTable],
      params: { tokens: ids.size, length: items, rows, classes },
      grid: [classes, 1, 1],
      dtype,
      constants: { GROUPS: 1 },
    });
    return [cast(dTable, dtype)];
  });
}

/**
 * x + table[t] for position t: `x` is [B, T, C], `table` [P, C] with P of at least T; rows beyond T get no gradient.
 * Throws TensorError where they don't fit.
 */
export function addPositions(x: Tensor, table: Tensor): Tensor {
  const [, length = 0, width = 0] = x.shape;
  const [places = 0, channels] = table.shape;
  if (x.shape.length !== 3 || table.shape.length !== 2 || channels !== width || places < length)
    throw new TensorError(`addPositions: table [${table.shape}] does not fit [${x.shape}].`);
  const { engine } = x;
  const used = engine.slice(table, 0, [length, width]);
  const first = partAlong(table.shape, 0, 0, length);
  return add(
    x,
    engine.record("addPositions", used, [table], (dy) => [amongZeros(dy, table.shape, first)]),
  );
}
