// Cases of sums, means and maxima: over everything, over each axis, and long enough for two stages and for three.
import type { DType } from "../engine/index.ts";
import { argmax, argmin, max, mean, min, prod, sum, sumLeading } from "../kernels/reduce/reduce.ts";
import { logSumExp } from "../kernels/softmax/log-sum-exp.ts";
import type { Draw, OpCase } from "./case.ts";
import { sumRows } from "./reference.ts";

const ops = {
  sum: { run: sum, of: (x: number[]) => total(x), slopes: (x: number[]) => x.map(() => 1) },
  mean: {
    run: mean,
    of: (x: number[]) => total(x) / x.length,
    slopes: (x: number[]) => x.map(() => 1 / x.length),
  },
  max: {
    run: max,
    of: (x: number[]) => x[first(x, 1)] ?? Number.NEGATIVE_INFINITY,
    slopes: (x: number[]) => only(x, first(x, 1)),
  },
  min: {
    run: min,
    of: (x: number[]) => x[first(x, -1)] ?? Number.POSITIVE_INFINITY,
    slopes: (x: number[]) => only(x, first(x, -1)),
  },
  prod: {
    run: prod,
    of: (x: number[]) => times(x),
    slopes: (x: number[]) => x.map((_, i) => times(x.filter((_, j) => j !== i))),
  },
  logSumExp: {
    run: logSumExp,
    of: (x: number[]) => exponents(x).sum,
    slopes: (x: number[]) => x.map((value) => Math.exp(value - exponents(x).sum)),
  },
  argmax: { run: argmax, of: (x: number[]) => first(x, 1), slopes: null },
  argmin: { run: argmin, of: (x: number[]) => first(x, -1), slopes: null },
} as const;
type Op = keyof typeof ops;

const total = (x: readonly number[]) => x.reduce((sum, value) => sum + value, 0);
const times = (x: readonly number[]) => x.reduce((product, value) => product * value, 1);
/** Where the largest comes first, or with a sign of -1 the smallest. */
const first = (x: readonly number[], sign: number) =>
  x.reduce((best, value, i) => (sign * value > sign * x[best]! ? i : best), 0);
const only = (x: readonly number[], at: number) => x.map((_, i) => (i === at ? 1 : 0));
function exponents(x: readonly number[]) {
  const top = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return { sum: x.length > 0 ? top + Math.log(total(x.map((value) => Math.exp(value - top)))) : top };
}

/** For each result the indices of what it is made of. */
export function groupsOf(shape: readonly number[], axes: readonly number[]): number[][] {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  /** The offsets of all places along some axes. */
  const along = (chosen: (d: number) => boolean) =>
    shape.reduce<number[]>(
      (offsets, n, d) =>
        chosen(d)
          ? offsets.flatMap((at) => Array.from({ length: n }, (_, i) => at + i * strides[d]!))
          : offsets,
      [0],
    );
  const inside = along((d) => axes.includes(d));
  return along((d) => !axes.includes(d)).map((base) => inside.map((at) => base + at));
}

export function reduceCase(
  op: Op,
  shape: number[],
  axes?: number | number[],
  dtype: DType = "f32",
  { bench = false, keepDims = false, draw }: { bench?: boolean; keepDims?: boolean; draw?: Draw } = {},
): OpCase {
  const all = shape.map((_, d) => d);
  const chosen =
    axes === undefined ? all : [axes].flat().map((axis) => (axis < 0 ? axis + shape.length : axis));
  const groups = groupsOf(shape, chosen);
  const size = shape.reduce((a, b) => a * b, 1);
  const { run, of, slopes } = ops[op];
  const words = axes === undefined ? "" : ` axis ${[axes].flat().join(",")}${keepDims ? " kept" : ""}`;
  return {
    name: `${op} ${shape.join("x") || "scalar"}${words} ${dtype}`,
    inputs: [
      {
        name: "x",
        shape,
        dtype,
        draw: draw ?? (size > 1e5 ? "probability" : "normal"),
        ...(!slopes && { grad: false }),
      },
    ],
    run: ([x]) => (run as typeof sum)(x!, axes, { keepDims }),
    reference: ([x]) => Float64Array.from(groups, (group) => of(group.map((at) => x![at]!))),
    ...(slopes && {
      gradients: ([x]: Float64Array[], dy: Float64Array) => {
        const dx = new Float64Array(size);
        groups.forEach((group, index) => {
          slopes(group.map((at) => x![at]!)).forEach((slope, i) => {
            dx[group[i]!] = dy[index]! * slope;
          });
        });
        return [dx];
      },
    }),
    // Of nothing, where these are no numbers.
    ...(size === 0 && op !== "sum" && op !== "prod" && { differences: false }),
    bench: bench && (op === "sum" && axes === undefined ? { torch: { op } } : {}),
  };
}

