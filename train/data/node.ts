// A folder's files, in Node.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Files } from "./types.ts";

/** The files of a folder. Listings are kept: a data set asks for the same ones again. */
export function folderFiles(root: string): Files {
  const listings = new Map<string, Promise<string[]>>();
  const list = (folder: string) => {
    const known = listings.get(folder);
    if (known) return known;
    const names = readdir(join(root, folder)).catch((error) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
      throw error;
    });
    listings.set(folder, names);
    return names;
  };
  return {
    name: root,
    read: (path) => readFile(join(root, path)),
    list,
    size: async (path) => {
      const info = await stat(join(root, path)).catch(() => null);
      return info?.isFile() ? info.size : null;
    },
  };
}
