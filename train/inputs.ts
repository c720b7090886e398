// Brings a data set's pictures and texts into the form that the model wants: first as host arrays, which a captured
// step takes as its inputs, then as tensors.
import type { DType, Engine, Tensor } from "../engine/index.ts";
import { pixelsToFloat } from "../kernels/patch/patch.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Precision } from "../model/parameters.ts";
import type { Tokenizer } from "../model/tokenizer.ts";

/** A tensor's values before they are on the GPU. */
export interface HostTensor {
  values: Uint32Array | Float32Array;
  shape: number[];
  dtype: DType;
}

/** Tensors of host arrays, by the same names. */
export function upload<K extends string>(engine: Engine, arrays: Record<K, HostTensor>): Record<K, Tensor> {
  const tensors = {} as Record<K, Tensor>;
  for (const name in arrays) {
    const { values, shape, dtype } = arrays[name];
    tensors[name] = engine.tensor(values, shape, dtype);
  }
  return tensors;
}

/** Numbers as a u32 host tensor. */
export function words(values: Uint32Array, shape: number[] = [values.length]): HostTensor {
  return { values, shape, dtype: "u32" };
}

/**
 * Some of so many rows of bytes one after the other, four bytes to a word: pictures for `normalizePictures`, tokens for
 * `unpackHalves`.
 * @param ids which of them, in order; they may repeat
 */
export function packRows(rows: Uint8Array, count: number, ids: ArrayLike<number>): HostTensor {
  const bytes = rows.length / count;
  const packed = new Uint32Array(Math.ceil((ids.length * bytes) / 4));
  const out = new Uint8Array(packed.buffer);
  for (let i = 0; i < ids.length; i++)
    out.set(rows.subarray(ids[i]! * bytes, (ids[i]! + 1) * bytes), i * bytes);
  return words(packed);
}

/** Pictures of `packRows` as a ViT takes them, in patches and in its precision: [count, (size / patchSize)², 3 patchSize²]. */
export function normalizePictures(
  packed: Tensor,
  count: number,
  size: number,
  { mean, std, patchSize }: Pick<ModelConfig["vision"], "mean" | "std" | "patchSize">,
  precision: Precision = "f32",
): Tensor {
  return pixelsToFloat(packed, [count, size, size, 3], mean, std, {
    patch: patchSize,
    dtype: precision,
  });
}

/**
 * What to tell of texts that are longer than the model takes and lose their ends; null where none is.
 * @param what they are
 */
export function tellCut(
  tokenizer: Tokenizer,
  { text: { maxLength } }: ModelConfig,
  texts: readonly string[],
  what: string,
): string | null {
  const cut = texts.filter((text) => tokenizer.excess(text, { maxLength }) > 0);
  if (cut.length === 0) return null;
  const share = texts.length === 1 ? "The text is" : `${cut.length} of ${texts.length} ${what} are`;
  return `${share} longer than the model's ${maxLength} tokens and cut there: "… ${endOf(tokenizer, cut[0]!, maxLength)}" is lost.`;
}

/** The last word pieces of a text, those that are cut off, as text; some of them. */
function endOf(tokenizer: Tokenizer, text: string, maxLength: number): string {
  const lost = tokenizer.pieces(text).slice(maxLength - 2, maxLength + 8);
  return lost
    .map((id) => tokenizer.vocabulary[id]!)
    .join(" ")
    .replaceAll(" ##", "");
}

/**
 * Tokenises texts and pads them to the longest; `reverse` marks reverse queries.
 * @param step lengths are rounded up to a multiple of it, so that batches have few different shapes
 */
export function packTexts(
  tokenizer: Tokenizer,
  config: ModelConfig,
  texts: readonly string[],
  { reverse = false, step = 1 }: { reverse?: readonly boolean[] | boolean; step?: number } = {},
): { ids: HostTensor; mask: HostTensor } {
  const { maxLength, firstToken } = config.text;
  // A query by picture alone has an empty text.
  const shown = config.fusion === "image" ? texts.map(() => "") : texts;
  const options = { maxLength, first: firstToken, reverse };
  const longest = Math.max(
    ...shown.map((text, i) => {
      const reversed = typeof reverse === "boolean" ? reverse : reverse[i];
      return tokenizer.encode(text, { ...options, reverse: reversed }).length;
    }),
  );
  const rounded = Math.min(maxLength, Math.ceil(longest / step) * step);
  const { ids, mask, length } = tokenizer.encodeBatch(shown, { ...options, length: rounded });
  const shape = [texts.length, length];
  return { ids: words(ids, shape), mask: words(mask, shape) };
}
