// Evaluation: every query of a split against the split's gallery, its own reference taken out; recall per split and
// kind, beside the yardstick that needs no model, nearest neighbours of the reference on raw pixels.
import type { Engine, Tensor } from "../../engine/index.ts";
import { packSource } from "../../kernels/attention/attention.ts";
import type { Case } from "../../model/case.ts";
import { firstNotFinite } from "../../model/finite.ts";
import { resizeBicubic } from "../../model/picture.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { imageTokens } from "../../model/vit.ts";
import type { PictureSet, Query, Split } from "../data/dataset.ts";
import { normalizePictures, packPictures, packTexts, upload, words } from "../inputs.ts";
import type { KindMetrics, Recall, SheetRow, SplitMetrics } from "./metrics.ts";
import { best, rankOf, recallAt, standings } from "./rank.ts";
import { eachRow } from "./scores.ts";

/** Pictures, and queries, that are encoded at a time, where the device has room for as many. */
const pictureBatch = 128;
const queryBatch = 64;

/** How many pictures can be encoded at a time, `most` at most: their widest activations lie in one buffer each. */
export function batchOf({ engine, config }: Case, most: number): number {
  const { width, mlpRatio, imageSize } = config.vision;
  const widest = Math.max(imageTokens(config.vision) * width * Math.max(3, mlpRatio), 3 * imageSize ** 2);
  return Math.max(1, Math.min(most, Math.floor(engine.largestStorage / (4 * widest))));
}

/** An embedding came out NaN or infinite, so that nothing can be said of it or ranked by it. */
export class NotFiniteError extends Error {
  override name = "NotFiniteError";
}

/**
 * Throws NotFiniteError, naming the first of the embeddings that is not finite.
 * @param rows row-major [embeddings, width]
 * @param nameOf what the i-th is of
 */
export function requireFinite(
  rows: Float32Array,
  width: number,
  { parameters }: Case,
  nameOf: (i: number) => string,
): void {
  const first = firstNotFinite(rows);
  if (first < 0) return;
  const why =
    parameters.precision === "f16"
      ? "numbers of the model pass 65504, the largest of f16. In f32 it works: --precision f32."
      : "numbers of the model pass what f32 holds.";
  throw new NotFiniteError(`The embedding of ${nameOf(Math.floor(first / width))} is not finite: ${why}`);
}

/** Embeddings of pictures as targets, row-major [ids, projection]. Throws NotFiniteError. */
export async function embedPictures(
  engine: Engine,
  model: Case,
  pictures: PictureSet,
  ids: ArrayLike<number>,
  onProgress: (done: number) => void = () => {},
): Promise<Float32Array> {
  const width = model.config.projection;
  const all = new Float32Array(ids.length * width);
  const batch = batchOf(model, pictureBatch);
  for (let from = 0; from < ids.length; from += batch) {
    const part = Array.prototype.slice.call(ids, from, from + batch) as number[];
    const rows = engine.inference(() => model.embedTargets(encodePictures(engine, model, pictures, part)));
    const embeddings = (await rows.read()) as Float32Array;
    rows.dispose();
    requireFinite(embeddings, width, model, (i) => pictures.names[part[i]!]!);
    all.set(embeddings, from * width);
    onProgress(from + part.length);
  }
  return all;
}

function encodePictures(engine: Engine, model: Case, pictures: PictureSet, ids: readonly number[]): Tensor {
  const { packed } = upload(engine, { packed: packPictures(pictures, ids) });
  return model.encodeImages(normalizePictures(packed, ids.length, pictures.size, model.config.vision));
}

/** Embeddings of queries, row-major [queries, projection]. Throws NotFiniteError. */
export async function embedQueries(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  pictures: PictureSet,
  queries: readonly Pick<Query, "reference" | "text">[],
): Promise<Float32Array> {
  const width = model.config.projection;
  const all = new Float32Array(queries.length * width);
  const batch = batchOf(model, queryBatch);
  for (let from = 0; from < queries.length; from += batch) {
    const part = queries.slice(from, from + batch);
    const references = [...new Set(part.map((query) => query.reference))];
    const row = new Map(references.map((id, i) => [id, i]));
    const source = part.map((query) => row.get(query.reference)!);
    const texts = part.map((query) => query.text);
    const rows = engine.inference(() => {
      const tokens = encodePictures(engine, model, pictures, references);
      const inputs = upload(engine, {
        ...packTexts(tokenizer, model.config, texts),
        source: words(packSource(source, references.length)),
      });
      return model.embedQueries(inputs, tokens, inputs.source, null);
    });
    const embeddings = (await rows.read()) as Float32Array;
    rows.dispose();
    requireFinite(embeddings, width, model, (i) => {
      const { reference, text } = part[i]!;
      return `${pictures.names[reference]} with ${JSON.stringify(text)}`;
    });
    all.set(embeddings, from * width);
  }
  return all;
}

/** A ranked query. */
export interface Ranked {
  /** Rank of the best right answer among the gallery without the reference, from 1; ties count against it. */
  rank: number;
  /** Places in the gallery of the best answers. */
  best: { place: number; score: number }[];
}

