// Cases of the losses over similarities: contrastive cross-entropy and the Recall@K surrogate, with and without a
// mask, on both sides of a row longer than a workgroup.
import { contrastiveLoss, recallLoss } from "../train/objective/losses.ts";
import type { Input, OpCase } from "./case.ts";

interface LossSpec {
  rows: number;
  columns: number;
  masked: boolean;
}

function inputsOf({ rows, columns, masked }: LossSpec, temperature: boolean): Input[] {
  const inputs: Input[] = [{ name: "s", shape: [rows, columns] }];
  if (temperature) inputs.push({ name: "temperature", shape: [1], draw: "positive" });
  inputs.push({ name: "goal", shape: [rows], dtype: "u32", draw: { below: columns }, grad: false });
  if (masked)
    inputs.push({ name: "ignored", shape: [rows, columns], dtype: "u32", draw: { below: 2 }, grad: false });
  return inputs;
}

const label = ({ rows, columns, masked }: LossSpec) => `${rows}x${columns}${masked ? " masked" : ""} f32`;

/** log of the sum over counted columns of exp(s / t), per row. */
function logSums(
  s: Float64Array,
  t: number,
  mask: Float64Array | undefined,
  { rows, columns }: LossSpec,
): number[] {
  return Array.from({ length: rows }, (_, row) => {
    const logits = Array.from(s.subarray(row * columns, (row + 1) * columns), (value, j) =>
      mask?.[row * columns + j] ? Number.NEGATIVE_INFINITY : value / t,
    );
    const highest = Math.max(...logits);
    return highest + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - highest), 0));
  });
}

export function contrastiveCase(spec: LossSpec): OpCase {
  const { rows, columns } = spec;
  return {
    name: `contrastive ${label(spec)}`,
    inputs: inputsOf(spec, true),
    run: ([s, temperature, goal, ignored]) => contrastiveLoss(s!, temperature!, goal!, ignored ?? null),
    reference: ([s, t, goal, mask]) =>
      Float64Array.from(
        logSums(s!, t![0]!, mask, spec),
        (sum, row) => sum - s![row * columns + goal![row]!]! / t![0]!,
      ),
    gradients: ([s, t, goal, mask], dy) => {
      const temperature = t![0]!;
      const sums = logSums(s!, temperature, mask, spec);
      const ds = new Float64Array(rows * columns);
      let dt = 0;
      for (let at = 0; at < ds.length; at++) {
        const row = Math.floor(at / columns);
        const p = mask?.[at] ? 0 : Math.exp(s![at]! / temperature - sums[row]!);
        const hit = at % columns === goal![row] ? 1 : 0;
        ds[at] = (dy[row]! * (p - hit)) / temperature;
        dt -= (ds[at]! * s![at]!) / temperature;
      }
      return [ds, Float64Array.of(dt), null, null].slice(0, mask ? 4 : 3);
    },
  };
}

const steps = [1, 2, 4, 8, 16];
const sigmoid = (value: number) => 1 / (1 + Math.exp(-Math.max(-50, Math.min(50, value))));
const slope = (value: number) => (Math.abs(value) < 50 ? sigmoid(value) * (1 - sigmoid(value)) : 0);

export function recallCase(spec: LossSpec, rankTemperature: number): OpCase {
  const { rows, columns } = spec;
  const ranks = ([s, goal, mask]: Float64Array[]) =>
    Array.from({ length: rows }, (_, row) => {
      const own = s![row * columns + goal![row]!]!;
      let rank = 1;
      for (let j = 0; j < columns; j++) {
        const counted = j !== goal![row] && !mask?.[row * columns + j];
        if (counted) rank += sigmoid((s![row * columns + j]! - own) / rankTemperature);
      }
      return rank;
    });
  return {
    name: `recall surrogate ${rankTemperature} ${label(spec)}`,
    inputs: inputsOf(spec, false),
    run: ([s, goal, ignored]) => recallLoss(s!, goal!, ignored ?? null, { rankTemperature }),
    reference: (values) =>
      Float64Array.from(
        ranks(values),
        (rank) => 1 - steps.reduce((sum, k) => sum + sigmoid(k - rank) / steps.length, 0),
      ),
    gradients: (values, dy) => {
      const [s, goal, mask] = values;
      const ds = new Float64Array(rows * columns);
      for (const [row, rank] of ranks(values).entries()) {
        const dRank = steps.reduce((sum, k) => sum + slope(k - rank) / steps.length, 0);
        const positive = row * columns + goal![row]!;
        for (let at = row * columns; at < (row + 1) * columns; at++) {
          if (at === positive || mask?.[at]) continue;
          const value =
            (dy[row]! * dRank * slope((s![at]! - s![positive]!) / rankTemperature)) / rankTemperature;
          ds[at]! += value;
          ds[positive]! -= value;
        }
      }
      return [ds, null, null].slice(0, mask ? 3 : 2);
    },
  };
}

const sizes: LossSpec[] = [
  { rows: 1, columns: 5, masked: false },
  { rows: 7, columns: 13, masked: true },
  { rows: 33, columns: 64, masked: false },
  { rows: 5, columns: 301, masked: true },
];

/** The losses at small and odd sizes. */
export const contrastiveCases: OpCase[] = [
  ...sizes.map(contrastiveCase),
  ...sizes.map((spec) => recallCase(spec, 1)),
  recallCase(sizes[1]!, 0.25),
];
