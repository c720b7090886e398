// A data set's split with embeddings that somebody gives for it, in Node.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { withoutPictures } from "../data/missing.ts";
import { folderFiles } from "../data/node.ts";
import { readSplit } from "../data/read.ts";
import { DataError, type DataName, type Split } from "../data/types.ts";
import { type Embeddings, few, readEmbeddings } from "../eval/embeddings.ts";
import { type Embedded, rowsAt } from "../eval/protocols.ts";
import { openFile } from "./sources.ts";

export interface GivenOptions {
  data: DataName;
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
  /** Go on without pictures that have no embedding. */
  allowMissing?: boolean;
}

export interface Given {
  split: Split;
  embedded: Embedded;
  /** SHA-256 of the two files. */
  hash: { queries: string; gallery: string };
  /** How texts were made, where the queries' file says so. */
  captions?: string;
}

async function open(path: string): Promise<Embeddings> {
  const source = await openFile(path);
  try {
    return await readEmbeddings(source);
  } finally {
    await source.close();
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/**
 * Reads a split and embeddings for it. Throws DataError where the two files' widths differ, an id is not the split's, a
 * query has no embedding, or a picture has none and that is not allowed.
 */
export async function readGiven(options: GivenOptions): Promise<Given> {
  const { data, root, categories = [], galleries, allowMissing = false } = options;
  const whole = await readSplit(data, folderFiles(root), options.split);
  const [queries, pictures] = [await open(options.queries), await open(options.gallery)];
  const widths = [queries.matrix.width, pictures.matrix.width];
  if (widths[0] !== widths[1]) {
    throw new DataError(
      `${options.queries} has embeddings of ${widths[0]} numbers, ${options.gallery} of ${widths[1]}`,
    );
  }
  const name = `${data} ${whole.name}`;
  requireKnown(
    options.queries,
    queries,
    whole.queries.map(({ id }) => id),
    `queries of ${name}`,
  );
  requireKnown(
    options.gallery,
    pictures,
    whole.pictures.map(({ id }) => id),
    `pictures of ${name}`,
  );
  const chosen = choose(whole, categories, galleries);

  const unasked = chosen.queries.filter(({ id }) => !queries.rows.has(id)).map(({ id }) => id);
  if (unasked.length > 0) {
    throw new DataError(
      `${options.queries} lacks ${unasked.length} of the ${chosen.queries.length} queries of ${name}: ${few(unasked)}`,
    );
  }
  const missing = new Set<number>();
  for (const { pictures: places } of chosen.galleries) {
    for (const picture of places) if (!pictures.rows.has(whole.pictures[picture]!.id)) missing.add(picture);
  }
  if (missing.size > 0 && !allowMissing) {
    const ids = Array.from(missing, (picture) => whole.pictures[picture]!.id);
    const advice = "--allow-missing goes on without them and the queries that need them";
    throw new DataError(
      `${options.gallery} lacks ${ids.length} of the pictures of ${name}: ${few(ids)}; ${advice}`,
    );
  }
  const split = withoutPictures(chosen, missing);
  const embedded = {
    queries: rowsAt(
      queries.matrix,
      split.queries.map(({ id }) => queries.rows.get(id)!),
    ),
    // A picture without an embedding is in no gallery any more; some row stands in its place.
    pictures: rowsAt(
      pictures.matrix,
      split.pictures.map(({ id }) => pictures.rows.get(id) ?? 0),
    ),
  };
  const hash = { queries: await hashOf(options.queries), gallery: await hashOf(options.gallery) };
  return { split, embedded, hash, captions: queries.captions };
}

function requireKnown(file: string, { rows }: Embeddings, known: readonly string[], what: string): void {
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
  return {
    ...split,
    queries: split.queries.filter(({ category }) => isChosen(category)),
    galleries: split.galleries.filter(
      ({ category, name }) => isChosen(category) && (galleries?.includes(name) ?? true),
    ),
  };
}
