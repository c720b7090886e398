// Checkpoints: one safetensors file with parameters, the optimiser's moments and the position in the run, wherever a run's
// files lie. One that has a checkpoint's name is whole; the one before is kept as well.
import { DeviceError, type Shape, sizeOf, type Tensor } from "../../engine/index.ts";
import type { AdamW } from "../../kernels/optimizer/adamw.ts";
import { openSafetensors } from "../../model/checkpoint/safetensors.ts";
import { type Checkpoint, countOf, modelTensors } from "../../model/checkpoint/tensor.ts";
import type { Parameters } from "../../model/parameters.ts";
import { CheckpointError, layoutSafetensors } from "../../model/safetensors.ts";
import type { Store } from "./store.ts";

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

/** Reads a safetensors file of floats as a whole. Throws CheckpointError, naming the file. */
export async function readTensors(
  store: Store,
  file: string,
): Promise<{ values: Values; metadata: Record<string, string> }> {
  return withTensors(store, file, async ({ tensors, metadata }) => {
    const values: Values = new Map();
    for (const [name, { shape, read }] of tensors) values.set(name, { shape, data: await read() });
    return { values, metadata: { ...metadata } };
  });
}

/** Does something with a safetensors file, whose tensors are read where they lie. Throws CheckpointError, naming the file. */
async function withTensors<T>(
  store: Store,
  file: string,
  work: (checkpoint: Checkpoint) => Promise<T>,
): Promise<T> {
  try {
    const source = await store.open(file);
    try {
      return await work(await openSafetensors(source));
    } finally {
      await source.close();
    }
  } catch (cause) {
    if (cause instanceof DeviceError) throw cause;
    throw new CheckpointError(`${store.pathOf(file)}: ${(cause as Error).message}`, { cause });
  }
}

/** Writes f32 tensors to a safetensors file, each read when its turn has come. */
export async function streamTensors(
  store: Store,
  file: string,
  tensors: readonly { name: string; shape: Shape; read(): Promise<Float32Array> }[],
  metadata: Record<string, string> = {},
): Promise<void> {
  const headers = tensors.map(({ name, shape }) => ({ name, shape, dtype: "F32" as const }));
  const { header, ranges } = layoutSafetensors(headers, metadata);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await store.write(file, async (write) => {
    await write(header);
    for (const { name, shape, begin, end } of ranges) {
      const { buffer, byteOffset, byteLength } = await byName.get(name)!.read();
      if (byteLength !== end - begin)
        throw new CheckpointError(`"${name}" has ${byteLength} bytes for [${shape}]`);
      await write(new Uint8Array(buffer, byteOffset, byteLength));
    }
  });
}

/** Writes a checkpoint beside the files of a run, tensor by tensor, and removes all but the last two. Returns its name. */
export async function saveCheckpoint(
  store: Store,
  parameters: Parameters,
  optimizer: AdamW,
  seconds: number,
): Promise<string> {
  const { scaler, step } = optimizer;
  const all = parameters.entries().map((entry) => ({ ...entry, name: `model.${entry.name}` }));
  for (const { name, shape, part } of momentsOf(parameters, optimizer)) {
    const read = async () => {
      const tensor = part();
      const values = (await tensor.read()) as Float32Array;
      tensor.dispose();
      return values;
    };
    all.push({ name, shape, read });
  }
  if (scaler) {
    const { state } = scaler;
    all.push({ name: "loss_scale", shape: state.shape, read: () => state.read() as Promise<Float32Array> });
  }
  const file = `checkpoint-${String(step).padStart(7, "0")}.safetensors`;
  await streamTensors(store, file, all, { step: `${step}`, seconds: `${seconds}` });
  for (const older of (await listCheckpoints(store)).slice(kept)) await store.remove(older);
  return file;
}

/**
 * Writes the parameters of the newest checkpoint as a file of weights, as a run that ends there writes them. Throws
 * CheckpointError.
 */
