// The redundancy analysis of CASE's paper: which queries does one modality answer alone? Every query is ranked by its text
// alone, by its reference picture alone and by both, each by the data set's own protocol. A query that one modality ranks
// within K is a shortcut; of the others composition is required where both together do. And the paper's plot: Recall@K on
// what is left as the queries go that one modality has among its first n, n growing. A steep fall means that the figure
// was earned by one modality. The names of the labels are those of CIRCUS (arXiv 2605.14787).
import type { Engine } from "../../engine/index.ts";
import type { Filtered } from "../data/filter.ts";
import { DataError, type Gallery, type Query, type Split } from "../data/types.ts";
import {
  type Embedded,
  figures,
  type Marks,
  markNames,
  marksOf,
  type Protocol,
  type Provenance,
  protocolOf,
  queriesOf,
  type References,
  rankBy,
  rankGallery,
} from "./protocols.ts";

/** What a query is ranked by. */
export const ways = ["text", "image", "both"] as const;
export type Way = (typeof ways)[number];
type Ranks = Record<Way, number>;

/** Two labels of every query, the second telling the shortcut-free ones apart. */
export const labels = ["shortcut-solvable", "shortcut-free", "composition-required", "unresolved"] as const;
export type Label = (typeof labels)[number];

/**
 * The labels of a query by its ranks, which count from 1.
 * - `shortcut-solvable`: text or picture alone ranks the answer within k.
 * - `shortcut-free`: neither does; then also
 *   - `composition-required`: both together do,
 *   - `unresolved`: nor do both.
 */
export function labelsOf({ text, image, both }: Ranks, k: number): Label[] {
  if (Math.min(text, image) <= k) return ["shortcut-solvable"];
  return ["shortcut-free", both <= k ? "composition-required" : "unresolved"];
}

/** How many queries have which label at a k, and how many shortcuts each modality has. */
export interface Counts extends Record<Label, number> {
  k: number;
  /** Queries that the text alone ranks within k. */
  text: number;
  image: number;
  /** Those that either of the two does alone. */
  each: number;
}

function countLabels(ranks: readonly Ranks[], k: number): Counts {
  const counts = { k, text: 0, image: 0, each: 0 } as Counts;
  for (const label of labels) counts[label] = 0;
  for (const one of ranks) {
    for (const label of labelsOf(one, k)) counts[label]++;
    counts.text += Number(one.text <= k);
    counts.image += Number(one.image <= k);
    counts.each += Number(one.text <= k && one.image <= k);
  }
  return counts;
}

/** Whose top n takes queries away. */
export const removals = ["text", "image", "either"] as const;
export type Removal = (typeof removals)[number];

/** Figures of what is left, by n; the lists end where nothing is left. */
export interface Curve {
  /** Queries left at n = 0, 1, ... */
  left: number[];
  /** Figures of both modalities together on these, from 0 to 1, by name. */
  metrics: Record<string, number[]>;
}

/**
 * Figures on what is left as n grows from 0 to `most`.
 * @param marks of the queries, ranked by both modalities
 * @param solved by query, the rank that one modality gives its answer: it goes as n reaches this
 */
export function curveOf(
  protocol: Protocol,
  marks: readonly Marks[],
  solved: readonly number[],
  most: number,
): Curve {
  const names = markNames(protocol);
  // What goes at each n; the last place is for what stays.
  const sums = names.map(() => new Float64Array(most + 2));
  const counts = new Uint32Array(most + 2);
  for (const [i, rank] of solved.entries()) {
    const at = Math.min(rank, most + 1);
    counts[at]!++;
    for (const [m, name] of names.entries()) sums[m]![at]! += marks[i]![name]!;
  }
  const left: number[] = [];
  const points: Record<string, number>[] = [];
  let count = 0;
  const totals = names.map(() => 0);
  for (let n = most; n >= 0; n--) {
    count += counts[n + 1]!;
    for (const m of names.keys()) totals[m]! += sums[m]![n + 1]!;
    if (count === 0) continue;
    left.push(count);
    // One query with the mean of the marks.
    const mean = Object.fromEntries(names.map((name, m) => [name, totals[m]! / count]));
    points.push(figures(protocol, [mean]));
  }
  left.reverse();
  points.reverse();
  const keys = Object.keys(figures(protocol, []));
  return { left, metrics: Object.fromEntries(keys.map((key) => [key, points.map((one) => one[key]!)])) };
}

