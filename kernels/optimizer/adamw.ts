// The optimiser: AdamW over flat buffers, one dispatch each, with the global gradient norm computed and applied on the
// GPU, so that a step needs no readback.
import { defineKernel, type Engine, Scalar, type Tensor } from "../../engine/index.ts";
import { alsoReads, perElement } from "../lib/work.ts";
import adamwSource from "./adamw.wgsl?raw";
import squareSumSource from "./square-sum.wgsl?raw";

export const squareSum = defineKernel({
  name: "square-sum",
  source: squareSumSource,
  bindings: ["x", "+y"],
  params: { count: "u32", groups: "u32" },
  // Most of them keep the rounding error of the sum.
  flops: perElement("x", 4, { SQUARE: 1 }),
});

export const adamw = defineKernel({
  name: "adamw",
  source: adamwSource,
  bindings: ["gradient", "normSquared", "+parameters", "+firstMoment", "+secondMoment"],
  params: {
    count: "u32",
    decayEnd: "u32",
    learningRate: "f32",
    beta1: "f32",
    beta2: "f32",
    epsilon: "f32",
    weightDecay: "f32",
    correction1: "f32",
    correction2: "f32",
    gradientScale: "f32",
    maxNorm: "f32",
  },
  flops: perElement("gradient", 15),
  bytes: alsoReads("parameters", "firstMoment", "secondMoment"),
});

export const optimizerKernels = [squareSum, adamw];

/** One flat buffer of parameters with its gradient; f32 [n], n a multiple of 4. */
export interface Flat {
  values: Tensor;
  gradient: Tensor;
  /** Elements before this one get weight decay; a multiple of 4. */
  decayEnd: number;
}

export interface AdamWOptions {
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
}

const parts = 256;

/**
 * Adds the sum of squares of f32 tensors into one number.
 * @returns f32 [1], the square of the global norm
 */
export function normSquared(engine: Engine, gradients: readonly Tensor[]): Tensor {
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

/** AdamW with its two moments. `step` counts from 1; moments and step are part of a checkpoint. */
export class AdamW {
  /** Updates done so far. */
  step = 0;
  readonly firstMoments: Tensor[];
  readonly secondMoments: Tensor[];
  private readonly options: Required<AdamWOptions>;
  private readonly learningRate = new Scalar(0);
  private readonly correction1 = new Scalar(1);
  private readonly correction2 = new Scalar(1);

  constructor(
    private readonly engine: Engine,
    private readonly flats: readonly Flat[],
    options: AdamWOptions = {},
  ) {
    this.options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, ...options };
    const zeros = ({ values }: Flat) => engine.keep(engine.zeros(values.shape));
    this.firstMoments = flats.map(zeros);
    this.secondMoments = flats.map(zeros);
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
   * One update, after `advance`. The gradient is multiplied by `gradientScale`, then clipped to the global norm `maxNorm` (0: not).
   * @returns f32 [1], the square of the norm before scaling; if it is not finite, nothing was updated
   */
  update(options: { gradientScale?: number; maxNorm?: number } = {}): Tensor {
    const { gradientScale = 1, maxNorm = 0 } = options;
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    const norm = normSquared(
      this.engine,
      this.flats.map((flat) => flat.gradient),
    );
    const { learningRate, correction1, correction2 } = this;
    this.flats.forEach(({ values, gradient, decayEnd }, i) => {
      this.engine.run(adamw, {
        bind: [gradient, norm, values, this.firstMoments[i]!, this.secondMoments[i]!],
        params: {
          ...{ count: values.size, decayEnd, learningRate, beta1, beta2, epsilon, weightDecay },
          ...{ correction1, correction2, gradientScale, maxNorm },
        },
        grid: Math.ceil(values.size / 1024),
      });
    });
    return norm;
  }

  /** Gives the moments' memory back. */
  dispose(): void {
    for (const moment of [...this.firstMoments, ...this.secondMoments]) moment.dispose();
  }
}
