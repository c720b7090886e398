// Cases of self- and cross-attention: token counts on both sides of the tiles (8 rows, 4 columns for each lane), head
// sizes on both sides of what the lanes own, masks, dropout, pictures shared by several texts, and one bench size.
import { type DType, type Engine, type RandomKey, sizeOf, uniform } from "../engine/index.ts";
import {
  type AttentionVariant,
  crossAttention,
  selfAttention,
  variantsFor,
} from "../kernels/attention/attention.ts";
import { mul, where } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import type { Input, OpCase } from "./case.ts";

interface AttentionSpec {
  batch?: number;
  heads?: number;
  headSize: number;
  queries: number;
  /** Self-attention where there are none. */
  keys?: number;
  /** For each batch row its row of kv, and the rows of kv. */
  source?: number[];
  kvRows?: number;
  /** The host's form of the mask: whether batch row b attends to key j. */
  attends?: (b: number, j: number) => boolean;
  causal?: boolean;
  /** The shape of a mask that is added, of up to four axes, each whole or 1; with `hides` a third of it is minus infinity. */
  added?: { shape: number[]; hides?: boolean; dtype?: DType };
  dropout?: { probability: number; key: RandomKey };
  scale?: number;
  dtype?: DType;
  /** Lets a query's scores lie about this far below zero, or above it for every other one. */
  far?: number;
  /** Lets a query's scores climb by about this much from key to key, or fall for every other query. */
  climbs?: number;
  /** Powers of two that queries, keys and values lie about. */
  powers?: readonly [number, number, number];
  /** The result comes in f32, times this; then the gradient that attention gets is not the size of its result. */
  factor?: number;
  /** Keys after which values double, and queries after which the factor does. */
  grows?: number;
  /** Only queries get a gradient. */
  queriesOnly?: boolean;
  variant?: AttentionVariant;
  /** For units in hardware: a processor takes up to a minute to compile it. */
  hardware?: boolean;
  bench?: boolean;
}

/** All that the reference needs, in float64. */
interface Layout {
  batch: number;
  heads: number;
  headSize: number;
  queries: number;
  keys: number;
  qWidth: number;
  kvWidth: number;
  kOffset: number;
  scale: number;
  kvRow: (b: number) => number;
  attends: (b: number, j: number, i: number) => boolean;
  /** Which element of a mask is added to a score; null for none. */
  added: ((b: number, head: number, i: number, j: number) => number) | null;
  /** The factor of dropout for a probability. */
  kept: (b: number, head: number, i: number, j: number) => number;
}

function layoutOf(spec: AttentionSpec): Layout {
  const { batch = 1, heads = 1, headSize, queries, source, dropout } = spec;
  const keys = spec.keys ?? queries;
  const self = spec.keys === undefined;
  const width = heads * headSize;
  return {
    ...{ batch, heads, headSize, queries, keys },
    qWidth: self ? 3 * width : width,
    kvWidth: self ? 3 * width : 2 * width,
    kOffset: self ? width : 0,
    scale: spec.scale ?? 1 / Math.sqrt(headSize),
    kvRow: (b) => source?.[b] ?? b,
    attends: (b, j, i) => (spec.attends?.(b, j) ?? true) && (!spec.causal || j - keys <= i - queries),
    added: spec.added ? placeIn(spec.added.shape) : null,
    kept: (b, head, i, j) => {
      if (!dropout) return 1;
      const index = ((b * heads + head) * queries + i) * keys + j;
      const { probability, key } = dropout;
      return uniform(key, index) >= Math.fround(probability) ? 1 / (1 - probability) : 0;
    },
  };
}

/** Where a mask of this shape has what is for a score. */
const placeIn =
  (shape: readonly number[]) =>
  (...places: number[]) =>
    shape.reduce((sum, n, d) => sum * n + (n === 1 ? 0 : places[d - shape.length + 4]!), 0);

/** Where the head's columns of a token start, in each operand. */
function startsOf(layout: Layout, b: number, head: number) {
  const { headSize, heads, queries, keys, qWidth, kvWidth, kOffset, kvRow } = layout;
  const q = (i: number) => (b * queries + i) * qWidth + head * headSize;
  const k = (j: number) => (kvRow(b) * keys + j) * kvWidth + kOffset + head * headSize;
  const v = (j: number) => k(j) + heads * headSize;
  const y = (i: number) => ((b * queries + i) * heads + head) * headSize;
  return { q, k, v, y };
}

function dotAt(a: Float64Array, atA: number, b: Float64Array, atB: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a[atA + d]! * b[atB + d]!;
  return sum;
}

