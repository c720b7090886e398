// LaSCo (Levy et al., AAAI 2024): lasco_SPLIT.json with the triplets, lasco_SPLIT_corpus.json with the pictures, COCO's
// train2014 and val2014 beside them. The corpora are a list in one split and an object in the other, and their paths begin
// with the split's name ("val/val2014/...") where the triplets' do not ("val2014/...").
import { z } from "zod";
import { checked, entryName, quote, readEntries, readJson } from "./json.ts";
import { firstThere, Ids, joined, PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Query, type Split } from "./types.ts";

export const lascoSplits = ["train", "val"] as const;

const id = z.union([z.int().nonnegative(), z.string()]);
const picture = z.tuple([id, z.string()]);
const entry = z.object({
  qid: z.int().nonnegative(),
  "query-image": picture,
  "query-text": z.string(),
  "target-image": picture,
});
const listed = z.object({ id, path: z.string() });

async function annotations(files: Files): Promise<string> {
  const names = await files.list("");
  return names.some((name) => /^lasco_\w+\.json$/.test(name)) ? "" : "downloads/";
}

/** Names of the splits whose triplets are there. */
export async function lascoHas(files: Files): Promise<string[]> {
  const names = await files.list(await annotations(files));
  return lascoSplits.filter((split) => names.includes(`lasco_${split}.json`));
}

/**
 * Reads a split. The gallery is the corpus; a train split without the file of its corpus has what occurs in a triplet.
 * Throws DataError for a picture that is not in the corpus and a qid given twice.
 */
export async function readLasco(files: Files, split: string): Promise<Split> {
  const base = await annotations(files);
  const [triplets, corpus] = [`${base}lasco_${split}.json`, `${base}lasco_${split}_corpus.json`];
  const root = await pictureRoot(files, split);
  const pathOf = (path: string) =>
    joined(root, path.replace(/^(?:\.\/)?(?:train|val)\/(?=(?:train|val)2014\/)/, ""));
  const index = new PictureIndex();
  const known = split === "val" || (await files.size(corpus)) !== null;
  if (known) {
    for (const [where, id, path] of await readCorpus(files, corpus)) {
      if (index.has(id)) throw new DataError(`${where}: picture ${id} is there twice`);
      index.add(id, pathOf(path));
    }
  }
  const entries = await readEntries(files, triplets, entry);
  const ids = new Ids();
  const queries = entries.map((one, i): Query => {
    const where = `${entryName(triplets, i)} (qid ${one.qid})`;
    const find = ([id, path]: [number | string, string]) =>
      known ? index.find(`${id}`, where, corpus) : index.add(`${id}`, pathOf(path));
    const [reference, target] = [find(one["query-image"]), find(one["target-image"])];
    if (reference === target) throw new DataError(`${where}: the target is the query image`);
    return {
      id: ids.add(`${one.qid}`, where, "qid"),
      reference,
      texts: [one["query-text"]],
      right: [target],
    };
  });
  const sources = [{ file: triplets, entries: entries.length }];
  if (known) sources.unshift({ file: corpus, entries: index.pictures.length });
  return {
    ...{ data: "lasco", name: split, pictures: index.pictures, queries, sources },
    galleries: [
      {
        name: known ? "whole corpus" : "pictures in triplets",
        pictures: Int32Array.from(index.pictures.keys()),
      },
    ],
    notes: known ? [] : [`without ${corpus}: the gallery is the pictures of the triplets`],
  };
}

/** Entries of a corpus: where, id and path. */
async function readCorpus(
  files: Files,
  corpus: string,
): Promise<[where: string, id: string, path: string][]> {
  const value = await readJson(files, corpus);
  if (Array.isArray(value)) {
    return value.map((one, i) => {
      const where = entryName(corpus, i);
      const { id, path } = checked(where, listed, one);
      return [where, `${id}`, path];
    });
  }
  if (typeof value !== "object" || value === null) {
    throw new DataError(`${corpus}: a list or an object was expected, not ${quote(value)}`);
  }
  return Object.entries(value).map(([id, path]) => {
    const where = `${corpus}, ${quote(id)}`;
    return [where, id, checked(where, z.string(), path)];
  });
}

/** The folder that holds train2014 and val2014. */
async function pictureRoot(files: Files, split: string): Promise<string> {
  const roots = ["", split, "images", "coco", "COCO", `images/${split}`];
  const there = await firstThere(
    files,
    roots.map((root) => joined(root, `${split}2014`)),
  );
  return roots.find((root) => joined(root, `${split}2014`) === there) ?? "";
}
