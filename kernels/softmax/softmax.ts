// Softmax and log-softmax over the last axis, one workgroup a row, or four rows where they don't begin at vec4s.
import { defineKernel, type Tensor } from "../../engine/index.ts";
import { requireFloat, rowsOf } from "../lib/items.ts";
import edgesSource from "../lib/row-edges.wgsl?raw";
import { eachRows, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
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

/**
 * e^x over the sum of e^x along the last axis. f32 or f16 of any shape but a scalar; elements may be -infinity, which
 * become 0, as long as not the whole row is. Throws TensorError on a scalar.
 */
export function softmax(x: Tensor): Tensor {
  return apply("softmax", x, false);
}

/** The logarithm of `softmax`, without its rounding near 0. */
export function logSoftmax(x: Tensor): Tensor {
  return apply("logSoftmax", x, true);
}
