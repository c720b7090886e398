// jax-js on WebGPU, every job under `jit`, which fuses what it can. Arrays are moved into operations unless `.ref` keeps
// them.
import {
  defaultDevice,
  getWebGPUDevice,
  init,
  jit,
  lax,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
  vjp,
} from "@jax-js/jax";
import type { PeerOp } from "../../cases/case.ts";
import type { Subject } from "../../cases/timing.ts";
import { waitFor } from "../../engine/gpu/wait.ts";
import { type Job, type Outputs, serve, sideOf } from "../protocol.ts";
import { adamw, benchVit, comparedSteps, numbers, vitConfig, vitData, vitParameters } from "../steps.ts";
import { installWebGpu } from "./dawn.ts";

type Array = np.Array;

installWebGpu();

const arrayOf = (values: Float32Array, shape: number[]): Array =>
  np.array(values as Float32Array<ArrayBuffer>, { shape, dtype: np.float32 });
const read = async (x: Array) => Float32Array.from((await x.data()) as Float32Array);

const gelu = (x: Array) => nn.gelu(x, { approximate: false });

function layernorm(x: Array, gamma: Array, beta: Array, epsilon: number): Array {
  return nn.standardize(x, -1, { epsilon }).mul(gamma).add(beta);
}

/** x weightᵀ over the last axis. */
const product = (x: Array, weight: Array) => np.matmul(x, np.matrixTranspose(weight));

/** Attention of q to k and v, each [B, T, H D]. */
function attention(q: Array, k: Array, v: Array, heads: number): Array {
  const [batch, tokens, width] = q.shape;
  const split = (x: Array) => x.reshape([x.shape[0]!, x.shape[1]!, heads, width! / heads]);
  return nn.dotProductAttention(split(q), split(k), split(v)).reshape([batch!, tokens!, width!]);
}

function compute(peer: PeerOp, x: Array[]): Array {
  switch (peer.op) {
    case "matmul": {
      const a = peer.transposeA ? np.matrixTranspose(x[0]!) : x[0]!;
      const y = np.matmul(a, peer.transposeB ? np.matrixTranspose(x[1]!) : x[1]!);
      return peer.scale === 1 ? y : y.mul(peer.scale);
    }
    case "linear": {
      // The order of inputs is x, weight, bias, residual.
      const pre = product(x[0]!, x[1]!);
      const biased = x[2] ? pre.add(x[2]) : pre;
      const active = peer.gelu ? gelu(biased) : biased;
      return x[3] ? active.add(x[3]) : active;
    }
    case "conv2d": {
      const border = [peer.padding, peer.padding] as [number, number];
      const options = { featureGroupCount: peer.groups };
      return lax.convGeneralDilated(x[0]!, x[1]!, [peer.stride, peer.stride], [border, border], options);
    }
    case "softmax":
      return nn.softmax(x[0]!);
    case "gelu":
      return gelu(x[0]!);
    case "layernorm":
      return layernorm(x[0]!, x[1]!, x[2]!, peer.eps);
    case "attention": {
      const parts = x.length === 1 ? np.split(x[0]!, 3, -1) : [x[0]!, ...np.split(x[1]!, 2, -1)];
      return attention(parts[0]!, parts[1]!, parts[2]!, peer.heads);
    }
  }
}

/** Runs of something that returns fresh arrays. All are kept and waited for: one that goes early is never computed. */
function subjectOf(once: () => Array[], arrays: Array[]): Subject {
  let results: Array[] = [];
  return {
    run() {
      results.push(...once());
    },
    async wait() {
      for (const array of results) await waitFor(array.blockUntilReady());
      for (const array of results) array.dispose();
      results = [];
    },
    dispose() {
      for (const array of arrays) array.dispose();
    },
  };
}

