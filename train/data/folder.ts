// A folder of pictures as a gallery: every picture file in it and below it, by its path.
import { PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Split } from "./types.ts";

/** Endings of the names of pictures that are read. */
export const endings = ".jpg, .jpeg, .png, .webp, .gif, .avif, .tif and .tiff";
export const isPicture = (name: string) => /\.(jpe?g|png|webp|gif|avif|tiff?)$/i.test(name);
const isOther = (name: string) => /\.(bmp|heic|heif|ico|jp2|jxl|p[bgnp]m|psd|raw|svg|tga)$/i.test(name);

/**
 * Paths of the picture files in and below a folder, in the order of their names; hidden ones are left out.
 * @param others gets the paths of pictures of other formats
 */
export async function pictureFiles(files: Files, others: string[] = [], folder = ""): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await files.list(folder)).toSorted()) {
    if (name.startsWith(".")) continue;
    const path = folder === "" ? name : `${folder}/${name}`;
    if (files.isFolder(path)) found.push(...(await pictureFiles(files, others, path)));
    else if (isPicture(name)) found.push(path);
    else if (isOther(name)) others.push(path);
  }
  return found;
}

/** What to say of pictures that are not read; nothing where there are none. */
export const notesOn = (others: readonly string[]) =>
  others.length === 0 ? [] : [`without ${others.length} files such as ${others[0]}: read are ${endings}`];

/** Reads a folder as a split without queries. Throws DataError where no picture is in it. */
export async function readFolder(files: Files, split: string): Promise<Split> {
  const index = new PictureIndex();
  const others: string[] = [];
  for (const path of await pictureFiles(files, others)) index.add(path, path);
  const { pictures } = index;
  if (pictures.length === 0) throw new DataError(`${files.name} holds no pictures; read are ${endings}`);
  const galleries = [{ name: "folder", pictures: Int32Array.from(pictures.keys()) }];
  return {
    data: "folder",
    name: split,
    pictures,
    queries: [],
    galleries,
    sources: [],
    notes: notesOn(others),
  };
}
