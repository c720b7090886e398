// Between f32 and f16: where a network computes in f16, its weights' masters, its embeddings and its loss do not.
import { type DType, type Tensor, TensorError } from "../../engine/index.ts";
import { requireFloat } from "../lib/items.ts";
import { defineMap, runMap } from "./map.ts";

const copy = { operands: ["x"], value: "x", flops: 0, partial: true };
const narrow = defineMap({ name: "cast-f16", ...copy, from: "vec4f" });
const widen = defineMap({ name: "cast-f32", ...copy, to: "vec4f" });

export const castKernels = [narrow, widen];

/**
 * Overwrites `to` with `from` in its dtype, not recorded. One is f32, the other f16, of the same size. Beyond 65504 an
 * f16 is infinite, below 6e-8 zero. Throws TensorError where they don't fit.
 */
export function castInto(from: Tensor, to: Tensor): void {
  requireFloat("cast", from);
  requireFloat("cast", to);
  if (from.dtype === to.dtype || from.size !== to.size)
    throw new TensorError(`cast: ${from} does not fit ${to}.`);
  runMap(to.dtype === "f16" ? narrow : widen, [from], to, {}, "f16");
}

/** `x` as f32 or f16; `x` itself where it is that already. Throws TensorError on other dtypes. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const convert = (from: Tensor, to: DType) => {
    const y = from.engine.empty(from.shape, to);
    castInto(from, y);
    return y;
  };
  return x.engine.record("cast", convert(x, dtype), [x], (dy) => [convert(dy, x.dtype)]);
}