/** What is attended by: queries, what has keys and values, and a mask that is added. */
interface Operands {
  q: Float64Array;
  kv: Float64Array;
  mask: Float64Array | null;
}

/** Probabilities of one query before dropout; all zero where it attends to no key. */
function probabilities(
  layout: Layout,
  { q, kv, mask }: Operands,
  b: number,
  head: number,
  i: number,
): Float64Array {
  const { headSize, keys, scale, attends, added } = layout;
  const at = startsOf(layout, b, head);
  const p = Float64Array.from({ length: keys }, (_, j) =>
    attends(b, j, i)
      ? scale * dotAt(q, at.q(i), kv, at.k(j), headSize) + (added ? mask![added(b, head, i, j)]! : 0)
      : Number.NEGATIVE_INFINITY,
  );
  const top = p.reduce((a, c) => Math.max(a, c), Number.NEGATIVE_INFINITY);
  if (top === Number.NEGATIVE_INFINITY) return new Float64Array(keys);
  for (let j = 0; j < keys; j++) p[j] = Math.exp(p[j]! - top);
  const total = p.reduce((a, c) => a + c, 0);
  return p.map((value) => value / total);
}

function forEachQuery(layout: Layout, work: (b: number, head: number, i: number) => void): void {
  for (let b = 0; b < layout.batch; b++) {
    for (let head = 0; head < layout.heads; head++) {
      for (let i = 0; i < layout.queries; i++) work(b, head, i);
    }
  }
}

function attend(layout: Layout, operands: Operands): Float64Array {
  const { kv } = operands;
  const { batch, heads, headSize, queries, keys, kept } = layout;
  const y = new Float64Array(batch * queries * heads * headSize);
  forEachQuery(layout, (b, head, i) => {
    const at = startsOf(layout, b, head);
    const p = probabilities(layout, operands, b, head, i);
    for (let j = 0; j < keys; j++) {
      if (p[j] === 0) continue;
      const weight = p[j]! * kept(b, head, i, j);
      for (let d = 0; d < headSize; d++) y[at.y(i) + d]! += weight * kv[at.v(j) + d]!;
    }
  });
  return y;
}

/** Adds to the gradients, which have the layouts of the operands; those of `q` and `kv` may be one array. */
function attendGradients(layout: Layout, operands: Operands, dy: Float64Array, gradients: Operands): void {
  const { headSize, keys, scale, kept, added } = layout;
  const { q, kv } = operands;
  const { q: dq, kv: dkv, mask: dmask } = gradients;
  forEachQuery(layout, (b, head, i) => {
    const at = startsOf(layout, b, head);
    const p = probabilities(layout, operands, b, head, i);
    const factor = p.map((_, j) => kept(b, head, i, j));
    const dp = p.map((_, j) => factor[j]! * dotAt(dy, at.y(i), kv, at.v(j), headSize));
    const mean = dotAt(p, 0, dp, 0, keys);
    for (let j = 0; j < keys; j++) {
      if (p[j] === 0) continue;
      const slope = p[j]! * (dp[j]! - mean);
      const ds = scale * slope;
      if (added) dmask![added(b, head, i, j)]! += slope;
      for (let d = 0; d < headSize; d++) {
        dq[at.q(i) + d]! += ds * kv[at.k(j) + d]!;
        dkv[at.k(j) + d]! += ds * q[at.q(i) + d]!;
        dkv[at.v(j) + d]! += p[j]! * factor[j]! * dy[at.y(i) + d]!;
      }
    }
  });
}

/** One element of the result, by its row-major index. */
function attendAt(layout: Layout, operands: Operands, index: number): number {
  const { kv } = operands;
  const { heads, headSize, queries, keys, kept } = layout;
  const d = index % headSize;
  const head = Math.floor(index / headSize) % heads;
  const i = Math.floor(index / (headSize * heads)) % queries;
  const b = Math.floor(index / (headSize * heads * queries));
  const at = startsOf(layout, b, head);
  const p = probabilities(layout, operands, b, head, i);
  let sum = 0;
  for (let j = 0; j < keys; j++) sum += p[j]! * kept(b, head, i, j) * kv[at.v(j) + d]!;
  return sum;
}

