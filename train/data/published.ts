// How many queries and pictures each split should have. Queries and pictures of CIRR, FashionIQ and CIRCO are counted in
// the files of their repositories; of LaSCo in its paper and its corpus; "VAL split" in FashionIQ's captions.
import type { DataName, Split } from "./types.ts";

/** What is counted, by its name. */
export type Counts = Record<string, number>;

const counts: Partial<Record<DataName, Record<string, Counts>>> = {
  cirr: {
    train: { queries: 28_225, pictures: 16_939 },
    val: { queries: 4181, pictures: 2297 },
    test1: { queries: 4148, pictures: 2315 },
  },
  fashioniq: {
    train: {
      ...{ "queries of dress": 5985, "queries of shirt": 5988, "queries of toptee": 6027 },
      ...{
        "original split of dress": 11_452,
        "original split of shirt": 19_036,
        "original split of toptee": 16_121,
      },
    },
    val: {
      ...{ "queries of dress": 2017, "queries of shirt": 2038, "queries of toptee": 1961 },
      ...{
        "original split of dress": 3817,
        "original split of shirt": 6346,
        "original split of toptee": 5373,
      },
      ...{ "VAL split of dress": 2628, "VAL split of shirt": 3089, "VAL split of toptee": 2902 },
    },
    test: {
      ...{ "queries of dress": 2024, "queries of shirt": 2038, "queries of toptee": 2056 },
      ...{
        "original split of dress": 3818,
        "original split of shirt": 6346,
        "original split of toptee": 5374,
      },
    },
  },
  lasco: { train: { queries: 359_268 }, val: { queries: 30_037, pictures: 39_826 } },
  circo: { val: { queries: 220, pictures: 123_403 }, test: { queries: 800, pictures: 123_403 } },
};

export interface Count {
  what: string;
  found: number;
  /** Null where no figure is published. */
  published: number | null;
}

/** A split's counts beside those that are published. */
export function countsOf({ data, name, queries, pictures, galleries }: Split): Count[] {
  const published = counts[data]?.[name] ?? {};
  const found: Counts = {};
  const categories = galleries.flatMap(({ category }) => category ?? []);
  if (categories.length === 0) Object.assign(found, { queries: queries.length, pictures: pictures.length });
  for (const category of new Set(categories)) {
    found[`queries of ${category}`] = queries.filter((query) => query.category === category).length;
    for (const gallery of galleries) {
      if (gallery.category === category) found[`${gallery.name} of ${category}`] = gallery.pictures.length;
    }
  }
  return Object.entries(found).map(([what, found]) => ({ what, found, published: published[what] ?? null }));
}
