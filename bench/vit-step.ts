// A training step of a ViT on our engine: forward, mean squared error, backward, clipping, AdamW; see steps.ts.
import type { Subject } from "../cases/timing.ts";
import type { Engine, Program, Tensor, Tuned } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { squaredDifference } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { fuse } from "../kernels/elementwise/fuse.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import type { ModelConfig } from "../model/config.ts";
import { Parameters, type Precision } from "../model/parameters.ts";
import { vit, vitSpecs } from "../model/vit.ts";
import { adamw, vitData } from "./steps.ts";

export interface VitStepOptions {
  /** What the network computes in; f32 unless told. */
  precision?: Precision;
  /** Gives the parameters their values; those that other engines get, unless told. */
  initialize?: (parameters: Parameters) => void;
}

/** f32 whatever the network computes in. */
const errors = fuse((tokens: Tensor, target: Tensor) => squaredDifference(cast(tokens, "f32"), target));

/** A training step of a ViT on fixed data. */
export class VitStep implements Subject {
  readonly parameters: Parameters;
  private readonly optimizer: AdamW;
  private readonly pixels: Tensor;
  private readonly target: Tensor;
  private program: Program<{ loss: Tensor; norm: Tensor }> | null = null;

  constructor(
    private readonly engine: Engine,
    private readonly config: ModelConfig,
    batch: number,
    { precision, initialize = (parameters) => parameters.initialize(1) }: VitStepOptions = {},
  ) {
    this.parameters = new Parameters(engine, vitSpecs(config), undefined, precision);
    initialize(this.parameters);
    this.optimizer = new AdamW(engine, this.parameters.flats, adamw);
    const { pixels, target } = vitData(config, batch);
    this.pixels = engine.tensor(pixels.values, pixels.shape);
    this.target = engine.tensor(target.values, target.shape);
  }

  /** Measures the choices of kernels for its shapes. */
  tune(): Promise<Tuned[]> {
    return this.engine.tune(() => this.record());
  }

  /** Takes the step down, with the choices of kernels as they are now. */
  async capture(): Promise<Program<unknown>> {
    this.program?.dispose();
    this.program = await this.engine.capture(() => this.record());
    return this.program;
  }

  run(): void {
    this.optimizer.advance(adamw.learningRate);
    if (this.program) this.program.run();
    else
      this.engine.scope(() => {
        this.record();
      });
  }

  /** Runs a step and reads its loss and the norm of its gradient. */
  async measure(): Promise<[number, number]> {
    this.optimizer.advance(adamw.learningRate);
    this.program?.run();
    const { loss, norm } = this.program?.outputs ?? this.engine.scope(() => this.record());
    const values: [number, number] = [(await loss.read())[0]!, Math.sqrt((await norm.read())[0]!)];
    if (!this.program) for (const tensor of [loss, norm]) tensor.dispose();
    return values;
  }

  /** The loss of another run. */
  async loss(): Promise<number> {
    return (await this.measure())[0];
  }

  wait(): Promise<void> {
    return this.engine.idle();
  }

  dispose(): void {
    this.program?.dispose();
    this.optimizer.dispose();
    this.parameters.dispose();
    this.pixels.dispose();
    this.target.dispose();
  }

  private record(): { loss: Tensor; norm: Tensor } {
    const { parameters, optimizer } = this;
    const loss = parameters.renewGradients(() => {
      const tokens = vit(parameters, this.config.vision, cast(this.pixels, parameters.precision));
      const loss = mean(errors(tokens, this.target));
      backward(loss, { grad: optimizer.scaler?.scale });
      return loss;
    });
    return { loss, norm: optimizer.update({ maxNorm: adamw.maxNorm }) };
  }
}
