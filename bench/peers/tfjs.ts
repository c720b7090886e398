// TensorFlow.js on its WebGPU backend. Operations that it lacks are put together from those it has, as its layers do.
import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import { require as requireCompiled } from "tsx/cjs/api";
import type { PeerOp } from "../../cases/case.ts";
import type { Subject } from "../../cases/timing.ts";
import { waitFor } from "../../engine/gpu/wait.ts";
import { type Job, type Outputs, serve, sideOf } from "../protocol.ts";
import { adamw, benchVit, comparedSteps, numbers, vitConfig, vitData, vitParameters } from "../steps.ts";
import { installWebGpu } from "./dawn.ts";

installWebGpu();
await import("@tensorflow/tfjs-backend-webgpu");
// The package's bundle for Node has no gradients. Its modules do, in a form that needs a compiler, and note them in the
// registry that all copies share.
const { resolve } = createRequire(import.meta.url);
requireCompiled(resolve("@tensorflow/tfjs-core/dist/register_all_gradients.js"), import.meta.url);

/** The part of the backend that says when its work is done. */
interface WebGpuBackend {
  commandEncoder: GPUCommandEncoder | null;
  device: GPUDevice;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** The first error of the device, which the library only logs. */
let failure: string | null = null;

const backend = () => tf.backend() as unknown as WebGpuBackend;

async function wait(): Promise<void> {
  if (backend().commandEncoder) {
    backend().endComputePassEncoder();
    backend().submitQueue();
  }
  await waitFor(backend().device.queue.onSubmittedWorkDone());
  const error = failure;
  failure = null;
  if (error) throw new Error(error);
}

const gelu = (x: tf.Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

function layernorm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, eps: number): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps))), gamma), beta);
}

/** Attention of q to k and v, each [B, T, H D]. */
function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, heads: number): tf.Tensor {
  const split = (x: tf.Tensor) => {
    const [batch, tokens, width] = x.shape;
    return tf.transpose(tf.reshape(x, [batch!, tokens!, heads, width! / heads]), [0, 2, 1, 3]);
  };
  const [batch, tokens, width] = q.shape;
  const scaled = tf.mul(split(q), 1 / Math.sqrt(width! / heads));
  const weights = tf.softmax(tf.matMul(scaled, split(k), false, true));
  return tf.reshape(tf.transpose(tf.matMul(weights, split(v)), [0, 2, 1, 3]), [batch!, tokens!, width!]);
}

function compute(peer: PeerOp, x: tf.Tensor[]): tf.Tensor {
  switch (peer.op) {
    case "matmul": {
      const y = tf.matMul(x[0]!, x[1]!, peer.transposeA, peer.transposeB);
      return peer.scale === 1 ? y : tf.mul(y, peer.scale);
    }
    case "linear": {
      // The order of inputs is x, weight, bias, residual.
      const pre = tf.matMul(x[0]!, x[1]!, false, true);
      const biased = x[2] ? tf.add(pre, x[2]) : pre;
      const active = peer.gelu ? gelu(biased) : biased;
      return x[3] ? tf.add(active, x[3]) : active;
    }
    case "conv2d": {
      const { stride, padding, groups } = peer;
      const [pictures, weight] = x as [tf.Tensor4D, tf.Tensor4D];
      return groups === 1
        ? tf.conv2d(pictures, weight, stride, padding)
        : tf.depthwiseConv2d(pictures, weight, stride, padding);
    }
    case "softmax":
      return tf.softmax(x[0]!);
    case "gelu":
      return gelu(x[0]!);
    case "layernorm":
      return layernorm(x[0]!, x[1]!, x[2]!, peer.eps);
    case "attention": {
      const parts = x.length === 1 ? tf.split(x[0]!, 3, -1) : [x[0]!, ...tf.split(x[1]!, 2, -1)];
      return attention(parts[0]!, parts[1]!, parts[2]!, peer.heads);
    }
  }
}

