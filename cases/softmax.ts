// Cases of softmax and log-softmax: rows that start anywhere within a vec4, shorter and longer than a subgroup.
import type { DType } from "../engine/index.ts";
import { logSoftmax, softmax } from "../kernels/softmax/softmax.ts";
import type { OpCase } from "./case.ts";
import { groupsOf } from "./reduce.ts";

function softmaxRows(x: Float64Array, length: number, log: boolean): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += length) {
    const row = x.subarray(start, start + length);
    const largest = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
    row.forEach((value, i) => {
      const logarithm = value - largest - Math.log(sum);
      y[start + i] = log ? logarithm : Math.exp(logarithm);
    });
  }
  return y;
}

export function softmaxCase(shape: number[], log = false, dtype: DType = "f32", bench = false): OpCase {
  const length = shape.at(-1)!;
  return {
    name: `${log ? "logSoftmax" : "softmax"} ${shape.join("x")} ${dtype}`,
    inputs: [{ name: "x", shape, dtype }],
    run: ([x]) => (log ? logSoftmax(x!) : softmax(x!)),
    reference: ([x]) => softmaxRows(x!, length, log),
    gradients: ([x], dy) => {
      const s = softmaxRows(x!, length, false);
      const dx = new Float64Array(s.length);
      for (let start = 0; start < s.length; start += length) {
        let sum = 0;
        for (let i = start; i < start + length; i++) sum += dy[i]! * (log ? 1 : s[i]!);
        for (let i = start; i < start + length; i++)
          dx[i] = log ? dy[i]! - s[i]! * sum : s[i]! * (dy[i]! - sum);
      }
      return [dx];
    },
    bench: bench && { peer: { op: "softmax" } },
  };
}

/** Along another axis than the last. */
export function softmaxAxisCase(shape: number[], axis: number, log: boolean, dtype: DType = "f32"): OpCase {
  const groups = groupsOf(shape, [axis < 0 ? axis + shape.length : axis]);
  const length = shape.at(axis)!;
  /** Each group in a row, and back. */
  const gathered = (x: Float64Array) => Float64Array.from(groups.flat(), (at) => x[at]!);
  const scattered = (rows: Float64Array) => {
    const x = new Float64Array(rows.length);
    groups.flat().forEach((at, i) => {
      x[at] = rows[i]!;
    });
    return x;
  };
  const opCase = softmaxCase([groups.length, length], log, dtype);
  return {
    ...opCase,
    name: `${opCase.name.split(" ")[0]} ${shape.join("x")} axis ${axis} ${dtype}`,
    inputs: [{ name: "x", shape, dtype }],
    run: ([x]) => (log ? logSoftmax(x!, axis) : softmax(x!, axis)),
    reference: ([x]) => scattered(softmaxRows(gathered(x!), length, log)),
    gradients: ([x], dy) => [scattered(opCase.gradients!([gathered(x!)], gathered(dy))[0]!)],
  };
}

/** Scores of -infinity, as masks make them, also at the start of a row; and large scores, far from those of the next row. */
const maskedCase: OpCase = {
  name: "softmax masked 3x41 f32",
  inputs: [{ name: "x", shape: [3, 41], grad: false }],
  run: ([x], engine) => {
    const large = engine.tensor(maskedScores(), x!.shape);
    return softmax(large);
  },
  reference: () => softmaxRows(maskedScores(), 41, false),
};

function maskedScores(): Float64Array {
  return Float64Array.from({ length: 3 * 41 }, (_, i) =>
    i % 41 < 35 ? Number.NEGATIVE_INFINITY : (1 - Math.floor(i / 41)) * 3e4 + (i % 41),
  );
}

/** The same down columns. */
const maskedColumnsCase: OpCase = {
  name: "softmax masked 41x3 axis 0 f32",
  inputs: [{ name: "x", shape: [41, 3], grad: false }],
  run: ([x], engine) => softmax(engine.tensor(turned(maskedScores(), 41), x!.shape), 0),
  reference: () => turned(softmaxRows(maskedScores(), 41, false), 41),
};

/** Rows of so many as columns. */
const turned = (rows: Float64Array, length: number) =>
  rows.map((_, i) => rows[(i % (rows.length / length)) * length + Math.floor((i * length) / rows.length)]!);

/** Scores far from zero beside their differences, which are what counts. */
const farCase: OpCase = {
  name: "logSoftmax far from zero 5x39 f32",
  inputs: [{ name: "x", shape: [5, 39], grad: false }],
  run: ([x], engine) => logSoftmax(engine.tensor(farScores(), x!.shape)),
  reference: () => softmaxRows(farScores(), 39, true),
};

function farScores(): Float64Array {
  return Float64Array.from({ length: 5 * 39 }, (_, i) => 1e4 + (i % 39) / 4);
}

export const softmaxCases: OpCase[] = [
  ...[false, true].flatMap((log) => [
    softmaxCase([1, 1], log),
    softmaxCase([0, 3], log),
    softmaxCase([3, 0], log),
    softmaxAxisCase([4, 5, 6], 1, log),
    softmaxAxisCase([7, 3], 0, log, "f16"),
    softmaxAxisCase([2, 70, 40], -2, log),
    softmaxAxisCase([3, 19, 12], 1, log, "f16"),
    softmaxAxisCase([9, 1], 0, log),
    softmaxAxisCase([2, 0, 4], 1, log),
    // So few and long columns that they are turned to rows.
    softmaxAxisCase([4100, 3], 0, log),
    softmaxCase([5, 3], log),
    softmaxCase([2, 3, 8], log),
    softmaxCase([9, 37], log),
    softmaxCase([7, 577], log),
    softmaxCase([1, 2050], log),
    softmaxCase([33, 64], log),
    softmaxCase([6, 11], log, "f16"),
    softmaxCase([3, 40], log, "f16"),
  ]),
  // More rows than a grid has workgroups in x.
  softmaxCase([40_000, 3], false),
  maskedCase,
  maskedColumnsCase,
  farCase,
  softmaxCase([6924, 577], false, "f32", true),
];
