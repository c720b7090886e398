// casement's side of the bench: a process that runs cases of the op table, AdamW, and whole steps, eager or replayed.
import { fileURLToPath } from "node:url";
import type { OpCase } from "../cases/case.ts";
import { allCases } from "../cases/table.ts";
import { Engine, type Program, type Tensor } from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";
import { measurePeak, type Peak } from "../kernels/bench/peak.ts";
import { mul, sub } from "../kernels/elementwise/arithmetic.ts";
import { AdamW, type Flat } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { Case } from "../model/case.ts";
import type { ModelConfig } from "../model/config.ts";
import { Parameters } from "../model/parameters.ts";
import { vit, vitSpecs } from "../model/vit.ts";
import { loadConfig } from "../train/config.ts";
import { makeTokenizer, openDataset } from "../train/run.ts";
import { Trainer } from "../train/trainer.ts";
import type { Job, Outputs, Side, Subject, Values } from "./protocol.ts";
import { serve, sideOf } from "./protocol.ts";
import { median } from "./results.ts";
import { adamw, benchVit, comparedSteps, numbers, type VisionSizes, vitConfig, vitData } from "./steps.ts";

/** Time and memory of a step. */
export interface Cost {
  milliseconds: number;
  /** Bytes of parameters, gradients, moments and data. */
  kept: number;
  /** Bytes of the arenas that hold what a step makes, and what separate buffers would take. */
  planned: number;
  naive: number;
}

/** What only our engine is asked. */
export interface OurSide extends Side {
  peak(): Promise<Peak>;
  /** Host milliseconds of a replay of the bench's ViT step, for each of its dispatches, and their number. */
  replayTime(): Promise<{ milliseconds: number; dispatches: number }>;
  /** Cost of a replayed ViT step of these sizes. */
  cost(vision: VisionSizes, batch: number): Promise<Cost>;
}

const emojiTiny = new URL("../train/configs/emoji-tiny.json", import.meta.url);

type Built = { subject: Subject; outputs: Outputs };

let engine: Engine;
const idle = () => engine.idle();

async function read(tensor: Tensor): Promise<Float32Array> {
  return Float32Array.from(await tensor.read());
}

async function op(opCase: OpCase, inputs: Values[], weights: Float32Array | null): Promise<Built> {
  const tensors = inputs.map(({ values, shape, dtype }) => engine.tensor(values, shape, dtype));
  const outputs: Outputs = {};
  // As before training: choices of kernels are measured for these shapes.
  await engine.tune(() => engine.inference(() => opCase.run(tensors, engine)));
  const result = engine.inference(() => opCase.run(tensors, engine));
  outputs.result = await read(result);
  const { shape, dtype } = result;
  result.dispose();
  const held = [...tensors];
  let run = () => {
    engine.inference(() => {
      opCase.run(tensors, engine);
    });
  };
  if (weights) {
    const grad = engine.tensor(weights, shape, dtype);
    held.push(grad);
    for (const tensor of tensors) tensor.requiresGrad = true;
    const both = () => engine.scope(() => backward(opCase.run(tensors, engine), { grad }));
    await engine.tune(both);
    clearGrad(tensors);
    both();
    for (const [i, tensor] of tensors.entries())
      outputs[`gradient of ${inputs[i]!.name}`] = await read(tensor.grad!);
    clearGrad(tensors);
    run = () => {
      both();
      clearGrad(tensors);
    };
  }
  const dispose = () => {
    for (const tensor of held) tensor.dispose();
  };
  return { subject: { run, wait: idle, dispose }, outputs };
}

async function adamwStep(size: number): Promise<Built> {
  const flat: Flat = {
    values: engine.tensor(numbers(size, 0), [size]),
    gradient: engine.tensor(numbers(size, 1), [size]),
    decayEnd: size,
  };
  const optimizer = new AdamW(engine, [flat], adamw);
  const run = () => {
    optimizer.advance(adamw.learningRate);
    engine.scope(() => {
      optimizer.update();
    });
  };
  for (let i = 0; i < comparedSteps; i++) run();
  const outputs = { parameters: await read(flat.values) };
  const dispose = () => {
    optimizer.dispose();
    flat.values.dispose();
    flat.gradient.dispose();
  };
  return { subject: { run, wait: idle, dispose }, outputs };
}

/** A training step of a ViT on fixed data. */
class VitStep implements Subject {
  readonly parameters: Parameters;
  private readonly optimizer: AdamW;
  private readonly pixels: Tensor;
  private readonly target: Tensor;
  private program: Program<{ loss: Tensor; norm: Tensor }> | null = null;

  constructor(
    private readonly config: ModelConfig,
    batch: number,
  ) {
    this.parameters = new Parameters(engine, vitSpecs(config));
    this.parameters.initialize(1);
    this.optimizer = new AdamW(engine, this.parameters.flats, adamw);
    const { pixels, target } = vitData(config, batch);
    this.pixels = engine.tensor(pixels.values, pixels.shape);
    this.target = engine.tensor(target.values, target.shape);
  }

