// Sums, means and maxima over one axis, over leading axes or over everything. Long reductions go in two or more stages
// of about equal depth, which keeps all invocations busy, bounds the rounding error like a pairwise sum (Higham, "The
// accuracy of floating point summation", 1993) and gives the same bits in every run. Partial results are f32.
import {
  type DType,
  defineKernel,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { expanded, filled } from "../elementwise/strided.ts";
import { scaled } from "../elementwise/unary.ts";
import type { Block } from "../lib/axes.ts";
import { items, requireFloat, type Stored } from "../lib/items.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { eachRow, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import maxSource from "./max-backward.wgsl?raw";
import columnsSource from "./reduce-columns.wgsl?raw";
import rowsSource from "./reduce-rows.wgsl?raw";

/** One kernel per item width and pair of storage types. */
function variants<K>(make: (name: string, include: string) => K): {
  of(width: 1 | 4, from: DType, to: DType): K;
  all: K[];
} {
  const pairs: [Stored, Stored][] = [
    ["Scalar", "Scalar"],
    ["Scalar", "f32"],
    ["f32", "Scalar"],
  ];
  const all = ([1, 4] as const).flatMap((width) =>
    pairs.map(([from, to]) => make(`${width}-${from}-${to}`.toLowerCase(), items(width, from, to))),
  );
  return {
    of: (width, from, to) => all[(width === 1 ? 0 : 3) + (from === to ? 0 : to === "f32" ? 1 : 2)]!,
    all,
  };
}

const columnsKernel = variants((name, include) =>
  defineKernel({
    name: `reduce-columns-${name}`,
    source: columnsSource,
    includes: [include, nanSource],
    bindings: ["x: In", "+y: Out"],
    params: {
      outer: "u32",
      extent: "u32",
      // Items (of WIDTH elements) of the inner extent.
      inner: "u32",
      parts: "u32",
      // r's in one part.
      partSize: "u32",
      scale: "f32",
    },
    flops: perElement("x", 1),
  }),
);

const rowsKernel = variants((name, include) =>
  defineKernel({
    name: `reduce-rows-${name}`,
    source: rowsSource,
    includes: [include, nanSource, ...eachRow],
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
    flops: perElement("x", 1),
  }),
);

const maxBackward = defineKernel({
  name: "max-backward",
  source: maxSource,
  includes: [nanSource],
  bindings: ["x: Scalar", "y: Scalar", "dy: Scalar", "+dx: Scalar"],
  params: { outer: "u32", extent: "u32", inner: "u32" },
  flops: perElement("x", 1),
});

interface Reduction {
  max?: boolean;
  /** Multiplies the result; positive where `max` is set. */
  scale?: number;
}

/** Reduces `x`, seen as `view`, over `extent` into a tensor of `shape` and `dtype`; not recorded. */
function reduce(x: Tensor, view: Block, shape: Shape, reduction: Reduction, dtype: DType = x.dtype): Tensor {
  const { outer, extent, inner } = view;
  const { max = false, scale = 1 } = reduction;
  // Of nothing: NaN is the mean.
  if (extent === 0) return filled(x.engine, shape, max ? Number.NEGATIVE_INFINITY : 0 * scale, dtype);
  const width = (inner === 1 ? extent : inner) % 4 === 0 ? 4 : 1;
  const partSize = inner === 1 ? rowPart(extent, width) : columnPart(extent, (outer * inner) / width);
  const parts = Math.ceil(extent / partSize);
  const { engine } = x;
  const last = parts === 1;
  const y = last ? engine.empty(shape, dtype) : engine.empty([outer, parts, inner], "f32");
  const run = {
    bind: [x, y],
    dtype: x.dtype === "f16" || y.dtype === "f16" ? ("f16" as const) : ("f32" as const),
    constants: { MAX: max },
  };
  if (inner === 1) {
    engine.run(rowsKernel.of(width, x.dtype, y.dtype), {
      ...run,
      constants: { ...run.constants, GROUPS: rowGroups(engine, partSize / width) },
      params: {
        rows: outer * parts,
        extent: extent / width,
        parts,
        partSize: partSize / width,
        scale: last ? scale : 1,
      },
      grid: outer * parts,
    });
  } else {
    engine.run(columnsKernel.of(width, x.dtype, y.dtype), {
      ...run,
      params: { outer, extent, inner: inner / width, parts, partSize, scale: last ? scale : 1 },
      grid: Math.ceil((outer * parts * inner) / width / 32),
    });
  }
  return last ? y : reduce(y, { outer, extent: parts, inner }, shape, reduction, dtype);
}

/** Elements of a row that one workgroup reduces. */
function rowPart(extent: number, width: number): number {
  if (extent <= 8192) return extent;
  return Math.ceil(Math.max(4096, Math.sqrt(extent)) / width) * width;
}

/** Rows that one invocation reduces, where `columns` items lie side by side. */
function columnPart(extent: number, columns: number): number {
  const few = columns < 16384 ? 64 : 1024;
  return extent <= few ? extent : Math.max(32, Math.ceil(Math.sqrt(extent)));
}

/**
 * Sums `x` over all its leading dimensions: [..., columns] gives [columns], f32 or f16, in `dtype` if told.
 * Not recorded, the same bits in every run. Throws TensorError where `columns` does not divide the size.
 */
export function sumLeading(x: Tensor, columns: number, dtype: DType = x.dtype): Tensor {
  requireFloat("sumLeading", x);
  const rows = columns === 0 ? 0 : x.size / columns;
  if (!Number.isInteger(columns) || columns < 0 || !Number.isInteger(rows) || rows * columns !== x.size)
    throw new TensorError(`sumLeading: [${x.shape}] has no rows of ${columns}.`);
  return reduce(x, { outer: 1, extent: rows, inner: columns }, [columns], {}, dtype);
}

/**
 * Undoes a broadcast: scale times the sum of `x` over the repetitions that made its shape out of `shape`; `x` itself
 * where nothing is to be done. Not recorded. Throws TensorError for integers.
 */
export function sumTo(x: Tensor, shape: Shape, scale = 1): Tensor {
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
    current = reduce(current, view, sizes, { scale: factor });
    factor = 1;
  }
  if (factor !== 1) current = scaled(current, factor);
  return current.shape.length === shape.length ? current : x.engine.view(current, shape);
}

