// Our side of the bench for GPUs: a process that checks cases of the op table against float64, and times single ops and
// whole training steps. Asked through worker.ts, one question at a time.
import { drawValues, type Input, type OpCase, toleranceOf } from "../../cases/case.ts";
import { caseRun } from "../../cases/case-run.ts";
import { recordCase, runCase } from "../../cases/check.ts";
import { relativeError, sampleIndices } from "../../cases/compare.ts";
import { largeCases } from "../../cases/large.ts";
import { allCases } from "../../cases/table.ts";
import { median } from "../../cases/timing.ts";
import { type DispatchTime, Engine, type Tensor, type Tuned } from "../../engine/index.ts";
import { AdamW } from "../../kernels/optimizer/adamw.ts";
import type { Parameters } from "../../model/parameters.ts";
import { figures } from "../../train/profile/figures.ts";
import { measureStep, millisecondsOf } from "../../train/profile/measure.ts";
import { measurePeak, runCopy } from "../../train/profile/peak/peak.ts";
import { adamw, numbers, period, repeated } from "../steps.ts";
import { VitStep } from "../vit-step.ts";
import { CaseStep } from "./case-step.ts";
import type { Prepared, StepSpec, Subject, Timing } from "./protocol.ts";
import { serve } from "./serve.ts";

/** Switches of Dawn; pages have none of them. The last is for figures only. */
const dawnFlags = [
  "enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis",
  "disable-dawn-features=timestamp_quantization",
];

/** Something that is timed. */
interface Run {
  run(): void;
  dispose(): void;
  /** Measures the choices of kernels, and takes the fastest from then on. */
  tune?(): Promise<Tuned[]>;
  /** Of a whole step. */
  step?: VitStep | CaseStep;
}

let engine: Engine;
let current: Run | null = null;

