// The training loop: batch, loss, backward, what other processes found, clip, AdamW. A step is a pure function of the parameters, the optimiser's
// moments, the seed and the step's number, so a resumed run goes on to the same numbers.

import {
  type Engine,
  type Jit,
  type Program,
  type ProgramMemory,
  RandomStreams,
  type Tensor,
} from "../../engine/index.ts";
import { backward } from "../../kernels/backward.ts";
import { useMatrixUnits } from "../../kernels/matmul/matrix.ts";
import { AdamW } from "../../kernels/optimizer/adamw.ts";
import { readState } from "../../kernels/optimizer/loss-scale.ts";
import { Case, caseSpecs } from "../../model/case.ts";
import type { RunConfig } from "../config.ts";
import type { Row } from "../data/collate.ts";
import { type HostTensor, upload } from "../inputs.ts";
import type { BatchLoss } from "../objective/batch.ts";
import { type Ahead, ahead } from "../prefetch.ts";
import { learningOf } from "./groups.ts";
import type { StepRecord } from "./record.ts";
import { learningRate } from "./schedule.ts";
import { alone, partOf, type Sync } from "./sync.ts";

/**
 * Training came to numbers that are not finite, in f16 whatever the scale of the loss; the parameters are those of the
 * step before.
 */
export class DivergedError extends Error {
  override name = "DivergedError";
}

/** The model of a run, with what its training asks for; its values are undefined. */
export function makeModel(
  engine: Engine,
  { model, training, precision }: RunConfig,
  vocabularySize: number,
): Case {
  const names = caseSpecs(model, vocabularySize).map(({ name }) => name);
  return new Case(engine, model, vocabularySize, {
    checkpointing: training.checkpointing,
    precision,
    trainable: learningOf(training, names),
  });
}

/** What a step measured, before the host has read it. */
interface Measurement {
  step: number;
  /** What each loss is of. */
  rows: Row[];
  /** f32 [losses, temperature, norm squared or the scaler's state], see `measure`. */
  values: Promise<ArrayLike<number>>;
}

/** A step's batch before it is on the GPU. */
export interface PackedStep {
  inputs: Record<string, HostTensor>;
  /** What each loss is of. */
  rows: Row[];
}

/** What is learnt. */
export interface Task {
  /** The batch of a step, which counts from 0; the same whenever it is asked for. */
  pack(step: number): Promise<PackedStep>;
  /** Records the forward pass of a batch; `inputs` are named as `pack` names them. */
  loss(inputs: Record<string, Tensor>, streams: RandomStreams): BatchLoss;
  /** Closes what `pack` reads. */
  close?(): void;
}

/** Batches that are made ahead of the step at hand: files are read and texts cut while the GPU works. */
const batchesAhead = 2;

/** A copy's target starts at a multiple of this many elements (256 bytes). */
const stride = 64;

/**
 * Trains a model step by step: batches that a task packs two ahead of the GPU, AdamW, and captured programs by the shapes of the
 * batches. It keeps no files: what a step was like goes to the caller of `run`.
 */
export class Trainer {
  readonly optimizer: AdamW;
  /** Seconds spent by the parts of the run before this one. */
  earlierSeconds = 0;
  private readonly waiting: Measurement[] = [];
  private readonly streams: RandomStreams;
  /** Shapes of batches whose choices of kernels were measured. */
  private readonly tuned = new Set<string>();
  private readonly compiled: Jit<string, Tensor>;
  private batches: { queue: Ahead<PackedStep>; next: number } | null = null;
  private readonly started = performance.now();
  private before = this.started;

  constructor(
    private readonly engine: Engine,
    readonly model: Case,
    private readonly task: Task,
    private readonly config: RunConfig,
    private readonly sync: Sync = alone,
  ) {
    const { weightDecay, beta2 } = config.training;
    this.streams = new RandomStreams(config.seed);
    this.compiled = engine.jit((inputs) => this.recordUploaded(inputs));
    this.optimizer = new AdamW(engine, model.parameters.flats, { weightDecay, beta2 });
  }

  /** Seconds of the whole run so far, without the pauses between its parts. */
  get seconds(): number {
    return this.earlierSeconds + (performance.now() - this.started) / 1000;
  }

  /**
   * Trains until `until` steps are done, or until `stop()` is true, and calls `onStep` after each. The record of a
   * step is read while the next one runs.
   * Throws DivergedError at a loss or gradient that is not finite; in f16 it is tried again with a smaller scale first.
   */
  async run(
    until: number,
    onStep: (record: StepRecord) => void | Promise<void>,
    stop = () => false,
  ): Promise<void> {
    // What came between two runs is no time of a step.
    this.before = performance.now();
    while (this.optimizer.step < until && !stop()) {
      this.waiting.push(await this.step());
      if (this.waiting.length > 1) await onStep(await this.oldest());
    }
    while (this.waiting.length > 0) await onStep(await this.oldest());
  }

  /** Records a step as it is without capture, with the inputs of a batch. Returns what `measure` made. */
  record(inputs: Record<string, HostTensor>): Tensor {
    return this.recordUploaded(upload(this.engine, inputs));
  }

  /** Starts one optimiser step. */
  private async step(): Promise<Measurement> {
    const { engine, config, optimizer } = this;
    const step = optimizer.step;
    const { inputs, rows } = await this.next();
    let values: Promise<ArrayLike<number>>;
    if (config.training.capture) {
      const program = await this.compiled.program(inputs);
      program.run(inputs);
      values = engine.read(program.outputs);
    } else values = engine.scope(() => engine.read(this.record(inputs)));
    // Whoever takes the measurement awaits it; until then a failure must not count as unhandled.
    values.catch(() => {});
    return { step: step + 1, rows, values };
  }

