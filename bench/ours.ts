// casement's side of the bench: a process that runs cases of the op table, AdamW, and whole steps, eager or replayed.
import { fileURLToPath } from "node:url";
import type { OpCase } from "../cases/case.ts";
import { caseRun } from "../cases/case-run.ts";
import { memoryCases } from "../cases/memory.ts";
import { allCases } from "../cases/table.ts";
import { median, type Subject } from "../cases/timing.ts";
import { Engine, type Tensor } from "../engine/index.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import type { Flat } from "../kernels/optimizer/optimizer.ts";
import { Case } from "../model/case.ts";
import { measurePeak, type Peak } from "../train/profile/peak/peak.ts";
import { loadConfig } from "../train/run/config-file.ts";
import { openSequence } from "../train/run/data.ts";
import { makeTokenizer } from "../train/run/tokenizer.ts";
import { makeTrainer } from "../train/run/trainer.ts";
import type { Job, Outputs, Side, Values } from "./protocol.ts";
import { serve, sideOf } from "./protocol.ts";
import { adamw, benchVit, comparedSteps, numbers, type VisionSizes, vitConfig } from "./steps.ts";
import { VitStep } from "./vit-step.ts";

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
  const resources = [...tensors];
  let grad: Tensor | null = null;
  if (weights) {
    grad = engine.tensor(weights, shape, dtype);
    resources.push(grad);
  }
  const { record, clear, run } = caseRun(engine, opCase, tensors, grad);
  if (grad) {
    await engine.tune(record);
    clear();
    record();
    for (const [i, tensor] of tensors.entries())
      outputs[`gradient of ${inputs[i]!.name}`] = await read(tensor.grad!);
    clear();
  }
  const dispose = () => {
    for (const tensor of resources) tensor.dispose();
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

async function vitStep(eager: boolean): Promise<Built> {
  const step = new VitStep(engine, vitConfig(benchVit), 1);
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
  const { training: dataset } = await openSequence(config, { progress() {}, message() {} });
  const tokenizer = await makeTokenizer(config, dataset);
  const model = new Case(engine, config.model, tokenizer.size);
  model.parameters.initialize(config.seed);
  const trainer = makeTrainer(engine, model, tokenizer, dataset, config);
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
  const cases = [...allCases, ...memoryCases(1024, "f32")];
  return op(cases.find(({ name }) => name === job.name)!, job.inputs, job.weights);
}

async function replayTime(): Promise<{ milliseconds: number; dispatches: number }> {
  const step = new VitStep(engine, vitConfig(benchVit), 1);
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
  const step = new VitStep(engine, vitConfig(vision), batch);
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
