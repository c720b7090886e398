// Any data set by its name.
import { circoHas, readCirco } from "./circo.ts";
import { cirrHas, readCirr } from "./cirr.ts";
import { fashioniqHas, readFashionIQ } from "./fashioniq.ts";
import { readFolder } from "./folder.ts";
import { jsonlHas, readJsonl } from "./jsonl.ts";
import { lascoHas, readLasco } from "./lasco.ts";
import { DataError, type Files, type FolderData, type Split } from "./types.ts";

const readers: Record<
  FolderData,
  { has(files: Files): Promise<string[]>; read(files: Files, split: string): Promise<Split> }
> = {
  cirr: { has: cirrHas, read: readCirr },
  fashioniq: { has: fashioniqHas, read: readFashionIQ },
  lasco: { has: lascoHas, read: readLasco },
  circo: { has: circoHas, read: readCirco },
  jsonl: { has: jsonlHas, read: readJsonl },
  folder: { has: async () => ["all"], read: readFolder },
};

/** Names of the splits that a folder has. Throws DataError where it is none of the data set's. */
export async function splitsOf(data: FolderData, files: Files): Promise<string[]> {
  if ((await files.list("")).length === 0) {
    throw new DataError(`${files.name} is no folder, or an empty one`);
  }
  const found = await readers[data].has(files);
  if (found.length === 0) {
    throw new DataError(`${files.name} holds no annotations of ${data}, or none with entries`);
  }
  return found;
}

/** Reads a split. Throws DataError, which names the splits that are there, for another. */
export async function readSplit(data: FolderData, files: Files, split: string): Promise<Split> {
  const found = await splitsOf(data, files);
  if (!found.includes(split)) {
    throw new DataError(
      `${files.name} has no split ${JSON.stringify(split)} of ${data}, but ${found.join(", ")}`,
    );
  }
  return readers[data].read(files, split);
}
