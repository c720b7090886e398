// Validation while training: every so many steps, and behind the last, a split is judged as it is at the end. The best state
// stays in best.safetensors, and training ends early where nothing better comes. All that is remembered are the lines of
// metrics.jsonl: a validation follows on the checkpoint of its step and its line comes last, so that a run that goes on from
// there knows what one that was never interrupted knows, and makes up for a line that is missing.
import { ConfigError, captionsOf, type RunConfig } from "../config.ts";
import type { OpenData, OpenSplit } from "../data/dataset.ts";
import { markNames, protocolOf } from "../eval/protocols.ts";
import type { ValidationRecord } from "../loop/record.ts";
import { metricName } from "../report/format.ts";
import { streamTensors } from "./checkpoint.ts";
import type { RunEvents } from "./events.ts";
import { embedGalleries, judgeSplit } from "./judge.ts";
import type { LoadedModel } from "./open.ts";
import { files, type Store } from "./store.ts";

type Options = NonNullable<RunConfig["training"]["validate"]>;

/** The best of validations, the first of equals; null where there is none. */
export function bestOf(records: readonly ValidationRecord[]): ValidationRecord | null {
  return records.reduce<ValidationRecord | null>(
    (best, record) => (best && best.validation.value >= record.validation.value ? best : record),
    null,
  );
}

/** Whether so many validations in a row brought nothing better. */
export function isExhausted(records: readonly ValidationRecord[], patience: number): boolean {
  const best = bestOf(records);
  return best !== null && records.length - 1 - records.indexOf(best) >= patience;
}

/** A split with some of its queries, spread evenly over it. */
function thinned({ split, pictures }: OpenSplit, most: number): OpenSplit {
  const { length } = split.queries;
  if (length <= most) return { split, pictures };
  const queries = Array.from({ length: most }, (_, i) => split.queries[Math.floor((i * length) / most)]!);
  return { split: { ...split, queries }, pictures };
}

export class Validation {
  private constructor(
    private readonly subject: Omit<LoadedModel, "weights">,
    private readonly open: OpenSplit,
    private readonly options: Options,
    private readonly metric: string,
  ) {}

  /**
   * What a configuration asks for; null where it asks for nothing. Throws ConfigError for a split that is not there, or a
   * figure that its protocol does not have.
   */
  static async open(subject: Omit<LoadedModel, "weights">, data: OpenData): Promise<Validation | null> {
    const options = subject.config.training.validate;
    if (!options) return null;
    const name = options.split ?? data.evaluated[0];
    if (name === undefined || !data.splits.includes(name)) {
      const there = data.splits.length > 0 ? data.splits.join(", ") : "none";
      throw new ConfigError(
        name === undefined
          ? `${data.name} has no split here to validate on: training.validate.split names one of ${there}.`
          : `training.validate.split: there is no split "${name}"; there are ${there}.`,
      );
    }
    const opened = await data.open(name);
    const protocol = protocolOf(opened.split);
    const names = [...markNames(protocol), ...(protocol.subset.length > 0 ? ["mean"] : [])];
    const metric = options.metric ?? (names.includes("mean") ? "mean" : "r10");
    if (!names.includes(metric)) {
      throw new ConfigError(
        `training.validate.metric: ${data.name} has no figure "${metric}"; it has ${names.join(", ")}.`,
      );
    }
    return new Validation(subject, thinned(opened, options.queries ?? Infinity), options, metric);
  }

  /** The step at which training next stops for a validation, behind `step`. */
  next(step: number): number {
    return (Math.floor(step / this.options.every) + 1) * this.options.every;
  }

  /** Whether a validation belongs to this step that has not been made. */
  isDue(step: number, records: readonly ValidationRecord[]): boolean {
    const { every } = this.options;
    const belongs = step > 0 && (step % every === 0 || step === this.subject.config.training.steps);
    return belongs && !records.some((record) => record.step === step);
  }

  /** Whether training ends early. */
  isExhausted(records: readonly ValidationRecord[]): boolean {
    return this.options.patience !== undefined && isExhausted(records, this.options.patience);
  }

  /**
   * Judges the model as it is at a step, and keeps it where it is the best so far.
   * @param store the run's files
   */
  async run(
    store: Store,
    records: readonly ValidationRecord[],
    { step, seconds }: { step: number; seconds: number },
    events: RunEvents,
  ): Promise<ValidationRecord> {
    const { subject, open, metric } = this;
    const { split, pictures } = open;
    const galleries = await embedGalleries(subject.engine, subject.model, [open], events);
    const { results } = await judgeSplit(subject, open, galleries.get(pictures)!.targets, {
      ...{ captions: captionsOf(subject.config), hash: {}, events },
    });
    // Of categories it is their mean that counts, in the first gallery.
    const { metrics } = results.find(({ category }) => category === "mean") ?? results[0]!;
    const value = metrics[metric]!;
    const best = value > (bestOf(records)?.validation.value ?? -Infinity);
    if (best) {
      const position = { step: `${step}`, seconds: `${seconds}`, [metric]: `${value}` };
      await streamTensors(store, files.best, subject.model.parameters.entries(), position);
    }
    const told = `${metricName(metric)} ${(100 * value).toFixed(1)} % of ${split.queries.length} queries of ${split.name}`;
    events.message(`Validation at step ${step}: ${told}${best ? ", the best so far" : ""}.`);
    return {
      ...{ step, seconds },
      validation: { split: split.name, queries: split.queries.length, metric, value, best, metrics },
    };
  }
}
