// Operations that give the same elements another shape or order, or several times. A reshape shares its tensor's memory;
// everything else copies.
import { type Shape, sizeOf, type Tensor, TensorError } from "../../engine/index.ts";
import { broadcastShape, contiguousStrides, copyStrided, expanded } from "../elementwise/strided.ts";
import { axesOf, axisOf } from "../lib/axes.ts";
import { sumTo } from "../reduce/reduce.ts";

/**
 * The same elements under another shape; one extent may be -1, which is then what is left. Shares the memory of `x`,
 * of any dtype. Throws TensorError where the sizes differ.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = sizeOf(shape.filter((extent) => extent !== -1));
  const full = shape.map((extent) => (extent === -1 ? x.size / known : extent));
  if (sizeOf(full) !== x.size || !full.every((extent) => Number.isInteger(extent) && extent >= 0))
    throw new TensorError(`reshape: [${x.shape}] can't become [${shape}].`);
  const { engine } = x;
  return engine.record("reshape", engine.view(x, full), [x], (dy) => [engine.view(dy, x.shape)]);
}

/**
 * Axis `d` of the result is axis `axes[d]` of `x`, as in PyTorch, from the end where it is negative; of any dtype. Throws
 * TensorError unless `axes` names each axis once, and where more than eight are left after merging.
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  const order = axesOf("permute", x, axes);
  if (order.length !== x.shape.length)
    throw new TensorError(`permute: [${axes}] does not name the axes of [${x.shape}].`);
  const inverse = x.shape.map((_, d) => order.indexOf(d));
  return x.engine.record("permute", permuted(x, order), [x], (dy) => [permuted(dy, inverse)]);
}

/** `permute` of `x` seen as `of`, the result in a tensor of shape `as`, its own unless told; not recorded. */
export function permuted(x: Tensor, axes: readonly number[], of: Shape = x.shape, as?: Shape): Tensor {
  const strides = contiguousStrides(of);
  const shape = axes.map((axis) => of[axis]!);
  return copyStrided(x, shape, { strides: axes.map((axis) => strides[axis]!) }, as ?? shape);
}

/** [m, n] to [n, m], of any dtype. Throws TensorError for another rank. */
export function transpose2d(x: Tensor): Tensor {
  return permute(x, [1, 0]);
}

/**
 * `x` repeated as broadcasting does, in a tensor of `shape`, of any dtype: extents of 1 become those of `shape`, and axes come
 * in front. Throws TensorError where it does not broadcast to that.
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (`${broadcastShape("expand", x.shape, shape)}` !== `${shape}`)
    throw new TensorError(`expand: [${x.shape}] can't become [${shape}].`);
  return x.engine.record("expand", expanded(x, shape), [x], (dy) => [sumTo(dy, x.shape)]);
}

/** Every entry along `axis` so many times in a row, as NumPy's repeat; of any dtype. Throws TensorError on a bad count or axis. */
export function repeat(x: Tensor, count: number, axis: number): Tensor {
  const at = axisOf("repeat", x, axis);
  const axes = x.shape.map((n, d) => (d === at ? [same(n), repetition("repeat", count)] : [same(n)]));
  return repeated("repeat", x, axes);
}

/**
 * The whole of `x` so many times along each axis, the last count for the last axis and one number for that alone, as NumPy's
 * tile; of any dtype. Throws TensorError for what is no number of times.
 */
export function tile(x: Tensor, times: number | readonly number[]): Tensor {
  const counts = [times].flat();
  const rank = Math.max(x.shape.length, counts.length);
  const axes = Array.from({ length: rank }, (_, d) => {
    const n = x.shape[d - rank + x.shape.length] ?? 1;
    const count = counts[d - rank + counts.length] ?? 1;
    return count === 1 ? [same(n)] : [repetition("tile", count), same(n)];
  });
  return repeated("tile", x, axes);
}

/** What an extent of an operand becomes. */
type Change = readonly [from: number, to: number];
const same = (n: number): Change => [n, n];

function repetition(name: string, count: number): Change {
  if (!Number.isInteger(count) || count < 0)
    throw new TensorError(`${name}: ${count} is no number of times.`);
  return [1, count];
}

/** `x` with each axis cut into several, which are repeated and joined again. */
function repeated(name: string, x: Tensor, axes: readonly (readonly Change[])[]): Tensor {
  const { engine } = x;
  const [from, to] = [0, 1].map((side) => axes.flat().map((change) => change[side]!)) as [number[], number[]];
  const whole = axes.map((parts) => sizeOf(parts.map(([, to]) => to)));
  const y = expanded(x, to, from, whole);
  return engine.record(name, y, [x], (dy) => [engine.view(sumTo(engine.view(dy, to), from), x.shape)]);
}