async function op(job: Extract<Job, { kind: "op" }>): Promise<{ subject: Subject; outputs: Outputs } | null> {
  const { peer } = job;
  if (!peer) return null;
  const inputs = job.inputs.map(({ values, shape }) => arrayOf(values, shape));
  const outputs: Outputs = {};
  const forward = jit((...x: Array[]) => compute(peer, x));
  const refs = () => inputs.map((x) => x.ref);
  const y = forward(...refs());
  const { shape } = y;
  outputs.result = await read(y);
  if (!job.weights) return { subject: subjectOf(() => [forward(...refs())], inputs), outputs };

  const weights = arrayOf(job.weights, shape);
  const both = jit((w: Array, ...x: Array[]) => {
    const [result, pull] = vjp((...x: Array[]) => compute(peer, x), x);
    const gradients = pull(w) as Array[];
    pull.dispose();
    result.dispose();
    return gradients;
  });
  const run = () => both(weights.ref, ...refs()) as Array[];
  for (const [i, gradient] of run().entries())
    outputs[`gradient of ${job.inputs[i]!.name}`] = await read(gradient);
  return { subject: subjectOf(run, [...inputs, weights]), outputs };
}

/** One AdamW update of an array; `scales` f32 [2] are 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t). */
function update(
  p: Array,
  m: Array,
  v: Array,
  g: Array,
  scales: Array,
  decays: boolean,
): [Array, Array, Array] {
  const { learningRate, beta1, beta2, epsilon, weightDecay } = adamw;
  const [first, second] = np.split(scales, 2);
  const nextM = m.mul(beta1).add(g.ref.mul(1 - beta1));
  const nextV = v.mul(beta2).add(g.ref.mul(g).mul(1 - beta2));
  const root = np.sqrt(nextV.ref).mul(second!).add(epsilon);
  const kept = decays ? p.mul(1 - learningRate * weightDecay) : p;
  const next = kept.sub(nextM.ref.div(root).mul(first!.mul(learningRate)));
  return [next, nextM, nextV];
}

const scalesAt = (step: number) =>
  np.array([1 / (1 - adamw.beta1 ** step), 1 / Math.sqrt(1 - adamw.beta2 ** step)], { dtype: np.float32 });

async function adamwStep(size: number): Promise<{ subject: Subject; outputs: Outputs }> {
  const gradient = arrayOf(numbers(size, 1), [size]);
  let state = [arrayOf(numbers(size, 0), [size]), np.zeros([size]), np.zeros([size])];
  let step = 0;
  const jitted = jit((p: Array, m: Array, v: Array, g: Array, scales: Array) =>
    update(p, m, v, g, scales, true),
  );
  const run = () => {
    state = jitted(state[0]!, state[1]!, state[2]!, gradient.ref, scalesAt(++step)) as Array[];
  };
  for (let i = 0; i < comparedSteps; i++) run();
  const outputs = { parameters: await read(state[0]!.ref) };
  const wait = async () => {
    for (const array of state) await waitFor(array.blockUntilReady());
  };
  const dispose = () => {
    for (const array of [gradient, ...state]) array.dispose();
  };
  return { subject: { run, wait, dispose }, outputs };
}

