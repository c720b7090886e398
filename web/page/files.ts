// Files as people hand them over: chosen, dropped with the folders that they lie in, or pasted.
import { isPicture } from "../../train/data/folder.ts";
import type { PictureFile } from "../messages.ts";

/** Files of a drop, those in folders with their paths. */
export async function droppedFiles(transfer: DataTransfer): Promise<PictureFile[]> {
  // Both must be asked before anything is waited for: afterwards the transfer is empty.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...transfer.files];
  if (entries.every((entry) => entry === null)) return files.map((file) => ({ file, name: file.name }));
  const found: PictureFile[] = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: PictureFile[]): Promise<void> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    found.push({ file, name: path });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // At most a hundred come at a time.
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (part.length === 0) return;
    for (const one of part) await walk(one, found);
  }
}

export function chosenFiles(input: HTMLInputElement): PictureFile[] {
  const files = Array.from(input.files ?? [], (file) => ({
    file,
    name: file.webkitRelativePath || file.name,
  }));
  // The same file may be chosen again.
  input.value = "";
  return files;
}

/** The files that are pictures by type or name. */
export function picturesAmong(files: readonly PictureFile[]): PictureFile[] {
  return files.filter(({ file, name }) => file.type.startsWith("image/") || isPicture(name));
}