  /** Turns to the next step, with its batch, which what is run next takes. */
  private async next(): Promise<PackedStep> {
    const step = this.optimizer.step;
    if (this.batches?.next !== step) {
      await this.batches?.queue.dispose();
      this.batches = { queue: ahead((i) => this.task.pack(i), step, batchesAhead), next: step };
    }
    this.batches.next++;
    const packed = await this.batches.queue.next();
    await this.tune(packed.inputs);
    this.optimizer.advance(learningRate(this.config.training, step));
    this.streams.seek(partOf(step, this.sync));
    return packed;
  }

  /** Turns to the next step: its captured program, and the batch that a run of it takes. */
  async prepare(): Promise<{ program: Program<Tensor>; values: Record<string, HostTensor> }> {
    const { inputs } = await this.next();
    return { program: await this.compiled.program(inputs), values: inputs };
  }

  /** Measures kernels for batches of these shapes when they first occur, where the configuration asks for it. */
  private async tune(inputs: Record<string, HostTensor>): Promise<void> {
    const key = shapesOf(inputs);
    if (!this.config.training.tuning || this.tuned.has(key)) return;
    this.tuned.add(key);
    useMatrixUnits();
    await this.engine.tune(() => this.record(inputs));
  }

  private recordUploaded(inputs: Record<string, Tensor>): Tensor {
    this.model.clampTemperature();
    const losses = this.differentiate(inputs);
    this.sync.gradients(this.model.parameters.flats.map(({ gradient }) => gradient));
    return this.update(losses);
  }

  /** Records the loss of a batch and the gradients of all that learns. Returns f32 [Q], the loss of each query. */
  private differentiate(inputs: Record<string, Tensor>): Tensor {
    const { model, task, optimizer, streams } = this;
    return model.parameters.renewGradients(() => {
      const { loss, losses } = task.loss(inputs, streams);
      backward(loss, { grad: optimizer.scaler?.scale });
      return losses;
    });
  }

  /** Records the optimiser's step. Returns what `measure` made. */
  private update(losses: Tensor): Tensor {
    const { model, config, optimizer } = this;
    const norm = optimizer.update({ maxNorm: config.training.clip });
    return this.measure([losses, model.temperature, optimizer.scaler?.state ?? norm]);
  }

  /** Copies tensors one after the other into one, each padded to `stride`. */
  private measure(tensors: Tensor[]): Tensor {
    const { engine } = this;
    const sizes = tensors.map((tensor) => Math.ceil(tensor.size / stride) * stride);
    const gathered = engine.empty([sizes.reduce((a, b) => a + b, 0)]);
    let offset = 0;
    tensors.forEach((tensor, i) => {
      engine.copy(tensor, engine.slice(gathered, offset, tensor.shape));
      offset += sizes[i]!;
    });
    return gathered;
  }

  /** What one replay of the latest captured step is: its dispatches, and bytes of memory beside the parameters. */
  get captured(): { dispatches: number; memory: ProgramMemory } | null {
    return this.compiled.latest;
  }

  /** Gives back what training needs beside the model. */
  dispose(): void {
    const { task, batches } = this;
    (batches?.queue.dispose() ?? Promise.resolve()).then(() => task.close?.());
    this.compiled.dispose();
    this.optimizer.dispose();
  }

  private async oldest(): Promise<StepRecord> {
    const { step, rows, values: reading } = this.waiting.shift()!;
    const values = await reading;
    const { training } = this.config;
    const { triplets, accumulation, reverse } = training;
    const mean = (kind: Row) => {
      const mine = rows.flatMap((row, i) => (row === kind ? [values[i]!] : []));
      return mine.length > 0 ? mine.reduce((sum, value) => sum + value / mine.length, 0) : null;
    };
    const forward = mean("forward")!;
    const back = mean("reverse");
    const tail = Math.ceil(rows.length / stride) * stride;
    const loss = forward + reverse.weight * (back ?? 0);
    const scaling = this.optimizer.scaler ? readState(values, tail + stride) : null;
    const norm = scaling ? scaling.norm : Math.sqrt(values[tail + stride]!);
    // A step that f16 was too small for is left out, and the next one has half the scale.
    const overflowed = scaling?.factor === 0 && scaling.scale >= 1;
    if (!overflowed && !(Number.isFinite(loss) && Number.isFinite(norm))) {
      throw new DivergedError(
        `The loss is ${loss} and the gradient's norm ${norm} at step ${step}` +
          `${scaling ? `, with the loss multiplied by ${scaling.used}` : ""}.`,
      );
    }
    const now = performance.now();
    const elapsed = (now - this.before) / 1000;
    this.before = now;
    return {
      step,
      loss,
      forward,
      reverse: back,
      temperature: values[tail]!,
      learning_rate: learningRate(training, step - 1),
      gradient_norm: norm,
      samples_per_second: (triplets * accumulation) / elapsed,
      seconds: this.seconds,
      ...(scaling && { loss_scale: scaling.used, skipped: scaling.skipped }),
    };
  }
}

/** Names the shapes of a step's inputs. */
function shapesOf(inputs: Record<string, HostTensor>): string {
  return Object.values(inputs)
    .map(({ shape }) => shape.join("x"))
    .join();
}
