// Updates of existing tensors, outside of the graph: adding into one, which is how gradients add up, in f32 also where
// they come in f16, and clamping.
import { type Tensor, TensorError } from "../../engine/index.ts";
import { requireFloat } from "../lib/items.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { defineMap, runMap } from "./map.ts";

const sum = { operands: ["x"], value: "result + x", flops: 1, partial: true };
const accumulate = defineMap({ name: "accumulate", ...sum });
const accumulateHalves = defineMap({ name: "accumulate-f16-to-f32", ...sum, to: "vec4f" });

const clamp = defineMap({
  name: "clamp-in-place",
  operands: [],
  // clamp() may make a bound of NaN.
  value: "select(clamp(result, vec4f(params.low), vec4f(params.high)), result, areNan(result))",
  params: { low: "f32", high: "f32" },
  includes: [nanSource],
  flops: 2,
  partial: true,
});

export const accumulateKernels = [accumulate, accumulateHalves, clamp];

/**
 * target += value in place, not recorded. Same size; both f32, both f16, or an f16 value into an f32 target. The two must
 * not share a buffer. Throws TensorError where they don't fit.
 */
export function accumulateInto(target: Tensor, value: Tensor): void {
  const halves = target.dtype === "f32" && value.dtype === "f16";
  if (!halves) requireFloat("accumulateInto", target, value);
  if (target.size !== value.size) throw new TensorError(`accumulateInto: ${value} does not fit ${target}.`);
  if (target.storage === value.storage)
    throw new TensorError("accumulateInto: target and value share a buffer.");
  runMap(halves ? accumulateHalves : accumulate, [value], target, {}, value.dtype);
}

/**
 * Limits the elements of `x` to [low, high] in place, but for NaN, outside of the graph: for parameters after an update.
 * f32 or f16. Throws TensorError for integers, and where `low` is above `high`.
 */
export function clampInPlace(x: Tensor, low: number, high: number): void {
  requireFloat("clampInPlace", x);
  if (!(low <= high)) throw new TensorError(`clampInPlace: [${low}, ${high}] is no interval.`);
  runMap(clamp, [], x, { low, high });
}
