// Reverse-mode differentiation over the graph that tensors carry. The contract of a backward rule:
//   - it gets the gradient of the loss with respect to the node's output, never null, of the output's shape;
//   - it returns one gradient per input, of that input's shape, or null where `needs[i]` is false or no gradient
//     exists; it must multiply by the incoming gradient (a rule that forgets it passes only at the end of a graph);
//   - it returns a fresh tensor or the incoming one, and writes to neither the incoming gradient nor the inputs.
// Nodes run in reverse order of creation, which is a topological order because inputs exist before outputs.
import { TensorError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

/** A recorded operation. */
export interface Node {
  id: number;
  name: string;
  inputs: readonly Tensor[];
  /** Which inputs a gradient had to reach when this was recorded; a disposed tensor no longer tells. */
  tracked: readonly boolean[];
  backward(grad: Tensor, needs: readonly boolean[]): readonly (Tensor | null)[];
}

/** What `backward` needs from the kernels, which this folder does not know. */
export interface Accumulator {
  /** A new tensor, a + b. */
  add(a: Tensor, b: Tensor): Tensor;
  /** Called for each leaf with its whole gradient of this pass. */
  leaf(parameter: Tensor, grad: Tensor): void;
}

/** Whether a gradient has to reach this tensor. */
export function tracked(tensor: Tensor): boolean {
  return tensor.engine.gradients && (tensor.requiresGrad || tensor.node !== null);
}

/** Propagates `grad`, of the shape of `output`, to all leaves that require gradients. */
export function propagate(output: Tensor, grad: Tensor, accumulator: Accumulator): void {
  if (!tracked(output))
    throw new TensorError("backward: nothing that this tensor depends on requires a gradient.");
  const grads = new Map<Tensor, Tensor>([[output, grad]]);
  for (const tensor of reverseOrder(output)) {
    const incoming = grads.get(tensor);
    if (!incoming) continue;
    grads.delete(tensor);
    if (tensor.requiresGrad) accumulator.leaf(tensor, incoming);
    const node = tensor.node;
    if (!node) continue;
    const lost = node.inputs.findIndex((input, i) => node.tracked[i] && input.disposed);
    if (lost >= 0) {
      throw new TensorError(
        `backward: input ${lost} of ${node.name} was disposed, and the graph behind it is gone.`,
      );
    }
    const needs = node.inputs.map(tracked);
    const results = node.backward(incoming, needs);
    node.inputs.forEach((input, i) => {
      const result = results[i];
      if (!needs[i] || !result) return;
      if (result.size !== input.size) {
        throw new TensorError(
          `${node.name}: gradient ${i} has shape [${result.shape}], its input [${input.shape}].`,
        );
      }
      const earlier = grads.get(input);
      grads.set(input, earlier ? accumulator.add(earlier, result) : result);
    });
  }
}

/** All tensors between the leaves and `output`, those made last first; leaves, which have no node, come at the end. */
function reverseOrder(output: Tensor): Tensor[] {
  const seen = new Set<Tensor>([output]);
  const waiting = [output];
  for (let tensor = waiting.pop(); tensor; tensor = waiting.pop()) {
    for (const input of tensor.node?.inputs ?? []) {
      if (!tracked(input) || seen.has(input)) continue;
      seen.add(input);
      waiting.push(input);
    }
  }
  return [...seen].sort((a, b) => (b.node?.id ?? 0) - (a.node?.id ?? 0));
}
