// Scaling rows to length 1, as torch.nn.functional.normalize does.
import type { Tensor } from "../../engine/index.ts";
import { defineByWidth, requireFloat, rowsOf } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { eachRow, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import inverseSource from "./inverse.wgsl?raw";
import forwardSource from "./normalize.wgsl?raw";
import backwardSource from "./normalize-backward.wgsl?raw";

const params = {
  rows: "u32",
  /** Items (of WIDTH elements) of a row. */
  length: "u32",
  eps: "f32",
} as const;

const forwardKernel = defineByWidth({
  name: "normalize",
  bundles: true,
  source: forwardSource,
  includes: [nanSource, inverseSource, ...eachRow],
  bindings: [
    "x: In",
    "+y: Out",
    // The norm of each row.
    "+norms: f32",
  ],
  params,
  flops: perElement("x", 3),
});
const backwardKernel = defineByWidth({
  name: "normalize-backward",
  bundles: true,
  source: backwardSource,
  includes: [nanSource, inverseSource, ...eachRow],
  bindings: ["x: In", "norms: f32", "dy: In", "+dx: Out"],
  params,
  flops: perElement("x", 7),
});

export const normalizeKernels = kernelsIn(() => [...forwardKernel.all, ...backwardKernel.all]);

/**
 * x / max(|x|, eps) with the Euclidean norm along the last axis; 1e-12 as in PyTorch unless told. f32 or f16, computed
 * in f32; a row with a NaN is all NaN. Throws TensorError on a scalar.
 */
export function normalize(x: Tensor, eps = 1e-12): Tensor {
  requireFloat("normalize", x);
  const { rows, length } = rowsOf("normalize", x);
  const { engine } = x;
  const items = length % 4 === 0 ? length / 4 : length;
  const run = {
    params: { rows, length: items, eps },
    grid: rows,
    dtype: x.dtype,
    constants: { GROUPS: rowGroups(engine, items) },
  };
  const y = engine.empty(x.shape, x.dtype);
  const norms = engine.empty([rows]);
  engine.run(forwardKernel.of(length), { ...run, bind: [x, y, norms] });
  return engine.record("normalize", y, [x], (dy) => {
    const dx = engine.empty(x.shape, x.dtype);
    engine.run(backwardKernel.of(length), { ...run, bind: [x, norms, dy, dx] });
    return [dx];
  });
}
