// What a step leaves behind: a line of metrics.jsonl, and one more where it was validated.

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

/** A line of metrics.jsonl about a validation, behind that of its step. */
export interface ValidationRecord {
  step: number;
  seconds: number;
  validation: {
    split: string;
    queries: number;
    /** The figure that decides, and what it is, from 0 to 1. */
    metric: string;
    value: number;
    /** Whether it was the best so far. */
    best: boolean;
    /** All figures, from 0 to 1. */
    metrics: Record<string, number>;
  };
}
