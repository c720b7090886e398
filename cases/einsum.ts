// Cases of products whose axes have names: einsum, and matmul where it broadcasts. The reference goes through every value of
// every name.
import type { DType } from "../engine/index.ts";
import { einsum } from "../kernels/matmul/einsum.ts";
import { type MatmulOptions, matmul } from "../kernels/matmul/matmul.ts";
import type { OpCase } from "./case.ts";

/** The sums of products over named axes: values, and gradients by weights of the result. Extents of 1 repeat. */
function contraction(terms: readonly string[], output: string, shapes: readonly number[][]) {
  const names = [...new Set([...terms, output].flatMap((term) => [...term]))];
  const extents = names.map((name) =>
    terms.reduce((extent, term, i) => {
      const here = [...term].flatMap((other, d) => (other === name ? [shapes[i]![d]!] : []));
      return here.find((n) => n !== 1) ?? extent;
    }, 1),
  );
  const shape = [...output].map((name) => extents[names.indexOf(name)]!);
  const all = [...shapes, shape];
  /** Calls `visit` with the index of an element of each operand and of the result, for all that are multiplied. */
  const visit = (each: (at: number[]) => void) => {
    const total = extents.reduce((a, b) => a * b, 1);
    for (let index = 0; index < total; index++) {
      let rest = index;
      const values = new Map<string, number>();
      names.forEach((name, i) => {
        values.set(name, rest % extents[i]!);
        rest = Math.floor(rest / extents[i]!);
      });
      each(
        [...terms, output].map((term, i) =>
          [...term].reduce((at, name, d) => at * all[i]![d]! + (all[i]![d] === 1 ? 0 : values.get(name)!), 0),
        ),
      );
    }
  };
  const size = shape.reduce((a, b) => a * b, 1);
  return {
    reference(values: Float64Array[]): Float64Array {
      const y = new Float64Array(size);
      visit((at) => {
        y[at.at(-1)!]! += values.reduce((product, x, i) => product * x[at[i]!]!, 1);
      });
      return y;
    },
    gradients(values: Float64Array[], dy: Float64Array): Float64Array[] {
      const gradients = values.map(({ length }) => new Float64Array(length));
      visit((at) => {
        gradients.forEach((gradient, i) => {
          const others = values.reduce((product, x, j) => (i === j ? product : product * x[at[j]!]!), 1);
          gradient[at[i]!]! += dy[at.at(-1)!]! * others;
        });
      });
      return gradients;
    },
  };
}

const inputsOf = (shapes: readonly number[][], dtype: DType) =>
  shapes.map((shape, i) => ({ name: `x${i}`, shape, dtype }));
const named = (shapes: readonly number[][]) => shapes.map((shape) => shape.join("x") || "scalar").join(",");

/** `terms` and `output` say the equation without ellipses, where it has some. */
export function einsumCase(
  equation: string,
  shapes: number[][],
  dtype: DType = "f32",
  [terms, output] = equation.replaceAll(" ", "").split("->") as [string, string],
): OpCase {
  return {
    name: `einsum ${equation} ${named(shapes)} ${dtype}`,
    inputs: inputsOf(shapes, dtype),
    run: (tensors) => einsum(equation, ...tensors),
    ...contraction(terms.split(","), output, shapes),
  };
}

/** `equation` says the product of the last two axes, or of the only one, behind as many axes as broadcast. */
export function broadcastCase(
  a: number[],
  b: number[],
  options: MatmulOptions = {},
  dtype: DType = "f32",
): OpCase {
  const { transposeA, transposeB } = options;
  const rank = Math.max(a.length, b.length, 2) - 2;
  const batch = (shape: number[]) => "pqrs".slice(0, rank).slice(rank - Math.max(0, shape.length - 2));
  const left = a.length === 1 ? "k" : `${batch(a)}${transposeA ? "ki" : "ik"}`;
  const right = b.length === 1 ? "k" : `${batch(b)}${transposeB ? "jk" : "kj"}`;
  const output = `${"pqrs".slice(0, rank)}${a.length === 1 ? "" : "i"}${b.length === 1 ? "" : "j"}`;
  const way = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
  return {
    name: `matmul broadcast ${way} ${named([a, b])} ${dtype}`,
    inputs: inputsOf([a, b], dtype),
    run: ([x, y]) => matmul(x!, y!, options),
    ...contraction([left, right], output, [a, b]),
  };
}

