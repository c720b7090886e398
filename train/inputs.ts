// Brings a data set's pictures and texts onto the GPU as the model wants them.
import type { Engine, Tensor } from "../engine/index.ts";
import { pixelsToFloat } from "../kernels/patch/patch.ts";
import type { TextInput } from "../model/bert.ts";
import type { ModelConfig } from "../model/config.ts";
import { PICTURE_MEAN, PICTURE_STD } from "../model/picture.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { movePicture } from "./augment.ts";
import type { PictureSet } from "./dataset.ts";

/**
 * Uploads pictures as bytes and normalises them on the GPU: f32 [ids, 3, size, size].
 * @param move by how many pixels the i-th picture is moved right and down
 */
export function uploadPictures(
  engine: Engine,
  pictures: PictureSet,
  ids: ArrayLike<number>,
  move: (i: number) => readonly [number, number] = () => [0, 0],
): Tensor {
  const { size } = pictures;
  const bytes = 3 * size * size;
  const packed = new Uint8Array(ids.length * bytes);
  for (let i = 0; i < ids.length; i++) {
    const pixels = pictures.pixels.subarray(ids[i]! * bytes, (ids[i]! + 1) * bytes);
    movePicture(pixels, size, move(i), packed.subarray(i * bytes, (i + 1) * bytes));
  }
  return pixelsToFloat(engine, packed, [ids.length, size, size, 3], PICTURE_MEAN, PICTURE_STD);
}

/** Tokenises and uploads texts, padded to the longest; `reverse` marks reverse queries. */
export function uploadTexts(
  engine: Engine,
  tokenizer: Tokenizer,
  config: ModelConfig,
  texts: readonly string[],
  reverse: readonly boolean[] | boolean = false,
): TextInput {
  const { maxLength, firstToken } = config.text;
  // A query by picture alone has an empty text.
  const shown = config.fusion === "image" ? texts.map(() => "") : texts;
  const { ids, mask, length } = tokenizer.encodeBatch(shown, { maxLength, first: firstToken, reverse });
  const shape = [texts.length, length];
  return { ids: engine.tensor(ids, shape, "u32"), mask: engine.tensor(mask, shape, "u32") };
}
