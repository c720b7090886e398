// Parts of tensors and tensors of parts: slices as Python has them, and concatenations. What is a part is a selection by
// strides, which is read for a slice and written for its gradient.
import { bytesPerElement, type Shape, type Tensor, TensorError } from "../../engine/index.ts";
import { contiguousStrides, copyStrided, placeStrided, type Selection } from "../elementwise/strided.ts";
import { type Axes, axesOf, axisOf, withExtent } from "../lib/axes.ts";

/**
 * What a slice takes along an axis: all (null), one entry, whose axis then goes, or from the first to before the second by
 * steps of the third, as Python's start:stop:step. Negative places count from the end; a range ends where the tensor does.
 */
export type Range =
  | number
  | null
  | readonly [start?: number | null, stop?: number | null, step?: number | null];

/** A part of a tensor. */
export interface Part extends Selection {
  start: number;
  /** Of as many axes as the tensor has. */
  shape: number[];
}

/** From `start` on `size` entries of an axis, `step` apart. */
interface Extent {
  start: number;
  size: number;
  step: number;
}

/** The part of a tensor of `shape` that has these entries of each axis. */
export function partOf(shape: Shape, extents: readonly Extent[]): Part {
  const own = contiguousStrides(shape);
  return {
    start: extents.reduce((sum, { start }, d) => sum + start * own[d]!, 0),
    strides: extents.map(({ step }, d) => step * own[d]!),
    shape: extents.map(({ size }) => size),
  };
}

/** `size` entries along `axis` of a tensor of `shape`, from `start`. */
export function partAlong(shape: Shape, axis: number, start: number, size: number): Part {
  return partOf(
    shape,
    shape.map((n, d) => (d === axis ? { start, size, step: 1 } : { start: 0, size: n, step: 1 })),
  );
}

/** A part of `x` as a tensor of `shape`, its own unless told; not recorded. */
export function taken(x: Tensor, part: Part, shape: Shape = part.shape): Tensor {
  return copyStrided(x, part.shape, part, shape);
}

/** Zeros of `shape` but for a part, which is `x`; not recorded. */
export function amongZeros(x: Tensor, shape: Shape, part: Part): Tensor {
  const { engine } = x;
  const y = engine.zeros(shape, x.dtype);
  if (isPiece(x, part)) engine.copy(x, engine.slice(y, part.start, x.shape));
  else placeStrided([x, { strides: contiguousStrides(part.shape) }], [y, part], part.shape);
  return y;
}

/** Whether a part is one piece of memory that copies can reach: in whole words, from where a tensor may begin. */
function isPiece({ dtype, bytes }: Tensor, { start, strides, shape }: Part): boolean {
  const own = contiguousStrides(shape);
  const inOne = strides.every((stride, d) => stride === own[d] || shape[d] === 1);
  return inOne && bytes % 4 === 0 && (start * bytesPerElement[dtype]) % 256 === 0;
}

/** A part of `x` as an operation; `shape` is that of the result, which may leave axes of 1 out. */
function part(name: string, x: Tensor, of: Part, shape: Shape = of.shape): Tensor {
  return x.engine.record(name, taken(x, of, shape), [x], (dy) => [amongZeros(dy, x.shape, of)]);
}

/**
 * Entries of `x`, of any dtype, chosen along each axis; axes without a range are taken whole. `slice(x, [null, [0, 5]])` is
 * Python's x[:, 0:5], `slice(x, [-1])` its x[-1], `slice(x, [[null, null, -1]])` its x[::-1]. Throws TensorError on a place
 * that is not there, more ranges than axes, or a step of 0.
 */
export function slice(x: Tensor, ranges: readonly Range[]): Tensor {
  if (!Array.isArray(ranges)) throw new TensorError(`slice: ${ranges} is no list of ranges.`);
  if (ranges.length > x.shape.length)
    throw new TensorError(`slice: [${x.shape}] has no ${ranges.length} axes.`);
  const extents = x.shape.map((n, d) => extentOf(x, d, n, ranges[d] ?? null));
  const selected = partOf(x.shape, extents);
  return part(
    "slice",
    x,
    selected,
    selected.shape.filter((_, d) => typeof ranges[d] !== "number"),
  );
}

