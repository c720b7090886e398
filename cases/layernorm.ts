// Cases of layernorm: with and without a residual, rows of any length, means far from 0.
import { type DType, type RandomKey, uniform } from "../engine/index.ts";
import { groupnorm } from "../kernels/layernorm/groupnorm.ts";
import { layernorm, rmsnorm } from "../kernels/layernorm/layernorm.ts";
import { besideItself, type Input, type OpCase, withMasters } from "./case.ts";
import { sumRows } from "./reference.ts";

interface Spec {
  shape: number[];
  residual?: boolean;
  /** On x, before the residual. */
  dropout?: { probability: number; key: RandomKey };
  /** The mean of x and of the residual, in deviations; 0 unless told. */
  mean?: number;
  /** rmsnorm: no mean is taken off, and there is no beta. */
  rms?: boolean;
  dtype?: DType;
  bench?: boolean;
}

const eps = 1e-5;

export function layernormCase(spec: Spec): OpCase {
  const { shape, rms = false, dtype = "f32", bench = false } = spec;
  const length = shape.at(-1)!;
  const { mean = 0 } = spec;
  const draw = { at: (_: number, normal: number) => mean + normal };
  const inputs: Input[] = [
    { name: "x", shape, dtype, draw },
    { name: "gamma", shape: [length], dtype },
    ...(rms ? [] : [{ name: "beta", shape: [length], dtype }]),
    ...(spec.residual ? [{ name: "residual", shape, dtype, draw }] : []),
  ];
  const { dropout } = spec;
  /** What dropout multiplies element i by. */
  const kept = (i: number) => {
    if (!dropout) return 1;
    const { probability, key } = dropout;
    return uniform(key, i) >= Math.fround(probability) ? 1 / (1 - probability) : 0;
  };
  /** (h - mean) / deviation and 1 / deviation of every element. */
  const normals = (values: Float64Array[]) => {
    const [x, residual] = [values[0], spec.residual ? values.at(-1) : undefined];
    const h = x!.map((value, i) => value * kept(i) + (residual?.[i] ?? 0));
    const inverse = new Float64Array(h.length);
    for (let start = 0; start < h.length; start += length) {
      const row = h.subarray(start, start + length);
      const mean = rms ? 0 : row.reduce((a, b) => a + b) / length;
      const variance = row.reduce((total, value) => total + (value - mean) ** 2, 0) / length;
      const factor = 1 / Math.sqrt(variance + eps);
      for (let i = start; i < start + length; i++) {
        inverse[i] = factor;
        h[i] = (h[i]! - mean) * factor;
      }
    }
    return { normal: h, inverse };
  };
  return {
    name: `${rms ? "rmsnorm" : "layernorm"}${dropout ? " dropout" : ""}${spec.residual ? " residual" : ""}${mean ? ` mean ${mean}` : ""} ${shape.join("x")} ${dtype}`,
    inputs,
    run: ([x, gamma, ...rest]) => {
      const options = { eps, residual: spec.residual ? rest.at(-1)! : null, dropout };
      return rms ? rmsnorm(x!, gamma!, options) : layernorm(x!, gamma!, rest[0]!, options);
    },
    reference: (values) =>
      normals(values).normal.map((n, i) => n * values[1]![i % length]! + (rms ? 0 : values[2]![i % length]!)),
    gradients: (values, dy) => {
      const { normal, inverse } = normals(values);
      const g = dy.map((incoming, i) => incoming * values[1]![i % length]!);
      const dx = new Float64Array(g.length);
      for (let start = 0; start < g.length; start += length) {
        let sum = 0;
        let product = 0;
        for (let i = start; i < start + length; i++) {
          if (!rms) sum += g[i]!;
          product += g[i]! * normal[i]!;
        }
        for (let i = start; i < start + length; i++)
          dx[i] = inverse[i]! * (g[i]! - sum / length - (normal[i]! * product) / length);
      }
      const dGamma = sumRows(
        dy.map((incoming, i) => incoming * normal[i]!),
        length,
      );
      const dropped = dx.map((value, i) => value * kept(i));
      return [dropped, dGamma, ...(rms ? [] : [sumRows(dy, length)]), ...(spec.residual ? [dx] : [])];
    },
    bench: bench && (spec.residual ? {} : { peer: { op: "layernorm", eps } }),
  };
}

