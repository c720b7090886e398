// The way of pictures into a vision transformer: bytes to normalised planes, planes to patches, a class token and
// position embeddings (Dosovitskiy et al., "An image is worth 16x16 words", arXiv 2010.11929).
import {
  defineKernel,
  gradientDType,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByWidth, requireFloat, vectors } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { perElement } from "../lib/work.ts";
import { sumLeading } from "../reduce/reduce.ts";
import { permuted } from "../shape/reshape.ts";
import { partAlong, taken } from "../shape/slice.ts";
import pixelsSource from "./pixels.wgsl?raw";
import prependSource from "./prepend-token.wgsl?raw";

const pixelsKernel = defineKernel({
  name: "pixels",
  source: pixelsSource,
  includes: [eachSource, divisions("height", "width", "across")],
  bindings: ["words: u32", "+y: Vec"],
  params: {
    // vec4s of the result.
    count: "u32",
    // Pixels of a patch, and patches side by side.
    ...divisorTypes("height", "width", "across"),
    mean0: "f32",
    mean1: "f32",
    mean2: "f32",
    std0: "f32",
    std1: "f32",
    std2: "f32",
  },
  flops: perElement("y", 3),
});

const prependKernel = defineByWidth({
  name: "prepend-token",
  source: prependSource,
  includes: [eachSource, divisions("tokens", "width")],
  bindings: ["x: In", "token: In", "positions: In", "+y: Out"],
  params: {
    // Items (of WIDTH elements) of y.
    count: "u32",
    // Tokens of a sequence of y, and items of a token.
    ...divisorTypes("tokens", "width"),
    // Tokens that are not of x.
    prefix: "u32",
  },
  flops: perElement("y", 1),
});

export const patchKernels = kernelsIn(() => [pixelsKernel, ...prependKernel.all]);

/**
 * Cuts pictures [B, C, H, W] (f32 or f16) into squares of `size`: [B, (H / size) (W / size), C size²], row by row, each
 * in the order (c, y, x) of a PyTorch Conv2d weight [D, C, size, size], which so becomes a linear layer's [D, C size²].
 * Throws TensorError where `size` does not divide H and W.
 */
export function patchify(pictures: Tensor, size: number): Tensor {
  requireFloat("patchify", pictures);
  const [batch = 0, channels = 0, height = 0, width = 0] = pictures.shape;
  if (pictures.shape.length !== 4 || !(size >= 1) || height % size !== 0 || width % size !== 0)
    throw new TensorError(`patchify: [${pictures.shape}] is no [B, C, H, W] of whole patches of ${size}.`);
  const { engine } = pictures;
  const [down, across] = [height / size, width / size];
  const [rows, patches] = [
    [batch, channels, down, size, across, size],
    [batch, down, across, channels, size, size],
  ];
  const y = permuted(pictures, [0, 2, 4, 1, 3, 5], rows, [batch, down * across, channels * size * size]);
  return engine.record("patchify", y, [pictures], (dy) => [
    permuted(dy, [0, 3, 1, 4, 2, 5], patches, pictures.shape),
  ]);
}

/** Bytes as the u32 words that `pixelsToFloat` reads, four to a word, the last filled up with zeros. */
export function packBytes(bytes: Uint8Array): Uint32Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}

export interface PixelOptions {
  /** Side of the patches that the pictures are cut into; not unless told. */
  patch?: number | null;
  /** Of the result; f32 unless told. */
  dtype?: "f32" | "f16";
}

/**
 * Normalises RGB bytes [B, H, W, 3], given as u32 words (`packBytes`): [B, 3, H, W] of (byte / 255 - mean) / std,
 * one mean and standard deviation a channel, f32 or f16; or with `patch` what `patchify` makes of that by so many pixels. Throws TensorError
 * where the words do not fill the shape, and as `patchify`.
 */
export function pixelsToFloat(
  words: Tensor,
  shape: Shape,
  mean: readonly number[],
  std: readonly number[],
  { patch = null, dtype = "f32" }: PixelOptions = {},
): Tensor {
  const [batch = 0, height = 0, width = 0, channels] = shape;
  const fits = words.dtype === "u32" && words.size === Math.ceil(sizeOf(shape) / 4);
  if (shape.length !== 4 || channels !== 3 || !fits)
    throw new TensorError(`pixelsToFloat: ${words} does not fill [${shape}], or it is no [B, H, W, 3].`);
  if (mean.length !== 3 || std.length !== 3)
    throw new TensorError("pixelsToFloat: needs three means and three standard deviations.");
  if (patch !== null && (!(patch >= 1) || height % patch !== 0 || width % patch !== 0))
    throw new TensorError(`pixelsToFloat: [${shape}] is not of whole patches of ${patch}.`);
  const { engine } = words;
  const size = patch ? { height: patch, width: patch } : { height, width };
  const patches = (height / size.height) * (width / size.width);
  const y = engine.empty(patch ? [batch, patches, 3 * patch ** 2] : [batch, 3, height, width], dtype);
  engine.run(pixelsKernel, {
    bind: [words, y],
    params: {
      count: vectors(y),
      ...divisorValues({ ...size, across: width / size.width }),
      mean0: mean[0]!,
      mean1: mean[1]!,
      mean2: mean[2]!,
      std0: std[0]!,
      std1: std[1]!,
      std2: std[2]!,
    },
    grid: blocks(vectors(y)),
    dtype,
    constants: { QUADS: size.width % 4 === 0 },
  });
  return y;
}

/**
 * Puts `token` (P C elements, one token or several) in front of every sequence of `x` [B, N, C] and adds `positions`
 * [P + N, C]; the result is [B, P + N, C]. All f32 or all f16. Throws TensorError where they don't fit.
 */
export function prependToken(x: Tensor, token: Tensor, positions: Tensor): Tensor {
  requireFloat("prependToken", x, token, positions);
  const [batch = 0, length = 0, width = 0] = x.shape;
  const prefix = token.size / width;
  const tokens = prefix + length;
  if (x.shape.length !== 3 || !Number.isInteger(prefix) || positions.size !== tokens * width)
    throw new TensorError(
      `prependToken: token [${token.shape}] or positions [${positions.shape}] does not fit [${x.shape}].`,
    );
  const { engine, dtype } = x;
  const items = width % 4 === 0 ? width / 4 : width;
  const count = batch * tokens * items;
  const y = engine.empty([batch, tokens, width], dtype);
  engine.run(prependKernel.of(width), {
    bind: [x, token, positions, y],
    params: { count, prefix, ...divisorValues({ tokens, width: items }) },
    grid: blocks(count),
    dtype,
  });
  return engine.record("prependToken", y, [x, token, positions], (dy, needs) => [
    needs[0] ? taken(dy, partAlong(y.shape, 1, prefix, length)) : null,
    needs[1]
      ? engine.view(sumLeading(dy, tokens * width, gradientDType(token), token.size), token.shape)
      : null,
    needs[2] ? engine.view(sumLeading(dy, tokens * width, gradientDType(positions)), positions.shape) : null,
  ]);
}
