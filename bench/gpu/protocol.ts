// What the bench for GPUs asks of its two sides, ours and PyTorch.
import type { TorchOp } from "../../cases/case.ts";
import type { ModelConfig } from "../../model/config.ts";

/** An op to be timed. */
export interface Subject {
  name: string;
  /** Forward and backward. */
  weighted?: boolean;
  /** Parameters, where it is AdamW. */
  size?: number;
}

/** The same for PyTorch. */
export interface TorchSubject {
  op: TorchOp | { op: "adamw" | "copy" };
  shapes: number[][];
  weighted: boolean;
}

/** What PyTorch computes in: TF32 is f32 with products on matrix units, f16 and bf16 are autocast in whole steps. */
export type TorchMode = "f32" | "tf32" | "f16" | "bf16";

/** A whole training step. */
export interface StepSpec {
  name: string;
  model: "vit" | "case";
  config: ModelConfig;
  precision: "f32" | "f16";
  /** Pictures, and for CASE as many triplets. */
  batch: number;
  /** For CASE: rows of the word table, and tokens of a text. */
  vocabulary: number;
  length: number;
}

/** What getting ready told. */
export interface Prepared {
  /** Relative error by float64, and what is allowed; null where nothing was held against it. */
  error: number | null;
  tolerance: number | null;
  /** Of a step: its parameters, dispatches of a replay, and bytes of all that it holds and of its planned memory. */
  parameters?: number;
  dispatches?: number;
  bytes?: number;
  planned_bytes?: number;
}

/** Milliseconds of a run: median, least and most of a few batches. */
export interface Timing {
  ms: number;
  least: number;
  most: number;
  /** Runs that were timed. */
  runs: number;
  /** Of its dispatches by the device's clock, added up, without what lies between them; null where it has none. */
  gpu_ms: number | null;
  dispatches: number | null;
  /** Most bytes in use at a time, of PyTorch's steps. */
  peak_bytes?: number;
  parameters?: number;
  loss?: number;
}
