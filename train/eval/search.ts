// Which of a gallery's embeddings fit a query's best.
import type { Engine } from "../../engine/index.ts";
import { matmul } from "../../kernels/matmul/matmul.ts";
import { topk } from "../../kernels/topk/topk.ts";

/** A picture of a gallery, by its place there. */
export interface Near {
  place: number;
  /** Cosine similarity. */
  score: number;
}

/**
 * The `k` rows of a gallery that fit a query best, best first; all where it has no more.
 * @param query f32 [width], of unit length, as `embedQueries` gives it
 * @param gallery f32 [pictures, width], as `embedPictures` gives them
 */
export async function nearest(
  engine: Engine,
  query: Float32Array,
  gallery: Float32Array,
  k: number,
): Promise<Near[]> {
  const count = gallery.length / query.length;
  const { values, indices } = engine.inference(() => {
    const rows = engine.tensor(gallery, [count, query.length]);
    const scores = matmul(engine.tensor(query, [1, query.length]), rows, { transposeB: true });
    return topk(scores, Math.min(k, count));
  });
  const [best, places] = [await values.read(), await indices.read()];
  for (const tensor of [values, indices]) tensor.dispose();
  return Array.from(best, (score, i) => ({ place: places[i]!, score }));
}
