// A data set's split with embeddings that somebody gives for it, in Node.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename, dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Filtered, type FilterKind, filtered, parseFilter } from "../data/filter.ts";
import { readText } from "../data/json.ts";
import { withoutPictures } from "../data/missing.ts";
import { folderFiles } from "../data/node.ts";
import { readSplit } from "../data/read.ts";
import { DataError, type FolderData, type Split } from "../data/types.ts";
import { captionsApart, type Way } from "../eval/audit.ts";
import { type Embeddings, few, readEmbeddings } from "../eval/embeddings.ts";
import { type Embedded, rowsAt } from "../eval/protocols.ts";
import type { Matrix } from "../eval/scores.ts";
import { openFile } from "./sources.ts";

export interface GivenOptions {
  data: FolderData;
  root: string;
  split: string;
  /** File of the queries' embeddings. */
  queries: string;
  /** File of the pictures' embeddings. */
  gallery: string;
  /** FashionIQ: these categories alone; all that are there where it is empty. */
  categories?: readonly string[];
  /** Names of galleries; all unless there. */
  galleries?: readonly string[];
  /** A list of queries that are the only ones, or left out. */
  filter?: { kind: FilterKind; file: string };
  /** Go on without pictures that have no embedding. */
  allowMissing?: boolean;
}

export interface Given {
  split: Split;
  embedded: Embedded;
  /** SHA-256 of the files: queries, gallery, and the list where there is one. */
  hash: Record<string, string>;
  /** How texts were made, where the queries' file says so. */
  captions?: string;
  filter?: Filtered;
}

async function open(path: string): Promise<Embeddings> {
  const source = await openFile(path);
  try {
    return await readEmbeddings(source);
  } finally {
    await source.close();
  }
}

export async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** A split, cut as asked for, with its pictures' embeddings. */
interface Ready extends Omit<Given, "embedded" | "captions"> {
  /** As its files have it. */
  whole: Split;
  pictures: Matrix;
}

/** Reads a split and its pictures' embeddings; queries and galleries are those that were asked for. */
async function readPictures(options: Omit<GivenOptions, "queries">): Promise<Ready> {
  const { data, root, gallery: file, categories = [], galleries, allowMissing = false } = options;
  const whole = await readSplit(data, folderFiles(root), options.split);
  const { split: chosen, ...cut } = await cutSplit(whole, { filter: options.filter, categories, galleries });
  const { rows, matrix } = await open(file);
  const name = `${data} ${whole.name}`;
  requireKnown(
    file,
    rows,
    whole.pictures.map(({ id }) => id),
    `pictures of ${name}`,
  );
  const missing = new Set<number>();
  for (const { pictures: places } of chosen.galleries) {
    for (const picture of places) if (!rows.has(whole.pictures[picture]!.id)) missing.add(picture);
  }
  if (missing.size > 0 && !allowMissing) {
    const ids = Array.from(missing, (picture) => whole.pictures[picture]!.id);
    const advice = "--allow-missing goes on without them and the queries that need them";
    throw new DataError(`${file} lacks ${ids.length} of the pictures of ${name}: ${few(ids)}; ${advice}`);
  }
  const split = withoutPictures(chosen, missing);
  // A picture without an embedding is in no gallery any more; some row stands in its place.
  const pictures = rowsAt(
    matrix,
    split.pictures.map(({ id }) => rows.get(id) ?? 0),
  );
  return {
    ...{ whole, split, pictures },
    ...(cut.filter && { filter: cut.filter }),
    hash: { gallery: await hashOf(file), ...cut.hash },
  };
}

/** What of a split is asked for. */
export type Cut = Pick<GivenOptions, "filter" | "categories" | "galleries">;

/** A split with what is asked for of it; of a list its hash. Throws DataError for a list, a category, a gallery that does not fit. */
export async function cutSplit(
  whole: Split,
  { filter, categories = [], galleries }: Cut,
): Promise<{ split: Split; filter?: Filtered; hash: { list?: string } }> {
  if (!filter) return { split: choose(whole, categories, galleries), hash: {} };
  const { kind, file } = filter;
  const text = await readText(folderFiles(dirname(file)), basename(file));
  const left = filtered(whole, parseFilter(text, file, kind, whole));
  return {
    split: choose(left.split, categories, galleries),
    filter: left.filter,
    hash: { list: await hashOf(file) },
  };
}

/** Embeddings of queries, in their order. */
interface Asked {
  matrix: Matrix;
  captions?: string;
  hash: string;
}

/**
 * Reads embeddings of queries, in the order of `split`'s, which are some of `whole`'s. Throws DataError where their width is
 * not the gallery's, an id is none of `whole`'s, and one of `split`'s is not there.
 */
