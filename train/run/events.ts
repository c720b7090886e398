// What a run tells while it goes on.
import type { StepRecord } from "../loop/record.ts";

export interface RunEvents {
  /** A line for the user. */
  message(text: string): void;
  /** After each training step. */
  step(record: StepRecord, total: number): void;
  /** Of longer work beside training: how much is done. */
  progress(what: string, done: number, total: number): void;
}
