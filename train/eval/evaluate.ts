// Evaluation of a model on a split: figures by the data set's protocol, a sheet of queries with their answers, and for
// Emoji-CoIR what its figures don't tell: recall per kind of change, and the yardstick that needs no model, nearest
// neighbours of the reference on raw pixels.
import type { Engine } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { type CaptionWay, textOf } from "../data/captions.ts";
import type { OpenSplit } from "../data/dataset.ts";
import type { Pictures, Split } from "../data/types.ts";
import { embedQueries } from "./embed.ts";
import type { KindMetrics, Recall, SheetRow, SplitMetrics } from "./metrics.ts";
import { shadesOf, shadesWidth } from "./pixels.ts";
import {
  type Embedded,
  figuresOf,
  type GalleryRanks,
  type JudgeOptions,
  type Result,
  rankSplit,
} from "./protocols.ts";
import { rankOf, recallAt } from "./rank.ts";

/** Embeds the queries of a split, to stand beside its pictures'. Throws NotFiniteError. */
export async function embedSplit(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  { split, pictures }: OpenSplit,
  targets: Float32Array,
  captions: CaptionWay,
  onProgress?: (done: number) => void,
): Promise<Embedded> {
  const width = model.config.projection;
  const asked = split.queries.map((query) => ({ reference: query.reference, text: textOf(query, captions) }));
  const rows = await embedQueries(engine, model, tokenizer, pictures, asked, onProgress);
  return { queries: { values: rows, width }, pictures: { values: targets, width } };
}

/** What evaluating one split gave. */
export interface SplitResult {
  results: Result[];
  /** Rank of the best right answer of each query in its first gallery, the reference left out. */
  ranks: number[];
  sheet: SheetRow[];
}

/** Rows of the picture sheet per split, and answers in each. */
const sheetRows = 24;
const sheetAnswers = 10;

/** Evaluates one split. Throws where it keeps its answers to itself. */
export async function evaluateSplit(
  engine: Engine,
  { split }: OpenSplit,
  embedded: Embedded,
  options: Omit<JudgeOptions, "similarity"> & {
    captions: CaptionWay;
    onProgress?: (done: number, total: number) => void;
  },
): Promise<SplitResult> {
  const similarity = "cosine";
  // Queries spread evenly over the split, which is ordered by nothing that helps or hurts.
  const step = Math.max(1, Math.floor(split.queries.length / sheetRows));
  const isShown = (query: number) => query % step === 0 && query / step < sheetRows;
  const top = (query: number) => (isShown(query) ? sheetAnswers : 0);
  const { onProgress } = options;
  const galleries = await rankSplit(engine, split, embedded, { similarity, top, onProgress });
  const ranks = ranksOf(split, galleries);
  return {
    results: figuresOf(split, galleries, { ...options, similarity }),
    ranks,
    sheet: makeSheet(split, galleries, ranks, options.captions),
  };
}

/** By query: the rank in the first gallery that it is ranked against. */
function ranksOf({ queries }: Split, galleries: readonly GalleryRanks[]): number[] {
  const ranks = new Array<number>(queries.length).fill(Number.NaN);
  for (const { queries, ranked } of galleries.toReversed())
    for (const [i, query] of queries.entries()) ranks[query] = rankOf(ranked[i]!.all, false);
  return ranks;
}

function makeSheet(
  { name, queries }: Split,
  galleries: readonly GalleryRanks[],
  ranks: readonly number[],
  captions: CaptionWay,
): SheetRow[] {
  const rows = new Map<number, SheetRow>();
  for (const { gallery, queries: asked, ranked } of galleries) {
    for (const [i, at] of asked.entries()) {
      const { best } = ranked[i]!;
      if (best.length === 0 || rows.has(at)) continue;
      const query = queries[at]!;
      const right = new Set(query.right);
      const answers = best.map(({ place, score }) => {
        const picture = gallery.pictures[place]!;
        return { picture, score, right: right.has(picture) };
      });
      const {
        reference,
        right: [target],
        kind,
        category,
      } = query;
      rows.set(at, {
        ...{ split: name, kind: kind ?? category ?? "", text: textOf(query, captions) },
        ...{ reference, target: target!, rank: ranks[at]!, answers },
      });
    }
  }
  return [...rows.keys()].sort((a, b) => a - b).map((at) => rows.get(at)!);
}

function recallOf(ranks: number[]): Recall {
  const at = (k: number) => 100 * recallAt(k, ranks);
  return { r1: at(1), r5: at(5), r10: at(10), r50: at(50) };
}

/** Recall by kind of change beside the yardstick of raw pixels, for a split of one gallery. */
export async function compareKinds(
  engine: Engine,
  { split, pictures, looks = pictures }: OpenSplit,
  ranks: readonly number[],
): Promise<SplitMetrics> {
  const pixelRanks = await rankByPixels(engine, looks, split);
  const kinds: Record<string, KindMetrics> = {};
  for (const kind of [...new Set(split.queries.map((query) => query.kind ?? ""))].sort()) {
    const mine = split.queries.flatMap((query, i) => ((query.kind ?? "") === kind ? [i] : []));
    kinds[kind] = {
      queries: mine.length,
      ...recallOf(mine.map((i) => ranks[i]!)),
      pixels: recallOf(mine.map((i) => pixelRanks[i]!)),
    };
  }
  const gallery = split.galleries[0]!.pictures.length;
  const chance = split.queries.map(({ right }) => chanceAt(10, right.length, gallery - 1));
  return {
    ...{ gallery, queries: split.queries.length, ...recallOf([...ranks]) },
    chance_r10: (100 * chance.reduce((a, b) => a + b, 0)) / Math.max(1, chance.length),
    pixels: recallOf(pixelRanks),
    kinds,
  };
}

/** Probability that at least one of `right` answers is among the first k of a random order of `count`. */
function chanceAt(k: number, right: number, count: number): number {
  let none = 1;
  for (let i = 0; i < k; i++) none *= Math.max(0, count - right - i) / (count - i);
  return 1 - none;
}

/** Ranks by squared distance of raw pixels to the reference: -|a - b|² = 2 a·b - |b|² - |a|², the last the same for all. */
async function rankByPixels(engine: Engine, pictures: Pictures, split: Split): Promise<number[]> {
  const width = shadesWidth;
  const { size, count } = pictures;
  const values = new Float32Array(count * width);
  const bias = new Float32Array(count);
  const gallery = new Set(split.galleries.flatMap((gallery) => [...gallery.pictures]));
  for (const id of new Set([...gallery, ...split.queries.map(({ reference }) => reference)])) {
    const shades = shadesOf(await pictures.read([id]), size);
    values.set(shades, id * width);
    bias[id] = -shades.reduce((sum, shade) => sum + shade ** 2, 0) / 2;
  }
  const shades = { values, width };
  const queries = new Float32Array(split.queries.length * width);
  for (const [i, { reference }] of split.queries.entries())
    queries.set(values.subarray(reference * width, (reference + 1) * width), i * width);
  const embedded = { queries: { values: queries, width }, pictures: shades, bias };
  return ranksOf(split, await rankSplit(engine, split, embedded, { similarity: "dot" }));
}
