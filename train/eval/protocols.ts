// What each data set's figures are, from embeddings alone. Every figure comes with all that it depends on, for two papers
// may well print two figures for one checkpoint: which pictures compete, whether the reference is among them, how the
// captions were joined, and whose embeddings they were.
import type { Engine } from "../../engine/index.ts";
import { type Filtered, filterWords } from "../data/filter.ts";
import type { DataName, Gallery, Query, Split } from "../data/types.ts";
import { averagePrecision, best, rankOf, type Standing, standings } from "./rank.ts";
import { eachRow, type Matrix } from "./scores.ts";

/** What becomes of a query's own reference picture. */
export type References = "kept" | "removed";

export interface Protocol {
  /** What its repository or the papers on it do. */
  references: References;
  recall: readonly number[];
  /** CIRR: within the subset of the reference's look-alikes. */
  subset: readonly number[];
  /** CIRCO: mean average precision at these. */
  precision: readonly number[];
  /** For people. */
  what: string;
}

const plain = { subset: [], precision: [] };
/** How each data set is evaluated: which pictures compete, at which ranks recall is taken. */
export const protocols: Record<Exclude<DataName, "folder">, Protocol> = {
  emoji: {
    ...{ ...plain, references: "removed", recall: [1, 5, 10, 50] },
    what: "Emoji-CoIR: recall of the best right answer",
  },
  cirr: {
    ...{ references: "removed", recall: [1, 5, 10, 50], subset: [1, 2, 3], precision: [] },
    what: "CIRR: recall, recall within the subset, and mean = (R@5 + R_subset@1) / 2",
  },
  fashioniq: {
    ...{ ...plain, references: "kept", recall: [10, 50] },
    what: "FashionIQ: recall per category and gallery, and the mean of the categories",
  },
  lasco: {
    ...{ ...plain, references: "kept", recall: [1, 5, 10, 50, 100, 500, 1000] },
    what: "LaSCo: recall",
  },
  circo: {
    ...{ ...plain, references: "kept", recall: [5, 10, 25, 50], precision: [5, 10, 25, 50] },
    what: "CIRCO: mean average precision, and recall of the target, the first of its right answers",
  },
  jsonl: {
    ...{ ...plain, references: "removed", recall: [1, 5, 10, 50] },
    what: "recall of the best right answer",
  },
};

/** Where figures come from. */
export interface Provenance {
  data: DataName;
  split: string;
  gallery: string;
  /** Pictures in it, the reference included. */
  pictures: number;
  reference: References;
  /** How the captions became one text; "not told" where embeddings came without it. */
  captions: string;
  similarity: "cosine" | "dot";
  /** Which queries of the split were left out by a list of somebody's; not there for all of them. */
  filter?: Filtered;
  /** SHA-256 of the weights, or of the embeddings' files. */
  hash: Record<string, string>;
}

/** Figures of a split against one gallery, from 0 to 1: r1 is R@1, rs1 R_subset@1, map5 mAP@5. */
export interface Result extends Provenance {
  /** FashionIQ: dress, shirt, toptee, or "mean". */
  category?: string;
  /** Of what categories it is the mean. */
  of?: string[];
  queries: number;
  metrics: Record<string, number>;
}

/** Embeddings of a split: of its queries and its pictures, in their order. */
export interface Embedded {
  queries: Matrix;
  /** By query its row of `queries`, where several share one, which is then ranked once for all; the query's index unless there. */
  rows?: readonly number[];
  pictures: Matrix;
  /** [pictures], what is added to a picture's scores. */
  bias?: Float32Array;
}

export interface RankOptions {
  similarity: "cosine" | "dot";
  /** How many of the best answers of a query are wanted, by its index in the split; none unless told. */
  top?: (query: number) => number;
  /** Hears how much is done, and of how much. */
  onProgress?: (done: number, total: number) => void;
}

export interface JudgeOptions {
  similarity: "cosine" | "dot";
  captions: string;
  hash: Record<string, string>;
  filter?: Filtered;
  /** The data set's own way unless there; several give several results. */
  references?: readonly References[];
}