/** The view of `x` that has `axis` in the middle and the shape without it. Negative axes count from the end. */
function alongAxis(
  name: string,
  x: Tensor,
  axis: number | undefined,
): { view: Block; shape: number[]; kept: number[] } {
  requireFloat(name, x);
  const rank = x.shape.length;
  if (axis === undefined)
    return { view: { outer: 1, extent: x.size, inner: 1 }, shape: [], kept: x.shape.map(() => 1) };
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw new TensorError(`${name}: [${x.shape}] has no axis ${axis}.`);
  const view = {
    outer: sizeOf(x.shape.slice(0, at)),
    extent: x.shape[at]!,
    inner: sizeOf(x.shape.slice(at + 1)),
  };
  return { view, shape: x.shape.filter((_, d) => d !== at), kept: x.shape.map((n, d) => (d === at ? 1 : n)) };
}

function scaledSum(
  name: string,
  x: Tensor,
  axis: number | undefined,
  scaleOf: (extent: number) => number,
): Tensor {
  const { view, shape, kept } = alongAxis(name, x, axis);
  const scale = scaleOf(view.extent);
  const y = reduce(x, view, shape, { scale });
  return x.engine.record(name, y, [x], (dy) => {
    const each = scale === 1 ? dy : scaled(dy, scale);
    return [expanded(x.engine.view(each, kept), x.shape)];
  });
}

/**
 * Sum over `axis`, which leaves the shape, or over everything, which gives a scalar []. f32 or f16 (summed in f32).
 * Throws TensorError on an axis that is not there.
 */
export function sum(x: Tensor, axis?: number): Tensor {
  return scaledSum("sum", x, axis, () => 1);
}

/** Mean over `axis` or over everything; otherwise as `sum`. */
export function mean(x: Tensor, axis?: number): Tensor {
  return scaledSum("mean", x, axis, (extent) => 1 / extent);
}

/** Maximum over `axis`, which leaves the shape; NaN where a NaN is among them. The gradient goes to the
 * first of equal maxima, or of NaNs. */
export function max(x: Tensor, axis: number): Tensor {
  const { view, shape } = alongAxis("max", x, axis);
  const y = reduce(x, view, shape, { max: true });
  return x.engine.record("max", y, [x], (dy) => {
    const dx = x.engine.empty(x.shape, x.dtype);
    x.engine.run(maxBackward, {
      bind: [x, y, dy, dx],
      params: { ...view },
      grid: Math.ceil((view.outer * view.inner) / 64),
      dtype: x.dtype,
    });
    return [dx];
  });
}

export const reduceKernels = [...columnsKernel.all, ...rowsKernel.all, maxBackward];
