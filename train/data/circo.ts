// CIRCO (Baldrati et al., ICCV 2023): annotations/SPLIT.json as its repository has them, COCO's 2017 unlabeled pictures
// and their list in COCO2017_unlabeled. Several answers are right; those of the test split are kept to itself.
import { z } from "zod";
import { checked, entryName, readEntries, readJson } from "./json.ts";
import { firstThere, Ids, joined, PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Query, type Split } from "./types.ts";

export const circoSplits = ["val", "test"] as const;

const id = z.int().nonnegative();
const entry = z.object({
  id,
  reference_img_id: id,
  target_img_id: id.optional(),
  relative_caption: z.string(),
  shared_concept: z.string(),
  gt_img_ids: z.array(id).min(1).optional(),
});
const info = z.object({ images: z.array(z.unknown()) });
const image = z.object({ id, file_name: z.string() });

/** Names of the splits whose annotations are there. */
export async function circoHas(files: Files): Promise<string[]> {
  const names = await files.list("annotations");
  return circoSplits.filter((split) => names.includes(`${split}.json`));
}

/** Reads a split. Throws DataError for a picture that COCO's list lacks, an id given twice, and answers that disagree. */
export async function readCirco(files: Files, split: string): Promise<Split> {
  const captions = `annotations/${split}.json`;
  const root = (await firstThere(files, ["COCO2017_unlabeled", "coco"])) ?? "COCO2017_unlabeled";
  const list =
    (await firstThere(files, [
      joined(root, "annotations/image_info_unlabeled2017.json"),
      "annotations/image_info_unlabeled2017.json",
    ])) ?? joined(root, "annotations/image_info_unlabeled2017.json");
  const folder =
    (await firstThere(files, [joined(root, "unlabeled2017"), "unlabeled2017"])) ??
    joined(root, "unlabeled2017");
  const index = new PictureIndex();
  const { images } = checked(list, info, await readJson(files, list));
  for (const [i, one] of images.entries()) {
    const where = `${list}, images ${i}`;
    const { id, file_name } = checked(where, image, one);
    if (index.has(`${id}`)) throw new DataError(`${where}: picture ${id} is there twice`);
    index.add(`${id}`, joined(folder, file_name));
  }
  const entries = await readEntries(files, captions, entry);
  const ids = new Ids();
  const queries = entries.map((one, i): Query => {
    const where = `${entryName(captions, i)} (id ${one.id})`;
    const find = (id: number) => index.find(`${id}`, where, list);
    const { target_img_id: target, gt_img_ids: all } = one;
    if ((target === undefined) !== (all === undefined) || (split === "val" && all === undefined)) {
      throw new DataError(`${where}: field ${all === undefined ? "gt_img_ids" : "target_img_id"} is missing`);
    }
    if (all !== undefined && all[0] !== target) {
      throw new DataError(`${where}: target_img_id is not the first of gt_img_ids`);
    }
    if (new Set(all).size !== (all?.length ?? 0))
      throw new DataError(`${where}: an id is in gt_img_ids twice`);
    const right = (all ?? []).map(find);
    const reference = find(one.reference_img_id);
    if (right.includes(reference)) throw new DataError(`${where}: the reference is among gt_img_ids`);
    const [texts, concept] = [[one.relative_caption], one.shared_concept];
    return { id: ids.add(`${one.id}`, where, "id"), reference, texts, right, concept };
  });
  return {
    ...{ data: "circo", name: split, pictures: index.pictures, queries, notes: [] },
    galleries: [{ name: "COCO 2017 unlabeled", pictures: Int32Array.from(index.pictures.keys()) }],
    sources: [
      { file: list, entries: index.pictures.length },
      { file: captions, entries: entries.length },
    ],
  };
}
