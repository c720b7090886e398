// Rankings by hand: all scores in double precision, sorted, the right answer put behind what it ties with, and what each
// data set's protocol makes of the ranks.
import { randomBits } from "../engine/index.ts";
import { readSplit } from "../train/data/read.ts";
import type { Files, FolderData, Query, Split } from "../train/data/types.ts";
import type { Matrix } from "../train/eval/scores.ts";

/** Between 0 and 1. */
export const random = (stream: number, index: number) => randomBits({ key: 5, stream }, index) / 2 ** 32;

/** Rows of about normal numbers; every ninth is the row before it, so that there are ties. */
export function randomRows(stream: number, rows: number, width: number): Matrix {
  const values = Float32Array.from(
    { length: rows * width },
    (_, i) => random(stream, 3 * i) + random(stream, 3 * i + 1) + random(stream, 3 * i + 2) - 1.5,
  );
  for (let row = 9; row < rows; row += 9) values.copyWithin(row * width, (row - 1) * width, row * width);
  return { values, width };
}

/** Cosines times the length of the query, in the pictures' order. */
export function cosines(queries: Matrix, query: number, gallery: Matrix): Float64Array {
  const { width } = gallery;
  return Float64Array.from({ length: gallery.values.length / width }, (_, place) => {
    let [product, square] = [0, 0];
    for (let i = 0; i < width; i++) {
      const value = gallery.values[place * width + i]!;
      product += queries.values[query * width + i]! * value;
      square += value * value;
    }
    return product / Math.sqrt(square);
  });
}

/** Pictures of a gallery in the order of a ranking; right ones come behind what they tie with. */
function sorted(scores: Float64Array, competing: readonly number[], right: readonly number[]): number[] {
  const isRight = new Set(right);
  return competing.toSorted(
    (a, b) => scores[b]! - scores[a]! || Number(isRight.has(a)) - Number(isRight.has(b)),
  );
}

export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const share = (ranks: readonly number[], k: number) =>
  ranks.filter((rank) => rank <= k).length / ranks.length;

/** Ranks of a query's answers, by the words of each protocol. */
export interface Asked {
  rank: number;
  within: number;
  precisions: number[];
}

/** Ranks of every query for every gallery, with the reference removed and kept. */
export function ranksOf(split: Split, queries: Matrix, pictures: Matrix): Asked[][] {
  const galleries = split.galleries.map((gallery) => ({ ...gallery, members: new Set(gallery.pictures) }));
  const asked: Asked[][] = galleries.flatMap(() => [[], []]);
  for (const [i, query] of split.queries.entries()) {
    const { category, right, members, reference } = query;
    const own = galleries.filter((gallery) => (gallery.category ?? category) === category);
    const scores = cosines(queries, i, pictures);
    // Whatever is left out, the others keep their order.
    const competing = [...new Set(own.flatMap(({ pictures }) => [...pictures]))];
    const everyOrder = sorted(scores, competing, right);
    const firstOrder = split.data === "circo" ? sorted(scores, competing, right.slice(0, 1)) : everyOrder;
    for (const gallery of own) {
      for (const keep of [false, true]) {
        const left = (picture: number) => gallery.members.has(picture) && (keep || picture !== reference);
        const order = everyOrder.filter(left);
        const others = members?.filter((picture) => picture !== reference) ?? right;
        const precisions = [5, 10, 25, 50].map((k) => {
          let [found, sum] = [0, 0];
          for (const [place, picture] of order.slice(0, k).entries()) {
            if (right.includes(picture)) sum += ++found / (place + 1);
          }
          return sum / Math.min(k, right.length);
        });
        const first = firstOrder.filter(left).indexOf(right[0]!);
        asked[2 * galleries.indexOf(gallery) + Number(keep)]!.push({
          rank: 1 + (split.data === "circo" ? first : firstOf(order, query)),
          within: 1 + sorted(scores, others, right).indexOf(right[0]!),
          precisions,
        });
      }
    }
  }
  return asked;
}

/** The figures of queries against a gallery. */
export function figuresOf(data: Split["data"], asked: readonly Asked[]): Record<string, number> {
  const ranks = asked.map(({ rank }) => rank);
  const at = (ks: readonly number[]) => Object.fromEntries(ks.map((k) => [`r${k}`, share(ranks, k)]));
  if (data === "circo") {
    const maps = [5, 10, 25, 50].map((k, n) => [`map${k}`, mean(asked.map((one) => one.precisions[n]!))]);
    return { ...Object.fromEntries(maps), ...at([5, 10, 25, 50]) };
  }
  if (data === "cirr") {
    const within = asked.map((one) => one.within);
    const [rs1, rs2, rs3] = [1, 2, 3].map((k) => share(within, k)) as [number, number, number];
    const recall = at([1, 5, 10, 50]);
    return { ...recall, rs1, rs2, rs3, mean: (recall.r5! + rs1) / 2 };
  }
  if (data === "fashioniq") return at([10, 50]);
  return at(data === "lasco" ? [1, 5, 10, 50, 100, 500, 1000] : [1, 5, 10, 50]);
}

const firstOf = (order: readonly number[], { right }: Query) => order.findIndex((one) => right.includes(one));

/** A split and embeddings that point at the right answers more often than not. */
export async function embedded(files: Files, data: FolderData, name: string, width: number) {
  const split = await readSplit(data, files, name);
  const pictures = randomRows(1, split.pictures.length, width);
  const queries = randomRows(2, split.queries.length, width);
  for (const [i, { right }] of split.queries.entries()) {
    const pull = 1.5 * random(3, i);
    for (let c = 0; c < width; c++) {
      queries.values[i * width + c]! += pull * pictures.values[right[i % right.length]! * width + c]!;
    }
  }
  return { split, pictures, queries };
}
