// A run's files in a folder on the disk, and how any file is written whole or not at all.
import { appendFile, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { inFolder, removeEmpty } from "../make-folder.ts";
import { openFile } from "./sources.ts";
import type { Content, Store } from "./store.ts";

/**
 * Writes bytes, or what `content` writes, so that `file` either has all of it or what it had before. What is no file, such as
 * /dev/stdout, is written to where it stands.
 */
export async function writeAtomically(file: string, content: Content): Promise<void> {
  const draft = (await isSpecial(file)) ? null : draftOf(file);
  try {
    const handle = await inFolder(dirname(file), () => open(draft ?? file, "w"));
    try {
      if (typeof content === "function") await content((bytes) => handle.writeFile(bytes));
      else await handle.writeFile(content);
      if (draft) await handle.sync();
    } finally {
      await handle.close();
    }
    if (draft) await rename(draft, file);
  } catch (error) {
    if (draft) await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

const draftOf = (file: string) => `${file}.${process.pid}.draft`;

/** Whether something is there that is no file: a device, a pipe, a folder. */
const isSpecial = (path: string) =>
  stat(path).then(
    (found) => !found.isFile(),
    () => false,
  );

/**
 * Sees that `writeAtomically` can write a file, before there is anything to write; leaves file and folders as they are.
 * Throws the system's error where it can't.
 */
export async function requireWritable(file: string): Promise<void> {
  // A folder can't be opened so, nor what must not be written.
  const opened = await open(file, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await opened?.close();
  if (await isSpecial(file)) return;
  const draft = draftOf(file);
  const made: string[] = [];
  try {
    await (await inFolder(dirname(file), () => open(draft, "w"), made)).close();
    await rm(draft);
  } finally {
    await removeEmpty(made);
  }
}

/** Removes what writers that were killed have left in a folder, where nobody else writes now; of `files` alone. */
export async function removeDrafts(dir: string, files = /^/): Promise<void> {
  for (const name of await readdir(dir)) {
    if (files.test(name) && /\.\d+\.draft$/.test(name)) await rm(join(dir, name), { force: true });
  }
}

/**
 * A folder, which need not be there yet.
 * @param name as the user named it
 */
export function folderStore(dir: string, name = dir): Store {
  const at = (file: string) => join(dir, file);
  return {
    ...{ name, pathOf: (file) => join(name, file) },
    list: () => readdir(dir).catch(() => []),
    open: (file) => openFile(at(file)),
    write: (file, content) => writeAtomically(at(file), content),
    append: (file, content) => appendFile(at(file), content),
    remove: (file) => rm(at(file), { force: true }),
  };
}

/** The folder of a file, and its name there. */
export function fileAt(path: string): [store: Store, file: string] {
  return [folderStore(dirname(path)), basename(path)];
}
