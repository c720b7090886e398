// AdamW, the optimiser of the trainer.
import { type Backend, Scalar, type Tensor } from "../../engine/index.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import adamwSource from "./adamw.wgsl?raw";
import type { LossScaleOptions } from "./loss-scale.ts";
import { defineRule, type Flat, Optimizer } from "./optimizer.ts";

const kernels = defineRule({
  name: "adamw",
  source: adamwSource,
  moments: ["firstMoment", "secondMoment"],
  params: {
    beta1: "f32",
    beta2: "f32",
    epsilon: "f32",
    // Where there is no state.
    correction1: "f32",
    correction2: "f32",
  },
  flops: 15,
});

export const adamwKernels = kernelsIn(() => Object.values(kernels));

export interface AdamWOptions {
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
  /** How the loss is scaled where parameters have an f16 copy. */
  lossScale?: LossScaleOptions;
}

/** AdamW with its two moments; betas 0.9 and 0.999, epsilon 1e-8 and decay 0.01 unless told. */
export class AdamW extends Optimizer {
  readonly firstMoments: Tensor[];
  readonly secondMoments: Tensor[];
  private readonly options: Required<Pick<AdamWOptions, "beta1" | "beta2" | "epsilon">>;
  private readonly correction1 = new Scalar(1);
  private readonly correction2 = new Scalar(1);

  constructor(engine: Backend, flats: readonly Flat[], options: AdamWOptions = {}) {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01, lossScale = {} } = options;
    super(engine, flats, { kernels, moments: 2, weightDecay, betas: [beta1, beta2], lossScale });
    this.options = { beta1, beta2, epsilon };
    this.firstMoments = this.moments.map(([first]) => first!);
    this.secondMoments = this.moments.map(([, second]) => second!);
  }

  protected settings() {
    const { correction1, correction2 } = this;
    return { params: { ...this.options, correction1, correction2 } };
  }

  override advance(learningRate: number): void {
    super.advance(learningRate);
    const { beta1, beta2 } = this.options;
    this.correction1.value = 1 - beta1 ** this.step;
    this.correction2.value = Math.sqrt(1 - beta2 ** this.step);
  }
}
