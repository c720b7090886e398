// Checkpoints on disk: a file that is read where needed, and what lies beside it in a folder of Hugging Face's.

import type { Stats } from "node:fs";
import { open, readdir, readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { openSharded } from "../../model/checkpoint/safetensors.ts";
import type { Checkpoint } from "../../model/checkpoint/tensor.ts";
import { tokensOf } from "../../model/checkpoint/words.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { isMark, Tokenizer } from "../../model/tokenizer.ts";
import type { FileSource } from "./store.ts";
import { readJson, readText } from "./text.ts";

/** Opens a file. Throws CheckpointError where it can't be opened or read, or is none. */
export async function openFile(path: string): Promise<FileSource> {
  const failed = (what: string) => (cause: Error) => {
    throw new CheckpointError(`Cannot ${what} ${path}: ${cause.message}`, { cause });
  };
  // Before it is opened: a pipe would wait for a writer.
  if (!(await find(path)).isFile()) throw new CheckpointError(`${path} is no file`);
  const handle = await open(path, "r").catch(failed("open"));
  const { size } = await handle.stat();
  const read = async (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle
        .read(bytes, filled, length - filled, offset + filled)
        .catch(failed("read"));
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  };
  return { name: path, size, read, close: () => handle.close() };
}

/** What is at a path. Throws CheckpointError where nothing is; a link of a model cache may lead to what was removed. */
async function find(path: string): Promise<Stats> {
  return stat(path).catch(async (cause) => {
    const target = cause.code === "ENOENT" ? await readlink(path).catch(() => null) : null;
    const why = target === null ? cause.message : `it is a link to ${target}, which is not there`;
    throw new CheckpointError(`Cannot open ${path}: ${why}`, { cause });
  });
}

/** A checkpoint with what its folder tells about it. */
export interface FoundCheckpoint {
  checkpoint: Checkpoint;
  /** The parsed config.json, null where there is none. */
  config: unknown;
  /** The parsed preprocessor_config.json, null where there is none. */
  preprocessor: unknown;
  /** The parsed processor_config.json, null where there is none. */
  processor: unknown;
  /** The parsed tokenizer_config.json, null where there is none. */
  tokenizer: unknown;
  /**
   * The tokens by id, empty for a blank line of vocab.txt; null where the folder has no vocabulary; what is wrong with
   * the one that there is, for CLIP's is none that a picture needs.
   */
  tokens: readonly string[] | CheckpointError | null;
  close(): Promise<void>;
}

/** What a folder's checkpoint is called, the one to be preferred first. */
const usual = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
/** Ids behind a vocabulary that added tokens may have. */
const mostAdded = 65_536;
/** What trainers keep beside a model. */
const besides = /^(optimizer|scheduler|scaler|training_args|rng_state)[^/]*$/;
const endings = /\.(safetensors|bin|pth|pt|ckpt)(\.tar)?$/i;

/**
 * Opens a file, an index of several, or the checkpoint in a folder. Throws CheckpointError where there is none or more
 * than one, and as `openCheckpoint` does.
 */
export async function findCheckpoint(path: string): Promise<FoundCheckpoint> {
  const info = await find(path);
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
    const beside = (name: string) => readJson(join(folder, name));
    return {
      checkpoint,
      config: await beside("config.json"),
      preprocessor: await beside("preprocessor_config.json"),
      processor: await beside("processor_config.json"),
      tokenizer: await beside("tokenizer_config.json"),
      tokens: await readTokens(folder),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function choose(folder: string): Promise<string> {
  const names = await readdir(folder).catch((cause) => {
    throw new CheckpointError(`Cannot read ${folder}: ${cause.message}`, { cause });
  });
  const known = usual.find((name) => names.includes(name));
  if (known) return known;
  const indexes = names.filter((name) => /\.(safetensors|bin)\.index\.json$/.test(name));
  const others =
    indexes.length === 1 ? indexes : names.filter((name) => endings.test(name) && !besides.test(name));
  if (others.length === 1) return others[0];
  if (others.length > 1)
    throw new CheckpointError(`${folder} holds several checkpoints, name one: ${some(others)}`);
  const hint = names.includes("snapshots")
    ? "; in a cache of Hugging Face's name a folder in its snapshots"
    : "";
  throw new CheckpointError(
    `${folder} holds no checkpoint${names.length > 0 ? `, but ${some(names)}` : ""}${hint}`,
  );
}

/** The first few of many names. */
function some(names: readonly string[]): string {
  const most = 8;
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return `${names.toSorted().slice(0, most).join(", ")}${more}`;
}

/** The tokens of a vocab.txt with those of an added_tokens.json, which gives ids behind them. Throws an Error. */
function withAdded(tokens: readonly string[], added: unknown): string[] {
  const all = [...tokens];
  for (const [token, id] of Object.entries(added ?? {})) {
    if (!Number.isInteger(id) || id < 0 || id > tokens.length + mostAdded || (all[id] || token) !== token)
      throw new Error(`added_tokens.json gives ${JSON.stringify(token)} the id ${id}, which is not free`);
    // This file doesn't tell words from special tokens, which no text has: those are in brackets of some kind.
    if (!isMark(token) && !/^<.*>$/.test(token) && id >= tokens.length)
      throw new Error(`added_tokens.json: ${JSON.stringify(token)} within a text is not supported`);
    all[id] = token;
  }
  return Array.from(all, (token) => token ?? "");
}

/** The vocabulary of a folder: tokenizer.json, which knows added tokens, or vocab.txt. */
async function readTokens(folder: string): Promise<FoundCheckpoint["tokens"]> {
  const json = await readJson(join(folder, "tokenizer.json"));
  const text = json === null ? await readText(join(folder, "vocab.txt")) : null;
  if (json === null && text === null) return null;
  try {
    if (text === null) return Tokenizer.fromJSON(json).vocabulary;
    const tokens = withAdded(tokensOf(text), await readJson(join(folder, "added_tokens.json")));
    // Only asked whether it is one.
    new Tokenizer(tokens.filter((token) => token !== ""));
    return tokens;
  } catch (cause) {
    return new CheckpointError(`${folder}: ${(cause as Error).message}`, { cause });
  }
}
