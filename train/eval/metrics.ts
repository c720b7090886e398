// What an evaluation leaves behind: metrics.json.
import type { Result } from "./protocols.ts";

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
  /** Figures by the data set's protocol, each with all that it is of. */
  results: Result[];
  /** What people should know of the splits. */
  notes: string[];
  /** Emoji-CoIR: recall by kind of change, beside what needs no model. */
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
