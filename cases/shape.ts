// Cases of the operations that only move elements: the reference is a list of where each element comes from.
import type { DType, Tensor } from "../engine/index.ts";
import { type PadMode, pad } from "../kernels/shape/pad.ts";
import { expand, permute, repeat, reshape, tile, transpose2d } from "../kernels/shape/reshape.ts";
import { concat, flip, type Range, slice, split, stack } from "../kernels/shape/slice.ts";
import type { Draw, OpCase } from "./case.ts";

/** Numbers that only their bits tell apart, where they are taken for others: whole ones near the ends of the range. */
const draws: Partial<Record<DType, Draw>> = {
  u32: { from: 2 ** 32 - 1000, below: 2 ** 32 },
  i32: { from: -(2 ** 31), below: -(2 ** 31) + 1000 },
};

/** `sources[i]` is the index into the inputs, laid end to end, of element i of the result; -1 where it is `fill`. */
export function moveCase(
  name: string,
  shapes: number[][],
  run: (tensors: Tensor[]) => Tensor,
  sources: number[],
  dtype: DType = "f32",
  fill = 0,
): OpCase {
  const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
  const draw = draws[dtype];
  return {
    name: `${name} ${shapes.map((shape) => shape.join("x")).join(",")} ${dtype}`,
    inputs: shapes.map((shape, i) => ({ name: `x${i}`, shape, dtype, ...(draw && { draw }) })),
    run,
    reference: (values) => {
      const joined = values.flatMap((array) => [...array]);
      return Float64Array.from(sources, (source) => joined[source] ?? fill);
    },
    ...(!draw && {
      gradients: (_: Float64Array[], dy: Float64Array) => {
        const joined = new Float64Array(sizes.reduce((a, b) => a + b, 0));
        dy.forEach((incoming, i) => {
          if (sources[i]! >= 0) joined[sources[i]!]! += incoming;
        });
        let start = 0;
        return sizes.map((size) => {
          start += size;
          return joined.slice(start - size, start);
        });
      },
    }),
  };
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const turned = (count: number) => range(0, count).reverse();

/** The sources of a result that has, along each axis of `shape`, the entries at these places; -1 where it has none. */
function chosen(shape: number[], places: number[][]): number[] {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  return places.reduce(
    (bases, along, d) =>
      bases.flatMap((base) => along.map((at) => (at < 0 || base < 0 ? -1 : base + at * strides[d]!))),
    [0],
  );
}

export function permuteCase(shape: number[], axes: number[], dtype: DType = "f32"): OpCase {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  let sources = [0];
  for (const named of axes) {
    const axis = named < 0 ? named + shape.length : named;
    sources = sources.flatMap((base) => range(0, shape[axis]!).map((i) => base + i * strides[axis]!));
  }
  const run = ([x]: Tensor[]) => (`${axes}` === "1,0" ? transpose2d(x!) : permute(x!, axes));
  return moveCase(
    `permute ${axes.join(axes.some((axis) => axis < 0) ? " " : "")}`,
    [shape],
    run,
    sources,
    dtype,
  );
}

/** Which entries of an axis a range takes, in their order. */
function placesOf(extent: number, taken: Range): number[] {
  const all = range(0, extent);
  if (taken === null) return all;
  if (typeof taken === "number") return [all.at(taken)!];
  const [start, stop, step] = taken;
  const every = (_: number, i: number) => i % Math.abs(step ?? 1) === 0;
  // JavaScript's slices count as Python's do, but only forwards.
  if ((step ?? 1) > 0) return all.slice(start ?? 0, stop ?? extent).filter(every);
  const placed = (at: number) => (at < 0 ? at + extent : at);
  const [highest, above] = [start == null ? extent : placed(start), stop == null ? -1 : placed(stop)];
  return all
    .filter((at) => at <= highest && at > above)
    .reverse()
    .filter(every);
}

export function sliceCase(shape: number[], ranges: Range[], dtype: DType = "f32"): OpCase {
  const places = shape.map((n, d) => placesOf(n, ranges[d] ?? null));
  const words = ranges.map((one) =>
    Array.isArray(one) ? one.map((at) => at ?? "").join(":") : (one ?? ":"),
  );
  return moveCase(
    `slice [${words.join(", ")}]`,
    [shape],
    ([x]) => slice(x!, ranges),
    chosen(shape, places),
    dtype,
  );
}

export function flipCase(shape: number[], axes: number[], dtype: DType = "f32"): OpCase {
  const places = shape.map((n, d) =>
    axes.includes(d) || axes.includes(d - shape.length) ? turned(n) : range(0, n),
  );
  return moveCase(`flip ${axes.join("")}`, [shape], ([x]) => flip(x!, axes), chosen(shape, places), dtype);
}

/** The sources of tensors one behind the other along an axis. */
function joined(shapes: number[][], axis: number): number[] {
  const outer = shapes[0]!.slice(0, axis).reduce((a, b) => a * b, 1);
  const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
  return range(0, outer).flatMap((o) =>
    sizes.flatMap((size, i) => {
      const before = sizes.slice(0, i).reduce((a, b) => a + b, 0);
      return range(before + (o * size) / outer, size / outer);
    }),
  );
}

export function concatCase(shapes: number[][], axis: number, dtype: DType = "f32"): OpCase {
  const at = axis < 0 ? axis + shapes[0]!.length : axis;
  return moveCase(`concat ${axis}`, shapes, (tensors) => concat(tensors, axis), joined(shapes, at), dtype);
}

export function stackCase(count: number, shape: number[], axis: number, dtype: DType = "f32"): OpCase {
  const shapes = new Array<number[]>(count).fill(shape);
  const at = axis < 0 ? axis + shape.length + 1 : axis;
  return moveCase(`stack ${axis}`, shapes, (tensors) => stack(tensors, axis), joined(shapes, at), dtype);
}

/** The parts of a split in another order: each is a result, and has a gradient of its own. */
export function splitCase(
  shape: number[],
  parts: number | number[],
  axis: number,
  dtype: DType = "f32",
): OpCase {
  const at = axis < 0 ? axis + shape.length : axis;
  const extent = shape[at]!;
  const sizes = typeof parts === "number" ? new Array<number>(parts).fill(extent / parts) : parts;
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0));
  const places = sizes.map((size, i) => range(starts[i]!, size)).reverse();
  return moveCase(
    `split ${parts} axis ${axis}`,
    [shape],
    ([x]) => concat(split(x!, parts, axis).reverse(), axis),
    chosen(
      shape,
      shape.map((n, d) => (d === at ? places.flat() : range(0, n))),
    ),
    dtype,
  );
}

