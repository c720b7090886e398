// Scopes give memory back without the garbage collector: tensors made inside a scope are disposed at its end, except
// those that it returns.
import { TensorError } from "../base/errors.ts";
import { Tensor } from "./tensor.ts";

export class Scopes {
  private readonly stack: Set<Tensor>[] = [];

  /** Notes a new tensor in the innermost scope. */
  add(tensor: Tensor): void {
    this.stack.at(-1)?.add(tensor);
  }

  /** Takes a tensor out of every scope: its owner disposes it. */
  keep(tensor: Tensor): void {
    for (const scope of this.stack) scope.delete(tensor);
  }

  /** Runs `work`, then disposes what it made; tensors found in the result pass to the enclosing scope. */
  run<T>(work: () => T): T {
    const mine = new Set<Tensor>();
    this.stack.push(mine);
    let returned: Tensor[] = [];
    try {
      const result = work();
      returned = tensorsIn(result);
      return result;
    } finally {
      this.stack.pop();
      for (const tensor of returned) if (mine.delete(tensor)) this.add(tensor);
      for (const tensor of mine) tensor.dispose();
    }
  }
}

/** Whether a value is a list or a plain object: what trees of tensors are made of. */
function isBranch(value: unknown): value is object {
  if (value === null || typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

/** The tensors in a value: itself, those in a tree of lists and plain objects, and those that another object has at hand. */
export function tensorsIn(value: unknown, above: readonly unknown[] = []): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (value === null || typeof value !== "object" || above.includes(value)) return [];
  const path = [...above, value];
  const isTree = above.every(isBranch);
  return Object.values(value).flatMap((item) => {
    if (item instanceof Tensor) return [item];
    return isTree && isBranch(value) && isBranch(item) ? tensorsIn(item, path) : [];
  });
}

/** A tree of tensors with others in their places; what is no tensor stays. Throws TensorError for one that holds itself. */
export function mapTensors<T>(
  tree: T,
  change: (tensor: Tensor) => Tensor,
  above: readonly unknown[] = [],
): T {
  if (tree instanceof Tensor) return change(tree) as T;
  if (!isBranch(tree)) return tree;
  if (above.includes(tree)) throw new TensorError("A tree of tensors holds itself.");
  const path = [...above, tree];
  if (Array.isArray(tree)) return tree.map((item) => mapTensors(item, change, path)) as T;
  const entries = Object.entries(tree).map(([key, item]) => [key, mapTensors(item, change, path)]);
  return Object.fromEntries(entries) as T;
}

/** Throws TensorError where a function that must not be async was. */
export function refusePromise(name: string, value: unknown): void {
  if (!(value instanceof Promise)) return;
  // Its own failure, such as a read that was refused, is part of this one.
  value.catch(() => {});
  throw new TensorError(`${name}: the function must not be async.`);
}
