// The optimiser: AdamW over flat buffers, one dispatch each, with the global gradient norm computed and applied on the
// GPU, so that a step needs no readback. Where parameters have an f16 copy, it works in mixed precision: loss-scale.ts
// decides on each update, which writes masters and copy in one pass.
import { type Backend, defineKernel, Scalar, type Tensor, TensorError } from "../../engine/index.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { alsoReads, perElement } from "../lib/work.ts";
import adamwSource from "./adamw.wgsl?raw";
import clippingSource from "./clipping.wgsl?raw";
import { type LossScaleOptions, LossScaler, stateIndices } from "./loss-scale.ts";
import squareSumSource from "./square-sum.wgsl?raw";

export const squareSum = defineKernel({
  name: "square-sum",
  source: squareSumSource,
  bindings: ["x: vec4f", "+y: f32"],
  params: { count: "u32", groups: "u32" },
  flops: perElement("x", 1, { SQUARE: 1 }),
});

/**
 * AdamW where all is f32: each invocation works the gradient's factor out of the norm's square, and the host counts the
 * steps. Or in mixed precision: the scaler's state has the factor and counts the updates, and the f16 copy that the network
 * computes with is written along with its f32 masters.
 */
const kernelOf = (mixed: boolean) =>
  defineKernel({
    name: mixed ? "adamw-mixed" : "adamw",
    source: adamwSource,
    includes: [
      nanSource,
      stateIndices,
      clippingSource,
      `const MIXED = ${mixed};
fn copyOut(at: u32, value: vec4f) {${mixed ? " copy[at] = Vec(value); " : ""}}`,
    ],
    bindings: [
      "gradient: vec4f",
      // The square of the norm, or the scaler's state.
      "decision: f32",
      ...(["+parameters: vec4f", "+firstMoment: vec4f", "+secondMoment: vec4f"] as const),
      ...(mixed ? (["+copy: Vec"] as const) : []),
    ],
    params: {
      count: "u32",
      decayEnd: "u32",
      learningRate: "f32",
      beta1: "f32",
      beta2: "f32",
      epsilon: "f32",
      weightDecay: "f32",
      // Where there is no state.
      correction1: "f32",
      correction2: "f32",
      gradientScale: "f32",
      /** 0: no clipping */
      maxNorm: "f32",
    },
    flops: perElement("gradient", 15),
    bytes: alsoReads("parameters", "firstMoment", "secondMoment"),
  });
const plainKernel = kernelOf(false);
const mixedKernel = kernelOf(true);

export const optimizerKernels = [squareSum, plainKernel, mixedKernel];

/** One flat buffer of parameters with its gradient; f32 [n], n a multiple of 4. */
export interface Flat {
  values: Tensor;
  gradient: Tensor;
  /** f16 [n]: what the network computes with, where that is not `values` itself. */
  copy?: Tensor;
  /** Elements before this one get weight decay; a multiple of 4. */
  decayEnd: number;
  /** Multiplies the learning rate; 1 unless told. */
  rate?: number;
  /** The optimiser's unless told. */
  weightDecay?: number;
}

export interface AdamWOptions {
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
  /** How the loss is scaled where parameters have an f16 copy. */
  lossScale?: LossScaleOptions;
}

const parts = 256;

/**
 * Adds the sum of squares of f32 tensors into one number.
 * @returns f32 [1], the square of the global norm
 * @throws TensorError for another dtype
 */
export function normSquared(engine: Backend, gradients: readonly Tensor[]): Tensor {
  const other = gradients.find(({ dtype }) => dtype !== "f32");
  if (other) throw new TensorError(`normSquared: needs f32, not ${other}.`);
  const total = engine.empty([1]);
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

/** AdamW with its two moments. Step, moments and the scaler's state are part of a checkpoint. */
export class AdamW {
  /** Steps so far, those counted whose update was left out. */
  step = 0;
  /** Where parameters have an f16 copy: backward starts from its `scale`, and it decides on each update. */
  readonly scaler: LossScaler | null;
  readonly firstMoments: Tensor[];
  readonly secondMoments: Tensor[];
  private readonly options: Required<Omit<AdamWOptions, "lossScale">>;
  /** The learning rate of each multiple that flats have. */
  private readonly learningRates = new Map<number, Scalar>();
  private readonly correction1 = new Scalar(1);
  private readonly correction2 = new Scalar(1);

  constructor(
    private readonly engine: Backend,
    private readonly flats: readonly Flat[],
    { lossScale, ...options }: AdamWOptions = {},
  ) {
    this.options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, ...options };
    const zeros = ({ values }: Flat) => engine.keep(engine.zeros(values.shape));
    this.firstMoments = flats.map(zeros);
    this.secondMoments = flats.map(zeros);
    const mixed = flats.some(({ copy }) => copy);
    if (mixed && !flats.every(({ copy }) => copy))
      throw new TensorError("AdamW: either all flat buffers have an f16 copy or none.");
    for (const { rate = 1 } of flats) this.learningRates.set(rate, new Scalar(0));
    const { beta1, beta2 } = this.options;
    this.scaler = mixed ? new LossScaler(engine, [beta1, beta2], lossScale) : null;
  }

  /** Sets step and learning rate for `update`, or for the replay of a captured one. */
  advance(learningRate: number): void {
    const { beta1, beta2 } = this.options;
    this.step++;
    for (const [rate, scalar] of this.learningRates) scalar.value = rate * learningRate;
    this.correction1.value = 1 - beta1 ** this.step;
    this.correction2.value = Math.sqrt(1 - beta2 ** this.step);
  }

  /**
   * One update, after `advance`. The gradient is freed of the loss's scale, multiplied by `gradientScale`, then clipped to
   * the global norm `maxNorm` (0: not).
   * @returns f32 [1], the square of the norm before all that; if it is not finite, nothing was updated
   */
  update(options: { gradientScale?: number; maxNorm?: number } = {}): Tensor {
    const { gradientScale = 1, maxNorm = 0 } = options;
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    const norm = normSquared(
      this.engine,
      this.flats.map((flat) => flat.gradient),
    );
    const { learningRates, correction1, correction2, scaler } = this;
    scaler?.decide(norm, gradientScale, maxNorm);
    this.flats.forEach(({ values, gradient, copy, decayEnd, rate = 1, ...own }, i) => {
      const moments = [this.firstMoments[i]!, this.secondMoments[i]!];
      const decay = own.weightDecay ?? weightDecay;
      const settings = { learningRate: learningRates.get(rate)!, beta1, beta2, epsilon, weightDecay: decay };
      this.engine.run(copy ? mixedKernel : plainKernel, {
        bind: [gradient, scaler?.state ?? norm, values, ...moments, ...(copy ? [copy] : [])],
        params: {
          count: values.size,
          decayEnd,
          ...settings,
          correction1,
          correction2,
          gradientScale,
          maxNorm,
        },
        grid: Math.ceil(values.size / 1024),
        dtype: copy?.dtype ?? "f32",
      });
    });
    return norm;
  }

  /** Gives the memory of moments and state back. */
  dispose(): void {
    this.scaler?.dispose();
    for (const moment of [...this.firstMoments, ...this.secondMoments]) moment.dispose();
  }
}