function extentOf(x: Tensor, axis: number, n: number, range: Range): Extent {
  const refuse = (why: string) => new TensorError(`slice: ${why} along axis ${axis} of [${x.shape}].`);
  const whole = (value: number) => {
    if (!Number.isInteger(value)) throw refuse(`${value} is no place`);
    return value;
  };
  if (range === null) return { start: 0, size: n, step: 1 };
  if (typeof range === "number") {
    const start = whole(range) < 0 ? range + n : range;
    if (start < 0 || start >= n) throw refuse(`there is no ${range}`);
    return { start, size: 1, step: 1 };
  }
  const [from, to, by] = range;
  const step = whole(by ?? 1);
  if (step === 0) throw refuse("a step of 0");
  // Where one can stand before the first entry that is taken, and behind the last.
  const [least, most] = step > 0 ? [0, n] : [-1, n - 1];
  const placeOf = (value: number) => Math.min(Math.max(whole(value) < 0 ? value + n : value, least), most);
  const start = from == null ? (step > 0 ? least : most) : placeOf(from);
  const stop = to == null ? (step > 0 ? most : least) : placeOf(to);
  return { start, size: Math.max(0, Math.ceil((stop - start) / step)), step };
}

/**
 * Cuts `x`, of any dtype, along `axis`, into so many equal parts or into parts of these extents. Throws TensorError where they
 * don't come out even.
 */
export function split(x: Tensor, parts: number | readonly number[], axis = 0): Tensor[] {
  const at = axisOf("split", x, axis);
  const extent = x.shape[at]!;
  const sizes =
    typeof parts === "number"
      ? new Array<number>(parts >= 1 ? Math.ceil(parts) : 0).fill(extent / parts)
      : parts;
  const whole = sizes.every((size) => Number.isInteger(size) && size >= 0);
  if (!whole || sizes.reduce((a, b) => a + b, 0) !== extent)
    throw new TensorError(`split: the extent ${extent} of [${x.shape}] does not divide into ${parts}.`);
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return part("split", x, partAlong(x.shape, at, start - size, size));
  });
}

/**
 * `x`, of any dtype, with the order of its entries turned round along these axes, all unless told. Throws TensorError on an
 * axis that is not there, or there twice.
 */
export function flip(x: Tensor, axes?: Axes): Tensor {
  const turned = axesOf("flip", x, axes);
  const extents = x.shape.map((n, d) =>
    turned.includes(d) ? { start: n - 1, size: n, step: -1 } : { start: 0, size: n, step: 1 },
  );
  return part("flip", x, partOf(x.shape, extents));
}

/**
 * Tensors of one dtype one behind the other along `axis`. Throws TensorError where they differ in another extent or in dtype,
 * or where there is none.
 */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const first = firstOf("concat", tensors);
  const at = axisOf("concat", first, axis);
  const other = tensors.find(
    ({ shape, dtype }) =>
      dtype !== first.dtype || `${withExtent(shape, at, 0)}` !== `${withExtent(first.shape, at, 0)}`,
  );
  if (other) throw new TensorError(`concat: ${first} and ${other} do not fit along axis ${axis}.`);
  const extent = tensors.reduce((sum, { shape }) => sum + shape[at]!, 0);
  return joined("concat", tensors, withExtent(first.shape, at, extent), at, ({ shape }) => shape[at]!);
}

/** Tensors of one shape and dtype side by side along a new axis. Throws as `concat` does. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  const first = firstOf("stack", tensors);
  const { shape } = first;
  const at = axis < 0 ? axis + shape.length + 1 : axis;
  if (!Number.isInteger(at) || at < 0 || at > shape.length)
    throw new TensorError(`stack: [${shape}] has no place ${axis} for an axis.`);
  const other = tensors.find((tensor) => `${tensor}` !== `${first}`);
  if (other) throw new TensorError(`stack: ${first} and ${other} do not fit.`);
  const whole = [...shape.slice(0, at), tensors.length, ...shape.slice(at)];
  return joined("stack", tensors, whole, at, () => 1);
}

function firstOf(name: string, tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) throw new TensorError(`${name}: there are no tensors.`);
  return tensors[0]!;
}

/** Tensors one behind the other along an axis of the result, each of so many entries there. */
function joined(
  name: string,
  tensors: readonly Tensor[],
  shape: Shape,
  axis: number,
  extentOf: (x: Tensor) => number,
): Tensor {
  const { engine, dtype } = tensors[0]!;
  const y = engine.empty(shape, dtype);
  let end = 0;
  const parts = tensors.map((x) => {
    end += extentOf(x);
    return partAlong(shape, axis, end - extentOf(x), extentOf(x));
  });
  tensors.forEach((x, i) => {
    const { shape } = parts[i]!;
    placeStrided([x, { strides: contiguousStrides(shape) }], [y, parts[i]!], shape);
  });
  return engine.record(name, y, tensors, (dy, needs) =>
    parts.map((one, i) => (needs[i] ? taken(dy, one, tensors[i]!.shape) : null)),
  );
}
