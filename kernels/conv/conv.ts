// Convolutions as matrix products of weights and windows: what is multiplied goes through the same kernels as everything else.
// Windows are laid out anew for the gradient instead of kept.
import { gradientDType, type Shape, type Tensor, TensorError } from "../../engine/index.ts";
import { add } from "../elementwise/arithmetic.ts";
import { requireFloat } from "../lib/items.ts";
import { multiply } from "../matmul/product.ts";
import { sumLeading, sumTo } from "../reduce/reduce.ts";
import { separately } from "./separate.ts";
import { fold, unfold, type WindowOptions, type Windows, windowsOver } from "./windows.ts";

export interface ConvOptions extends WindowOptions {
  /** [O]; added to each channel of the result. */
  bias?: Tensor | null;
  /** Channels are divided into so many groups, each of which makes its share of the result's channels from its own. */
  groups?: number;
}

/** What a convolution multiplies for each picture and group: weights [outer, inner] by windows [inner, places]. */
interface Sizes {
  batch: number;
  groups: number;
  /** Channels of a group on the side without windows. */
  outer: number;
  /** Channels of a group times places of a window on the other side. */
  inner: number;
  /** Windows of a picture. */
  places: number;
}

/** Weights by windows, weightsᵀ by what they made, and what they made by windows: of these each is made of the other two. */
const products = (engine: Tensor["engine"], { batch, groups, outer, inner, places }: Sizes) => {
  const all = { batch: batch * groups };
  const cycleA = { repeat: 1, count: groups };
  return {
    made: (weight: Tensor, windows: Tensor, shape: Shape) =>
      multiply(engine, weight, windows, { ...all, cycleA, m: outer, n: places, k: inner, shape }).y,
    windows: (weight: Tensor, made: Tensor) => {
      const shape = [batch, groups * inner, places];
      const sizes = { ...all, cycleA, m: inner, n: places, k: outer, transposeA: true, shape };
      return multiply(engine, weight, made, sizes).y;
    },
    /** The gradient of `weight`. */
    weight: (made: Tensor, windows: Tensor, weight: Tensor) => {
      const each = [batch, weight.size];
      const result = gradientDType(weight);
      const sizes = { ...all, m: outer, n: inner, k: places, transposeB: true, shape: each, result };
      return engine.view(sumLeading(multiply(engine, made, windows, sizes).y, weight.size), weight.shape);
    },
  };
};

function requirePictures(name: string, x: Tensor, weight: Tensor, groups: number, channels: number): void {
  requireFloat(name, x, weight);
  const fits = Number.isInteger(groups) && groups >= 1 && channels === x.shape[1] && channels % groups === 0;
  if (x.shape.length !== 4 || weight.shape.length !== 4 || !fits || weight.shape[0]! % groups !== 0)
    throw new TensorError(
      `${name}: [${x.shape}] and weights [${weight.shape}] do not fit, of ${groups} groups.`,
    );
}

function requireBias(name: string, x: Tensor, bias: Tensor | null, channels: number): void {
  if (!bias) return;
  requireFloat(name, x, bias);
  if (bias.size !== channels)
    throw new TensorError(`${name}: bias [${bias.shape}] does not fit ${channels} channels.`);
}

function withBias(y: Tensor, bias: Tensor | null): Tensor {
  if (!bias) return y;
  const { engine, size: channels } = bias;
  const each = engine.view(bias, [channels, 1, 1]);
  const sum = engine.inference(() => add(y, each));
  return engine.record("bias", sum, [y, bias], (dy, needs) => [
    dy,
    needs[1] ? engine.view(sumTo(dy, each.shape, 1, gradientDType(bias)), bias.shape) : null,
  ]);
}

/**
 * The convolution (as networks have it: a correlation) of pictures [B, C, H, W] with `weight` [O, C / groups, h, w]:
 * [B, O, H', W']. f32 or f16, sums in f32. Throws TensorError where shapes, dtypes or options do not fit.
 */
