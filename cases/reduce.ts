// Cases of sums, means and maxima: over everything, over each axis, and long enough for two stages and for three.
import type { DType, Tensor } from "../engine/index.ts";
import { max, mean, sum, sumLeading } from "../kernels/reduce/reduce.ts";
import type { OpCase } from "./case.ts";
import { sumRows } from "./reference.ts";

type Op = "sum" | "mean" | "max";

export function reduceCase(
  op: Op,
  shape: number[],
  axis?: number,
  dtype: DType = "f32",
  bench = false,
): OpCase {
  const at = axis === undefined ? 0 : axis < 0 ? axis + shape.length : axis;
  const size = shape.reduce((a, b) => a * b, 1);
  const extent = axis === undefined ? size : shape[at]!;
  const inner = axis === undefined ? 1 : shape.slice(at + 1).reduce((a, b) => a * b, 1);
  const results = axis === undefined ? 1 : inner * shape.slice(0, at).reduce((a, b) => a * b, 1);
  /** The indices that reduce to result `index`. */
  const sources = (index: number) => {
    const base = Math.floor(index / inner) * extent * inner + (index % inner);
    return Array.from({ length: extent }, (_, r) => base + r * inner);
  };
  const winner = (x: Float64Array, index: number) =>
    sources(index).reduce((best, at) => (x[at]! > x[best]! ? at : best));
  const run = (x: Tensor) => (op === "max" ? max(x, axis!) : op === "sum" ? sum(x, axis) : mean(x, axis));
  const factor = op === "mean" ? 1 / extent : 1;
  return {
    name: `${op} ${shape.join("x")}${axis === undefined ? "" : ` axis ${axis}`} ${dtype}`,
    inputs: [{ name: "x", shape, dtype, draw: size > 1e5 ? "probability" : "normal" }],
    run: ([x]) => run(x!),
    reference: ([x]) =>
      Float64Array.from({ length: results }, (_, index) =>
        op === "max"
          ? x![winner(x!, index)]!
          : factor * sources(index).reduce((total, at) => total + x![at]!, 0),
      ),
    gradients: ([x], dy) => {
      const dx = new Float64Array(size);
      dy.forEach((incoming, index) => {
        if (op === "max") dx[winner(x!, index)] = incoming;
        else for (const at of sources(index)) dx[at] = factor * incoming;
      });
      return [dx];
    },
    // The mean of nothing is no number.
    ...(op === "mean" && extent === 0 && { differences: false }),
    bench: bench && (op === "sum" && axis === undefined ? { torch: { op } } : {}),
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

/** Few different values, so that most maxima are there several times. */
function tiedMaxCase(shape: number[], axis: number): OpCase {
  const opCase = reduceCase("max", shape, axis);
  return {
    ...opCase,
    name: `${opCase.name} ties`,
    inputs: [{ name: "x", shape, draw: { below: 3 } }],
    differences: false,
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
  tiedMaxCase([5, 6, 7], 0),
  tiedMaxCase([20, 9, 8], 1),
  tiedMaxCase([6, 33], -1),
  // Rows beside each other whose first elements are the largest.
  tiedMaxCase([40, 5], -1),
  constantCase([250_000, 3]),
  sumLeadingCase(1, 8),
  sumLeadingCase(65, 7),
  sumLeadingCase(4096, 12),
  sumLeadingCase(100, 1),
  sumLeadingCase(300, 20, "f16"),
  sumLeadingCase(4616, 768, "f32", true),
  reduceCase("sum", [1000, 1000], undefined, "f32", true),
];
