// Cases of the operations that only move elements: the reference is a list of where each element comes from.
import type { DType, Tensor } from "../engine/index.ts";
import {
  concatRows,
  concatTokens,
  permute,
  reshape,
  sliceRows,
  sliceTokens,
  takeFirst,
  transpose2d,
} from "../kernels/shape/reshape.ts";
import type { OpCase } from "./case.ts";

/** `sources[i]` is the index into the inputs, laid end to end, of element i of the result. */
function moveCase(
  name: string,
  shapes: number[][],
  run: (tensors: Tensor[]) => Tensor,
  sources: number[],
  dtype: DType = "f32",
): OpCase {
  const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
  return {
    name: `${name} ${shapes.map((shape) => shape.join("x")).join(",")} ${dtype}`,
    inputs: shapes.map((shape, i) => ({ name: `x${i}`, shape, dtype })),
    run,
    reference: (values) => {
      const joined = values.flatMap((array) => [...array]);
      return Float64Array.from(sources, (source) => joined[source]!);
    },
    gradients: (_, dy) => {
      const joined = new Float64Array(sizes.reduce((a, b) => a + b, 0));
      dy.forEach((incoming, i) => {
        joined[sources[i]!]! += incoming;
      });
      let start = 0;
      return sizes.map((size) => {
        start += size;
        return joined.slice(start - size, start);
      });
    },
  };
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

export function permuteCase(shape: number[], axes: number[], dtype: DType = "f32"): OpCase {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  let sources = [0];
  for (const axis of axes) {
    sources = sources.flatMap((base) => range(0, shape[axis]!).map((i) => base + i * strides[axis]!));
  }
  const run = ([x]: Tensor[]) => (`${axes}` === "1,0" ? transpose2d(x!) : permute(x!, axes));
  return moveCase(`permute ${axes.join("")}`, [shape], run, sources, dtype);
}

export function sliceCase(shape: number[], start: number, count: number, dtype: DType = "f32"): OpCase {
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  return moveCase(
    `sliceRows ${start}+${count}`,
    [shape],
    ([x]) => sliceRows(x!, start, count),
    range(start * row, count * row),
    dtype,
  );
}

export function takeFirstCase(shape: [number, number, number], dtype: DType = "f32"): OpCase {
  const [batch, tokens, width] = shape;
  const sources = range(0, batch).flatMap((b) => range(b * tokens * width, width));
  return moveCase("takeFirst", [shape], ([x]) => takeFirst(x!), sources, dtype);
}

export function concatCase(m: number, k: number, n: number, dtype: DType = "f32"): OpCase {
  const shapes = [
    [m, n],
    [k, n],
  ];
  return moveCase("concatRows", shapes, ([a, b]) => concatRows(a!, b!), range(0, (m + k) * n), dtype);
}

type Sequences = [batch: number, tokens: number, width: number];

/** Where in [batch, tokens, width] the elements of some tokens of each sequence lie. */
const tokensOf = ([, tokens, width]: Sequences, b: number, start: number, count: number) =>
  range((b * tokens + start) * width, count * width);

function sliceTokensCase(shape: Sequences, start: number, count: number, dtype: DType = "f32"): OpCase {
  const sources = range(0, shape[0]).flatMap((b) => tokensOf(shape, b, start, count));
  const run = ([x]: Tensor[]) => sliceTokens(x!, start, count);
  return moveCase(`sliceTokens ${start}+${count}`, [shape], run, sources, dtype);
}

function concatTokensCase(a: Sequences, more: number, dtype: DType = "f32"): OpCase {
  const [batch, tokens, width] = a;
  const b: Sequences = [batch, more, width];
  const sources = range(0, batch).flatMap((i) => [
    ...tokensOf(a, i, 0, tokens),
    ...tokensOf(b, i, 0, more).map((at) => batch * tokens * width + at),
  ]);
  return moveCase("concatTokens", [a, b], ([x, y]) => concatTokens(x!, y!), sources, dtype);
}

export const shapeCases: OpCase[] = [
  moveCase("reshape", [[4, 6]], ([x]) => reshape(x!, [2, -1, 3]), range(0, 24)),
  moveCase("reshape", [[3, 5]], ([x]) => reshape(x!, [15]), range(0, 15), "f16"),
  permuteCase([5, 7], [1, 0]),
  permuteCase([64, 32], [1, 0]),
  permuteCase([2, 3, 4], [1, 0, 2]),
  permuteCase([2, 3, 4, 5], [0, 2, 1, 3]),
  permuteCase([2, 3, 4, 5], [3, 1, 2, 0], "f16"),
  sliceCase([9, 5], 2, 3),
  sliceCase([90, 40], 20, 60),
  sliceCase([90, 11], 20, 60),
  sliceCase([9, 8], 0, 4),
  sliceCase([9, 8], 5, 4, "f16"),
  sliceCase([11], 3, 7),
  sliceCase([4, 3, 2], 3, 1),
  takeFirstCase([3, 5, 8]),
  takeFirstCase([2, 3, 5]),
  takeFirstCase([4, 1, 7], "f16"),
  sliceTokensCase([3, 5, 8], 1, 3),
  sliceTokensCase([2, 3, 5], 2, 1),
  sliceTokensCase([4, 6, 7], 0, 4, "f16"),
  concatTokensCase([3, 2, 8], 4),
  concatTokensCase([2, 3, 5], 1),
  concatTokensCase([4, 1, 8], 1, "f16"),
  concatCase(3, 2, 8),
  concatCase(5, 1, 3),
  concatCase(1, 6, 5, "f16"),
];
