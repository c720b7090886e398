// Divides a batch into parts that are encoded one after the other: each picture goes to one part, and each query to
// that of the picture it refers to, so that a part needs nothing of another. All parts get as many pictures, and as many
// queries; what is missing to that is filled.

/** Parts have a multiple of so many queries, so that few shapes occur. */
const queryStep = 8;

export interface Division {
  /** Of each part the pictures' indices in the batch; -1 where there is none. */
  pictures: number[][];
  /** Of each part the queries' indices; -1 where there is none. */
  queries: number[][];
}

/**
 * Divides `pictures` pictures into `parts` parts. One part has the queries as they are.
 * @param source the picture that each query refers to
 * @param places of all parts together, for pictures
 */
export function divide(
  source: readonly number[],
  pictures: number,
  parts: number,
  places = pictures,
): Division {
  const all = (count: number) => Array.from({ length: count }, (_, i) => i);
  const filled = (list: number[], length: number) => [...list, ...new Array(length - list.length).fill(-1)];
  if (parts === 1) return { pictures: [filled(all(pictures), places)], queries: [all(source.length)] };
  const queriesOf: number[][] = all(pictures).map(() => []);
  for (const [query, picture] of source.entries()) queriesOf[picture]!.push(query);
  const room = Math.ceil(places / parts);
  const division: Division = { pictures: all(parts).map(() => []), queries: all(parts).map(() => []) };
  // The most asked picture first, each to the part that has the fewest queries and room (Graham's longest processing time).
  const order = all(pictures).sort((a, b) => queriesOf[b]!.length - queriesOf[a]!.length || a - b);
  for (const picture of order) {
    let least = -1;
    for (const [part, { length }] of division.queries.entries()) {
      const full = division.pictures[part]!.length === room;
      if (!full && (least < 0 || length < division.queries[least]!.length)) least = part;
    }
    division.pictures[least]!.push(picture);
    division.queries[least]!.push(...queriesOf[picture]!);
  }
  const most = Math.max(...division.queries.map(({ length }) => length));
  return {
    pictures: division.pictures.map((list) => filled(list, room)),
    queries: division.queries.map((list) => filled(list, Math.ceil(most / queryStep) * queryStep)),
  };
}