export function attentionCase(label: string, spec: AttentionSpec): OpCase {
  const {
    headSize,
    queries,
    dropout,
    source,
    far,
    climbs = 0,
    powers,
    factor = 1,
    grows = Number.POSITIVE_INFINITY,
    variant,
    dtype = "f32",
    bench,
  } = spec;
  const layout = layoutOf(spec);
  const { batch, heads, keys, qWidth, kvWidth, scale } = layout;
  const self = spec.keys === undefined;
  const inputs: Input[] = [{ name: self ? "qkv" : "q", shape: [batch, queries, qWidth], dtype }];
  if (!self) {
    const grad = !spec.queriesOnly;
    inputs.push({ name: "kv", shape: [spec.kvRows ?? batch, keys, kvWidth], dtype, grad });
  }
  const { added } = spec;
  if (added) inputs.push({ name: "mask", shape: added.shape, dtype: added.dtype ?? "f32" });
  const isHidden = (n: number) => !!added?.hides && n % 3 === 1;
  if (far || climbs) {
    // The first element of every head is the same in all keys, or climbs from key to key, and is large in every query.
    const side = Math.sqrt((far ?? 64 * climbs) / scale);
    const step = climbs / scale / side;
    const isQuery = (i: number, { shape }: Input) => i % shape[2]! < heads * headSize;
    for (const [n, input] of inputs.entries()) {
      const sign = (i: number) => (Math.floor(i / input.shape[2]!) % 2 === 0 ? -1 : 1);
      const key = (i: number) => (climbs ? step * (Math.floor(i / input.shape[2]!) % keys) : side);
      const first = (i: number) => (n === 0 && isQuery(i, input) ? sign(i) * side : key(i));
      input.draw = { at: (i, drawn) => (i % headSize === 0 ? first(i) : drawn) };
    }
  }
  if (powers) {
    for (const [n, input] of inputs.slice(0, self ? 1 : 2).entries()) {
      const columns = input.shape[2]!;
      const part = (i: number) => n + Math.floor((i % columns) / (heads * headSize));
      const growth = (i: number) => (part(i) === 2 ? (Math.floor(i / columns) % keys) / grows : 0);
      input.draw = { at: (i, drawn) => drawn * 2 ** (powers[part(i)]! + growth(i)) };
    }
  }
  const factors = Float64Array.from({ length: queries }, (_, i) => factor * 2 ** Math.round(i / grows));
  const scaled = (values: Float64Array) =>
    values.map((value, n) => factors[Math.floor(n / (heads * headSize)) % queries]! * value);
  const operandsOf = (values: Float64Array[]): Operands => ({
    q: values[0]!,
    kv: values[self ? 0 : 1]!,
    mask: added ? values.at(-1)! : null,
  });
  /** With what the case hides. */
  const hidden = (values: Float64Array[]): Operands => {
    const { mask, ...others } = operandsOf(values);
    const value = (value: number, n: number) => (isHidden(n) ? Number.NEGATIVE_INFINITY : value);
    return { ...others, mask: mask?.map(value) ?? null };
  };
  return {
    name: `${self ? "selfAttention" : "crossAttention"} ${label} ${batch}x${heads}x${queries}x${keys}x${headSize} ${dtype}`,
    ...(variant && {
      lacks: (engine: Engine) => {
        if (!variantsFor(engine, headSize, dtype).includes(variant)) return `no ${variant} here`;
        return spec.hardware && engine.isSoftware ? "a processor takes long to compile it" : null;
      },
    }),
    inputs,
    run: (tensors, engine) => {
      const bits = (shape: readonly number[], isSet: (n: number) => boolean) =>
        engine.tensor(
          Array.from({ length: sizeOf(shape) }, (_, n) => (isSet(n) ? 1 : 0)),
          shape,
          "u32",
        );
      const attends = ({ attends }: AttentionSpec) =>
        attends && bits([batch, keys], (n) => attends(Math.floor(n / keys), n % keys));
      const float = added && tensors.at(-1)!;
      const mask = !float
        ? attends(spec)
        : added.hides
          ? where(bits(added.shape, isHidden), Number.NEGATIVE_INFINITY, float)
          : float;
      const options = { heads, mask, dropout, scale, causal: spec.causal ?? false, variant };
      const y = self
        ? selfAttention(tensors[0]!, options)
        : crossAttention(tensors[0]!, tensors[1]!, {
            ...options,
            source: source && Uint32Array.from(source),
          });
      return powers ? mul(cast(y, "f32"), engine.tensor(factors, [queries, 1])) : y;
    },
    reference: (values) => scaled(attend(layout, hidden(values))),
    // Of scores that climb, one key has nearly all of a query, and what the others have is lost in the rounding of the result.
    ...(!climbs && {
      gradients: (values: Float64Array[], dy: Float64Array) => {
        const results = values.map((value) => new Float64Array(value.length));
        attendGradients(layout, hidden(values), scaled(dy), operandsOf(results));
        return results;
      },
    }),
    // Scores of thousands have their last digit in the fourth place behind the point.
    // Slopes in f16 don't sum up to zero, and what all keys have in common multiplies what is left.
    ...(far && { tolerance: variant === "matrix" ? 2e-2 : 1e-2 }),
    flops: 4 * batch * heads * queries * keys * headSize,
    ...(bench
      ? {
          // Two products forward, five backward, as the scores are computed again.
          bench: { peer: { op: "attention", heads }, backward: 3.5 },
          referenceAt: (values, index) => attendAt(layout, hidden(values), index),
        }
      : {}),
  };
}