/** Rows of a matrix, in the order of `rows`. */
export function rowsAt({ values, width }: Matrix, rows: ArrayLike<number>): Matrix {
  const picked = new Float32Array(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    picked.set(values.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
  }
  return { values: picked, width };
}

/** A data set's protocol. Throws where the split has no queries, or keeps their answers to itself. */
export function protocolOf({ data, name, queries }: Split): Protocol {
  if (data === "folder") throw new Error("A folder of pictures has no queries to judge.");
  if (queries.some(({ right }) => right.length === 0)) {
    throw new Error(
      `The answers of ${data} ${name} are kept by its server: write a submission (casement submit).`,
    );
  }
  return protocols[data];
}

/** A gallery with the queries that are ranked against it, by their indices in the split, and where their answers stand. */
export interface GalleryRanks {
  gallery: Gallery;
  queries: readonly number[];
  ranked: readonly Ranked[];
}

/**
 * Figures by a data set's protocol. Throws as `protocolOf` does.
 * @param options `galleries`: names of those that count; all of the split's unless there
 */
export async function judge(
  engine: Engine,
  split: Split,
  embedded: Embedded,
  options: JudgeOptions & RankOptions & { galleries?: readonly string[] },
): Promise<Result[]> {
  const galleries = split.galleries.filter(({ name }) => options.galleries?.includes(name) ?? true);
  return figuresOf(split, await rankSplit(engine, { ...split, galleries }, embedded, options), options);
}

/** Ranks the right answers of a split's queries in its galleries. Throws as `protocolOf` does. */
export async function rankSplit(
  engine: Engine,
  split: Split,
  embedded: Embedded,
  options: RankOptions,
): Promise<GalleryRanks[]> {
  protocolOf(split);
  const total = split.galleries.reduce((sum, gallery) => sum + queriesOf(split, gallery).length, 0);
  let done = 0;
  const galleries: GalleryRanks[] = [];
  for (const gallery of split.galleries) {
    const queries = queriesOf(split, gallery);
    const onProgress = (count: number) => options.onProgress?.(done + count, total);
    const ranked = await rankGallery(engine, split, gallery, queries, embedded, { ...options, onProgress });
    galleries.push({ gallery, queries, ranked });
    done += queries.length;
  }
  return galleries;
}

/** The figures of ranks. Throws as `protocolOf` does. */
export function figuresOf(split: Split, galleries: readonly GalleryRanks[], options: JudgeOptions): Result[] {
  const protocol = protocolOf(split);
  const { references = [protocol.references], similarity, captions, hash, filter } = options;
  const results = galleries.flatMap(({ gallery, queries, ranked }) =>
    references.map((reference) => ({
      ...{ data: split.data, split: split.name, gallery: gallery.name, pictures: gallery.pictures.length },
      ...(gallery.category !== undefined && { category: gallery.category }),
      ...{ reference, captions, similarity, ...(filter && { filter }), hash, queries: queries.length },
      metrics: figures(
        protocol,
        ranked.map((one) => marksOf(protocol, one, reference === "kept")),
      ),
    })),
  );
  return [...results, ...means(results)];
}

/** Indices of the queries that are ranked against a gallery. */
export function queriesOf({ queries }: Split, { category }: Gallery): number[] {
  return [...queries.keys()].filter((i) => category === undefined || queries[i]!.category === category);
}

/** Where the right answers of a query stand: in the gallery, and in its subset; those that the gallery lacks count for nothing. */
export interface Ranked {
  all: Standing[];
  subset: Standing[] | null;
  /** Places in the gallery of the best answers, the reference left out: as many as were asked for. */
  best: { place: number; score: number }[];
}

/** Ranks queries, given by their indices, against a gallery. */
export async function rankGallery(
  engine: Engine,
  { queries }: Split,
  gallery: Gallery,
  indices: readonly number[],
  embedded: Embedded,
  {
    similarity,
    top = () => 0,
    onProgress,
  }: Omit<RankOptions, "onProgress"> & { onProgress?: (done: number) => void },
): Promise<Ranked[]> {
  const places = new Map(Array.from(gallery.pictures, (picture, place) => [picture, place]));
  const sharing = new Map<number, number[]>();
  for (const [i, query] of indices.entries()) {
    const row = embedded.rows?.[query] ?? query;
    const others = sharing.get(row);
    if (others) others.push(i);
    else sharing.set(row, [i]);
  }
  const groups = [...sharing.values()];
  const ranked = new Array<Ranked>(indices.length);
  let done = 0;
  const ranking = {
    queries: rowsAt(embedded.queries, [...sharing.keys()]),
    gallery: rowsAt(embedded.pictures, gallery.pictures),
    similarity,
    bias: embedded.bias && Float32Array.from(gallery.pictures, (picture) => embedded.bias![picture]!),
  };
  await eachRow(
    engine,
    ranking,
    (group, row) => {
      for (const i of groups[group]!) {
        const { reference, right, members } = queries[indices[i]!]! as Query;
        const own = places.get(reference) ?? -1;
        const task = { right: right.flatMap((id) => places.get(id) ?? []), reference: own };
        const among = members?.map((id) => places.get(id)!);
        ranked[i] = {
          all: standings(row, task),
          subset: among ? standings(row, { ...task, among }) : null,
          best: best(row, top(indices[i]!), { without: own }),
        };
        done++;
      }
    },
    () => onProgress?.(done),
  );
  return ranked;
}

/** The rank that a protocol's recall asks for, from 1. */
export function rankBy(protocol: Protocol, { all }: Ranked, keep: boolean): number {
  // CIRCO's recall asks for the answer that the query was written for, the first.
  return protocol.precision.length > 0 ? firstRank(all, keep) : rankOf(all, keep);
}

/** What one query adds to each figure, from 0 to 1: the figures are the means of these. */
export type Marks = Record<string, number>;

/** The marks of a query; `keep` says whether its reference competes. */
export function marksOf(protocol: Protocol, ranked: Ranked, keep: boolean): Marks {
  const marks: Marks = {};
  const rank = rankBy(protocol, ranked, keep);
  for (const k of protocol.precision) marks[`map${k}`] = averagePrecision(k, ranked.all, keep);
  for (const k of protocol.recall) marks[`r${k}`] = Number(rank <= k);
  // The subset's reference is never an answer in it, whatever becomes of it in the gallery.
  for (const k of protocol.subset) marks[`rs${k}`] = Number(rankOf(ranked.subset!, false) <= k);
  return marks;
}

/** The names of a protocol's marks, in the order of their printing. */
export const markNames = ({ precision, recall, subset }: Protocol) => [
  ...precision.map((k) => `map${k}`),
  ...recall.map((k) => `r${k}`),
  ...subset.map((k) => `rs${k}`),
];

/** Figures of queries from their marks; 0 where there are none. */
export function figures(protocol: Protocol, marks: readonly Marks[]): Record<string, number> {
  const mean = (key: string) => marks.reduce((sum, one) => sum + one[key]!, 0) / Math.max(1, marks.length);
  const metrics = Object.fromEntries(markNames(protocol).map((key) => [key, mean(key)]));
  if (protocol.subset.length > 0) metrics.mean = (metrics.r5! + metrics.rs1!) / 2;
  return metrics;
}

/** Rank of the target, which is the first right answer, the other ones competing as CIRCO's own evaluation has it. */
function firstRank([first, ...others]: readonly Standing[], keep: boolean): number {
  const { score, ahead, behindReference } = first!;
  const better = others.filter((other) => !(other.score < score)).length;
  return 1 + ahead + better + Number(keep && behindReference);
}

/** The plain mean over the categories, for every gallery and exclusion. */
function means(results: readonly Result[]): Result[] {
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    if (result.category === undefined) continue;
    const key = `${result.gallery} ${result.reference}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return Array.from(groups.values(), (group) => ({
    ...group[0]!,
    category: "mean",
    of: group.map(({ category }) => category!),
    pictures: group.reduce((sum, { pictures }) => sum + pictures, 0),
    queries: group.reduce((sum, { queries }) => sum + queries, 0),
    metrics: Object.fromEntries(
      Object.keys(group[0]!.metrics).map((key) => [
        key,
        group.reduce((sum, { metrics }) => sum + metrics[key]!, 0) / group.length,
      ]),
    ),
  }));
}

/** One line that says what the figures of a result are of. */
export function provenanceOf(result: Result): string {
  const hashes = Object.entries(result.hash).map(([name, hash]) => `${name} ${hash.slice(0, 12)}`);
  return [
    ...(result.of ? ["mean of the categories"] : []),
    `${result.data} ${result.split}`,
    `${result.queries} queries${result.category ? ` of ${result.of?.join(", ") ?? result.category}` : ""}`,
    `gallery: ${result.gallery}, ${result.pictures} pictures`,
    ...(result.filter ? [filterWords(result.filter)] : []),
    `reference ${result.reference}`,
    `captions: ${result.captions}`,
    result.similarity,
    ...hashes,
  ].join("; ");
}
