// Cases of topk. The results compared are the indices, which must be exact also among ties, and the values.
import type { DType } from "../engine/index.ts";
import { topk } from "../kernels/topk/topk.ts";
import type { OpCase } from "./case.ts";

interface Spec {
  rows: number;
  n: number;
  k: number;
  /** Made on the host instead of drawn: each larger than all before, few different ones, zeros of both signs, or NaN in between. */
  scores?: "ascending" | "ties" | "zeros" | "holes";
  /** What is compared; the indices unless told. */
  compare?: "values" | "indices";
  dtype?: DType;
  bench?: boolean;
}

const made = {
  ascending: (i: number, n: number) => (i % n) - n / 2,
  ties: (i: number) => ((i * 40503) >>> 5) % 5,
  zeros: (i: number) => [0, -0, 1, -0, -1, 0][((i * 40503) >>> 5) % 6]!,
  holes: (i: number) => (i % 3 === 0 ? Number.NaN : -((i * 7919) % 64)),
};

export function topkCase(spec: Spec): OpCase {
  const { rows, n, k, scores, compare = "indices", dtype = "f32", bench } = spec;
  const own = scores && Float64Array.from({ length: rows * n }, (_, i) => made[scores](i, n));
  return {
    name: `topk ${scores ?? "drawn"} ${compare} ${rows}x${n} k ${k} ${dtype}`,
    inputs: [{ name: "scores", shape: [rows, n], dtype, grad: false }],
    run: ([drawn], engine) => topk(own ? engine.tensor(own, [rows, n], dtype) : drawn!, k)[compare],
    reference: ([drawn]) => {
      const all = own ?? drawn!;
      const result = new Float64Array(rows * k);
      for (let row = 0; row < rows; row++) {
        const part = all.subarray(row * n, (row + 1) * n);
        const best = order(part).subarray(0, k);
        result.set(compare === "indices" ? best : Float64Array.from(best, (i) => part[i]!), row * k);
      }
      return result;
    },
    tolerance: 0,
    bench: bench && {},
  };
}

/** Indices of scores, largest first, the lower index first among equals, NaN last. */
function order(scores: Float64Array): Uint32Array {
  const rank = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  return Uint32Array.from(scores, (_, i) => i).sort((a, b) => rank[b]! - rank[a]! || a - b);
}

export const topkCases: OpCase[] = [
  topkCase({ rows: 1, n: 1, k: 1 }),
  topkCase({ rows: 5, n: 7, k: 7 }),
  topkCase({ rows: 3, n: 1000, k: 10 }),
  topkCase({ rows: 3, n: 1000, k: 10, compare: "values" }),
  topkCase({ rows: 2, n: 2000, k: 128, scores: "ascending" }),
  topkCase({ rows: 2, n: 1500, k: 50, scores: "ties" }),
  topkCase({ rows: 3, n: 90, k: 70, scores: "zeros" }),
  topkCase({ rows: 4, n: 60, k: 60, scores: "holes" }),
  topkCase({ rows: 2, n: 50_001, k: 128 }),
  topkCase({ rows: 1, n: 40_000, k: 100, scores: "ties" }),
  topkCase({ rows: 1, n: 70_000, k: 5, scores: "ascending" }),
  topkCase({ rows: 3, n: 300, k: 20, dtype: "f16" }),
  topkCase({ rows: 600, n: 33, k: 3 }),
  topkCase({ rows: 1, n: 1_000_000, k: 50, bench: true }),
  topkCase({ rows: 1000, n: 2000, k: 50, bench: true }),
];
