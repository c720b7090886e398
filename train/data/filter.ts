// A list of queries that a split is cut to, or that it goes without: JSON lines, as the audit writes the redundant ones.
import { z } from "zod";
import { checked, parseJson } from "./json.ts";
import { DataError, type Split } from "./types.ts";

/** Whether the listed queries are the only ones that stay, or those that go. */
export type FilterKind = "only" | "without";

/** A list of queries, and what is done with it. */
export interface Filter {
  kind: FilterKind;
  /** The list's file, as messages call it. */
  file: string;
  /** Where each listed id stands. */
  listed: ReadonlyMap<string, string>;
}

/** What a filter did to a split. */
export interface Filtered {
  kind: FilterKind;
  /** Queries in the list. */
  listed: number;
  /** Queries of the split before. */
  of: number;
}

const line = z.looseObject({
  id: z.union([z.string(), z.int()]),
  data: z.string().optional(),
  split: z.string().optional(),
});

/**
 * A list for a split: a query's `id` in each line; where a line says of what `data` and `split` it is, these must be the
 * split's. Throws DataError, which names file and line, for a line that is no such thing and an id that is there twice.
 */
export function parseFilter(
  text: string,
  file: string,
  kind: FilterKind,
  { data, name }: Pick<Split, "data" | "name">,
): Filter {
  const listed = new Map<string, string>();
  for (const [i, written] of text.split(/\r?\n/).entries()) {
    if (written.trim() === "") continue;
    const where = `${file}, line ${i + 1}`;
    const one = checked(where, line, parseJson(where, written));
    const of = [one.data ?? data, one.split ?? name];
    if (of[0] !== data || of[1] !== name) {
      throw new DataError(`${where}: it is of ${of.join(" ")}, not ${data} ${name}`);
    }
    const before = listed.get(`${one.id}`);
    if (before !== undefined) throw new DataError(`${where}: query ${one.id} is that of ${before} already`);
    listed.set(`${one.id}`, where);
  }
  return { kind, file, listed };
}

/**
 * The split with the listed queries alone, or without them; its galleries stay what they are. Throws DataError for a
 * listed query that the split lacks, and where none would be left.
 */
export function filtered(split: Split, { kind, file, listed }: Filter): { split: Split; filter: Filtered } {
  const own = new Set(split.queries.map(({ id }) => id));
  for (const [id, where] of listed) {
    if (!own.has(id)) throw new DataError(`${where}: ${split.data} ${split.name} has no query ${id}`);
  }
  const queries = split.queries.filter(({ id }) => listed.has(id) === (kind === "only"));
  if (queries.length === 0) throw new DataError(`${file} leaves no query of ${split.data} ${split.name}`);
  return { split: { ...split, queries }, filter: { kind, listed: listed.size, of: own.size } };
}

/** What a figure says of a filter. */
export const filterWords = ({ kind, listed, of }: Filtered) =>
  `${kind} the ${listed} of its ${of} queries that a list names`;
