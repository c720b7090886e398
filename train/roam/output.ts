// What is written: triplets and corpus in LaSCo's own JSON, so that `--data lasco` reads them; a line per direction with where
// its text comes from, or why there is none; and last what it was made of.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../config.ts";
import { writeAtomically } from "../run/disk.ts";
import { pathOf } from "./pairs.ts";

/** A text and whom it leads from and to. */
export interface Triplet {
  qid: number;
  reference: number;
  target: number;
  text: string;
}

/** Names of a split's files. */
export const filesOf = (split: string) => ({
  triplets: `lasco_${split}.json`,
  corpus: `lasco_${split}_corpus.json`,
  lines: `roam_${split}.jsonl`,
  made: `roam_${split}.json`,
});

/** Throws ConfigError where a folder holds a data set that is not from here: it would be overwritten. */
export async function requireOwn(dir: string, split: string): Promise<void> {
  const names = await readdir(dir);
  const { triplets, corpus, made } = filesOf(split);
  if (names.includes(made)) {
    const own = await readFile(join(dir, made), "utf8").then(
      (text) => JSON.parse(text).madeBy === madeBy,
      () => false,
    );
    if (own) return;
    throw new ConfigError(`${join(dir, made)} is not from here; choose another --out.`);
  }
  const other = [triplets, corpus].find((name) => names.includes(name));
  if (other) throw new ConfigError(`${dir} holds ${other}, which is not from here; choose another --out.`);
}

export const madeBy = "casement roam";

/** Writes pieces of text one after the other, a megabyte at a time. Returns the SHA-256 of all. */
async function writePieces(file: string, pieces: Iterable<string>): Promise<string> {
  const hash = createHash("sha256");
  await writeAtomically(file, async (write) => {
    let text = "";
    const flush = async () => {
      const bytes = Buffer.from(text);
      hash.update(bytes);
      await write(bytes);
      text = "";
    };
    for (const piece of pieces) {
      text += piece;
      if (text.length > 1 << 20) await flush();
    }
    await flush();
  });
  return hash.digest("hex");
}

/** The entries of a JSON list, a line each. */
function* listed<T>(items: Iterable<T>, entry: (item: T) => unknown): Generator<string> {
  let before = "[\n";
  for (const item of items) {
    yield `${before}${JSON.stringify(entry(item))}`;
    before = ",\n";
  }
  yield before === "[\n" ? "[]\n" : "\n]\n";
}

/** Entries of a JSON object, a line each. */
function* keyed(entries: Iterable<[string | number, unknown]>): Generator<string> {
  let before = "{\n";
  for (const [key, value] of entries) {
    yield `${before}${JSON.stringify(`${key}`)}: ${JSON.stringify(value)}`;
    before = ",\n";
  }
  yield before === "{\n" ? "{}\n" : "\n}\n";
}

/** Writes a split. `pictures` are those of the corpus, in order. Returns the SHA-256 of each file by its name. */
export async function writeSplit(
  dir: string,
  split: string,
  triplets: readonly Triplet[],
  pictures: readonly number[],
  lines: Iterable<unknown>,
): Promise<Record<string, string>> {
  const files = filesOf(split);
  const at = (name: string) => join(dir, name);
  const path = (image: number) => pathOf(split, image);
  const jsonl = function* () {
    for (const line of lines) yield `${JSON.stringify(line)}\n`;
  };
  // LaSCo's corpora are a list in one split and an object in the other.
  const corpus =
    split === "val"
      ? listed(pictures, (id) => ({ id, path: `val/${path(id)}` }))
      : keyed(pictures.map((id): [number, string] => [id, `${split}/${path(id)}`]));
  return {
    [files.lines]: await writePieces(at(files.lines), jsonl()),
    [files.corpus]: await writePieces(at(files.corpus), corpus),
    [files.triplets]: await writePieces(
      at(files.triplets),
      listed(triplets, ({ qid, reference, target, text }) => ({
        qid,
        "query-image": [reference, path(reference)],
        "query-text": text,
        "target-image": [target, path(target)],
      })),
    ),
  };
}
