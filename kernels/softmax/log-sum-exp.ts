// The logarithm of a sum of exponentials, relative to the largest, so that none is beyond what f32 has.
import type { Kernel, Tensor } from "../../engine/index.ts";
import { add, div, less, mul, sub, where } from "../elementwise/arithmetic.ts";
import { fuse } from "../elementwise/fuse.ts";
import { abs, exp, log } from "../elementwise/unary.ts";
import { type Axes, axesOf, blockOf } from "../lib/axes.ts";
import { columnRun, columnTypes, eachColumn } from "../lib/columns.ts";
import { defineByWidth, requireFloat } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { eachRow, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { longestRow } from "../reduce/parts.ts";
import { max, type ReduceOptions, sum } from "../reduce/reduce.ts";
import source from "./log-sum-exp.wgsl?raw";
import columnsSource from "./log-sum-exp-columns.wgsl?raw";

const kernel = defineByWidth({
  name: "log-sum-exp",
  source,
  includes: [nanSource, ...eachRow],
  bindings: ["x: In", "+tops: Result", "+sums: Result", "+y: Result"],
  params: {
    rows: "u32",
    // Items (of WIDTH elements) of a row.
    extent: "u32",
  },
  flops: perElement("x", 4),
});

const columnsKernel = defineByWidth({
  name: "log-sum-exp-columns",
  source: columnsSource,
  includes: [nanSource, eachColumn],
  bindings: ["x: In", "+tops: Out", "+sums: Out", "+y: Out"],
  params: columnTypes,
  flops: perElement("x", 4),
});

export const logSumExpKernels = kernelsIn<Kernel>(() => [...kernel.all, ...columnsKernel.all]);

/** What the gradient needs beside the result, both with reduced axes of extent 1. */
interface Parts {
  y: Tensor;
  top: Tensor;
  sums: Tensor;
}

/** Of axes beside each other, by a kernel for rows or columns; null where others are reduced, or they are too long for one workgroup. */
function ofNeighbours(
  x: Tensor,
  axes: ReadonlySet<number>,
  { keepDims = false }: ReduceOptions,
): Parts | null {
  const { engine, shape, dtype } = x;
  const from = shape.findIndex((_, d) => axes.has(d));
  const to = from + axes.size;
  if (from < 0 || x.size === 0 || shape.some((_, d) => d >= from && d < to !== axes.has(d))) return null;
  const view = blockOf(shape, from, to);
  const { outer: rows, extent, inner } = view;
  const columns = inner > 1 ? columnRun(engine, view) : null;
  if (!columns && (inner > 1 || extent > longestRow)) return null;
  const kept = shape.map((n, d) => (axes.has(d) ? 1 : n));
  const [top, sums] = [engine.empty(kept, dtype), engine.empty(kept, dtype)];
  const y = engine.empty(keepDims ? kept : shape.filter((_, d) => !axes.has(d)), dtype);
  if (columns) {
    engine.run(columnsKernel.of(inner), { ...columns, bind: [x, top, sums, y], dtype });
    return { y, top, sums };
  }
  const items = extent % 4 === 0 ? extent / 4 : extent;
  engine.run(kernel.of(extent), {
    bind: [x, top, sums, y],
    params: { rows, extent: items },
    grid: rows,
    dtype,
    constants: { GROUPS: rowGroups(engine, items) },
  });
  return { y, top, sums };
}

const finite = fuse((x: Tensor) => where(less(abs(x), Number.POSITIVE_INFINITY), x, 0));
const powers = fuse((x: Tensor, top: Tensor) => exp(sub(x, top)));
// The largest adds 1, so that a sum below is of nothing, whose logarithm WGSL leaves open.
const logarithms = fuse((sums: Tensor, top: Tensor) =>
  add(where(less(sums, 0.5), Number.NEGATIVE_INFINITY, log(sums)), top),
);
// Without the logarithm, whose last digits some drivers lack.
const slopes = fuse((dy: Tensor, x: Tensor, top: Tensor, sums: Tensor) =>
  mul(dy, div(exp(sub(x, top)), sums)),
);

/** Of any axes, put together of other operations. */
function ofParts(x: Tensor, axes: Axes, options: ReduceOptions): Parts {
  const { engine } = x;
  // Without a graph, as the gradient is simpler than those of the parts.
  return engine.scope(() => {
    const plain = engine.view(x, x.shape);
    const largest = max(plain, axes, { keepDims: true });
    const top = finite(largest);
    const sums = sum(powers(plain, top), axes, options);
    return { y: logarithms(sums, engine.view(top, sums.shape)), top, sums };
  });
}

/**
 * ln of the sum of e^x over axes or over everything; minus infinity of nothing. f32 or f16. Throws TensorError as `sum` does.
 */
export function logSumExp(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  requireFloat("logSumExp", x);
  const { engine } = x;
  const chosen = new Set(axesOf("logSumExp", x, axes));
  const { y, top, sums } = ofNeighbours(x, chosen, options) ?? ofParts(x, axes, options);
  return engine.record("logSumExp", y, [x], (dy) => [
    slopes(engine.view(dy, top.shape), x, top, engine.view(sums, top.shape)),
  ]);
}
