// Fused multi-head attention, forward and backward, after FlashAttention (Dao et al., 2022 and 2023): the scores stay
// in registers, the forward pass saves one log-sum-exp per query, and the backward pass computes the probabilities
// again from it, without atomics, so that gradients are the same in every run. Projections are read, and their
// gradients written, in place: a head is a range of columns.

import randomSource from "../../engine/base/random.wgsl?raw";
import {
  type Backend,
  type DType,
  defineKernel,
  type Include,
  type Kernel,
  type Launch,
  type RandomKey,
  type Tensor,
  TensorError,
  tracked,
} from "../../engine/index.ts";
import { castInto } from "../elementwise/cast.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { alsoReads, elements, writesPart } from "../lib/work.ts";
import { sumTo } from "../reduce/reduce.ts";
import tilesSource from "../tiles/tiles.wgsl?raw";
import { unitConstants, unitsEnable } from "../tiles/units.ts";
import keyGradientSource from "./attention-dkv.wgsl?raw";
import maskGradientSource from "./attention-dmask.wgsl?raw";
import queryGradientSource from "./attention-dq.wgsl?raw";
import forwardSource from "./attention-forward.wgsl?raw";
import forwardLoad from "./forward-load.wgsl?raw";
import gradientLoad from "./gradient-load.wgsl?raw";
import joinedSource from "./joined.wgsl?raw";
import lanesSubgroup from "./lanes-subgroup.wgsl?raw";
import lanesWorkgroup from "./lanes-workgroup.wgsl?raw";
import passShared from "./pass-shared.wgsl?raw";
import passSubgroup from "./pass-subgroup.wgsl?raw";
import rowsSource from "./rows.wgsl?raw";
import scoresSource from "./scores.wgsl?raw";
import turnsSource from "./turns.wgsl?raw";
import { attentionUnits, attentionWords, tileBytes, type Units } from "./units.ts";
import unitsSource from "./units.wgsl?raw";
import unitsKeyGradient from "./units-dkv.wgsl?raw";
import unitsQueryGradient from "./units-dq.wgsl?raw";
import unitsForward from "./units-forward.wgsl?raw";
import unitsGradient from "./units-gradient.wgsl?raw";

/**
 * How a row reaches all invocations of a workgroup: by shuffles within one subgroup, or through workgroup memory; with "split"
 * lanes of one subgroup share each row of their own. With "matrix" products are those of matrix units.
 */
export type AttentionVariant = "subgroup" | "shared" | "split" | "matrix";
type Variant = AttentionVariant;
/** Those that need no matrix units; the gradient of a mask is always by one of them. */
type RowVariant = Exclude<Variant, "matrix">;

const bySubgroup = (text: string) => ({ subgroups: text, shared: "" });
const subgroupLanes = [bySubgroup(lanesSubgroup), bySubgroup(joinedSource)];
const passes = {
  subgroup: [...subgroupLanes, bySubgroup(passSubgroup)],
  shared: [lanesWorkgroup, passShared],
  split: [...subgroupLanes, passShared],
};

const suffixes = { subgroup: "", shared: "-shared", split: "-split" };

/** What a family's kernels are made of. */
interface Family {
  suffix: string;
  sources: { forward: string; dq: string; dkv: string };
  includes: { forward: readonly Include[]; dq: readonly Include[]; dkv: readonly Include[] };
  /** What operands are arrays of. */
  operand: "Vec" | "vec4u";
  enables?: readonly string[];
}

function rowFamily(variant: RowVariant): Family {
  const includes = [randomSource, nanSource, scoresSource, rowsSource, ...passes[variant]];
  const gradient = [gradientLoad, ...includes];
  return {
    suffix: suffixes[variant],
    sources: { forward: forwardSource, dq: queryGradientSource, dkv: keyGradientSource },
    includes: { forward: [forwardLoad, ...includes], dq: gradient, dkv: [turnsSource, ...gradient] },
    operand: "Vec",
  };
}

function unitsFamily(units: Units): Family {
  const { shape, headSize, block } = units;
  const includes = (scaling: boolean) => [
    ...[randomSource, nanSource, scoresSource, tilesSource, unitsSource],
    bySubgroup(attentionWords(units, scaling)),
  ];
  const gradient = [gradientLoad, unitsGradient, ...includes(false)];
  return {
    suffix: `-matrix-${headSize}-${shape.M}x${shape.N}x${shape.K}-${block}`,
    sources: { forward: unitsForward, dq: unitsQueryGradient, dkv: unitsKeyGradient },
    includes: { forward: [forwardLoad, ...includes(true)], dq: gradient, dkv: [turnsSource, ...gradient] },
    operand: "vec4u",
    enables: [unitsEnable],
  };
}

