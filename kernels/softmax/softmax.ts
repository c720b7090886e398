// Softmax and log-softmax, one workgroup a row of the last axis, or four rows where they don't begin at vec4s.
import { defineKernel, type Tensor } from "../../engine/index.ts";
import { axisOf } from "../lib/axes.ts";
import { requireFloat, rowsOf } from "../lib/items.ts";
import edgesSource from "../lib/row-edges.wgsl?raw";
import { eachRows, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { permute } from "../shape/reshape.ts";
import forwardSource from "./softmax.wgsl?raw";
import backwardSource from "./softmax-backward.wgsl?raw";

const params = { rows: "u32", length: "u32" } as const;
const includes = [...eachRows, edgesSource];

const forwardKernel = defineKernel({
  name: "softmax",
  source: forwardSource,
  includes,
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

export const softmaxKernels = [forwardKernel, backwardKernel];

function apply(name: string, x: Tensor, log: boolean): Tensor {
  requireFloat(name, x);
  const { rows, length } = rowsOf(name, x);
  const { engine } = x;
  const together = length % 4 === 0 ? 1 : 4;
  const run = {
    params: { rows, length },
    grid: Math.ceil(rows / together),
    dtype: x.dtype,
    constants: { ROWS: together, LOG: log, GROUPS: rowGroups(engine, length / 4) },
  };
  const y = engine.empty(x.shape, x.dtype);
  engine.run(forwardKernel, { ...run, bind: [x, y] });
  return engine.record(name, y, [x], (dy) => {
    const dx = engine.empty(x.shape, x.dtype);
    engine.run(backwardKernel, { ...run, bind: [y, dy, dx] });
    return [dx];
  });
}

/** `apply` along another axis, by way of the last. */
function alongAxis(name: string, x: Tensor, axis: number, log: boolean): Tensor {
  const [at, last] = [axisOf(name, x, axis), x.shape.length - 1];
  if (at === last) return apply(name, x, log);
  const swapped = x.shape.map((_, d) => (d === at ? last : d === last ? at : d));
  return permute(apply(name, permute(x, swapped), log), swapped);
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