  /** Measures the choices of kernels for its shapes. */
  async tune(): Promise<void> {
    await engine.tune(() => this.record());
  }

  async capture(): Promise<Program<unknown>> {
    this.program = await engine.capture(() => this.record());
    return this.program;
  }

  run(): void {
    this.optimizer.advance(adamw.learningRate);
    if (this.program) this.program.run();
    else
      engine.scope(() => {
        this.record();
      });
  }

  /** Runs a step and reads its loss and the norm of its gradient. */
  async measure(): Promise<[number, number]> {
    this.optimizer.advance(adamw.learningRate);
    this.program?.run();
    const { loss, norm } = this.program?.outputs ?? engine.scope(() => this.record());
    const values: [number, number] = [(await read(loss))[0]!, Math.sqrt((await read(norm))[0]!)];
    if (!this.program) for (const tensor of [loss, norm]) tensor.dispose();
    return values;
  }

  wait = idle;

  dispose(): void {
    this.program?.dispose();
    this.optimizer.dispose();
    this.parameters.dispose();
    this.pixels.dispose();
    this.target.dispose();
  }

  private record(): { loss: Tensor; norm: Tensor } {
    this.parameters.clearGradients();
    const error = sub(vit(this.parameters, this.config.vision, this.pixels), this.target);
    const loss = mean(mul(error, error));
    backward(loss);
    return { loss, norm: this.optimizer.update({ maxNorm: adamw.maxNorm }) };
  }
}

async function vitStep(eager: boolean): Promise<Built> {
  const step = new VitStep(vitConfig(benchVit), 1);
  await step.tune();
  if (!eager) await step.capture();
  const measured: [number, number][] = [];
  for (let i = 0; i < comparedSteps; i++) measured.push(await step.measure());
  const outputs = {
    losses: Float32Array.from(measured, ([loss]) => loss),
    "gradient norms": Float32Array.from(measured, ([, norm]) => norm),
  };
  return { subject: step, outputs };
}

/** The trainer of emoji-tiny, which packs its batches and reads its losses as it always does. */
async function emojiStep(eager: boolean): Promise<Built> {
  const config = await loadConfig(fileURLToPath(emojiTiny));
  config.training.capture = !eager;
  const { training: dataset } = await openDataset(config, { progress() {} });
  const tokenizer = await makeTokenizer(config, dataset);
  const model = new Case(engine, config.model, tokenizer.size);
  model.parameters.initialize(config.seed);
  const trainer = new Trainer(engine, model, tokenizer, dataset, config);
  const losses: number[] = [];
  const steps = (count: number) =>
    trainer.run(trainer.optimizer.step + count, ({ loss }) => {
      losses.push(loss);
    });
  // Texts come in a few lengths, and each takes kernels of its own the first time.
  await steps(8);
  const outputs = { losses: Float32Array.from(losses) };
  const dispose = () => {
    trainer.dispose();
    model.parameters.dispose();
  };
  return { subject: { run: () => steps(1), wait: idle, dispose }, outputs };
}

async function build(job: Job): Promise<Built> {
  if (job.kind === "adamw") return adamwStep(job.size);
  if (job.kind === "vit") return vitStep(job.eager);
  if (job.kind === "emoji") return emojiStep(job.eager);
  return op(allCases.find(({ name }) => name === job.name)!, job.inputs, job.weights);
}

async function replayTime(): Promise<{ milliseconds: number; dispatches: number }> {
  const step = new VitStep(vitConfig(benchVit), 1);
  const { dispatches } = await step.capture();
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    // An idle device, so that the host waits for nobody.
    await engine.idle();
    const start = performance.now();
    step.run();
    times.push(performance.now() - start);
  }
  await engine.idle();
  step.dispose();
  return { milliseconds: median(times) / dispatches, dispatches };
}

async function cost(vision: VisionSizes, batch: number): Promise<Cost> {
  await engine.trim();
  const before = engine.stats().usedBytes;
  const step = new VitStep(vitConfig(vision), batch);
  const kept = engine.stats().usedBytes - before;
  await step.tune();
  const { planned, naive } = (await step.capture()).memory;
  const times: number[] = [];
  const enough = performance.now() + 2000;
  for (let i = 0; i < 6 && (i < 2 || performance.now() < enough); i++) {
    const start = performance.now();
    step.run();
    await engine.idle();
    // The first run touches fresh memory.
    if (i > 0) times.push(performance.now() - start);
  }
  step.dispose();
  await engine.trim();
  return { milliseconds: median(times), kept, planned, naive };
}

serve({
  ...sideOf(async () => {
    engine = await Engine.create();
    return engine.adapterName;
  }, build),
  peak: () => measurePeak(engine),
  replayTime,
  cost,
} satisfies OurSide);
