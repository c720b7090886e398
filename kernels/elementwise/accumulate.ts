// Adding into an existing tensor, outside of the graph: how gradients add up, in f32 also where they come in f16.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import { blocks, items, requireFloat, type Stored, vectors } from "../lib/items.ts";
import { alsoReads, perElement } from "../lib/work.ts";
import source from "./accumulate.wgsl?raw";

const make = (name: string, goal: Stored) =>
  defineKernel({
    name,
    source,
    includes: [items(4, "Scalar", goal)],
    bindings: ["value: In", "+goal: Out"],
    params: { size: "u32" },
    flops: perElement("value", 1),
    bytes: alsoReads("goal"),
  });
const accumulate = make("accumulate", "Scalar");
const accumulateHalves = make("accumulate-f16-to-f32", "f32");

export const accumulateKernels = [accumulate, accumulateHalves];

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
  target.engine.run(halves ? accumulateHalves : accumulate, {
    bind: [value, target],
    params: { size: target.size },
    grid: blocks(vectors(target)),
    dtype: value.dtype,
  });
}
