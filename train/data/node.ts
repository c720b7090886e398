// A folder's files, in Node.
import type { Dirent } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Files } from "./types.ts";

/** Names in a folder, without links to it or to what it lies in, in which a walk would not end. */
async function withoutLoops(folder: string, entries: readonly Dirent[]): Promise<string[]> {
  const names: string[] = [];
  for (const entry of entries) {
    const target = entry.isSymbolicLink() ? await realpath(join(folder, entry.name)).catch(() => null) : null;
    const loops = target !== null && `${await realpath(folder)}${sep}`.startsWith(`${target}${sep}`);
    if (!loops) names.push(entry.name);
  }
  return names;
}

/** The files of a folder. Listings are kept: a data set asks for the same ones again. */
export function folderFiles(root: string): Files {
  const listings = new Map<string, Promise<string[]>>();
  const list = (folder: string) => {
    const known = listings.get(folder);
    if (known) return known;
    const names = readdir(join(root, folder), { withFileTypes: true }).then(
      (entries) => withoutLoops(join(root, folder), entries),
      (error) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
        throw error;
      },
    );
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
