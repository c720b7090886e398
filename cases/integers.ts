// Cases of what integers have along axes and by themselves: sums, products and running sums modulo 2^32, extremes and where they
// stand, sums into places. Each is exact. What two tensors of them make is in arithmetic.ts.
import type { DType, Tensor } from "../engine/index.ts";
import { abs, clamp, neg, sign, square } from "../kernels/elementwise/unary.ts";
import { addAlongAxis, scatterAdd } from "../kernels/gather/gather.ts";
import { argmax, argmin, max, min, prod, sum } from "../kernels/reduce/reduce.ts";
import { cumsum } from "../kernels/scan/scan.ts";
import type { Draw, Input, OpCase } from "./case.ts";
import { groupsOf } from "./reduce.ts";

type Whole = "u32" | "i32";
const both: Whole[] = ["u32", "i32"];

/** What an integer is modulo 2^32. */
export const wrapped = (dtype: DType, value: number) => (dtype === "u32" ? value >>> 0 : value | 0);
export const everyWhole = (dtype: DType): Draw =>
  dtype === "i32" ? { from: -(2 ** 31), below: 2 ** 31 } : { below: 2 ** 32 };
/** Few different ones, so that extremes are there several times. */
const fewWhole = (dtype: Whole): Draw => ({ from: dtype === "i32" ? -2 : 0, below: 2 });
/** The ends of what there is among others near 0. */
const ends = (dtype: DType): Draw => {
  const among =
    dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1, -1, 0, 1, -(2 ** 31) + 1] : [2 ** 32 - 1, 0, 2 ** 31, 1];
  return { at: (i: number) => among[(i * 7) % among.length]! };
};

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const frontOf = (shape: readonly number[], axis: number) => (axis < 0 ? axis + shape.length : axis);
/** Where the first stands that no other is better than; 0 of nothing. */
const first = (x: readonly number[], better: (a: number, b: number) => boolean) =>
  x.reduce((best, value, i) => (better(value, x[best]!) ? i : best), 0);
const larger = (a: number, b: number) => a > b;
const smaller = (a: number, b: number) => a < b;

const reductions = {
  sum: { run: sum, of: (x: number[]) => x.reduce((a, b) => a + b, 0) },
  prod: { run: prod, of: (x: number[]) => x.reduce((a, b) => Math.imul(a, b), 1) },
  max: {
    run: max,
    of: (x: number[], dtype: Whole) => x[first(x, larger)] ?? (dtype === "u32" ? 0 : -(2 ** 31)),
  },
  min: {
    run: min,
    of: (x: number[], dtype: Whole) => x[first(x, smaller)] ?? (dtype === "u32" ? 2 ** 32 - 1 : 2 ** 31 - 1),
  },
  argmax: { run: argmax, of: (x: number[]) => first(x, larger) },
  argmin: { run: argmin, of: (x: number[]) => first(x, smaller) },
} as const;
type Reduction = keyof typeof reductions;

function reduceCase(
  op: Reduction,
  shape: number[],
  dtype: Whole,
  {
    axes,
    keepDims = false,
    draw = everyWhole,
  }: { axes?: number | number[]; keepDims?: boolean; draw?: (dtype: Whole) => Draw } = {},
): OpCase {
  const { run, of } = reductions[op];
  const chosen =
    axes === undefined ? shape.map((_, d) => d) : [axes].flat().map((axis) => frontOf(shape, axis));
  const words = axes === undefined ? "" : ` axis ${[axes].flat().join(",")}${keepDims ? " kept" : ""}`;
  return {
    name: `${op} ${shape.join("x") || "scalar"}${words} ${dtype}${draw === everyWhole ? "" : draw === ends ? " of the ends" : " ties"}`,
    inputs: [{ name: "x", shape, dtype, draw: draw(dtype) }],
    run: ([x]) => (run as typeof sum)(x!, axes, { keepDims }),
    reference: ([x]) =>
      Float64Array.from(groupsOf(shape, chosen), (group) =>
        wrapped(
          op.startsWith("arg") ? "u32" : dtype,
          of(
            group.map((at) => x![at]!),
            dtype,
          ),
        ),
      ),
    tolerance: 0,
  };
}

const functions: Record<string, { run(x: Tensor, dtype: Whole): Tensor; value(x: number): number }> = {
  abs: { run: abs, value: Math.abs },
  neg: { run: neg, value: (x) => -x },
  sign: { run: sign, value: Math.sign },
  square: { run: square, value: (x) => Math.imul(x, x) },
  // Beyond what f32 can tell apart.
  clamp: {
    run: (x) => clamp(x, 2 ** 24 + 1, 2 ** 30 + 1),
    value: (x) => Math.min(Math.max(x, 2 ** 24 + 1), 2 ** 30 + 1),
  },
  "clamp above": {
    run: (x, dtype) => clamp(x, dtype === "u32" ? 2 ** 31 + 1 : -(2 ** 31) + 1),
    value: (x) => x,
  },
  "clamp below": { run: (x) => clamp(x, undefined, 7), value: (x) => Math.min(x, 7) },
};

function functionCase(op: string, shape: number[], dtype: Whole, draw = everyWhole): OpCase {
  const { run, value } = functions[op]!;
  const least = dtype === "u32" ? 2 ** 31 + 1 : -(2 ** 31) + 1;
  return {
    name: `${op} ${shape.join("x") || "scalar"} ${dtype}${draw === everyWhole ? "" : " of the ends"}`,
    inputs: [{ name: "x", shape, dtype, draw: draw(dtype) }],
    run: ([x]) => run(x!, dtype),
    reference: ([x]) =>
      x!.map((at) => wrapped(dtype, op === "clamp above" ? Math.max(at, least) : value(at))),
    tolerance: 0,
  };
}

