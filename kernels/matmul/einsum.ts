// Einstein's sums, as NumPy's einsum: axes are named by letters, and a letter that the result has not is summed over. Two
// operands at a time are a batch of matrix products: letters that both and the result have are the batch, those that only
// both have are summed, the others are rows and columns.
import { type Tensor, TensorError } from "../../engine/index.ts";
import { mul } from "../elementwise/arithmetic.ts";
import { contiguousStrides } from "../elementwise/strided.ts";
import { sum } from "../reduce/reduce.ts";
import { permute, reshape } from "../shape/reshape.ts";
import { amongZeros, taken } from "../shape/slice.ts";
import { matmul } from "./matmul.ts";

/** A tensor with the names of its axes; digits are those of an ellipsis, 0 for the last. */
interface Named {
  x: Tensor;
  axes: string[];
}

/**
 * The sum of products that `equation` says, such as "bij,bjk->bik": of one or more tensors, f32 or f16, the letters of their axes, and
 * behind the arrow those of the result, in its order; without an arrow it has the letters that come up once, by the
 * alphabet. "..." are axes that broadcast, and so does an extent of 1; a letter that one tensor has twice takes its diagonal. Products go from left
 * to right. Throws TensorError where letters and shapes don't fit.
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  const refuse = (why: string) => new TensorError(`einsum "${equation}": ${why}.`);
  const [left, right, ...more] = equation.replaceAll(" ", "").split("->");
  const terms = left!.split(",");
  const wellFormed = (term: string) => /^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/.test(term);
  if (more.length > 0 || ![...terms, right ?? ""].every(wellFormed)) throw refuse("is no equation");
  if (terms.length !== tensors.length)
    throw refuse(`${terms.length} operands are named, ${tensors.length} given`);
  let dots = 0;
  const named = tensors.map((x, i): Named => {
    const letters = terms[i]!.replace("...", "").length;
    const rest = x.shape.length - letters;
    if (terms[i]!.includes("...") ? rest < 0 : rest !== 0)
      throw refuse(`"${terms[i]}" does not name the axes of [${x.shape}]`);
    dots = Math.max(dots, rest);
    return { x, axes: axesOf(terms[i]!, rest) };
  });
  const counts = new Map<string, number>();
  for (const axis of named.flatMap(({ axes }) => axes)) counts.set(axis, (counts.get(axis) ?? 0) + 1);
  const once = [...counts.keys()].filter((axis) => /[A-Za-z]/.test(axis) && counts.get(axis) === 1).sort();
  const output = axesOf(right ?? `...${once.join("")}`, dots);
  const unknown = output.find((axis, i) => !counts.has(axis) || output.indexOf(axis) !== i);
  if (unknown) throw refuse(`the result can't have "${unknown}"`);
  const extents = new Map<string, number>();
  for (const { x, axes } of named)
    axes.forEach((axis, d) => {
      const [extent, here] = [extents.get(axis) ?? 1, x.shape[d]!];
      if (extent !== 1 && here !== 1 && extent !== here) throw refuse(`"${axis}" is ${extent} and ${here}`);
      extents.set(axis, extent === 1 ? here : extent);
    });
  const needed = (from: number) => new Set([...output, ...named.slice(from).flatMap(({ axes }) => axes)]);
  const prepared = named.map((one) => diagonal(withoutRepeats(one, extents)));
  let result = summed(prepared[0]!, needed(1));
  prepared.slice(1).forEach((next, i) => {
    const keep = needed(i + 2);
    result = contracted(
      summed(result, new Set([...keep, ...next.axes])),
      summed(next, new Set([...keep, ...result.axes])),
      keep,
    );
  });
  return ordered(result, output);
}

function axesOf(term: string, dots: number): string[] {
  const ellipsis = Array.from({ length: dots }, (_, i) => `${dots - 1 - i}`);
  const [before, behind] = term.split("...");
  return behind === undefined ? [...before!] : [...before!, ...ellipsis, ...behind];
}

/** Without axes of 1 that broadcast. */
function withoutRepeats({ x, axes }: Named, extents: ReadonlyMap<string, number>): Named {
  const stays = (axis: string, d: number) => x.shape[d] === extents.get(axis);
  if (axes.every(stays)) return { x, axes };
  return {
    x: reshape(
      x,
      x.shape.filter((_, d) => stays(axes[d]!, d)),
    ),
    axes: axes.filter(stays),
  };
}

/** With axes of one name joined: what lies on their diagonal. */
function diagonal({ x, axes }: Named): Named {
  const names = [...new Set(axes)];
  if (names.length === axes.length) return { x, axes };
  const own = contiguousStrides(x.shape);
  const part = {
    start: 0,
    shape: names.map((name) => x.shape[axes.indexOf(name)]!),
    strides: names.map((name) => own.reduce((step, stride, d) => step + (axes[d] === name ? stride : 0), 0)),
  };
  const y = x.engine.record("diagonal", taken(x, part), [x], (dy) => [amongZeros(dy, x.shape, part)]);
  return { x: y, axes: names };
}

/** Summed over the axes that nobody needs any more. */
function summed({ x, axes }: Named, keep: ReadonlySet<string>): Named {
  return axes.reduceRight<Named>(
    (one, axis, d) =>
      keep.has(axis) ? one : { x: sum(one.x, d), axes: one.axes.filter((other) => other !== axis) },
    { x, axes },
  );
}

function ordered({ x, axes }: Named, order: readonly string[]): Tensor {
  return `${axes}` === `${order}`
    ? x
    : permute(
        x,
        order.map((axis) => axes.indexOf(axis)),
      );
}

/** The product of two operands, summed over what both have and nobody needs. */
function contracted(a: Named, b: Named, keep: ReadonlySet<string>): Named {
  const both = a.axes.filter((axis) => b.axes.includes(axis));
  const batch = both.filter((axis) => keep.has(axis));
  const sums = both.filter((axis) => !keep.has(axis));
  const [rows, columns] = [a, b].map(({ axes }) => axes.filter((axis) => !both.includes(axis)));
  const extentOf = (axis: string) =>
    (a.axes.includes(axis) ? a : b).x.shape[(a.axes.includes(axis) ? a : b).axes.indexOf(axis)]!;
  const size = (axes: readonly string[]) => axes.reduce((product, axis) => product * extentOf(axis), 1);
  const axes = [...batch, ...rows!, ...columns!];
  if (sums.length === 0 && axes.length === batch.length)
    return { x: mul(ordered(a, batch), ordered(b, batch)), axes };
  /** An operand in matrices of `first` by `last`, and whether they are stored the other way round. */
  const matrices = (one: Named, first: readonly string[], last: readonly string[]) => {
    const turned = `${one.axes}` === `${[...batch, ...last, ...first]}`;
    const [outer, inner] = turned ? [last, first] : [first, last];
    const x = ordered(one, [...batch, ...outer, ...inner]);
    return [reshape(x, [size(batch), size(outer), size(inner)]), turned] as const;
  };
  const [[left, transposeA], [right, transposeB]] = [matrices(a, rows!, sums), matrices(b, sums, columns!)];
  return { x: reshape(matmul(left, right, { transposeA, transposeB }), axes.map(extentOf)), axes };
}
