// Runs of one op case on our engine, forward or both ways, without a trace of the run before.
import type { OpCase } from "../cases/case.ts";
import type { Engine, Tensor } from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";

export interface CaseRun {
  /** Records one run, which leaves the gradients of both ways where they are. */
  record(): void;
  /** Gives those gradients back. */
  clear(): void;
  /** Records one run and gives back what it made. */
  run(): void;
}

/** `grad`, the gradient of the result under any shape, makes it both ways: inputs of f32 and f16 then get gradients. */
export function caseRun(engine: Engine, opCase: OpCase, tensors: Tensor[], grad: Tensor | null): CaseRun {
  if (!grad) {
    const run = () => {
      engine.inference(() => {
        opCase.run(tensors, engine);
      });
    };
    return { record: run, clear() {}, run };
  }
  const learnt = tensors.filter((_, i) => opCase.inputs[i]!.grad !== false);
  for (const tensor of learnt) tensor.requiresGrad = true;
  const record = () =>
    engine.scope(() => {
      const result = opCase.run(tensors, engine);
      backward(result, { grad: engine.view(grad, result.shape) });
    });
  const clear = () => clearGrad(learnt);
  const run = () => {
    record();
    clear();
  };
  return { record, clear, run };
}
