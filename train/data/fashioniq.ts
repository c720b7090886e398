// FashionIQ (Wu et al., CVPR 2021): captions/cap.CATEGORY.SPLIT.json and image_splits/split.CATEGORY.SPLIT.json as its
// repository has them, and the pictures by their ids in one folder. Two galleries are in use: the "original split", which
// is the split's file, and the "VAL split", which is only what occurs in a query.
import { z } from "zod";
import { entryName, readEntries } from "./json.ts";
import { firstThere, Ids, PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Gallery, type Query, type Split } from "./types.ts";

export const fashioniqSplits = ["train", "val", "test"] as const;
export const categories = ["dress", "shirt", "toptee"] as const;

const entry = z.object({
  candidate: z.string(),
  target: z.string().optional(),
  captions: z.array(z.string()).length(2),
});

const captionsOf = (category: string, split: string) => `captions/cap.${category}.${split}.json`;

/** Names of the splits of which captions are there. */
export async function fashioniqHas(files: Files): Promise<string[]> {
  const names = await files.list("captions");
  return fashioniqSplits.filter((split) =>
    categories.some((one) => names.includes(`cap.${one}.${split}.json`)),
  );
}

/** Files of pictures by their ids, whatever their ending and folder. */
async function pictureFiles(files: Files): Promise<(id: string, category: string) => string> {
  const folder = (await firstThere(files, ["images", "image_data", "resized_image"])) ?? "images";
  const found = new Map<string, string>();
  const gather = async (at: string) => {
    for (const name of await files.list(at)) {
      const [, stem, ending] = /^(.+)\.(jpe?g|png|webp|gif)$/i.exec(name) ?? [];
      if (ending !== undefined) found.set(`${at}/${stem}`, `${at}/${name}`);
    }
  };
  await gather(folder);
  for (const category of categories) await gather(`${folder}/${category}`);
  return (id, category) =>
    found.get(`${folder}/${id}`) ?? found.get(`${folder}/${category}/${id}`) ?? `${folder}/${id}.jpg`;
}

/**
 * Reads a split: every category whose captions are there; the others are told in the notes. Throws DataError where none
 * is, for a picture that is not in the category's split file, and for an id that is there twice.
 */
export async function readFashionIQ(files: Files, split: string): Promise<Split> {
  const present: string[] = [];
  for (const category of categories) {
    if ((await files.size(captionsOf(category, split))) !== null) present.push(category);
  }
  if (present.length === 0) throw new DataError(`${captionsOf("dress", split)} is not in ${files.name}`);
  const fileOf = await pictureFiles(files);
  const index = new PictureIndex();
  const queries: Query[] = [];
  const galleries: Gallery[] = [];
  const sources: { file: string; entries: number }[] = [];
  for (const category of present) {
    const [captions, list] = [captionsOf(category, split), `image_splits/split.${category}.${split}.json`];
    const own = new Set<string>();
    for (const [i, id] of (await readEntries(files, list, z.string())).entries()) {
      if (own.has(id))
        throw new DataError(`${entryName(list, i)}: picture ${JSON.stringify(id)} is there twice`);
      own.add(id);
      index.add(id, fileOf(id, category));
    }
    const entries = await readEntries(files, captions, entry);
    const used = new Set<number>();
    const triplets = new Ids();
    for (const [i, { candidate, target, captions: texts }] of entries.entries()) {
      const where = entryName(captions, i);
      const find = (id: string) => index.find(id, where, list);
      for (const id of [candidate, target ?? candidate]) {
        // A picture of another category is no answer here.
        if (!own.has(id)) throw new DataError(`${where}: picture ${JSON.stringify(id)} is not in ${list}`);
      }
      if (split !== "test" && target === undefined) throw new DataError(`${where}: field target is missing`);
      if (target === candidate) throw new DataError(`${where}: the target is the candidate`);
      const right = target === undefined ? [] : [find(target)];
      // In the test split, where targets are secret, candidate and captions do come twice.
      if (target !== undefined)
        triplets.add(JSON.stringify([candidate, target, ...texts]), where, "the triplet");
      const query = { id: `${category}:${i}`, reference: find(candidate), texts, right, category };
      for (const picture of [query.reference, ...right]) used.add(picture);
      queries.push(query);
    }
    const all = Int32Array.from(own, (id) => index.find(id, list, list));
    galleries.push({ name: "original split", category, pictures: all });
    galleries.push({
      name: split === "val" ? "VAL split" : "pictures in queries",
      category,
      pictures: all.filter((picture) => used.has(picture)),
    });
    sources.push({ file: list, entries: own.size }, { file: captions, entries: entries.length });
  }
  const absent = categories.filter((category) => !present.includes(category));
  const notes =
    absent.length > 0 ? [`without ${absent.join(" and ")}: no ${captionsOf(absent[0]!, split)}`] : [];
  return { data: "fashioniq", name: split, pictures: index.pictures, queries, galleries, sources, notes };
}