/** Parameters that all kernels begin with. */
const commonTypes = {
  heads: "u32",
  queries: "u32",
  keys: "u32",
  // Tiles (workgroups) of one head, and of all.
  tiles: "u32",
  allTiles: "u32",
  /** PART of the WGSL, or PAIRS on matrix units: the turns of loops that should not be unrolled. */
  quads: "u32",
  // In quads: from one token to the next, and where K and V start in a token of `kv`.
  qStride: "u32",
  kvStride: "u32",
  kOffset: "u32",
  vOffset: "u32",
  /** Scale of the scores times log2(e), as the softmax is computed with exp2. */
  scale: "f32",
  key: "u32",
  stream: "u32",
  probability: "f32",
  keptScale: "f32",
  // Flags. They are no constants, because pipelines of this size take long to compile.
  hasSource: "u32",
  // As the WGSL numbers them.
  maskKind: "u32",
  causal: "u32",
  // Elements of an added mask from one batch row, head and query to the next; 0 where it repeats.
  maskBatch: "u32",
  maskHead: "u32",
  maskQuery: "u32",
} as const;

/**
 * The operations of `products` matrix products of a score's size, 2 · batch · heads · queries · keys · D each. Masked
 * scores count: the kernels compute them.
 */
const products =
  (products: number) =>
  ({ params, constants, bindings }: Launch<typeof commonTypes>) =>
    products *
    2 *
    bindings[0]!.shape[0]! *
    params.heads *
    params.queries *
    params.keys *
    Number(constants.HEAD);

/** The kernels of a family. */
/* @__NO_SIDE_EFFECTS__ */
const kernelsOf = ({ suffix, sources, includes, operand, enables = [] }: Family) => ({
  /** softmax(Q Kᵀ) V and, where gradients are needed, the log-sum-exp of each query's scores. */
  forward: defineKernel({
    name: `attention${suffix}`,
    source: sources.forward,
    includes: includes.forward,
    enables,
    bindings: [
      `q: ${operand}`,
      `kv: ${operand}`,
      "mask: u32",
      "source: u32",
      // For each batch row, head and query the log-sum-exp of its scores, base 2; the second half is for the backward pass.
      "+statistics: vec2f",
      "+y: Vec",
    ],
    params: { ...commonTypes, kvRows: "u32", save: "u32" },
    flops: products(2),
  }),
  /** dQ, and the row sums of dY * Y that dK and dV need as well. */
  dq: defineKernel({
    name: `attention-dq${suffix}`,
    source: sources.dq,
    includes: includes.dq,
    enables,
    bindings: [
      `q: ${operand}`,
      `kv: ${operand}`,
      `y: ${operand}`,
      `dy: ${operand}`,
      "mask: u32",
      "source: u32",
      // Log-sum-exp, from forward, and delta.
      "+statistics: vec2f",
      "+gradient: Vec",
    ],
    params: {
      ...commonTypes,
      // Scale of the scores.
      gradientScale: "f32",
    },
    flops: (launch) => products(3)(launch) + 2 * elements(launch, "dy"),
    bytes: writesPart("gradient", (launch) => elements(launch, "dy")),
  }),
  dkv: defineKernel({
    name: `attention-dkv${suffix}`,
    source: sources.dkv,
    includes: includes.dkv,
    enables,
    bindings: [
      `q: ${operand}`,
      `kv: ${operand}`,
      `dy: ${operand}`,
      "mask: u32",
      // For each batch row its row of kv; then, for each row of kv, where its batch rows start in the list that follows.
      "source: u32",
      // Log-sum-exp and delta of each query.
      "statistics: vec2f",
      "+gradient: Vec",
    ],
    params: {
      ...commonTypes,
      batch: "u32",
      // Rows of `kv`.
      kvRows: "u32",
      // Scale of the scores.
      gradientScale: "f32",
    },
    flops: products(4),
    bytes: writesPart(
      "gradient",
      ({ params, constants }) => 2 * params.kvRows * params.keys * params.heads * Number(constants.HEAD),
    ),
  }),
});

