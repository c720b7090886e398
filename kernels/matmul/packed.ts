// Weights in whole numbers of 8 or 4 bits, for inference: each block of 32 neighbours along a row has a scale, the largest
// magnitude over 127 or 7, and its numbers are rounded to multiples of it (round to nearest, as in LLM.int8(), Dettmers et al., 2022,
// but by blocks of a row, as GGML's Q8_0 and Q4_0 have them). Products unpack them where they load them, so that what is in
// memory is a quarter or a seventh of f32.
import { type Engine, type Tensor, TensorError } from "../../engine/index.ts";

/** Bits of a packed number. */
export type Bits = 8 | 4;

/** Numbers that share a scale. */
export const blockLength = 32;

/** A weight of `linear` and `feedForward`, [n, k], in whole numbers. It is not differentiated. */
export interface PackedWeight {
  bits: Bits;
  shape: readonly [number, number];
  /** u32 [n * k * bits / 32], two's complement, the first of each word lowest. */
  words: Tensor;
  /** f32 [n * k / 32] */
  scales: Tensor;
}

export const isPacked = (weight: Tensor | PackedWeight): weight is PackedWeight => "bits" in weight;

/** Whether a weight [n, k] can be packed: n must be a multiple of 4, k of 32. */
export function canPack(shape: readonly number[]): shape is readonly [number, number] {
  const [n = 0, k = 0, ...rest] = shape;
  return rest.length === 0 && shape.length === 2 && n > 0 && k > 0 && n % 4 === 0 && k % blockLength === 0;
}

/** Rounds values, row-major, as many as a multiple of 32. NaN and infinities are not looked for. */
export function packNumbers(
  values: ArrayLike<number>,
  bits: Bits,
): { words: Uint32Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const most = 2 ** (bits - 1) - 1;
  const perWord = 32 / bits;
  const scales = new Float32Array(values.length / blockLength);
  const words = new Uint32Array(values.length / perWord);
  for (let block = 0; block < scales.length; block++) {
    const first = block * blockLength;
    let largest = 0;
    for (let i = first; i < first + blockLength; i++) largest = Math.max(largest, Math.abs(values[i]!));
    scales[block] = largest / most;
    const scale = scales[block]!;
    for (let i = first; i < first + blockLength; i++) {
      // A scale that is too small for f32 may be less than it should.
      const whole = scale === 0 ? 0 : Math.max(-most, Math.min(most, Math.round(values[i]! / scale)));
      const word = Math.floor(i / perWord);
      words[word] = (words[word]! | ((whole & (2 ** bits - 1)) << (bits * (i % perWord)))) >>> 0;
    }
  }
  return { words, scales };
}

/** What packed numbers stand for. */
export function unpackNumbers(
  words: ArrayLike<number>,
  scales: ArrayLike<number>,
  bits: Bits,
): Float32Array<ArrayBuffer> {
  const perWord = 32 / bits;
  return Float32Array.from({ length: scales.length * blockLength }, (_, i) => {
    const word = words[Math.floor(i / perWord)]!;
    const whole = (word << (32 - bits * ((i % perWord) + 1))) >> (32 - bits);
    return whole * scales[Math.floor(i / blockLength)]!;
  });
}

/**
 * Packs a weight [n, k] that lies row-major on the host.
 * @throws TensorError unless n is a multiple of 4, k one of 32, there are n * k values, and `bits` are 8 or 4
 */
export function packWeight(
  engine: Engine,
  values: ArrayLike<number>,
  shape: readonly number[],
  bits: Bits,
): PackedWeight {
  if (bits !== 8 && bits !== 4) throw new TensorError(`packWeight: ${bits} bits are neither 8 nor 4.`);
  if (!canPack(shape) || values.length !== shape[0] * shape[1])
    throw new TensorError(
      `packWeight: ${values.length} values as [${shape}]; rows must be a multiple of 4, columns of ${blockLength}.`,
    );
  const { words, scales } = packNumbers(values, bits);
  return {
    ...{ bits, shape },
    words: engine.tensor(words, [words.length], "u32"),
    scales: engine.tensor(scales, [scales.length]),
  };
}
