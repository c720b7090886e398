// The learning rate of a step: linear warm-up, then cosine or exponential decay, and its final value from there on.
import type { RunConfig } from "../config.ts";

/** The learning rate of `step`, which counts from 0. */
export function learningRate(training: RunConfig["training"], step: number): number {
  const { learningRate: peak, finalLearningRate: final, warmup, decay } = training;
  const steps = training.decaySteps ?? training.steps;
  if (step < warmup) return (peak * (step + 1)) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup - 1));
  if (decay === "constant") return peak;
  if (decay === "exponential") return peak * (final / peak) ** progress;
  return final + 0.5 * (peak - final) * (1 + Math.cos(Math.PI * progress));
}