/** dMask, before it is summed over heads and queries that it is the same for. */
/* @__NO_SIDE_EFFECTS__ */
const maskKernelOf = (variant: RowVariant) =>
  defineKernel({
    name: `attention-dmask${suffixes[variant]}`,
    source: maskGradientSource,
    includes: rowFamily(variant).includes.dq,
    bindings: [
      "q: Vec",
      "kv: Vec",
      "dy: Vec",
      "mask: u32",
      "source: u32",
      // Log-sum-exp and delta of each query.
      "statistics: vec2f",
      "+gradient: f32",
    ],
    params: { ...commonTypes, batch: "u32" },
    flops: products(2),
    bytes: alsoReads("gradient"),
  });

const families = {
  subgroup: kernelsOf(rowFamily("subgroup")),
  shared: kernelsOf(rowFamily("shared")),
  split: kernelsOf(rowFamily("split")),
};
const maskKernels = {
  subgroup: maskKernelOf("subgroup"),
  shared: maskKernelOf("shared"),
  split: maskKernelOf("split"),
};

const unitFamilies = new Map<string, ReturnType<typeof kernelsOf>>();

/** The kernels for these units and heads, made as they come to be used: their text depends on both. */
export function kernelsOnUnits(units: Units): ReturnType<typeof kernelsOf> {
  const family = unitsFamily(units);
  let kernels = unitFamilies.get(family.suffix);
  if (!kernels) {
    kernels = kernelsOf(family);
    unitFamilies.set(family.suffix, kernels);
  }
  return kernels;
}

/** Units of NVIDIA, heads of BLIP and ViT: they stand for the others where kernels are listed. */
const usualUnits: Units = {
  shape: { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 },
  headSize: 64,
  block: 32,
};

/** Every kernel of this file. */
export const attentionKernels = kernelsIn<Kernel>(() => [
  ...[...Object.values(families), kernelsOnUnits(usualUnits)].flatMap((family) => Object.values(family)),
  ...Object.values(maskKernels),
]);

export interface AttentionOptions {
  heads: number;
  /**
   * u32 [B, keys]: nonzero where a key is attended to. Or f32 or f16 of a shape that broadcasts to [B, heads, queries, keys]: added
   * to the scaled scores; minus infinity hides a key, and no gradient comes to it. A query without any key gives zeros and no
   * gradients. A mask that is added gets a gradient of its own, where it asks for one.
   */
  mask?: Tensor | null;
  /**
   * A query sees no later keys: the last query sees all keys, the one before all but the last, and so on, so that queries
   * may be the end of a longer text whose keys are kept.
   */
  causal?: boolean;
  /** Drops probabilities and scales those kept by 1 / (1 - probability); the mask is a function of the key. */
  dropout?: { probability: number; key: RandomKey } | null;
  /** Multiplies the scores; 1 / sqrt(head size) unless told. */
  scale?: number;
  /** Runs this variant in place of the one that the rule or a measurement chooses, where the adapter has it. */
  variant?: AttentionVariant;
}

export interface CrossAttentionOptions extends AttentionOptions {
  /**
   * For each batch row, the row of `kv` that it attends to: a host array of B row numbers, or what `packSource` made
   * of them in a u32 tensor, which a recorded step can be fed anew through `engine.write`. A tensor's rows that `kv`
   * has not give NaN.
   */
  source?: Uint32Array | Tensor | null;
}

/** What one call works on; offsets and strides in elements of the last dimension. */
interface Problem {
  q: Tensor;
  kv: Tensor;
  batch: number;
  kvRows: number;
  queries: number;
  keys: number;
  heads: number;
  headSize: number;
  kOffset: number;
  mask: Tensor | null;
  maskSteps: { maskKind: number; maskBatch: number; maskHead: number; maskQuery: number };
  causal: boolean;
  source: Tensor | null;
  dropout: AttentionOptions["dropout"];
  scale: number;
  variant: Variant;
}

/**
 * Attention of a sequence to itself. `qkv` [B, T, 3·H·D] is one fused projection with columns q | k | v, each by head;
 * the result is [B, T, H·D]. f32 or f16, computed in f32. Throws TensorError where shapes, dtypes or options do not
 * fit, among them a head size D that is no multiple of 4.
 */
