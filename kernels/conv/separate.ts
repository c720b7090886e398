// Convolutions of groups of few channels, each result straight from its windows: a matrix product would have so few rows that laying
// the windows out costs more than multiplying them.
import { defineKernel, type Tensor } from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { elements } from "../lib/work.ts";
import nearSource from "./near.wgsl?raw";
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

const nearKernel = defineKernel({
  name: "conv-near",
  source: nearSource,
  includes: [eachSource],
  bindings: ["x: Scalar", "weight: Scalar", "+y: Vec"],
  params: {
    count: "u32",
    ...{ height: "u32", width: "u32", top: "u32", left: "u32", outHeight: "u32", outWidth: "u32" },
    // Of x and of y, of all groups and of one.
    ...{ channels: "u32", outputs: "u32", own: "u32", share: "u32" },
    // Of TALL rows in a picture of y.
    strips: "u32",
  },
  flops: (launch) =>
    2 *
    elements(launch, "y") *
    launch.params.own *
    Number(launch.constants.ROWS) *
    Number(launch.constants.COLUMNS),
});

export const separateKernels = kernelsIn(() => [
  ...separateKernel.all,
  ...separateBackwardKernel.all,
  nearKernel,
]);

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
  const { rows, columns, width, outWidth } = windows;
  const near =
    rows * columns <= 25 &&
    [windows.strideY, windows.strideX, windows.dilationY, windows.dilationX].every((step) => step === 1);
  /** By near.wgsl, into pictures of so many rows and columns. */
  const nearly = (from: Tensor, to: Tensor, BACK: boolean) => {
    const [height, width] = from.shape.slice(2) as [number, number];
    const [outHeight, outWidth] = to.shape.slice(2) as [number, number];
    // As many rows as registers hold, where enough invocations are left; networks' pictures are often seven times a power of two.
    const tall = rows <= 3 && outHeight % 7 === 0 ? 7 : 4;
    const TALL = to.size >= 4 * tall * (engine.rowGroups > 1 ? 65536 : 64) ? tall : 1;
    const strips = Math.ceil(outHeight / TALL);
    const count = (to.size / outWidth / outHeight) * strips * (outWidth / 4);
    engine.run(nearKernel, {
      bind: [from, weight, to],
      params: {
        ...{ count, height, width, outHeight, outWidth, strips },
        top: BACK ? rows - 1 - windows.top : windows.top,
        left: BACK ? columns - 1 - windows.left : windows.left,
        ...(BACK
          ? { channels: outputs, outputs: own * groups, own: share, share: own }
          : { channels: own * groups, outputs, own, share }),
      },
      grid: blocks(count),
      dtype,
      constants: { ROWS: rows, COLUMNS: columns, TALL, BACK },
    });
    return to;
  };
  const run = (count: number) => ({
    params: { ...windowParams(windows, count), channels: own * groups, outputs, own, share },
    grid: blocks(count),
    dtype,
  });
  return {
    forward() {
      const y = engine.empty(made, dtype);
      if (near && outWidth % 4 === 0) return nearly(x, y, false);
      engine.run(separateKernel.of(outWidth), { ...run(y.size / itemWidth(outWidth)), bind: [x, weight, y] });
      return y;
    },
    backward(dy: Tensor) {
      const dx = engine.empty(x.shape, dtype);
      if (near && width % 4 === 0 && windows.top < rows && windows.left < columns)
        return nearly(dy, dx, true);
      engine.run(separateBackwardKernel.of(width), {
        ...run(dx.size / itemWidth(width)),
        bind: [dy, weight, dx],
      });
      return dx;
    },
  };
}
