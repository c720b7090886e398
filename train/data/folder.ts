// A folder of pictures as a gallery: every picture file in it and below it, by its path.
import { PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Split } from "./types.ts";

export const isPicture = (name: string) => /\.(jpe?g|png|webp|gif|avif|tiff?)$/i.test(name);

/** Paths of the picture files in and below a folder, in the order of their names. */
export async function pictureFiles(files: Files, folder = ""): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await files.list(folder)).toSorted()) {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isPicture(name)) found.push(path);
    else if (!name.startsWith(".")) found.push(...(await pictureFiles(files, path)));
  }
  return found;
}

/** Reads a folder as a split without queries. Throws DataError where no picture is in it. */
export async function readFolder(files: Files, split: string): Promise<Split> {
  const index = new PictureIndex();
  for (const path of await pictureFiles(files)) index.add(path, path);
  const { pictures } = index;
  if (pictures.length === 0) throw new DataError(`${files.name} holds no pictures`);
  const galleries = [{ name: "folder", pictures: Int32Array.from(pictures.keys()) }];
  return { data: "folder", name: split, pictures, queries: [], galleries, sources: [], notes: [] };
}