export function selfAttention(qkv: Tensor, options: AttentionOptions): Tensor {
  const [batch, tokens, width] = threeExtents("selfAttention", qkv, "qkv");
  const problem = pose("selfAttention", options, {
    ...{ q: qkv, kv: qkv, batch, kvRows: batch, queries: tokens, keys: tokens, source: null },
    width: width / 3,
    kOffset: width / 3,
  });
  return attend("selfAttention", problem, [qkv], options);
}

/**
 * Attention of `q` [B, Tq, H·D] to `kv` [Bk, Tk, 2·H·D] with columns k | v; the result is [B, Tq, H·D]. Bk is B unless
 * `source` says which row of `kv` each batch row attends to; its gradient then sums over those rows, in their order.
 * f32 or f16, computed in f32. Throws TensorError where shapes, dtypes or options do not fit, among them a head size D
 * that is no multiple of 4.
 */
export function crossAttention(q: Tensor, kv: Tensor, options: CrossAttentionOptions): Tensor {
  const { engine } = q;
  const [batch, queries, width] = threeExtents("crossAttention", q, "q");
  const [kvRows, keys, kvWidth] = threeExtents("crossAttention", kv, "kv");
  if (kvWidth !== 2 * width || q.dtype !== kv.dtype) {
    throw new TensorError(`crossAttention: kv ${kv} does not fit q ${q}; it needs ${2 * width} columns.`);
  }
  const source = sourceTensor(engine, options.source ?? null, batch, kvRows);
  const problem = pose("crossAttention", options, {
    ...{ q, kv, batch, kvRows, queries, keys, source, width },
    kOffset: 0,
  });
  return attend("crossAttention", problem, [q, kv], options);
}

/** Attention as an operation on `inputs`, q and kv or both in one, and on a mask that is added. */
function attend(
  op: string,
  problem: Problem,
  inputs: readonly Tensor[],
  { mask }: Pick<AttentionOptions, "mask">,
): Tensor {
  const added = mask && problem.maskSteps.maskKind === ADDED ? [mask] : [];
  const all = [...inputs, ...added];
  const [y, statistics] = forward(problem, all.some(tracked));
  return y.engine.record(op, y, all, (dy, needs) => {
    const keysToo = needs[inputs.length - 1]!;
    const [dq, dkv] = backward(problem, { y, dy, statistics: statistics!, keysToo });
    const own = inputs.length === 1 ? [dq] : [needs[0] ? dq : null, dkv];
    const ofMask = (mask: Tensor) => maskGradient(problem, mask, dy, statistics!);
    return [...own, ...added.map((mask) => (needs[inputs.length] ? ofMask(mask) : null))];
  });
}

/**
 * The contents of the u32 tensor that `crossAttention` takes as `source`, of B + (kvRows + 1) + B elements: the rows
 * themselves, then for each row of kv where its batch rows start in the list that ends the array.
 * Throws TensorError on a row that kv does not have.
 */
