// Sums, means, extremes and products over axes, over leading axes or over everything. Long reductions go in two or more stages
// of about equal depth, which keeps all invocations busy, bounds the rounding error like a pairwise sum (Higham, "The
// accuracy of floating point summation", 1993) and gives the same bits in every run. Partial results are f32.
import {
  type DType,
  defineKernel,
  type Kernel,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { expanded, filled } from "../elementwise/strided.ts";
import { scaled } from "../elementwise/unary.ts";
import { type Axes, axesOf, axisOf, type Block, blockOf } from "../lib/axes.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, type Computed, isInteger, items, rangeOf, requireFloat, type Stored } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { eachRowOf, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { columnPart, rowPart } from "./parts.ts";
import productBackwardSource from "./product-backward.wgsl?raw";
import columnsSource from "./reduce-columns.wgsl?raw";
import rowsSource from "./reduce-rows.wgsl?raw";
import { orderOf } from "./turned.ts";
import { toWinners, winnerKernels, winnersOf } from "./winner.ts";

/** One kernel per item width and pair of storage types, and one for integers, which are stored as they are. */
/* @__NO_SIDE_EFFECTS__ */
function variants<K>(make: (name: string, one: Computed, include: string) => K): {
  of(width: 1 | 4, from: DType, to: DType): K;
  all: K[];
} {
  const kinds: [Stored, Stored, Computed][] = [
    ["Scalar", "Scalar", "f32"],
    ["Scalar", "f32", "f32"],
    ["f32", "Scalar", "f32"],
    ["Scalar", "Scalar", "Scalar"],
  ];
  const all = ([1, 4] as const).flatMap((width) =>
    kinds.map(([from, to, one]) => {
      const types = one === "f32" ? `${from}-${to}` : "whole";
      return make(`${width}-${types}`.toLowerCase(), one, items(width, from, to, one));
    }),
  );
  const kindOf = (from: DType, to: DType) => (isInteger(from) ? 3 : from === to ? 0 : to === "f32" ? 1 : 2);
  return { of: (width, from, to) => all[(width === 1 ? 0 : 4) + kindOf(from, to)]!, all };
}

const columnsKernel = variants((name, one, include) =>
  defineKernel({
    name: `reduce-columns-${name}`,
    source: columnsSource,
    includes: [include, ...orderOf(one)],
    bindings: ["x: In", "+y: Out"],
    params: {
      outer: "u32",
      extent: "u32",
      // Items (of WIDTH elements) of the inner extent.
      inner: "u32",
      // Items from one r to the next.
      stride: "u32",
      parts: "u32",
      // r's in one part.
      partSize: "u32",
      scale: "f32",
    },
    bundles: true,
    flops: perElement("x", 1),
  }),
);

const rowsKernel = variants((name, one, include) =>
  defineKernel({
    name: `reduce-rows-${name}`,
    source: rowsSource,
    includes: [include, ...orderOf(one), ...eachRowOf(one)],
    bindings: [
      "x: In",
      // One element per workgroup, whatever WIDTH is.
      "+y: Result",
    ],
    params: {
      // Of y: rows of x times parts.
      rows: "u32",
      // Items (of WIDTH elements) of a row.
      extent: "u32",
      parts: "u32",
      // Items of one part.
      partSize: "u32",
      scale: "f32",
    },
    bundles: true,
    flops: perElement("x", 1),
  }),
);

const productBackward = defineKernel({
  name: "product-backward",
  source: productBackwardSource,
  includes: [eachSource],
  bindings: ["x: Scalar", "dy: Scalar", "+dx: Scalar"],
  // Columns.
  params: { count: "u32", extent: "u32", inner: "u32" },
  flops: perElement("x", 3),
});

/** What a reduction makes of many numbers. */
type Made = "sum" | "max" | "min" | "product";

/** What it makes of none: of floats the infinities, of integers the ends of what there is. */
function identity(of: Made, dtype: DType): number {
  if (of === "sum" || of === "product") return of === "sum" ? 0 : 1;
  const [least, most] = rangeOf(dtype);
  return of === "max" ? least : most;
}

interface Reduction {
  of?: Made;
  /** Multiplies a sum. */
  scale?: number;
}

/** A tensor seen as [outer, extent, stride], of whose last dimension the first `inner` count, all unless told. */
interface View extends Block {
  stride?: number;
}

/** Reduces `x`, seen as `view`, over `extent` into a tensor of `shape` and `dtype`; not recorded. */
function reduce(x: Tensor, view: View, shape: Shape, reduction: Reduction, dtype: DType = x.dtype): Tensor {
  const { outer, extent, inner, stride = inner } = view;
  const { of = "sum", scale = 1 } = reduction;
  // NaN is the mean of nothing, whose scale is infinite.
  if (extent === 0) return filled(x.engine, shape, identity(of, dtype) * scale, dtype);
  // Lanes sum and compare; products are made by each for itself.
  const byRows = stride === 1 && of !== "product";
  const width = (byRows ? extent % 4 : inner % 4 || stride % 4) === 0 ? 4 : 1;
  const partSize = byRows ? rowPart(extent, width) : columnPart(extent, (outer * inner) / width);
  const parts = Math.ceil(extent / partSize);
  const { engine } = x;
  const last = parts === 1;
  const y = last
    ? engine.empty(shape, dtype)
    : engine.empty([outer, parts, inner], isInteger(dtype) ? dtype : "f32");
  const run = {
    bind: [x, y],
    // What `Scalar` is: of partial results, which are f32, that of the other side.
    dtype: y.dtype === "f32" ? x.dtype : y.dtype,
    constants: { EXTREME: of === "max" || of === "min", NEGATED: of === "min" },
  };
  const factor = last ? scale : 1;
  if (byRows) {
    engine.run(rowsKernel.of(width, x.dtype, y.dtype), {
      ...run,
      constants: { ...run.constants, GROUPS: rowGroups(engine, partSize / width) },
      params: {
        rows: outer * parts,
        extent: extent / width,
        parts,
        partSize: partSize / width,
        scale: factor,
      },
      grid: outer * parts,
    });
  } else {
    engine.run(columnsKernel.of(width, x.dtype, y.dtype), {
      ...run,
      constants: { ...run.constants, PRODUCT: of === "product" },
      params: {
        ...{ outer, extent, inner: inner / width, stride: stride / width },
        ...{ parts, partSize, scale: factor },
      },
      grid: Math.ceil((outer * parts * inner) / width / 32),
    });
  }
  return last ? y : reduce(y, { outer, extent: parts, inner }, shape, reduction, dtype);
}

/**
 * Sums `x` over all its leading dimensions: [..., columns] gives [columns], or of these the `first` ones, f32 or f16, in `dtype`
 * if told. Not recorded, the same bits in every run. Throws TensorError where `columns` does not divide the size.
 */
export function sumLeading(
  x: Tensor,
  columns: number,
  dtype: DType = x.dtype,
  first: number = columns,
): Tensor {
  requireFloat("sumLeading", x);
  const rows = columns === 0 ? 0 : x.size / columns;
  if (!Number.isInteger(columns) || columns < 0 || !Number.isInteger(rows) || rows * columns !== x.size)
    throw new TensorError(`sumLeading: [${x.shape}] has no rows of ${columns}.`);
  return reduce(x, { outer: 1, extent: rows, inner: first, stride: columns }, [first], {}, dtype);
}

/**
 * Undoes a broadcast: scale times the sum of `x` over the repetitions that made its shape out of `shape`; `x` itself
 * where nothing is to be done. Not recorded. Sums are of `dtype` if told. Throws TensorError for integers.
 */
export function sumTo(x: Tensor, shape: Shape, scale = 1, dtype: DType = x.dtype): Tensor {
  requireFloat("sumTo", x);
  const padded = [...new Array<number>(x.shape.length - shape.length).fill(1), ...shape];
  let current = x;
  let factor = scale;
  let sizes = [...x.shape];
  // Runs of neighbouring repeated dimensions are summed at once, the innermost run last, when least is left to read.
  for (let from = 0; from < padded.length; from++) {
    const repeated = (d: number) => padded[d] === 1 && sizes[d] !== 1;
    if (!repeated(from)) continue;
    let to = from + 1;
    while (to < padded.length && (repeated(to) || sizes[to] === 1)) to++;
    const view = {
      outer: sizeOf(sizes.slice(0, from)),
      extent: sizeOf(sizes.slice(from, to)),
      inner: sizeOf(sizes.slice(to)),
    };
    sizes = sizes.map((size, d) => (d >= from && d < to ? 1 : size));
    current = reduce(current, view, sizes, { scale: factor }, dtype);
    factor = 1;
  }
  if (factor !== 1) current = scaled(current, factor);
  return current.shape.length === shape.length ? current : x.engine.view(current, shape);
}

export interface ReduceOptions {
  /** Reduced axes stay in the shape, with an extent of 1. */
  keepDims?: boolean;
}

/**
 * Reduces `x` over each run of neighbours among the axes by `one`, outermost first: that gets what is left, the run as the
 * middle of a view, and the shape of its result.
 */
function overAxes(
  name: string,
  x: Tensor,
  axes: Axes,
  { keepDims = false }: ReduceOptions,
  one: (x: Tensor, view: Block, shape: Shape) => Tensor,
): Tensor {
  const all = x.shape.map((_, d) => d);
  const chosen = new Set(axesOf(name, x, axes));
  const runs: [from: number, to: number][] = [];
  for (const d of all)
    if (chosen.has(d)) {
      const last = runs.at(-1);
      // What lies between may be of extent 1.
      if (last && x.shape.slice(last[1], d).every((n) => n === 1)) last[1] = d + 1;
      else runs.push([d, d + 1]);
    }
  if (runs.length === 0) runs.push([all.length, all.length]);
  return runs.reduce((y, [from, to], i) => {
    const sizes = y.shape.map((n, d) => (d >= from && d < to ? 1 : n));
    const whole = i < runs.length - 1 || keepDims ? sizes : sizes.filter((_, d) => !chosen.has(d));
    return one(y, blockOf(y.shape, from, to), whole);
  }, x);
}

function scaledSum(
  name: string,
  x: Tensor,
  axes: Axes,
  options: ReduceOptions,
  scaleOf: (extent: number) => number,
): Tensor {
  return overAxes(name, x, axes, options, (x, view, shape) => {
    const scale = scaleOf(view.extent);
    const y = reduce(x, view, shape, { scale });
    const { outer, extent, inner } = view;
    return x.engine.record(name, y, [x], (dy) => {
      const each = scale === 1 ? dy : scaled(dy, scale);
      return [repeatedOver(each, [outer, extent, inner], x.shape)];
    });
  });
}

/** What stands for [outer, 1, inner], for every entry of the middle. */
function repeatedOver(x: Tensor, view: Shape, shape: Shape): Tensor {
  return expanded(x, view, [view[0]!, 1, view[2]!], shape);
}

/**
 * Sum over one axis or several, which leave the shape, or over everything, which gives a scalar []. f32 or f16 (summed in f32),
 * with a gradient; u32 and i32 exactly, modulo 2^32. Throws TensorError on an axis that is not there, or there twice.
 */
export function sum(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return scaledSum("sum", x, axes, options, () => 1);
}

/** Mean over axes or over everything, of f32 or f16 alone; NaN of nothing; otherwise as `sum`. */
export function mean(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  requireFloat("mean", x);
  return scaledSum("mean", x, axes, options, (extent) => 1 / extent);
}

/**
 * Maximum over axes or over everything, NaN where a NaN is among them; of nothing minus infinity, or the least there is of
 * integers. The gradient goes to the first of equal maxima, or of NaNs. Otherwise as `sum`.
 */
export function max(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return extreme("max", x, axes, options);
}

/** Minimum, of nothing infinity or the largest integer; otherwise as `max`. */
export function min(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return extreme("min", x, axes, options);
}

function extreme(of: "max" | "min", x: Tensor, axes: Axes, options: ReduceOptions): Tensor {
  return overAxes(of, x, axes, options, (x, view, shape) => {
    const y = reduce(x, view, shape, { of });
    return x.engine.record(of, y, [x], (dy) => [
      x.size === 0 ? x.engine.zeros(x.shape, x.dtype) : toWinners(dy, winnersOf(of, x, view, shape), x, view),
    ]);
  });
}

/** Where along an axis, or in all of `x` as one row, its extreme comes first. */
function argument(
  name: string,
  of: "max" | "min",
  x: Tensor,
  axis: number | undefined,
  options: ReduceOptions,
): Tensor {
  // One axis, whoever gives a list.
  const only = axis === undefined ? axis : axisOf(name, x, axis);
  return overAxes(name, x, only, options, (x, view, shape) => {
    if (view.extent === 0) throw new TensorError(`${name}: [${x.shape}] has nothing to choose from.`);
    return winnersOf(of, x, view, shape);
  });
}

/**
 * Where along `axis` the maximum stands, the first of equal ones or of NaNs, which count as the largest: u32; over everything
 * the place in all of `x` as one row. Of any dtype. Throws TensorError where there is nothing, and on an axis that is not there.
 */
export function argmax(x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  return argument("argmax", "max", x, axis, options);
}

/** Where along `axis` the minimum stands, the first of equal ones, or of NaNs; otherwise as `argmax`. */
export function argmin(x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  return argument("argmin", "min", x, axis, options);
}

/** Product over axes or over everything, 1 of nothing; otherwise as `sum`. */
export function prod(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return overAxes("prod", x, axes, options, (x, view, shape) => {
    const y = reduce(x, view, shape, { of: "product" });
    return x.engine.record("prod", y, [x], (dy) => {
      const { engine, dtype } = x;
      const dx = engine.empty(x.shape, dtype);
      const count = view.outer * view.inner;
      engine.run(productBackward, {
        bind: [x, dy, dx],
        params: { count, extent: view.extent, inner: view.inner },
        grid: blocks(count),
        dtype,
      });
      return [dx];
    });
  });
}

export const reduceKernels = kernelsIn<Kernel>(() => [
  ...columnsKernel.all,
  ...rowsKernel.all,
  ...winnerKernels,
  productBackward,
]);
