// Cases of the functions of two and three tensors, of floats and of integers, each with its value and slopes in float64; which are
// tried, and where, is in elementwise.ts.
import type { DType, Tensor } from "../engine/index.ts";
import { detach } from "../kernels/backward.ts";
import * as arithmetic from "../kernels/elementwise/arithmetic.ts";
import { named, places } from "./broadcast.ts";
import type { Draw, OpCase } from "./case.ts";
import { magnitudes, signs } from "./draws.ts";
import { everyWhole, wrapped } from "./integers.ts";

interface Binary {
  run(a: Tensor, b: Tensor): Tensor;
  value(a: number, b: number): number;
  /** Derivatives by a and by b; absent where the result is a mask. */
  slopes?(a: number, b: number): [number, number];
  draws?: [a: Draw, b: Draw];
  /** Numbers where a and b tie, which are then drawn as well. */
  ties?: Draw;
  /** Powers of two between which `a` and `b` may lie. */
  exponents?: [a: [number, number], b: [number, number]];
}

const { add, sub, mul, div, pow, minimum, maximum, squaredDifference, atan2 } = arithmetic;
const { less, lessEqual, greater, greaterEqual, equal, notEqual, where } = arithmetic;
const share = (more: boolean, tie: boolean) => (tie ? 0.5 : more ? 1 : 0);

export const binaryOps: Record<string, Binary> = {
  add: { run: add, value: (a, b) => a + b, slopes: () => [1, 1] },
  sub: { run: sub, value: (a, b) => a - b, slopes: () => [1, -1] },
  mul: { run: mul, value: (a, b) => a * b, slopes: (a, b) => [b, a] },
  div: {
    run: div,
    value: (a, b) => a / b,
    slopes: (a, b) => [1 / b, -a / (b * b)],
    draws: ["normal", "positive"],
  },
  mod: {
    run: arithmetic.mod,
    value: (a, b) => a - b * Math.floor(a / b),
    slopes: (a, b) => [1, -Math.floor(a / b)],
    draws: ["normal", "positive"],
  },
  pow: {
    run: pow,
    value: (a, b) => a ** b,
    slopes: (a, b) => [b * a ** (b - 1), a ** b * Math.log(a)],
    draws: ["positive", "normal"],
    exponents: [
      [-15, 15],
      [-9, 1],
    ],
  },
  minimum: {
    run: minimum,
    value: Math.min,
    slopes: (a, b) => [share(a < b, a === b), share(b < a, a === b)],
    ties: signs,
  },
  maximum: {
    run: maximum,
    value: Math.max,
    slopes: (a, b) => [share(a > b, a === b), share(b > a, a === b)],
    ties: signs,
  },
  squaredDifference: {
    run: squaredDifference,
    value: (a, b) => (a - b) ** 2,
    slopes: (a, b) => [2 * (a - b), 2 * (b - a)],
  },
  atan2: {
    run: atan2,
    value: Math.atan2,
    slopes: (a, b) => [b / (a * a + b * b), -a / (a * a + b * b)],
  },
};

/** Comparisons, which know ties of both zeros. */
export const masks: Record<string, Binary> = {
  less: { run: less, value: (a, b) => Number(a < b) },
  lessEqual: { run: lessEqual, value: (a, b) => Number(a <= b) },
  greater: { run: greater, value: (a, b) => Number(a > b) },
  greaterEqual: { run: greaterEqual, value: (a, b) => Number(a >= b) },
  equal: { run: equal, value: (a, b) => Number(a === b) },
  notEqual: { run: notEqual, value: (a, b) => Number(a !== b) },
};

export function binaryCase(
  op: string,
  a: number[],
  b: number[],
  dtype: DType = "f32",
  bench = false,
): OpCase {
  const { run, value, slopes, draws = ["normal", "normal"] } = (binaryOps[op] ?? masks[op])!;
  const { size, at } = places(a, b);
  const valueAt = ([x, y]: Float64Array[], index: number) => {
    const [i, j] = at(index);
    return value(x![i!]!, y![j!]!);
  };
  return {
    name: `${op} ${named(a, b)} ${dtype}`,
    inputs: [
      { name: "a", shape: a, dtype, draw: draws[0] },
      { name: "b", shape: b, dtype, draw: draws[1] },
    ],
    run: ([x, y]) => run(x!, y!),
    reference: (values) => Float64Array.from({ length: size }, (_, index) => valueAt(values, index)),
    ...(slopes && {
      gradients: ([x, y]: Float64Array[], dy: Float64Array) => {
        const dx = new Float64Array(x!.length);
        const dOther = new Float64Array(y!.length);
        dy.forEach((incoming, index) => {
          const [i, j] = at(index) as [number, number];
          const [byA, byB] = slopes(x![i]!, y![j]!);
          dx[i]! += incoming * byA;
          dOther[j]! += incoming * byB;
        });
        return [dx, dOther];
      },
    }),
    ...(bench ? { bench: op === "add" || op === "mul" ? { torch: { op } } : {}, referenceAt: valueAt } : {}),
  };
}

export function binaryAtAllSizes(op: string): OpCase {
  const opCase = binaryCase(op, [5, 44], [5, 44]);
  const { exponents } = binaryOps[op]!;
  return {
    ...opCase,
    name: `${opCase.name} of ${exponents ? "many sizes" : "2^-15 to 2^15"}`,
    inputs: opCase.inputs.map((input, i) => ({
      ...input,
      draw: magnitudes(exponents?.[i as 0 | 1] ?? [-15, 15], op === "pow" ? i === 0 : i > 0),
    })),
    each: true,
    differences: false,
  };
}