/** Opens the device; `poison` for checks, where whatever a kernel leaves unwritten shall show. */
async function open({ poison = false }: { poison?: boolean }) {
  engine = await Engine.create({ dawn: dawnFlags, poison });
  const { device, adapterInfo, lanes } = engine;
  const limits: Record<string, number> = {};
  for (const name of ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize"])
    limits[name] = device.limits[name as "maxBufferSize"];
  const { subgroupMatrixConfigs = [] } = adapterInfo as { subgroupMatrixConfigs?: Iterable<object> };
  const shapes = [...subgroupMatrixConfigs].map((config) => {
    const { componentType, resultComponentType, M, N, K } = config as Record<string, unknown>;
    return `${componentType} to ${resultComponentType} ${M}x${N}x${K}`;
  });
  return {
    adapter: engine.adapterName,
    vendor: adapterInfo.vendor,
    architecture: adapterInfo.architecture,
    software: engine.isSoftware,
    lanes: `${lanes.subgroups ? "subgroups" : "shared memory"} of ${lanes.count}`,
    features: [...device.features].sort(),
    limits,
    matrix_shapes: [...new Set(shapes)],
    dawn: dawnFlags,
  };
}

/** Runs cases of the table forward and backward, and tells of each when it begins and what came of it. */
async function table({ names }: { names: string[] }, note: (value: unknown) => void) {
  const byName = new Map(allCases.map((opCase) => [opCase.name, opCase]));
  // So many compile at once: few first, so that a slow device comes to something.
  let together = 4;
  for (let at = 0; at < names.length; ) {
    const cases = names.slice(at, at + together).map((name) => byName.get(name)!);
    at += cases.length;
    together = Math.min(32, 2 * together);
    note({ begins: cases[0]!.name });
    for (const opCase of cases) if (!opCase.bench) recordCase(engine, opCase);
    await engine.idle();
    for (const opCase of cases) {
      note({ begins: opCase.name });
      const { name, failures, skipped, errors } = await runCase(engine, opCase);
      note({ name, failures, skipped, error: Math.max(0, ...Object.values(errors)) });
    }
  }
}

/** Peaks of the adapter, and what a copy too large for any cache reaches. */
async function peak() {
  const { gflops, gbps } = await measurePeak(engine);
  const { maxBufferSize, maxStorageBufferBindingSize } = engine.device.limits;
  const bytes = Math.min(1 << 28, maxBufferSize, maxStorageBufferBindingSize);
  const [from, to] = [0, 1].map(() => engine.keep(engine.zeros([bytes / 4]))) as [Tensor, Tensor];
  const { ms } = await time({ run: () => runCopy(from, to), dispose() {} }, 0.3);
  from.dispose();
  to.dispose();
  return { gflops, gbps, copy_gbps: (2 * bytes) / ms / 1e6, copy_bytes: bytes };
}

const isSmall = (size: number) => size <= 1 << 22;
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The values of an input: as the table draws them, over and over where they are many. */
function fill(input: Input, seed: number): Float32Array {
  const size = sizeOf(input.shape);
  return repeated(drawValues(input, seed, Math.min(size, period)), size);
}

/**
 * The relative error of a result by float64: of all elements where they are few, else of stretches from its start to its end.
 */
async function errorOf(opCase: OpCase, values: Float32Array[], result: Tensor): Promise<number> {
  // What references read is numbers, whatever array holds them.
  const inputs = values as unknown as Float64Array[];
  if (isSmall(result.size)) {
    const whole = await result.read();
    if (!opCase.referenceAt)
      return relativeError(whole, opCase.reference(inputs.map((input) => Float64Array.from(input))));
    const indices = sampleIndices(result.size);
    return relativeError(
      Float64Array.from(indices, (index) => whole[index]!),
      Float64Array.from(indices, (index) => opCase.referenceAt!(inputs, index)),
    );
  }
  const row = result.shape.at(-1)!;
  // A multiple of whole rows and of what a slice may start at.
  const unit = row * (128 / gcd(row, 128));
  const units = Math.floor(result.size / unit);
  let worst = 0;
  for (const at of new Set([0, Math.floor(units / 3), Math.floor(units / 2), units - 1])) {
    const start = at * unit;
    const part = engine.slice(result, start, [Math.min(unit, result.size - start)]);
    const got = await part.read();
    part.dispose();
    const indices = sampleIndices(got.length).slice(0, 300);
    const wanted = opCase.referenceAt
      ? Float64Array.from(indices, (index) => opCase.referenceAt!(inputs, start + index))
      : rowsOf(opCase, inputs, start, got.length);
    const seen = opCase.referenceAt ? Float64Array.from(indices, (index) => got[index]!) : got;
    worst = Math.max(worst, relativeError(seen, wanted));
  }
  return worst;
}

/** The result of some rows by themselves, for ops that treat each alone: softmax, layer normalisation, embedding. */
function rowsOf(opCase: OpCase, inputs: Float64Array[], start: number, length: number): Float64Array {
  const [first, ...rest] = inputs as [Float64Array, ...Float64Array[]];
  const { inputs: given } = opCase;
  if (given[1]?.dtype === "u32") {
    const width = given[0]!.shape.at(-1)!;
    return Float64Array.from({ length }, (_, i) => {
      const at = start + i;
      return first[rest[0]![Math.floor(at / width)]! * width + (at % width)]!;
    });
  }
  return opCase.reference([Float64Array.from(first.subarray(start, start + length)), ...rest]);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Gets an op ready: runs it once, and looks at its result. */
async function prepare({ name, weighted, size }: Subject): Promise<Prepared> {
  await release();
  if (size !== undefined) return prepareAdamW(size);
  const opCase = [...largeCases, ...allCases].find((opCase) => opCase.name === name)!;
  const values = opCase.inputs.map((input, i) => fill(input, i + 1));
  const tensors = opCase.inputs.map(({ shape, dtype }, i) =>
    engine.keep(engine.tensor(values[i]!, shape, dtype)),
  );
  const held = [...tensors];
  const dispose = () => {
    for (const tensor of held) tensor.dispose();
  };
  try {
    const result = engine.inference(() => opCase.run(tensors, engine));
    const error = await errorOf(opCase, values, result);
    let grad: Tensor | null = null;
    if (weighted) {
      const { shape, dtype } = result;
      grad = engine.keep(
        engine.tensor(fill({ name: "gradient", shape: [...shape], dtype }, 77), shape, dtype),
      );
      held.push(grad);
    }
    result.dispose();
    const { record, clear, run } = caseRun(engine, opCase, tensors, grad);
    const tune = async () => {
      const tuned = await engine.tune(record);
      clear();
      return tuned;
    };
    current = { run, dispose, tune };
    return { error, tolerance: toleranceOf(opCase) };
  } catch (cause) {
    dispose();
    throw cause;
  }
}

async function prepareAdamW(size: number): Promise<Prepared> {
  const [values, gradient] = [0, 1].map((stream) =>
    engine.keep(engine.tensor(numbers(size, stream), [size])),
  );
  const optimizer = new AdamW(engine, [{ values: values!, gradient: gradient!, decayEnd: size }], adamw);
  const dispose = () => {
    optimizer.dispose();
    values!.dispose();
    gradient!.dispose();
  };
  const run = () => {
    optimizer.advance(adamw.learningRate);
    engine.scope(() => {
      optimizer.update();
    });
  };
  current = { run, dispose };
  return { error: null, tolerance: null };
}

/** Values as fresh ones are, drawn once for all parameters: drawing each would take longer than all that is measured. */
function initialize(parameters: Parameters): void {
  const { specs, size } = parameters;
  if (isSmall(size)) {
    parameters.initialize(1);
    return;
  }
  const drawn = numbers(1 << 16, 3);
  const values = new Map(
    specs.map(({ name, shape, initial }, i) => {
      const count = sizeOf(shape);
      const data =
        "constant" in initial
          ? new Float32Array(count).fill(initial.constant)
          : // Another start for each, so that no two tensors are alike.
            repeated(
              drawn.subarray(i * 64).map((value) => value * initial.normal),
              count,
            );
      return [name, { shape, data }];
    }),
  );
  parameters.load(values);
}

/** Gets a whole training step ready, captured as training does it. */
async function prepareStep(spec: StepSpec): Promise<Prepared> {
  await release();
  const step =
    spec.model === "vit"
      ? new VitStep(engine, spec.config, spec.batch, { precision: spec.precision, initialize })
      : new CaseStep(engine, spec, initialize);
  const captured = async () => {
    const program = await step.capture();
    return { dispatches: program.dispatches, planned_bytes: program.memory.planned };
  };
  const tune = async () => {
    const tuned = await step.tune();
    Object.assign(facts, await captured());
    return tuned;
  };
  current = { run: () => step.run(), dispose: () => step.dispose(), tune, step };
  const facts = await captured();
  const parameters = step.parameters.size;
  const { usedBytes } = engine.stats();
  return { error: null, tolerance: null, parameters, bytes: usedBytes + facts.planned_bytes, ...facts };
}

/** Times what is ready, on the wall clock until the device is done and, where it can be had, by the device's own clock. */
async function time({ run }: Run, seconds: number): Promise<Timing> {
  const batch = async (runs: number) => {
    const start = performance.now();
    for (let i = 0; i < runs; i++) run();
    await engine.idle();
    return (performance.now() - start) / runs;
  };
  await batch(1);
  let once = await batch(1);
  // A short run is told from the wait for it by doing more of them, which also lets clocks rise.
  for (let runs = 2; runs <= 64 && once * runs < 50; runs *= 2) once = await batch(runs);
  const batches = 5;
  const runs = Math.max(1, Math.floor((seconds * 1000) / batches / once));
  const walls: number[] = [];
  const end = performance.now() + 2000 * seconds;
  for (let i = 0; i < batches && (i === 0 || performance.now() < end); i++) walls.push(await batch(runs));
  const [ms, least, most] = [median(walls), Math.min(...walls), Math.max(...walls)];
  const stamped: DispatchTime[][] = [];
  if (engine.hasTimestamps && ms < 1000 * seconds)
    for (let i = 0; i < 3; i++) stamped.push(await engine.profile(run));
  const sum = (times: DispatchTime[]) => times.reduce((total, { begin, end }) => total + (end - begin), 0);
  return {
    ...{ ms, least, most, runs: runs * walls.length },
    gpu_ms: stamped.length > 0 ? median(stamped.map(sum)) : null,
    dispatches: stamped[0]?.length ?? null,
  };
}

async function release(): Promise<void> {
  current?.dispose();
  current = null;
  await engine.trim();
}

/** Where the time of the step that is ready goes. */
async function profile() {
  const step = current?.step;
  if (!(step instanceof CaseStep)) throw new Error("No step of CASE is ready.");
  const { program, values } = await step.parts();
  const measured = await measureStep(engine, program, values, 3);
  const { shapes, ...rest } = figures("a step of CASE", measured);
  return { ...rest, gpuMilliseconds: millisecondsOf(measured.spans), shapes: shapes.slice(0, 40) };
}

serve({
  open,
  table,
  peak,
  prepare,
  prepareStep,
  time: ({ seconds }: { seconds: number }) => time(current!, seconds),
  tune: async () => ((await current!.tune?.()) ?? []).slice(0, 40),
  /** The loss after a run, to see that it is a number. */
  loss: () => current!.step!.loss(),
  profile,
  release,
});