export function packSource(source: ArrayLike<number>, kvRows: number): Uint32Array {
  const batch = source.length;
  const packed = new Uint32Array(2 * batch + kvRows + 1);
  const starts = packed.subarray(batch, batch + kvRows + 1);
  const list = packed.subarray(batch + kvRows + 1);
  for (let b = 0; b < batch; b++) {
    const row = source[b]!;
    if (!(Number.isInteger(row) && row >= 0 && row < kvRows)) {
      throw new TensorError(`crossAttention: source[${b}] is ${row}, kv has ${kvRows} rows.`);
    }
    packed[b] = row;
    starts[row + 1]!++;
  }
  for (let row = 0; row < kvRows; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  for (let b = 0; b < batch; b++) list[next[source[b]!]!++] = b;
  return packed;
}

function sourceTensor(
  engine: Backend,
  source: Uint32Array | Tensor | null,
  batch: number,
  kvRows: number,
): Tensor | null {
  if (source === null) {
    if (kvRows === batch) return null;
    throw new TensorError(`crossAttention: ${batch} rows of q and ${kvRows} of kv need a source.`);
  }
  if (source instanceof Uint32Array) {
    if (source.length !== batch) {
      throw new TensorError(`crossAttention: ${source.length} sources for ${batch} rows of q.`);
    }
    const packed = packSource(source, kvRows);
    return engine.tensor(packed, [packed.length], "u32");
  }
  if (source.dtype !== "u32" || source.size !== 2 * batch + kvRows + 1) {
    throw new TensorError(`crossAttention: source ${source} is not what packSource makes.`);
  }
  return source;
}

function threeExtents(op: string, tensor: Tensor, name: string): [number, number, number] {
  if (tensor.shape.length !== 3 || (tensor.dtype !== "f32" && tensor.dtype !== "f16")) {
    throw new TensorError(`${op}: ${name} must be f32 or f16 [batch, tokens, columns], not ${tensor}.`);
  }
  return [tensor.shape[0]!, tensor.shape[1]!, tensor.shape[2]!];
}

/** Checks the options against the sizes. `width` is heads · head size. */
function pose(
  op: string,
  options: AttentionOptions,
  sizes: Omit<
    Problem,
    "heads" | "headSize" | "mask" | "maskSteps" | "causal" | "dropout" | "scale" | "variant"
  > & { width: number },
): Problem {
  const { heads, mask: given = null, causal = false, dropout = null } = options;
  const { width, ...rest } = sizes;
  const headSize = width / heads;
  if (!Number.isInteger(headSize) || headSize < 1) {
    throw new TensorError(`${op}: ${width} columns do not divide into ${heads} heads.`);
  }
  if (headSize % 4 !== 0) throw new TensorError(`${op}: the head size ${headSize} is no multiple of 4.`);
  const { mask, ...maskSteps } = masking(op, given, [rest.batch, heads, rest.queries, rest.keys]);
  if (dropout && !(dropout.probability >= 0 && dropout.probability < 1)) {
    throw new TensorError(`${op}: the dropout probability ${dropout.probability} is not in [0, 1).`);
  }
  const active = dropout && dropout.probability > 0 ? dropout : null;
  const scale = options.scale ?? 1 / Math.sqrt(headSize);
  const problem = { ...rest, heads, headSize, mask, maskSteps, causal, dropout: active, scale };
  const { variant } = options;
  const has = variant && variantsFor(rest.q.engine, headSize, rest.q.dtype).includes(variant);
  if (variant && !has)
    throw new TensorError(`${op}: there is no variant "${variant}" for heads of ${headSize} here.`);
  return { ...problem, variant: variant ?? choose(problem) };
}

/** Kinds of masks as the WGSL numbers them. */
const [BY_KEY, ADDED] = [1, 2];

/** A mask as the kernels read it: one u32 a key, or f32 that are added, which repeat where their steps are 0. */
function masking(op: string, mask: Tensor | null, shape: readonly number[]) {
  const [batch, , , keys] = shape as [number, number, number, number];
  const none = { maskKind: 0, maskBatch: 0, maskHead: 0, maskQuery: 0 };
  if (!mask) return { mask, ...none };
  if (mask.dtype === "f32" || mask.dtype === "f16") {
    const extents = [...new Array<number>(Math.max(0, 4 - mask.shape.length)).fill(1), ...mask.shape];
    const fits = extents.length === 4 && extents.every((n, d) => n === shape[d] || (n === 1 && d < 3));
    if (!fits) throw new TensorError(`${op}: the mask ${mask} does not broadcast to [${shape}].`);
    const [own, heads, rows] = extents as [number, number, number];
    let read = mask;
    if (mask.dtype === "f16") {
      read = mask.engine.empty(mask.shape);
      castInto(mask, read);
    }
    return {
      mask: read,
      maskKind: ADDED,
      maskBatch: own === 1 ? 0 : heads * rows * keys,
      maskHead: heads === 1 ? 0 : rows * keys,
      maskQuery: rows === 1 ? 0 : keys,
    };
  }
  if (mask.dtype !== "u32" || mask.size !== batch * keys)
    throw new TensorError(`${op}: the mask must be u32 [${batch}, ${keys}], not ${mask}.`);
  return { mask, ...none, maskKind: BY_KEY };
}

/** The variants that an adapter can run, the one that is taken without measuring first. Matrix units come last: they were never timed. */
export function variantsFor(engine: Backend, headSize: number, dtype: DType): readonly Variant[] {
  const units = dtype === "f16" && attentionUnits(engine, headSize) !== null;
  return [...rowVariants(engine, headSize), ...(units ? ["matrix" as const] : [])];
}

function rowVariants({ lanes, rowGroups }: Backend, headSize: number): readonly RowVariant[] {
  if (!lanes.subgroups) return ["shared"];
  // Narrow subgroups are a CPU's vectors, where a row goes from lane to lane for nothing; on a GPU, shuffles are dear
  // beside reading one address of workgroup memory.
  if (rowGroups === 1) return ["subgroup", "shared"];
  if (splitOf(headSize) === 1) return ["shared", "subgroup"];
  // Four rows of 64, or two times four of 32, as the gradients of keys and values need them, are more than its registers.
  return headSize >= 32 ? ["split", "shared", "subgroup"] : ["shared", "split", "subgroup"];
}

/** How many lanes share a row in the split variant: as many as leave each 16 numbers and divide its quads; 1 where none can. */
function splitOf(headSize: number): number {
  return headSize % 16 === 0 && headSize > 32 ? 4 : headSize % 8 === 0 ? 2 : 1;
}

/** Which variant runs. */
function choose(problem: Omit<Problem, "variant">): Variant {
  const { q, kv, batch, kvRows, queries, keys, heads, headSize } = problem;
  const { engine } = q;
  const variants = variantsFor(engine, headSize, q.dtype);
  const self = q === kv;
  return engine.choose({
    key: `attention ${q.dtype} ${self ? "self" : "cross"} ${batch}x${heads}x${queries}x${keys}x${headSize}`,
    kernels: attentionKernels,
    variants,
    inputs: (self ? [q] : [q, kv]).map(({ shape, dtype }) => ({ shape, dtype })),
    run: (variant, inputs) => {
      const [queries, tokens] = [inputs[0]!, inputs.at(-1)!];
      const rows = Array.from({ length: batch }, (_, b) => b % kvRows);
      const source = kvRows === batch ? null : sourceTensor(engine, Uint32Array.from(rows), batch, kvRows);
      const maskSteps = { ...problem.maskSteps, maskKind: 0 };
      const trial = { ...problem, q: queries, kv: tokens, mask: null, maskSteps, source, variant };
      const [y, statistics] = forward(trial, true);
      backward(trial, { y, dy: y, statistics: statistics!, keysToo: true });
    },
  });
}

/**
 * Tokens that pass by between two looks at the maximum, or are copied to workgroup memory at once: 8, or fewer where those
 * of two operands have no room there.
 */
function blockOf({ device: { limits } }: Backend, headSize: number): number {
  const room = Math.floor(limits.maxComputeWorkgroupStorageSize / (2 * 4 * headSize));
  return room >= 8 ? 8 : 2 ** Math.floor(Math.log2(room));
}

/**
 * How a variant covers `rows` rows: the rows of a workgroup, the parts that a row's quads are shared in, and the constants. A
 * workgroup's invocations own one row each where that is enough for it or where two would not fit in registers, else two. Of units
 * `sets` go through memory at once.
 */
function cover({ q, variant, headSize, dropout }: Problem, rows: number, sets: number) {
  const { engine } = q;
  const common = { HEAD: headSize, DROPOUT: !!dropout };
  if (variant === "matrix") {
    const units = attentionUnits(engine, headSize)!;
    const { shape, block: BLOCK } = units;
    const constants = { ...common, BLOCK, SETS: sets, ...unitConstants(shape, tileBytes(units)) };
    const quads = BLOCK / (engine.lanes.count / shape.M) / 2;
    return { tile: 4 * shape.M, quads, constants };
  }
  const workers = variant === "shared" ? (rows > 64 ? 128 : 32) : engine.lanes.count;
  const split = variant === "split" ? splitOf(headSize) : 1;
  const fits = headSize / split <= (variant === "subgroup" ? 64 : 32);
  const own = fits && rows > workers / split ? 2 : 1;
  const constants = { WORKERS: workers, SPLIT: split, OWN: own, BLOCK: blockOf(engine, headSize) };
  const quads = headSize / 4 / split;
  return { tile: (workers / split) * own, quads, constants: { ...common, ...constants } };
}

/** What all kernels are told; they count in quads of four elements. */
function commonRun(problem: Problem, rows: number, groups: number, sets: number) {
  const { batch, heads, headSize, queries, keys, dropout } = problem;
  const { tile, quads, constants } = cover(problem, rows, sets);
  const tiles = Math.ceil(rows / tile);
  const params = {
    ...{ batch, heads, queries, keys, tiles, quads },
    allTiles: tiles * groups * heads,
    qStride: problem.q.shape[2]! / 4,
    kvStride: problem.kv.shape[2]! / 4,
    kOffset: problem.kOffset / 4,
    vOffset: (problem.kOffset + heads * headSize) / 4,
    scale: problem.scale * Math.LOG2E,
    key: dropout?.key.key ?? 0,
    stream: dropout?.key.stream ?? 0,
    probability: dropout?.probability ?? 0,
    keptScale: 1 / (1 - (dropout?.probability ?? 0)),
    hasSource: problem.source ? 1 : 0,
    causal: problem.causal ? 1 : 0,
    ...problem.maskSteps,
  };
  return { params, grid: params.allTiles, dtype: problem.q.dtype, constants };
}

/** The kernels that a problem's variant has. */
function kernelsFor({ q, variant, headSize }: Problem): ReturnType<typeof kernelsOf> {
  return variant === "matrix" ? kernelsOnUnits(attentionUnits(q.engine, headSize)!) : families[variant];
}

/** The result and, with `save`, the queries' statistics f32 [B, H, Tq, 2]: see attention-forward.wgsl. */
function forward(problem: Problem, save: boolean): [Tensor, Tensor | null] {
  const { q, kv, mask, source, batch, kvRows, queries, heads, headSize } = problem;
  const { engine } = q;
  const y = engine.empty([batch, queries, heads * headSize], q.dtype);
  const statistics = engine.empty(save ? [batch, heads, queries, 2] : [2]);
  const run = commonRun(problem, queries, batch, 1);
  engine.run(kernelsFor(problem).forward, {
    ...run,
    bind: [q, kv, mask ?? q, source ?? q, statistics, y],
    params: { ...run.params, kvRows, save: save ? 1 : 0 },
  });
  if (save) return [y, statistics];
  statistics.dispose();
  return [y, null];
}

/** What backward is told. */
interface Results {
  y: Tensor;
  dy: Tensor;
  statistics: Tensor;
  /** Whether somebody needs the gradient of `kv`. */
  keysToo: boolean;
}

/**
 * The gradients of `q` and, where it is needed, of `kv`, each in its layout; one tensor where these are one. The kernel that
 * makes dQ makes what dK and dV need, too.
 */
function backward(problem: Problem, results: Results): [Tensor, Tensor | null] {
  const { q, kv, mask, source, batch, kvRows, queries, keys, scale } = problem;
  const { y, dy, statistics, keysToo } = results;
  const { engine } = q;
  const dq = engine.empty(q.shape, q.dtype);
  const dkv = q === kv ? dq : keysToo ? engine.empty(kv.shape, kv.dtype) : null;
  const queryRun = commonRun(problem, queries, batch, 2);
  engine.run(kernelsFor(problem).dq, {
    ...queryRun,
    bind: [q, kv, y, dy, mask ?? q, source ?? q, statistics, dq],
    params: { ...queryRun.params, gradientScale: scale },
  });
  if (!dkv) return [dq, null];
  const keyRun = commonRun(problem, keys, kvRows, 2);
  engine.run(kernelsFor(problem).dkv, {
    ...keyRun,
    bind: [q, kv, dy, mask ?? q, source ?? q, statistics, dkv],
    params: { ...keyRun.params, kvRows, gradientScale: scale },
  });
  return [dq, dkv];
}

/** The gradient of a mask that is added, in its shape and dtype; after `backward`. */
function maskGradient(problem: Problem, mask: Tensor, dy: Tensor, statistics: Tensor): Tensor {
  const { q, kv, source, batch, queries, keys, heads, headSize, maskSteps } = problem;
  const { engine } = q;
  const variant = problem.variant === "matrix" ? rowVariants(engine, headSize)[0]! : problem.variant;
  const rows = maskSteps.maskBatch === 0 ? 1 : batch;
  const scores = engine.zeros([rows, heads, queries, keys]);
  const run = commonRun({ ...problem, variant }, queries, rows, 0);
  engine.run(maskKernels[variant], {
    ...run,
    bind: [q, kv, dy, problem.mask!, source ?? q, statistics, scores],
  });
  const sums = sumTo(scores, [...new Array<number>(4 - mask.shape.length).fill(1), ...mask.shape]);
  if (mask.dtype === "f32") return engine.view(sums, mask.shape);
  const gradient = engine.empty(mask.shape, mask.dtype);
  castInto(sums, gradient);
  return gradient;
}
