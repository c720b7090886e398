// Somebody else's checkpoint becomes a folder like a run's, and a run becomes a checkpoint for Hugging Face. Both go
// tensor by tensor, so that BLIP-base takes no more memory than its largest one.
import { rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { exportConfig, exportNotes, exportTensors } from "../../model/checkpoint/export.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { type ImportPlan, type PlanOptions, planImport, requireWhole } from "../../model/checkpoint/plan.ts";
import { type Checkpoint, finiteEntry } from "../../model/checkpoint/tensor.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, parseConfig } from "../config.ts";
import { streamTensors } from "./checkpoint.ts";
import { digested } from "./digest.ts";
import { fileAt, folderStore, writeAtomically } from "./disk.ts";
import { RunFolder } from "./folder.ts";
import { loadTokenizer, runConfig } from "./open.ts";
import { findCheckpoint, openFile } from "./sources.ts";
import { files } from "./store.ts";

type Beside = "config" | "preprocessor" | "processor" | "tokenizer" | "tokens";

export interface ImportOptions extends Omit<PlanOptions, Beside | "seed"> {
  /** A file, or a folder with one. */
  source: string;
  /** The folder to be made. */
  out: string;
  /** Told of the plan before anything is written, and before missing tensors are refused. */
  show(plan: ImportPlan): void;
  /** Asked before each tensor whether to leave it, and nothing behind. */
  stop?(): boolean;
}

/** Ends an import that is to stop. */
class Stopped extends Error {}

/** How training would go on from an import: ChatIR's settings (case.md), on the data set that comes with casement. */
const furtherTraining = {
  steps: 1000,
  learningRate: 5e-5,
  decay: "exponential",
  finalLearningRate: 1e-6,
};

/** What an import tells when it is done. */
export interface Imported {
  /** Tensors of floats in the checkpoint, and their digest, see digest.ts. */
  weights: { tensors: number; sha256: string };
}

/**
 * Imports a checkpoint: writes model.safetensors, config.json and tokenizer.json. Throws CheckpointError for a file
 * that can't be read, lacks tensors, or has weights that are not finite, ConfigError where `out` already holds a run.
 * Null where it was stopped.
 */
export async function importCheckpoint({
  source,
  out,
  show,
  stop = () => false,
  ...options
}: ImportOptions): Promise<Imported | null> {
  await requireNew([join(out, files.config), join(out, files.model)]);
  const { checkpoint, close, ...beside } = await findCheckpoint(source);
  try {
    const { tensors, digest } = digested({ ...checkpoint, tensors: stoppable(checkpoint.tensors, stop) });
    const plan = await planImport({ ...checkpoint, tensors }, { ...options, ...beside });
    show(plan);
    requireWhole(plan);
    const run = parseConfig(
      {
        name: basename(resolve(out)),
        data: { kind: "emoji", vocabulary: "bert" },
        model: plan.model,
        // What starts afresh has to learn.
        training: { ...furtherTraining, freezeVision: !startsAfresh(plan, "vision_model.") },
      },
      "the import",
    );
    const tokenizer = new Tokenizer(plan.vocabulary);
    const folder = await RunFolder.make(out, console.warn);
    try {
      // What starts afresh is not read from the checkpoint, and may take long.
      const parameters = plan.parameters.map((one) => ({ ...one, read: unlessStopped(stop, one.read) }));
      const store = folderStore(folder.path);
      await streamTensors(store, files.model, parameters);
      const weights = await digest();
      await store.write(files.tokenizer, JSON.stringify(tokenizer.toJSON()));
      await store.write(files.config, `${JSON.stringify(run, null, 2)}\n`);
      folder.keep();
      return { weights };
    } catch (error) {
      // Nothing that looks like an import may be left.
      await removeAll([files.model, files.tokenizer].map((name) => join(folder.path, name)));
      throw error;
    } finally {
      await folder.close();
    }
  } catch (cause) {
    if (cause instanceof Stopped) return null;
    if (!(cause instanceof CheckpointError)) throw cause;
    throw new CheckpointError(`${source}: ${cause.message}`, { cause });
  } finally {
    await close();
  }
}

/**
 * Writes the model of a run or an import for Hugging Face's BlipForImageTextRetrieval: `out`, or model.safetensors in it
 * where it is a folder or ends as one, with config.json and vocab.txt beside it. Returns the files, and what to know of them.
 * Throws ConfigError where one of them is there, CheckpointError for a model that is no BLIP.
 */
export async function exportCheckpoint(
  dir: string,
  out: string,
): Promise<{ files: string[]; notes: string[] }> {
  const folder = /[/\\]$/.test(out) || (await stat(out).catch(() => null))?.isDirectory() === true;
  const file = folder ? join(out, "model.safetensors") : out;
  const [configFile, vocabularyFile] = ["config.json", "vocab.txt"].map((name) => join(dirname(file), name));
  const written = [file, configFile!, vocabularyFile!];
  await requireNew(written);
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
    await streamTensors(...fileAt(file), exported, { format: "pt" });
    const config = exportConfig(model, vocabulary, temperature);
    await writeAtomically(configFile!, `${JSON.stringify(config, null, 2)}\n`);
    await writeAtomically(vocabularyFile!, `${vocabulary.join("\n")}\n`);
    return { files: written, notes: exportNotes(model) };
  } catch (error) {
    await removeAll(written);
    throw error;
  } finally {
    await source.close();
  }
}

function unlessStopped<T>(stop: () => boolean, read: () => Promise<T>): () => Promise<T> {
  return async () => {
    if (stop()) throw new Stopped();
    return read();
  };
}

/** Tensors that throw Stopped instead of being read once it is time to stop. */
function stoppable(tensors: Checkpoint["tensors"], stop: () => boolean): Checkpoint["tensors"] {
  const entries = Array.from(
    tensors,
    ([name, entry]) => [name, { ...entry, read: unlessStopped(stop, entry.read) }] as const,
  );
  return new Map(entries);
}

/** Whether parameters whose names begin so have no values in the checkpoint. */
function startsAfresh({ fresh }: ImportPlan, beginning: string): boolean {
  return fresh.some(({ names }) => names.some((name) => name.startsWith(beginning)));
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true }).catch(() => {});
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
