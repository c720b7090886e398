// Folders on the disk, in Node: of runs, of caches, of whatever is written.
import { mkdir, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** How often a folder is tried whose surroundings come and go. */
const tries = 20;

/**
 * Makes a folder and those that it lies in; one that is there is fine. Returns those that were made, the innermost first.
 * Other processes may make and remove any of them meanwhile. Throws the system's error where one can't be made.
 * Node's own way, `recursive`, names the wrong error on a read-only disk and never returns under /proc.
 */
export async function makeFolder(path: string): Promise<string[]> {
  const around = dirname(path);
  const made: string[] = [];
  for (let tried = 1; ; tried++) {
    try {
      await mkdir(path);
      return [path, ...made];
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && (await isFolder(path))) return made;
      // What was there or was made a moment ago may be gone: its maker removes it where it stayed empty.
      if (tried === tries || (code !== "ENOENT" && code !== "EEXIST")) throw error;
      if (code === "ENOENT" && around !== path && !(await isFolder(around)))
        made.unshift(...(await makeFolder(around)));
    }
  }
}
/**
 * Makes a folder and the first thing in it, once more where the folder went in between: whoever had made it has just removed
 * it, empty as it was. The folders that were made here come to the front of `made`, the innermost first.
 */
export async function inFolder<T>(path: string, first: () => Promise<T>, made: string[] = []): Promise<T> {
  for (let tried = 1; ; tried++) {
    made.unshift(...(await makeFolder(path)));
    try {
      return await first();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tried === tries) throw error;
    }
  }
}

/** Removes folders that `makeFolder` made, the innermost first, as far as nothing is in them. */
export async function removeEmpty(made: readonly string[]): Promise<void> {
  for (const path of made) await rmdir(path).catch(() => {});
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
