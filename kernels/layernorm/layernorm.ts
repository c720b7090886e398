// Layer normalisation over the last axis, with what stands in front of it in a transformer's block fused in, dropout and
// the residual sum: LayerNorm(dropout(x) + residual) is one kernel forward and two backward. RMSNorm is the same without the
// mean and without beta.
import {
  type Backend,
  gradientDType,
  type ParamTypes,
  type RandomKey,
  type Tensor,
  TensorError,
  tracked,
} from "../../engine/index.ts";
import { defineByWidth, laneSums, randomItems, requireFloat, rowsOf } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { eachRows, heldGroups, heldRows, rowGroups, rowLanes } from "../lib/rows.ts";
import { elements, perElement } from "../lib/work.ts";
import forwardSource from "./layernorm.wgsl?raw";
import affineSource from "./layernorm-affine.wgsl?raw";
import backwardSource from "./layernorm-backward.wgsl?raw";

const dropoutTypes = {
  key: "u32",
  stream: "u32",
  probability: "f32",
  /** 1 / (1 - probability) */
  keptScale: "f32",
} as const;

/** How gamma and beta are given: an item for each of a row's, or in another way that WGSL tells with more parameters. */
interface Affine<P extends ParamTypes> {
  type: "In" | "Scalar";
  /** `scaleOf`, and `shiftOf` for the forward pass. */
  scale: readonly string[];
  shift: string;
  params: P;
}

/** The kernels of normalising rows, forward and for the gradient of what is normalised. */
/* @__NO_SIDE_EFFECTS__ */
export function defineNorm<const P extends ParamTypes>(
  name: string,
  { type, scale, shift, params }: Affine<P>,
) {
  const forward = defineByWidth({
    name,
    source: forwardSource,
    includes: (width) => [...randomItems(width), ...eachRows, heldRows("Wide"), ...scale, shift],
    bindings: [
      "x: In",
      "residual: In",
      `gamma: ${type}`,
      `beta: ${type}`,
      "+h: Out",
      "+y: Out",
      // Of each row what its numbers are relative to, their mean relative to that, and 1 / sqrt(variance + eps).
      "+moments: vec3f",
    ],
    params: {
      rows: "u32",
      // Items (of WIDTH elements) of a row.
      length: "u32",
      eps: "f32",
      ...dropoutTypes,
      ...params,
    },
    flops: perElement("x", 12, { HAS_RESIDUAL: 1, DROPOUT: 1 }),
  });
  const backward = defineByWidth({
    name: `${name}-backward`,
    source: backwardSource,
    includes: (width) => [...randomItems(width), rowLanes, ...scale],
    bindings: [
      "h: In",
      `gamma: ${type}`,
      "moments: vec3f",
      "dy: In",
      // A gradient that h has already, to be added.
      "earlier: In",
      "+dh: Out",
      "+dx: Out",
      // For each workgroup a row of sums for gamma, then one for beta.
      "+parts: Wide",
    ],
    params: {
      rows: "u32",
      // Items (of WIDTH elements) of a row.
      length: "u32",
      // Rows of a workgroup, BLOCK at most.
      blockRows: "u32",
      // Flags. They are no constants, as each pipeline takes its time to compile.
      hasEarlier: "u32",
      affine: "u32",
      ...dropoutTypes,
      ...params,
    },
    flops: (launch) => {
      const { hasEarlier = 0, affine = 0 } = launch.params;
      return perElement("h", 15 + hasEarlier + 3 * affine, { DROPOUT: 1 })(launch);
    },
  });
  return { forward, backward };
}

const { forward: forwardKernel, backward: backwardKernel } = defineNorm("layernorm", {
  type: "In",
  scale: ["fn scaleOf(row: u32, i: u32) -> Wide { return Wide(gamma[i]); }"],
  shift: "fn shiftOf(row: u32, i: u32) -> Wide { return Wide(beta[i]); }",
  params: {},
});
const affineKernel = defineByWidth({
  name: "layernorm-affine",
  bundles: true,
  source: affineSource,
  includes: (width) => [rowLanes, laneSums(width)],
  bindings: ["parts: Wide", "+dGamma: Out", "+dBeta: Out"],
  params: {
    // Items (of WIDTH elements) of a row.
    length: "u32",
    blocks: "u32",
  },
  flops: (launch) => elements(launch, "parts"),
});

export const layernormKernels = kernelsIn(() => [
  ...forwardKernel.all,
  ...backwardKernel.all,
  ...affineKernel.all,
]);

export interface LayernormOptions {
  /** Added to the variance; 1e-5 unless told. */
  eps?: number;
  /** Of the shape of `x`, added to it first. */
  residual?: Tensor | null;
  /** With a residual: what `x` goes through before the sum, as `dropout` has it. */
  dropout?: { probability: number; key: RandomKey } | null;
}

/** Rows that one workgroup of the forward kernel takes, where there are rows enough to keep a GPU busy all the same. */
const forwardRows = 2;
/** How the backward kernel covers rows of so many items: groups of lanes, the rows of a workgroup and the most that has room. */
function backwardCover(engine: Backend, rows: number, items: number) {
  const groups = rowGroups(engine, items);
  // Workgroup memory holds a vec2 for each row and lane, beside what sums over lanes take.
  const room = Math.floor(
    engine.device.limits.maxComputeWorkgroupStorageSize / (8 * groups * engine.lanes.count),
  );
  const most = Math.min(16, room - 1);
  // So few blocks that adding them up costs little, so many that they fill the device: a GPU or some cores.
  const [blocks, least] = engine.rowGroups > 1 ? [1024, 2] : [256, 4];
  return { groups, most, blockRows: Math.min(most, Math.max(least, Math.ceil(rows / blocks))) };
}

