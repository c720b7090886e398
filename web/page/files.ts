// Files as people hand them over: chosen, dropped with the folders that they lie in, or pasted.
import { isPicture } from "../../train/data/folder.ts";
import type { Added, PictureFile } from "../messages.ts";
import { el } from "./dom.ts";

/** Files, and those that could not be read. */
export interface Handed {
  files: PictureFile[];
  faults: Added["faults"];
}

/** Adds a file, or why it can't be had: one that is gone, or that the person may not read, keeps no other back. */
export async function addFile(handed: Handed, name: string, open: () => Promise<File>): Promise<void> {
  try {
    handed.files.push({ file: await open(), name });
  } catch (error) {
    handed.faults.push({ name, why: (error as Error).message });
  }
}

/** Files of a drop, those in folders with their paths. */
async function droppedFiles(transfer: DataTransfer): Promise<Handed> {
  // Both must be asked before anything is waited for: afterwards the transfer is empty.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...transfer.files].map((file) => ({ file, name: file.name }));
  if (entries.every((entry) => entry === null)) return { files, faults: [] };
  const found: Handed = { files: [], faults: [] };
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: Handed): Promise<void> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = (entry as FileSystemFileEntry).file.bind(entry);
    await addFile(found, path, () => new Promise<File>((resolve, reject) => file(resolve, reject)));
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

/**
 * What a person drops files on: listeners for an element, which has the class "over" while they hang over it.
 * @param use is given what was dropped as it is being read, which fails where a folder can't be
 */
export const dropListeners = (use: (handed: Promise<Handed>) => unknown) => ({
  dragover: (event: Event) => {
    event.preventDefault();
    (event.currentTarget as Element).classList.add("over");
  },
  dragleave: ({ currentTarget }: Event) => (currentTarget as Element).classList.remove("over"),
  drop: (event: Event) => {
    event.preventDefault();
    (event.currentTarget as Element).classList.remove("over");
    const { dataTransfer } = event as DragEvent;
    if (dataTransfer) void use(droppedFiles(dataTransfer));
  },
});

/** What opens the browser's dialogue for files: an input out of sight, and its label that looks like a button. */
export function fileChooser(
  id: string,
  text: string,
  attributes: Record<string, string | boolean>,
  use: (files: PictureFile[]) => unknown,
): [HTMLInputElement, HTMLLabelElement] {
  const input = el("input", {
    class: "hidden-input",
    attributes: { type: "file", id, ...attributes },
    on: { change: () => void use(chosenFiles(input)) },
  });
  return [input, el("label", { class: "button", text, attributes: { for: id } })];
}

function chosenFiles(input: HTMLInputElement): PictureFile[] {
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
