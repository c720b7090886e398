// Somebody else's checkpoint becomes a folder like a run's, and a run becomes a checkpoint for Hugging Face. Both go
// tensor by tensor, so that BLIP-base takes no more memory than its largest one.
import { mkdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { exportConfig, exportTensors } from "../model/checkpoint/export.ts";
import { openCheckpoint } from "../model/checkpoint/open.ts";
import { type ImportPlan, type PlanOptions, planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { finiteEntry } from "../model/checkpoint/tensor.ts";
import { CheckpointError } from "../model/safetensors.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { streamTensors, writeAtomically } from "./checkpoint.ts";
import { ConfigError, parseConfig } from "./config.ts";
import { digested } from "./digest.ts";
import { files, loadTokenizer, runConfig } from "./run.ts";
import { findCheckpoint, openFile } from "./sources.ts";

export interface ImportOptions extends Omit<PlanOptions, "config" | "tokens" | "seed"> {
  /** A file, or a folder with one. */
  source: string;
  /** The folder to be made. */
  out: string;
  /** Told of the plan before anything is written, and before missing tensors are refused. */
  show(plan: ImportPlan): void;
}

/** How training would go on from an import: ChatIR's settings (case.md), on the data set that comes with casement. */
const furtherTraining = {
  steps: 1000,
  learningRate: 5e-5,
  decay: "exponential",
  finalLearningRate: 1e-6,
  freezeVision: true,
};

/** What an import tells when it is done. */
export interface Imported {
  /** Tensors of floats in the checkpoint, and their digest, see digest.ts. */
  weights: { tensors: number; sha256: string };
}

/**
 * Imports a checkpoint: writes model.safetensors, config.json and tokenizer.json. Throws CheckpointError for a file
 * that can't be read, lacks tensors, or has weights that are not finite, ConfigError where `out` already holds a run.
 */
export async function importCheckpoint({ source, out, show, ...options }: ImportOptions): Promise<Imported> {
  await requireNew([join(out, files.config), join(out, files.model)]);
  const { checkpoint, config, tokens, close } = await findCheckpoint(source);
  try {
    const { tensors, digest } = digested(checkpoint);
    const plan = await planImport({ ...checkpoint, tensors }, { ...options, config, tokens });
    show(plan);
    requireWhole(plan);
    const run = parseConfig(
      {
        name: basename(resolve(out)),
        data: { kind: "emoji", vocabulary: "bert" },
        model: plan.model,
        training: furtherTraining,
      },
      "the import",
    );
    const tokenizer = new Tokenizer(plan.vocabulary);
    const made = await mkdir(out, { recursive: true });
    try {
      await streamTensors(join(out, files.model), plan.parameters);
      const weights = await digest();
      await writeAtomically(join(out, files.tokenizer), JSON.stringify(tokenizer.toJSON()));
      await writeAtomically(join(out, files.config), `${JSON.stringify(run, null, 2)}\n`);
      return { weights };
    } catch (error) {
      // Nothing that looks like an import may be left, nor a folder that was not there before.
      await rm(join(out, files.model), { force: true });
      if (made !== undefined) await rm(made, { recursive: true, force: true });
      throw error;
    }
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause;
    throw new CheckpointError(`${source}: ${cause.message}`, { cause });
  } finally {
    await close();
  }
}

/**
 * Writes the model of a run or an import as `file` for Hugging Face's BlipForImageTextRetrieval, with config.json and
 * vocab.txt beside it. Throws ConfigError where one of them is there, CheckpointError for a model that is no BLIP.
 */
export async function exportCheckpoint(dir: string, file: string): Promise<void> {
  const beside = (name: string) => join(dirname(file), name);
  await requireNew([file, beside("config.json"), beside("vocab.txt")]);
  const { model } = await runConfig(dir);
  const { vocabulary } = await loadTokenizer(dir);
  const source = await openFile(join(dir, files.model));
  try {
    const opened = await openCheckpoint(source);
    const tensors = new Map(
      Array.from(opened.tensors, ([name, entry]) => [name, finiteEntry(name, entry)] as const),
    );
    const exported = exportTensors(model, vocabulary.length, tensors);
    const [temperature] = await tensors.get("temp")!.read();
    await streamTensors(file, exported, { format: "pt" });
    const config = exportConfig(model, vocabulary, temperature);
    await writeAtomically(beside("config.json"), `${JSON.stringify(config, null, 2)}\n`);
    await writeAtomically(beside("vocab.txt"), `${vocabulary.join("\n")}\n`);
  } finally {
    await source.close();
  }
}

async function requireNew(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const exists = await stat(path).then(
      () => true,
      () => false,
    );
    if (exists) throw new ConfigError(`${path} is already there; choose another --out.`);
  }
}
