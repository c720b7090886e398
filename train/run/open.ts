// Opens what a run or an import left in its folder: configuration, tokenizer, weights.
import { join } from "node:path";
import { Engine, type EngineOptions } from "../../engine/index.ts";
import { useMatrixUnits } from "../../kernels/matmul/matrix.ts";
import { Case, joinSpecs } from "../../model/case.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { modelTensors } from "../../model/checkpoint/tensor.ts";
import { type Inference, inferenceOptions, initialValues } from "../../model/parameters.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import { listCheckpoints } from "./checkpoint.ts";
import { loadConfig } from "./config-file.ts";
import { folderStore } from "./disk.ts";
import { requirePrecision, requireSame } from "./fitting.ts";
import { openFile } from "./sources.ts";
import { files } from "./store.ts";
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
  // Among them are those that a trainer measures.
  if (training.tuning) useMatrixUnits();
  return Engine.create({ ...options, ...(training.tuning && { choices: choiceFile() }) });
}

export interface OpenOptions {
  /** That of the run unless told. */
  precision?: Inference;
  /** A checkpoint of the run, in place of what it ended with. */
  checkpoint?: string;
}

/** Opens the model of a finished run or of an import, without a data set. Throws as `openRun`. */
export async function openModel(
  dir: string,
  { precision, checkpoint }: OpenOptions = {},
): Promise<LoadedModel> {
  const stored = await loadConfig(join(dir, files.config));
  const options = inferenceOptions(precision ?? stored.precision);
  const config = { ...stored, precision: options.precision };
  const tokenizer = await loadTokenizer(dir);
  const engine = await openEngine(config);
  try {
    requirePrecision(engine, config.precision);
    const model = new Case(engine, config.model, tokenizer.size, { trainable: () => false, ...options });
    await loadModel(dir, model, { checkpoint });
    return { config, engine, model, tokenizer, weights: checkpoint ?? join(dir, files.model) };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/**
 * Loads a model's parameters from a folder or a checkpoint in it, one after the other. Throws CheckpointError and
 * TensorError.
 * @param seed draws what joins picture and text where the folder's model, of another fusion, lacks that; the
 * reference's projection starts as the pictures'
 * @returns the names of what was lacking
 */
export async function loadModel(
  dir: string,
  model: Case,
  { checkpoint, seed }: { checkpoint?: string; seed?: number } = {},
): Promise<string[]> {
  const [newest] = checkpoint === undefined ? await listCheckpoints(folderStore(dir)) : [];
  const source = await openFile(checkpoint ?? join(dir, files.model)).catch((error: Error) => {
    if (newest === undefined) throw error;
    throw new CheckpointError(
      `${dir} has no ${files.model} yet, as its run has not ended; its newest state is --checkpoint ${join(dir, newest)}.`,
      { cause: error },
    );
  });
  try {
    const { tensors } = await openCheckpoint(source);
    const values = new Map(modelTensors(tensors));
    const fresh = seed === undefined ? [] : joinSpecs(model.config).filter(({ name }) => !values.has(name));
    for (const spec of fresh) {
      // References are pictures: what projects those projects these too, until it learns.
      const like = values.get(spec.name.replace("reference_proj.", "vision_proj."));
      values.set(
        spec.name,
        like ?? { dtype: "f32", shape: spec.shape, read: async () => initialValues(spec, seed!) },
      );
    }
    await model.parameters.stream(values);
    return fresh.map(({ name }) => name);
  } finally {
    await source.close();
  }
}

/** Throws ConfigError, naming the fields, where a folder's model computes something else than a configuration's would. */
export async function requireSameModel(dir: string, { model }: RunConfig): Promise<void> {
  requireSame((await runConfig(dir)).model, model, dir, join(dir, files.config));
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
