// Checkpoints: one safetensors file with parameters, the optimiser's moments and the position in the run. It is written
// under another name and renamed, so that a file with a checkpoint's name is whole; the one before is kept as well.
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Shape } from "../engine/index.ts";
import { sizeOf } from "../engine/index.ts";
import type { AdamW } from "../kernels/optimizer/adamw.ts";
import type { Parameters } from "../model/parameters.ts";
import { CheckpointError, layoutSafetensors, readSafetensors, toFloat32 } from "../model/safetensors.ts";

/** Where a run stands. */
export interface Position {
  /** Optimiser steps done. */
  step: number;
  /** Seconds of training so far. */
  seconds: number;
}

type Values = Map<string, { shape: Shape; data: Float32Array }>;

const kept = 2;
const pattern = /^checkpoint-(\d+)\.safetensors$/;

/**
 * Makes a folder and those that it lies in; one that is there is fine. Returns those that were made, the innermost first.
 * Node's own way, `recursive`, names the wrong error on a read-only disk and never returns under /proc.
 */
export async function makeFolder(path: string): Promise<string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(path) !== path && !(await isFolder(dirname(path)))) {
      const made = await makeFolder(dirname(path));
      await mkdir(path);
      return [path, ...made];
    }
    if (code !== "ENOENT" && (await isFolder(path))) return [];
    throw error;
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Writes bytes, or what `content` writes, so that `file` either has all of it or what it had before. */
export async function writeAtomically(
  file: string,
  content: Uint8Array | string | ((handle: FileHandle) => Promise<void>),
): Promise<void> {
  await makeFolder(dirname(file));
  const draft = `${file}.${process.pid}.draft`;
  try {
    const handle = await open(draft, "w");
    try {
      if (typeof content === "function") await content(handle);
      else await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** Reads a safetensors file of f32, f16 or bf16 tensors. Throws CheckpointError, naming the file. */
export async function readTensors(
  file: string,
): Promise<{ values: Values; metadata: Record<string, string> }> {
  try {
    const { tensors, metadata } = readSafetensors(await readFile(file));
    const values: Values = new Map();
    for (const [name, entry] of tensors) values.set(name, { shape: entry.shape, data: toFloat32(entry) });
    return { values, metadata: metadata ?? {} };
  } catch (cause) {
    throw new CheckpointError(`${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Writes f32 tensors to a safetensors file. */
export async function writeTensors(
  file: string,
  values: ReadonlyMap<string, { shape: Shape; data: Float32Array }>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const tensors = Array.from(values, ([name, { shape, data }]) => ({ name, shape, read: async () => data }));
  await streamTensors(file, tensors, metadata);
}

/** Writes f32 tensors to a safetensors file, each read when its turn has come. */
export async function streamTensors(
  file: string,
  tensors: readonly { name: string; shape: Shape; read(): Promise<Float32Array> }[],
  metadata: Record<string, string> = {},
): Promise<void> {
  const headers = tensors.map(({ name, shape }) => ({ name, shape, dtype: "F32" as const }));
  const { header, ranges } = layoutSafetensors(headers, metadata);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeAtomically(file, async (handle) => {
    await handle.writeFile(header);
    for (const { name, shape, begin, end } of ranges) {
      const { buffer, byteOffset, byteLength } = await byName.get(name)!.read();
      if (byteLength !== end - begin)
        throw new CheckpointError(`"${name}" has ${byteLength} bytes for [${shape}]`);
      await handle.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
    }
  });
}

/** Writes a checkpoint into the folder of a run and removes all but the last two. Returns the file. */
export async function saveCheckpoint(
  dir: string,
  parameters: Parameters,
  optimizer: AdamW,
  seconds: number,
): Promise<string> {
  const all: Values = new Map();
  for (const [name, entry] of await parameters.read()) all.set(`model.${name}`, entry);
  for (const [kind, moments] of momentsOf(optimizer)) {
    const flats = await Promise.all(moments.map((moment) => moment.read() as Promise<Float32Array>));
    for (const { name, shape } of parameters.specs) {
      const place = parameters.place(name);
      if (!place) continue;
      const data = flats[place.flat]!.subarray(place.offset, place.offset + sizeOf(shape));
      all.set(`${kind}.${name}`, { shape, data });
    }
  }
  const { scaler, step } = optimizer;
  if (scaler) {
    all.set("loss_scale", { shape: scaler.state.shape, data: (await scaler.state.read()) as Float32Array });
  }
  const file = join(dir, `checkpoint-${String(step).padStart(7, "0")}.safetensors`);
  await writeTensors(file, all, { step: `${step}`, seconds: `${seconds}` });
  for (const older of (await listCheckpoints(dir)).slice(kept)) await rm(older, { force: true });
  return file;
}

/** The checkpoints in a run's folder, newest first. */
export async function listCheckpoints(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  return names
    .filter((name) => pattern.test(name))
    .sort((a, b) => stepOf(b) - stepOf(a))
    .map((name) => join(dir, name));
}

const stepOf = (name: string) => Number(pattern.exec(name)![1]);

/** The step of the newest checkpoint in a run's folder, null where there is none. */
export async function newestStep(dir: string): Promise<number | null> {
  const [newest] = await listCheckpoints(dir);
  return newest === undefined ? null : stepOf(basename(newest));
}

/**
 * Loads the newest checkpoint that can be read; `warn` is told of those that can't.
 * Throws CheckpointError where there is none.
 */
export async function loadCheckpoint(
  dir: string,
  parameters: Parameters,
  optimizer: AdamW,
  warn: (message: string) => void,
): Promise<Position> {
  const files = await listCheckpoints(dir);
  if (files.length === 0) {
    throw new CheckpointError(
      `${dir} holds no checkpoint: there is nothing to resume. A run that ended before its first step is started again, ` +
        "and a model without one is gone on from by --init.",
    );
  }
  for (const file of files) {
    try {
      return restore(await readTensors(file), file, parameters, optimizer);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      warn(`${error.message}; trying the one before.`);
    }
  }
  throw new CheckpointError(`${dir} has no checkpoint that can be read.`);
}

function restore(
  { values, metadata }: Awaited<ReturnType<typeof readTensors>>,
  file: string,
  parameters: Parameters,
  optimizer: AdamW,
): Position {
  const step = Number(metadata.step);
  const seconds = Number(metadata.seconds);
  if (!Number.isInteger(step) || !Number.isFinite(seconds)) {
    throw new CheckpointError(`${file}: says neither step nor seconds, so it is no training checkpoint`);
  }
  const part = (prefix: string): Values =>
    new Map(
      Array.from(values)
        .filter(([name]) => name.startsWith(`${prefix}.`))
        .map(([name, entry]) => [name.slice(prefix.length + 1), entry]),
    );
  parameters.load(part("model"));
  for (const [kind, moments] of momentsOf(optimizer)) {
    const stored = part(kind);
    const flats = moments.map((moment) => new Float32Array(moment.size));
    for (const { name, shape } of parameters.specs) {
      const place = parameters.place(name);
      if (!place) continue;
      const entry = stored.get(name);
      if (!entry || entry.data.length !== sizeOf(shape)) {
        throw new CheckpointError(`${file}: the optimiser's "${kind}.${name}" is missing or of another size`);
      }
      flats[place.flat]!.set(entry.data, place.offset);
    }
    moments.forEach((moment, i) => {
      moment.engine.write(moment, flats[i]!);
    });
  }
  const { scaler } = optimizer;
  const state = values.get("loss_scale");
  if (state) scaler?.state.engine.write(scaler.state, state.data);
  // The steps so far were in f32.
  else scaler?.restart(step);
  optimizer.step = step;
  return { step, seconds };
}

function momentsOf(optimizer: AdamW) {
  return [
    ["first", optimizer.firstMoments],
    ["second", optimizer.secondMoments],
  ] as const;
}
