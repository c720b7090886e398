// One process at a time in a run's folder: a lock of the operating system's on a file in it. The system takes it back when
// the process ends, however it ends, so no lock outlives a kill -9 or is mistaken for that of another process with its
// number; where the file system keeps locks between machines (NFS from version 4 on), those count as well.
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../config.ts";
import { inFolder, removeEmpty } from "../make-folder.ts";

const lockName = "lock";

/** Gives back a lock; `dir` says where the folder lies by now. */
export type Unlock = (dir: string) => Promise<void>;

/**
 * Makes a folder where there is none and locks it, as `lockFolder`. Returns the folders that were made, the innermost
 * first; none stays where the lock is another's.
 */
export async function makeLocked(
  dir: string,
  named: string,
  warn: (message: string) => void,
): Promise<{ made: string[]; unlock: Unlock }> {
  const made: string[] = [];
  try {
    return { made, unlock: await inFolder(dir, () => lockFolder(dir, named, warn), made) };
  } catch (error) {
    await removeEmpty(made);
    throw error;
  }
}

/**
 * Locks a folder that is there. Throws ConfigError, with the folder's name, where another process has it. Where the file
 * system has no locks, `warn` is told and nothing is locked.
 */
export async function lockFolder(
  dir: string,
  named: string,
  warn: (message: string) => void,
): Promise<Unlock> {
  const file = join(dir, lockName);
  while (true) {
    const handle = await open(file, "a+");
    try {
      await take(handle, named, warn);
      // Whoever held it before may have removed the file in between; what is locked then is no file that others find.
      const found = await stat(file).catch(() => null);
      if (found?.ino === (await handle.stat()).ino) {
        await handle.truncate();
        await handle.writeFile(`process ${process.pid} on ${hostname()}`);
        return async (now) => {
          await rm(join(now, lockName), { force: true });
          await handle.close();
        };
      }
      await handle.close();
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

async function take(handle: FileHandle, named: string, warn: (message: string) => void): Promise<void> {
  let taken: boolean;
  try {
    taken = (await import("fs-native-extensions")).tryLock(handle.fd);
  } catch (cause) {
    return warn(`${named} can't be locked against a second process: ${(cause as Error).message}`);
  }
  if (taken) return;
  const holder = (await handle.readFile("utf8")).slice(0, 200);
  throw new ConfigError(
    `${named} is in use by ${holder || "another process"}; end that first, or choose another folder.`,
  );
}
