// Operations that move elements without computing: views, permutations, slices and concatenations. A view shares its
// tensor's memory; everything else copies.
import { type Shape, sizeOf, type Tensor, TensorError } from "../../engine/index.ts";
import { contiguousStrides, copyStrided } from "../elementwise/strided.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth, requireFloat } from "../lib/items.ts";
import { partOf } from "../lib/work.ts";
import sliceSource from "./slice.wgsl?raw";

const sliceKernel = defineByWidth({
  name: "slice",
  source: sliceSource,
  includes: [eachSource],
  bindings: [
    "x: In",
    // What follows x; as long as y is beyond x.
    "next: In",
    "+y: Out",
  ],
  params: {
    // Items (of WIDTH elements) of y.
    count: "u32",
    extent: "u32",
    extentX: "u32",
    // Items of the inner extent.
    inner: "u32",
    offset: "i32",
  },
  flops: () => 0,
  bytes: partOf("y"),
});

export const shapeKernels = sliceKernel.all;

/** A tensor seen as [outer, extent, inner]. */
export interface Block {
  outer: number;
  extent: number;
  inner: number;
}

/**
 * y[o, j, i] = x[o, j + offset, i] for `extent` values of j, with zeros where that lies outside of x, or with the
 * elements of `next` behind x. Of `shape`; not recorded.
 */
export function slicePadded(
  x: Tensor,
  block: Block,
  extent: number,
  offset: number,
  shape: Shape,
  next: Tensor | null = null,
): Tensor {
  const { engine } = x;
  const { outer, inner } = block;
  const items = inner % 4 === 0 ? inner / 4 : inner;
  const count = outer * extent * items;
  const y = engine.empty(shape, x.dtype);
  engine.run(sliceKernel.of(inner), {
    bind: [x, next ?? x, y],
    params: { count, extent, extentX: block.extent, inner: items, offset },
    grid: blocks(count),
    dtype: x.dtype,
    constants: { HAS_NEXT: next !== null },
  });
  return y;
}

/**
 * The same elements under another shape; one extent may be -1, which is then what is left. Shares the memory of `x`.
 * Throws TensorError where the sizes differ.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = sizeOf(shape.filter((extent) => extent !== -1));
  const full = shape.map((extent) => (extent === -1 ? x.size / known : extent));
  if (sizeOf(full) !== x.size || !full.every((extent) => Number.isInteger(extent) && extent > 0))
    throw new TensorError(`reshape: [${x.shape}] can't become [${shape}].`);
  const { engine } = x;
  return engine.record("reshape", engine.view(x, full), [x], (dy) => [engine.view(dy, x.shape)]);
}

/** Axis `d` of the result is axis `axes[d]` of `x`, as in PyTorch; up to four axes after merging, f32 or f16. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  if (axes.length !== x.shape.length || !x.shape.every((_, d) => axes.includes(d)))
    throw new TensorError(`permute: [${axes}] does not name the axes of [${x.shape}].`);
  const inverse = x.shape.map((_, d) => axes.indexOf(d));
  return x.engine.record("permute", permuted(x, axes), [x], (dy) => [permuted(dy, inverse)]);
}

function permuted(x: Tensor, axes: readonly number[]): Tensor {
  const strides = contiguousStrides(x.shape);
  return copyStrided(
    x,
    axes.map((axis) => x.shape[axis]!),
    axes.map((axis) => strides[axis]!),
  );
}

/** [m, n] to [n, m]. */
export function transpose2d(x: Tensor): Tensor {
  return permute(x, [1, 0]);
}

/** `count` entries along the middle of a block, from `start`. */
function slice(name: string, x: Tensor, block: Block, count: number, start: number, shape: Shape): Tensor {
  const y = slicePadded(x, block, count, start, shape);
  return x.engine.record(name, y, [x], (dy) => [
    slicePadded(dy, { ...block, extent: count }, block.extent, -start, x.shape),
  ]);
}

