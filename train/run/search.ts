// Search: a picture file and a text against all pictures of the run's data set.

import { matmul } from "../../kernels/matmul/matmul.ts";
import { topk } from "../../kernels/topk/topk.ts";
import type { PictureSet } from "../data/dataset.ts";
import { decodeSquare } from "../data/decode.ts";
import { embedPictures, embedQueries } from "../eval/evaluate.ts";
import { tellCut } from "../inputs.ts";
import type { LoadedRun, RunEvents } from "./train.ts";

export interface Answer {
  rank: number;
  name: string;
  /** Cosine similarity. */
  score: number;
}

/**
 * The `k` pictures that fit best, best first. Pictures equal to the query picture in every pixel are left out.
 * Throws where the file is no picture.
 */
export async function search(
  run: LoadedRun,
  image: string,
  text: string,
  k: number,
  events: RunEvents,
): Promise<Answer[]> {
  const { engine, model, tokenizer, dataset } = run;
  const { pictures } = dataset;
  const query = await decodeSquare(image, pictures.size);
  const own: PictureSet = { count: 1, size: pictures.size, names: [image], pixels: query };
  const ids = Int32Array.from({ length: pictures.count }, (_, i) => i);
  const candidates = ids.filter((id) => !samePicture(pictures, id, query));
  const gallery = await embedPictures(engine, model, pictures, candidates, (done) =>
    events.progress("embedding the gallery", done, candidates.length),
  );
  const cut = tellCut(tokenizer, model.config, [text], "queries");
  if (cut) events.message(cut);
  const row = await embedQueries(engine, model, tokenizer, own, [{ reference: 0, text }]);
  const { values, indices } = engine.inference(() => {
    const width = model.config.projection;
    const scores = matmul(
      engine.tensor(row, [1, width]),
      engine.tensor(gallery, [candidates.length, width]),
      {
        transposeB: true,
      },
    );
    return topk(scores, Math.min(k, candidates.length));
  });
  const [best, places] = [await values.read(), await indices.read()];
  return Array.from(best, (score, i) => ({
    rank: i + 1,
    name: pictures.names[candidates[places[i]!]!]!,
    score,
  }));
}

function samePicture(pictures: PictureSet, id: number, query: Uint8Array): boolean {
  const offset = id * query.length;
  for (let i = 0; i < query.length; i++) if (pictures.pixels[offset + i] !== query[i]) return false;
  return true;
}
