// A stage is a part of a network whose intermediate results nobody needs afterwards: without gradients its memory goes
// back at its end, with gradients the backward pass still needs it, or makes it again.
import type { Backend, Tensor } from "../engine/index.ts";

/** Runs one stage and returns its result. With `checkpointing`, backward runs it once more instead of keeping it. */
export function stage(engine: Backend, work: () => Tensor, checkpointing = false): Tensor {
  if (checkpointing) return engine.checkpoint(work);
  return engine.gradients ? work() : engine.scope(work);
}

/** Sees intermediate results by name while they are there; `engine.keep` keeps one for longer. */
export type Observer = (name: string, x: Tensor) => void;
