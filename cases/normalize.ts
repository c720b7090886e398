// Cases of normalize.
import type { DType } from "../engine/index.ts";
import { normalize } from "../kernels/normalize/normalize.ts";
import type { OpCase } from "./case.ts";

export function normalizeCase(shape: number[], dtype: DType = "f32", eps = 1e-12, wide = false): OpCase {
  const length = shape.at(-1)!;
  /** Calls `use` with every row's range, its norm and the divisor. */
  const eachRow = (x: Float64Array, use: (start: number, norm: number, divisor: number) => void) => {
    for (let start = 0; start < x.length; start += length) {
      const norm = Math.hypot(...x.subarray(start, start + length));
      use(start, norm, Math.max(norm, eps));
    }
  };
  return {
    name: `normalize ${shape.join("x")}${eps > 1e-9 ? ` eps ${eps}` : ""} ${dtype}${wide ? " to f32" : ""}`,
    inputs: [{ name: "x", shape, dtype }],
    run: ([x]) => normalize(x!, eps, wide ? "f32" : dtype),
    reference: ([x]) => {
      const y = new Float64Array(x!.length);
      eachRow(x!, (start, _, divisor) => {
        for (let i = start; i < start + length; i++) y[i] = x![i]! / divisor;
      });
      return y;
    },
    gradients: ([x], dy) => {
      const dx = new Float64Array(x!.length);
      eachRow(x!, (start, norm, divisor) => {
        let product = 0;
        for (let i = start; i < start + length; i++) product += x![i]! * dy[i]!;
        const along = norm > eps ? product / (norm * norm) : 0;
        for (let i = start; i < start + length; i++) dx[i] = (dy[i]! - x![i]! * along) / divisor;
      });
      return [dx];
    },
  };
}

export const normalizeCases: OpCase[] = [
  normalizeCase([1, 4]),
  normalizeCase([5, 7]),
  normalizeCase([2, 3, 64]),
  normalizeCase([64, 256]),
  normalizeCase([3, 1025]),
  // Some rows are shorter than eps, some longer.
  normalizeCase([24, 4], "f32", 2),
  normalizeCase([6, 20], "f16"),
  normalizeCase([6, 9], "f16"),
  normalizeCase([6, 20], "f16", 1e-12, true),
  normalizeCase([7, 9], "f16", 1e-12, true),
];
