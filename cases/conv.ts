// Cases of convolutions and poolings: strides, borders, dilations, groups. The references go from window to window.
import type { DType } from "../engine/index.ts";
import { type ConvTransposeOptions, conv2d, convTranspose2d } from "../kernels/conv/conv.ts";
import { type AveragePoolOptions, averagePool2d, maxPool2d } from "../kernels/conv/pool.ts";
import { type Draw, type OpCase, withMasters } from "./case.ts";

type Two = [number, number];
type Four = [number, number, number, number];

interface Geometry {
  stride?: number | Two;
  padding?: number | Two | [Two, Two];
  dilation?: number | Two;
}

const two = (pair: number | readonly [number, number]): Two =>
  typeof pair === "number" ? [pair, pair] : [...pair];

/** Windows of `size` over pictures: where each has its places, or null outside of the picture. */
function geometry([height, width]: Two, size: Two, { stride = 1, padding = 0, dilation = 1 }: Geometry) {
  const [strides, dilations] = [two(stride), two(dilation)];
  const borders = typeof padding === "number" ? [padding, padding] : padding;
  const [[top, bottom], [left, right]] = borders.map(two) as [Two, Two];
  const out = [
    [height + top + bottom, 0],
    [width + left + right, 1],
  ].map(
    ([extent, d]) => Math.floor((extent! - dilations[d!]! * (size[d!]! - 1) - 1) / strides[d!]!) + 1,
  ) as Two;
  const at = (oy: number, ox: number, ky: number, kx: number) => {
    const y = oy * strides[0] + ky * dilations[0] - top;
    const x = ox * strides[1] + kx * dilations[1] - left;
    const inside = y >= 0 && x >= 0 && y < height && x < width;
    const bordered = y < height + bottom && x < width + right;
    return { place: inside ? y * width + x : null, bordered };
  };
  return { out, at };
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const words = (options: object) =>
  Object.entries(options)
    .map(([name, value]) => (value === true ? ` ${name}` : ` ${name} ${value}`))
    .join("");

export interface ConvSpec extends Geometry {
  x: Four;
  weight: Four;
  groups?: number;
  bias?: boolean;
  dtype?: DType;
  bench?: boolean;
}

/** Calls `visit` with the places in picture, weights and result of each product of a convolution. */
function eachProduct(
  { x, weight, groups = 1, ...options }: ConvSpec,
  visit: (inX: number, inWeight: number, inY: number) => void,
): Four {
  const [batch, channels, height, width] = x;
  const [outputs, own, rows, columns] = weight;
  const { out, at } = geometry([height, width], [rows, columns], options);
  for (const b of range(batch))
    for (const o of range(outputs))
      for (const c of range(own)) {
        const channel = Math.floor(o / (outputs / groups)) * own + c;
        for (const oy of range(out[0]))
          for (const ox of range(out[1]))
            for (const ky of range(rows))
              for (const kx of range(columns)) {
                const { place } = at(oy, ox, ky, kx);
                if (place === null) continue;
                visit(
                  (b * channels + channel) * height * width + place,
                  ((o * own + c) * rows + ky) * columns + kx,
                  ((b * outputs + o) * out[0] + oy) * out[1] + ox,
                );
              }
      }
  return [batch, outputs, ...out];
}

/** One element of a convolution's result. */
function convAt(
  { x, weight, groups = 1, ...options }: ConvSpec,
  values: readonly Float64Array[],
  i: number,
): number {
  const [, channels, height, width] = x;
  const [outputs, own, rows, columns] = weight;
  const { out, at } = geometry([height, width], [rows, columns], options);
  const [ox, oy] = [i % out[1], Math.floor(i / out[1]) % out[0]];
  const [o, b] = [Math.floor(i / out[0] / out[1]) % outputs, Math.floor(i / out[0] / out[1] / outputs)];
  let sum = values[2]?.[o] ?? 0;
  for (const c of range(own))
    for (const ky of range(rows))
      for (const kx of range(columns)) {
        const { place } = at(oy, ox, ky, kx);
        if (place === null) continue;
        const channel = Math.floor(o / (outputs / groups)) * own + c;
        const inX = (b * channels + channel) * height * width + place;
        sum += values[0]![inX]! * values[1]![((o * own + c) * rows + ky) * columns + kx]!;
      }
  return sum;
}

export function convCase(spec: ConvSpec): OpCase {
  const { x: shape, weight, bias = false, dtype = "f32", groups = 1, bench = false, ...options } = spec;
  const [rows, columns] = [weight[2], weight[3]];
  const made: Four = [shape[0], weight[0], ...geometry([shape[2], shape[3]], [rows, columns], options).out];
  const channelOf = (i: number) => Math.floor(i / (made[2] * made[3])) % made[1];
  const { stride = 1, padding = 0 } = options;
  return {
    name: `conv2d ${shape.join("x")} by ${weight.join("x")}${words({ ...options, groups, bias })} ${dtype}`,
    inputs: [
      { name: "x", shape, dtype },
      { name: "weight", shape: weight, dtype },
      ...(bias ? [{ name: "bias", shape: [weight[0]], dtype }] : []),
    ],
    run: ([x, weight, bias]) => conv2d(x!, weight!, { ...options, groups, bias: bias ?? null }),
    reference: ([x, w, bias]) => {
      const y = Float64Array.from({ length: sizeOf(made) }, (_, i) => bias?.[channelOf(i)] ?? 0);
      eachProduct(spec, (inX, inWeight, inY) => {
        y[inY]! += x![inX]! * w![inWeight]!;
      });
      return y;
    },
    gradients: ([x, w], dy) => {
      const [dx, dw, db] = [x!, w!, { length: weight[0] }].map(({ length }) => new Float64Array(length));
      eachProduct(spec, (inX, inWeight, inY) => {
        dx![inX]! += w![inWeight]! * dy[inY]!;
        dw![inWeight]! += x![inX]! * dy[inY]!;
      });
      dy.forEach((incoming, i) => {
        db![channelOf(i)]! += incoming;
      });
      return [dx!, dw!, ...(bias ? [db!] : [])];
    },
    flops: 2 * sizeOf(made) * sizeOf(weight.slice(1)),
    ...(bench && {
      bench: { peer: { op: "conv2d", stride: Number(stride), padding: Number(padding), groups } },
      referenceAt: (values: Float64Array[], i: number) => convAt(spec, values, i),
    }),
  };
}

/** The convolution `spec` the other way round: from pictures of its result's shape to those of x. */
export function transposeCase(
  spec: ConvSpec,
  more: Pick<ConvTransposeOptions, "outputPadding"> = {},
): OpCase {
  const { x: result, weight, bias = false, dtype = "f32", groups = 1, ...options } = spec;
  const shape = eachProduct(spec, () => {});
  const channelOf = (i: number) => Math.floor(i / (result[2] * result[3])) % result[1];
  return {
    name: `convTranspose2d ${shape.join("x")} by ${weight.join("x")}${words({ ...options, groups, bias, ...more })} ${dtype}`,
    inputs: [
      { name: "x", shape, dtype },
      { name: "weight", shape: weight, dtype },
      ...(bias ? [{ name: "bias", shape: [result[1]], dtype }] : []),
    ],
    run: ([x, weight, bias]) =>
      convTranspose2d(x!, weight!, { ...options, ...more, groups, bias: bias ?? null }),
    reference: ([x, w, bias]) => {
      const y = Float64Array.from({ length: sizeOf(result) }, (_, i) => bias?.[channelOf(i)] ?? 0);
      eachProduct(spec, (inY, inWeight, inX) => {
        y[inY]! += x![inX]! * w![inWeight]!;
      });
      return y;
    },
    gradients: ([x, w], dy) => {
      const [dx, dw, db] = [x!, w!, { length: result[1] }].map(({ length }) => new Float64Array(length));
      eachProduct(spec, (inY, inWeight, inX) => {
        dx![inX]! += w![inWeight]! * dy[inY]!;
        dw![inWeight]! += x![inX]! * dy[inY]!;
      });
      dy.forEach((incoming, i) => {
        db![channelOf(i)]! += incoming;
      });
      return [dx!, dw!, ...(bias ? [db!] : [])];
    },
  };
}

export interface PoolSpec extends Geometry {
  x: Four;
  size: number | Two;
  countPadding?: boolean;
  dtype?: DType;
  /** Few different values, so that most maxima are there several times. */
  ties?: boolean;
  /** Most are -∞, so that they are all that many windows have, and some NaN. */
  low?: boolean;
}

export function poolCase(kind: "max" | "average", spec: PoolSpec): OpCase {
  const { x: shape, size, dtype = "f32", ties = false, low = false, countPadding = true, ...options } = spec;
  const [batch, channels, height, width] = shape;
  const [rows, columns] = two(size);
  const { out, at } = geometry([height, width], [rows, columns], { stride: size, ...options });
  const plane = height * width;
  /** For each result the places that it is of, and how many they count as. */
  const windows = range(batch * channels).flatMap((p) =>
    range(out[0]).flatMap((oy) =>
      range(out[1]).map((ox) => {
        const all = range(rows).flatMap((ky) => range(columns).map((kx) => at(oy, ox, ky, kx)));
        const places = all.flatMap(({ place }) => (place === null ? [] : [p * plane + place]));
        const count = countPadding ? all.filter(({ bordered }) => bordered).length : places.length;
        return { places, count };
      }),
    ),
  );
  const winner = (x: Float64Array, places: number[]) =>
    places.reduce((best, place) => {
      const larger = !(best >= 0) || x[place]! > x[best]! || Number.isNaN(x[place]);
      return larger && !Number.isNaN(x[best]) ? place : best;
    }, -1);
  const lowAt = (_: number, drawn: number) =>
    drawn > 0.8 ? drawn : drawn < -1.8 ? Number.NaN : Number.NEGATIVE_INFINITY;
  const draw: Draw | undefined = ties ? { below: 3 } : low ? { at: lowAt } : undefined;
  const run: AveragePoolOptions = kind === "max" ? options : { ...options, countPadding };
  return {
    name: `${kind}Pool2d ${shape.join("x")} of ${size}${words(options)}${countPadding ? "" : " alone"}${ties ? " ties" : ""}${low ? " low" : ""} ${dtype}`,
    inputs: [{ name: "x", shape, dtype, ...(draw && { draw }) }],
    run: ([x]) => (kind === "max" ? maxPool2d : averagePool2d)(x!, size, run),
    reference: ([x]) =>
      Float64Array.from(windows, ({ places, count }) =>
        kind === "max"
          ? (x![winner(x!, places)] ?? Number.NEGATIVE_INFINITY)
          : places.reduce((sum, place) => sum + x![place]!, 0) / count,
      ),
    gradients: ([x], dy) => {
      const dx = new Float64Array(x!.length);
      windows.forEach(({ places, count }, i) => {
        if (kind === "max" && places.length > 0) dx[winner(x!, places)]! += dy[i]!;
        else for (const place of places) dx[place]! += dy[i]! / count;
      });
      return [dx];
    },
    // Of nothing a maximum is -∞, and a mean NaN.
    ...((ties || low || windows.some(({ places }) => places.length === 0)) && { differences: false }),
  };
}

/** The picture lies between two rows of a window. */
const between: Omit<PoolSpec, "x"> = {
  ...{ size: [2, 3], stride: [1, 2], dilation: [3, 2] },
  padding: [
    [3, 1],
    [3, 3],
  ],
};

export const convCases: OpCase[] = [
  convCase({ x: [2, 3, 6, 7], weight: [4, 3, 3, 3] }),
  convCase({ x: [2, 3, 6, 7], weight: [5, 3, 3, 2], padding: 1, bias: true }),
  convCase({ x: [1, 4, 9, 8], weight: [8, 4, 3, 3], stride: 2, padding: [1, 0] }),
  convCase({ x: [2, 2, 9, 11], weight: [3, 2, 3, 3], stride: [2, 3], dilation: [2, 1] }),
  convCase({
    ...{ x: [2, 3, 5, 6], weight: [4, 3, 2, 3], bias: true, dilation: 2 },
    padding: [
      [0, 1],
      [2, 3],
    ],
  }),
  convCase({ x: [3, 4, 5, 5], weight: [6, 2, 3, 3], groups: 2, padding: 1 }),
  convCase({ x: [2, 6, 7, 4], weight: [6, 1, 3, 3], groups: 6, padding: 1, bias: true }),
  convCase({ x: [1, 4, 23, 20], weight: [8, 1, 3, 3], groups: 4, padding: 1 }),
  convCase({ x: [2, 8, 14, 8], weight: [8, 1, 3, 3], groups: 8, padding: 1, dtype: "f16" }),
  convCase({ x: [1, 2, 8, 12], weight: [2, 1, 5, 5], groups: 2, padding: 2 }),
  convCase({
    ...{ x: [2, 4, 9, 8], weight: [6, 2, 3, 2], groups: 2 },
    padding: [
      [2, 0],
      [1, 0],
    ],
  }),
  convCase({ x: [2, 8, 5, 4], weight: [12, 8, 1, 1] }),
  convCase({ x: [2, 8, 5, 5], weight: [4, 4, 1, 1], groups: 2, stride: 2 }),
  convCase({ x: [2, 12, 21, 16], weight: [12, 1, 3, 3], groups: 12, stride: 2, padding: 1 }),
  convCase({ x: [1, 4, 6, 16], weight: [8, 2, 3, 4], groups: 2, stride: [1, 4], padding: [1, 0] }),
  convCase({ x: [2, 3, 5, 8], weight: [4, 3, 3, 3], padding: 1, bias: true }),
  convCase({ x: [2, 3, 9, 8], weight: [4, 3, 2, 3], stride: [3, 2], padding: [0, 1] }),
  convCase({ x: [1, 1, 1, 1], weight: [1, 1, 1, 1] }),
  convCase({ x: [0, 3, 4, 4], weight: [2, 3, 3, 3] }),
  convCase({ x: [2, 3, 8, 8], weight: [4, 3, 3, 3], padding: 1, bias: true, dtype: "f16" }),
  convCase({ x: [2, 4, 7, 7], weight: [4, 2, 3, 3], groups: 2, stride: 2, dtype: "f16" }),
  // An early and a late layer of a network, one of single places, and one of single channels.
  convCase({ x: [1, 3, 112, 112], weight: [32, 3, 7, 7], stride: 2, padding: 3, bench: true }),
  convCase({ x: [4, 64, 28, 28], weight: [64, 64, 3, 3], padding: 1, bench: true }),
  convCase({ x: [4, 64, 28, 28], weight: [128, 64, 1, 1], bench: true }),
  convCase({ x: [4, 64, 28, 28], weight: [64, 1, 3, 3], padding: 1, groups: 64, bench: true }),
  transposeCase({ x: [2, 3, 6, 7], weight: [4, 3, 3, 3] }),
  transposeCase({ x: [1, 4, 9, 7], weight: [6, 2, 3, 3], groups: 2, stride: 2, padding: 1, bias: true }),
  transposeCase({ x: [2, 2, 10, 8], weight: [3, 2, 3, 3], stride: 2 }, { outputPadding: 1 }),
  transposeCase({ x: [2, 3, 8, 8], weight: [4, 3, 2, 2], stride: 2, dtype: "f16" }),
  withMasters(
    convCase({ x: [2, 3, 6, 8], weight: [4, 3, 3, 3], padding: 1, bias: true, dtype: "f16" }),
    "weight",
    "bias",
  ),
  withMasters(transposeCase({ x: [1, 3, 8, 8], weight: [4, 3, 2, 2], stride: 2, dtype: "f16" }), "weight"),
  poolCase("max", { x: [2, 3, 6, 8], size: 2 }),
  poolCase("max", { x: [2, 3, 7, 9], size: 3, stride: 2, padding: 1 }),
  poolCase("max", { x: [1, 2, 9, 7], size: [3, 2], stride: 1, dilation: 2, padding: [2, 1] }),
  poolCase("max", { x: [2, 2, 6, 6], size: 3, stride: 1, ties: true }),
  poolCase("max", { x: [2, 3, 5, 6], size: 2, dtype: "f16" }),
  // Several rows an invocation, the last ones fewer.
  poolCase("max", { x: [2, 5, 23, 20], size: 3, stride: 1, padding: 1 }),
  poolCase("max", { x: [2, 5, 23, 20], size: 3, stride: 1, padding: 1, ties: true }),
  poolCase("max", { x: [2, 5, 23, 20], size: [2, 3], stride: 1, padding: 1, low: true }),
  poolCase("max", { x: [3, 5, 30, 32], size: 2, dtype: "f16" }),
  poolCase("max", { x: [1, 2, 9, 17], size: [2, 4], stride: [1, 4], ties: true }),
  poolCase("max", { x: [1, 2, 7, 9], size: 3, stride: 2, padding: 1, low: true }),
  poolCase("max", { x: [1, 2, 2, 13], ...between }),
  poolCase("max", { x: [1, 2, 2, 9], ...between, dtype: "f16" }),
  poolCase("average", { x: [1, 2, 2, 9], ...between, countPadding: false }),
  poolCase("average", { x: [2, 5, 23, 20], size: 3, stride: 1, padding: 1 }),
  poolCase("average", { x: [3, 5, 31, 32], size: [3, 2], stride: 2, padding: [1, 0], countPadding: false }),
  poolCase("average", { x: [2, 3, 6, 8], size: 2 }),
  poolCase("average", { x: [2, 3, 7, 9], size: 3, stride: 2, padding: 1 }),
  poolCase("average", { x: [2, 3, 7, 9], size: 3, stride: 2, padding: 1, countPadding: false }),
  poolCase("average", {
    ...{ x: [1, 2, 8, 7], size: [3, 2], stride: [2, 1], dilation: [1, 2] },
    padding: [
      [1, 2],
      [0, 1],
    ],
  }),
  poolCase("average", { x: [2, 3, 5, 6], size: 2, dtype: "f16" }),
];