const read = async (x: tf.Tensor) => Float32Array.from(await x.data());

async function op(job: Extract<Job, { kind: "op" }>): Promise<{ subject: Subject; outputs: Outputs } | null> {
  const { peer } = job;
  if (!peer) return null;
  const given = job.inputs.map(({ values, shape }) => tf.tensor(values, shape));
  // Convolutions have channels last, and weights as [h, w, I, O], or [h, w, C, 1] of single channels.
  const convolves = peer.op === "conv2d";
  const own = peer.op === "conv2d" && peer.groups > 1 ? [2, 3, 0, 1] : [2, 3, 1, 0];
  const inputs = convolves ? given.map((x, i) => tf.transpose(x, i === 0 ? [0, 2, 3, 1] : own)) : given;
  const forward = () => tf.tidy(() => compute(peer, inputs));
  const outputs: Outputs = {};
  const y = forward();
  outputs.result = await read(convolves ? tf.transpose(y, [0, 3, 1, 2]) : y);
  let run = () => forward().dispose();
  const tensors = [...new Set([...given, ...inputs])];
  if (job.weights) {
    const weights = tf.tensor(job.weights, y.shape);
    tensors.push(weights);
    const gradients = tf.grads((...x: tf.Tensor[]) => compute(peer, x));
    const both = () => gradients(inputs, weights);
    const first = both();
    for (const [i, gradient] of first.entries())
      outputs[`gradient of ${job.inputs[i]!.name}`] = await read(gradient);
    tf.dispose(first);
    run = () => tf.dispose(both());
  }
  y.dispose();
  return { subject: { run, wait, dispose: () => tf.dispose(tensors) }, outputs };
}

/** One AdamW update of a tensor; returns the new values of parameter and moments. */
function update(
  p: tf.Tensor,
  m: tf.Tensor,
  v: tf.Tensor,
  g: tf.Tensor,
  step: number,
  decays: boolean,
): tf.Tensor[] {
  const { learningRate, beta1, beta2, epsilon, weightDecay } = adamw;
  const nextM = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
  const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
  const root = tf.add(tf.mul(tf.sqrt(nextV), 1 / Math.sqrt(1 - beta2 ** step)), epsilon);
  const kept = decays ? tf.mul(p, 1 - learningRate * weightDecay) : p;
  return [tf.sub(kept, tf.mul(tf.div(nextM, root), learningRate / (1 - beta1 ** step))), nextM, nextV];
}

async function adamwStep(size: number): Promise<{ subject: Subject; outputs: Outputs }> {
  const gradient = tf.tensor(numbers(size, 1));
  let state: tf.Tensor[] = [tf.tensor(numbers(size, 0)), tf.zeros([size]), tf.zeros([size])];
  let step = 0;
  const run = () => {
    step++;
    const next = tf.tidy(() => update(state[0]!, state[1]!, state[2]!, gradient, step, true));
    tf.dispose(state);
    state = next;
  };
  for (let i = 0; i < comparedSteps; i++) run();
  const outputs = { parameters: await read(state[0]!) };
  return { subject: { run, wait, dispose: () => tf.dispose([gradient, ...state]) }, outputs };
}

