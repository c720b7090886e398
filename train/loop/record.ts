// What a step leaves behind: a line of metrics.jsonl.

/** A line of metrics.jsonl. What overflowed in f16 is null there. */
export interface StepRecord {
  /** Counts from 1. */
  step: number;
  loss: number;
  /** Contrastive loss of the forward queries. */
  forward: number;
  /** Loss of the reverse queries; null where the configuration has none. */
  reverse: number | null;
  temperature: number;
  learning_rate: number;
  /** Global norm of the gradient before clipping. */
  gradient_norm: number;
  /** Triplets per second. */
  samples_per_second: number;
  /** In f16: what the loss was multiplied by. */
  loss_scale?: number;
  /** In f16: updates left out so far because a gradient overflowed, this step's included. */
  skipped?: number;
  /** Since the run started, in seconds, pauses between resumed parts left out. */
  seconds: number;
}
