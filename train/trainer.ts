// The training loop: batch, loss, backward, clip, AdamW. A step is a pure function of the parameters, the optimiser's
// moments, the seed and the step's number, so a resumed run goes on to the same numbers.

import { type Engine, RandomStreams, type Tensor } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import type { Case } from "../model/case.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { RunConfig } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { batchLoss } from "./loss.ts";
import type { StepRecord } from "./metrics.ts";
import { learningRate } from "./schedule.ts";

/** Training came to numbers that are not finite; the parameters are those of the step before. */
export class DivergedError extends Error {
  override name = "DivergedError";
}

/** What a step measured, before the host has read it. */
interface Measurement {
  step: number;
  learningRate: number;
  /** f32 [stride per batch of losses ..., temperature, norm squared], see `measure`. */
  values: Promise<ArrayLike<number>>;
}

/** A copy's target starts at a multiple of this many elements (256 bytes). */
const stride = 64;

export class Trainer {
  readonly optimizer: AdamW;
  /** Seconds spent by the parts of the run before this one. */
  earlierSeconds = 0;
  private readonly queries: number;
  private readonly waiting: Measurement[] = [];
  private readonly started = performance.now();
  private before = this.started;

  constructor(
    private readonly engine: Engine,
    readonly model: Case,
    private readonly tokenizer: Tokenizer,
    private readonly dataset: Dataset,
    private readonly config: RunConfig,
  ) {
    const { weightDecay, beta2, triplets, reverse } = config.training;
    this.optimizer = new AdamW(engine, model.parameters.flats, { weightDecay, beta2 });
    this.queries = triplets + (reverse.weight > 0 ? Math.ceil(triplets * reverse.share) : 0);
  }

  /** Seconds of the whole run so far, without the pauses between its parts. */
  get seconds(): number {
    return this.earlierSeconds + (performance.now() - this.started) / 1000;
  }

  /**
   * Trains until `until` steps are done, or until `stop()` is true, and calls `onStep` after each. The record of a
   * step is read while the next one runs.
   * Throws DivergedError at a loss or gradient that is not finite.
   */
  async run(
    until: number,
    onStep: (record: StepRecord) => void | Promise<void>,
    stop = () => false,
  ): Promise<void> {
    while (this.optimizer.step < until && !stop()) {
      this.waiting.push(this.step());
      if (this.waiting.length > 1) await onStep(await this.oldest());
    }
    while (this.waiting.length > 0) await onStep(await this.oldest());
  }

  /** Records one optimiser step. */
  private step(): Measurement {
    const { engine, model, config } = this;
    const { training, seed } = config;
    const step = this.optimizer.step;
    const rate = learningRate(training, step);
    const values = engine.scope(() => {
      model.clampTemperature();
      model.parameters.clearGradients();
      const streams = new RandomStreams(seed, step);
      const losses: Tensor[] = [];
      for (let part = 0; part < training.accumulation; part++) {
        const batch = this.dataset.sampleBatch({
          pictures: training.pictures,
          triplets: training.triplets,
          seed,
          step: step * training.accumulation + part,
        });
        const result = batchLoss(model, this.tokenizer, training, this.dataset.pictures, batch, streams);
        backward(result.loss);
        losses.push(result.losses);
      }
      const gradientScale = 1 / training.accumulation;
      const norm = this.optimizer.update(rate, { gradientScale, maxNorm: training.clip });
      return this.measure([...losses, model.temperature, norm]);
    });
    return { step: step + 1, learningRate: rate, values };
  }

  /** Copies tensors one after the other into one, each padded to `stride`, and starts to read it. */
  private measure(tensors: Tensor[]): Promise<ArrayLike<number>> {
    const { engine } = this;
    const sizes = tensors.map((tensor) => Math.ceil(tensor.size / stride) * stride);
    const gathered = engine.empty([sizes.reduce((a, b) => a + b, 0)]);
    let offset = 0;
    tensors.forEach((tensor, i) => {
      engine.copy(tensor, engine.slice(gathered, offset, tensor.shape));
      offset += sizes[i]!;
    });
    const values = engine.read(gathered);
    // Whoever takes the measurement awaits it; until then a failure must not count as unhandled.
    values.catch(() => {});
    return values;
  }

  private async oldest(): Promise<StepRecord> {
    const { step, learningRate: rate, values: reading } = this.waiting.shift()!;
    const values = await reading;
    const { training } = this.config;
    const { triplets, accumulation, reverse } = training;
    const padded = Math.ceil(this.queries / stride) * stride;
    let forward = 0;
    let back = 0;
    for (let part = 0; part < accumulation; part++) {
      for (let i = 0; i < this.queries; i++) {
        const value = values[part * padded + i]!;
        if (i < triplets) forward += value / triplets / accumulation;
        else back += value / (this.queries - triplets) / accumulation;
      }
    }
    const tail = accumulation * padded;
    const loss = forward + reverse.weight * back;
    const norm = Math.sqrt(values[tail + stride]!) / accumulation;
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      throw new DivergedError(`The loss is ${loss} and the gradient's norm ${norm} at step ${step}.`);
    }
    const now = performance.now();
    const elapsed = (now - this.before) / 1000;
    this.before = now;
    return {
      step,
      loss,
      forward,
      reverse: this.queries > triplets ? back : null,
      temperature: values[tail]!,
      learning_rate: rate,
      gradient_norm: norm,
      samples_per_second: (triplets * accumulation) / elapsed,
      seconds: this.seconds,
    };
  }
}
