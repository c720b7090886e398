// A run from start to finish: data, model, training with checkpoints, evaluation and report, all in one folder:
// config.json, tokenizer.json, metrics.jsonl and TensorBoard's events, checkpoint-*.safetensors, model.safetensors,
// metrics.json, ranks.json, report.html.
import { join } from "node:path";
import { DeviceError, Engine, type EngineOptions } from "../../engine/index.ts";
import { Case } from "../../model/case.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import type { Precision } from "../../model/parameters.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { bertVocabulary, subsetVocabulary } from "../../model/vocabulary.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import type { Dataset, OpenDataset, TrainingSet } from "../data/dataset.ts";
import { openEmoji } from "../data/emoji/index.ts";
import { embedPictures, evaluateSplit } from "../eval/evaluate.ts";
import type { Metrics, SheetRow, StepRecord } from "../eval/metrics.ts";
import { tellCut } from "../inputs.ts";
import { DivergedError, makeModel, Trainer } from "../loop/trainer.ts";
import {
  listCheckpoints,
  loadCheckpoint,
  modelTensors,
  newestStep,
  saveCheckpoint,
  streamTensors,
  writeAtomically,
} from "./checkpoint.ts";
import { loadConfig } from "./config-file.ts";
import { files, RunFolder } from "./folder.ts";
import { Journal } from "./journal.ts";
import { rehearse } from "./rehearsal.ts";
import { openFile } from "./sources.ts";
import { readJson } from "./text.ts";
import { choiceFile } from "./tuning.ts";

/** What a run tells while it goes on. */
export interface RunEvents {
  /** A line for the user. */
  message(text: string): void;
  /** After each training step. */
  step(record: StepRecord, total: number): void;
  /** During evaluation: pictures or splits done. */
  progress(what: string, done: number, total: number): void;
}

export interface TrainOptions {
  out: string;
  events: RunEvents;
  /** Go on from the newest checkpoint in `out`. */
  resume?: boolean;
  /** Start from the model in this folder, an import or a finished run, instead of afresh. */
  init?: string;
  /** Move an earlier run in `out` aside instead of refusing. */
  fresh?: boolean;
  /** Ends training after the step at hand, with a checkpoint, or the evaluation. */
  stop?: () => boolean;
  /** The command that the report names. */
  command: string;
}

/** How a run ended. */
export type Outcome = { finished: true; metrics: Metrics } | { finished: false; step: number };

/** A model with what it needs to embed pictures and texts. */
export interface LoadedModel {
  config: RunConfig;
  engine: Engine;
  model: Case;
  tokenizer: Tokenizer;
}

/** A trained model with what it needs to answer. */
export interface LoadedRun extends LoadedModel {
  dataset: Dataset;
}

/**
 * Trains and evaluates. A new run's folder is made its own when the first step is done, and then has a checkpoint; a
 * configuration that differs from the one of a run that goes on is written to it.
 * Throws ConfigError, CheckpointError, DivergedError, and the engine's errors.
 */
export async function train(config: RunConfig, options: TrainOptions): Promise<Outcome> {
  const { events, resume = false } = options;
  const folder = await (resume
    ? RunFolder.reopen(options.out, events.message)
    : RunFolder.make(options.out, events.message, options.fresh));
  try {
    if (resume && (await newestStep(folder.path)) === null) {
      throw new CheckpointError(
        `${folder.name} holds no checkpoint: there is nothing to resume. A run that ended before its first step is started ` +
          "again; from a model without checkpoints --init goes on.",
      );
    }
    const engine = await openEngine(config);
    try {
      return await trainIn(folder, engine, config, options);
    } finally {
      engine.dispose();
    }
  } finally {
    await folder.close();
  }
}

