// A run from start to finish: data, model, training with checkpoints, evaluation and report, all in one folder:
// config.json, tokenizer.json, metrics.jsonl and TensorBoard's events, checkpoint-*.safetensors, model.safetensors,
// metrics.json, ranks.json, report.html.
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, captionsOf, type RunConfig } from "../config.ts";
import { AugmentThreads } from "../data/augment-threads.ts";
import { StoppedError } from "../data/types.ts";
import type { Metrics } from "../eval/metrics.ts";
import { tellCut } from "../inputs.ts";
import type { StepRecord, ValidationRecord } from "../loop/record.ts";
import { makeModel, type Trainer } from "../loop/trainer.ts";
import { loadCheckpoint, newestStep, streamTensors } from "./checkpoint.ts";
import { type OpenSequence, openSequence } from "./data.ts";
import { folderStore } from "./disk.ts";
import { type Evaluation, evaluate } from "./evaluate.ts";
import type { RunEvents } from "./events.ts";
import { requirePrecision } from "./fitting.ts";
import { RunFolder } from "./folder.ts";
import { Journal } from "./journal.ts";
import { loadModel, loadTokenizer, openEngine, requireSameModel } from "./open.ts";
import { rehearse } from "./rehearsal.ts";
import { runSteps, stoppable } from "./steps.ts";
import { files } from "./store.ts";
import { makeTokenizer, textsOf } from "./tokenizer.ts";
import { onDisk } from "./tokens.ts";
import { makeTrainer } from "./trainer.ts";
import { Validation } from "./validate.ts";

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
    if (resume && (await newestStep(folderStore(folder.path))) === null) {
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
  const store = folderStore(folder.path, folder.name);
  requirePrecision(engine, asked.precision);
  if (!resume && init !== undefined) await requireSameModel(init, asked);
  const rehearsal = rehearse(engine, asked);
  // It is awaited below; meanwhile its failure must not count as unhandled.
  rehearsal.catch(() => {});
  const from = resume ? folder.path : init;
  const opened = await unlessStopped(openTrainer(engine, asked, events, { from, stop }));
  if (!opened) return { finished: false, step: (resume && (await newestStep(store))) || 0 };
  const { config, data, tokenizer, model, trainer } = opened;
  try {
    const writeConfig = () => store.write(files.config, `${JSON.stringify(config, null, 2)}\n`);
    const journal = new Journal(store);
    if (resume) {
      const position = await loadCheckpoint(store, model.parameters, trainer.optimizer, events.message);
      const { step } = position;
      if (step > config.training.steps) {
        throw new ConfigError(`${folder.name} is at step ${step} already, beyond ${config.training.steps}.`);
      }
      trainer.earlierSeconds = position.seconds;
      await journal.open(step);
      events.message(`Resumed ${folder.name} at step ${step} of ${config.training.steps}.`);
    } else if (init !== undefined) {
      const fresh = await loadModel(init, model, { seed: config.seed });
      if (fresh.length > 0) events.message(`${init} lacks ${fresh.join(", ")}: they start afresh.`);
    } else model.parameters.initialize(config.seed);
    events.message(
      `${config.name}: ${(model.parameters.size / 1e6).toFixed(2)} M parameters, ${config.training.steps} steps in ${config.precision}, ` +
        `on ${engine.adapterName}`,
    );
    await rehearsal;
    if (resume) await writeConfig();
    const claim = async () => {
      await folder.claim();
      await writeConfig();
      await store.write(files.tokenizer, JSON.stringify(tokenizer.toJSON()));
      await journal.open();
    };
    const { optimizer } = trainer;
    const validation = await Validation.open({ config, engine, model, tokenizer }, data);
    const begun = { trainer, config, store, journal, validation };
    const done = await unlessStopped(runSteps(begun, claim, options));
    if (!done) return { finished: false, step: optimizer.step };
    const weights = join(folder.path, files.model);
    await streamTensors(store, files.model, model.parameters.entries(), { step: `${optimizer.step}` });
    trainer.dispose();
    if (data.evaluated.length === 0)
      events.message(`${data.name} has no split here to evaluate on; training has ended without figures.`);
    // Also the evaluation stops when it is asked to: the run then goes on with it.
    const evaluation = evaluate({ config, engine, model, tokenizer, weights }, data, {
      events: stoppable(events, stop),
      captions: captionsOf(config),
      steps: optimizer.step,
      earlierSeconds: trainer.seconds,
      write: (metrics) => store.write(files.metrics, `${JSON.stringify(metrics, null, 2)}\n`),
    });
    const result = await unlessStopped(evaluation);
    if (!result) return { finished: false, step: optimizer.step };
    await store.write(files.ranks, `${JSON.stringify(result.ranks)}\n`);
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
