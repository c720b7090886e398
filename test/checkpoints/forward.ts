// Vision transformer and BERT in float64, straight from their definitions and in a form of this folder's own, so that
// nothing is shared with what is tested: not its names, nor its fused weights, nor its folded factors.
import { gelu, geluTanh } from "../../cases/reference.ts";

/** Rows of numbers. */
export type Rows = Float64Array[];

export interface Linear {
  /** [outputs, inputs], row-major. */
  weight: Float64Array;
  /** null where the layer has none. */
  bias: Float64Array | null;
}

export interface Norm {
  weight: Float64Array;
  bias: Float64Array;
}

export type Act = "gelu" | "tanh" | "quick" | "relu";

/** What a layer's output is multiplied by, element by element; null for ones. */
type Factors = Float64Array | null;

export interface VisionBlock {
  norm1: Norm;
  query: Linear;
  key: Linear;
  value: Linear;
  queryNorm: Norm | null;
  keyNorm: Norm | null;
  projection: Linear;
  scale1: Factors;
  norm2: Norm;
  fc1: Linear;
  fc2: Linear;
  scale2: Factors;
}

/** SigLIP's pooling by attention. */
export interface Head {
  probe: Float64Array;
  query: Linear;
  key: Linear;
  value: Linear;
  projection: Linear;
  norm: Norm;
  fc1: Linear;
  fc2: Linear;
}

export interface Vision {
  width: number;
  heads: number;
  inner: number;
  patch: number;
  grid: number;
  epsilon: number;
  act: Act;
  /** Tokens that stand for no patch, in order. */
  cls: Float64Array | null;
  registers: Rows;
  /** Which tokens have a place: all, the class token and the patches, or the patches alone. */
  placed: "all" | "class" | "patches";
  positions: Rows;
  /** [width, 3, patch, patch] */
  patches: Linear;
  preNorm: Norm | null;
  blocks: VisionBlock[];
  norm: Norm;
  pooling: "token" | "mean" | "attention";
  /** Whether the norm is of what was pooled. */
  normAfter: boolean;
  head: Head | null;
}

interface CrossAttention {
  query: Linear;
  key: Linear;
  value: Linear;
  output: Linear;
  norm: Norm;
}

export interface TextLayer {
  query: Linear;
  key: Linear;
  value: Linear;
  output: Linear;
  outputNorm: Norm;
  cross: CrossAttention | null;
  fc1: Linear;
  fc2: Linear;
  norm: Norm;
}

export interface Text {
  width: number;
  heads: number;
  inner: number;
  epsilon: number;
  act: Act;
  words: Rows;
  positions: Rows;
  /** Rows of the token types; the first is everybody's. */
  types: Rows;
  norm: Norm;
  layers: TextLayer[];
}

const acts: Record<Act, (x: number) => number> = {
  gelu,
  tanh: geluTanh,
  quick: (x) => x / (1 + Math.exp(-1.702 * x)),
  relu: (x) => Math.max(x, 0),
};

const plus = (a: Rows, b: Rows): Rows => a.map((row, i) => row.map((value, j) => value + b[i]![j]!));
const times = (x: Rows, factors: Factors): Rows =>
  factors ? x.map((row) => row.map((value, j) => value * factors[j]!)) : x;

export function linear(x: Rows, { weight, bias }: Linear): Rows {
  return x.map((row) => {
    const y = new Float64Array(weight.length / row.length);
    for (let o = 0; o < y.length; o++) {
      let sum = bias ? bias[o]! : 0;
      for (let i = 0; i < row.length; i++) sum += weight[o * row.length + i]! * row[i]!;
      y[o] = sum;
    }
    return y;
  });
}

function norm(x: Rows, { weight, bias }: Norm, epsilon: number): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    return row.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * weight[i]! + bias[i]!);
  });
}

/** Attention by head; `allowed` says which keys count, all without it. */
function attention(q: Rows, k: Rows, v: Rows, heads: number, allowed?: readonly boolean[]): Rows {
  const size = q[0]!.length / heads;
  return q.map((query) => {
    const result = new Float64Array(query.length);
    for (let h = 0; h < heads; h++) {
      const scores = k.map((key, j) => {
        if (allowed && !allowed[j]) return Number.NEGATIVE_INFINITY;
        let sum = 0;
        for (let c = h * size; c < (h + 1) * size; c++) sum += query[c]! * key[c]!;
        return sum / Math.sqrt(size);
      });
      const most = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - most));
      const all = weights.reduce((a, b) => a + b, 0);
      for (let c = h * size; c < (h + 1) * size; c++) {
        result[c] = weights.reduce((sum, weight, j) => sum + (weight / all) * v[j]![c]!, 0);
      }
    }
    return result;
  });
}

