// What a run writes down: a line of metrics.jsonl per step, and metrics.json at the end.

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

/** Shares of queries whose answer is among the first K, in percent. */
export interface Recall {
  r1: number;
  r5: number;
  r10: number;
  r50: number;
}

export interface KindMetrics extends Recall {
  queries: number;
  /** Nearest neighbours of the reference on raw 32-pixel pictures: what needs no model. */
  pixels: Recall;
}

export interface SplitMetrics extends KindMetrics {
  /** Pictures in the gallery; the reference is taken out for each query. */
  gallery: number;
  /** R@10 of a random order, in percent. */
  chance_r10: number;
  kinds: Record<string, KindMetrics>;
}

/** metrics.json */
export interface Metrics {
  splits: Record<string, SplitMetrics>;
  /** Whole run, evaluation included. */
  seconds: number;
  adapter: string;
  steps: number;
}

/** A query with its best answers, for the picture sheet of the report and for `search`. */
export interface SheetRow {
  split: string;
  kind: string;
  text: string;
  /** Picture id. */
  reference: number;
  /** Picture id. */
  target: number;
  /** Rank of the best right answer, from 1. */
  rank: number;
  /** The first answers, best first. */
  answers: { picture: number; score: number; right: boolean }[];
}