/** A reference and a target with several texts for the way from one to the other. */
export interface Paraphrased {
  /** Ids of the pictures. */
  reference: string;
  target: string;
  category?: string;
  /** Each text, of which query it is, and the rank that it gives the answer together with the picture. */
  texts: { id: string; text: string; rank: number }[];
}

/** How far the ranks of a pair's texts lie apart. */
export interface Spread {
  pairs: number;
  texts: number;
  /** The median over the pairs of the best text's rank, and of the worst one's. */
  best: number;
  worst: number;
  /** The median over the pairs of worst rank / best rank. */
  factor: number;
  /** Pairs of which one text ranks the answer within k and another does not. */
  flips: { k: number; pairs: number }[];
}

/** The middle one; of an even number the mean of the two. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return (low + high) / 2;
}

/** The spread over pairs with several texts; null where there is no pair. */
export function spreadOf(pairs: readonly Paraphrased[], ks: readonly number[]): Spread | null {
  if (pairs.length === 0) return null;
  const ends = pairs.map(({ texts }) => {
    const ranks = texts.map(({ rank }) => rank);
    return { best: Math.min(...ranks), worst: Math.max(...ranks) };
  });
  return {
    pairs: pairs.length,
    texts: pairs.reduce((sum, { texts }) => sum + texts.length, 0),
    best: median(ends.map(({ best }) => best)),
    worst: median(ends.map(({ worst }) => worst)),
    factor: median(ends.map(({ best, worst }) => worst / best)),
    flips: ks.map((k) => ({ k, pairs: ends.filter(({ best, worst }) => best <= k && worst > k).length })),
  };
}

/** What is found about one category, or about all queries of a split. */
export interface Group {
  /** FashionIQ: dress, shirt or toptee; not there for several together. */
  category?: string;
  /** Pictures in its gallery. */
  pictures: number;
  queries: number;
  /** The protocol's figures, each modality alone and both, from 0 to 1. */
  metrics: Record<Way, Record<string, number>>;
  /** At every k of the protocol's recall and the audit's own. */
  labels: Counts[];
  curves: Record<Removal, Curve>;
  paraphrases: Spread | null;
}

/** A query with what it was ranked. */
export interface Audited {
  /** Index into the split's queries. */
  query: number;
  ranks: Ranks;
}

export interface Audit extends Provenance {
  /** Within which rank a query counts as answered, in the labels of single queries. */
  k: number;
  /** Every query, in the split's order. */
  queries: Audited[];
  /** All queries together first, then each category where there are several. */
  groups: Group[];
  /** The pairs with several texts. */
  paraphrases: Paraphrased[];
}

