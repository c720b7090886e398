// What optimisers share: flat buffers of parameters, one dispatch each, with the global gradient norm computed and applied on the
// GPU, so that a step needs no readback. Where parameters have an f16 copy, they work in mixed precision: loss-scale.ts decides
// on each update, which writes masters and copy in one pass.
import {
  type Backend,
  defineKernel,
  type Kernel,
  type ParamTypes,
  Scalar,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { alsoReads, perElement } from "../lib/work.ts";
import clippingSource from "./clipping.wgsl?raw";
import { type LossScaleOptions, LossScaler, stateIndices } from "./loss-scale.ts";
import squareSumSource from "./square-sum.wgsl?raw";
import stepSource from "./step.wgsl?raw";

/** The kernel of `normSquared`: sums of squares, or with SQUARE false of numbers, one for each of `groups` workgroups. */
export const squareSum = defineKernel({
  name: "square-sum",
  source: squareSumSource,
  bindings: ["x: vec4f", "+y: f32"],
  params: { count: "u32", groups: "u32" },
  flops: perElement("x", 1, { SQUARE: 1 }),
});

export const optimizerKernels = [squareSum];

/** An optimiser's rule as WGSL, `stepped`, with the buffers of its own and their parameters. */
interface Rule {
  name: string;
  source: string;
  /** Buffers of the parameters' size that it reads and writes. */
  moments: readonly string[];
  params: ParamTypes;
  /** Floating-point operations for an element. */
  flops: number;
}

/** Whole vec4s are not read before they are written. */
const mixedCopy =
  "if (all(own)) { copy[at] = Vec(value); } else { copy[at] = select(copy[at], Vec(value), own); }";

/**
 * A rule's kernels: one where all is f32, in which each invocation works the gradient's factor out of the norm's square, and one in
 * mixed precision, where the scaler's state has the factor and the f16 copy that the network computes with is written along.
 */
export function defineRule({ name, source, moments, params, flops }: Rule): { plain: Kernel; mixed: Kernel } {
  const kernelOf = (mixed: boolean): Kernel =>
    defineKernel<ParamTypes>({
      name: mixed ? `${name}-mixed` : name,
      source: `${stepSource}\n${source}`,
      includes: [
        nanSource,
        stateIndices,
        clippingSource,
        `const MIXED = ${mixed};
fn copyOut(at: u32, value: vec4f, own: vec4<bool>) {${mixed ? mixedCopy : ""}}`,
      ],
      bindings: [
        "gradient: vec4f",
        // The square of the norm, or the scaler's state.
        "decision: f32",
        "+parameters: vec4f",
        ...moments.map((moment) => `+${moment}: vec4f` as const),
        ...(mixed ? (["+copy: Vec"] as const) : []),
      ],
      params: {
        ...{ count: "u32", decayEnd: "u32", learningRate: "f32", weightDecay: "f32", ...params },
        ...{ gradientScale: "f32", maxNorm: "f32" },
      },
      flops: perElement("gradient", flops),
      bytes: alsoReads("parameters", ...moments),
    });
  return { plain: kernelOf(false), mixed: kernelOf(true) };
}

/** One flat buffer of parameters with its gradient; f32. */
export interface Flat {
  values: Tensor;
  gradient: Tensor;
  /** f16 [n]: what the network computes with, where that is not `values` itself. */
  copy?: Tensor;
  /** Elements before this one get weight decay; a multiple of 4, or all. */
  decayEnd: number;
  /** Multiplies the learning rate; 1 unless told. */
  rate?: number;
  /** The optimiser's unless told. */
  weightDecay?: number;
}

/**
 * Tensors as parameters of an optimiser, of one learning rate and decay: each gets `requiresGrad` and a gradient of zeros that
 * backward adds to, which is the caller's to clear (`engine.clear`) for each step and to dispose. Throws TensorError unless they are f32.
 */
export function parameterGroup(
  tensors: readonly Tensor[],
  options: Pick<Flat, "rate" | "weightDecay"> = {},
): Flat[] {
  const other = tensors.find(({ dtype }) => dtype !== "f32");
  if (other) throw new TensorError(`parameterGroup: needs f32, not ${other}.`);
  return tensors.map((values) => {
    const { engine, shape, size } = values;
    const gradient = engine.keep(engine.zeros(shape));
    values.requiresGrad = true;
    values.grad = gradient;
    return { ...options, values, gradient, decayEnd: size };
  });
}

/**
 * Adds the sum of squares of f32 tensors into one number.
 * @returns f32 [1], the square of the global norm; 0 where there are none
 * @throws TensorError for another dtype
 */
export function normSquared(engine: Backend, gradients: readonly Tensor[]): Tensor {
  const other = gradients.find(({ dtype }) => dtype !== "f32");
  if (other) throw new TensorError(`normSquared: needs f32, not ${other}.`);
  const total = gradients.length > 0 ? engine.empty([1]) : engine.zeros([1]);
  // Workgroups, and partial sums: a GPU takes eight times as many as some cores do.
  const parts = engine.rowGroups > 1 ? 2048 : 256;
  gradients.forEach((gradient, i) => {
    const partial = engine.empty([parts]);
    engine.run(squareSum, {
      bind: [gradient, partial],
      params: { count: gradient.size, groups: parts },
      grid: [parts, 1, 1],
      constants: { SQUARE: true, ACCUMULATE: false },
    });
    engine.run(squareSum, {
      bind: [partial, total],
      params: { count: parts, groups: 1 },
      grid: [1, 1, 1],
      constants: { SQUARE: false, ACCUMULATE: i > 0 },
    });
  });
  return total;
}

/** How an optimiser sets up what they share. */
interface Setup {
  kernels: ReturnType<typeof defineRule>;
  /** Buffers of its own that each flat buffer has. */
  moments: number;
  /** They are only bound, and need no memory of the parameters' size. */
  idle?: boolean;
  weightDecay: number;
  /** For the bias corrections that mixed precision counts on the GPU. */
  betas?: readonly [number, number];
  lossScale?: LossScaleOptions;
}

/**
 * An optimiser. Step, moments and the scaler's state are part of a checkpoint. Made, it throws TensorError for a gradient of
 * another size than its parameter and for a parameter that is there twice, which would be updated twice.
 */
export abstract class Optimizer {
  /** Steps so far, those counted whose update was left out. */
  step = 0;
  /** Where parameters have an f16 copy: backward starts from its `scale`, and it decides on each update. */
  readonly scaler: LossScaler | null;
  /** Of each flat buffer those of the optimiser's own. */
  readonly moments: readonly (readonly Tensor[])[];
  /** The learning rate of each multiple that flats have. */
  private readonly learningRates = new Map<number, Scalar>();

  protected constructor(
    private readonly engine: Backend,
    private readonly flats: readonly Flat[],
    private readonly setup: Setup,
  ) {
    const { moments, idle = false, betas = [0, 0], lossScale } = setup;
    flats.forEach(({ values, gradient }, i) => {
      if (gradient.size !== values.size)
        throw new TensorError(`${new.target.name}: gradient ${gradient} does not fit ${values}.`);
      if (flats.findIndex((flat) => flat.values === values) < i)
        throw new TensorError(`${new.target.name}: ${values} is there twice.`);
    });
    this.moments = flats.map(({ values }) =>
      Array.from({ length: moments }, () => engine.keep(engine.zeros(idle ? [4] : values.shape))),
    );
    const mixed = flats.some(({ copy }) => copy);
    if (mixed && !flats.every(({ copy }) => copy))
      throw new TensorError(`${new.target.name}: either all flat buffers have an f16 copy or none.`);
    for (const { rate = 1 } of flats) this.learningRates.set(rate, new Scalar(0));
    this.scaler = mixed ? new LossScaler(engine, betas, lossScale) : null;
  }

  /** The values of the rule's own parameters, and its constants. */
  protected abstract settings(): {
    params: Readonly<Record<string, number | Scalar>>;
    constants?: Readonly<Record<string, boolean>>;
  };

  /** Sets step and learning rate for `update`, or for the replay of a captured one. */
  advance(learningRate: number): void {
    this.step++;
    for (const [rate, scalar] of this.learningRates) scalar.value = rate * learningRate;
  }

  /**
   * One update, after `advance`. The gradient is freed of the loss's scale, multiplied by `gradientScale`, then clipped to
   * the global norm `maxNorm` (0: not).
   * @returns f32 [1], the square of the norm before all that; if it is not finite, nothing was updated
   */
  update(options: { gradientScale?: number; maxNorm?: number } = {}): Tensor {
    const { gradientScale = 1, maxNorm = 0 } = options;
    const { engine, flats, scaler, setup } = this;
    const norm = normSquared(
      engine,
      flats.map((flat) => flat.gradient),
    );
    scaler?.decide(norm, gradientScale, maxNorm);
    const { params, constants = {} } = this.settings();
    flats.forEach(({ values, gradient, copy, decayEnd, rate = 1, ...own }, i) => {
      engine.run(copy ? setup.kernels.mixed : setup.kernels.plain, {
        bind: [gradient, scaler?.state ?? norm, values, ...this.moments[i]!, ...(copy ? [copy] : [])],
        params: {
          ...{ count: values.size, decayEnd, learningRate: this.learningRates.get(rate)! },
          ...{ weightDecay: own.weightDecay ?? setup.weightDecay, ...params, gradientScale, maxNorm },
        },
        grid: Math.ceil(values.size / 1024),
        dtype: copy?.dtype ?? "f32",
        constants: { ...constants, UNROLLED: engine.rowGroups > 1, PARTIAL: values.size % 4 > 0 },
      });
    });
    return norm;
  }

  /** Gives the memory of moments and state back. */
  dispose(): void {
    this.scaler?.dispose();
    for (const moment of this.moments.flat()) moment.dispose();
  }
}
