// One table of op cases feeds the tests and the bench (the idea is ggml's test-backend-ops): each case says its inputs,
// how to run the op here, and what float64 on the CPU says of values and gradients.
import { type DType, type Engine, normal, randomBits, type Tensor, uniform } from "../../engine/index.ts";

/** How the values of an input are drawn. Ids are whole numbers below `below`; lengths are whole numbers from 1. */
export type Draw = "normal" | "positive" | "probability" | { below: number };

export interface Input {
  name: string;
  shape: number[];
  dtype?: DType;
  draw?: Draw;
  /** False for inputs that carry no gradient (ids, masks). */
  grad?: boolean;
}

/** One op at one size. */
export interface OpCase {
  /** "op variant sizes dtype", unique in the table. */
  name: string;
  inputs: Input[];
  run(tensors: Tensor[], engine: Engine): Tensor;
  /** The result in float64, row-major. */
  reference(values: Float64Array[]): Float64Array;
  /** Gradients in float64 of sum(weights · result) for each input, null where there is none. */
  gradients?(values: Float64Array[], weights: Float64Array): (Float64Array | null)[];
  /** Allowed relative error; 1e-5 for f32 and 5e-3 for f16 unless a case says why not. */
  tolerance?: number;
  /** Floating-point operations of the forward pass, for the bench. */
  flops?: number;
  /** A size of the bench: tests check its forward pass only, and not at all where the adapter is very slow. */
  bench?: boolean;
  /** One element of the result in float64, where all take too long; tests then compare a sample of elements. */
  referenceAt?(values: Float64Array[], index: number): number;
}

/** The values of an input: the same in every run and on every machine. f16 inputs are rounded by the caller. */
export function drawValues(input: Input, seed: number): Float64Array {
  const size = input.shape.reduce((a, b) => a * b, 1);
  const key = { key: seed, stream: 0 };
  const draw = input.draw ?? "normal";
  return Float64Array.from({ length: size }, (_, i) => {
    if (typeof draw === "object") return randomBits(key, i) % draw.below;
    if (draw === "normal") return Math.fround(normal(key, i));
    if (draw === "positive") return Math.fround(0.1 + uniform(key, i));
    return Math.fround(uniform(key, i));
  });
}