async function trainIn(
  folder: RunFolder,
  engine: Engine,
  config: RunConfig,
  options: TrainOptions,
): Promise<Outcome> {
  const { events, resume, init } = options;
  requirePrecision(engine, config.precision);
  const rehearsal = rehearse(engine, config);
  // It is awaited below; meanwhile its failure must not count as unhandled.
  rehearsal.catch(() => {});
  const from = resume ? folder.path : init;
  const { whole, tokenizer, model, trainer } = await openTrainer(engine, config, events, from);
  const writeConfig = () =>
    writeAtomically(join(folder.path, files.config), `${JSON.stringify(config, null, 2)}\n`);
  const journal = new Journal(folder.path);
  if (resume) {
    const position = await loadCheckpoint(folder.name, model.parameters, trainer.optimizer, events.message);
    const { step } = position;
    if (step > config.training.steps) {
      throw new ConfigError(`${folder.name} is at step ${step} already, beyond ${config.training.steps}.`);
    }
    trainer.earlierSeconds = position.seconds;
    await journal.open(step);
    events.message(`Resumed ${folder.name} at step ${step} of ${config.training.steps}.`);
  } else if (init !== undefined) await loadModel(init, model);
  else model.parameters.initialize(config.seed);
  events.message(
    `${config.name}: ${(model.parameters.size / 1e6).toFixed(2)} M parameters, ${config.training.steps} steps in ${config.precision}, ` +
      `on ${engine.adapterName}`,
  );
  await rehearsal;
  if (resume) await writeConfig();
  const claim = async () => {
    await folder.claim();
    await writeConfig();
    await writeAtomically(join(folder.path, files.tokenizer), JSON.stringify(tokenizer.toJSON()));
    await journal.open();
  };
  if (!(await trainSteps(trainer, config, folder, journal, claim, options))) {
    return { finished: false, step: trainer.optimizer.step };
  }
  await streamTensors(join(folder.path, files.model), model.parameters.entries());
  trainer.dispose();
  const dataset = await whole();
  const run = { config, engine, model, tokenizer, dataset };
  const { step } = trainer.optimizer;
  // Also the evaluation stops when it is asked to: the run then goes on with it.
  const evaluating = stoppable(events, options.stop);
  const result = await evaluate(run, Object.keys(dataset.splits), evaluating, trainer.seconds).catch(
    (error: unknown) => {
      if (error instanceof StoppedError) return null;
      throw error;
    },
  );
  if (!result) return { finished: false, step };
  const { metrics, ranks, sheet } = result;
  metrics.steps = step;
  await writeAtomically(join(folder.path, files.ranks), `${JSON.stringify(ranks)}\n`);
  await writeAtomically(join(folder.path, files.metrics), `${JSON.stringify(metrics, null, 2)}\n`);
  await journal.evaluated(metrics);
  await report(run, folder.path, await journal.steps(), metrics, sheet, options.command);
  return { finished: true, metrics };
}

class StoppedError extends Error {}

/** Events whose progress throws StoppedError once `stop` says so. */
function stoppable(events: RunEvents, stop = () => false): RunEvents {
  return {
    ...events,
    progress(...progress) {
      if (stop()) throw new StoppedError();
      events.progress(...progress);
    },
  };
}

/** The engine of a run; measured choices of kernels count where the configuration asks for them. */
export function openEngine({ training }: RunConfig, options: EngineOptions = {}): Promise<Engine> {
  return Engine.create({ ...options, ...(training.tuning && { choices: choiceFile() }) });
}

/**
 * What trains a configuration, with parameters that have no values yet.
 * @param from folder whose tokenizer is taken; the data set's own unless told
 */
export async function openTrainer(
  engine: Engine,
  config: RunConfig,
  events: RunEvents,
  from?: string,
): Promise<{ whole: OpenDataset["whole"]; tokenizer: Tokenizer; model: Case; trainer: Trainer }> {
  const { training, whole } = await openDataset(config, events);
  const tokenizer = from !== undefined ? await loadTokenizer(from) : await makeTokenizer(config, training);
  const model = makeModel(engine, config, tokenizer.size);
  const cut = tellCut(tokenizer, config.model, training.texts(), "texts of the training data");
  if (cut) events.message(cut);
  return { whole, tokenizer, model, trainer: new Trainer(engine, model, tokenizer, training, config) };
}

/**
 * Runs the steps that are left, with checkpoints; a new run's first one follows on its first step, before which `claim` is
 * called. Returns whether all were done.
 */
async function trainSteps(
  trainer: Trainer,
  config: RunConfig,
  folder: RunFolder,
  journal: Journal,
  claim: () => Promise<void>,
  { events, stop = () => false }: TrainOptions,
): Promise<boolean> {
  const { steps, checkpointEvery } = config.training;
  const { optimizer } = trainer;
  let told = false;
  const onStep = async (record: StepRecord) => {
    if (record.step === 1) await claim();
    await journal.step(record);
    if (!told && trainer.captured) events.message(describeStep(trainer.captured));
    told = true;
    events.step(record, steps);
  };
  while (optimizer.step < steps && !stop()) {
    const due = (Math.floor(optimizer.step / checkpointEvery) + 1) * checkpointEvery;
    const next = optimizer.step === 0 ? 1 : Math.min(steps, due);
    try {
      await trainer.run(next, onStep, stop);
      await saveCheckpoint(folder.path, trainer.model.parameters, optimizer, trainer.seconds);
    } catch (error) {
      throw await withRemains(error as Error, folder);
    }
  }
  return optimizer.step >= steps;
}