const ways = [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }];

export const einsumCases: OpCase[] = [
  broadcastCase([5], [5]),
  broadcastCase([5], [5, 7]),
  broadcastCase([8], [12, 8], { transposeB: true }),
  broadcastCase([6, 5], [5]),
  broadcastCase([5, 8], [5], { transposeA: true }),
  broadcastCase([5], [3, 5, 4]),
  broadcastCase([2, 3, 4], [4], {}, "f16"),
  broadcastCase([3, 1, 3, 4], [1, 2, 4, 2]),
  ...ways.flatMap((way) => [
    // One of a's matrices for all, one of b's, and each in turn.
    broadcastCase([4, 4], [3, 4, 4], way),
    broadcastCase([3, 8, 8], [1, 8, 8], way),
    broadcastCase([2, 1, 5, 5], [3, 5, 5], way),
  ]),
  // Neither repeats in one go.
  broadcastCase([2, 1, 3, 4, 5], [1, 4, 1, 5, 3]),
  broadcastCase([2, 3, 2, 3, 4], [2, 1, 2, 4, 5]),
  broadcastCase([2, 3, 2, 3, 4], [2, 1, 2, 4, 5], {}, "f16"),
  broadcastCase([3, 0, 2, 4], [1, 4, 3]),
  einsumCase("ij,jk->ik", [
    [5, 7],
    [7, 3],
  ]),
  einsumCase("ij,kj->ki", [
    [5, 8],
    [4, 8],
  ]),
  einsumCase(
    "bij,bjk->bik",
    [
      [3, 4, 5],
      [3, 5, 2],
    ],
    "f16",
  ),
  einsumCase("bhqd, bhkd -> bhqk", [
    [2, 3, 4, 8],
    [2, 3, 5, 8],
  ]),
  einsumCase("bqhd,bkhd->bhqk", [
    [2, 4, 3, 8],
    [2, 5, 3, 8],
  ]),
  einsumCase("i,i->", [[9], [9]]),
  einsumCase("i,j->ij", [[4], [6]]),
  einsumCase("ij,ij->ij", [
    [4, 6],
    [4, 6],
  ]),
  einsumCase("ii->i", [[6, 6]]),
  einsumCase("ii->", [[5, 5]]),
  einsumCase("iij,jk->ki", [
    [4, 4, 3],
    [3, 5],
  ]),
  einsumCase("ijk->kij", [[2, 3, 4]]),
  einsumCase("ijk->j", [[2, 3, 4]]),
  einsumCase("ij,k->ik", [[3, 4], [5]]),
  einsumCase("ij,jk,kl->il", [
    [3, 4],
    [4, 5],
    [5, 2],
  ]),
  einsumCase("ab,bc,a->c", [[3, 4], [4, 5], [3]]),
  einsumCase("bij,bjk->bik", [
    [1, 4, 5],
    [3, 5, 2],
  ]),
  einsumCase("ij,jk->ik", [
    [2, 0],
    [0, 3],
  ]),
  einsumCase(
    "jb,ja",
    [
      [4, 3],
      [4, 5],
    ],
    "f32",
    ["jb,ja", "ab"],
  ),
  einsumCase(
    "...ij,jk...->...ki",
    [
      [2, 1, 4, 3],
      [3, 5, 6],
    ],
    "f32",
    ["xyij,jky", "xyki"],
  ),
  einsumCase("b...,...", [[4, 2, 3], [3]], "f32", ["bxy,y", "xyb"]),
];