export function sumLeadingCase(rows: number, columns: number, dtype: DType = "f32", bench = false): OpCase {
  return {
    name: `sumLeading ${rows}x${columns} ${dtype}`,
    inputs: [{ name: "x", shape: [rows, columns], dtype, grad: false }],
    run: ([x]) => sumLeading(x!, columns),
    reference: ([x]) => sumRows(x!, columns),
    bench: bench && { torch: { op: "sumLeading" } },
  };
}

/** Few different values, so that most extremes are there several times. */
function tiedCase(op: Op, shape: number[], axis: number): OpCase {
  const opCase = reduceCase(op, shape, axis);
  return {
    ...opCase,
    name: `${opCase.name} ties`,
    inputs: [{ ...opCase.inputs[0]!, draw: { below: 3 } }],
    differences: false,
  };
}

/** A NaN is both the largest and the smallest, and the first of two counts. */
function nanCase(op: "max" | "min" | "argmax" | "argmin", axis: number): OpCase {
  const values = Float64Array.from({ length: 30 }, (_, i) =>
    [17, 19, 27].includes(i) ? Number.NaN : (i * 7) % 11,
  );
  return {
    name: `${op} of NaN 3x10 axis ${axis} f32`,
    inputs: [{ name: "x", shape: [3, 10], grad: false }],
    run: ([x], engine) => ops[op].run(engine.tensor(values, x!.shape), axis),
    reference: () =>
      Float64Array.from(groupsOf([3, 10], [axis]), (group) => {
        const found = group.map((at) => values[at]!);
        const none = found.findIndex(Number.isNaN);
        return none < 0 ? ops[op].of(found) : op.startsWith("arg") ? none : Number.NaN;
      }),
  };
}

/** Sums of exponentials with minus infinities among them, and of nothing else. */
function infiniteCase(shape: number[], axis: number): OpCase {
  const [, columns] = shape as [number, number];
  const opCase = reduceCase("logSumExp", shape, axis);
  const at = (i: number, drawn: number) => {
    const along = axis === 0 ? i % columns : Math.floor(i / columns);
    return along < 2 || i % 4 === 1 ? Number.NEGATIVE_INFINITY : drawn;
  };
  return {
    ...opCase,
    name: `${opCase.name} infinite`,
    inputs: [{ name: "x", shape, draw: { at }, grad: false }],
    gradients: undefined,
    // Infinity minus infinity is none.
    reference: ([x]) =>
      Float64Array.from(groupsOf(shape, [axis]), (group) =>
        Math.log(group.reduce((sum, at) => sum + Math.exp(x![at]!), 0)),
      ),
  };
}

/** A constant, summed down long columns: its roundings all go the same way. */
function constantCase(shape: number[]): OpCase {
  const opCase = reduceCase("sum", shape, 0);
  return {
    ...opCase,
    name: `${opCase.name} constant`,
    inputs: [{ name: "x", shape, draw: { at: () => 0.7 } }],
    tolerance: 5e-7,
  };
}