/** An error of training or of the disk, with what is left of the run; any other stays as it is. */
async function withRemains(error: Error, { name, path }: RunFolder): Promise<Error> {
  const diverged = error instanceof DivergedError;
  const { code } = error as NodeJS.ErrnoException;
  if (!diverged && code === undefined) return error;
  const step = await newestStep(path);
  const remains =
    step === null ? "There is no checkpoint yet." : `The checkpoint of step ${step} in ${name} is kept.`;
  const advice = diverged ? " A smaller learningRate or a longer warmup usually helps." : "";
  const message = `${error.message.replace(/([^.])$/, "$1.")} Training stopped. ${remains}${advice}`;
  return diverged ? new DivergedError(message) : new Error(message, { cause: error });
}

function describeStep({ dispatches, memory }: NonNullable<Trainer["captured"]>): string {
  const [planned, naive] = [memory.planned, memory.naive].map((bytes) => (bytes / 2 ** 20).toFixed(1));
  return `A step is ${dispatches} dispatches; its tensors take ${planned} MiB, ${naive} MiB if none shared memory.`;
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

/**
 * Opens a finished run, in the precision that it was trained in unless told. Throws ConfigError or CheckpointError where
 * files are missing or broken, DeviceError where the adapter lacks the precision.
 */
export async function openRun(dir: string, events: RunEvents, options: OpenOptions = {}): Promise<LoadedRun> {
  const run = await openModel(dir, options);
  return { ...run, dataset: await (await openDataset(run.config, events)).whole() };
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
    return { config, engine, model, tokenizer };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/**
 * Loads a model's parameters from a folder or a checkpoint in it, one after the other. Throws CheckpointError and
 * TensorError.
 */
async function loadModel(dir: string, model: Case, checkpoint?: string): Promise<void> {
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

/** The configuration of a run's folder. */
export function runConfig(dir: string): Promise<RunConfig> {
  return loadConfig(join(dir, files.config));
}

/** What an evaluation gave. */
export interface Evaluation {
  metrics: Metrics;
  /** By split, the rank of every query's best right answer. */
  ranks: Record<string, number[]>;
  sheet: SheetRow[];
}

/** Evaluates splits by name. Throws ConfigError for a name that the data set lacks. */
export async function evaluate(
  { engine, model, tokenizer, dataset }: LoadedRun,
  names: readonly string[],
  events: RunEvents,
  earlierSeconds = 0,
): Promise<Evaluation> {
  const started = performance.now();
  for (const name of names) {
    if (!dataset.splits[name]) {
      throw new ConfigError(
        `There is no split "${name}"; there are ${Object.keys(dataset.splits).join(", ")}.`,
      );
    }
  }
  const ids = Int32Array.from({ length: dataset.pictures.count }, (_, i) => i);
  const targets = await embedPictures(engine, model, dataset.pictures, ids, (done) =>
    events.progress("embedding the gallery", done, ids.length),
  );
  const metrics: Metrics = { splits: {}, seconds: 0, adapter: engine.adapterName, steps: 0 };
  const sheet: SheetRow[] = [];
  const ranks: Evaluation["ranks"] = {};
  for (const [i, name] of names.entries()) {
    const split = dataset.splits[name]!;
    const texts = split.queries.map(({ text }) => text);
    const cut = tellCut(tokenizer, model.config, texts, `queries of ${name}`);
    if (cut) events.message(cut);
    const result = await evaluateSplit(engine, model, tokenizer, dataset.pictures, split, targets);
    metrics.splits[name] = result.metrics;
    ranks[name] = result.ranks;
    sheet.push(...result.sheet);
    events.progress("ranking", i + 1, names.length);
  }
  metrics.seconds = earlierSeconds + (performance.now() - started) / 1000;
  return { metrics, ranks, sheet };
}

async function report(
  { config, dataset }: LoadedRun,
  out: string,
  steps: StepRecord[],
  metrics: Metrics,
  sheet: SheetRow[],
  command: string,
): Promise<void> {
  const file = join(out, files.report);
  // Its charts' library takes half a second to load, which nobody waits for before training.
  const { writeReport } = await import("../report/index.ts");
  await writeReport({ file, title: config.name, command, steps, metrics, sheet, pictures: dataset.pictures });
}

/** The data set that a configuration names, as far as it is needed. */
export function openDataset(config: RunConfig, events: Pick<RunEvents, "progress">): Promise<OpenDataset> {
  return openEmoji({
    size: config.model.vision.imageSize,
    onProgress: (done, total) => events.progress("decoding pictures", done, total),
  });
}

/** A fresh run's tokenizer. */
export async function makeTokenizer(config: RunConfig, dataset: TrainingSet): Promise<Tokenizer> {
  const full = await bertVocabulary();
  return new Tokenizer(config.data.vocabulary === "bert" ? full : subsetVocabulary(full, dataset.texts()));
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
