// Where each word of a text looks in its picture: cross-attention, averaged over layers and heads.
import type { Engine } from "../../../engine/index.ts";
import { packBytes } from "../../../kernels/patch/patch.ts";
import { prefixTokens } from "../../../model/vit.ts";
import { normalizePictures, packTexts, upload, words } from "../../../train/inputs.ts";
import type { Look } from "../../messages.ts";
import type { LoadedModel } from "../model.ts";

/**
 * One entry for each word that the model reads; none where words do not attend to pictures.
 * @param pixels uint8 [size, size, 3]
 */
export async function looksOf(
  engine: Engine,
  { model, tokenizer, config }: LoadedModel,
  pixels: Uint8Array,
  text: string,
): Promise<Look[]> {
  const { vision, text: reader } = config.model;
  const maps = engine.inference(() => {
    const { packed, ...ids } = upload(engine, {
      packed: words(packBytes(pixels)),
      ...packTexts(tokenizer, config.model, [text]),
    });
    return model.attentionMaps(
      ids,
      model.encodeImages(normalizePictures(packed, 1, vision.imageSize, vision)),
    );
  });
  if (maps.length === 0) return [];
  const [, heads, length, keys] = maps[0]!.shape as [number, number, number, number];
  const prefix = prefixTokens(vision);
  const shares = Array.from({ length }, () => new Float64Array(keys - prefix));
  for (const map of maps) {
    const values = await map.read();
    map.dispose();
    for (let row = 0; row < heads * length; row++)
      for (let key = prefix; key < keys; key++)
        shares[row % length]![key - prefix]! += values[row * keys + key]!;
  }

  // The first token is the query's own, the last one ends it.
  const pieces = tokenizer.pieces(text).slice(0, reader.maxLength - 2);
  const looks: { word: string; sum: Float64Array }[] = [];
  for (const [i, id] of pieces.entries()) {
    const piece = tokenizer.vocabulary[id]!;
    const own = shares[i + 1]!;
    const last = looks.at(-1);
    if (piece.startsWith("##") && last) {
      last.word += piece.slice(2);
      last.sum = last.sum.map((value, at) => value + own[at]!);
    } else looks.push({ word: piece, sum: own });
  }
  return looks.map(({ word, sum }) => {
    const total = sum.reduce((a, b) => a + b, 0);
    return { word, shares: Array.from(sum, (value) => value / total) };
  });
}