export function binaryAtTies(op: string, ties: Draw, dtype: DType): OpCase {
  const opCase = binaryCase(op, [9, 13], [13], dtype);
  const inputs = opCase.inputs.map((input) => ({ ...input, draw: ties }));
  return { ...opCase, name: `${opCase.name} at ties`, inputs, differences: false };
}

/** A number in place of one operand, forward and backward. */
export function withNumber(
  op: string,
  dtype: DType,
  run: (x: Tensor) => Tensor,
  by: (x: number) => Operand64,
): OpCase {
  return {
    name: `${op} a number, ${dtype}`,
    inputs: [{ name: "x", shape: [5, 7], dtype, draw: "positive" }],
    run: ([x]) => run(x!),
    reference: ([x]) => x!.map((at) => by(at)[0]),
    gradients: ([x], dy) => [x!.map((at, i) => dy[i]! * by(at)[1])],
  };
}
type Operand64 = [value: number, slope: number];

export function whereCase(shapes: [number[], number[], number[]], dtype: DType = "f32"): OpCase {
  const { size, at } = places(...shapes);
  const [condition, a, b] = shapes;
  const floating = dtype === "f32" || dtype === "f16";
  const draw = floating ? {} : { draw: everyWhole(dtype) };
  const input = (name: string, shape: number[]) => ({ name, shape, dtype, ...draw });
  return {
    name: `where ${named(...shapes)} ${dtype}`,
    inputs: [
      { name: "condition", shape: condition, dtype: "u32", draw: { below: 3 } },
      input("a", a),
      input("b", b),
    ],
    run: ([c, x, y]) => where(c!, x!, y!),
    reference: ([c, x, y]) =>
      Float64Array.from({ length: size }, (_, index) => {
        const [k, i, j] = at(index) as [number, number, number];
        return c![k] ? x![i]! : y![j]!;
      }),
    ...(floating
      ? {
          gradients: ([c, x, y]: Float64Array[], dy: Float64Array) => {
            const dx = new Float64Array(x!.length);
            const dOther = new Float64Array(y!.length);
            dy.forEach((incoming, index) => {
              const [k, i, j] = at(index) as [number, number, number];
              if (c![k]) dx[i]! += incoming;
              else dOther[j]! += incoming;
            });
            return [null, dx, dOther];
          },
        }
      : { tolerance: 0 }),
  };
}

/** Exact in float64 up to the wrap around 2^32, but for products, which are not. */
export const integerOps: Record<
  string,
  { run(a: Tensor, b: Tensor): Tensor; value(a: number, b: number): number }
> = {
  add: { run: add, value: (a, b) => a + b },
  sub: { run: sub, value: (a, b) => a - b },
  mul: { run: mul, value: Math.imul },
  div: { run: div, value: (a, b) => (b === 0 ? a : Math.trunc(a / b)) },
  mod: { run: arithmetic.mod, value: (a, b) => (b === 0 ? 0 : a - Math.floor(a / b) * b) },
  minimum: { run: minimum, value: Math.min },
  maximum: { run: maximum, value: Math.max },
  bitAnd: { run: arithmetic.bitAnd, value: (a, b) => a & b },
  bitOr: { run: arithmetic.bitOr, value: (a, b) => a | b },
  bitXor: { run: arithmetic.bitXor, value: (a, b) => a ^ b },
  shiftLeft: { run: arithmetic.shiftLeft, value: (a, b) => (b > 31 ? 0 : a << b) },
  shiftRight: { run: arithmetic.shiftRight, value: (a, b) => Math.floor(a / 2 ** b) },
  ...masks,
};

/** Integers of all sizes, or small ones that tie; of shifts the amount is small. */
export function integerCase(
  op: string,
  a: number[],
  b: number[],
  dtype: "u32" | "i32",
  small = false,
): OpCase {
  const { run, value } = integerOps[op]!;
  const { size, at } = places(a, b);
  const values: Draw = small ? { from: dtype === "i32" ? -3 : 0, below: 4 } : everyWhole(dtype);
  const amount: Draw = { below: 40 };
  return {
    name: `${op} ${named(a, b)} ${dtype}${small ? ", small" : ""}`,
    inputs: [
      { name: "a", shape: a, dtype, draw: values },
      { name: "b", shape: b, dtype, draw: op.startsWith("shift") ? amount : values },
    ],
    run: ([x, y]) => run(x!, y!),
    reference: ([x, y]) =>
      Float64Array.from({ length: size }, (_, index) => {
        const [i, j] = at(index) as [number, number];
        const result = value(x![i]!, y![j]!);
        return op in masks ? result : wrapped(dtype, result);
      }),
    tolerance: 0,
  };
}

/** A factor that no gradient reaches. */
export function detachCase(shape: number[]): OpCase {
  return {
    name: `detach ${shape.join("x")} f32`,
    inputs: [{ name: "x", shape }],
    run: ([x]) => mul(x!, detach(x!)),
    reference: ([x]) => x!.map((at) => at * at),
    gradients: ([x], dy) => [x!.map((at, i) => at * dy[i]!)],
    differences: false,
  };
}
