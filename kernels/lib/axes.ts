// A tensor as operations along one axis see it, [outer, extent, inner], and axes as people name them: from the end where
// they are negative.
import { type Shape, sizeOf, type Tensor, TensorError } from "../../engine/index.ts";

/** A tensor seen as [outer, extent, inner]. */
export interface Block {
  outer: number;
  extent: number;
  inner: number;
}

/** `axis` counted from the front. Throws TensorError where `x` has it not. */
export function axisOf(name: string, x: Tensor, axis: number): number {
  const rank = x.shape.length;
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw new TensorError(`${name}: [${x.shape}] has no axis ${axis}.`);
  return at;
}

/** Axes as an operation takes them: one, several, or all. */
export type Axes = number | readonly number[] | undefined;

/** `axes` counted from the front, all of them unless told. Throws TensorError where `x` has one not, or one comes up twice. */
export function axesOf(name: string, x: Tensor, axes: Axes): number[] {
  if (axes === undefined) return x.shape.map((_, d) => d);
  const counted = [axes].flat().map((axis) => axisOf(name, x, axis));
  const twice = counted.find((axis, i) => counted.indexOf(axis) !== i);
  if (twice !== undefined)
    throw new TensorError(`${name}: axis ${twice} of [${x.shape}] is there twice in [${axes}].`);
  return counted;
}

/** A shape with the axes from `from` to before `to` in the middle. */
export function blockOf(shape: Shape, from: number, to = from + 1): Block {
  return {
    outer: sizeOf(shape.slice(0, from)),
    extent: sizeOf(shape.slice(from, to)),
    inner: sizeOf(shape.slice(to)),
  };
}

/** `shape` with another extent at `axis`. */
export const withExtent = (shape: Shape, axis: number, extent: number): number[] =>
  shape.map((n, d) => (d === axis ? extent : n));