/** `count` entries along the first axis, from `start`. Throws TensorError where they are not all there. */
export function sliceRows(x: Tensor, start: number, count: number): Tensor {
  requireFloat("sliceRows", x);
  const [rows = 0, ...rest] = x.shape;
  if (!Number.isInteger(start) || !Number.isInteger(count) || start < 0 || count < 1 || start + count > rows)
    throw new TensorError(`sliceRows: [${x.shape}] has no rows ${start} to ${start + count - 1}.`);
  return slice("sliceRows", x, { outer: 1, extent: rows, inner: sizeOf(rest) }, count, start, [
    count,
    ...rest,
  ]);
}

/** The first of each sequence: [B, T, C] gives [B, C]. Throws TensorError on other ranks. */
export function takeFirst(x: Tensor): Tensor {
  requireFloat("takeFirst", x);
  const [outer, extent, inner] = x.shape as [number, number, number];
  if (x.shape.length !== 3) throw new TensorError(`takeFirst: needs [B, T, C], not [${x.shape}].`);
  return slice("takeFirst", x, { outer, extent, inner }, 1, 0, [outer, inner]);
}

/**
 * `count` tokens of each sequence of `x` [B, T, C], from `start`: [B, count, C]. Throws TensorError where they are not all
 * there.
 */
export function sliceTokens(x: Tensor, start: number, count: number): Tensor {
  requireFloat("sliceTokens", x);
  const [outer, extent, inner] = x.shape as [number, number, number];
  const whole = Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 1;
  if (x.shape.length !== 3 || !whole || start + count > extent)
    throw new TensorError(`sliceTokens: [${x.shape}] has no tokens ${start} to ${start + count - 1}.`);
  return slice("sliceTokens", x, { outer, extent, inner }, count, start, [outer, count, inner]);
}

/** The rows of `a`, then those of `b`: [m, n] and [k, n] give [m + k, n]. Throws TensorError where they don't fit. */
export function concatRows(a: Tensor, b: Tensor): Tensor {
  requireFloat("concatRows", a, b);
  const [m, n] = a.shape as [number, number];
  const k = b.shape[0]!;
  if (a.shape.length !== 2 || b.shape.length !== 2 || b.shape[1] !== n)
    throw new TensorError(`concatRows: [${a.shape}] and [${b.shape}] do not fit.`);
  return concat("concatRows", [a, m], [b, k], { outer: 1, inner: n }, [m + k, n]);
}

/** The tokens of `a`, then those of `b`, by sequence: [B, T, C] and [B, U, C] give [B, T + U, C]. Throws as `concatRows`. */
export function concatTokens(a: Tensor, b: Tensor): Tensor {
  requireFloat("concatTokens", a, b);
  const [outer, t, inner] = a.shape as [number, number, number];
  const u = b.shape[1]!;
  const fits = a.shape.length === 3 && b.shape.length === 3 && b.shape[0] === outer && b.shape[2] === inner;
  if (!fits) throw new TensorError(`concatTokens: [${a.shape}] and [${b.shape}] do not fit.`);
  return concat("concatTokens", [a, t], [b, u], { outer, inner }, [outer, t + u, inner]);
}

/** Joins two tensors along the middle of a block, each given with its extent there. */
function concat(
  name: string,
  [a, m]: [Tensor, number],
  [b, k]: [Tensor, number],
  { outer, inner }: Omit<Block, "extent">,
  shape: Shape,
): Tensor {
  const y = slicePadded(a, { outer, extent: m, inner }, m + k, 0, shape, b);
  const all = { outer, extent: m + k, inner };
  return a.engine.record(name, y, [a, b], (dy, needs) => [
    needs[0] ? slicePadded(dy, all, m, 0, a.shape) : null,
    needs[1] ? slicePadded(dy, all, k, m, b.shape) : null,
  ]);
}