export interface AuditOptions {
  similarity: "cosine" | "dot";
  captions: string;
  hash: Record<string, string>;
  filter?: Filtered;
  k: number;
  /** The data set's own way unless there. */
  reference?: References;
  /** The largest n of the curves, 1,000 unless there. */
  most?: number;
  /** Embeddings of `captionsApart`'s queries, each with its picture, and of the pictures. */
  apart?: Embedded;
  /** Hears how much is done, and of how much. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * A split whose queries with several captions are one query a caption, `ID/0`, `ID/1`, ..., so that their ranks can be told
 * apart; other queries are not in it.
 */
export function captionsApart(split: Split): Split {
  const queries = split.queries.flatMap((query) =>
    query.texts.length < 2
      ? []
      : query.texts.map((text, i): Query => ({ ...query, id: `${query.id}/${i}`, texts: [text] })),
  );
  return { ...split, queries };
}

/** The galleries of one name, the split's first; each query has one. Throws DataError where there is none. */
function galleriesOf({ galleries, data, name }: Split): Gallery[] {
  const [first] = galleries;
  if (!first) throw new DataError(`${data} ${name} has no gallery`);
  return galleries.filter((gallery) => gallery.name === first.name);
}

/**
 * Audits a split against its first gallery, of every category.
 * @param embedded by what a query is ranked: its embeddings, and the pictures' of the same model
 * @throws as `protocolOf`
 */
export async function audit(
  engine: Engine,
  split: Split,
  embedded: Record<Way, Embedded>,
  options: AuditOptions,
): Promise<Audit> {
  const protocol = protocolOf(split);
  const { reference = protocol.references, similarity, captions, hash, filter, k, most = 1000 } = options;
  const keep = reference === "kept";
  const galleries = galleriesOf(split);
  const separate = captionsApart(split);
  const apart = options.apart && separate.queries.length > 0 ? options.apart : null;
  const total = ways.length * split.queries.length + (apart ? separate.queries.length : 0);
  let done = 0;
  const ranksBy = async (of: Split, gallery: Gallery, indices: readonly number[], by: Embedded) => {
    const onProgress = (count: number) => options.onProgress?.(done + count, total);
    const ranked = await rankGallery(engine, of, gallery, indices, by, { similarity, onProgress });
    done += indices.length;
    return ranked;
  };

  const audited: Audited[] = [];
  const marks: Record<Way, Marks>[] = [];
  const pairs: Paraphrased[] = [];
  const parts: { gallery: Gallery; from: number; pairs: Paraphrased[] }[] = [];
  for (const gallery of galleries) {
    const indices = queriesOf(split, gallery);
    const from = audited.length;
    for (const query of indices) {
      audited.push({ query, ranks: {} as Ranks });
      marks.push({} as Record<Way, Marks>);
    }
    for (const way of ways) {
      for (const [i, ranked] of (await ranksBy(split, gallery, indices, embedded[way])).entries()) {
        audited[from + i]!.ranks[way] = rankBy(protocol, ranked, keep);
        marks[from + i]![way] = marksOf(protocol, ranked, keep);
      }
    }
    const texts = new Pairs(split);
    for (const { query, ranks } of audited.slice(from)) {
      const { texts: written } = split.queries[query]!;
      if (written.length === 1 || !apart) texts.add(split.queries[query]!, ranks.both);
    }
    if (apart) {
      const own = queriesOf(separate, gallery);
      for (const [i, ranked] of (await ranksBy(separate, gallery, own, apart)).entries())
        texts.add(separate.queries[own[i]!]!, rankBy(protocol, ranked, keep));
    }
    parts.push({ gallery, from, pairs: texts.several() });
    pairs.push(...texts.several());
  }

  const ks = [...new Set([...protocol.recall, k])].toSorted((a, b) => a - b);
  const groupOf = (from: number, to: number, pictures: number, own: readonly Paraphrased[]): Group => {
    const ranks = audited.slice(from, to).map((one) => one.ranks);
    const [some, both] = [marks.slice(from, to), marks.slice(from, to).map((one) => one.both)];
    const solved: Record<Removal, number[]> = {
      text: ranks.map(({ text }) => text),
      image: ranks.map(({ image }) => image),
      either: ranks.map(({ text, image }) => Math.min(text, image)),
    };
    const curve = (removal: Removal) => curveOf(protocol, both, solved[removal], most);
    const figuresBy = (way: Way) =>
      figures(
        protocol,
        some.map((one) => one[way]),
      );
    return {
      ...{ pictures, queries: ranks.length },
      metrics: { text: figuresBy("text"), image: figuresBy("image"), both: figuresBy("both") },
      labels: ks.map((one) => countLabels(ranks, one)),
      curves: { text: curve("text"), image: curve("image"), either: curve("either") },
      paraphrases: spreadOf(own, ks),
    };
  };
  const pictures = galleries.reduce((sum, gallery) => sum + gallery.pictures.length, 0);
  const whole = groupOf(0, audited.length, pictures, pairs);
  const categories = parts.map(({ gallery: { category, pictures }, from, pairs }, i) => ({
    ...(category !== undefined && { category }),
    ...groupOf(from, parts[i + 1]?.from ?? audited.length, pictures.length, pairs),
  }));
  const groups = categories.length > 1 ? [whole, ...categories] : categories;
  return {
    ...{ data: split.data, split: split.name, gallery: galleries[0]!.name, pictures },
    ...{ reference, captions, similarity, ...(filter && { filter }), hash, k },
    ...{ queries: audited.toSorted((a, b) => a.query - b.query), groups, paraphrases: pairs },
  };
}

/** Queries that are alike in what answers them. */
export const sorts = ["text", "image", "composition-required", "unresolved"] as const;
export type Sort = (typeof sorts)[number];

/** A query to look at. */
export interface Example extends Audited {
  /** By what it is answered within k: the text alone, the picture alone, both together alone, or nothing. */
  sort: Sort;
  /** The best answers by each way, the reference left out; pictures by their indices in the split. */
  answers: Record<Way, { picture: number; right: boolean }[]>;
}

/** What answers a query within k: null where each modality does. */
function sortOf({ text, image, both }: Ranks, k: number): Sort | null {
  if (text <= k) return image <= k ? null : "text";
  if (image <= k) return "image";
  return both <= k ? "composition-required" : "unresolved";
}

/** Takes some at equal distances. */
const spread = <T>(list: readonly T[], most: number) =>
  list.length <= most
    ? list
    : Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]!);

