// Whether a data set's folder holds what it should: every split's files and fields, counts beside the published ones, and
// every picture, there and decoded, with the queries that are lost where one is not.
import { join } from "node:path";
import { tryPicture } from "./decode.ts";
import { isLost } from "./missing.ts";
import { folderFiles } from "./node.ts";
import { type Count, countsOf } from "./published.ts";
import { readSplit, splitsOf } from "./read.ts";
import { DataError, type FolderData, type Split } from "./types.ts";

export interface SplitCheck {
  split: string;
  /** What is wrong with its annotation files; null where nothing is. The rest is empty then. */
  error: string | null;
  files: Split["sources"];
  counts: Count[];
  notes: readonly string[];
  pictures: number;
  missing: number;
  undecodable: number;
  queries: number;
  /** Queries whose reference, target or subset has a picture that is missing or can't be decoded. */
  lost: number;
}

export interface DataCheck {
  data: FolderData;
  root: string;
  /** Whether nothing is wrong: files, fields, counts and pictures. */
  ok: boolean;
  splits: SplitCheck[];
  /** Pictures that are not there, relative to the folder. */
  missing: string[];
  undecodable: { path: string; why: string }[];
}

export interface CheckOptions {
  /** Splits; all that are there where it is empty. */
  splits?: readonly string[];
  onProgress?: (done: number, total: number) => void;
}

/** Files that are decoded at a time: what sharp's threads take, and a few in line. */
const atOnce = 16;

/** Checks a data set's folder. Throws DataError where it is none of the data set's. */
export async function checkData(
  data: FolderData,
  root: string,
  options: CheckOptions = {},
): Promise<DataCheck> {
  const files = folderFiles(root);
  const { splits: asked = [], onProgress = () => {} } = options;
  const names = asked.length > 0 ? asked : await splitsOf(data, files);
  const read: { name: string; split: Split | null; error: string | null }[] = [];
  for (const name of names) {
    const one = await readSplit(data, files, name).then(
      (split) => ({ name, split, error: null }),
      (error: Error) => {
        if (!(error instanceof DataError)) throw error;
        return { name, split: null, error: error.message };
      },
    );
    read.push(one);
  }
  const paths = new Set(read.flatMap(({ split }) => split?.pictures.map(({ path }) => path) ?? []));
  const there: string[] = [];
  const missing = new Set<string>();
  const folders = new Map<string, Set<string>>();
  for (const path of paths) {
    const cut = path.lastIndexOf("/");
    const folder = path.slice(0, Math.max(0, cut));
    if (!folders.has(folder)) folders.set(folder, new Set(await files.list(folder)));
    if (folders.get(folder)!.has(path.slice(cut + 1))) there.push(path);
    else missing.add(path);
  }
  const undecodable = await decodeAll(root, there, onProgress);
  const bad = (path: string) => missing.has(path) || undecodable.has(path);
  const splits = read.map(({ name, split, error }): SplitCheck => {
    if (!split) {
      const none = { pictures: 0, missing: 0, undecodable: 0, queries: 0, lost: 0 };
      return { split: name, error, files: [], counts: [], notes: [], ...none };
    }
    const { pictures, queries, sources, notes } = split;
    const gone = new Set([...pictures.keys()].filter((i) => bad(pictures[i]!.path)));
    return {
      ...{ split: name, error, files: sources, counts: countsOf(split), notes },
      ...{ pictures: pictures.length, queries: queries.length },
      missing: pictures.filter(({ path }) => missing.has(path)).length,
      undecodable: pictures.filter(({ path }) => undecodable.has(path)).length,
      lost: queries.filter((query) => isLost(query, gone)).length,
    };
  });
  const whole = splits.every(
    ({ error, counts }) =>
      error === null && counts.every(({ found, published }) => published === null || found === published),
  );
  return {
    ...{ data, root, ok: whole && missing.size === 0 && undecodable.size === 0, splits },
    missing: [...missing].toSorted(),
    undecodable: Array.from(undecodable, ([path, why]) => ({ path, why })).toSorted((a, b) =>
      a.path < b.path ? -1 : 1,
    ),
  };
}

/** Why pictures can't be decoded, by their paths. */
async function decodeAll(
  root: string,
  paths: readonly string[],
  onProgress: (done: number, total: number) => void,
): Promise<Map<string, string>> {
  const faults = new Map<string, string>();
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < paths.length) {
      const path = paths[next++]!;
      const file = join(root, path);
      await tryPicture(file).catch((error: Error) => {
        // The message names the file, and so does the list.
        faults.set(path, error.message.replace(`cannot decode picture ${file}: `, ""));
      });
      if (++done % 100 === 0 || done === paths.length) onProgress(done, paths.length);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return faults;
}