// Most cases share one head size, as each size is a set of pipelines that take seconds to compile on a CPU.
const tokens = [1, 5, 17, 33, 65, 130];
const headSizes = [4, 32, 80, 128];
const dropout = { probability: 0.25, key: { key: 0x1234567, stream: 5 } };
/** Texts of several lengths. */
const lengths = (b: number, j: number) => j < 1 + ((b * 5 + 3) % 9);
const holes = (b: number, j: number) => (j * 7 + b) % 3 !== 0;
const secondRowNothing = (b: number, _j: number) => b !== 1;
/** Six texts about four pictures, of which picture 2 has none. */
const shared = { batch: 6, source: [3, 0, 1, 0, 3, 0], kvRows: 4 };

/** On matrix units: rows and keys on both sides of their tiles of 32 to 64, and all that a score may meet. */
const units = { dtype: "f16", variant: "matrix" } as const;
const onUnits: OpCase[] = [
  attentionCase("matrix", { ...units, batch: 2, heads: 2, queries: 70, headSize: 32 }),
  attentionCase("matrix", { ...units, batch: 2, heads: 2, queries: 12, keys: 65, headSize: 32 }),
  attentionCase("matrix holes", { ...units, batch: 2, queries: 37, headSize: 32, attends: holes }),
  attentionCase("matrix no keys", {
    ...{ ...units, batch: 2, queries: 5, keys: 40, headSize: 32 },
    attends: secondRowNothing,
  }),
  attentionCase("matrix causal", { ...units, heads: 2, queries: 70, headSize: 32, causal: true }),
  attentionCase("matrix causal", { ...units, queries: 41, keys: 75, headSize: 32, causal: true }),
  attentionCase("matrix causal", { ...units, queries: 40, keys: 12, headSize: 32, causal: true }),
  attentionCase("matrix added by pair", {
    ...{ ...units, batch: 3, heads: 2, queries: 35, headSize: 32, causal: true, dropout },
    added: { shape: [35, 35], hides: true },
  }),
  attentionCase("matrix dropout", {
    ...units,
    batch: 2,
    heads: 2,
    queries: 9,
    keys: 70,
    headSize: 32,
    dropout,
  }),
  attentionCase("matrix shared", {
    ...{ ...units, ...shared },
    heads: 2,
    queries: 33,
    keys: 18,
    headSize: 32,
  }),
  attentionCase("matrix far", {
    ...{ ...units, batch: 2, queries: 40, headSize: 32 },
    ...{ attends: holes, far: 2048 },
  }),
  attentionCase("matrix climbing", { ...units, batch: 2, queries: 9, keys: 70, headSize: 32, climbs: 4 }),
  // Slopes of scores below and above what f16 has.
  attentionCase("matrix quiet", {
    ...{ ...units, batch: 2, queries: 12, keys: 130, headSize: 32, queriesOnly: true },
    ...{ powers: [-6, 4, 0], scale: 1, factor: 2 ** -15 },
  }),
  attentionCase("matrix loud", {
    ...{ ...units, queries: 70, headSize: 32, scale: 0.01 },
    ...{ powers: [0, 0, 1], factor: 0.5, grows: 6 },
  }),
  attentionCase("matrix", { ...units, heads: 2, queries: 35, headSize: 40 }),
  attentionCase("matrix", { ...units, heads: 2, queries: 37, keys: 70, headSize: 64 }),
  ...[48, 128].map((headSize) =>
    attentionCase("matrix", { ...units, heads: 2, queries: 37, keys: 70, headSize, hardware: true }),
  ),
];