const mlp = (x: Rows, { fc1, fc2, act }: { fc1: Linear; fc2: Linear; act: Act }) =>
  linear(
    linear(x, fc1).map((row) => row.map(acts[act])),
    fc2,
  );

/** Norm of each head's part. */
function byHead(x: Rows, one: Norm | null, heads: number, epsilon: number): Rows {
  if (!one) return x;
  return x.map((row) => {
    const size = row.length / heads;
    const parts = Array.from({ length: heads }, (_, h) => row.slice(h * size, (h + 1) * size));
    return Float64Array.from(norm(parts, one, epsilon).flatMap((part) => [...part]));
  });
}

/** One picture [3, side, side] to tokens. */
export function encodePicture(m: Vision, pixels: ArrayLike<number>): Rows {
  const { grid, patch, epsilon, heads } = m;
  const side = grid * patch;
  const cut = Array.from({ length: grid * grid }, (_, g) => {
    const [top, left] = [Math.floor(g / grid) * patch, (g % grid) * patch];
    const values: number[] = [];
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < patch; y++)
        for (let x = 0; x < patch; x++) values.push(pixels[(c * side + top + y) * side + left + x]!);
    return Float64Array.from(values);
  });
  let x = linear(cut, m.patches);
  const prefix = [...(m.cls ? [m.cls] : []), ...m.registers];
  if (m.placed === "all") x = plus([...prefix, ...x], m.positions);
  else if (m.placed === "patches") x = [...prefix, ...plus(x, m.positions)];
  else {
    const [first, ...rest] = plus([m.cls!, ...x], m.positions);
    x = [first!, ...m.registers, ...rest];
  }
  if (m.preNorm) x = norm(x, m.preNorm, epsilon);
  for (const block of m.blocks) {
    const normed = norm(x, block.norm1, epsilon);
    const q = byHead(linear(normed, block.query), block.queryNorm, heads, epsilon);
    const k = byHead(linear(normed, block.key), block.keyNorm, heads, epsilon);
    const attended = linear(attention(q, k, linear(normed, block.value), heads), block.projection);
    x = plus(x, times(attended, block.scale1));
    const fed = mlp(norm(x, block.norm2, epsilon), { ...block, act: m.act });
    x = plus(x, times(fed, block.scale2));
  }
  return m.normAfter ? x : norm(x, m.norm, epsilon);
}

/** What stands for the whole picture. */
export function poolPicture(m: Vision, tokens: Rows): Float64Array {
  const patches = tokens.slice(tokens.length - m.grid ** 2);
  let pooled = tokens[0]!;
  if (m.pooling === "mean") {
    pooled = pooled.map((_, i) => patches.reduce((sum, row) => sum + row[i]!, 0) / patches.length);
  } else if (m.pooling === "attention") {
    const { probe, query, key, value, projection, norm: own, fc1, fc2 } = m.head!;
    const seen = attention(linear([probe], query), linear(patches, key), linear(patches, value), m.heads);
    const gathered = linear(seen, projection);
    [pooled] = plus(gathered, mlp(norm(gathered, own, m.epsilon), { fc1, fc2, act: m.act })) as [
      Float64Array,
    ];
  }
  return m.normAfter ? norm([pooled], m.norm, m.epsilon)[0]! : pooled;
}

/** One text to tokens, grounded in a picture's where there are some. */
export function encodeText(
  m: Text,
  ids: readonly number[],
  allowed: readonly boolean[],
  picture: Rows | null,
): Rows {
  const { epsilon, heads } = m;
  const words = ids.map((id) => m.words[id]!);
  const typed = m.types.length > 0 ? words.map((row) => plus([row], [m.types[0]!])[0]!) : words;
  let x = norm(plus(typed, m.positions), m.norm, epsilon);
  for (const layer of m.layers) {
    const own = attention(
      linear(x, layer.query),
      linear(x, layer.key),
      linear(x, layer.value),
      heads,
      allowed,
    );
    x = norm(plus(x, linear(own, layer.output)), layer.outputNorm, epsilon);
    if (picture && layer.cross) {
      const { query, key, value, output, norm: after } = layer.cross;
      const seen = attention(linear(x, query), linear(picture, key), linear(picture, value), heads);
      x = norm(plus(x, linear(seen, output)), after, epsilon);
    }
    x = norm(plus(x, mlp(x, { ...layer, act: m.act })), layer.norm, epsilon);
  }
  return x;
}

/** A vector of length one. */
export function unit(x: Float64Array): Float64Array {
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
}
