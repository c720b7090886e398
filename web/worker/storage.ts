// A run's files in the page's own storage, the origin's private file system, which the browser keeps from visit to visit.
import { CheckpointError } from "../../model/safetensors.ts";
import type { Store } from "../../train/run/store.ts";
import { blobSource } from "./model.ts";

/** What of it TypeScript's types for pages lack, as they are another worker's. */
interface Folder {
  getFileHandle(name: string, options?: { create?: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create?: boolean }): Promise<Folder>;
  removeEntry(name: string): Promise<void>;
  keys(): AsyncIterable<string>;
}
interface FileHandle {
  getFile(): Promise<File>;
  createWritable(): Promise<{
    write(data: Uint8Array | string): Promise<void>;
    close(): Promise<void>;
    abort(): Promise<void>;
  }>;
  createSyncAccessHandle(): Promise<{
    getSize(): number;
    write(bytes: Uint8Array, options: { at: number }): number;
    flush(): void;
    close(): void;
  }>;
}

export interface PageStore extends Store {
  /** A file to hand out; null where there is none. */
  fileOf(file: string): Promise<File | null>;
}

/** Opens a folder of the storage. Throws, with advice, where the browser keeps nothing. */
export async function openStorage(name: string): Promise<PageStore> {
  const folder = await open(name);
  const fileOf = async (file: string) => {
    const handle = await folder.getFileHandle(file).catch(() => null);
    return handle ? handle.getFile() : null;
  };
  return {
    ...{ name: "this browser", pathOf: (file) => file, fileOf },
    async list() {
      const names: string[] = [];
      // A file that could not be written to its end, or that a closed tab had begun, is there and empty.
      for await (const file of folder.keys()) if ((await fileOf(file))?.size) names.push(file);
      return names;
    },
    async open(file) {
      const blob = await fileOf(file);
      if (!blob) throw new CheckpointError(`${file} is not there`);
      return { ...blobSource(blob, file), close: async () => {} };
    },
    // What is written this way shows when it is closed and not before.
    async write(file, content) {
      const writing = await (await folder.getFileHandle(file, { create: true })).createWritable();
      try {
        if (typeof content === "function") await content((bytes) => writing.write(bytes));
        else await writing.write(content);
        await writing.close();
      } catch (error) {
        await writing.abort().catch(() => {});
        throw told(error);
      }
    },
    async append(file, content) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      const handle = await (await folder.getFileHandle(file, { create: true })).createSyncAccessHandle();
      try {
        handle.write(bytes, { at: handle.getSize() });
        handle.flush();
      } catch (error) {
        throw told(error);
      } finally {
        handle.close();
      }
    },
    async remove(file) {
      await folder.removeEntry(file).catch((error: DOMException) => {
        if (error.name !== "NotFoundError") throw error;
      });
    },
  };
}

async function open(name: string): Promise<Folder> {
  try {
    const root = (await navigator.storage.getDirectory()) as unknown as Folder;
    return await root.getDirectoryHandle(name, { create: true });
  } catch (cause) {
    throw new Error(
      `This browser keeps no files for the page, as some private windows don't, and a run needs them: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** What went wrong with the disk, in words. */
function told(error: unknown): unknown {
  if ((error as DOMException)?.name !== "QuotaExceededError") return error;
  return Object.assign(new Error("The browser's share of the disk is full."), {
    code: "ENOSPC",
    cause: error,
  });
}
