// Cases of fuse: functions drawn at random from the tables of functions of elements, as trees, and what else there is to
// kernels that are written: conditions, masks, operands from outside, and more operands than some devices have room for.
import { type DType, randomBits, type Tensor } from "../engine/index.ts";
import { add, bitAnd, bitXor, greater, less, mul, sub, where } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { fuse } from "../kernels/elementwise/fuse.ts";
import { floor, sigmoid, tanh } from "../kernels/elementwise/unary.ts";
import { binaryOps } from "./arithmetic.ts";
import { named, places } from "./broadcast.ts";
import { type Draw, type OpCase, withMasters } from "./case.ts";
import { unaryOps } from "./unary.ts";

/** An operand by its number, or a function of others. */
type Tree = number | { op: string; of: Tree[] };

const unary = (
  "tanh sigmoid sin softplus gelu geluTanh silu neg square erf atan scale addScalar elu clamp abs exp cos relu " +
  "leakyRelu mish geluQuick"
).split(" ");
const binary = ["add", "sub", "mul", "squaredDifference", "minimum", "maximum"];

/** A tree of so many functions of one and of two, in which every operand is. */
function draw(seed: number, functions: number, operands: number): Tree {
  let draws = 0;
  const below = (n: number) => randomBits({ key: seed, stream: 12 }, draws++) % n;
  const grown = Array.from({ length: operands }, (_, i): Tree => i);
  const all = [...grown];
  // Numbers grow by some of them, which a bounded function then takes back.
  const bounded = (of: Tree): Tree => ({ op: below(2) === 0 ? "tanh" : "sin", of: [of] });
  for (let i = 0; i < functions; i++) {
    const of = all[below(all.length)]!;
    const made: Tree =
      below(5) < 3
        ? { op: unary[below(unary.length)]!, of: [bounded(of)] }
        : { op: binary[below(binary.length)]!, of: [of, all[below(all.length)]!] };
    all.push(made);
  }
  return [...all.slice(-2), ...grown].reduce((sum, one) => ({ op: "add", of: [sum, one] }));
}

const tensorOf = (tree: Tree, operands: readonly Tensor[]): Tensor => {
  if (typeof tree === "number") return operands[tree]!;
  const of = tree.of.map((each) => tensorOf(each, operands));
  return of.length === 1 ? unaryOps[tree.op]!.run(of[0]!) : binaryOps[tree.op]!.run(of[0]!, of[1]!);
};

/** The value of a tree and its derivatives by the operands. */
function elementOf(tree: Tree, operands: readonly number[]): { value: number; slopes: number[] } {
  if (typeof tree === "number")
    return { value: operands[tree]!, slopes: operands.map((_, i) => (i === tree ? 1 : 0)) };
  const of = tree.of.map((each) => elementOf(each, operands));
  const values = of.map(({ value }) => value) as [number, number];
  const { value, by } =
    of.length === 1
      ? { value: unaryOps[tree.op]!.value(values[0]), by: [unaryOps[tree.op]!.slope(values[0])] }
      : { value: binaryOps[tree.op]!.value(...values), by: binaryOps[tree.op]!.slopes!(...values) };
  return {
    value,
    slopes: operands.map((_, i) => of.reduce((sum, one, j) => sum + by[j]! * one.slopes[i]!, 0)),
  };
}

interface FuseSpec {
  name: string;
  shapes: number[][];
  dtype?: DType;
  run(operands: readonly Tensor[]): Tensor;
  /** Of one element, with its derivatives by the operands, where it has any. */
  value(operands: readonly number[]): { value: number; slopes?: readonly number[] };
  draws?: readonly Draw[];
  dtypes?: readonly DType[];
}

export function fuseCase({ name, shapes, dtype = "f32", run, value, draws, dtypes }: FuseSpec): OpCase {
  const { size, at } = places(...shapes);
  const each = (values: Float64Array[]) =>
    Array.from({ length: size }, (_, index) => {
      const places = at(index);
      return { places, ...value(values.map((operand, i) => operand[places[i]!]!)) };
    });
  const slopes = value(shapes.map(() => 0.5)).slopes;
  return {
    name: `fuse ${name} ${named(...shapes)} ${dtype}`,
    inputs: shapes.map((shape, i) => ({
      ...{ name: "abcdefghijklmnop"[i]!, shape, dtype: dtypes?.[i] ?? dtype },
      ...(draws?.[i] && { draw: draws[i] }),
    })),
    run,
    reference: (values) => Float64Array.from(each(values), ({ value }) => value),
    ...(slopes && {
      gradients: (values, dy) => {
        const gradients = values.map((operand) => new Float64Array(operand.length));
        each(values).forEach(({ places, slopes }, index) => {
          for (const [i, gradient] of gradients.entries())
            gradient[places[i]!] = gradient[places[i]!]! + dy[index]! * slopes![i]!;
        });
        return gradients.map((gradient, i) => ((dtypes?.[i] ?? dtype).startsWith("f") ? gradient : null));
      },
    }),
  };
}

function chainCase(seed: number, functions: number, shapes: number[][], dtype: DType = "f32"): OpCase {
  const tree = draw(seed, functions, shapes.length);
  return fuseCase({
    ...{ name: `chain ${seed}`, shapes, dtype },
    run: (operands) => fuse((...all: Tensor[]) => tensorOf(tree, all))(...operands),
    value: (operands) => elementOf(tree, operands),
  });
}

