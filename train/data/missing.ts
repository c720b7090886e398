// A split without pictures that are missing: the galleries shrink, and queries go that need one of them.
import type { Query, Split } from "./types.ts";

/** Whether a query can't be asked: its reference, its target or one of its subset is missing. */
export function isLost({ reference, right, members = [] }: Query, missing: ReadonlySet<number>): boolean {
  return [reference, ...right.slice(0, 1), ...members].some((picture) => missing.has(picture));
}

/** The split without pictures, given by their indices; other right answers of a query that stays are left out. */
export function withoutPictures(split: Split, missing: ReadonlySet<number>): Split {
  if (missing.size === 0) return split;
  const there = (picture: number) => !missing.has(picture);
  const queries = split.queries.filter((query) => !isLost(query, missing));
  const lost = split.queries.length - queries.length;
  return {
    ...split,
    queries: queries.map((query) => ({ ...query, right: query.right.filter(there) })),
    galleries: split.galleries.map((gallery) => ({ ...gallery, pictures: gallery.pictures.filter(there) })),
    notes: [...split.notes, `without ${missing.size} missing pictures and the ${lost} queries that need one`],
  };
}
