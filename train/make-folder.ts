// Folders on the disk, in Node: of runs, of caches, of whatever is written.
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder and those that it lies in; one that is there is fine. Returns those that were made, the innermost first.
 * Node's own way, `recursive`, names the wrong error on a read-only disk and never returns under /proc.
 */
export async function makeFolder(path: string): Promise<string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(path) !== path && !(await isFolder(dirname(path)))) {
      const made = await makeFolder(dirname(path));
      await mkdir(path);
      return [path, ...made];
    }
    if (code !== "ENOENT" && (await isFolder(path))) return [];
    throw error;
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
