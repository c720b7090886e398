// A batch as the loss takes it, still on the host: the pictures that its queries refer to, its texts in tokens, and which
// pictures are right, wrong or neither. For a share of the triplets there is a reverse query too (query and target picture
// switch roles, [REV] marks it). What varies from batch to batch is filled up and masked, so that few shapes occur.
import { packSource } from "../../kernels/attention/attention.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import { type HostTensor, packRows, packTexts, words } from "../inputs.ts";
import type { Batch } from "./dataset.ts";
import { divide } from "./divide.ts";

/** Text lengths are multiples of this, so that few shapes occur. */
const textStep = 4;

/** What is encoded at a time: p of the batch's pictures, and q queries that refer to them. */
export interface PartInputs<T> {
  /** u32, the pictures' bytes, or those of their tokens where `training.cacheTokens` is on */
  pictures: T;
  /** u32 [q, length] */
  ids: T;
  /** u32 [q, length] */
  mask: T;
  /** u32, `packSource` of each query's picture among those of the part; not there where texts stand for themselves */
  source?: T;
}

/** A batch as the loss takes it: the Q queries of all parts, in their order, over the P pictures of all parts. */
export interface BatchInputs<T> {
  parts: PartInputs<T>[];
  /** u32 [Q], the right picture of each query */
  goals: T;
  /** u32 [Q, P], pictures that are neither right nor wrong */
  ignored: T;
  /** f32 [Q], share of each query in the loss; 0 for those that only fill their part */
  weights: T;
}

/** What a row of a packed batch is. */
export type Row = "forward" | "reverse" | "filler";

/** The inputs under names of their own, as a captured step has them. */
export function flatten<T>({ parts, ...whole }: BatchInputs<T>): Record<string, T> {
  const named = parts.flatMap((part, i) =>
    Object.entries(part).map(([name, input]): [string, T] => [`${name} ${i}`, input as T]),
  );
  return { ...Object.fromEntries(named), ...whole };
}

/** Undoes `flatten`, of inputs in so many parts. */
export function unflatten<T>(inputs: Record<string, T>, parts: number): BatchInputs<T> {
  const { goals, ignored, weights } = inputs as Record<string, T> & Omit<BatchInputs<T>, "parts">;
  const part = (i: number) => {
    const named = (name: keyof PartInputs<T>) => inputs[`${name} ${i}`];
    const [pictures, ids, mask] = (["pictures", "ids", "mask"] as const).map((name) => named(name)!);
    return { pictures: pictures!, ids: ids!, mask: mask!, source: named("source") };
  };
  return { parts: Array.from({ length: parts }, (_, i) => part(i)), goals, ignored, weights };
}

/**
 * Packs a batch into as many parts as the configuration says.
 * @param contents uint8 [pictures, size, size, 3], those of the batch, or their tokens as `Tokens` has them
 */
export function packBatch(
  { model, training }: RunConfig,
  tokenizer: Tokenizer,
  batch: Batch,
  contents: Uint8Array,
): { inputs: BatchInputs<HostTensor>; rows: Row[] } {
  const { reverse, accumulation } = training;
  const triplets = batch.text.length;
  const reversed = reverse.weight > 0 ? Math.ceil(triplets * reverse.share) : 0;
  const texts = [...batch.text, ...batch.text.slice(0, reversed)];
  const isReverse = (query: number) => query >= triplets;
  const source = texts.map((_, i) => (isReverse(i) ? batch.target[i - triplets]! : batch.reference[i]!));
  const goal = texts.map((_, i) => (isReverse(i) ? batch.reference[i - triplets]! : batch.target[i]!));
  const ignored = new Uint8Array(texts.length * batch.pictures.length);
  ignored.set(batch.ignore);
  if (reversed > 0) {
    const columns = batch.pictures.length;
    const others = batch.ignoreReversed ?? otherReferences(batch);
    ignored.set(others.subarray(0, reversed * columns), triplets * columns);
  }
  if (training.reference === "ignored") {
    source.forEach((picture, query) => {
      ignored[query * batch.pictures.length + picture] = 1;
    });
  }

  const division = divide(source, batch.pictures.length, accumulation, batch.room);
  const columns = division.pictures.flat();
  const queries = division.queries.flat();
  const column = new Map(columns.map((picture, at) => [picture, at]));
  const rows = queries.map((query): Row => (query < 0 ? "filler" : isReverse(query) ? "reverse" : "forward"));
  const shares = {
    forward: 1 / triplets,
    reverse: reverse.weight / reversed,
    filler: 0,
  };
  // What fills a part is an empty text to its first picture, and a picture that nobody is compared with.
  const text = packTexts(
    tokenizer,
    model,
    queries.map((query) => texts[query] ?? ""),
    { reverse: rows.map((row) => row === "reverse"), step: textStep },
  );
  const length = text.ids.shape[1]!;
  const parts = division.pictures.map((mine, i): PartInputs<HostTensor> => {
    const row = new Map(mine.map((picture, at) => [picture, at]));
    const asked = division.queries[i]!;
    const rowsOf = ({ values }: HostTensor) =>
      words(values.subarray(i * asked.length * length, (i + 1) * asked.length * length) as Uint32Array, [
        asked.length,
        length,
      ]);
    return {
      pictures: packRows(
        contents,
        batch.pictures.length,
        mine.map((picture) => Math.max(0, picture)),
      ),
      ids: rowsOf(text.ids),
      mask: rowsOf(text.mask),
      source: words(
        packSource(
          asked.map((query) => (query < 0 ? 0 : row.get(source[query]!)!)),
          mine.length,
        ),
      ),
    };
  });
  const isIgnored = new Uint32Array(queries.length * columns.length);
  queries.forEach((query, at) => {
    if (query < 0) return;
    const from = query * batch.pictures.length;
    for (const [to, picture] of columns.entries())
      isIgnored[at * columns.length + to] = picture < 0 ? 1 : ignored[from + picture]!;
  });
  const inputs = {
    parts,
    goals: words(Uint32Array.from(queries, (query) => (query < 0 ? 0 : column.get(goal[query]!)!))),
    ignored: words(isIgnored, [queries.length, columns.length]),
    weights: {
      values: Float32Array.from(rows, (row) => shares[row]),
      shape: [rows.length],
      dtype: "f32" as const,
    },
  };
  return { inputs, rows };
}

/** Packs a batch of pictures and their names as `packBatch` does: nothing is reversed, no text refers to a picture. */
export function packNames(
  config: RunConfig,
  ...rest: Parameters<typeof packBatch> extends [unknown, ...infer Rest] ? Rest : never
): ReturnType<typeof packBatch> {
  const { training } = config;
  const reverse = { ...training.reverse, weight: 0 };
  const { inputs, rows } = packBatch(
    { ...config, training: { ...training, reverse, reference: "negative" } },
    ...rest,
  );
  const parts = inputs.parts.map(({ pictures, ids, mask }) => ({ pictures, ids, mask }));
  return { inputs: { ...inputs, parts }, rows };
}

/**
 * A reverse query asks from which picture the text led to the target; the references of the batch's other triplets of
 * the same target and kind are as right as its own. uint8 [triplets, pictures].
 */
function otherReferences({ text, pictures, reference, target, kind }: Batch): Uint8Array {
  const found = new Uint8Array(text.length * pictures.length);
  for (let i = 0; i < text.length; i++) {
    for (let j = 0; j < text.length; j++) {
      const twin = target[i] === target[j] && kind[i] === kind[j];
      if (twin && reference[j] !== reference[i]) found[i * pictures.length + reference[j]!] = 1;
    }
  }
  return found;
}