/**
 * gamma · (h - mean) / sqrt(variance + eps) + beta along the last axis of h = dropout(x) + residual. `x` is [..., n],
 * `gamma` and `beta` are [n]; all f32 or all f16, computed in f32. Throws TensorError where shapes or dtypes do not fit,
 * and on dropout without a residual.
 */
export function layernorm(x: Tensor, gamma: Tensor, beta: Tensor, options: LayernormOptions = {}): Tensor {
  return normalized("layernorm", x, gamma, beta, options);
}

/**
 * gamma · h / sqrt(mean of squares + eps) along the last axis of h = dropout(x) + residual: `layernorm` without mean and beta.
 * Shapes, dtypes and errors are those of that.
 */
export function rmsnorm(x: Tensor, gamma: Tensor, options: LayernormOptions = {}): Tensor {
  return normalized("rmsnorm", x, gamma, null, options);
}

function normalized(
  name: string,
  x: Tensor,
  gamma: Tensor,
  beta: Tensor | null,
  options: LayernormOptions,
): Tensor {
  const { eps = 1e-5, residual = null, dropout = null } = options;
  const { rows, length } = rowsOf(name, x);
  const inputs = [x, gamma, ...(beta ? [beta] : []), ...(residual ? [residual] : [])];
  requireFloat(name, ...inputs);
  if (gamma.size !== length || (beta && beta.size !== length)) {
    const given = beta ? `gamma [${gamma.shape}] or beta [${beta.shape}]` : `gamma [${gamma.shape}]`;
    throw new TensorError(`${name}: ${given} does not fit rows of ${length}.`);
  }
  if (residual && `${residual.shape}` !== `${x.shape}`)
    throw new TensorError(`${name}: residual [${residual.shape}] does not fit [${x.shape}].`);
  const probability = dropout?.probability ?? 0;
  if (!(probability >= 0 && probability < 1) || (dropout && !residual))
    throw new TensorError(
      `${name}: dropout needs a probability in [0, 1), not ${probability}, and a residual.`,
    );
  const { engine, dtype } = x;
  const items = length % 4 === 0 ? length / 4 : length;
  const drops = probability > 0;
  const random = { key: dropout?.key.key ?? 0, stream: dropout?.key.stream ?? 0 };
  const shared = { rows, length: items, ...random, probability, keptScale: 1 / (1 - probability) };
  const y = engine.empty(x.shape, dtype);
  // Without a residual nothing is written there.
  const h = engine.empty(residual ? x.shape : [4], dtype);
  const moments = engine.empty([rows, 4]);
  const together = rows >= 512 ? forwardRows : 1;
  engine.run(forwardKernel.of(length), {
    bind: [x, residual ?? x, gamma, beta ?? gamma, h, y, moments],
    params: { ...shared, eps },
    grid: Math.ceil(rows / together),
    dtype,
    constants: {
      ...{ ROWS: together, HAS_RESIDUAL: residual !== null, DROPOUT: drops },
      ...heldGroups(engine, items),
      CENTRED: beta !== null,
    },
  });
  if (!residual || !inputs.some(tracked)) h.dispose();
  return engine.record(name, y, inputs, (dy, needs, earlierOf) => {
    const affine = needs[1]! || (beta !== null && needs[2]!);
    const earlier = residual ? null : earlierOf(0);
    const { groups, most, blockRows } = backwardCover(engine, rows, items);
    const blocks = Math.ceil(rows / blockRows);
    const dh = engine.empty(x.shape, dtype);
    const dx = drops ? engine.empty(x.shape, dtype) : null;
    const parts = engine.empty(affine ? [blocks, 2, length] : [4]);
    engine.run(backwardKernel.of(length), {
      // Where dropout is off, what is bound in the place of dx is not written.
      bind: [residual ? h : x, gamma, moments, dy, earlier ?? dy, dh, dx ?? engine.empty([4], dtype), parts],
      params: { ...shared, blockRows, hasEarlier: earlier ? 1 : 0, affine: affine ? 1 : 0 },
      grid: blocks,
      dtype,
      constants: { BLOCK: most, DROPOUT: drops, GROUPS: groups, CENTRED: beta !== null },
    });
    let dGamma: Tensor | null = null;
    let dBeta: Tensor | null = null;
    if (affine) {
      const learnt = [gamma, ...(beta ? [beta] : [])].filter((_, i) => needs[i + 1]);
      const result = gradientDType(learnt[0]!, ...learnt.slice(1));
      dGamma = engine.empty([length], result);
      dBeta = engine.empty([length], result);
      engine.run(affineKernel.of(length), {
        bind: [parts, dGamma, dBeta],
        params: { length: items, blocks },
        grid: 2 * items,
        dtype: result,
        constants: { GROUPS: 1 },
      });
    }
    return [dx ?? dh, dGamma, ...(beta ? [dBeta] : []), dh];
  });
}
