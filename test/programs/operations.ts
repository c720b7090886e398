// The operations of random programs: each says how it could go on from a tensor at hand, and gives the op case behind a
// choice, which knows both how to run here and what float64 says.

import { binaryCase, whereCase } from "../../cases/arithmetic.ts";
import { attentionCase } from "../../cases/attention.ts";
import type { Draw, OpCase } from "../../cases/case.ts";
import { castCase } from "../../cases/cast.ts";
import { type ConvSpec, convCase, type PoolSpec, poolCase } from "../../cases/conv.ts";
import { dropoutCase } from "../../cases/dropout.ts";
import { einsumCase } from "../../cases/einsum.ts";
import { embeddingCase, positionsCase } from "../../cases/embedding.ts";
import { cumsumCase, gatherCase, scatterAddCase } from "../../cases/gather.ts";
import { groupnormCase, layernormCase } from "../../cases/layernorm.ts";
import { feedForwardCase, linearCase, matmulCase } from "../../cases/matmul.ts";
import { normalizeCase } from "../../cases/normalize.ts";
import { reduceCase } from "../../cases/reduce.ts";
import {
  concatCase,
  expandCase,
  flipCase,
  padCase,
  permuteCase,
  repeatCase,
  sliceCase,
  tileCase,
} from "../../cases/shape.ts";
import { softmaxAxisCase, softmaxCase } from "../../cases/softmax.ts";
import { topkCase } from "../../cases/topk.ts";
import { unaryCase } from "../../cases/unary.ts";
import { type DType, randomBits, type Scalar } from "../../engine/index.ts";
import { broadcastShape } from "../../kernels/elementwise/strided.ts";
import type { PadMode } from "../../kernels/shape/pad.ts";
import type { Range } from "../../kernels/shape/slice.ts";

/** Draws of a seed, in order. */
export class Draws {
  private next = 0;
  /** Extents that most shapes of a program are made of, so that tensors fit each other. */
  private readonly common: number[];

  constructor(private readonly seed: number) {
    this.common = Array.from({ length: 3 }, () => this.anyExtent());
  }

  /** 32 random bits. */
  bits(): number {
    return randomBits({ key: this.seed, stream: 0x9106 }, this.next++);
  }

  below(count: number): number {
    return this.bits() % count;
  }

  chance(probability: number): boolean {
    return this.bits() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** One of the keys, by their weights. */
  weighted<K extends string>(weights: Partial<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let at = (this.bits() / 2 ** 32) * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      at -= weight;
      if (at < 0) return key;
    }
    return entries.at(-1)![0];
  }

  extent(): number {
    return this.chance(0.75) ? this.pick(this.common) : this.anyExtent();
  }

  private anyExtent(): number {
    return this.pick(extents);
  }
}

/** Mostly small; whole vec4s, parts of them, 1, and more than one workgroup's lanes. */
const extents = [1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 11, 12, 12, 12, 65];

/** A tensor as a proposal sees it. */
export interface View {
  name: string;
  shape: number[];
  dtype: DType;
}

/** An input that a proposal needs beside the tensor at hand. */
export interface Wanted {
  shape: number[];
  dtype: DType;
  draw?: Draw;
}

export interface Proposal {
  spec: object;
  inputs: (View | Wanted)[];
  shape: number[];
  dtype: DType;
}

interface Operation<S> {
  /** How the operation could use `x`, of f32 or f16; null where it can't. */
  propose(draws: Draws, x: View): (Proposal & { spec: S }) | null;
  /** The case; where it draws random numbers, by the key. */
  make(spec: S, key: number | Scalar): OpCase;
  /** Whether backward needs nothing but inputs and result: then it works outside of scopes, too. */
  lean?: boolean;
}