async function vitStep(): Promise<{ subject: Subject; outputs: Outputs }> {
  const config = vitConfig(benchVit);
  const { imageSize, patchSize, width, depth, heads, layerNormEpsilon: eps } = config.vision;
  const specs = vitParameters(config);
  const data = vitData(config);
  const side = imageSize / patchSize;

  const loss = (parameters: Record<string, Array>, pixels: Array, target: Array): Array => {
    const p = (name: string) => parameters[name]!;
    const linear = (x: Array, name: string) => product(x, p(`${name}.weight`)).add(p(`${name}.bias`));
    const norm = (x: Array, name: string) => layernorm(x, p(`${name}.weight`), p(`${name}.bias`), eps);
    const grid = pixels.reshape([3, side, patchSize, side, patchSize]);
    const patches = np.transpose(grid, [1, 3, 0, 2, 4]).reshape([1, side * side, 3 * patchSize ** 2]);
    const embedded = linear(patches, "embeddings.patch_embedding");
    let x = np
      .concatenate([p("embeddings.class_embedding").reshape([1, 1, width]), embedded], 1)
      .add(p("embeddings.position_embedding"));
    for (let i = 0; i < depth; i++) {
      const layer = `encoder.layers.${i}`;
      const qkv = linear(norm(x.ref, `${layer}.layer_norm1`), `${layer}.self_attn.qkv`);
      const [q, k, v] = np.split(qkv, 3, -1);
      x = x.add(linear(attention(q!, k!, v!, heads), `${layer}.self_attn.projection`));
      const hidden = gelu(linear(norm(x.ref, `${layer}.layer_norm2`), `${layer}.mlp.fc1`));
      x = x.add(linear(hidden, `${layer}.mlp.fc2`));
    }
    const error = norm(x, "post_layernorm").sub(target);
    return np.mean(error.ref.mul(error));
  };

  type State = Record<string, Array>;
  const step = jit((p: State, m: State, v: State, pixels: Array, target: Array, scales: Array) => {
    const [value, gradients] = valueAndGrad(loss)(tree.ref(p), pixels, target) as [Array, State];
    const squares = specs.map(({ name }) => np.sum(gradients[name]!.ref.mul(gradients[name]!.ref)));
    const norm = np.sqrt(squares.reduce((a, b) => a.add(b)));
    const scale = np.minimum(np.array(adamw.maxNorm).div(norm.ref.add(1e-6)), 1);
    const next: [State, State, State] = [{}, {}, {}];
    for (const { name, decays } of specs) {
      const g = gradients[name]!.mul(scale.ref);
      update(p[name]!, m[name]!, v[name]!, g, scales.ref, decays).forEach((array, i) => {
        next[i]![name] = array;
      });
    }
    scale.dispose();
    scales.dispose();
    return { value, norm, next };
  });

  const all = (make: (spec: (typeof specs)[number]) => Array) =>
    Object.fromEntries(specs.map((spec) => [spec.name, make(spec)])) as State;
  let state = [
    all(({ values, shape }) => arrayOf(values, shape)),
    all(({ shape }) => np.zeros(shape)),
    all(({ shape }) => np.zeros(shape)),
  ];
  const pixels = arrayOf(data.pixels.values, data.pixels.shape);
  const target = arrayOf(data.target.values, data.target.shape);
  let count = 0;
  let last: Array[] = [];
  const run = () => {
    for (const array of last) array.dispose();
    const { value, norm, next } = step(
      state[0]!,
      state[1]!,
      state[2]!,
      pixels.ref,
      target.ref,
      scalesAt(++count),
    ) as { value: Array; norm: Array; next: [State, State, State] };
    state = next;
    last = [value, norm];
  };
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < comparedSteps; i++) {
    run();
    losses.push((await read(last[0]!.ref))[0]!);
    norms.push((await read(last[1]!.ref))[0]!);
  }
  const outputs = { losses: Float32Array.from(losses), "gradient norms": Float32Array.from(norms) };
  const subject = {
    run,
    async wait() {
      for (const array of last) await waitFor(array.blockUntilReady());
      for (const array of tree.leaves(state[0]) as Array[]) await waitFor(array.blockUntilReady());
    },
    dispose() {
      for (const array of [...last, pixels, target]) array.dispose();
      for (const part of state) tree.dispose(part);
    },
  };
  return { subject, outputs };
}

serve(
  sideOf(
    async () => {
      if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js found no WebGPU.");
      defaultDevice("webgpu");
      return (getWebGPUDevice() as GPUDevice | undefined)?.adapterInfo?.description || null;
    },
    async (job) => {
      if (job.kind === "op") return op(job);
      if (job.kind === "adamw") return adamwStep(job.size);
      return job.kind === "vit" ? vitStep() : null;
    },
  ),
);
