// One table of op cases feeds the tests and the bench (the idea is ggml's test-backend-ops): each case says its inputs,
// how to run the op here, and what float64 on the CPU says of values and gradients.
import { type DType, type Engine, normal, randomBits, type Tensor, uniform } from "../engine/index.ts";
import { add } from "../kernels/elementwise/arithmetic.ts";
import { roundToEven } from "./reference.ts";

/**
 * How the values of an input are drawn. Ids are whole numbers from `from`, or 0, to below `below`, which also gives ties; `at` makes the value
 * at an index from a normal number.
 */
export type Draw =
  | "normal"
  | "positive"
  | "probability"
  | { below: number; from?: number }
  | { at(index: number, normal: number): number };

export interface Input {
  name: string;
  shape: number[];
  dtype?: DType;
  draw?: Draw;
  /** False for inputs that carry no gradient (ids, masks). */
  grad?: boolean;
  /** An f16 leaf whose gradient is kept in f32, and then is to come so. */
  master?: boolean;
}

/** What an engine of others must compute for the same result, the inputs being those of the case in their order. */
export type PeerOp =
  | { op: "matmul"; transposeA: boolean; transposeB: boolean; scale: number }
  /** x weightᵀ, + bias, GELU, + residual, where the case has them. */
  | { op: "linear"; gelu: boolean }
  | { op: "softmax" | "gelu" }
  | { op: "layernorm"; eps: number }
  /** Columns q | k | v of one tensor, or of q and k | v; scores scaled by 1 / sqrt(head size). */
  | { op: "attention"; heads: number }
  | { op: "conv2d"; stride: number; padding: number; groups: number };

/** The same for PyTorch, which has more operations. */
export type TorchOp =
  | PeerOp
  | { op: "add" | "mul" | "sum" | "sumLeading" | "embedding" }
  | { op: "cast"; to: DType };

/** How the bench runs a case. */
export interface Bench {
  /** None: there is nothing to compare with. Only PyTorch is asked for what has f16 in it. */
  peer?: PeerOp;
  /** What only PyTorch is asked. */
  torch?: TorchOp;
  /** Bytes that a run must at least read and write, where these are what counts. */
  bytes?: number;
  /** Operations of forward and backward together over those of forward: the bench then times both. */
  backward?: number;
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
  /** Allowed relative error, where it is not that of `toleranceOf`. */
  tolerance?: number;
  /** Errors are relative to each element by itself: for ops of single elements, whose results may be of any size. */
  each?: boolean;
  /** False where central differences can't hold the gradients: at ties and kinks, and by inputs smaller than a step. */
  differences?: boolean;
  /** Whether it needs f16; so it does where an input is f16. */
  half?: boolean;
  /** Why an engine can't run the case, null where it can; absent for what every engine with its dtypes can. */
  lacks?(engine: Engine): string | null;
  /** Floating-point operations of the forward pass, for the bench. */
  flops?: number;
  /** Set at sizes of the bench: tests check their forward pass only, and not at all where that takes too long. */
  bench?: Bench | false;
  /** One element of the result in float64, where all take too long; tests then compare a sample of elements. */
  referenceAt?(values: Float64Array[], index: number): number;
}

/**
 * The case's result plus its first input, of the same shape. Backward then comes to the op with a gradient of that input
 * at hand, which its rule may add by itself. `run` where another call gives that sum.
 */
export function besideItself(opCase: OpCase, run?: OpCase["run"]): OpCase {
  const { gradients } = opCase;
  return {
    ...opCase,
    name: `beside itself, ${opCase.name}`,
    run: run ?? ((tensors, engine) => add(opCase.run(tensors, engine), tensors[0]!)),
    reference: (values) => opCase.reference(values).map((value, i) => value + values[0]![i]!),
    gradients:
      gradients &&
      ((values, dy) => {
        const [first, ...rest] = gradients(values, dy);
        return [first!.map((value, i) => value + dy[i]!), ...rest];
      }),
  };
}

/** A case of f16 whose inputs of these names are parameters in mixed precision: the rule makes their gradients in f32. */
export function withMasters(opCase: OpCase, ...names: string[]): OpCase {
  const inputs = opCase.inputs.map((input) => ({ ...input, master: names.includes(input.name) }));
  return { ...opCase, name: `masters, ${opCase.name}`, inputs };
}

/** The values of a case's inputs: the same in every run and on every machine, rounded to what the dtypes hold. */
export function drawInputs({ inputs }: OpCase): Float64Array[] {
  return inputs.map((input, i) => drawInput(input, i + 1));
}

/** All values of an input by a seed. */
export function drawInput(input: Pick<Input, "shape" | "dtype" | "draw">, seed: number): Float64Array {
  return drawValues(
    input,
    seed,
    input.shape.reduce((a, b) => a * b, 1),
  );
}

/** The first `size` values of an input. */
export function drawValues(
  { dtype, draw = "normal" }: Pick<Input, "dtype" | "draw">,
  seed: number,
  size: number,
): Float64Array {
  const key = { key: seed, stream: 0 };
  const round = dtype === "u32" || dtype === "i32" ? (value: number) => value : Math.fround;
  const drawn = Float64Array.from({ length: size }, (_, i) => {
    if (draw === "normal") return Math.fround(normal(key, i));
    if (typeof draw === "object") {
      if ("at" in draw) return round(draw.at(i, normal(key, i)));
      const { from = 0, below } = draw;
      return from + (randomBits(key, i) % (below - from));
    }
    if (draw === "positive") return Math.fround(0.1 + uniform(key, i));
    return Math.fround(uniform(key, i));
  });
  return dtype === "f16" ? drawn.map(roundToHalf) : drawn;
}

/** The relative error that a case allows: 1e-5 for f32, 5e-3 for f16 and none for integers unless it says otherwise. */
export function toleranceOf({ inputs, tolerance }: OpCase): number {
  const some = (dtype: DType) => inputs.some((input) => (input.dtype ?? "f32") === dtype);
  return tolerance ?? (some("f16") ? 5e-3 : some("f32") ? 1e-5 : 0);
}

/** The nearest number that f16 has, for numbers of ordinary size, where f16 has 11 significant bits. */
export function roundToHalf(value: number): number {
  if (!Number.isFinite(value)) return value;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value) || 1)), -14) - 10);
  return roundToEven(value / unit) * unit;
}