/** Rows of layernorm without an affine part, then a scale and a shift for each channel. */
export function groupnormCase(shape: number[], groups: number, dtype: DType = "f32"): OpCase {
  const [batch, channels, ...places] = shape as [number, number, ...number[]];
  const plane = places.reduce((a, b) => a * b, 1);
  const length = (channels / groups) * plane;
  const plain = layernormCase({ shape: [batch * groups, length] });
  const ones = new Float64Array(length).fill(1);
  const zeros = new Float64Array(length);
  const normal = (x: Float64Array) => plain.reference([x, ones, zeros]);
  const channelOf = (i: number) => Math.floor(i / plane) % channels;
  const byChannel = (values: Float64Array) => {
    const sums = new Float64Array(channels);
    values.forEach((value, i) => {
      sums[channelOf(i)]! += value;
    });
    return sums;
  };
  return {
    name: `groupnorm ${shape.join("x")} of ${groups} ${dtype}`,
    inputs: [
      { name: "x", shape, dtype },
      { name: "gamma", shape: [channels], dtype },
      { name: "beta", shape: [channels], dtype },
    ],
    run: ([x, gamma, beta]) => groupnorm(x!, groups, gamma!, beta!),
    reference: ([x, gamma, beta]) =>
      normal(x!).map((value, i) => value * gamma![channelOf(i)]! + beta![channelOf(i)]!),
    gradients: ([x, gamma], dy) => {
      const scaled = dy.map((incoming, i) => incoming * gamma![channelOf(i)]!);
      const [dx] = plain.gradients!([x!, ones, zeros], scaled);
      const n = normal(x!);
      return [dx!, byChannel(dy.map((incoming, i) => incoming * n[i]!)), byChannel(dy)];
    },
  };
}

const dropout = { probability: 0.25, key: { key: 0x2468ace, stream: 3 } };

export const layernormCases: OpCase[] = [
  layernormCase({ shape: [5, 8] }),
  layernormCase({ shape: [0, 8] }),
  layernormCase({ shape: [3, 0, 5], residual: true }),
  layernormCase({ shape: [1, 12] }),
  layernormCase({ shape: [7, 9] }),
  layernormCase({ shape: [2, 3, 64] }),
  layernormCase({ shape: [33, 100], residual: true }),
  layernormCase({ shape: [4, 37], residual: true }),
  layernormCase({ shape: [3, 1030] }),
  layernormCase({ shape: [700, 16] }),
  layernormCase({ shape: [4200, 8] }),
  layernormCase({ shape: [515, 12] }),
  layernormCase({ shape: [517, 9], residual: true }),
  besideItself(layernormCase({ shape: [19, 20] })),
  besideItself(layernormCase({ shape: [5, 7], dtype: "f16" })),
  layernormCase({ shape: [21, 40], residual: true, dropout }),
  layernormCase({ shape: [9, 11], residual: true, dropout }),
  layernormCase({ shape: [18, 36], residual: true, dropout, dtype: "f16" }),
  layernormCase({ shape: [6, 256], mean: 4, residual: true }),
  layernormCase({ shape: [5, 96], mean: 1000 }),
  layernormCase({ shape: [5, 99], mean: -2000 }),
  layernormCase({ shape: [6, 24], dtype: "f16" }),
  withMasters(layernormCase({ shape: [19, 24], dtype: "f16" }), "gamma", "beta"),
  withMasters(layernormCase({ shape: [5, 7], residual: true, dtype: "f16" }), "gamma", "beta"),
  withMasters(layernormCase({ shape: [3, 40], rms: true, dtype: "f16" }), "gamma"),
  layernormCase({ shape: [5, 15], residual: true, dtype: "f16" }),
  layernormCase({ shape: [5, 8], rms: true }),
  layernormCase({ shape: [7, 9], rms: true, mean: 3 }),
  layernormCase({ shape: [2, 3, 64], rms: true, residual: true }),
  layernormCase({ shape: [515, 12], rms: true }),
  layernormCase({ shape: [9, 11], rms: true, residual: true, dropout }),
  layernormCase({ shape: [6, 24], rms: true, dtype: "f16" }),
  layernormCase({ shape: [0, 8], rms: true }),
  besideItself(layernormCase({ shape: [5, 15], rms: true, dtype: "f16" })),
  groupnormCase([2, 6, 4, 5], 3),
  groupnormCase([3, 4, 7], 4),
  groupnormCase([2, 8], 2),
  groupnormCase([2, 6, 4, 4], 1, "f16"),
  groupnormCase([3, 6, 5, 7], 2, "f16"),
  groupnormCase([3, 12, 16, 12], 4),
  groupnormCase([0, 4, 3], 2),
  layernormCase({ shape: [4616, 768], bench: true }),
  layernormCase({ shape: [4616, 768], residual: true, dtype: "f16", bench: true }),
];
