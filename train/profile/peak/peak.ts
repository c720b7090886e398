// What this adapter can do at most, measured by two kernels that do one thing each: multiply-adds in registers, and a
// copy larger than any cache. The bench and `profile` give shares of it, as a roofline does (Williams, Waterman and
// Patterson, 2009).
import { defineKernel, type Engine, sizeOf, type Tensor } from "../../../engine/index.ts";
import copySource from "./copy.wgsl?raw";
import fmaSource from "./fma.wgsl?raw";

const fmaKernel = defineKernel({
  name: "peak-fma",
  source: fmaSource,
  bindings: ["+y: vec4f"],
  params: { steps: "u32", m: "f32", a: "f32" },
  flops: ({ params, bindings }) => operations(sizeOf(bindings[0]!.shape) / 4, params.steps),
});
const copyKernel = defineKernel({
  name: "peak-copy",
  source: copySource,
  bindings: ["x: vec4f", "+y: vec4f"],
  params: { quads: "u32" },
  flops: () => 0,
});

export const peakKernels = [fmaKernel, copyKernel];

/** Peaks of an adapter: f32 multiply-adds counted as two operations, and bytes read plus bytes written. */
export interface Peak {
  /** 1e9 operations a second. */
  gflops: number;
  /** 1e9 bytes a second. */
  gbps: number;
}

/** Rounds of one step in fma.wgsl, and elements that its four chains of vec4 hold. */
const rounds = 8;
const elements = 16;
/** Operations of all invocations. */
const operations = (invocations: number, steps: number) => invocations * steps * rounds * elements * 2;
/** The chains' fixed point is 1, so that they never come near overflow or denormals. */
const m = 0.75;
const a = 0.25;
/** A run shorter than this says more of launching it than of the kernel. */
const leastMilliseconds = 30;
const runs = 5;

/** Records the chains for every vec4 of `y` f32 [64 n]; afterwards each is the sum of its four. */
export function runFma(y: Tensor, steps: number): void {
  y.engine.run(fmaKernel, { bind: [y], params: { steps, m, a }, grid: y.size / 256 });
}

/** Records y = x; f32, a number of elements that 4 divides. */
export function runCopy(x: Tensor, y: Tensor): void {
  x.engine.run(copyKernel, { bind: [x, y], params: { quads: x.size / 4 }, grid: Math.ceil(x.size / 4096) });
}

/** Measures the peaks of the engine's adapter, in about a second. The device should have nothing else to do. */
export async function measurePeak(engine: Engine): Promise<Peak> {
  const invocations = 1 << 17;
  const y = engine.keep(engine.zeros([4 * invocations]));
  let steps = 16;
  let fma = await best(engine, 1, () => runFma(y, steps));
  while (fma < leastMilliseconds) {
    steps *= 2;
    fma = await best(engine, 1, () => runFma(y, steps));
  }
  fma = await best(engine, runs, () => runFma(y, steps));
  y.dispose();

  const bytes = Math.min(1 << 26, engine.largestStorage);
  const [from, to] = [engine.keep(engine.zeros([bytes / 4])), engine.keep(engine.zeros([bytes / 4]))];
  let copies = 1;
  const copy = () => {
    for (let i = 0; i < copies; i++) runCopy(from, to);
  };
  let time = await best(engine, 1, copy);
  while (time < leastMilliseconds) {
    copies *= 2;
    time = await best(engine, 1, copy);
  }
  time = await best(engine, runs, copy);
  from.dispose();
  to.dispose();
  return {
    gflops: operations(invocations, steps) / fma / 1e6,
    gbps: (copies * 2 * bytes) / time / 1e6,
  };
}

/** The shortest of several timings in milliseconds: a peak is what is reached at best. */
async function best(engine: Engine, count: number, work: () => void): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i <= count; i++) {
    const start = performance.now();
    work();
    await engine.idle();
    // The first run compiles.
    if (i > 0) least = Math.min(least, performance.now() - start);
  }
  return least;
}
