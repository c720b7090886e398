// Softmax and log-softmax, one workgroup a row of the last axis, or four rows where they don't begin at vec4s; along other axes by
// columns.
import { defineKernel, type Kernel, type Tensor } from "../../engine/index.ts";
import { axisOf, type Block, blockOf } from "../lib/axes.ts";
import { columnRun, columnTypes, eachColumn } from "../lib/columns.ts";
import { defineByWidth, requireFloat } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import edgesSource from "../lib/row-edges.wgsl?raw";
import { eachRows, heldGroups, heldRows, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { permute } from "../shape/reshape.ts";
import columnSumSource from "./column-sum.wgsl?raw";
import forwardSource from "./softmax.wgsl?raw";
import backwardSource from "./softmax-backward.wgsl?raw";
import columnsSource from "./softmax-columns.wgsl?raw";
import columnsBackwardSource from "./softmax-columns-backward.wgsl?raw";

const params = { rows: "u32", length: "u32" } as const;
const includes = [...eachRows, edgesSource];

const forwardKernel = defineKernel({
  name: "softmax",
  source: forwardSource,
  includes: [...includes, heldRows("vec4f")],
  bindings: ["x: Vec", "+y: Vec"],
  params,
  flops: perElement("x", 7, { LOG: -2 }),
});
const backwardKernel = defineKernel({
  name: "softmax-backward",
  source: backwardSource,
  includes,
  bindings: ["s: Vec", "dy: Vec", "+y: Vec"],
  params,
  flops: perElement("s", 4),
});

const columnsKernel = defineByWidth({
  name: "softmax-columns",
  source: columnsSource,
  includes: [eachColumn, columnSumSource],
  bindings: ["x: In", "+y: Out"],
  params: columnTypes,
  flops: perElement("x", 7, { LOG: -2 }),
});
const columnsBackwardKernel = defineByWidth({
  name: "softmax-columns-backward",
  source: columnsBackwardSource,
  includes: [eachColumn],
  bindings: ["s: In", "dy: In", "+y: Out"],
  params: columnTypes,
  flops: perElement("s", 4),
});

export const softmaxKernels = kernelsIn<Kernel>(() => [
  ...[forwardKernel, backwardKernel],
  ...[...columnsKernel.all, ...columnsBackwardKernel.all],
]);

/** Along the last axis, or all behind which are of extent 1. */
function ofRows(name: string, x: Tensor, { outer: rows, extent: length }: Block, log: boolean): Tensor {
  const { engine } = x;
  const together = length % 4 === 0 ? 1 : 4;
  const run = {
    params: { rows, length },
    grid: Math.ceil(rows / together),
    dtype: x.dtype,
  };
  const shared = { ROWS: together, LOG: log };
  const y = engine.empty(x.shape, x.dtype);
  const constants = { ...shared, ...heldGroups(engine, (together * length) / 4) };
  engine.run(forwardKernel, { ...run, bind: [x, y], constants });
  return engine.record(name, y, [x], (dy) => {
    const dx = engine.empty(x.shape, x.dtype);
    const constants = { ...shared, GROUPS: rowGroups(engine, length / 4) };
    engine.run(backwardKernel, { ...run, bind: [y, dy, dx], constants });
    return [dx];
  });
}

function ofColumns(
  name: string,
  x: Tensor,
  { inner }: Block,
  columns: NonNullable<ReturnType<typeof columnRun>>,
  log: boolean,
): Tensor {
  const { engine, shape, dtype } = x;
  const run = { ...columns, dtype, constants: { ...columns.constants, LOG: log } };
  const y = engine.empty(shape, dtype);
  engine.run(columnsKernel.of(inner), { ...run, bind: [x, y] });
  return engine.record(name, y, [x], (dy) => {
    const dx = engine.empty(shape, dtype);
    engine.run(columnsBackwardKernel.of(inner), { ...run, bind: [y, dy, dx] });
    return [dx];
  });
}

function alongAxis(name: string, x: Tensor, axis: number, log: boolean): Tensor {
  requireFloat(name, x);
  const at = axisOf(name, x, axis);
  const view = blockOf(x.shape, at);
  if (view.inner === 1 || x.size === 0) return ofRows(name, x, { ...view, inner: 1 }, log);
  const columns = columnRun(x.engine, view);
  if (columns) return ofColumns(name, x, view, columns, log);
  const last = x.shape.length - 1;
  const swapped = x.shape.map((_, d) => (d === at ? last : d === last ? at : d));
  return permute(alongAxis(name, permute(x, swapped), -1, log), swapped);
}

/**
 * e^x over the sum of e^x along an axis, the last unless told. f32 or f16 of any shape but a scalar; elements may be
 * -infinity, which become 0, as long as not the whole row is. Throws TensorError on an axis that is not there.
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  return alongAxis("softmax", x, axis, false);
}

/** The logarithm of `softmax`, without its rounding near 0; otherwise as that. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return alongAxis("logSoftmax", x, axis, true);
}