export function padCase(
  shape: number[],
  widths: [number, number][],
  mode: PadMode,
  dtype: DType = "f32",
  value = 0,
): OpCase {
  const place = (at: number, n: number) => {
    if (at >= 0 && at < n) return at;
    if (mode === "constant") return -1;
    if (mode === "edge") return at < 0 ? 0 : n - 1;
    if (mode === "wrap") return (at + n) % n;
    return at < 0 ? -at : 2 * (n - 1) - at;
  };
  const places = shape.map((n, d) => {
    const [before, behind] = widths[d]!;
    return range(-before, n + before + behind).map((at) => place(at, n));
  });
  return moveCase(
    `pad ${mode}${value ? ` ${value}` : ""} ${widths.map((pair) => pair.join("+")).join(",")}`,
    [shape],
    ([x]) => pad(x!, widths, { mode, value }),
    chosen(shape, places),
    dtype,
    value,
  );
}

export function repeatCase(shape: number[], count: number, axis: number, dtype: DType = "f32"): OpCase {
  const at = axis < 0 ? axis + shape.length : axis;
  const places = shape.map((n, d) =>
    range(0, n).flatMap((i) => (d === at ? new Array<number>(count).fill(i) : [i])),
  );
  const run = ([x]: Tensor[]) => repeat(x!, count, axis);
  return moveCase(`repeat ${count} axis ${axis}`, [shape], run, chosen(shape, places), dtype);
}

