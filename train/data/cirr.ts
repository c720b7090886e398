// CIRR (Liu et al., ICCV 2021), version rc2: captions/cap.rc2.SPLIT.json and image_splits/split.rc2.SPLIT.json as its
// repository has them, the pictures in img_raw or, as others unpack NLVR2, beside or above these two folders.
import { z } from "zod";
import { entryName, parseJson, quote, readEntries, readText, scan } from "./json.ts";
import { firstThere, Ids, joined, PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Query, type Split } from "./types.ts";

export const cirrSplits = ["train", "val", "test1"] as const;

const entry = z.object({
  pairid: z.int().nonnegative(),
  reference: z.string(),
  target_hard: z.string().optional(),
  target_soft: z.record(z.string(), z.number()).optional(),
  caption: z.string(),
  img_set: z.object({ id: z.int(), members: z.array(z.string()) }),
});

/** The folder that holds captions and image_splits. */
async function annotations(files: Files): Promise<string> {
  const folder = await firstThere(files, ["captions", "cirr/captions", "cirr_dataset/captions"]);
  return folder === null ? "" : folder.slice(0, -"captions".length);
}

/** Names of the splits whose captions are there. */
export async function cirrHas(files: Files): Promise<string[]> {
  const names = await files.list(`${await annotations(files)}captions`);
  return cirrSplits.filter((split) => names.includes(`cap.rc2.${split}.json`));
}

/**
 * Reads a split. The gallery is every name of the split's file; test1 keeps its targets to itself. Throws DataError for a
 * name that is not there, a pairid given twice, and a subset that lacks reference or target.
 */
export async function readCirr(files: Files, split: string): Promise<Split> {
  const base = await annotations(files);
  const list = `${base}image_splits/split.rc2.${split}.json`;
  const captions = `${base}captions/cap.rc2.${split}.json`;
  const index = await readPictures(files, base, list);
  const entries = await readEntries(files, captions, entry);
  const ids = new Ids();
  const queries = entries.map((one, i): Query => {
    const where = `${entryName(captions, i)} (pairid ${one.pairid})`;
    const id = ids.add(`${one.pairid}`, where, "pairid");
    const find = (name: string) => index.find(name, where, list);
    const reference = find(one.reference);
    const members = one.img_set.members.map(find);
    const right = one.target_hard === undefined ? [] : [find(one.target_hard)];
    if (split !== "test1" && right.length === 0)
      throw new DataError(`${where}: field target_hard is missing`);
    if (new Set(members).size !== members.length) {
      throw new DataError(`${where}: a picture is in img_set.members twice`);
    }
    for (const [what, picture] of [
      ["reference", reference],
      ["target_hard", right[0]],
    ] as const) {
      if (picture !== undefined && !members.includes(picture)) {
        throw new DataError(`${where}: ${what} is not among img_set.members`);
      }
    }
    if (right[0] === reference) throw new DataError(`${where}: the target is the reference`);
    return { id, reference, texts: [one.caption], right, members };
  });
  return {
    ...{ data: "cirr", name: split, pictures: index.pictures, queries, notes: [] },
    galleries: [{ name: "split file", pictures: Int32Array.from(index.pictures.keys()) }],
    sources: [
      { file: list, entries: index.pictures.length },
      { file: captions, entries: entries.length },
    ],
  };
}

async function readPictures(files: Files, base: string, list: string): Promise<PictureIndex> {
  const text = await readText(files, list);
  const paths = parseJson(list, text);
  if (typeof paths !== "object" || paths === null || Array.isArray(paths)) {
    throw new DataError(`${list}: an object of names and paths was expected, not ${quote(paths)}`);
  }
  const names = Object.entries(paths);
  const { keys } = scan(text);
  if (keys.length !== names.length) {
    const seen = new Set<string>();
    const twice = keys.find((key) => seen.has(key) || !seen.add(key));
    throw new DataError(`${list}: the name ${quote(twice)} is there twice`);
  }
  const [, first] = names[0] ?? [];
  const above = base.split("/").slice(0, -2).join("/");
  const places = ["img_raw", "", "images"].flatMap((folder) => [joined(base, folder), joined(above, folder)]);
  // Which of the layouts it is shows by the folder of the first picture.
  const folderOf = (root: string) => joined(root, joined(`${first}`).split("/")[0]!);
  const there = await firstThere(files, places.map(folderOf));
  const root = places.find((place) => folderOf(place) === there) ?? joined(base, "img_raw");
  const index = new PictureIndex();
  for (const [name, path] of names) {
    if (typeof path !== "string")
      throw new DataError(`${list}, ${quote(name)}: a path was expected, not ${quote(path)}`);
    index.add(name, joined(root, path));
  }
  return index;
}
