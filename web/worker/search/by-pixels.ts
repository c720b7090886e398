// Search without WebGPU: the nearest pictures by raw pixels.
import { pixelScores, shadesOf, shadesWidth } from "../../../train/eval/pixels.ts";
import type { Found, News } from "../../messages.ts";
import type { Gallery } from "../gallery.ts";
import type { Collection } from "./collection.ts";
import { rawEye, seeFiles } from "./eye.ts";
import type { Reference } from "./references.ts";
import type { Searched } from "./searched.ts";

export interface PixelSearch {
  /** Takes the pictures that are there now. */
  lay(): void;
  answer(reference: Reference): Promise<Omit<Found, "took">>;
}

export async function searchByPixels(
  gallery: Gallery,
  searched: Searched,
  own: Collection,
  tell: (news: News) => void,
): Promise<PixelSearch> {
  const { count, size, file } = gallery;
  const shades = new Float32Array(count * shadesWidth);
  for (let from = 0; from < count; from += file.perSheet) {
    const ids = Array.from({ length: Math.min(file.perSheet, count - from) }, (_, i) => from + i);
    const pixels = await gallery.read(ids);
    const bytes = pixels.length / ids.length;
    for (const [i, id] of ids.entries())
      shades.set(shadesOf(pixels.subarray(i * bytes, (i + 1) * bytes), size), id * shadesWidth);
    tell({ kind: "progress", what: "loading pictures", done: from + ids.length, total: count });
  }
  for (const picture of own.all) {
    if (picture.prints[rawEye.key]) continue;
    const [print] = await seeFiles(rawEye, [picture]);
    if (print && !(print instanceof Error)) picture.prints[rawEye.key] = print;
  }
  const lay = () => searched.lay(rawEye, shades, own.all);
  let matrix = lay();
  return {
    lay() {
      matrix = lay();
    },
    async answer(reference) {
      const scored = pixelScores((await reference.seenBy(rawEye)).row, matrix);
      // Pictures that are the reference itself.
      const among = [...scored.scores.keys()].filter((place) => scored.scores[place] !== 0);
      const answers = { image: searched.best(scored, among), text: [], both: [] };
      return { answers, ranks: null, labels: [], paraphrases: null, notes: [] };
    },
  };
}