async function vitStep(): Promise<{ subject: Subject; outputs: Outputs }> {
  const config = vitConfig(benchVit);
  const { imageSize, patchSize, width, depth, heads, layerNormEpsilon: eps } = config.vision;
  const specs = vitParameters(config);
  const data = vitData(config);
  const pixels = tf.tensor(data.pixels.values, data.pixels.shape);
  const target = tf.tensor(data.target.values, data.target.shape);
  const side = imageSize / patchSize;
  const tokens = side * side + 1;

  const loss = (...values: tf.Tensor[]): tf.Scalar => {
    const p = (name: string) => values[specs.findIndex((spec) => spec.name === name)]!;
    // Rows of all tokens together: tfjs has no gradient for a product of a batch with one matrix.
    const linear = (x: tf.Tensor, name: string) =>
      tf.add(tf.matMul(x as tf.Tensor2D, p(`${name}.weight`) as tf.Tensor2D, false, true), p(`${name}.bias`));
    const norm = (x: tf.Tensor, name: string) => layernorm(x, p(`${name}.weight`), p(`${name}.bias`), eps);
    const grid = tf.reshape(pixels, [3, side, patchSize, side, patchSize]);
    const patches = tf.reshape(tf.transpose(grid, [1, 3, 0, 2, 4]), [side * side, 3 * patchSize ** 2]);
    const embedded = linear(patches, "embeddings.patch_embedding");
    let x = tf.add(
      tf.concat([tf.reshape(p("embeddings.class_embedding"), [1, width]), embedded], 0),
      p("embeddings.position_embedding"),
    );
    for (let i = 0; i < depth; i++) {
      const layer = `encoder.layers.${i}`;
      const qkv = linear(norm(x, `${layer}.layer_norm1`), `${layer}.self_attn.qkv`);
      const [q, k, v] = tf.split(tf.reshape(qkv, [1, tokens, 3 * width]), 3, -1);
      const attended = tf.reshape(attention(q!, k!, v!, heads), [tokens, width]);
      x = tf.add(x, linear(attended, `${layer}.self_attn.projection`));
      const hidden = gelu(linear(norm(x, `${layer}.layer_norm2`), `${layer}.mlp.fc1`));
      x = tf.add(x, linear(hidden, `${layer}.mlp.fc2`));
    }
    const error = tf.sub(norm(x, "post_layernorm"), tf.reshape(target, [tokens, width]));
    return tf.mean(tf.square(error)) as tf.Scalar;
  };
  const lossAndGradients = tf.valueAndGrads(loss);

  let state = specs.map(({ values, shape }) => [tf.tensor(values, shape), tf.zeros(shape), tf.zeros(shape)]);
  let count = 0;
  /** One step; returns loss and norm. */
  const step = (): [tf.Tensor, tf.Tensor] => {
    count++;
    const [value, norm, next] = tf.tidy(() => {
      const { value, grads } = lossAndGradients(state.map(([p]) => p!));
      // Not tf.addN: it binds all of its inputs at once, whatever the adapter's limit.
      const norm = tf.sqrt(tf.sum(tf.stack(grads.map((g) => tf.sum(tf.square(g))))));
      const scale = tf.minimum(tf.div(adamw.maxNorm, tf.add(norm, 1e-6)), 1);
      const next = state.map(([p, m, v], i) =>
        update(p!, m!, v!, tf.mul(grads[i]!, scale), count, specs[i]!.decays),
      );
      return [value, norm, next] as unknown as tf.Tensor[];
    }) as unknown as [tf.Tensor, tf.Tensor, tf.Tensor[][]];
    tf.dispose(state);
    state = next;
    return [value, norm];
  };
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < comparedSteps; i++) {
    const [value, norm] = step();
    losses.push((await value.data())[0]!);
    norms.push((await norm.data())[0]!);
    tf.dispose([value, norm]);
  }
  const outputs = { losses: Float32Array.from(losses), "gradient norms": Float32Array.from(norms) };
  const subject = {
    run: () => tf.dispose(step()),
    wait,
    dispose: () => {
      tf.dispose(state);
      tf.dispose([pixels, target]);
    },
  };
  return { subject, outputs };
}

serve(
  sideOf(
    async () => {
      if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs found no WebGPU.");
      await tf.ready();
      backend().device.addEventListener("uncapturederror", ({ error }) => {
        failure ??= error.message;
      });
      return backend().device.adapterInfo?.description || null;
    },
    async (job) => {
      if (job.kind === "op") return op(job);
      if (job.kind === "adamw") return adamwStep(job.size);
      return job.kind === "vit" ? vitStep() : null;
    },
  ),
);
