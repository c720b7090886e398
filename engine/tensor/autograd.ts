// Reverse-mode differentiation over the graph that tensors carry. The contract of a backward rule:
//   - it gets the gradient of the loss with respect to the node's output, never null, of the output's shape;
//   - it returns one gradient per input, of that input's shape, or null where `needs[i]` is false or no gradient
//     exists; it must multiply by the incoming gradient (a rule that forgets it passes only at the end of a graph);
//   - a gradient is of its input's dtype, but may be f32 where `gradientDType` says so, which saves the leaf a cast;
//   - it returns a fresh tensor or the incoming one, and writes to neither the incoming gradient nor the inputs;
//   - it may ask `earlier` for what an input has from other nodes, and return the sum, which saves a pass over memory.
// Nodes run in reverse order of creation, which is a topological order because inputs exist before outputs. A leaf gets
// its gradient as soon as the last node that uses it has run, so that few gradients wait at a time.
import type { DType } from "../base/dtype.ts";
import { TensorError } from "../base/errors.ts";
import type { Tensor } from "./tensor.ts";

/** What `backward` needs from the kernels, which this folder does not know. */
export interface Accumulator {
  /** A new tensor, a + b; one of the two may be f32 where the other is f16, and the sum then is. */
  add(a: Tensor, b: Tensor): Tensor;
  /** Called for each leaf with its whole gradient of this pass. */
  leaf(parameter: Tensor, grad: Tensor): void;
}

/** Whether a gradient has to reach this tensor. */
export function tracked(tensor: Tensor): boolean {
  return tensor.engine.gradients && (tensor.requiresGrad || tensor.node !== null);
}

/**
 * What the gradients of leaves of one dtype are best made in: f32 where all of them keep theirs so, as parameters in mixed
 * precision do, else their own dtype.
 */
export function gradientDType(first: Tensor, ...others: readonly Tensor[]): DType {
  const wide = [first, ...others].every(
    ({ requiresGrad, node, grad }) => requiresGrad && !node && grad?.dtype === "f32" && !grad.disposed,
  );
  return wide ? "f32" : first.dtype;
}

/** Propagates `grad`, of the shape of `output`, to all leaves that require gradients. */
export function propagate(output: Tensor, grad: Tensor, accumulator: Accumulator): void {
  // What only moves or adds integers is recorded too; there is no gradient to it.
  if (!tracked(output) || output.dtype[0] !== "f")
    throw new TensorError("backward: nothing that this tensor depends on requires a gradient.");
  walk(output, new Set(), new Map([[output, grad]]), accumulator);
}

/**
 * Propagates the gradient that `grads` has of `output`. Of the tensors in `ends`, whose graph belongs to others,
 * gradients stay in `grads`.
 */
function walk(
  output: Tensor,
  ends: ReadonlySet<Tensor>,
  grads: Map<Tensor, Tensor>,
  accumulator: Accumulator,
): void {
  for (const tensor of reverseOrder(output, ends)) {
    const incoming = grads.get(tensor);
    if (!incoming) continue;
    grads.delete(tensor);
    if (tensor.requiresGrad) accumulator.leaf(tensor, incoming);
    const node = tensor.node;
    if (!node) continue;
    const { inputs } = node;
    if (typeof node.backward !== "function") {
      node.backward.again((repeated) => {
        grads.set(repeated, incoming);
        walk(repeated, new Set(inputs), grads, accumulator);
        return inputs.flatMap((input) => grads.get(input) ?? []);
      });
      continue;
    }
    const needs = inputs.map(tracked);
    const added = new Set<number>();
    const results = node.backward(incoming, needs, (i) => {
      const earlier = grads.get(inputs[i]!);
      // An input that a node uses twice has two results, which are added as usual, as is what another rule made in f32.
      if (
        earlier?.dtype !== inputs[i]!.dtype ||
        inputs.indexOf(inputs[i]!) !== inputs.lastIndexOf(inputs[i]!)
      )
        return null;
      added.add(i);
      return earlier;
    });
    inputs.forEach((input, i) => {
      const result = results[i];
      if (!needs[i] || !result) return;
      if (result.size !== input.size) {
        throw new TensorError(
          `${node.name}: gradient ${i} has shape [${result.shape}], its input [${input.shape}].`,
        );
      }
      const earlier = added.has(i) ? undefined : grads.get(input);
      grads.set(input, earlier ? accumulator.add(earlier, result) : result);
    });
  }
}

/**
 * All tensors from `output` to the leaves or `ends`, these left out: each after the last tensor that was made of it. Throws
 * TensorError, before anything is added to a leaf, where one that a gradient has to reach was disposed.
 */
function reverseOrder(output: Tensor, ends: ReadonlySet<Tensor>): Tensor[] {
  const order = new Map<Tensor, number>([[output, output.node?.id ?? 0]]);
  const waiting = [output];
  for (let tensor = waiting.pop(); tensor; tensor = waiting.pop()) {
    const { node } = tensor;
    node?.inputs.forEach((input, i) => {
      if (node.tracked[i] && input.disposed)
        throw new TensorError(`backward: input ${i} of ${node.name} was disposed.`);
      if (!tracked(input) || ends.has(input)) return;
      const known = order.get(input);
      if (known === undefined) waiting.push(input);
      // A leaf comes right behind the earliest node that uses it.
      order.set(input, input.node?.id ?? Math.min(known ?? Number.POSITIVE_INFINITY, node.id - 0.5));
    });
  }
  return [...order.keys()].sort((a, b) => order.get(b)! - order.get(a)!);
}

/** The tensors that a graph made since node `first` starts from: leaves, and what was made before. */
export function startsOf(output: Tensor, first: number): Tensor[] {
  const seen = new Set<Tensor>([output]);
  const starts: Tensor[] = [];
  const waiting = [output];
  for (let tensor = waiting.pop(); tensor; tensor = waiting.pop()) {
    for (const input of tensor.node?.inputs ?? []) {
      if (!tracked(input) || seen.has(input)) continue;
      seen.add(input);
      if (input.node && input.node.id >= first) waiting.push(input);
      else starts.push(input);
    }
  }
  return starts;
}
