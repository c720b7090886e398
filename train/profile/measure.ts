// Where the time of a captured training step goes: each dispatch between its own timestamps or, where the adapter has
// none, each kernel's dispatches by themselves on the wall clock. Rates are held against the adapter's measured peaks by
// the roofline (Williams, Waterman and Patterson, CACM 52, 2009): a kernel can't be faster than the peak of arithmetic,
// nor than memory at its peak brings the operands.
import type {
  Engine,
  InputValues,
  LaunchWork,
  Program,
  ProgramMemory,
  ReplayCommand,
  WaitsSummary,
} from "../../engine/index.ts";
import { measurePeak, type Peak } from "./peak/peak.ts";

/** Work that was timed in one piece: a dispatch, or all dispatches of a kernel. Milliseconds since the first began. */
export interface Span {
  kernel: string;
  begin: number;
  end: number;
  launches: LaunchWork[];
}

/** What some dispatches took together; rates are null where no time was seen to pass. */
export interface Row {
  name: string;
  calls: number;
  milliseconds: number;
  flops: number;
  bytes: number;
  /** 1e9 operations a second. */
  gflops: number | null;
  /** 1e9 bytes a second. */
  gbps: number | null;
  /** Which of the adapter's peaks limits this much work on this many bytes. */
  bound: "compute" | "memory";
  /** Speed as a share of that peak, 0 to 1; above 1 where the data stayed in a cache. */
  ofPeak: number | null;
}

/** A measured training step. */
export interface StepProfile {
  adapter: string;
  peak: Peak;
  timing: "timestamps" | "wall clock";
  dispatches: number;
  /** Of an ordinary replay, from its call until the device is done; median. */
  stepMilliseconds: number;
  /** Of the calling thread, to replay one dispatch; median. */
  hostMicroseconds: number;
  memory: ProgramMemory;
  /** What waits for what. */
  waits: WaitsSummary & { replay: ReplayCommand[] };
  /** Of the fastest step that was measured. */
  spans: Span[];
}

const warmRuns = 5;

/**
 * Measures a program's step. Its numbers change as by training.
 * @param values the program's inputs
 * @param steps measured one after the other; the fastest counts
 */
export async function measureStep(
  engine: Engine,
  program: Program<unknown>,
  values: Readonly<Record<string, InputValues>>,
  steps: number,
): Promise<StepProfile> {
  const peak = await measurePeak(engine);
  const walls: number[] = [];
  const hosts: number[] = [];
  // The first run is not counted: it finds caches cold.
  for (let i = 0; i <= warmRuns; i++) {
    const start = performance.now();
    program.run(values);
    const host = performance.now() - start;
    await engine.idle();
    if (i === 0) continue;
    hosts.push(host);
    walls.push(performance.now() - start);
  }
  const measured: Span[][] = [];
  for (let i = 0; i < steps; i++) {
    measured.push(
      engine.hasTimestamps ? await stampStep(engine, program, values) : await timeKernels(engine, program),
    );
  }
  return {
    adapter: engine.adapterName,
    peak,
    timing: engine.hasTimestamps ? "timestamps" : "wall clock",
    dispatches: program.dispatches,
    stepMilliseconds: median(walls),
    hostMicroseconds: (1000 * median(hosts)) / program.dispatches,
    memory: program.memory,
    waits: program.waits(),
    spans: measured.reduce((a, b) => (millisecondsOf(b) < millisecondsOf(a) ? b : a)),
  };
}

async function stampStep(
  engine: Engine,
  program: Program<unknown>,
  values: Readonly<Record<string, InputValues>>,
): Promise<Span[]> {
  const times = await engine.profile(() => program.run(values));
  return program.launches().map((launch, i) => {
    const { begin, end } = times[i]!;
    return { kernel: launch.kernel, begin, end, launches: [launch] };
  });
}

/** One kernel after the other, all its dispatches of the step in a submit of their own. */
async function timeKernels(engine: Engine, program: Program<unknown>): Promise<Span[]> {
  const spans: Span[] = [];
  let begin = 0;
  for (const [kernel, launches] of groupBy(program.launches(), (launch) => launch.kernel)) {
    const start = performance.now();
    program.runAlone(kernel);
    await engine.idle();
    const end = begin + performance.now() - start;
    spans.push({ kernel, begin, end, launches });
    begin = end;
  }
  return spans;
}

/** The time of all spans. */
export function millisecondsOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { begin, end }) => sum + (end - begin), 0);
}

/** Sums spans under the names that `name` gives them, the costliest first. */
export function rowsBy({ spans, peak }: StepProfile, name: (span: Span) => string): Row[] {
  return Array.from(groupBy(spans, name), ([name, group]): Row => {
    const launches = group.flatMap((span) => span.launches);
    const milliseconds = millisecondsOf(group);
    const flops = launches.reduce((sum, launch) => sum + (launch.flops ?? 0), 0);
    const bytes = launches.reduce((sum, launch) => sum + launch.bytes, 0);
    const rate = (amount: number) => (milliseconds > 0 ? amount / milliseconds / 1e6 : null);
    const [gflops, gbps] = [rate(flops), rate(bytes)];
    const bound = flops / peak.gflops > bytes / peak.gbps ? "compute" : "memory";
    const speed = bound === "compute" ? gflops : gbps;
    const ofPeak = speed === null ? null : speed / (bound === "compute" ? peak.gflops : peak.gbps);
    return { name, calls: launches.length, milliseconds, flops, bytes, gflops, gbps, bound, ofPeak };
  }).sort((a, b) => b.milliseconds - a.milliseconds);
}

/** A row for each kernel. */
export function kernelRows(profile: StepProfile): Row[] {
  return rowsBy(profile, ({ kernel }) => kernel);
}

/** A row for each kernel on each set of shapes; for kernels only, where single dispatches have no time of their own. */
export function shapeRows(profile: StepProfile): Row[] {
  if (profile.timing !== "timestamps") return [];
  return rowsBy(profile, ({ kernel, launches }) => `${kernel} ${shapesOf(launches[0]!)}`);
}

/** The shapes that a launch is bound to, memory that is bound twice left out, and the variants that are switched on. */
export function shapesOf({ bindings, constants }: LaunchWork): string {
  const shapes = bindings.filter(({ repeated }) => !repeated).map(({ shape }) => shape.join("x") || "1");
  const on = Object.entries(constants).flatMap(([name, value]) => (value === true ? [name] : []));
  return [shapes.join(" "), ...(on.length > 0 ? [`(${on.join(", ")})`] : [])].join(" ");
}

function groupBy<T>(items: readonly T[], name: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(name(item));
    if (group) group.push(item);
    else groups.set(name(item), [item]);
  }
  return groups;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