export const attentionCases: OpCase[] = [
  ...tokens.map((queries) => attentionCase("tokens", { batch: 2, heads: 2, queries, headSize: 32 })),
  ...headSizes.map((headSize) => attentionCase("head", { heads: 3, queries: 19, headSize })),
  ...headSizes.map((headSize) => attentionCase("head", { heads: 2, queries: 12, keys: 37, headSize })),
  // With a single key the gradient of q is exactly zero, so it is tested within qkv above only.
  ...tokens.slice(1).map((keys) => attentionCase("tokens", { batch: 2, queries: 7, keys, headSize: 32 })),
  attentionCase("one query", { batch: 3, heads: 2, queries: 1, keys: 41, headSize: 32 }),
  attentionCase("scaled", { queries: 9, keys: 10, headSize: 32, scale: 0.7 }),
  attentionCase("lengths", { batch: 4, heads: 2, queries: 12, headSize: 32, attends: lengths }),
  attentionCase("lengths", { batch: 3, heads: 2, queries: 6, keys: 70, headSize: 32, attends: lengths }),
  attentionCase("holes", { batch: 2, heads: 2, queries: 45, headSize: 32, attends: holes }),
  attentionCase("no keys", { batch: 3, heads: 2, queries: 10, headSize: 32, attends: secondRowNothing }),
  attentionCase("no keys", { batch: 2, queries: 5, keys: 40, headSize: 32, attends: secondRowNothing }),
  attentionCase("shared", { ...shared, heads: 2, queries: 12, keys: 17, headSize: 32 }),
  attentionCase("shared lengths", {
    ...shared,
    heads: 2,
    queries: 11,
    keys: 34,
    headSize: 32,
    attends: lengths,
  }),
  attentionCase("causal", { batch: 2, heads: 2, queries: 45, headSize: 32, causal: true }),
  attentionCase("causal", { heads: 2, queries: 130, headSize: 32, causal: true }),
  attentionCase("causal", { heads: 2, queries: 9, keys: 41, headSize: 32, causal: true }),
  // Queries that see no key.
  attentionCase("causal", { queries: 21, keys: 12, headSize: 32, causal: true }),
  attentionCase("causal lengths", { batch: 3, queries: 20, headSize: 32, causal: true, attends: lengths }),
  attentionCase("causal", { heads: 2, queries: 37, headSize: 32, causal: true, dtype: "f16" }),
  attentionCase("added", { batch: 2, heads: 3, queries: 19, headSize: 32, added: { shape: [2, 3, 19, 19] } }),
  attentionCase("added by head", {
    ...{ batch: 2, heads: 3, queries: 12, keys: 17, headSize: 32 },
    added: { shape: [1, 3, 12, 17] },
  }),
  attentionCase("added by key", {
    ...{ batch: 2, heads: 2, queries: 12, keys: 40, headSize: 32 },
    added: { shape: [2, 1, 1, 40], hides: true, dtype: "f16" },
  }),
  attentionCase("added by pair", {
    ...{ batch: 3, heads: 2, queries: 33, headSize: 32, causal: true, dropout, dtype: "f16" },
    added: { shape: [33, 33], hides: true },
  }),
  attentionCase("added shared", {
    ...{ ...shared, heads: 2, queries: 5, keys: 18, headSize: 32, dtype: "f16" },
    added: { shape: [1, 2, 1, 18], dtype: "f16" },
  }),
  attentionCase("one picture", { batch: 3, source: [0, 0, 0], kvRows: 1, queries: 9, keys: 9, headSize: 32 }),
  attentionCase("dropout", { batch: 2, heads: 2, queries: 20, headSize: 32, dropout }),
  attentionCase("dropout", {
    batch: 2,
    heads: 3,
    queries: 12,
    keys: 35,
    headSize: 32,
    dropout,
    attends: holes,
  }),
  attentionCase("dropout shared", { ...shared, heads: 2, queries: 5, keys: 18, headSize: 32, dropout }),
  attentionCase("far", { batch: 2, heads: 2, queries: 11, headSize: 32, attends: holes, far: 2048 }),
  attentionCase("far", { batch: 2, queries: 6, keys: 40, headSize: 32, attends: lengths, far: 2048 }),
  // More than rows of 8 tokens fit into the least workgroup memory.
  attentionCase("wide head", { queries: 5, keys: 11, headSize: 320 }),
  attentionCase("half", { batch: 2, heads: 2, queries: 21, headSize: 32, dtype: "f16" }),
  attentionCase("half", { batch: 2, heads: 2, queries: 12, keys: 65, headSize: 32, dtype: "f16" }),
  attentionCase("half lengths", {
    batch: 4,
    queries: 12,
    headSize: 32,
    dtype: "f16",
    attends: lengths,
    dropout,
  }),
  attentionCase("half shared", { ...shared, queries: 7, keys: 18, headSize: 32, dtype: "f16" }),
  ...onUnits,
  attentionCase("bench", { heads: 12, queries: 577, headSize: 64, bench: true }),
  attentionCase("bench", { heads: 12, queries: 32, keys: 577, headSize: 64, bench: true }),
];
