// Windows over pictures, which convolutions and poolings have in common: their geometry, and the two kernels that lay all of
// them out beside each other and add them up again (im2col and col2im: Chellapilla et al., "High performance convolutional neural
// networks for document processing", 2006).
import { type Backend, type Tensor, TensorError } from "../../engine/index.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth } from "../lib/items.ts";
import { perElement } from "../lib/work.ts";
import foldSource from "./fold.wgsl?raw";
import unfoldSource from "./unfold.wgsl?raw";
import windowRowSource from "./window-row.wgsl?raw";
import windowsSource from "./windows.wgsl?raw";

/** For both axes, or for rows and columns. */
export type Pair = number | readonly [rows: number, columns: number];
/** Borders of zeros or of nothing: on all sides, for rows and columns, or [top, bottom] and [left, right]. */
export type Padding = Pair | readonly [rows: readonly [number, number], columns: readonly [number, number]];

export interface WindowOptions {
  /** From one window to the next; 1 for convolutions, the window's size for poolings. */
  stride?: Pair;
  padding?: Padding;
  /** From one place of a window to the next. */
  dilation?: Pair;
}

export interface Windows {
  /** Of the pictures. */
  height: number;
  width: number;
  /** Of a window. */
  rows: number;
  columns: number;
  strideY: number;
  strideX: number;
  dilationY: number;
  dilationX: number;
  top: number;
  bottom: number;
  left: number;
  right: number;
  /** Windows below and beside each other. */
  outHeight: number;
  outWidth: number;
}

export const windowTypes = {
  count: "u32",
  height: "u32",
  width: "u32",
  rows: "u32",
  columns: "u32",
  strideY: "u32",
  strideX: "u32",
  dilationY: "u32",
  dilationX: "u32",
  top: "u32",
  left: "u32",
  // From a place that windows may have as one of theirs to the next such: places of a window, strides and what is left of them.
  skipY: "u32",
  skipX: "u32",
  wholeY: "u32",
  restY: "u32",
  wholeX: "u32",
  restX: "u32",
  // Rows of a plane of what is made, and items in a row of it.
  ...divisorTypes("down", "beside"),
} as const;

/** The same, and of the result how many windows are below and beside each other. */
export const resultTypes = { ...windowTypes, outHeight: "u32", outWidth: "u32" } as const;

export const windowIncludes = [eachSource, divisions("down", "beside"), windowsSource];

/**
 * The includes of a kernel that makes items of WIDTH elements: `itemOf(place)` calls `valueAt(place, c)` for each, which the kernel
 * has, or window-row.wgsl.
 */
export const windowItems = (width: 1 | 4): string[] => {
  const each = (value: (c: number) => string) => Array.from({ length: width }, (_, c) => value(c)).join(", ");
  return [
    ...windowIncludes,
    `alias Ints = ${width === 4 ? "vec4i" : "i32"};
fn itemOf(place: Place) -> Out { return Out(${each((c) => `valueAt(place, ${c}u)`)}); }`,
  ];
};

/** For kernels that read rows of windows: `columnsOf` an item of windows whose first is in a column, and `allOf` a truth of all. */
export const windowRows = (width: 1 | 4): string[] => {
  const all = width === 4 ? "vec4<bool>" : "bool";
  const steps = width === 4 ? "vec4i(0, 1, 2, 3)" : "0";
  return [
    ...windowItems(width),
    windowRowSource,
    `fn columnsOf(first: i32) -> Ints { return Ints(first) + ${steps} * Ints(i32(params.strideX)); }
fn allOf(truth: bool) -> ${all} { return ${all}(truth); }`,
  ];
};

/** Both entries of a pair of whole numbers. Throws TensorError for others. */
function pairOf(name: string, what: string, pair: Pair, least: number): [number, number] {
  const [a, b] = typeof pair === "number" ? [pair, pair] : pair;
  for (const value of [a, b])
    if (!Number.isInteger(value) || value < least)
      throw new TensorError(`${name}: ${what} must be whole numbers from ${least} on, not ${pair}.`);
  return [a, b];
}

/**
 * The windows of `size` over pictures of `extents`. Throws TensorError on options that are no whole numbers, and where not one
 * window has room.
 */
