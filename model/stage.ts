// A stage is a part of a network whose intermediate results nobody needs afterwards: without gradients its memory goes
// back at its end, with gradients the backward pass still needs it.
import type { Engine, Tensor } from "../engine/index.ts";

/** Runs one stage and returns its result. */
export function stage(engine: Engine, work: () => Tensor): Tensor {
  return engine.gradients ? work() : engine.scope(work);
}
