// Where the files of a run lie: a folder on the disk (disk.ts), or a page's own storage. Whoever reads and writes a run knows
// no more of the place than this, so that a run can move from the one to the other.
import type { ByteSource } from "../../model/checkpoint/source.ts";

/** What a run's folder holds, by role; beside them lie checkpoint-*.safetensors and TensorBoard's events. */
export const files = {
  config: "config.json",
  tokenizer: "tokenizer.json",
  steps: "metrics.jsonl",
  metrics: "metrics.json",
  ranks: "ranks.json",
  model: "model.safetensors",
  best: "best.safetensors",
  report: "report.html",
};

/** An open file. */
export type FileSource = ByteSource & { close(): Promise<void> };

/** All of a file, or what writes it piece by piece. */
export type Content = Uint8Array | string | ((write: (bytes: Uint8Array) => Promise<void>) => Promise<void>);

export interface Store {
  /** What messages call it. */
  readonly name: string;
  /** What messages call one of its files. */
  pathOf(file: string): string;
  /** Names of the files that are there; none where the place is not there itself. */
  list(): Promise<string[]>;
  /** Opens a file, to be read where it lies. Throws CheckpointError where there is none. */
  open(file: string): Promise<FileSource>;
  /** Writes a file so that it either has all of the content or what it had before; the place is made where it is missing. */
  write(file: string, content: Content): Promise<void>;
  /** Writes behind the end of a file, which is made where there is none; half of it may be left where that is interrupted. */
  append(file: string, content: Uint8Array | string): Promise<void>;
  /** Removes a file; one that is not there is fine. */
  remove(file: string): Promise<void>;
}

/** A line of JSON. */
export const lineOf = (value: object) => `${JSON.stringify(value)}\n`;

/** What a file has, line by line; an interrupted write leaves half of one, which is left out. */
export async function linesIn<T>(store: Store, file: string): Promise<T[]> {
  const text = await textIn(store, file);
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}

/** A file as text, "" where there is none. */
export async function textIn(store: Store, file: string): Promise<string> {
  const source = await store.open(file).catch(() => null);
  if (!source) return "";
  try {
    return new TextDecoder().decode(await source.read(0, source.size));
  } finally {
    await source.close();
  }
}