async function readQueries(
  file: string,
  { split, whole, pictures }: Pick<Ready, "split" | "whole" | "pictures">,
  gallery: string,
): Promise<Asked> {
  const { matrix, rows, captions } = await open(file);
  if (matrix.width !== pictures.width) {
    throw new DataError(`${file} has embeddings of ${matrix.width} numbers, ${gallery} of ${pictures.width}`);
  }
  const name = `${split.data} ${split.name}`;
  requireKnown(
    file,
    rows,
    whole.queries.map(({ id }) => id),
    `queries of ${name}`,
  );
  const asked = split.queries.map(({ id }) => id);
  const unasked = asked.filter((id) => !rows.has(id));
  if (unasked.length > 0) {
    throw new DataError(
      `${file} lacks ${unasked.length} of the ${asked.length} queries of ${name}: ${few(unasked)}`,
    );
  }
  const own = rowsAt(
    matrix,
    asked.map((id) => rows.get(id)!),
  );
  return { matrix: own, captions, hash: await hashOf(file) };
}

/**
 * Reads a split and embeddings for it. Throws DataError where the two files' widths differ, an id is not the split's, a
 * query has no embedding, or a picture has none and that is not allowed.
 */
export async function readGiven(options: GivenOptions): Promise<Given> {
  const { split, whole, pictures, filter, hash } = await readPictures(options);
  const asked = await readQueries(options.queries, { split, whole, pictures }, options.gallery);
  const embedded = { queries: asked.matrix, pictures };
  const { captions } = asked;
  return { split, embedded, hash: { queries: asked.hash, ...hash }, captions, ...(filter && { filter }) };
}

export interface GivenWaysOptions extends GivenOptions {
  /** File of the queries' embeddings by their texts alone. */
  textQueries: string;
  /** By their pictures alone; the reference pictures' own rows of the gallery unless there. */
  imageQueries?: string;
  /** By both, of each caption by itself where a query has several: ids `ID/0`, `ID/1`, .... */
  captionQueries?: string;
}

export interface GivenWays extends Omit<Given, "embedded"> {
  embedded: Record<Way, Embedded>;
  /** Of the queries of `captionsApart`. */
  apart?: Embedded;
}

/** Reads a split and embeddings of its queries by text, picture and both. Throws as `readGiven`. */
export async function readGivenWays(options: GivenWaysOptions): Promise<GivenWays> {
  const { queries, textQueries, imageQueries, captionQueries, gallery } = options;
  const ready = await readPictures(options);
  const { split, pictures, hash, filter } = ready;
  const both = await readQueries(queries, ready, gallery);
  const text = await readQueries(textQueries, ready, gallery);
  const image = imageQueries === undefined ? null : await readQueries(imageQueries, ready, gallery);
  const separate = { split: captionsApart(split), whole: captionsApart(ready.whole), pictures };
  if (captionQueries !== undefined && separate.whole.queries.length === 0) {
    throw new DataError(`${split.data} ${split.name} has one caption a query: ${captionQueries} is for none`);
  }
  const apart = captionQueries === undefined ? null : await readQueries(captionQueries, separate, gallery);
  const own = image
    ? { queries: image.matrix }
    : { queries: pictures, rows: split.queries.map(({ reference }) => reference) };
  return {
    split,
    embedded: {
      text: { queries: text.matrix, pictures },
      image: { ...own, pictures },
      both: { queries: both.matrix, pictures },
    },
    ...(apart && { apart: { queries: apart.matrix, pictures } }),
    hash: {
      ...{ queries: both.hash, text: text.hash },
      ...(image && { image: image.hash }),
      ...(apart && { captions: apart.hash }),
      ...hash,
    },
    captions: both.captions,
    ...(filter && { filter }),
  };
}

function requireKnown(file: string, rows: Embeddings["rows"], known: readonly string[], what: string): void {
  const ids = new Set(known);
  const others = [...rows.keys()].filter((id) => !ids.has(id));
  if (others.length > 0)
    throw new DataError(`${file} has ${others.length} ids that are no ${what}: ${few(others)}`);
}

/** The split with some categories and galleries of it alone. Throws DataError where there is none of a name. */
function choose(split: Split, categories: readonly string[], galleries?: readonly string[]): Split {
  const own = new Set(split.galleries.flatMap(({ category }) => category ?? []));
  for (const category of categories) {
    if (!own.has(category)) {
      throw new DataError(`${split.data} ${split.name} has no category ${JSON.stringify(category)} here`);
    }
  }
  const isChosen = (category?: string) => categories.length === 0 || categories.includes(category ?? "");
  const left = split.galleries.filter(
    ({ category, name }) => isChosen(category) && (galleries?.includes(name) ?? true),
  );
  if (left.length === 0) {
    const there = [...new Set(split.galleries.map(({ name }) => name))].join(", ");
    throw new DataError(
      `${split.data} ${split.name} has no gallery ${JSON.stringify(galleries?.[0])}, but ${there}`,
    );
  }
  const queries = split.queries.filter(({ category }) => isChosen(category));
  if (queries.length === 0) throw new DataError(`no query of ${split.data} ${split.name} is left`);
  return { ...split, queries, galleries: left };
}
