// Scores of queries against a gallery, on the GPU, some rows at a time: LaSCo's 30,037 by 39,826 would take 4.8 GB.
import type { Engine, Tensor } from "../../engine/index.ts";
import { linear } from "../../kernels/matmul/matmul.ts";
import type { Row } from "./rank.ts";

/** Embeddings, row-major. */
export interface Matrix {
  values: Float32Array;
  width: number;
}

/** What is ranked against what. */
export interface Ranking {
  queries: Matrix;
  gallery: Matrix;
  /** Whether rows count by their directions alone, or as they are. */
  similarity: "cosine" | "dot";
  /** Is added to the scores, by place in the gallery. */
  bias?: Float32Array;
}

/** Scores that are held at a time, and rows of a gallery in one tensor. */
const scoreBytes = 64 << 20;
const tileBytes = 64 << 20;
/** Queries of a product: from here on more make it no faster. */
const mostRows = 512;
/** Half of the distance between neighbouring f32 near 1. */
const rounding = 2 ** -24;

/** Number of rows of a matrix. */
export const rowsOf = ({ values, width }: Matrix) => values.length / width;

/** The lengths of the rows, in double precision. */
export function lengthsOf({ values, width }: Matrix): Float64Array {
  return Float64Array.from({ length: values.length / width }, (_, row) => {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += values[i]! ** 2;
    return Math.sqrt(sum);
  });
}

/** The rows divided by their lengths; of a length of zero it stays. */
function directions({ values, width }: Matrix, lengths: Float64Array): Float32Array {
  return values.map((value, i) => value / (lengths[Math.floor(i / width)]! || 1));
}

/**
 * What rows of this length are multiplied by, so that their products neither overflow f32 nor vanish: a power of two, which no
 * digit and no order depends on; 1 for usual lengths.
 */
function scaleOf(length: number): number {
  const exponent = Math.ceil(Math.log2(length || 1));
  return Math.abs(exponent) <= 40 ? 1 : 2 ** -exponent;
}

/** The rows multiplied by their scales, where one is not 1. */
function scaled({ values, width }: Matrix, scaleAt: (row: number) => number): Float32Array {
  const scales = Array.from({ length: values.length / width }, (_, row) => scaleAt(row));
  if (scales.every((scale) => scale === 1)) return values;
  return values.map((value, i) => value * scales[Math.floor(i / width)]!);
}

/** Is called with every query's scores, in order; a row is the query's no longer when it returns. */
export type Visit = (query: number, row: Row) => void;

/** A gallery that is on the GPU, for one query after the other. */
export interface ReadyGallery {
  /**
   * Scores queries.
   * @param onProgress queries done
   */
  eachRow(queries: Matrix, visit: Visit, onProgress?: (done: number) => void): Promise<void>;
  dispose(): void;
}

/** Scores queries against a gallery that is needed once. */
export async function eachRow(
  engine: Engine,
  { queries, ...ranked }: Ranking,
  visit: Visit,
  onProgress?: (done: number) => void,
): Promise<void> {
  const gallery = readyGallery(engine, ranked);
  try {
    await gallery.eachRow(queries, visit, onProgress);
  } finally {
    gallery.dispose();
  }
}

/** Brings a gallery to the GPU. */
export function readyGallery(
  engine: Engine,
  { gallery, similarity, bias }: Omit<Ranking, "queries">,
): ReadyGallery {
  const { width } = gallery;
  const count = rowsOf(gallery);
  const cosine = similarity === "cosine";
  const galleryLengths = lengthsOf(gallery);
  const length = cosine ? 1 : galleryLengths.reduce((a, b) => Math.max(a, b), 0);
  // What a bias is added to stays as it is.
  const scaleFor = (length: number) => (cosine || bias ? 1 : scaleOf(length));
  const scale = scaleFor(length);
  const longest = length * scale;
  const side = cosine ? directions(gallery, galleryLengths) : scaled(gallery, () => scale);
  const largestBias = bias?.reduce((a, b) => Math.max(a, Math.abs(b)), 0) ?? 0;

  const tiles: { from: number; rows: number; tensor: Tensor; bias: Tensor | null }[] = [];
  const perTile = Math.max(1, Math.floor(tileBytes / (4 * width)));
  for (let from = 0; from < count; from += perTile) {
    const rows = Math.min(perTile, count - from);
    const tensor = engine.tensor(side.subarray(from * width, (from + rows) * width), [rows, width]);
    tiles.push({
      from,
      rows,
      tensor,
      bias: bias ? engine.tensor(bias.subarray(from, from + rows), [rows]) : null,
    });
  }

  const most = Math.min(mostRows, Math.floor(scoreBytes / (4 * count)));
  // A whole number of the products' tiles, where there are that many.
  const block = Math.max(1, most >= 64 ? most - (most % 64) : most);
  const compute = async (queries: Float32Array): Promise<Float32Array> => {
    const rows = queries.length / width;
    const x = engine.tensor(queries, [rows, width]);
    const parts = tiles.map(async (tile) => {
      const scores = engine.inference(() => linear(x, tile.tensor, { bias: tile.bias }));
      try {
        return (await scores.read()) as Float32Array;
      } finally {
        scores.dispose();
      }
    });
    try {
      const read = await Promise.all(parts);
      if (read.length === 1) return read[0]!;
      const whole = new Float32Array(rows * count);
      for (const [t, { from, rows: columns }] of tiles.entries()) {
        for (let row = 0; row < rows; row++) {
          whole.set(read[t]!.subarray(row * columns, (row + 1) * columns), row * count + from);
        }
      }
      return whole;
    } finally {
      x.dispose();
    }
  };

  return {
    async eachRow(queries, visit, onProgress = () => {}) {
      const total = rowsOf(queries);
      const lengths = lengthsOf(queries);
      const own = cosine
        ? directions(queries, lengths)
        : scaled(queries, (query) => scaleFor(lengths[query]!));
      const computeFrom = (from: number) => compute(own.subarray(from * width, (from + block) * width));
      /** q · g / |g| + bias in double precision, term by term, at the scale of the scores. */
      const exactly = (query: number, place: number) => {
        let sum = 0;
        const [a, b] = [query * width, place * width];
        for (let i = 0; i < width; i++) sum += queries.values[a + i]! * gallery.values[b + i]!;
        if (cosine) sum /= (lengths[query]! || 1) * (galleryLengths[place]! || 1);
        sum *= scale * scaleFor(lengths[query]!);
        return sum + (bias?.[place] ?? 0);
      };
      let ahead: Promise<Float32Array> | null = total > 0 && count > 0 ? computeFrom(0) : null;
      try {
        for (let from = 0; from < total && ahead; from += block) {
          const scores = await ahead;
          // The next rows are on their way while these are looked at.
          ahead = from + block < total ? computeFrom(from + block) : null;
          const rows = Math.min(block, total - from);
          for (let i = 0; i < rows; i++) {
            const query = from + i;
            // Each product and each sum rounds once, and so did the numbers that went in where they were divided.
            const own = cosine ? 1 : lengths[query]! * scaleFor(lengths[query]!);
            const size = own * longest + largestBias;
            const error = 1.01 * (width + 4) * rounding * size;
            visit(query, {
              scores: scores.subarray(i * count, (i + 1) * count),
              error,
              exact: (place) => exactly(query, place),
            });
          }
          onProgress(from + rows);
        }
      } finally {
        await ahead?.catch(() => {});
      }
    },
    dispose() {
      for (const { tensor, bias } of tiles) {
        tensor.dispose();
        bias?.dispose();
      }
    },
  };
}
