// Convolutions of groups of few channels, each result straight from its windows: a matrix product would have so few rows that laying
// the windows out costs more than multiplying them.
import { defineKernel, type Tensor } from "../../engine/index.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { elements } from "../lib/work.ts";
import nearSource from "./near.wgsl?raw";
import nearRowSource from "./near-row.wgsl?raw";
import separateSource from "./separate.wgsl?raw";
import separateBackwardSource from "./separate-backward.wgsl?raw";
import {
  isNear,
  itemWidth,
  resultTypes,
  tallOf,
  type Windows,
  windowItems,
  windowParams,
  windowRows,
  windowTypes,
} from "./windows.ts";

const groupTypes = {
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
  params: { ...windowTypes, ...groupTypes },
  flops: (launch) =>
    2 * elements(launch, "y") * launch.params.own * launch.params.rows * launch.params.columns,
});
const separateBackwardKernel = defineByWidth({
  name: "conv-separate-backward",
  source: separateBackwardSource,
  includes: windowItems,
  bindings: ["dy: Scalar", "weight: Scalar", "+dx: Out"],
  params: { ...resultTypes, ...groupTypes },
  flops: (launch) =>
    2 * elements(launch, "dy") * launch.params.own * launch.params.rows * launch.params.columns,
});

const nearKernel = defineKernel({
  name: "conv-near",
  source: nearSource,
  includes: [eachSource, divisions("strips", "beside"), nearRowSource],
  bindings: ["x: Scalar", "weight: Scalar", "+y: Vec"],
  params: {
    count: "u32",
    ...{ height: "u32", width: "u32", top: "u32", left: "u32", outHeight: "u32", outWidth: "u32" },
    ...groupTypes,
    // Of TALL rows in a picture of y, and vec4s in a row.
    ...divisorTypes("strips", "beside"),
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
  const { rows, columns, height, width, outHeight, outWidth, strideY, strideX } = windows;
  const near = isNear(windows);
  /** By near.wgsl, into pictures of so many rows and columns. */
  const nearly = (from: Tensor, to: Tensor, BACK: boolean) => {
    const [height, width] = from.shape.slice(2) as [number, number];
    const [outHeight, outWidth] = to.shape.slice(2) as [number, number];
    // Networks' pictures are often seven times a power of two.
    const TALL = tallOf(engine, rows <= 3 && outHeight % 7 === 0 ? 7 : 4, to);
    const strips = Math.ceil(outHeight / TALL);
    const count = (to.size / outWidth / outHeight) * strips * (outWidth / 4);
    engine.run(nearKernel, {
      bind: [from, weight, to],
      params: {
        ...{ count, height, width, outHeight, outWidth },
        ...divisorValues({ strips, beside: outWidth / 4 }),
        top: BACK ? rows - 1 - windows.top : windows.top,
        left: BACK ? columns - 1 - windows.left : windows.left,
        ...(BACK
          ? { channels: outputs, outputs: own * groups, own: share, share: own }
          : { channels: own * groups, outputs, own, share }),
      },
      grid: blocks(count),
      dtype,
      constants: {
        ROWS: rows,
        COLUMNS: columns,
        TALL,
        BACK,
        STRIDE_Y: BACK ? 1 : strideY,
        STRIDE_X: BACK ? 1 : strideX,
      },
    });
    return to;
  };
  const run = (count: number, planes: readonly [number, number]) => ({
    params: { ...windowParams(windows, count, planes), channels: own * groups, outputs, own, share },
    grid: blocks(count),
    dtype,
  });
  return {
    forward() {
      const y = engine.empty(made, dtype);
      if (near && outWidth % 4 === 0) return nearly(x, y, false);
      engine.run(separateKernel.of(outWidth), {
        ...run(y.size / itemWidth(outWidth), [outHeight, outWidth]),
        bind: [x, weight, y],
      });
      return y;
    },
    backward(dy: Tensor) {
      const dx = engine.empty(x.shape, dtype);
      if (near && strideY * strideX === 1 && width % 4 === 0 && windows.top < rows && windows.left < columns)
        return nearly(dy, dx, true);
      engine.run(separateBackwardKernel.of(width), {
        ...run(dx.size / itemWidth(width), [height, width]),
        bind: [dy, weight, dx],
      });
      return dx;
    },
  };
}
