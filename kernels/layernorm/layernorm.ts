// Layer normalisation over the last axis, with the residual sum in front of it fused in.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import { byWidth, requireFloat, rowsOf } from "../lib/items.ts";
import { rowLanes } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { sumLeading } from "../reduce/reduce.ts";
import forwardSource from "./layernorm.wgsl?raw";
import affineSource from "./layernorm-affine.wgsl?raw";
import inputSource from "./layernorm-dx.wgsl?raw";

const forwardKernel = byWidth((suffix, include) =>
  defineKernel({
    name: `layernorm${suffix}`,
    source: forwardSource,
    includes: [include, rowLanes],
    bindings: ["x", "residual", "gamma", "beta", "+y", "+moments"],
    params: { rows: "u32", length: "u32", eps: "f32" },
    flops: perElement("x", 10, { HAS_RESIDUAL: 2 }),
  }),
);
const inputKernel = byWidth((suffix, include) =>
  defineKernel({
    name: `layernorm-dx${suffix}`,
    source: inputSource,
    includes: [include, rowLanes],
    bindings: ["x", "residual", "gamma", "moments", "dy", "+dx"],
    params: { rows: "u32", length: "u32" },
    flops: perElement("x", 13, { HAS_RESIDUAL: 2 }),
  }),
);
const affineKernel = byWidth((suffix, include) =>
  defineKernel({
    name: `layernorm-affine${suffix}`,
    source: affineSource,
    includes: [include],
    bindings: ["x", "residual", "moments", "dy", "+dGamma", "+dBeta"],
    params: { rows: "u32", length: "u32", rowsPerBlock: "u32", blocks: "u32" },
    flops: perElement("x", 5, { HAS_RESIDUAL: 1 }),
  }),
);

export const layernormKernels = [...forwardKernel.all, ...inputKernel.all, ...affineKernel.all];

export interface LayernormOptions {
  /** Added to the variance; 1e-5 unless told. */
  eps?: number;
  /** Of the shape of `x`, added to it first. */
  residual?: Tensor | null;
}

/**
 * gamma · (h - mean) / sqrt(variance + eps) + beta along the last axis of h = x + residual. `x` is [..., n], `gamma`
 * and `beta` are [n]; all f32 or all f16, computed in f32. Throws TensorError where shapes or dtypes do not fit.
 */
export function layernorm(x: Tensor, gamma: Tensor, beta: Tensor, options: LayernormOptions = {}): Tensor {
  const { eps = 1e-5, residual = null } = options;
  const { rows, length } = rowsOf("layernorm", x);
  const inputs = [x, gamma, beta, ...(residual ? [residual] : [])];
  requireFloat("layernorm", ...inputs);
  if (gamma.size !== length || beta.size !== length)
    throw new TensorError(
      `layernorm: gamma [${gamma.shape}] or beta [${beta.shape}] does not fit rows of ${length}.`,
    );
  if (residual && `${residual.shape}` !== `${x.shape}`)
    throw new TensorError(`layernorm: residual [${residual.shape}] does not fit [${x.shape}].`);
  const { engine } = x;
  const { dtype } = x;
  const h = [x, residual ?? x];
  const items = length % 4 === 0 ? length / 4 : length;
  const constants = { HAS_RESIDUAL: residual !== null };
  const y = engine.empty(x.shape, dtype);
  const moments = engine.empty([rows, 2]);
  engine.run(forwardKernel.of(length), {
    bind: [...h, gamma, beta, y, moments],
    params: { rows, length: items, eps },
    grid: rows,
    dtype,
    constants,
  });
  return engine.record("layernorm", y, inputs, (dy, needs) => {
    let dx: Tensor | null = null;
    if (needs[0] || needs[3]) {
      dx = engine.empty(x.shape, dtype);
      engine.run(inputKernel.of(length), {
        bind: [...h, gamma, moments, dy, dx],
        params: { rows, length: items },
        grid: rows,
        dtype,
        constants,
      });
    }
    let dGamma: Tensor | null = null;
    let dBeta: Tensor | null = null;
    if (needs[1] || needs[2]) {
      // Few enough blocks that adding them up costs little, enough to keep a GPU busy.
      const rowsPerBlock = Math.max(8, Math.ceil(rows / 512));
      const blocks = Math.ceil(rows / rowsPerBlock);
      const partGamma = engine.empty([blocks, length]);
      const partBeta = engine.empty([blocks, length]);
      engine.run(affineKernel.of(length), {
        bind: [...h, moments, dy, partGamma, partBeta],
        params: { rows, length: items, rowsPerBlock, blocks },
        grid: Math.ceil((blocks * items) / 32),
        dtype,
        constants,
      });
      if (needs[1]) dGamma = sumLeading(partGamma, length, dtype);
      if (needs[2]) dBeta = sumLeading(partBeta, length, dtype);
    }
    return [dx, dGamma, dBeta, dx];
  });
}