export function conv2d(x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  const { bias = null, groups = 1 } = options;
  const [outputs, own, rows, columns] = weight.shape as [number, number, number, number];
  requirePictures("conv2d", x, weight, groups, own * groups);
  requireBias("conv2d", x, bias, outputs);
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const windows = windowsOver("conv2d", [height, width], [rows, columns], options);
  const { engine } = x;
  const made = [batch, outputs, windows.outHeight, windows.outWidth];
  const product = products(engine, sizesOf(batch, groups, outputs, own, windows));
  const laidOut = () => unfold(x, batch * channels, windows);
  const apart = separately(x, weight, groups, windows, made);
  const multiplied = () => {
    const all = laidOut();
    const y = product.made(weight, all, made);
    if (all !== x) all.dispose();
    return y;
  };
  const y = apart ? apart.forward() : multiplied();
  const toPictures = (dy: Tensor) =>
    apart ? apart.backward(dy) : fold(product.windows(weight, dy), x.shape, windows);
  engine.record("conv2d", y, [x, weight], (dy, needs) => [
    needs[0] ? toPictures(dy) : null,
    needs[1] ? product.weight(dy, laidOut(), weight) : null,
  ]);
  return withBias(y, bias);
}

const sizesOf = (batch: number, groups: number, outer: number, inner: number, windows: Windows): Sizes => ({
  batch,
  groups,
  outer: outer / groups,
  inner: inner * windows.rows * windows.columns,
  places: windows.outHeight * windows.outWidth,
});

export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns more at the end, where several sizes become one by the stride. */
  outputPadding?: number | readonly [rows: number, columns: number];
}

/**
 * What takes the gradient of `conv2d` back to its pictures, as an operation of its own: from [B, C, H, W] and `weight`
 * [C, O / groups, h, w] to [B, O, H', W'], H' = (H - 1) stride - borders + dilation (h - 1) + 1. Throws TensorError where
 * shapes, dtypes or options do not fit.
 */
export function convTranspose2d(x: Tensor, weight: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const { bias = null, groups = 1, outputPadding = 0 } = options;
  const [inputs, own, rows, columns] = weight.shape as [number, number, number, number];
  requirePictures("convTranspose2d", x, weight, groups, inputs);
  requireBias("convTranspose2d", x, bias, own * groups);
  const [batch, , height, width] = x.shape as [number, number, number, number];
  // One window has one place, whatever lies around.
  const { strideY, strideX, dilationY, dilationX, top, bottom, left, right } = windowsOver(
    "convTranspose2d",
    [dilated(rows, options.dilation, 0), dilated(columns, options.dilation, 1)],
    [rows, columns],
    options,
  );
  const [moreRows, moreColumns] =
    typeof outputPadding === "number" ? [outputPadding, outputPadding] : outputPadding;
  const extents = [
    (height - 1) * strideY - top - bottom + dilationY * (rows - 1) + 1 + moreRows,
    (width - 1) * strideX - left - right + dilationX * (columns - 1) + 1 + moreColumns,
  ] as const;
  const windows = windowsOver("convTranspose2d", extents, [rows, columns], options);
  if (windows.outHeight !== height || windows.outWidth !== width)
    throw new TensorError(
      `convTranspose2d: no output padding of ${outputPadding} with a stride of ${options.stride ?? 1}.`,
    );
  const { engine } = x;
  const made = [batch, own * groups, ...extents];
  const product = products(engine, sizesOf(batch, groups, inputs, own, windows));
  const all = product.windows(weight, x);
  const y = fold(all, made, windows);
  all.dispose();
  engine.record("convTranspose2d", y, [x, weight], (dy, needs) => {
    const windowsOfDy = unfold(dy, batch * own * groups, windows);
    return [
      needs[0] ? product.made(weight, windowsOfDy, x.shape) : null,
      needs[1] ? product.weight(x, windowsOfDy, weight) : null,
    ];
  });
  return withBias(y, bias);
}

/** Places that so many cover. */
function dilated(size: number, dilation: WindowOptions["dilation"] = 1, at: 0 | 1): number {
  return (typeof dilation === "number" ? dilation : dilation[at]) * (size - 1) + 1;
}
