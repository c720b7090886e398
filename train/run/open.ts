// Opens what a run or an import left in its folder: configuration, tokenizer, weights.
import { join } from "node:path";
import { DeviceError, Engine, type EngineOptions } from "../../engine/index.ts";
import { Case } from "../../model/case.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { modelTensors } from "../../model/checkpoint/tensor.ts";
import type { Precision } from "../../model/parameters.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import { listCheckpoints } from "./checkpoint.ts";
import { loadConfig } from "./config-file.ts";
import { files } from "./folder.ts";
import { openFile } from "./sources.ts";
import { readJson } from "./text.ts";
import { choiceFile } from "./tuning.ts";

/** A model with what it needs to embed pictures and texts. */
export interface LoadedModel {
  config: RunConfig;
  engine: Engine;
  model: Case;
  tokenizer: Tokenizer;
  /** The file that its weights are in. */
  weights: string;
}

/** The engine of a run; measured choices of kernels count where the configuration asks for them. */
export function openEngine({ training }: RunConfig, options: EngineOptions = {}): Promise<Engine> {
  return Engine.create({ ...options, ...(training.tuning && { choices: choiceFile() }) });
}

/** Throws DeviceError where the adapter can't compute in this precision. */
export function requirePrecision(engine: Engine, precision: Precision): void {
  if (precision === "f16" && !engine.hasF16) {
    throw new DeviceError(
      `Precision f16 needs the feature shader-f16, which ${engine.adapterName} lacks; choose f32.`,
    );
  }
}

export interface OpenOptions {
  /** That of the run unless told. */
  precision?: Precision;
  /** A checkpoint of the run, in place of what it ended with. */
  checkpoint?: string;
}

/** Opens the model of a finished run or of an import, without a data set. Throws as `openRun`. */
export async function openModel(
  dir: string,
  { precision, checkpoint }: OpenOptions = {},
): Promise<LoadedModel> {
  const stored = await loadConfig(join(dir, files.config));
  const config = { ...stored, precision: precision ?? stored.precision };
  const tokenizer = await loadTokenizer(dir);
  const engine = await openEngine(config);
  try {
    requirePrecision(engine, config.precision);
    const options = { trainable: () => false, precision: config.precision };
    const model = new Case(engine, config.model, tokenizer.size, options);
    await loadModel(dir, model, checkpoint);
    return { config, engine, model, tokenizer, weights: checkpoint ?? join(dir, files.model) };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/**
 * Loads a model's parameters from a folder or a checkpoint in it, one after the other. Throws CheckpointError and
 * TensorError.
 */
export async function loadModel(dir: string, model: Case, checkpoint?: string): Promise<void> {
  const [newest] = checkpoint === undefined ? await listCheckpoints(dir) : [];
  const source = await openFile(checkpoint ?? join(dir, files.model)).catch((error: Error) => {
    if (newest === undefined) throw error;
    throw new CheckpointError(
      `${dir} has no ${files.model} yet, as its run has not ended; its newest state is --checkpoint ${newest}.`,
      { cause: error },
    );
  });
  try {
    const { tensors } = await openCheckpoint(source);
    await model.parameters.stream(modelTensors(tensors));
  } finally {
    await source.close();
  }
}

/** What another model can have otherwise and yet compute the same from the same weights: how it starts, learns and is asked. */
const free =
  /^(initiali[sz].*|embeddingRange|temperature\..*|fusion|text\.(dropout|maxLength)|vision\.(fit|zoom|filter))$/;

/**
 * Throws ConfigError, naming the fields, where a folder's model computes something else from its weights than a
 * configuration's would, such as one with other heads: their shapes need not tell.
 */
export async function requireSameModel(dir: string, { model }: RunConfig): Promise<void> {
  const theirs = fieldsOf((await runConfig(dir)).model);
  const different = [...fieldsOf(model)].filter(
    ([path, value]) => !free.test(path) && theirs.get(path) !== value,
  );
  if (different.length === 0) return;
  const told = different.map(
    ([path, value]) => `model.${path} is ${theirs.get(path)} there and ${value} here`,
  );
  throw new ConfigError(
    `The model in ${dir} is another one: ${told.join(", ")}. Its weights would compute something else; ` +
      `take these fields from ${join(dir, files.config)}.`,
  );
}

/** The fields of a configuration by their paths, lists as they are written. */
function fieldsOf(value: object, path = ""): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]): [string, string][] => {
      const name = path === "" ? key : `${path}.${key}`;
      const isGroup = typeof inner === "object" && inner !== null && !Array.isArray(inner);
      return isGroup ? [...fieldsOf(inner, name)] : [[name, JSON.stringify(inner)]];
    }),
  );
}

/** The configuration of a run's folder. */
export function runConfig(dir: string): Promise<RunConfig> {
  return loadConfig(join(dir, files.config));
}

/** The tokenizer of a run's folder. Throws CheckpointError. */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const file = join(dir, files.tokenizer);
  try {
    const json = await readJson(file);
    if (json === null) throw new Error("there is no such file");
    return Tokenizer.fromJSON(json);
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