/** Ranks the right answers of queries. `rows` and `gallery` are row-major with `width` columns. */
export async function rankAll(
  engine: Engine,
  split: Split,
  rows: Float32Array,
  gallery: Float32Array,
  width: number,
  options: { bias?: Float32Array; top?: number } = {},
): Promise<Ranked[]> {
  const places = new Map(Array.from(split.gallery, (id, place) => [id, place]));
  const ranked: Ranked[] = [];
  const matrix = (values: Float32Array) => ({ values, width });
  const ranking = {
    queries: matrix(rows),
    gallery: matrix(gallery),
    similarity: "dot",
    bias: options.bias,
  } as const;
  await eachRow(engine, ranking, (i, row) => {
    const { target, positives, reference } = split.queries[i]!;
    // Those that the gallery lacks count for nothing.
    const right = [target, ...positives].flatMap((id) => places.get(id) ?? []);
    const own = places.get(reference) ?? -1;
    const standing = standings(row, { right, reference: own });
    ranked.push({ rank: rankOf(standing, false), best: best(row, options.top ?? 0, { without: own }) });
  });
  return ranked;
}

function recallOf(ranks: number[]): Recall {
  const at = (k: number) => 100 * recallAt(k, ranks);
  return { r1: at(1), r5: at(5), r10: at(10), r50: at(50) };
}

/** What evaluating one split gave. */
export interface SplitResult {
  metrics: SplitMetrics;
  /** Rank of the best right answer of each query. */
  ranks: number[];
  sheet: SheetRow[];
}

/** Rows of the picture sheet per split. */
const sheetRows = 24;

/**
 * Evaluates one split.
 * @param targets embeddings of all pictures of the data set, row-major [pictures, projection]
 */
export async function evaluateSplit(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  pictures: PictureSet,
  split: Split,
  targets: Float32Array,
): Promise<SplitResult> {
  const width = model.config.projection;
  const rows = await embedQueries(engine, model, tokenizer, pictures, split.queries);
  const ranked = await rankAll(engine, split, rows, gather(targets, split.gallery, width), width, {
    top: 10,
  });
  const ranks = ranked.map(({ rank }) => rank);
  const pixelRanks = await rankByPixels(engine, pictures, split);
  const kinds: Record<string, KindMetrics> = {};
  for (const kind of [...new Set(split.queries.map((query) => query.kind))].sort()) {
    const mine = split.queries.flatMap((query, i) => (query.kind === kind ? [i] : []));
    kinds[kind] = {
      queries: mine.length,
      ...recallOf(mine.map((i) => ranks[i]!)),
      pixels: recallOf(mine.map((i) => pixelRanks[i]!)),
    };
  }
  const others = split.gallery.length - 1;
  const chance = split.queries.map(({ positives }) => chanceAt(10, positives.length + 1, others));
  const metrics: SplitMetrics = {
    gallery: split.gallery.length,
    queries: split.queries.length,
    ...recallOf(ranks),
    chance_r10: (100 * chance.reduce((a, b) => a + b, 0)) / Math.max(1, chance.length),
    pixels: recallOf(pixelRanks),
    kinds,
  };
  return { metrics, ranks, sheet: makeSheet(split, ranked) };
}

/** Probability that at least one of `right` answers is among the first k of a random order of `count`. */
function chanceAt(k: number, right: number, count: number): number {
  let none = 1;
  for (let i = 0; i < k; i++) none *= Math.max(0, count - right - i) / (count - i);
  return 1 - none;
}

/** Queries spread evenly over the split, which is ordered by nothing that helps or hurts. */
function makeSheet(split: Split, ranked: Ranked[]): SheetRow[] {
  const step = Math.max(1, Math.floor(split.queries.length / sheetRows));
  const rows: SheetRow[] = [];
  for (let i = 0; i < split.queries.length && rows.length < sheetRows; i += step) {
    const { kind, text, reference, target, positives } = split.queries[i]!;
    const right = new Set([target, ...positives]);
    const { rank, best } = ranked[i]!;
    const answers = best.map(({ place, score }) => {
      const picture = split.gallery[place]!;
      return { picture, score, right: right.has(picture) };
    });
    rows.push({ split: split.name, kind, text, reference, target, rank, answers });
  }
  return rows;
}

/** Rows of a row-major matrix. */
function gather(matrix: Float32Array, ids: ArrayLike<number>, width: number): Float32Array {
  const rows = new Float32Array(ids.length * width);
  for (let i = 0; i < ids.length; i++)
    rows.set(matrix.subarray(ids[i]! * width, (ids[i]! + 1) * width), i * width);
  return rows;
}

/** Side of the pictures that the yardstick compares, whatever size the model sees: figures of all models have the same. */
const yardstickSize = 32;

/** Ranks by squared distance of raw pixels to the reference: -|a - b|² = 2 a·b - |b|² - |a|², the last the same for all. */
async function rankByPixels(engine: Engine, pictures: PictureSet, split: Split): Promise<number[]> {
  const width = 3 * yardstickSize ** 2;
  const bytes = 3 * pictures.size ** 2;
  const shades = (ids: ArrayLike<number>) => {
    const rows = new Float32Array(ids.length * width);
    for (let i = 0; i < ids.length; i++) {
      const picture = pictures.pixels.subarray(ids[i]! * bytes, (ids[i]! + 1) * bytes);
      const small = resizeBicubic(picture, pictures.size, pictures.size, yardstickSize);
      // Around the middle grey the sums stay small, which keeps f32 exact enough.
      for (let j = 0; j < width; j++) rows[i * width + j] = small[j]! / 255 - 0.5;
    }
    return rows;
  };
  const gallery = shades(split.gallery);
  const bias = Float32Array.from(split.gallery, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += gallery[i * width + j]! ** 2;
    return -sum / 2;
  });
  const queries = shades(split.queries.map((query) => query.reference));
  return (await rankAll(engine, split, queries, gallery, width, { bias })).map(({ rank }) => rank);
}
