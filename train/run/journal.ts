// What a run writes down as it goes: metrics.jsonl, a line a step and a validation, and the same as TensorBoard's events beside it. A run that
// goes on drops what lies behind its checkpoint, which it does again, and says the rest again in a new file of events, so
// that the two never differ.
import type { Metrics } from "../eval/metrics.ts";
import type { StepRecord, ValidationRecord } from "../loop/record.ts";
import { files, lineOf, linesIn, type Store } from "./store.ts";
import { eventsHeader, joined, scalarEvent, scalarsOf } from "./tensorboard.ts";

/** TensorBoard reads what has "tfevents" in its name, in the order of names. */
const eventFiles = /^events\.out\.tfevents\.(\d+)\.casement$/;

export class Journal {
  private events = "";

  constructor(private readonly store: Store) {}

  /**
   * Starts anew, or goes on behind `step`. Whatever else is written comes after.
   * @param step of the checkpoint that the run goes on from
   */
  async open(step = 0): Promise<void> {
    const { store } = this;
    const records = (await this.records()).filter((record) => record.step <= step);
    await store.write(files.steps, records.map(lineOf).join(""));
    const older = (await store.list()).filter((name) => eventFiles.test(name));
    const now = Date.now() / 1000;
    const number = Math.max(now, ...older.map((name) => Number(eventFiles.exec(name)![1]) + 1));
    this.events = `events.out.tfevents.${Math.floor(number)}.casement`;
    const last = records.at(-1)?.seconds ?? 0;
    const said = records.map((record) => eventOf(record, now - (last - record.seconds)));
    await store.write(this.events, joined([eventsHeader(now), ...said]));
    for (const name of older) await store.remove(name);
  }

  /** After a validation. */
  async validated(record: ValidationRecord): Promise<void> {
    await this.store.append(this.events, eventOf(record, Date.now() / 1000));
    // The line is what says that it was made.
    await this.store.append(files.steps, lineOf(record));
  }

  /** After each step. */
  async step(record: StepRecord): Promise<void> {
    await this.store.append(files.steps, lineOf(record));
    await this.store.append(this.events, eventOf(record, Date.now() / 1000));
  }

  /** After the evaluation. */
  async evaluated({ results, splits, steps }: Metrics): Promise<void> {
    const named = results.map(({ split, category, gallery, reference, metrics }) => {
      const name = [split, category, gallery, reference].filter((part) => part !== undefined).join(" ");
      return [name, metrics];
    });
    const scalars = scalarsOf("eval", { ...Object.fromEntries(named), ...splits });
    await this.store.append(this.events, scalarEvent({ time: Date.now() / 1000, step: steps, scalars }));
  }

  /** The steps so far. */
  async steps(): Promise<StepRecord[]> {
    const records = await this.records();
    return records.filter((record): record is StepRecord => !("validation" in record));
  }

  /** The validations so far. */
  async validations(): Promise<ValidationRecord[]> {
    const records = await this.records();
    return records.filter((record): record is ValidationRecord => "validation" in record);
  }

  private records(): Promise<Line[]> {
    return linesIn<Line>(this.store, files.steps);
  }
}

type Line = StepRecord | ValidationRecord;

function eventOf({ step, ...fields }: Line, time: number): Uint8Array {
  const scalars =
    "validation" in fields
      ? scalarsOf(`validate/${fields.validation.split}`, fields.validation.metrics)
      : scalarsOf("train", fields);
  return scalarEvent({ time, step, scalars });
}
