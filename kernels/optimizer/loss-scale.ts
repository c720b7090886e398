// Dynamic loss scaling (Micikevicius et al., "Mixed precision training", arXiv 1710.03740): the loss is multiplied by a
// large number, so that small gradients are no zeros in f16. Where a gradient overflows, that update is left out and the
// scale halved; after many good updates it is doubled. Rules and numbers are those of PyTorch's GradScaler. All of it
// happens on the GPU, so a step needs no readback.
import { type Backend, defineKernel, type Tensor } from "../../engine/index.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { alsoReads } from "../lib/work.ts";
import clippingSource from "./clipping.wgsl?raw";
import source from "./loss-scale.wgsl?raw";

/** What the elements of the state are. */
const fields = [
  /** What the next loss is multiplied by. */
  "scale",
  /** Updates since it last changed. */
  "good",
  /** Updates left out so far. */
  "skipped",
  /** 1 - beta1^t and 1 - beta2^t, where t counts the updates that were done. */
  "correction1",
  "correction2",
  /** What the last step multiplied its gradient by; 0 where it was left out. */
  "factor",
  /** Norm of the last step's gradient without the scale, before clipping. */
  "norm",
  /** The scale of the last step. */
  "used",
] as const;

/** The state's elements by name. */
export type LossScaleState = Record<(typeof fields)[number], number>;

/** The state's indices for WGSL, as SCALE, CORRECTION_1, ... */
export const stateIndices = [
  ...fields.map((name, i) => `const ${name.replace(/\d/, "_$&").toUpperCase()} = ${i}u;`),
  "const HIGHEST = 3.0e38;",
].join("\n");

const kernel = defineKernel({
  name: "loss-scale",
  source,
  includes: [stateIndices, nanSource, clippingSource],
  bindings: ["normSquared: f32", "+state: f32"],
  params: {
    gradientScale: "f32",
    // 0: no clipping
    maxNorm: "f32",
    growth: "f32",
    backoff: "f32",
    // Updates in a row before the scale grows.
    interval: "f32",
    // 1 - beta1 and 1 - beta2
    rest1: "f32",
    rest2: "f32",
  },
  // About as many for the one gradient that it decides on.
  flops: () => 16,
  bytes: alsoReads("state"),
});

export const lossScaleKernels = [kernel];

export interface LossScaleOptions {
  initial?: number;
  growth?: number;
  backoff?: number;
  /** Updates in a row before the scale grows. */
  interval?: number;
}

/**
 * A loss that is scaled for gradients in f16, as PyTorch's GradScaler does: halved after a step whose gradient is not finite,
 * which leaves the parameters as they are, and doubled after `interval` steps in a row. All of it on the GPU, without a readback.
 */
export class LossScaler {
  /** f32 [8]; part of a checkpoint. */
  readonly state: Tensor;
  /** f32 []: the gradient that backward starts from. */
  readonly scale: Tensor;
  private readonly options: Required<LossScaleOptions>;

  /** @param betas AdamW's, for its bias corrections */
  constructor(
    private readonly engine: Backend,
    private readonly betas: readonly [number, number],
    options: LossScaleOptions = {},
  ) {
    this.options = { initial: 65536, growth: 2, backoff: 0.5, interval: 2000, ...options };
    this.state = engine.keep(engine.empty([fields.length]));
    this.scale = engine.keep(engine.slice(this.state, 0, []));
    this.restart(0);
  }

  /** The state after `updates` updates of another precision. */
  restart(updates: number): void {
    const [correction1, correction2] = this.betas.map((beta) => 1 - beta ** updates) as [number, number];
    const start: Partial<LossScaleState> = { scale: this.options.initial, correction1, correction2 };
    this.engine.write(
      this.state,
      fields.map((name) => start[name] ?? 0),
    );
  }

  /** Decides on the step whose gradient has this norm, f32 [1], squared and with the scale in it; see adamw.ts. */
  decide(normSquared: Tensor, gradientScale: number, maxNorm: number): void {
    const { growth, backoff, interval } = this.options;
    const [beta1, beta2] = this.betas;
    this.engine.run(kernel, {
      bind: [normSquared, this.state],
      params: {
        ...{ gradientScale, maxNorm, growth, backoff, interval },
        ...{ rest1: 1 - beta1, rest2: 1 - beta2 },
      },
      grid: 1,
    });
  }

  /** Gives its memory back. */
  dispose(): void {
    this.scale.dispose();
    this.state.dispose();
  }
}

/** Names the elements of a state that was read, from index `offset` on. */
export function readState(values: ArrayLike<number>, offset = 0): LossScaleState {
  return Object.fromEntries(fields.map((name, i) => [name, values[offset + i]!])) as LossScaleState;
}
