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

/** The tensors in a value: itself, or one level of array or plain object. */
export function tensorsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (value === null || typeof value !== "object") return [];
  return Object.values(value).flatMap((item) => (item instanceof Tensor ? [item] : []));
}

/** Throws TensorError where a function that must not be async was. */
export function refusePromise(name: string, value: unknown): void {
  if (!(value instanceof Promise)) return;
  // Its own failure, such as a read that was refused, is part of this one.
  value.catch(() => {});
  throw new TensorError(`${name}: the function must not be async.`);
}
