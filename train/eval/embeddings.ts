// Anyone's embeddings: a safetensors file with a tensor `embeddings` [n, d] and, in its metadata, `ids`, the JSON list of
// what the rows are of.
import { type ByteSource, readBytes } from "../../model/checkpoint/source.ts";
import { readFloats } from "../../model/checkpoint/tensor.ts";
import { firstNotFinite } from "../../model/finite.ts";
import { CheckpointError, headerLength, isFloat, readLayout } from "../../model/safetensors.ts";
import { DataError } from "../data/types.ts";
import { lengthsOf, type Matrix } from "./scores.ts";

export interface Embeddings {
  matrix: Matrix;
  /** Row by id. */
  rows: ReadonlyMap<string, number>;
  /** The metadata's `captions`: how texts were made, where the file says so. */
  captions?: string;
}

/**
 * Reads embeddings of f32, f16, bf16 or f64, as f32. Throws DataError, naming the file and the row, where tensor or ids
 * are not there or do not fit, an id is there twice, a number is not finite, or a row is zeros, which has no direction.
 */
export async function readEmbeddings(source: ByteSource): Promise<Embeddings> {
  try {
    return await read(source);
  } catch (cause) {
    if (!(cause instanceof CheckpointError || cause instanceof DataError)) throw cause;
    throw new DataError(`${source.name}: ${cause.message}`, { cause });
  }
}

async function read(source: ByteSource): Promise<Embeddings> {
  const start = 8 + headerLength(await source.read(0, 8), source.size);
  const header = await readBytes(source, 8, start - 8, "the header");
  const { ranges, metadata } = readLayout(header, source.size - start);
  const range = ranges.find(({ name }) => name === "embeddings");
  if (!range) {
    const names = ranges.map(({ name }) => name).slice(0, 5);
    throw new DataError(
      `it has no tensor "embeddings"${names.length > 0 ? `, but ${names.join(", ")}` : ""}`,
    );
  }
  const { dtype, shape, begin } = range;
  const [count = 0, width = 0] = shape;
  if (shape.length !== 2 || count === 0 || width === 0) {
    throw new DataError(`embeddings: shape [n, d] was expected, not [${shape}]`);
  }
  if (!isFloat(dtype)) throw new DataError(`embeddings: f32, f16, bf16 or f64 was expected, not ${dtype}`);
  const rows = idRows(metadata.ids, count);
  const ids = [...rows.keys()];
  const values = await readFloats(source, dtype, start + begin, count * width, "embeddings");
  // What f64 holds and f32 does not becomes infinite, or zero.
  const rounded = dtype === "F64" ? " as f32" : "";
  const bad = firstNotFinite(values);
  if (bad >= 0) {
    const row = Math.floor(bad / width);
    throw new DataError(
      `the embedding of ${ids[row]} (row ${row}) has ${values[bad]}${rounded} at column ${bad % width}`,
    );
  }
  const matrix = { values, width };
  const empty = lengthsOf(matrix).indexOf(0);
  if (empty >= 0) throw new DataError(`the embedding of ${ids[empty]} (row ${empty}) is all zeros${rounded}`);
  return { matrix, rows, captions: metadata.captions };
}

/** Rows by the ids in a file's metadata. Throws DataError where they are no list of as many different ids. */
function idRows(text: string | undefined, count: number): Map<string, number> {
  if (text === undefined) {
    throw new DataError('its metadata has no "ids": the JSON list of what the rows are of, one for each');
  }
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`metadata "ids": no JSON: ${(cause as Error).message}`, { cause });
  }
  if (!Array.isArray(list)) throw new DataError('metadata "ids": a JSON list was expected');
  if (list.length !== count) throw new DataError(`metadata "ids": ${list.length} ids for ${count} rows`);
  const rows = new Map<string, number>();
  for (const [row, id] of list.entries()) {
    if (typeof id !== "string" && !Number.isSafeInteger(id)) {
      throw new DataError(
        `metadata "ids", ${row}: a text or a whole number was expected, not ${JSON.stringify(id)}`,
      );
    }
    const before = rows.get(`${id}`);
    if (before !== undefined)
      throw new DataError(`metadata "ids": ${id} is there twice, for rows ${before} and ${row}`);
    rows.set(`${id}`, row);
  }
  return rows;
}

/** The first few of some names, and how many more there are. */
export function few(names: readonly string[], most = 5): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return `${names.slice(0, most).join(", ")}${more}`;
}