export const reduceCases: OpCase[] = [
  ...(["sum", "mean"] as const).flatMap((op) => [
    reduceCase(op, [1]),
    reduceCase(op, [2, 0], 1),
    reduceCase(op, [0, 3], -1),
    reduceCase(op, [7, 5]),
    reduceCase(op, [40, 33]),
    reduceCase(op, [300, 1001]),
    reduceCase(op, [5, 6, 7], 0),
    reduceCase(op, [5, 6, 7], 1),
    reduceCase(op, [5, 6, 7], -1),
    reduceCase(op, [3, 2000, 8], 1),
    reduceCase(op, [3, 2000, 5], 1),
    reduceCase(op, [2, 9000], 1),
    reduceCase(op, [2, 8999], 1),
    reduceCase(op, [70, 12], 0, "f16"),
    reduceCase(op, [5, 33], 1, "f16"),
    reduceCase(op, [100, 100], undefined, "f16"),
  ]),
  reduceCase("max", [5, 6, 7], 0),
  reduceCase("max", [5, 6, 8], 1),
  reduceCase("max", [9, 577], -1),
  reduceCase("max", [2, 9001], 1),
  reduceCase("max", [2500, 4], 0),
  tiedCase("max", [5, 6, 7], 0),
  tiedCase("max", [20, 9, 8], 1),
  tiedCase("max", [6, 33], -1),
  // Rows beside each other whose first elements are the largest.
  tiedCase("max", [40, 5], -1),
  tiedCase("min", [6, 33], -1),
  tiedCase("argmax", [6, 33], -1),
  tiedCase("argmax", [5, 60, 8], 1),
  tiedCase("argmin", [300, 5], 0),
  ...(["max", "min", "argmax", "argmin"] as const).flatMap((op) => [nanCase(op, 0), nanCase(op, 1)]),
  ...(["max", "min", "argmax", "argmin"] as const).flatMap((op) => [
    reduceCase(op, [1]),
    reduceCase(op, [7, 5]),
    reduceCase(op, [4, 9001], 1),
    reduceCase(op, [3, 2000, 5], 1),
    reduceCase(op, [6, 12], -1, "f16"),
    reduceCase(op, [9, 7], 0, "f16", { keepDims: true }),
  ]),
  ...(["sum", "mean", "max", "min", "prod", "logSumExp"] as const).flatMap((op) => [
    reduceCase(op, [3, 4, 5, 6], [1, 2]),
    reduceCase(op, [3, 4, 5, 2], [0, -2]),
    reduceCase(op, [3, 4, 5, 2], [3, 1], "f32", { keepDims: true }),
    // Not so small a product that f16 has few digits of it.
    reduceCase(op, [4, 1, 6, 3], [0, 2], "f16", { draw: { at: (_, normal) => 1 + normal / 4 } }),
    reduceCase(op, [3, 4], []),
    reduceCase(op, [], undefined),
    reduceCase(op, [3, 5], undefined, "f32", { keepDims: true }),
    reduceCase(op, [2, 0, 3], 1),
  ]),
  reduceCase("prod", [7]),
  reduceCase("prod", [40, 33], 1),
  reduceCase("prod", [40, 32], 0),
  reduceCase("prod", [5, 12], 0, "f16"),
  // In two stages, of factors about 1.
  reduceCase("prod", [3, 2000], 1, "f32", { draw: { at: (_, normal) => 1 + normal / 50 } }),
  // One factor of 0 in a product, and two.
  reduceCase("prod", [3, 4], 1, "f32", { draw: { at: (i, normal) => ([1, 6, 7].includes(i) ? 0 : normal) } }),
  reduceCase("logSumExp", [5, 33], 1),
  reduceCase("logSumExp", [33, 6], 0, "f16"),
  reduceCase("logSumExp", [3, 70, 40], -2),
  reduceCase("logSumExp", [21, 8], 0, "f16"),
  // So few and long columns that they are put together of other operations.
  reduceCase("logSumExp", [4100, 3], 0),
  reduceCase("logSumExp", [0, 3], 0),
  reduceCase("logSumExp", [4, 9], 1, "f32", { draw: { at: (_, normal) => 1000 + normal } }),
  reduceCase("logSumExp", [4, 9], 0, "f32", { draw: { at: (_, normal) => -1e4 + 100 * normal } }),
  infiniteCase([9, 6], 0),
  infiniteCase([6, 9], 1),
  constantCase([250_000, 3]),
  sumLeadingCase(1, 8),
  sumLeadingCase(65, 7),
  sumLeadingCase(4096, 12),
  sumLeadingCase(100, 1),
  sumLeadingCase(300, 20, "f16"),
  sumLeadingCase(4616, 768, "f32", true),
  reduceCase("sum", [1000, 1000], undefined, "f32", { bench: true }),
];
