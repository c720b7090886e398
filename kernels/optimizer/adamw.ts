// The optimiser: AdamW over flat buffers, one dispatch each, with the global gradient norm computed and applied on the
// GPU, so that a step needs no readback. Where parameters have an f16 copy, it works in mixed precision: loss-scale.ts
// decides on each update, which writes masters and copy in one pass.
import { type Backend, defineKernel, Scalar, type Tensor, TensorError } from "../../engine/index.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { alsoReads, perElement } from "../lib/work.ts";
import adamwSource from "./adamw.wgsl?raw";
import plainSource from "./adamw-f32.wgsl?raw";
import mixedSource from "./adamw-mixed.wgsl?raw";
import { type LossScaleOptions, LossScaler, lossScaleKernels, stateIndices } from "./loss-scale.ts";
import squareSumSource from "./square-sum.wgsl?raw";

export const squareSum = defineKernel({
  name: "square-sum",
  source: squareSumSource,
  bindings: ["x: vec4f", "+y: f32"],
  params: { count: "u32", groups: "u32" },
  flops: perElement("x", 1, { SQUARE: 1 }),
});

const commonParams = {
  count: "u32",
  decayEnd: "u32",
  learningRate: "f32",
  beta1: "f32",
  beta2: "f32",
  epsilon: "f32",
  weightDecay: "f32",
} as const;
const updated = ["+parameters: vec4f", "+firstMoment: vec4f", "+secondMoment: vec4f"] as const;
const work = {
  flops: perElement("gradient", 15),
  bytes: alsoReads("parameters", "firstMoment", "secondMoment"),
};

export const adamw = defineKernel({
  name: "adamw",
  source: adamwSource,
  includes: [nanSource, plainSource],
  bindings: ["gradient: vec4f", "normSquared: f32", ...updated],
  params: {
    ...commonParams,
    correction1: "f32",
    correction2: "f32",
    gradientScale: "f32",
    /** 0: no clipping */
    maxNorm: "f32",
  },
  ...work,
});

export const adamwMixed = defineKernel({
  name: "adamw-mixed",
  source: adamwSource,
  includes: [stateIndices, mixedSource],
  bindings: ["gradient: vec4f", "state: f32", ...updated, "+copy: Vec"],
  params: commonParams,
  ...work,
});

export const optimizerKernels = [squareSum, adamw, adamwMixed, ...lossScaleKernels];

/** One flat buffer of parameters with its gradient; f32 [n], n a multiple of 4. */
export interface Flat {
  values: Tensor;
  gradient: Tensor;
  /** f16 [n]: what the network computes with, where that is not `values` itself. */
  copy?: Tensor;
  /** Elements before this one get weight decay; a multiple of 4. */
  decayEnd: number;
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
 */
export function normSquared(engine: Backend, gradients: readonly Tensor[]): Tensor {
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
  private readonly learningRate = new Scalar(0);
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
    const { beta1, beta2 } = this.options;
    this.scaler = mixed ? new LossScaler(engine, [beta1, beta2], lossScale) : null;
  }

  /** Sets step and learning rate for `update`, or for the replay of a captured one. */
  advance(learningRate: number): void {
    const { beta1, beta2 } = this.options;
    this.step++;
    this.learningRate.value = learningRate;
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
    const { learningRate, correction1, correction2, scaler } = this;
    scaler?.decide(norm, gradientScale, maxNorm);
    this.flats.forEach(({ values, gradient, copy, decayEnd }, i) => {
      const moments = [this.firstMoments[i]!, this.secondMoments[i]!];
      const params = { count: values.size, decayEnd, learningRate, beta1, beta2, epsilon, weightDecay };
      const grid = Math.ceil(values.size / 1024);
      if (scaler) {
        const bind = [gradient, scaler.state, values, ...moments, copy!];
        this.engine.run(adamwMixed, { bind, params, grid, dtype: "f16" });
      } else {
        const more = { correction1, correction2, gradientScale, maxNorm };
        this.engine.run(adamw, {
          bind: [gradient, norm, values, ...moments],
          params: { ...params, ...more },
          grid,
        });
      }
    });
    return norm;
  }

  /** Gives the memory of moments and state back. */
  dispose(): void {
    this.scaler?.dispose();
    for (const moment of [...this.firstMoments, ...this.secondMoments]) moment.dispose();
  }
}