/**
 * Some queries of each sort with their best answers, ranked once more for these.
 * @param each how many of each sort, evenly spread over the split
 */
export async function examples(
  engine: Engine,
  split: Split,
  embedded: Record<Way, Embedded>,
  { queries, k, similarity }: Audit,
  { each = 6, top = 5 } = {},
): Promise<Example[]> {
  const chosen = sorts.flatMap((sort) => {
    const own = queries.filter(({ ranks }) => sortOf(ranks, k) === sort);
    return spread(own, each).map(
      (one): Example => ({ ...one, sort, answers: { text: [], image: [], both: [] } }),
    );
  });
  for (const gallery of galleriesOf(split)) {
    const asked = new Set(queriesOf(split, gallery));
    const own = chosen.filter(({ query }) => asked.has(query));
    const indices = own.map(({ query }) => query);
    for (const way of ways) {
      const options = { similarity, top: () => top };
      const ranked = await rankGallery(engine, split, gallery, indices, embedded[way], options);
      for (const [i, { best }] of ranked.entries()) {
        const { right } = split.queries[own[i]!.query]!;
        own[i]!.answers[way] = best.map(({ place }) => {
          const picture = gallery.pictures[place]!;
          return { picture, right: right.includes(picture) };
        });
      }
    }
  }
  return chosen;
}

/** Gathers the texts of each pair of reference and target. */
class Pairs {
  private readonly found = new Map<string, Paraphrased>();

  constructor(private readonly split: Split) {}

  add({ id, reference, right, category, texts }: Query, rank: number): void {
    const idOf = (picture: number) => this.split.pictures[picture]!.id;
    const key = `${reference} ${right[0]}`;
    const pair = this.found.get(key) ?? {
      ...{ reference: idOf(reference), target: idOf(right[0]!) },
      ...(category !== undefined && { category }),
      texts: [],
    };
    pair.texts.push({ id, text: texts.join(" and "), rank });
    this.found.set(key, pair);
  }

  /** Those with more than one, the widest spread first. */
  several(): Paraphrased[] {
    const factor = ({ texts }: Paraphrased) => {
      const ranks = texts.map(({ rank }) => rank);
      return Math.max(...ranks) / Math.min(...ranks);
    };
    return [...this.found.values()]
      .filter(({ texts }) => texts.length > 1)
      .map((pair) => ({ pair, factor: factor(pair) }))
      .sort((a, b) => b.factor - a.factor)
      .map(({ pair }) => pair);
  }
}
