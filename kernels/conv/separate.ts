// Convolutions of groups of few channels, each result straight from its windows: a matrix product would have so few rows that laying
// the windows out costs more than multiplying them.
import type { Tensor } from "../../engine/index.ts";
import { blocks, defineByWidth } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { elements } from "../lib/work.ts";
import separateSource from "./separate.wgsl?raw";
import separateBackwardSource from "./separate-backward.wgsl?raw";
import { itemWidth, type Windows, windowItems, windowParams, windowRows, windowTypes } from "./windows.ts";

const params = {
  ...windowTypes,
  // Of a picture and of the result, of all groups and of one.
  channels: "u32",
  outputs: "u32",
  own: "u32",
  share: "u32",
} as const;

const separateKernel = defineByWidth({
  name: "conv-separate",
  source: separateSource,
  includes: windowRows,
  bindings: ["x: Scalar", "weight: Scalar", "+y: Out"],
  params,
  flops: (launch) =>
    2 * elements(launch, "y") * launch.params.own * launch.params.rows * launch.params.columns,
});
const separateBackwardKernel = defineByWidth({
  name: "conv-separate-backward",
  source: separateBackwardSource,
  includes: windowItems,
  bindings: ["dy: Scalar", "weight: Scalar", "+dx: Out"],
  params,
  flops: (launch) =>
    2 * elements(launch, "dy") * launch.params.own * launch.params.rows * launch.params.columns,
});

export const separateKernels = kernelsIn(() => [...separateKernel.all, ...separateBackwardKernel.all]);

/** Results of a group up to which a convolution goes this way. */
const most = 4;

/** A convolution by itself and the gradient to its pictures, not recorded; null where a product of matrices is faster. */
export function separately(
  x: Tensor,
  weight: Tensor,
  groups: number,
  windows: Windows,
  made: readonly number[],
) {
  const [outputs, own] = weight.shape as [number, number];
  const share = outputs / groups;
  if (groups === 1 || share > most) return null;
  const { engine, dtype } = x;
  const run = (count: number) => ({
    params: { ...windowParams(windows, count), channels: own * groups, outputs, own, share },
    grid: blocks(count),
    dtype,
  });
  return {
    forward() {
      const y = engine.empty(made, dtype);
      const { outWidth } = windows;
      engine.run(separateKernel.of(outWidth), { ...run(y.size / itemWidth(outWidth)), bind: [x, weight, y] });
      return y;
    },
    backward(dy: Tensor) {
      const dx = engine.empty(x.shape, dtype);
      const { width } = windows;
      engine.run(separateBackwardKernel.of(width), {
        ...run(dx.size / itemWidth(width)),
        bind: [dy, weight, dx],
      });
      return dx;
    },
  };
}