function cumsumCase(
  shape: number[],
  axis: number,
  dtype: Whole,
  options: { exclusive?: boolean; reverse?: boolean } = {},
): OpCase {
  const { exclusive = false, reverse = false } = options;
  return {
    name: `cumsum ${shape.join("x")} axis ${axis}${exclusive ? " exclusive" : ""}${reverse ? " reverse" : ""} ${dtype}`,
    inputs: [{ name: "x", shape, dtype, draw: everyWhole(dtype) }],
    run: ([x]) => cumsum(x!, axis, options),
    reference: ([x]) => {
      const y = new Float64Array(x!.length);
      for (const group of groupsOf(shape, [frontOf(shape, axis)])) {
        let sum = 0;
        for (const at of reverse ? group.reverse() : group) {
          const next = wrapped(dtype, sum + x![at]!);
          y[at] = exclusive ? sum : next;
          sum = next;
        }
      }
      return y;
    },
    tolerance: 0,
  };
}

/** Sums into places; with `along` an id for each update. */
function scatterCase(shape: number[], axis: number, ids: number[], dtype: Whole, along = false): OpCase {
  const at = frontOf(shape, axis);
  const inner = sizeOf(shape.slice(at + 1));
  const extent = shape[at]!;
  const entries = along ? ids[at]! : sizeOf(ids);
  const updates = along ? ids : [...shape.slice(0, at), ...ids, ...shape.slice(at + 1)];
  const input = (name: string, shape: number[]): Input => ({ name, shape, dtype, draw: everyWhole(dtype) });
  return {
    name: `${along ? "addAlongAxis" : "scatterAdd"} ${shape.join("x")} axis ${axis} ids ${ids.join("x")} ${dtype}`,
    // One more than there is, which is passed over.
    inputs: [
      input("x", shape),
      { name: "ids", shape: ids, dtype: "u32", draw: { below: extent + 1 } },
      input("updates", updates),
    ],
    run: ([x, ids, more]) => (along ? addAlongAxis : scatterAdd)(x!, ids!, more!, axis),
    reference: ([x, ids, more]) => {
      const y = Float64Array.from(x!);
      more!.forEach((value, i) => {
        const [j, o] = [Math.floor(i / inner) % entries, Math.floor(i / inner / entries)];
        const id = ids![along ? i : j]!;
        const place = (o * extent + id) * inner + (i % inner);
        if (id < extent) y[place] = wrapped(dtype, y[place]! + value);
      });
      return y;
    },
    tolerance: 0,
  };
}

export const integerCases: OpCase[] = both.flatMap((dtype) => [
  ...(Object.keys(reductions) as Reduction[]).flatMap((op) => [
    reduceCase(op, [1], dtype),
    reduceCase(op, [7, 5], dtype),
    reduceCase(op, [5, 6, 7], dtype, { axes: 0 }),
    reduceCase(op, [5, 70, 8], dtype, { axes: -2, keepDims: true }),
    reduceCase(op, [9, 577], dtype, { axes: -1 }),
    reduceCase(op, [6, 33], dtype, { axes: 1, draw: fewWhole }),
    reduceCase(op, [30, 12], dtype, { axes: 0, draw: ends }),
    reduceCase(op, [12, 32], dtype, { axes: 1, draw: ends }),
    reduceCase(op, [3, 9004], dtype, { axes: 1 }),
    // More workgroups than a grid has beside each other.
    ...(op === "prod" ? [] : [reduceCase(op, [33_000, 3], dtype, { axes: 1 })]),
    ...(op.startsWith("arg")
      ? [reduceCase(op, [0, 3], dtype, { axes: 1 })]
      : [
          reduceCase(op, [], dtype),
          reduceCase(op, [3, 4, 5, 2], dtype, { axes: [0, -2] }),
          reduceCase(op, [2, 0, 3], dtype, { axes: 1 }),
          reduceCase(op, [2, 0], dtype),
        ]),
  ]),
  // In two stages down columns.
  ...(["sum", "max", "argmin"] as const).map((op) => reduceCase(op, [3, 2000, 5], dtype, { axes: 1 })),
  ...Object.keys(functions).flatMap((op) => [
    functionCase(op, [7, 13], dtype),
    functionCase(op, [6, 4], dtype, ends),
    functionCase(op, [], dtype),
    functionCase(op, [3, 0], dtype),
  ]),
  cumsumCase([9], 0, dtype),
  cumsumCase([5, 333], -1, dtype, { exclusive: true }),
  cumsumCase([70, 8], 0, dtype, { reverse: true }),
  cumsumCase([3, 70, 5], -2, dtype, { exclusive: true, reverse: true }),
  cumsumCase([2, 2100], 1, dtype),
  cumsumCase([3, 0, 2], 1, dtype),
  cumsumCase([1], 0, dtype),
  scatterCase([7, 5], 0, [19], dtype),
  scatterCase([3, 7, 8], 1, [2, 6], dtype),
  scatterCase([3, 70], -1, [40], dtype),
  scatterCase([3, 7, 5], -2, [0], dtype),
  scatterCase([1], 0, [1], dtype),
  scatterCase([7, 5, 3], 1, [7, 9, 3], dtype, true),
  scatterCase([9, 6], -1, [9, 13], dtype, true),
  scatterCase([11], 0, [40], dtype, true),
  scatterCase([6, 4], 0, [0, 4], dtype, true),
]);
