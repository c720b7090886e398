// A folder's files, in Node.
import type { Dirent } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Files } from "./types.ts";

/**
 * Names in a folder, without links to it or to what it lies in, in which a walk would not end.
 * @param folders gets the paths of those that are folders
 */
async function withoutLoops(
  folder: string,
  entries: readonly Dirent[],
  folders: Set<string>,
): Promise<string[]> {
  const names: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const target = entry.isSymbolicLink() ? await realpath(path).catch(() => null) : null;
    const loops = target !== null && `${await realpath(folder)}${sep}`.startsWith(`${target}${sep}`);
    if (loops) continue;
    names.push(entry.name);
    if (entry.isDirectory() || (target !== null && (await stat(target)).isDirectory())) folders.add(path);
  }
  return names;
}

/** The files of a folder. Listings are kept: a data set asks for the same ones again. */
export function folderFiles(root: string): Files {
  const listings = new Map<string, Promise<string[]>>();
  const folders = new Set<string>();
  const list = (folder: string) => {
    const known = listings.get(folder);
    if (known) return known;
    const names = readdir(join(root, folder), { withFileTypes: true }).then(
      (entries) => withoutLoops(join(root, folder), entries, folders),
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
    isFolder: (path) => folders.has(join(root, path)),
    size: async (path) => {
      const info = await stat(join(root, path)).catch(() => null);
      return info?.isFile() ? info.size : null;
    },
  };
}