export function windowsOver(
  name: string,
  [height, width]: readonly [number, number],
  size: Pair,
  { stride = 1, padding = 0, dilation = 1 }: WindowOptions,
): Windows {
  const [rows, columns] = pairOf(name, "windows", size, 1);
  const [strideY, strideX] = pairOf(name, "strides", stride, 1);
  const [dilationY, dilationX] = pairOf(name, "dilations", dilation, 1);
  const [vertical, horizontal] = typeof padding === "number" ? [padding, padding] : padding;
  const [top, bottom] = pairOf(name, "paddings", vertical, 0);
  const [left, right] = pairOf(name, "paddings", horizontal, 0);
  const along = (extent: number, size: number, dilation: number, stride: number) =>
    Math.floor((extent - dilation * (size - 1) - 1) / stride) + 1;
  const outHeight = along(height + top + bottom, rows, dilationY, strideY);
  const outWidth = along(width + left + right, columns, dilationX, strideX);
  if (outHeight < 1 || outWidth < 1)
    throw new TensorError(`${name}: a window of ${rows} by ${columns} has no room in ${height} by ${width}.`);
  return {
    ...{ height, width, rows, columns, strideY, strideX, dilationY, dilationX },
    ...{ top, bottom, left, right, outHeight, outWidth },
  };
}

/** The parameters of a kernel that makes `count` items, in planes of so many rows of so many elements. */
export function windowParams(
  { bottom, right, ...windows }: Windows,
  count: number,
  [down, across]: readonly [number, number],
) {
  const { strideY, strideX, dilationY, dilationX } = windows;
  const [skipY, skipX] = [dilationY === 1 ? strideY : 1, dilationX === 1 ? strideX : 1];
  return {
    ...{ count, ...windows, skipY, skipX },
    wholeY: Math.floor((skipY * dilationY) / strideY),
    restY: (skipY * dilationY) % strideY,
    wholeX: Math.floor((skipX * dilationX) / strideX),
    restX: (skipX * dilationX) % strideX,
    ...divisorValues({ down, beside: across / itemWidth(across) }),
  };
}

const unfoldKernel = defineByWidth({
  name: "unfold",
  source: unfoldSource,
  includes: windowRows,
  bindings: ["x: Scalar", "+y: Out"],
  params: windowTypes,
  flops: () => 0,
});
const foldKernel = defineByWidth({
  name: "fold",
  source: foldSource,
  includes: windowItems,
  bindings: ["x: Scalar", "+y: Out"],
  params: resultTypes,
  flops: perElement("x", 1),
});

export const windowKernels = [...unfoldKernel.all, ...foldKernel.all];

/** Elements of an item along an axis. */
export const itemWidth = (extent: number): number => (extent % 4 === 0 ? 4 : 1);

/** Whether windows are small and their places next to each other, so that one row of a picture serves several. */
export const isNear = ({ rows, columns, strideY, strideX, dilationY, dilationX }: Windows) =>
  rows * columns <= 25 && strideY * strideX <= 4 && dilationY * dilationX === 1;

/** TALL of near-row.wgsl: as many rows as registers hold, where enough invocations are left. */
export function tallOf(engine: Backend, most: number, made: Tensor): number {
  return made.size >= 4 * most * (engine.rowGroups > 1 ? 65536 : 64) ? most : 1;
}

/** Whether each window is one place and each place a window. */
const isPlain = ({ rows, columns, height, width, outHeight, outWidth, top, left }: Windows) =>
  rows * columns === 1 && height === outHeight && width === outWidth && top + left === 0;

/**
 * All windows of `planes` pictures in x: [planes, rows, columns, outHeight, outWidth]; x itself where that is the same. Not
 * recorded.
 */
export function unfold(x: Tensor, planes: number, windows: Windows): Tensor {
  if (isPlain(windows)) return x;
  const { engine, dtype } = x;
  const { rows, columns, outHeight, outWidth } = windows;
  const y = engine.empty([planes, rows, columns, outHeight, outWidth], dtype);
  // For each row of a window.
  const count = y.size / columns / itemWidth(outWidth);
  engine.run(unfoldKernel.of(outWidth), {
    bind: [x, y],
    params: windowParams(windows, count, [outHeight, outWidth]),
    grid: blocks(count),
    dtype,
  });
  return y;
}

/** Pictures as the sums of their windows, of `shape`; the other way round, and the gradient of, `unfold`. Not recorded. */
export function fold(x: Tensor, shape: readonly number[], windows: Windows): Tensor {
  const { engine, dtype } = x;
  if (isPlain(windows)) return engine.view(x, shape);
  const y = engine.empty(shape, dtype);
  const { height, width } = windows;
  const count = y.size / itemWidth(width);
  engine.run(foldKernel.of(width), {
    bind: [x, y],
    params: windowParams(windows, count, [height, width]),
    grid: blocks(count),
    dtype,
  });
  return y;
}