export function tileCase(shape: number[], counts: number[], dtype: DType = "f32"): OpCase {
  const rank = Math.max(shape.length, counts.length);
  const full = [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const times = [...new Array<number>(rank - counts.length).fill(1), ...counts];
  const places = full.map((n, d) => new Array<number[]>(times[d]!).fill(range(0, n)).flat());
  return moveCase(
    `tile ${counts.join("x")}`,
    [shape],
    ([x]) => tile(x!, counts.length === 1 ? counts[0]! : counts),
    chosen(full, places),
    dtype,
  );
}

export function expandCase(shape: number[], to: number[], dtype: DType = "f32"): OpCase {
  const full = [...new Array<number>(to.length - shape.length).fill(1), ...shape];
  const places = to.map((n, d) => (full[d] === 1 ? new Array<number>(n).fill(0) : range(0, n)));
  return moveCase(`expand to ${to.join("x")}`, [shape], ([x]) => expand(x!, to), chosen(full, places), dtype);
}

/** Some entries of every axis: backwards where a step is below 0, with gaps, and beyond the ends. */
const mixed: Range[] = [
  [null, null, -2],
  [1, -1],
  [7, 0, -3],
];

export const shapeCases: OpCase[] = [
  moveCase("reshape", [[4, 6]], ([x]) => reshape(x!, [2, -1, 3]), range(0, 24)),
  moveCase("reshape", [[3, 5]], ([x]) => reshape(x!, [15]), range(0, 15), "f16"),
  permuteCase([5, 7], [1, 0]),
  permuteCase([64, 32], [1, 0]),
  permuteCase([2, 3, 4], [1, 0, 2]),
  permuteCase([2, 3, 4, 5], [0, 2, 1, 3]),
  permuteCase([2, 3, 4, 5], [3, 1, 2, 0], "f16"),
  permuteCase([5, 7], [1, 0], "i32"),
  permuteCase([2, 3, 2, 3, 2, 3, 2, 2], [7, 2, 4, 0, 5, 1, 6, 3]),
  permuteCase([2, 0, 4], [2, 0, 1]),
  permuteCase([2, 3, 4], [-1, 0, -2]),
  // Blocks of 4 x 4: four, two and one beside each other, with axes between and around them.
  permuteCase([3, 64, 48], [0, 2, 1]),
  permuteCase([2, 12, 3, 8], [1, 3, 2, 0], "f16"),
  permuteCase([2, 12, 3, 8], [2, 3, 0, 1]),
  permuteCase([8, 3, 2, 20], [2, 3, 1, 0], "u32"),
  permuteCase([4, 6, 20], [2, 1, 0]),
  sliceCase([9, 5], [[2, 5]]),
  sliceCase([90, 40], [[20, 80]]),
  sliceCase([90, 11], [[20, 80]]),
  sliceCase([9, 8], [[0, 4]]),
  sliceCase([9, 8], [[5]], "f16"),
  sliceCase([11], [[3, 10]]),
  sliceCase([4, 3, 2], [3]),
  sliceCase([3, 5, 8], [null, 0]),
  sliceCase([2, 3, 5], [null, -1], "f16"),
  sliceCase([3, 5, 8], [null, [1, 4]]),
  sliceCase([4, 6, 7], [null, [0, 4]], "f16"),
  sliceCase([5, 6, 9], mixed),
  sliceCase([5, 6, 9], mixed, "f16"),
  sliceCase([5, 6, 9], mixed, "u32"),
  sliceCase([5, 6, 9], mixed, "i32"),
  sliceCase([16, 12], [null, [4, 12]]),
  sliceCase(
    [16, 12],
    [
      [null, null, 3],
      [8, 100],
    ],
  ),
  sliceCase([7, 4], [[-100, 100, 2]]),
  sliceCase([7, 4], [[5, 2], 1]),
  sliceCase(
    [0, 4],
    [
      [0, 3],
      [1, 3],
    ],
  ),
  sliceCase([2, 3, 2, 3, 2, 3, 2], [[0, 1], [1], null, [null, null, -1], null, [0, 3, 2], [null, null, -1]]),
  flipCase([7], [0]),
  flipCase([3, 4, 5], [-1], "f16"),
  flipCase([3, 4, 8], [0, 1]),
  flipCase([3, 1, 5], [0, 1, 2], "i32"),
  splitCase([6, 8], 2, 0),
  splitCase([2, 7, 3], [4, 0, 3], 1),
  splitCase([5, 12], 3, -1, "f16"),
  concatCase(
    [
      [3, 2],
      [3, 4],
      [3, 0],
    ],
    1,
  ),
  concatCase(
    [
      [3, 8],
      [2, 8],
    ],
    0,
  ),
  concatCase(
    [
      [5, 3],
      [1, 3],
      [2, 3],
    ],
    0,
  ),
  concatCase(
    [
      [1, 5],
      [6, 5],
    ],
    0,
    "f16",
  ),
  concatCase(
    [
      [3, 2, 8],
      [3, 4, 8],
    ],
    1,
  ),
  concatCase(
    [
      [2, 3, 5],
      [2, 1, 5],
    ],
    -2,
  ),
  concatCase(
    [
      [4, 1, 8],
      [4, 1, 8],
    ],
    1,
    "f16",
  ),
  concatCase(
    [
      [2, 3, 4],
      [2, 3, 8],
      [2, 3, 4],
    ],
    -1,
  ),
  concatCase(
    [
      [2, 3],
      [2, 2],
    ],
    1,
    "u32",
  ),
  concatCase(
    [
      [0, 3],
      [0, 3],
    ],
    0,
  ),
  concatCase([[4]], 0),
  stackCase(3, [4, 5], 0),
  stackCase(2, [4, 5], 1, "f16"),
  stackCase(2, [4], -1),
  padCase([5], [[2, 1]], "constant"),
  padCase(
    [3, 4],
    [
      [1, 2],
      [4, 0],
    ],
    "constant",
    "f32",
    -1.5,
  ),
  padCase(
    [3, 8],
    [
      [1, 0],
      [4, 4],
    ],
    "constant",
    "f16",
  ),
  padCase(
    [3, 5],
    [
      [0, 1],
      [2, 0],
    ],
    "constant",
    "i32",
    -7,
  ),
  padCase(
    [2, 0],
    [
      [1, 0],
      [2, 1],
    ],
    "constant",
    "f32",
    3,
  ),
  padCase(
    [4, 5],
    [
      [3, 2],
      [4, 1],
    ],
    "reflect",
  ),
  padCase(
    [2, 3, 6, 5],
    [
      [0, 0],
      [0, 0],
      [2, 2],
      [1, 3],
    ],
    "reflect",
  ),
  padCase(
    [4, 6],
    [
      [1, 2],
      [0, 5],
    ],
    "reflect",
    "f16",
  ),
  padCase(
    [4, 5],
    [
      [3, 7],
      [4, 1],
    ],
    "edge",
  ),
  padCase(
    [2, 3, 3, 4],
    [
      [0, 0],
      [1, 0],
      [2, 1],
      [0, 3],
    ],
    "edge",
    "f16",
  ),
  padCase(
    [1, 5],
    [
      [3, 2],
      [0, 0],
    ],
    "edge",
    "u32",
  ),
  padCase(
    [4, 5],
    [
      [3, 4],
      [5, 1],
    ],
    "wrap",
  ),
  padCase([], [], "constant"),
  repeatCase([3, 4], 3, 0),
  repeatCase([3, 5], 2, -1, "f16"),
  repeatCase([2, 3], 0, 1),
  tileCase([3, 4], [2, 3]),
  tileCase([2, 3, 4], [5], "f16"),
  tileCase([5], [2, 1, 3], "i32"),
  expandCase([3, 1, 5], [2, 3, 4, 5]),
  expandCase([1, 8], [6, 8], "f16"),
  expandCase([], [3, 7]),
  expandCase([1, 3], [0, 3]),
];
