// A run's folder. It belongs to one process while that lives (lock.ts), and it becomes a run's only when the first step is
// done: what fails before leaves it as it was, an earlier run in it included.
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join, normalize, resolve } from "node:path";
import { ConfigError, parseConfig } from "../config.ts";
import { removeEmpty } from "../make-folder.ts";
import { listCheckpoints } from "./checkpoint.ts";
import { folderStore, removeDrafts } from "./disk.ts";
import { lockFolder, makeLocked, type Unlock } from "./lock.ts";
import { files } from "./store.ts";

export class RunFolder {
  private unlock: Unlock | null = null;
  /** Folders that were made for this one, the innermost first. */
  private made: string[] = [];
  /** Where an earlier run goes, as the user would name it. */
  private readonly aside: string;

  private constructor(
    /** As the user named it. */
    readonly name: string,
    /** Absolute: the current folder may be the one that is moved aside. */
    readonly path: string,
    private readonly tell: (message: string) => void,
  ) {
    const plain = normalize(name).replace(/(?<=.)[/\\]+$/, "");
    this.aside = `${/^\.{0,2}$/.test(basename(plain)) ? path : plain}.previous`;
  }

  /** Locks the folder of a run that goes on. Throws ConfigError where another process has it. */
  static async reopen(name: string, tell: (message: string) => void): Promise<RunFolder> {
    const folder = new RunFolder(name, resolve(name), tell);
    await folder.lock();
    return folder;
  }

  /**
   * Makes and locks the folder of a new run. Throws ConfigError where it holds a run, unless `claim` may move that aside,
   * where it holds what would be overwritten and is no run's, and where another process has it.
   */
  static async make(name: string, tell: (message: string) => void, fresh = false): Promise<RunFolder> {
    const folder = new RunFolder(name, resolve(name), tell);
    if (await holdsRun(folder.path, name)) {
      if (!fresh) {
        throw new ConfigError(
          `${name} already holds a run: go on with --resume ${name}, or choose another --out.`,
        );
      }
      await folder.requireAside();
    }
    ({ made: folder.made, unlock: folder.unlock } = await makeLocked(folder.path, name, tell));
    try {
      await removeDrafts(folder.path);
    } catch (error) {
      await folder.close();
      throw error;
    }
    return folder;
  }

  /** Makes the folder this run's: an earlier run is moved aside. */
  async claim(): Promise<void> {
    if (await holdsRun(this.path, this.name)) {
      await this.requireAside();
      const aside = resolve(this.aside);
      await rm(aside, { recursive: true, force: true });
      await rename(this.path, aside);
      this.tell(`The earlier run was moved to ${this.aside}.`);
      await mkdir(this.path);
      const unlock = this.unlock;
      await this.lock();
      await unlock?.(aside);
    }
    this.keep();
  }

  /** Lets a folder that was made stay. */
  keep(): void {
    this.made = [];
  }

  /** Lets other processes have the folder; one that was made and never claimed goes again. */
  async close(): Promise<void> {
    await this.unlock?.(this.path);
    this.unlock = null;
    await removeEmpty(this.made);
    this.made = [];
  }

  private async lock(): Promise<void> {
    this.unlock = await lockFolder(this.path, this.name, this.tell);
    await removeDrafts(this.path);
  }

  /** Throws ConfigError where what lies in the way of the earlier run is not one before that. */
  private async requireAside(): Promise<void> {
    const names = await readdir(resolve(this.aside)).catch((error) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    if (names.length > 0 && !(await holdsRun(resolve(this.aside), this.aside))) {
      throw new ConfigError(`${this.aside}, where the earlier run would go, holds something else.`);
    }
  }
}

/**
 * Whether a folder holds a run that came to a checkpoint, or an import. Throws ConfigError where it holds files of the same
 * names that are no run's.
 */
async function holdsRun(path: string, name: string): Promise<boolean> {
  const config = await readFile(join(path, files.config), "utf8").catch(() => null);
  const names = await readdir(path).catch((): string[] => []);
  const ours = [...Object.values(files), ...(await listCheckpoints(folderStore(path)))];
  const found = ours.filter((file) => names.includes(file));
  if (!isRunConfig(config)) {
    if (found.length === 0) return false;
    throw new ConfigError(`${name} holds ${found[0]} and no run's ${files.config}; choose another folder.`);
  }
  return found.some((file) => file.endsWith(".safetensors"));
}

function isRunConfig(text: string | null): boolean {
  try {
    parseConfig(JSON.parse(text ?? ""), "");
    return true;
  } catch {
    return false;
  }
}