export async function writeWeights(store: Store, file: string): Promise<void> {
  const [newest] = await listCheckpoints(store);
  if (newest === undefined) throw new CheckpointError(`${store.name} has no checkpoint.`);
  await withTensors(store, newest, async (checkpoint) => {
    const { step } = positionOf(checkpoint);
    const tensors = Array.from(modelTensors(checkpoint.tensors), ([name, { shape, read }]) => ({
      ...{ name, shape, read },
    }));
    await streamTensors(store, file, tensors, { step: `${step}` });
  });
}

/** The names of a run's checkpoints, newest first. */
export async function listCheckpoints(store: Store): Promise<string[]> {
  const names = await store.list();
  return names.filter((name) => pattern.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

const stepOf = (name: string) => Number(pattern.exec(name)![1]);

/** The step of a run's newest checkpoint, null where there is none. */
export async function newestStep(store: Store): Promise<number | null> {
  const [newest] = await listCheckpoints(store);
  return newest === undefined ? null : stepOf(newest);
}

/**
 * Loads the newest checkpoint that can be read; `warn` is told of those that can't.
 * Throws CheckpointError where there is none.
 */
export async function loadCheckpoint(
  store: Store,
  parameters: Parameters,
  optimizer: AdamW,
  warn: (message: string) => void,
): Promise<Position> {
  for (const file of await listCheckpoints(store)) {
    try {
      return await withTensors(store, file, (checkpoint) => restore(checkpoint, parameters, optimizer));
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      warn(`${error.message}; trying the one before.`);
    }
  }
  throw new CheckpointError(`${store.name} has no checkpoint that can be read.`);
}

/** Brings parameters and optimiser to where a checkpoint left them, one tensor after the other. Throws CheckpointError. */
async function restore(checkpoint: Checkpoint, parameters: Parameters, optimizer: AdamW): Promise<Position> {
  const { tensors } = checkpoint;
  const position = positionOf(checkpoint);
  const moments = momentsOf(parameters, optimizer);
  for (const { name, shape } of moments) {
    const entry = tensors.get(name);
    if (!entry || countOf(entry.shape) !== sizeOf(shape))
      throw new CheckpointError(`the optimiser's "${name}" is missing or of another size`);
  }
  await parameters.stream(modelTensors(tensors));
  for (const { name, part } of moments) {
    const values = await tensors.get(name)!.read();
    const tensor = part();
    tensor.engine.write(tensor, values);
    tensor.dispose();
  }
  const { scaler } = optimizer;
  const state = tensors.get("loss_scale");
  if (state) scaler?.state.engine.write(scaler.state, await state.read());
  // The steps so far were in f32.
  else scaler?.restart(position.step);
  optimizer.step = position.step;
  return position;
}

/** Where a run stood when this was written. Throws CheckpointError for another file. */
function positionOf({ metadata = {} }: Checkpoint): Position {
  const step = Number(metadata.step);
  const seconds = Number(metadata.seconds);
  if (!Number.isInteger(step) || !Number.isFinite(seconds)) {
    throw new CheckpointError("says neither step nor seconds, so it is no training checkpoint");
  }
  return { step, seconds };
}

/** Where a run stood when a checkpoint was written. Throws CheckpointError, naming the file. */
export function readPosition(store: Store, file: string): Promise<Position> {
  return withTensors(store, file, async (checkpoint) => positionOf(checkpoint));
}

/** The step that a file of weights is of; null where it doesn't say. Throws CheckpointError, naming the file. */
export function stepIn(store: Store, file: string): Promise<number | null> {
  return withTensors(store, file, async ({ metadata = {} }) =>
    metadata.step ? Number(metadata.step) : null,
  );
}

/** The moments of each parameter that learns, by their names in a checkpoint, as parts of the optimiser's. */
function momentsOf(
  parameters: Parameters,
  optimizer: AdamW,
): { name: string; shape: Shape; part(): Tensor }[] {
  const kinds = { first: optimizer.firstMoments, second: optimizer.secondMoments };
  return Object.entries(kinds).flatMap(([kind, moments]) =>
    parameters.specs.flatMap(({ name, shape }) => {
      const place = parameters.place(name);
      if (!place) return [];
      const moment = moments[place.flat]!;
      const part = () => moment.engine.slice(moment, place.offset, shape);
      return [{ name: `${kind}.${name}`, shape, part }];
    }),
  );
}
