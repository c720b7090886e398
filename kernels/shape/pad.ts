// Padding: the tensor in the middle, and around it a constant or copies of what it has. Of each axis there is the border
// before, the middle and the border behind; a piece of the result, one of them along each axis, is one strided copy.
import { type Tensor, TensorError } from "../../engine/index.ts";
import { contiguousStrides, filled, placeStrided, type Selection } from "../elementwise/strided.ts";
import { withExtent } from "../lib/axes.ts";
import { requireNumber } from "../lib/items.ts";
import { sumTo } from "../reduce/reduce.ts";
import { partAlong, partOf, taken } from "./slice.ts";

/** A border: a constant, the tensor turned round at its edge without it, the edge itself, or the tensor once more. */
export type PadMode = "constant" | "reflect" | "edge" | "wrap";

export interface PadOptions {
  mode?: PadMode;
  /** The constant; 0 unless told. */
  value?: number;
}

/** `size` entries of a padded axis from `to` on, and where they come from: from `from` on by steps of `step`. */
interface Piece {
  to: number;
  size: number;
  from: number;
  step: number;
}

/** The border before, the middle and the border behind, those that there are. */
function piecesOf(n: number, [before, behind]: readonly [number, number], mode: PadMode): Piece[] {
  const borders = {
    constant: [],
    reflect: [
      [before, -1],
      [n - 2, -1],
    ],
    edge: [
      [0, 0],
      [n - 1, 0],
    ],
    wrap: [
      [n - before, 1],
      [0, 1],
    ],
  }[mode];
  const pieces: Piece[] = [{ to: before, size: n, from: 0, step: 1 }];
  borders.forEach(([from, step], i) => {
    pieces.push({ to: i === 0 ? 0 : before + n, size: i === 0 ? before : behind, from: from!, step: step! });
  });
  return pieces.filter(({ size }) => size > 0);
}

/**
 * `x`, of any dtype, with borders of [before, behind] entries along each axis. "reflect" and "edge" are NumPy's of these
 * names, so is "wrap". Throws TensorError where there is not a pair for each axis, the constant is none of the dtype's, or a border asks for more than the tensor has: reflections for
 * all but its edge, repetitions for all of it.
 */
export function pad(
  x: Tensor,
  widths: readonly (readonly [before: number, behind: number])[],
  { mode = "constant", value = 0 }: PadOptions = {},
): Tensor {
  const { engine, shape, dtype } = x;
  if (widths.length !== shape.length)
    throw new TensorError(`pad: ${widths.length} pairs of widths for [${shape}].`);
  requireNumber("pad", value, dtype);
  shape.forEach((n, d) => {
    const most = {
      constant: Number.POSITIVE_INFINITY,
      reflect: n - 1,
      edge: n > 0 ? Number.POSITIVE_INFINITY : 0,
      wrap: n,
    };
    if (!Object.hasOwn(most, mode)) throw new TensorError(`pad: there is no mode "${mode}".`);
    for (const width of widths[d]!)
      if (!Number.isInteger(width) || width < 0 || width > Math.max(0, most[mode]))
        throw new TensorError(`pad: [${shape}] can't have a border "${mode}" of ${width} along axis ${d}.`);
  });
  const padded = shape.map((n, d) => n + widths[d]![0] + widths[d]![1]);
  const middle = partOf(
    padded,
    shape.map((n, d) => ({ start: widths[d]![0], size: n, step: 1 })),
  );
  if (mode === "constant") {
    const y = filled(engine, padded, value, dtype);
    placeStrided([x, { strides: contiguousStrides(shape) }], [y, middle], shape);
    return engine.record("pad", y, [x], (dy) => [taken(dy, middle)]);
  }
  const y = engine.empty(padded, dtype);
  const choices = shape.map((n, d) => piecesOf(n, widths[d]!, mode));
  const combinations = choices.reduce<Piece[][]>(
    (all, pieces) => all.flatMap((one) => pieces.map((piece) => [...one, piece])),
    [[]],
  );
  for (const pieces of combinations) {
    const sizes = pieces.map(({ size }) => size);
    const from = partOf(
      shape,
      pieces.map(({ from, size, step }) => ({ start: from, size, step })),
    );
    const to = partOf(
      padded,
      pieces.map(({ to, size }) => ({ start: to, size, step: 1 })),
    );
    placeStrided([x, from], [y, to], sizes);
  }
  return engine.record("pad", y, [x], (dy) => [folded(dy, choices)]);
}

/** The gradient of a padded tensor's middle: axis by axis the borders' are added where they came from. */
function folded(dy: Tensor, choices: readonly Piece[][]): Tensor {
  return choices.reduce((gradient, pieces, axis) => {
    const [middle, ...borders] = pieces as [Piece, ...Piece[]];
    if (borders.length === 0) return gradient;
    const inner = withExtent(gradient.shape, axis, middle.size);
    const sum = taken(gradient, partAlong(gradient.shape, axis, middle.to, middle.size));
    for (const { to, size, from, step } of borders) {
      const border = partAlong(gradient.shape, axis, to, size);
      const place = (start: number, size: number): Selection =>
        partOf(
          inner,
          inner.map((n, d) => (d === axis ? { start, size, step } : { start: 0, size: n, step: 1 })),
        );
      if (step === 0) {
        const edge = sumTo(taken(gradient, border), withExtent(inner, axis, 1));
        placeStrided(
          [edge, { strides: contiguousStrides(edge.shape) }],
          [sum, place(from, 1)],
          edge.shape,
          true,
        );
      } else {
        placeStrided([gradient, border], [sum, place(from, size)], border.shape, true);
      }
    }
    return sum;
  }, dy);
}
