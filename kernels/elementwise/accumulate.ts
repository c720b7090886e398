// Adding into an existing tensor, outside of the graph: how gradients add up.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import { blocks, requireFloat, vectors } from "../lib/items.ts";
import { alsoReads, perElement } from "../lib/work.ts";
import source from "./accumulate.wgsl?raw";

const accumulate = defineKernel({
  name: "accumulate",
  source,
  bindings: ["value", "+goal"],
  params: { size: "u32" },
  flops: perElement("value", 1),
  bytes: alsoReads("goal"),
});

export const accumulateKernels = [accumulate];

/**
 * target += value in place, not recorded. Same size and dtype (f32 or f16); the two must not share a buffer.
 * Throws TensorError where they don't fit.
 */
export function accumulateInto(target: Tensor, value: Tensor): void {
  requireFloat("accumulateInto", target, value);
  if (target.size !== value.size) throw new TensorError(`accumulateInto: ${value} does not fit ${target}.`);
  if (target.storage === value.storage)
    throw new TensorError("accumulateInto: target and value share a buffer.");
  target.engine.run(accumulate, {
    bind: [value, target],
    params: { size: target.size },
    grid: blocks(vectors(target)),
    dtype: target.dtype,
  });
}
