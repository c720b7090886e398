// Stochastic gradient descent, plain or with momentum.
import { type Backend, TensorError } from "../../engine/index.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import type { LossScaleOptions } from "./loss-scale.ts";
import { defineRule, type Flat, Optimizer } from "./optimizer.ts";
import sgdSource from "./sgd.wgsl?raw";

const kernels = defineRule({
  name: "sgd",
  source: sgdSource,
  moments: ["velocity"],
  params: { momentum: "f32" },
  flops: 8,
});

export const sgdKernels = kernelsIn(() => Object.values(kernels));

export interface SGDOptions {
  momentum?: number;
  nesterov?: boolean;
  weightDecay?: number;
  lossScale?: LossScaleOptions;
}

/** SGD as in PyTorch, without dampening; no momentum and no decay unless told. Throws TensorError for Nesterov's without momentum. */
export class SGD extends Optimizer {
  private readonly momentum: number;
  private readonly nesterov: boolean;

  constructor(engine: Backend, flats: readonly Flat[], options: SGDOptions = {}) {
    const { momentum = 0, nesterov = false, weightDecay = 0, lossScale = {} } = options;
    if (nesterov && momentum === 0) throw new TensorError("SGD: Nesterov's needs momentum.");
    super(engine, flats, { kernels, moments: 1, idle: momentum === 0, weightDecay, lossScale });
    this.momentum = momentum;
    this.nesterov = nesterov;
  }

  protected settings() {
    const { momentum, nesterov } = this;
    return { params: { momentum }, constants: { MOMENTUM: momentum !== 0, NESTEROV: nesterov } };
  }
}