/** (a where a < b and not a < 0, else b tanh(c)) + floor(b): conditions, one from outside, and what has no slope. */
const chosen = fuse((a: Tensor, b: Tensor, c: Tensor, kept: Tensor) => {
  const mask = bitAnd(bitXor(less(a, 0), 1), less(a, b));
  return where(kept, add(where(mask, a, mul(b, tanh(c))), floor(b)), sub(0.5, c));
});

const chosenCase = (dtype: DType): OpCase =>
  fuseCase({
    name: "chosen",
    shapes: [[6, 20], [6, 20], [20], [6, 1]],
    dtype,
    dtypes: [dtype, dtype, dtype, "u32"],
    draws: ["normal", "normal", "normal", { below: 3 }],
    run: ([a, b, c, kept]) => chosen(a!, b!, c!, kept!),
    value: ([a, b, c, kept]) => {
      if (kept === 0) return { value: 0.5 - c!, slopes: [0, 0, -1, 0] };
      const [taken, t] = [a! >= 0 && a! < b!, Math.tanh(c!)];
      return {
        value: (taken ? a! : b! * t) + Math.floor(b!),
        slopes: taken ? [1, 0, 0, 0] : [0, t, b! * (1 - t * t), 0],
      };
    },
  });

/** What is f16 and what is not, and a mask as numbers. */
const mixed = fuse((a: Tensor, b: Tensor) => sub(mul(cast(a, "f32"), b), cast(less(a, 0), "f32")));

/** What has no slope anywhere gets zeros. */
const steps = fuse((a: Tensor, b: Tensor) => sub(a, floor(b)));

const gate = fuse((a: Tensor, b: Tensor) => mul(sigmoid(a), b));
const gateOf = ([a, b]: readonly number[]) => {
  const s = 1 / (1 + Math.exp(-a!));
  return { value: s * b!, slopes: [s * (1 - s) * b!, s] };
};
const gateCase = (shapes: number[][], dtype: DType = "f32") =>
  fuseCase({ name: "gate", shapes, dtype, run: ([a, b]) => gate(a!, b!), value: gateOf });

const many = Array.from({ length: 9 }, () => [3, 5]);

export const fuseCases: OpCase[] = [
  chainCase(1, 6, [[5, 36], [5, 36], [36]]),
  chainCase(2, 9, [[7, 9], [9], [7, 1]]),
  chainCase(3, 8, [[4, 1, 12], [3, 1], [12], [1]]),
  chainCase(4, 12, [[2, 3, 4, 5], [3, 1, 5], [4, 1], [2, 1, 1, 5], []]),
  chainCase(5, 5, [[1003], [1003]]),
  chainCase(
    6,
    7,
    [
      [33, 4],
      [33, 1],
    ],
    "f16",
  ),
  withMasters(chainCase(7, 7, [[9, 7], [9, 7], [7]], "f16"), "b", "c"),
  chosenCase("f32"),
  chosenCase("f16"),
  gateCase([[1], [1]]),
  gateCase([[0, 4], [4]]),
  gateCase([
    [3, 1],
    [1, 7],
  ]),
  // Some devices have room for eight operands and results.
  fuseCase({
    ...{ name: "many", shapes: many },
    run: (operands) =>
      fuse((...all: Tensor[]) => all.reduce((a, b) => add(mul(a, 0.5), sigmoid(b))))(...operands),
    value: (operands) => {
      const slopes = operands.map(() => 1);
      const value = operands.reduce((sum, b, i) => {
        const s = 1 / (1 + Math.exp(-b));
        for (let j = 0; j < i; j++) slopes[j]! *= 0.5;
        slopes[i] = s * (1 - s);
        return 0.5 * sum + s;
      });
      return { value, slopes };
    },
  }),
  fuseCase({
    ...{
      name: "steps",
      shapes: [[4, 7], [7]],
      draws: ["normal", { at: (i, drawn) => Math.floor(drawn) + 0.25 + (i % 3) / 4 }],
    },
    run: ([a, b]) => steps(a!, b!),
    value: ([a, b]) => ({ value: a! - Math.floor(b!), slopes: [1, 0] }),
  }),
  fuseCase({
    ...{ name: "cast", shapes: [[4, 7], [7]], dtype: "f16", dtypes: ["f16", "f32"] },
    run: ([a, b]) => mixed(a!, b!),
    value: ([a, b]) => ({ value: a! * b! - Number(a! < 0), slopes: [b!, a!] }),
  }),
  fuseCase({
    ...{ name: "six", shapes: many.slice(3) },
    run: (operands) => fuse((...all: Tensor[]) => all.reduce((a, b) => mul(a, sub(1.5, b))))(...operands),
    value: (operands) => {
      const others = operands.slice(1).map((b) => 1.5 - b);
      const product = (values: number[]) => values.reduce((a, b) => a * b, 1);
      const slopes = others.map((_, i) => -operands[0]! * product(others.filter((_, j) => j !== i)));
      return { value: operands[0]! * product(others), slopes: [product(others), ...slopes] };
    },
  }),
  fuseCase({
    ...{ name: "mask", shapes: [[5, 9], [9]] },
    run: ([a, b]) => fuse((a: Tensor, b: Tensor) => bitAnd(less(a, b), greater(mul(a, b), 0)))(a!, b!),
    value: ([a, b]) => ({ value: Number(a! < b! && a! * b! > 0) }),
  }),
];
