// Lion: one moment, and steps of a tenth to a third of AdamW's learning rate with as much more decay.
import type { Backend } from "../../engine/index.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import lionSource from "./lion.wgsl?raw";
import type { LossScaleOptions } from "./loss-scale.ts";
import { defineRule, type Flat, Optimizer } from "./optimizer.ts";

const kernels = defineRule({
  name: "lion",
  source: lionSource,
  moments: ["momentum"],
  params: { beta1: "f32", beta2: "f32" },
  flops: 10,
});

export const lionKernels = kernelsIn(() => Object.values(kernels));

export interface LionOptions {
  beta1?: number;
  beta2?: number;
  weightDecay?: number;
  lossScale?: LossScaleOptions;
}

/** Lion; betas 0.9 and 0.99, no decay unless told. */
export class Lion extends Optimizer {
  private readonly betas: { beta1: number; beta2: number };

  constructor(engine: Backend, flats: readonly Flat[], options: LionOptions = {}) {
    const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0, lossScale = {} } = options;
    super(engine, flats, { kernels, moments: 1, weightDecay, lossScale });
    this.betas = { beta1, beta2 };
  }

  protected settings() {
    return { params: this.betas };
  }
}
