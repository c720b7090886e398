// The k largest scores of each row, for retrieval: long rows are searched in parts, then the parts' winners.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import { requireFloat } from "../lib/items.ts";
import { perElement } from "../lib/work.ts";
import source from "./topk.wgsl?raw";

const kernel = defineKernel({
  name: "topk",
  source,
  bindings: [
    "x: Scalar",
    // With PARTS_IN, the index of each entry; NOTHING marks an empty one.
    "indicesIn: u32",
    "+values: f32",
    "+indices: u32",
  ],
  params: {
    // Workgroups: rows times parts.
    count: "u32",
    // Entries of a row.
    extent: "u32",
    parts: "u32",
    partSize: "u32",
    k: "u32",
    // The buffer is cut where it holds more than this after a tile: from k to CAPACITY - TILE.
    limit: "u32",
  },
  // At the least: how often a score gets into the list depends on the scores.
  flops: perElement("x", 1),
});

export const topkKernels = [kernel];

/** Entries that are worth a workgroup of their own. */
const partSize = 16384;
/** Rows that keep a GPU busy without cutting them. */
const manyRows = 512;
/** One tile of the kernel: a small buffer is cheap to sort, but has to leave room above k. */
const tile = 128;

/**
 * The `k` largest of each row of `scores` [R, N], largest first; of equal ones that with the lower index first, NaN
 * last. f32 or f16; `values` is f32 [R, k], `indices` u32 [R, k]. Not differentiable. Throws TensorError unless scores
 * are two-dimensional and k is at most N and 128.
 */
export function topk(scores: Tensor, k: number): { values: Tensor; indices: Tensor } {
  requireFloat("topk", scores);
  const [rows = 0, extent = 0] = scores.shape;
  if (scores.shape.length !== 2) throw new TensorError(`topk: needs [R, N], not [${scores.shape}].`);
  if (!Number.isInteger(k) || k < 1 || k > Math.min(extent, 128))
    throw new TensorError(`topk: k must be a whole number from 1 to ${Math.min(extent, 128)}, not ${k}.`);
  const { engine } = scores;
  const search = (x: Tensor, indicesIn: Tensor | null, length: number, parts: number) => {
    const values = engine.empty([rows, parts * k]);
    const indices = engine.empty([rows, parts * k], "u32");
    engine.run(kernel, {
      bind: [x, indicesIn ?? x, values, indices],
      params: {
        count: rows * parts,
        extent: length,
        parts,
        partSize: Math.ceil(length / parts),
        k,
        limit: Math.max(tile, 2 * k),
      },
      grid: rows * parts,
      dtype: x.dtype,
      constants: { PARTS_IN: indicesIn !== null },
    });
    return { values, indices };
  };
  const parts = rows >= manyRows ? 1 : Math.ceil(extent / partSize);
  if (parts === 1) return search(scores, null, extent, 1);
  const winners = search(scores, null, extent, parts);
  const result = search(winners.values, winners.indices, parts * k, 1);
  winners.values.dispose();
  winners.indices.dispose();
  return result;
}
