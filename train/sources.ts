// Checkpoints on disk: a file that is read where needed, and what lies beside it in a folder of Hugging Face's.
import { open, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openCheckpoint } from "../model/checkpoint/open.ts";
import { openSharded } from "../model/checkpoint/safetensors.ts";
import type { ByteSource } from "../model/checkpoint/source.ts";
import type { Checkpoint } from "../model/checkpoint/tensor.ts";
import { CheckpointError } from "../model/safetensors.ts";
import { Tokenizer } from "../model/tokenizer.ts";

/** An open file. */
export type FileSource = ByteSource & { close(): Promise<void> };

/** Opens a file. Throws CheckpointError where it can't be opened. */
export async function openFile(path: string): Promise<FileSource> {
  try {
    const handle = await open(path, "r");
    const { size } = await handle.stat();
    const read = async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    };
    return { name: path, size, read, close: () => handle.close() };
  } catch (cause) {
    throw new CheckpointError(`Cannot open ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** A checkpoint with what its folder tells about it. */
export interface FoundCheckpoint {
  checkpoint: Checkpoint;
  /** The parsed config.json, null where there is none. */
  config: unknown;
  /** The tokens by id, null where the folder has no vocabulary. */
  tokens: readonly string[] | null;
  close(): Promise<void>;
}

/** What a folder's checkpoint is called, the one to be preferred first. */
const usual = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
const endings = /\.(safetensors|bin|pth|pt)$/;
/** Longest JSON or vocabulary that is read. */
const longestText = 16 << 20;

/**
 * Opens a file, an index of several, or the checkpoint in a folder. Throws CheckpointError where there is none or more
 * than one, and as `openCheckpoint` does.
 */
export async function findCheckpoint(path: string): Promise<FoundCheckpoint> {
  const info = await stat(path).catch((cause) => {
    throw new CheckpointError(`Cannot open ${path}: ${cause.message}`, { cause });
  });
  const file = info.isDirectory() ? join(path, await choose(path)) : path;
  const folder = dirname(file);
  const opened: FileSource[] = [];
  const close = async () => {
    await Promise.all(opened.map((source) => source.close()));
  };
  const openOne = async (one: string) => {
    const source = await openFile(one);
    opened.push(source);
    return openCheckpoint(source);
  };
  try {
    const checkpoint = file.endsWith(".index.json")
      ? await openSharded(await readJson(file), (name) => openOne(join(folder, name)))
      : await openOne(file);
    const config = await readJson(join(folder, "config.json"));
    return { checkpoint, config, tokens: await readTokens(folder), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function choose(folder: string): Promise<string> {
  const names = await readdir(folder);
  const known = usual.find((name) => names.includes(name));
  if (known) return known;
  const others = names.filter((name) => endings.test(name));
  if (others.length === 1) return others[0];
  const found = others.length === 0 ? "no checkpoint" : `several checkpoints: ${others.sort().join(", ")}`;
  throw new CheckpointError(`${folder} holds ${found}`);
}

async function readText(path: string): Promise<string | null> {
  const info = await stat(path).catch(() => null);
  if (!info?.isFile()) return null;
  if (info.size > longestText) throw new CheckpointError(`${path} has ${info.size} bytes, too many`);
  return readFile(path, "utf8");
}

/** Parses a JSON file; null where there is none. Throws CheckpointError. */
async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${path}: ${(cause as Error).message}`, { cause });
  }
}

/** The vocabulary of a folder: tokenizer.json, which knows added tokens, or vocab.txt. */
async function readTokens(folder: string): Promise<readonly string[] | null> {
  const settings = (await readJson(join(folder, "tokenizer_config.json"))) as {
    do_lower_case?: unknown;
  } | null;
  if (settings?.do_lower_case === false) {
    throw new CheckpointError(
      `${folder}: its tokenizer keeps capital letters; only lower-case BERTs are read`,
    );
  }
  const json = await readJson(join(folder, "tokenizer.json"));
  const text = json === null ? await readText(join(folder, "vocab.txt")) : null;
  if (json === null && text === null) return null;
  try {
    if (text === null) return Tokenizer.fromJSON(json).vocabulary;
    return new Tokenizer(text.replace(/\r?\n$/, "").split(/\r?\n/)).vocabulary;
  } catch (cause) {
    throw new CheckpointError(`${folder}: ${(cause as Error).message}`, { cause });
  }
}