/** Keeps the spec's type between the two functions of an operation. */
function operation<S extends object>(value: Operation<S>): Operation<object> {
  return value as unknown as Operation<object>;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Functions that any number can go into; the others of the table need positive numbers, and take what has some. */
const unaries = [
  ...["exp", "neg", "sigmoid", "tanh", "relu", "gelu", "square", "scale", "addScalar"],
  ...["silu", "softplus", "sin", "cos", "erf", "abs", "elu", "clamp"],
];
const positive = ["log", "sqrt", "reciprocal"];

export const operations: Record<string, Operation<object>> = {
  unary: operation<{ fn: string; shape: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const fn = draws.pick(draws.chance(0.15) ? positive : unaries);
      return { spec: { fn, shape: x.shape, dtype: x.dtype }, inputs: [x], shape: x.shape, dtype: x.dtype };
    },
    make: ({ fn, shape, dtype }) => unaryCase(fn, shape, dtype),
  }),
  binary: operation<{ fn: string; a: number[]; b: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const fn = draws.pick([
        ...["add", "add", "sub", "mul", "mul", "div"],
        ...["minimum", "maximum", "squaredDifference", "less", "greaterEqual"],
      ]);
      const { dtype } = x;
      let shape = [...x.shape];
      if (draws.chance(0.4)) shape = shape.slice(draws.below(shape.length + 1));
      shape = shape.map((extent) => (draws.chance(0.2) ? 1 : extent));
      const other: Wanted = { shape, dtype, draw: fn === "div" ? "positive" : "normal" };
      const swapped = fn !== "div" && draws.chance(0.3);
      const [a, b] = swapped ? [other, x] : [x, other];
      return {
        spec: { fn, a: a.shape, b: b.shape, dtype },
        inputs: [a, b],
        shape: broadcastShape(fn, a.shape, b.shape),
        dtype: fn === "less" || fn === "greaterEqual" ? "u32" : dtype,
      };
    },
    make: ({ fn, a, b, dtype }) => binaryCase(fn, a, b, dtype),
  }),
  where: operation<{ shapes: [number[], number[], number[]]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const smaller = () =>
        shape.slice(draws.below(shape.length + 1)).map((extent) => (draws.chance(0.2) ? 1 : extent));
      const [condition, other] = [draws.chance(0.5) ? shape : smaller(), smaller()];
      const wanted: Wanted = { shape: condition, dtype: "u32", draw: { below: 2 } };
      return {
        spec: { shapes: [condition, shape, other], dtype },
        inputs: [wanted, x, { shape: other, dtype }],
        shape,
        dtype,
      };
    },
    make: ({ shapes, dtype }) => whereCase(shapes, dtype),
  }),
  twice: operation<{ fn: string; shape: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const spec = { fn: draws.pick(["add", "mul"]), shape: x.shape, dtype: x.dtype };
      return { spec, inputs: [x, x], shape: x.shape, dtype: x.dtype };
    },
    make: ({ fn, shape, dtype }) => binaryCase(fn, shape, shape, dtype),
  }),
  matmul: operation<Parameters<typeof matmulCase>[1] & { dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const rank = x.shape.length;
      if (rank < 2) return null;
      const leading = x.shape.slice(0, -2);
      const sharedB = rank > 2 && draws.chance(0.4);
      const transposeA = !sharedB && draws.chance(0.3);
      const transposeB = draws.chance(0.5);
      const [m, k] = transposeA ? [x.shape.at(-1)!, x.shape.at(-2)!] : [x.shape.at(-2)!, x.shape.at(-1)!];
      const n = draws.extent();
      const scale = draws.chance(0.5) ? 1 : 0.375;
      const { dtype } = x;
      const b: Wanted = {
        shape: [...(sharedB ? [] : leading), ...(transposeB ? [n, k] : [k, n])],
        dtype,
      };
      return {
        spec: { m, n, k, leading, sharedB, transposeA, transposeB, scale, dtype },
        inputs: [x, b],
        shape: [...leading, m, n],
        dtype,
      };
    },
    make: (spec) => matmulCase("of a program", spec),
  }),
  linear: operation<Parameters<typeof linearCase>[0]>({
    propose(draws, x) {
      if (x.shape.length < 2) return null;
      const leading = x.shape.slice(0, -1);
      // 12 and 24 columns can go on to attention.
      const n = draws.chance(0.15) ? draws.pick([12, 24]) : draws.extent();
      const [m, k] = [sizeOf(leading), x.shape.at(-1)!];
      const { dtype } = x;
      const [bias, gelu, residual] = [draws.chance(0.7), draws.chance(0.4), draws.chance(0.3)];
      const shape = [...leading, n];
      return {
        spec: { m, n, k, leading, bias, gelu, residual, dtype },
        inputs: [
          x,
          { shape: [n, k], dtype },
          ...(bias ? [{ shape: [n], dtype }] : []),
          ...(residual ? [{ shape, dtype }] : []),
        ],
        shape,
        dtype,
      };
    },
    make: (spec) => linearCase(spec),
  }),
  feedForward: operation<{ m: number; k: number; width: number; residual: boolean; dtype: DType }>({
    propose(draws, x) {
      if (x.shape.length !== 2) return null;
      const [m, k] = x.shape as [number, number];
      const [width, residual] = [draws.extent(), draws.chance(0.5)];
      const { dtype } = x;
      const shapes = [[width, k], [width], [k, width], [k], ...(residual ? [[m, k]] : [])];
      return {
        spec: { m, k, width, residual, dtype },
        inputs: [x, ...shapes.map((shape) => ({ shape, dtype }))],
        shape: x.shape,
        dtype,
      };
    },
    make: ({ m, k, width, residual, dtype }) => feedForwardCase(m, k, width, residual, dtype),
  }),
  einsum: operation<{ equation: string; shapes: number[][]; dtype: DType }>({
    propose(draws, x) {
      if (x.shape.length !== 2) return null;
      const { dtype } = x;
      const [i, j] = x.shape as [number, number];
      const n = draws.extent();
      const [equation, other, shape] = draws.pick([
        ["ij,nj->ni", [n, j], [n, i]],
        ["ij,ij->i", [i, j], [i]],
        ["ij,n->nji", [n], [n, j, i]],
        ["ij,jin->n", [j, i, n], [n]],
      ] as const);
      return {
        spec: { equation, shapes: [x.shape, [...other]], dtype },
        inputs: [x, { shape: [...other], dtype }],
        shape: [...shape],
        dtype,
      };
    },
    make: ({ equation, shapes, dtype }) => einsumCase(equation, shapes, dtype),
  }),
  conv2d: operation<ConvSpec & { dtype: DType }>({
    propose(draws, x) {
      if (x.shape.length !== 4) return null;
      const { dtype } = x;
      const [batch, channels, height, width] = x.shape as [number, number, number, number];
      const groups = draws.pick([1, 1, channels]);
      const outputs = groups * (1 + draws.below(3));
      const padding = draws.below(2);
      const [rows, columns] = [height, width].map((n) => 1 + draws.below(Math.min(3, n + 2 * padding)));
      const [stride, bias] = [1 + draws.below(2), draws.chance(0.5)];
      const weight: ConvSpec["weight"] = [outputs, channels / groups, rows!, columns!];
      const along = (n: number, size: number) => Math.floor((n + 2 * padding - size) / stride) + 1;
      return {
        spec: { x: [batch, channels, height, width], weight, groups, stride, padding, bias, dtype },
        inputs: [x, { shape: weight, dtype }, ...(bias ? [{ shape: [outputs], dtype }] : [])],
        shape: [batch, outputs, along(height, rows!), along(width, columns!)],
        dtype,
      };
    },
    make: (spec) => convCase(spec),
  }),
  pool: operation<{ kind: "max" | "average"; spec: PoolSpec }>({
    propose(draws, x) {
      if (x.shape.length !== 4) return null;
      const { dtype } = x;
      const [batch, channels, height, width] = x.shape as [number, number, number, number];
      const size = 1 + draws.below(Math.min(3, height, width));
      const stride = 1 + draws.below(2);
      const padding = size > 1 ? draws.below(2) : 0;
      const along = (n: number) => Math.floor((n + 2 * padding - size) / stride) + 1;
      const spec: PoolSpec = { x: [batch, channels, height, width], size, stride, padding, dtype };
      return {
        spec: { kind: draws.pick(["max", "average"] as const), spec },
        inputs: [x],
        shape: [batch, channels, along(height), along(width)],
        dtype,
      };
    },
    make: ({ kind, spec }) => poolCase(kind, spec),
  }),
  groupnorm: operation<{ shape: number[]; groups: number; dtype: DType }>({
    propose(draws, x) {
      const { shape, dtype } = x;
      const [, channels = 0, ...places] = shape;
      const groups = draws.pick([1, 2, 3].filter((count) => channels % count === 0));
      if (shape.length < 2 || (channels / groups) * sizeOf(places) < 3) return null;
      const each = { shape: [channels], dtype };
      return { spec: { shape, groups, dtype }, inputs: [x, each, each], shape, dtype };
    },
    make: ({ shape, groups, dtype }) => groupnormCase(shape, groups, dtype),
  }),
  layernorm: operation<{
    shape: number[];
    rms: boolean;
    residual: boolean;
    probability: number;
    stream: number;
    dtype: DType;
  }>({
    propose(draws, x) {
      const length = x.shape.at(-1) ?? 1;
      // Of one or two the gradient is the difference of equal numbers.
      if (length < 3) return null;
      const { shape, dtype } = x;
      const [residual, rms] = [draws.chance(0.5), draws.chance(0.3)];
      const probability = residual && draws.chance(0.5) ? 0.25 : 0;
      return {
        spec: { shape, rms, residual, probability, stream: draws.below(100), dtype },
        inputs: [
          x,
          { shape: [length], dtype },
          ...(rms ? [] : [{ shape: [length], dtype }]),
          ...(residual ? [{ shape, dtype }] : []),
        ],
        shape,
        dtype,
      };
    },
    make: ({ probability, stream, ...spec }, key) =>
      layernormCase({
        ...spec,
        ...(probability > 0 ? { dropout: { probability, key: { key, stream } } } : {}),
      }),
  }),
  softmax: operation<{ shape: number[]; log: boolean; dtype: DType }>({
    lean: true,
    propose(draws, { name, shape, dtype }) {
      if (shape.length === 0) return null;
      return {
        spec: { shape, log: draws.chance(0.3), dtype },
        inputs: [{ name, shape, dtype }],
        shape,
        dtype,
      };
    },
    make: ({ shape, log, dtype }) => softmaxCase(shape, log, dtype),
  }),
  softmaxAxis: operation<{ shape: number[]; axis: number; dtype: DType }>({
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length < 2) return null;
      return { spec: { shape, axis: draws.below(shape.length - 1), dtype }, inputs: [x], shape, dtype };
    },
    make: ({ shape, axis, dtype }) => softmaxAxisCase(shape, axis, false, dtype),
  }),
  normalize: operation<{ shape: number[]; dtype: DType }>({
    propose(_, x) {
      if ((x.shape.at(-1) ?? 1) === 1) return null; // the gradient of one is the difference of equal numbers
      return { spec: { shape: x.shape, dtype: x.dtype }, inputs: [x], shape: x.shape, dtype: x.dtype };
    },
    make: ({ shape, dtype }) => normalizeCase(shape, dtype),
  }),
  reduce: operation<{ fn: "sum" | "mean" | "max"; shape: number[]; axis?: number; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const fn = draws.pick(["sum", "mean", "max"] as const);
      const whole = fn !== "max" && draws.chance(0.4);
      const axis = draws.below(shape.length);
      return {
        spec: whole ? { fn, shape, dtype } : { fn, shape, axis, dtype },
        inputs: [x],
        shape: whole ? [] : shape.filter((_, d) => d !== axis),
        dtype,
      };
    },
    make: ({ fn, shape, axis, dtype }) => reduceCase(fn, shape, axis, dtype),
  }),
  reduceSome: operation<{
    fn: "min" | "prod" | "logSumExp" | "mean" | "argmax" | "argmin";
    shape: number[];
    axes: number[];
    keepDims: boolean;
    dtype: DType;
  }>({
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const fn = draws.pick(["min", "prod", "logSumExp", "mean", "argmax", "argmin"] as const);
      const [one, keepDims] = [draws.below(shape.length), draws.chance(0.3)];
      const several = ["prod", "logSumExp", "mean"].includes(fn) && draws.chance(0.4);
      const axes = several ? shape.map((_, d) => d).filter((d) => d === one || draws.chance(0.5)) : [one];
      const kept = shape.map((n, d) => (axes.includes(d) ? 1 : n));
      return {
        spec: { fn, shape, axes, keepDims, dtype },
        inputs: [x],
        shape: keepDims ? kept : kept.filter((_, d) => !axes.includes(d)),
        dtype: fn === "argmax" || fn === "argmin" ? "u32" : dtype,
      };
    },
    make: ({ fn, shape, axes, keepDims, dtype }) =>
      reduceCase(fn, shape, axes.length === 1 ? axes[0] : axes, dtype, { keepDims }),
  }),
  cumsum: operation<{ shape: number[]; axis: number; exclusive: boolean; reverse: boolean; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const [exclusive, reverse] = [draws.chance(0.3), draws.chance(0.3)];
      const spec = { shape, axis: draws.below(shape.length), exclusive, reverse, dtype };
      return { spec, inputs: [x], shape, dtype };
    },
    make: ({ shape, axis, exclusive, reverse, dtype }) =>
      cumsumCase(shape, axis, { exclusive, reverse }, dtype),
  }),
  gather: operation<{ x: number[]; axis: number; ids: number[]; along: boolean; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const [axis, along] = [draws.below(shape.length), draws.chance(0.5)];
      const entries = draws.extent();
      const ids = along ? shape.map((n, d) => (d === axis ? entries : n)) : [entries];
      const wanted: Wanted = { shape: ids, dtype: "u32", draw: { below: shape[axis]! } };
      return {
        spec: { x: shape, axis, ids, along, dtype },
        inputs: [x, wanted],
        shape: shape.map((n, d) => (d === axis ? entries : n)),
        dtype,
      };
    },
    make: ({ along, ...spec }) => gatherCase(spec, along),
  }),
  scatterAdd: operation<{ x: number[]; axis: number; ids: number[]; along: boolean; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const [axis, along] = [draws.below(shape.length), draws.chance(0.5)];
      const entries = draws.extent();
      const updates = shape.map((n, d) => (d === axis ? entries : n));
      const ids = along ? updates : [entries];
      const wanted: Wanted = { shape: ids, dtype: "u32", draw: { below: shape[axis]! } };
      return {
        spec: { x: shape, axis, ids, along, dtype },
        inputs: [x, wanted, { shape: updates, dtype }],
        shape,
        dtype,
      };
    },
    make: ({ along, ...spec }) => scatterAddCase(spec, along),
  }),
  permute: operation<{ shape: number[]; axes: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length < 2 || shape.length > 4) return null;
      const left = shape.map((_, d) => d);
      const axes = shape.map(() => left.splice(draws.below(left.length), 1)[0]!);
      return { spec: { shape, axes, dtype }, inputs: [x], shape: axes.map((d) => shape[d]!), dtype };
    },
    make: ({ shape, axes, dtype }) => permuteCase(shape, axes, dtype),
  }),
  slice: operation<{ shape: number[]; ranges: Range[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const left: number[] = [];
      const ranges = shape.map((n): Range => {
        const start = draws.below(n);
        const size = 1 + draws.below(n - start);
        const way = draws.below(5);
        if (way === 0) return start;
        left.push(way === 1 ? n : way === 4 ? Math.ceil(size / 2) : size);
        if (way === 1) return null;
        if (way === 2) return [start, start + size];
        // The same entries backwards, and every second one.
        return way === 3
          ? [start + size - 1 - n, start > 0 ? start - 1 : null, -1]
          : [start, start + size, 2];
      });
      return { spec: { shape, ranges, dtype }, inputs: [x], shape: left, dtype };
    },
    make: ({ shape, ranges, dtype }) => sliceCase(shape, ranges, dtype),
  }),
  flip: operation<{ shape: number[]; axes: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const axes = shape.map((_, d) => d).filter(() => draws.chance(0.5));
      return { spec: { shape, axes, dtype }, inputs: [x], shape, dtype };
    },
    make: ({ shape, axes, dtype }) => flipCase(shape, axes, dtype),
  }),
  pad: operation<{ shape: number[]; widths: [number, number][]; mode: PadMode; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const mode = draws.pick<PadMode>(["constant", "reflect", "edge", "wrap"]);
      const width = (n: number) => draws.below(Math.min(3, mode === "reflect" ? n : n + 1));
      const widths = shape.map((n): [number, number] => [width(n), width(n)]);
      const padded = shape.map((n, d) => n + widths[d]![0] + widths[d]![1]);
      return { spec: { shape, widths, mode, dtype }, inputs: [x], shape: padded, dtype };
    },
    make: ({ shape, widths, mode, dtype }) => padCase(shape, widths, mode, dtype),
  }),
  tile: operation<{ shape: number[]; counts: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const counts = shape.map(() => 1 + draws.below(2));
      return {
        spec: { shape, counts, dtype },
        inputs: [x],
        shape: shape.map((n, d) => n * counts[d]!),
        dtype,
      };
    },
    make: ({ shape, counts, dtype }) => tileCase(shape, counts, dtype),
  }),
  repeat: operation<{ shape: number[]; count: number; axis: number; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const [axis, count] = [draws.below(shape.length), 1 + draws.below(3)];
      const whole = shape.map((n, d) => (d === axis ? n * count : n));
      return { spec: { shape, count, axis, dtype }, inputs: [x], shape: whole, dtype };
    },
    make: ({ shape, count, axis, dtype }) => repeatCase(shape, count, axis, dtype),
  }),
  expand: operation<{ shape: number[]; to: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const to = shape.map((n) => (n === 1 ? draws.extent() : n));
      if (draws.chance(0.4)) to.unshift(1 + draws.below(3));
      return { spec: { shape, to, dtype }, inputs: [x], shape: to, dtype };
    },
    make: ({ shape, to, dtype }) => expandCase(shape, to, dtype),
  }),
  concat: operation<{ shapes: number[][]; axis: number; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      if (shape.length === 0) return null;
      const axis = draws.below(shape.length);
      const other = shape.map((n, d) => (d === axis ? draws.extent() : n));
      const spec = { shapes: [shape, other], axis, dtype };
      const whole = shape.map((n, d) => (d === axis ? n + other[d]! : n));
      return { spec, inputs: [x, { shape: other, dtype }], shape: whole, dtype };
    },
    make: ({ shapes, axis, dtype }) => concatCase(shapes, axis, dtype),
  }),
  embedding: operation<{ rows: number; width: number; ids: number[]; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      if (x.shape.length !== 2) return null;
      const [rows, width] = x.shape as [number, number];
      const ids = draws.chance(0.5) ? [draws.extent()] : [1 + draws.below(4), draws.extent()];
      const { dtype } = x;
      const wanted: Wanted = { shape: ids, dtype: "u32", draw: { below: rows } };
      return { spec: { rows, width, ids, dtype }, inputs: [x, wanted], shape: [...ids, width], dtype };
    },
    make: ({ rows, width, ids, dtype }) => embeddingCase(rows, width, ids, dtype),
  }),
  addPositions: operation<{ shape: number[]; places: number; dtype: DType }>({
    propose(draws, x) {
      if (x.shape.length !== 3) return null;
      const { shape, dtype } = x;
      const places = shape[1]! + draws.below(3);
      return {
        spec: { shape, places, dtype },
        inputs: [x, { shape: [places, shape[2]!], dtype }],
        shape,
        dtype,
      };
    },
    make: ({ shape, places, dtype }) => positionsCase(shape[0]!, shape[1]!, shape[2]!, places, dtype),
  }),
  dropout: operation<{ shape: number[]; probability: number; stream: number; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      const { shape, dtype } = x;
      const spec = { shape, probability: draws.pick([0.1, 0.25, 0.5]), stream: draws.below(100), dtype };
      return { spec, inputs: [x], shape, dtype };
    },
    make: ({ shape, probability, stream, dtype }, key) =>
      dropoutCase(shape, probability, dtype, { key, stream }),
  }),
  cast: operation<{ shape: number[]; from: DType; to: DType }>({
    lean: true,
    propose(_, x) {
      const to = x.dtype === "f32" ? "f16" : "f32";
      return { spec: { shape: x.shape, from: x.dtype, to }, inputs: [x], shape: x.shape, dtype: to };
    },
    make: ({ shape, from, to }) => castCase(shape, from, to),
  }),
  topk: operation<{ rows: number; n: number; k: number; compare: "values" | "indices"; dtype: DType }>({
    lean: true,
    propose(draws, x) {
      if (x.shape.length !== 2) return null;
      const [rows, n] = x.shape as [number, number];
      const k = 1 + draws.below(Math.min(n, 128));
      const compare = draws.pick(["values", "indices"] as const);
      return {
        spec: { rows, n, k, compare, dtype: x.dtype },
        inputs: [x],
        shape: [rows, k],
        dtype: compare === "values" ? "f32" : "u32",
      };
    },
    make: (spec) => topkCase(spec),
  }),
  selfAttention: operation<{
    batch: number;
    heads: number;
    headSize: number;
    queries: number;
    causal: boolean;
    added?: { shape: number[]; dtype: DType };
    probability: number;
    stream: number;
    dtype: DType;
  }>({
    propose(draws, x) {
      const [batch = 0, queries = 0, columns = 0] = x.shape;
      if (x.shape.length !== 3 || columns % 12 !== 0) return null;
      const width = columns / 3;
      const heads = draws.pick([1, 2, 3].filter((count) => width % (4 * count) === 0));
      const probability = draws.chance(0.3) ? 0.25 : 0;
      const mask = [batch, heads, queries].map((n) => (draws.chance(0.5) ? 1 : n));
      const added = draws.chance(0.3) ? { shape: [...mask, queries], dtype: x.dtype } : null;
      return {
        spec: {
          batch,
          heads,
          headSize: width / heads,
          queries,
          causal: draws.chance(0.3),
          ...(added && { added }),
          probability,
          stream: draws.below(100),
          dtype: x.dtype,
        },
        inputs: [x, ...(added ? [added] : [])],
        shape: [batch, queries, width],
        dtype: x.dtype,
      };
    },
    make: ({ probability, stream, ...spec }, key) =>
      attentionCase("of a program", {
        ...spec,
        ...(probability > 0 ? { dropout: { probability, key: { key, stream } } } : {}),
      }),
  }),
  crossAttention: operation<{
    batch: number;
    heads: number;
    headSize: number;
    queries: number;
    keys: number;
    source?: number[];
    kvRows?: number;
    dtype: DType;
  }>({
    propose(draws, x) {
      const [batch = 0, queries = 0, width = 0] = x.shape;
      if (x.shape.length !== 3 || width % 4 !== 0) return null;
      const heads = width % 8 === 0 && draws.chance(0.5) ? 2 : 1;
      const keys = draws.extent();
      const kvRows = draws.chance(0.4) ? 1 + draws.below(3) : batch;
      const { dtype } = x;
      const shared = kvRows !== batch || draws.chance(0.3);
      const source = Array.from({ length: batch }, () => draws.below(kvRows));
      return {
        spec: {
          batch,
          heads,
          headSize: width / heads,
          queries,
          keys,
          ...(shared ? { source, kvRows } : {}),
          dtype,
        },
        inputs: [x, { shape: [kvRows, keys, 2 * width], dtype }],
        shape: x.shape,
        dtype,
      };
    },
    make: (spec) => attentionCase("of a program", spec),
  }),
};
