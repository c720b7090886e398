// A run from start to finish: data, model, training with checkpoints, evaluation and report, all in one folder:
// config.json, tokenizer.json, metrics.jsonl and TensorBoard's events, checkpoint-*.safetensors, model.safetensors,
// metrics.json, ranks.json, report.html.
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import { AugmentThreads } from "../data/augment-threads.ts";
import { StoppedError } from "../data/open.ts";
import type { Metrics } from "../eval/metrics.ts";
import { tellCut } from "../inputs.ts";
import type { StepRecord, ValidationRecord } from "../loop/record.ts";
import { DivergedError, makeModel, type Trainer } from "../loop/trainer.ts";
import { loadCheckpoint, newestStep, saveCheckpoint, streamTensors, writeAtomically } from "./checkpoint.ts";
import { captionsOf, type OpenSequence, openSequence } from "./data.ts";
import { type Evaluation, evaluate } from "./evaluate.ts";
import type { RunEvents } from "./events.ts";
import { files, RunFolder } from "./folder.ts";
import { Journal } from "./journal.ts";
import { loadModel, loadTokenizer, openEngine, requirePrecision, requireSameModel } from "./open.ts";
import { rehearse } from "./rehearsal.ts";
import { makeTokenizer, textsOf } from "./tokenizer.ts";
import { onDisk } from "./tokens.ts";
import { makeTrainer } from "./trainer.ts";
import { bestOf, Validation } from "./validate.ts";

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
  asked: RunConfig,
  options: TrainOptions,
): Promise<Outcome> {
  const { events, resume, init, stop = () => false } = options;
  requirePrecision(engine, asked.precision);
  if (!resume && init !== undefined) await requireSameModel(init, asked);
  const rehearsal = rehearse(engine, asked);
  // It is awaited below; meanwhile its failure must not count as unhandled.
  rehearsal.catch(() => {});
  const from = resume ? folder.path : init;
  const opened = await unlessStopped(openTrainer(engine, asked, events, { from, stop }));
  if (!opened) return { finished: false, step: (resume && (await newestStep(folder.path))) || 0 };
  const { config, data, tokenizer, model, trainer } = opened;
  try {
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
    const { optimizer } = trainer;
    const validation = await Validation.open({ config, engine, model, tokenizer }, data);
    const begun = { trainer, config, folder, journal, validation };
    const done = await unlessStopped(trainSteps(begun, claim, options));
    if (!done) return { finished: false, step: optimizer.step };
    const weights = join(folder.path, files.model);
    await streamTensors(weights, model.parameters.entries(), { step: `${optimizer.step}` });
    trainer.dispose();
    if (data.evaluated.length === 0)
      events.message(`${data.name} has no split here to evaluate on; training has ended without figures.`);
    // Also the evaluation stops when it is asked to: the run then goes on with it.
    const evaluation = evaluate({ config, engine, model, tokenizer, weights }, data, {
      events: stoppable(events, stop),
      captions: captionsOf(config),
      steps: optimizer.step,
      earlierSeconds: trainer.seconds,
      write: (metrics) =>
        writeAtomically(join(folder.path, files.metrics), `${JSON.stringify(metrics, null, 2)}\n`),
    });
    const result = await unlessStopped(evaluation);
    if (!result) return { finished: false, step: optimizer.step };
    await writeAtomically(join(folder.path, files.ranks), `${JSON.stringify(result.ranks)}\n`);
    await journal.evaluated(result.metrics);
    const journaled = { steps: await journal.steps(), validations: await journal.validations() };
    await report(config.name, folder.path, journaled, result, options.command);
    return { finished: true, metrics: result.metrics };
  } finally {
    await opened.close();
  }
}

/** What work comes to; null where it ended because it was asked to. */
async function unlessStopped<T>(work: Promise<T>): Promise<T | null> {
  return work.catch((error: unknown) => {
    if (error instanceof StoppedError) return null;
    throw error;
  });
}

/** Events whose progress throws StoppedError once `stop` says so. */
function stoppable(events: RunEvents, stop = () => false): RunEvents {
  return {
    ...events,
    progress(...progress) {
      if (stop()) throw new StoppedError("stopped while evaluating");
      events.progress(...progress);
    },
  };
}

/** What trains a configuration, with the data set that it is evaluated on. */
export interface OpenTrainer extends Pick<OpenSequence, "data" | "config" | "close"> {
  tokenizer: Tokenizer;
  /** Its parameters have no values yet. */
  model: Case;
  trainer: Trainer;
}

/**
 * Opens what trains a configuration. Throws as `openSequence`.
 * @param from folder whose tokenizer is taken; the data set's own unless told
 */
export async function openTrainer(
  engine: Engine,
  asked: RunConfig,
  events: RunEvents,
  { from, stop }: { from?: string; stop?: () => boolean } = {},
): Promise<OpenTrainer> {
  const { training, data, config, close } = await openSequence(asked, events, stop);
  const tokenizer = from !== undefined ? await loadTokenizer(from) : await makeTokenizer(config, training);
  const model = makeModel(engine, config, tokenizer.size);
  const cut = tellCut(tokenizer, config.model, textsOf(config, training), "texts of the training data");
  if (cut) events.message(cut);
  const trainer = makeTrainer(engine, model, tokenizer, training, config, {
    keep: onDisk(),
    threads: new AugmentThreads(),
  });
  return { data, config, close, tokenizer, model, trainer };
}

/** A run whose steps are made. */
interface Begun {
  trainer: Trainer;
  config: RunConfig;
  folder: RunFolder;
  journal: Journal;
  validation: Validation | null;
}

/**
 * Runs the steps that are left, with checkpoints and validations, each behind the checkpoint of its step; a new run's first
 * checkpoint follows on its first step, before which `claim` is called. Returns whether training came to its end. Throws
 * StoppedError where a validation was stopped.
 */
async function trainSteps(
  { trainer, config, folder, journal, validation }: Begun,
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
  const validations = optimizer.step > 0 ? await journal.validations() : [];
  for (;;) {
    try {
      if (validation?.isDue(optimizer.step, validations)) {
        const at = { step: optimizer.step, seconds: trainer.seconds };
        const record = await validation.run(folder.path, validations, at, stoppable(events, stop));
        await journal.validated(record);
        validations.push(record);
      }
      if (optimizer.step >= steps) return true;
      if (validation?.isExhausted(validations)) {
        const { step } = bestOf(validations)!;
        events.message(`Nothing better since step ${step}: training ends at step ${optimizer.step}.`);
        return true;
      }
      if (stop()) return false;
      const due = (Math.floor(optimizer.step / checkpointEvery) + 1) * checkpointEvery;
      const next = Math.min(steps, due, validation?.next(optimizer.step) ?? steps);
      await trainer.run(optimizer.step === 0 ? 1 : next, onStep, stop);
      await saveCheckpoint(folder.path, trainer.model.parameters, optimizer, trainer.seconds);
    } catch (error) {
      throw await withRemains(error as Error, folder);
    }
  }
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

async function report(
  title: string,
  out: string,
  journaled: { steps: StepRecord[]; validations: ValidationRecord[] },
  { metrics, sheet, pictures }: Evaluation,
  command: string,
): Promise<void> {
  const file = join(out, files.report);
  // Its charts' library takes half a second to load, which nobody waits for before training.
  const { writeReport } = await import("../report/index.ts");
  await writeReport({ file, title, command, ...journaled, metrics, sheet, pictures });
}
