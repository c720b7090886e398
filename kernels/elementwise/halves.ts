// Numbers in half of their bytes, on adapters with and without f16: two binary16 lie in a word, the first in its lower half.
// That is how tokens of a frozen encoder come from the disk, in the bytes that any other program reads as float16.
import { defineKernel, type Shape, sizeOf, type Tensor, TensorError } from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks } from "../lib/items.ts";
import packSource from "./pack-halves.wgsl?raw";
import unpackSource from "./unpack-halves.wgsl?raw";

const shared = { includes: [eachSource], params: { count: "u32" }, flops: () => 0 } as const;
const packKernel = defineKernel({
  name: "pack-halves",
  source: packSource,
  bindings: ["x: vec4f", "+words: vec2u"],
  ...shared,
});
const unpackKernel = defineKernel({
  name: "unpack-halves",
  source: unpackSource,
  bindings: ["words: vec2u", "+y: Vec"],
  ...shared,
});
export const halvesKernels = [packKernel, unpackKernel];

/**
 * f32 of any shape and an even size as u32 [size / 2]: each number as the binary16 next to it, above or below, or the
 * largest where it is beyond that; what is below 6e-5 may become 0. Not recorded. Throws TensorError for another tensor.
 */
export function packHalves(x: Tensor): Tensor {
  if (x.dtype !== "f32" || x.size % 2 !== 0)
    throw new TensorError(`packHalves: needs an even number of f32, not ${x}.`);
  const words = x.engine.empty([x.size / 2], "u32");
  return run(packKernel, x, words, x.size);
}

/** Undoes packHalves: f32, or f16, of this shape. Not recorded. Throws TensorError where the words do not fill it. */
export function unpackHalves(words: Tensor, shape: Shape, dtype: "f32" | "f16" = "f32"): Tensor {
  if (words.dtype !== "u32" || 2 * words.size !== sizeOf(shape))
    throw new TensorError(`unpackHalves: ${words} does not fill [${shape}].`);
  return run(unpackKernel, words, words.engine.empty(shape, dtype), sizeOf(shape));
}

function run(
  kernel: typeof packKernel | typeof unpackKernel,
  from: Tensor,
  to: Tensor,
  size: number,
): Tensor {
  const count = Math.ceil(size / 4);
  // What `Vec` is where floats come out.
  const dtype = to.dtype === "f16" ? "f16" : "f32";
  to.engine.run(kernel, { bind: [from, to], params: { count }, grid: blocks(count), dtype });
  return to;
}
