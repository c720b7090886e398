// Search: a picture file and a text against all pictures of a data set.
import { decodeSquare } from "../data/decode.ts";
import { inMemory } from "../data/memory.ts";
import type { Pictures } from "../data/types.ts";
import { embedPictures, embedQueries } from "../eval/embed.ts";
import { nearest } from "../eval/search.ts";
import { tellCut } from "../inputs.ts";
import type { RunEvents } from "./events.ts";
import type { LoadedModel } from "./open.ts";

export interface Answer {
  rank: number;
  name: string;
  /** Cosine similarity. */
  score: number;
}

/**
 * The `k` pictures that fit best among those of `ids`, best first; none where no other picture is there. Pictures equal to the
 * query picture in every pixel are left out. Throws where the file is no picture.
 */
export async function search(
  { engine, model, tokenizer }: LoadedModel,
  { pictures, ids }: { pictures: Pictures; ids: readonly number[] },
  image: string,
  text: string,
  k: number,
  events: RunEvents,
): Promise<Answer[]> {
  const { fit, zoom, filter } = model.config.vision;
  const query = await decodeSquare(image, pictures.size, { fit, zoom, filter });
  const own = inMemory({ size: pictures.size, names: [image], pixels: query });
  const candidates = await others(pictures, ids, query);
  if (candidates.length === 0) return [];
  const gallery = await embedPictures(engine, model, pictures, candidates, (done) =>
    events.progress("embedding the gallery", done, candidates.length),
  );
  const cut = tellCut(tokenizer, model.config, [text], "queries");
  if (cut) events.message(cut);
  const row = await embedQueries(engine, model, tokenizer, own, [{ reference: 0, text }]);
  const best = await nearest(engine, row, gallery, k);
  return best.map(({ place, score }, i) => ({
    rank: i + 1,
    name: pictures.names[candidates[place]!]!,
    score,
  }));
}

/** Pictures that are read at a time. */
const block = 256;

/** Ids of the pictures that differ from one in a pixel. */
async function others(pictures: Pictures, all: readonly number[], query: Uint8Array): Promise<number[]> {
  const found: number[] = [];
  for (let from = 0; from < all.length; from += block) {
    const ids = all.slice(from, from + block);
    const bytes = await pictures.read(ids);
    for (const [i, id] of ids.entries()) {
      const own = bytes.subarray(i * query.length, (i + 1) * query.length);
      if (own.some((value, at) => value !== query[at])) found.push(id);
    }
  }
  return found;
}
