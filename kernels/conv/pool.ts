// Pooling: the largest or the mean of each window of a picture. The gradient of a maximum goes to the first of the largest, which
// the forward pass keeps; every place of a picture then asks the windows that it is in.
import { defineKernel, type Tensor, TensorError, tracked } from "../../engine/index.ts";
import { blocks, defineByWidth, items, requireFloat } from "../lib/items.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { perElement } from "../lib/work.ts";
import winnerSource from "../reduce/winner.wgsl?raw";
import nearRowSource from "./near-row.wgsl?raw";
import poolSource from "./pool.wgsl?raw";
import poolBackwardSource from "./pool-backward.wgsl?raw";
import poolNearSource from "./pool-near.wgsl?raw";
import poolShareSource from "./pool-share.wgsl?raw";
import {
  isNear,
  itemWidth,
  type Pair,
  resultTypes,
  tallOf,
  type WindowOptions,
  windowIncludes,
  windowItems,
  windowParams,
  windowRows,
  windowsOver,
  windowTypes,
} from "./windows.ts";

/** `sharesOf` an item of windows beside each other. */
const sharesOf = (width: 1 | 4) => {
  const each = Array.from({ length: width }, (_, c) => `shareOf(oy, ox + ${c}u)`);
  return `fn sharesOf(oy: u32, ox: u32) -> Wide { return Wide(${each.join(", ")}); }`;
};

const poolKernel = defineByWidth({
  name: "pool",
  source: poolSource,
  includes: (width) => [nanSource, winnerSource, ...windowRows(width), poolShareSource, sharesOf(width)],
  bindings: ["x: Scalar", "+y: Out", "+winners: Bits"],
  params: windowTypes,
  flops: (launch) => perElement("y", launch.params.rows * launch.params.columns)(launch),
});
const poolNearKernel = defineKernel({
  name: "pool-near",
  source: poolNearSource,
  includes: [
    ...[items(4), nanSource, winnerSource, ...windowIncludes, nearRowSource],
    ...[poolShareSource, sharesOf(4)],
  ],
  bindings: ["x: Scalar", "+y: Vec", "+winners: vec4u"],
  // What is beside of the plane: nothing, or what no maximum is.
  params: { ...resultTypes, outside: "f32" },
  flops: (launch) =>
    perElement("y", Number(launch.constants.ROWS) * Number(launch.constants.COLUMNS))(launch),
});
const poolBackwardKernel = defineByWidth({
  name: "pool-backward",
  source: poolBackwardSource,
  includes: (width) => [...windowItems(width), poolShareSource],
  bindings: ["dy: Scalar", "winners: u32", "+dx: Out"],
  params: resultTypes,
  flops: (launch) => perElement("dy", launch.params.rows * launch.params.columns)(launch),
});

export const poolKernels = [poolNearKernel, ...poolKernel.all, ...poolBackwardKernel.all];

export interface AveragePoolOptions extends WindowOptions {
  /** The zeros of borders count in the mean, as in PyTorch; true unless told. */
  countPadding?: boolean;
}

function pool(name: string, x: Tensor, size: Pair, options: AveragePoolOptions, largest: boolean): Tensor {
  requireFloat(name, x);
  if (x.shape.length !== 4) throw new TensorError(`${name}: [${x.shape}] is no [B, C, H, W].`);
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const windows = windowsOver(name, [height, width], size, { stride: size, ...options });
  const { engine, dtype } = x;
  const y = engine.empty([batch, channels, windows.outHeight, windows.outWidth], dtype);
  const { rows, columns, dilationY, dilationX, top, bottom, left, right } = windows;
  // A border as wide as a window would have windows without a number.
  if (Math.max(top, bottom) > dilationY * (rows - 1) || Math.max(left, right) > dilationX * (columns - 1))
    throw new TensorError(
      `${name}: borders of ${[top, bottom, left, right]} are wider than windows of ${rows} by ${columns}.`,
    );
  // Windows lie within the borders.
  const cut = !(options.countPadding ?? true) && Math.max(top, bottom, left, right) > 0;
  const winners = engine.empty(largest ? y.shape : [4], "u32");
  const { outHeight, outWidth, strideY, strideX } = windows;
  const run = (made: Tensor) => {
    const [down, across] = made.shape.slice(2) as [number, number];
    const count = made.size / itemWidth(across);
    return {
      params: windowParams(windows, count, [down, across]),
      grid: blocks(count),
      dtype,
      constants: { MAX: largest, CUT: cut },
    };
  };
  if (outWidth % 4 === 0 && isNear(windows)) {
    const TALL = tallOf(engine, 8, y);
    const strips = Math.ceil(outHeight / TALL);
    const count = (batch * channels * strips * outWidth) / 4;
    engine.run(poolNearKernel, {
      bind: [x, y, winners],
      params: {
        ...windowParams(windows, count, [strips, outWidth]),
        outside: largest ? Number.NEGATIVE_INFINITY : 0,
      },
      grid: blocks(count),
      dtype,
      constants: {
        ...{ ROWS: rows, COLUMNS: columns, STRIDE_Y: strideY, STRIDE_X: strideX, TALL },
        ...{ MAX: largest, CUT: cut, WINNERS: tracked(x) },
      },
    });
  } else engine.run(poolKernel.of(outWidth), { ...run(y), bind: [x, y, winners] });
  return engine.record(name, y, [x], (dy) => {
    const dx = engine.empty(x.shape, dtype);
    engine.run(poolBackwardKernel.of(width), {
      ...run(dx),
      bind: [dy, winners, dx],
    });
    return [dx];
  });
}

/**
 * The largest of each window of `size` of pictures [B, C, H, W], beside each other unless `stride` says otherwise; borders have
 * nothing, and of windows that have no place of the picture it is minus infinity. f32 or f16; NaN where a NaN is among them. Throws TensorError where shapes or options do not fit, such as borders that are wider than a window.
 */
export function maxPool2d(x: Tensor, size: Pair, options: WindowOptions = {}): Tensor {
  return pool("maxPool2d", x, size, options, true);
}

/** The mean of each window, NaN where it is of nothing; otherwise as `maxPool2d`, but borders have zeros. */
export function averagePool2d(x: Tensor, size: Pair, options: AveragePoolOptions = {}): Tensor {
  return pool("averagePool2d", x, size, options, false);
}
