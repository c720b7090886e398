// Which of a gallery's embeddings fit a query's best: ranked as the figures are, so that equal ones come in the gallery's
// order on every device, and the gallery may be of any size.
import type { Engine } from "../../engine/index.ts";
import { best } from "./rank.ts";
import { eachRow } from "./scores.ts";

/** A picture of a gallery, by its place there. */
export interface Near {
  place: number;
  /** Cosine similarity. */
  score: number;
}

/**
 * The `k` rows of a gallery that fit a query best, best first; all where it has no more.
 * @param query f32 [width], as `embedQueries` gives it
 * @param gallery f32 [pictures, width], as `embedPictures` gives them
 */
export async function nearest(
  engine: Engine,
  query: Float32Array,
  gallery: Float32Array,
  k: number,
): Promise<Near[]> {
  const matrix = (values: Float32Array) => ({ values, width: query.length });
  const ranking = { queries: matrix(query), gallery: matrix(gallery), similarity: "cosine" } as const;
  let found: Near[] = [];
  await eachRow(engine, ranking, (_, row) => {
    found = best(row, k);
  });
  return found;
}
