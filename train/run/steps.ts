// The steps of a run, wherever its files lie: with checkpoints and validations, each behind the checkpoint of its step.
import type { RunConfig } from "../config.ts";
import { StoppedError } from "../data/types.ts";
import type { StepRecord } from "../loop/record.ts";
import { DivergedError, type Trainer } from "../loop/trainer.ts";
import { newestStep, saveCheckpoint } from "./checkpoint.ts";
import type { RunEvents } from "./events.ts";
import type { Journal } from "./journal.ts";
import type { Store } from "./store.ts";
import { bestOf, type Validation } from "./validate.ts";

/** A run whose steps are made. */
export interface Begun {
  trainer: Trainer;
  config: RunConfig;
  store: Store;
  journal: Journal;
  validation: Validation | null;
}

export interface StepOptions {
  events: RunEvents;
  /** Ends training after the step at hand, with a checkpoint. */
  stop?: () => boolean;
  /** What else is done between steps, behind a checkpoint. */
  pause?: {
    /** The step at which training next stops for it, behind `step`. */
    next(step: number): number;
    run(step: number): Promise<void>;
  };
}

/**
 * Runs the steps that are left; a new run's first checkpoint follows on its first step, before which `claim` is called.
 * Returns whether training came to its end. Throws StoppedError where a validation was stopped.
 */
export async function runSteps(
  { trainer, config, store, journal, validation }: Begun,
  claim: () => Promise<void>,
  { events, stop = () => false, pause }: StepOptions,
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
        const record = await validation.run(store, validations, at, stoppable(events, stop));
        await journal.validated(record);
        validations.push(record);
      }
      await pause?.run(optimizer.step);
      if (optimizer.step >= steps) return true;
      if (validation?.isExhausted(validations)) {
        const { step } = bestOf(validations)!;
        events.message(`Nothing better since step ${step}: training ends at step ${optimizer.step}.`);
        return true;
      }
      if (stop()) return false;
      const due = (Math.floor(optimizer.step / checkpointEvery) + 1) * checkpointEvery;
      const others = [validation, pause].map((one) => one?.next(optimizer.step) ?? steps);
      const next = Math.min(steps, due, ...others);
      await trainer.run(optimizer.step === 0 ? 1 : next, onStep, stop);
      await saveCheckpoint(store, trainer.model.parameters, optimizer, trainer.seconds);
    } catch (error) {
      throw await withRemains(error as Error, store);
    }
  }
}

/** Events whose progress throws StoppedError once `stop` says so. */
export function stoppable(events: RunEvents, stop = () => false): RunEvents {
  return {
    ...events,
    progress(...progress) {
      if (stop()) throw new StoppedError("stopped while evaluating");
      events.progress(...progress);
    },
  };
}

/** An error of training or of the disk, with what is left of the run; any other stays as it is. */
async function withRemains(error: Error, store: Store): Promise<Error> {
  const diverged = error instanceof DivergedError;
  const { code } = error as { code?: unknown };
  if (!diverged && code === undefined) return error;
  const step = await newestStep(store);
  const remains =
    step === null
      ? "There is no checkpoint yet."
      : `The checkpoint of step ${step} in ${store.name} is kept.`;
  const advice = diverged ? " A smaller learningRate or a longer warmup usually helps." : "";
  const message = `${error.message.replace(/([^.])$/, "$1.")} Training stopped. ${remains}${advice}`;
  return diverged ? new DivergedError(message) : new Error(message, { cause: error });
}

function describeStep({ dispatches, memory }: NonNullable<Trainer["captured"]>): string {
  const [planned, naive] = [memory.planned, memory.naive].map((bytes) => (bytes / 2 ** 20).toFixed(1));
  return `A step is ${dispatches} dispatches; its tensors take ${planned} MiB, ${naive} MiB if none shared memory.`;
}
