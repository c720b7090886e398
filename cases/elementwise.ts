// Cases of the elementwise operations: every function, and broadcasting on both sides of what the kernel branches on
// (one long vector, groups of four, single elements, one to four dimensions).
import type { DType, Engine, Tensor } from "../engine/index.ts";
import { detach } from "../kernels/backward.ts";
import { accumulateInto, clampInPlace } from "../kernels/elementwise/accumulate.ts";
import * as arithmetic from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { packHalves, unpackHalves } from "../kernels/elementwise/halves.ts";
import * as functions from "../kernels/elementwise/unary.ts";
import { type Draw, type OpCase, roundToHalf } from "./case.ts";
import { erf, gelu, geluSlope, geluTanh, geluTanhSlope, roundToEven } from "./reference.ts";

interface Function {
  run(x: Tensor): Tensor;
  value(x: number): number;
  slope(x: number): number;
  draw?: Draw;
  /** Numbers where it ties or has a kink, which are then drawn as well. */
  kinks?: Draw;
  /**
   * Powers of two between which the results, and the slopes, are to be right to their last digits: where they don't
   * come of numbers that cancel.
   */
  exponents: [low: number, high: number];
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Zeros of both signs, ones and minus ones: what ties, and where relu has its kink. */
const signs: Draw = { at: (_, drawn) => Math.round(drawn) || (drawn < 0 ? -0 : 0) };
/** Whole numbers and those halfway between. */
const halves: Draw = { at: (_, drawn) => Math.round(4 * drawn) / 2 };
/** Numbers from -1 to 1 that are near neither. */
const inside: Draw = { at: (_, drawn) => 0.9 * Math.tanh(drawn) };
/** Numbers that are away from both, where steps are. */
const offSteps: Draw = { at: (_, drawn) => (2 * Math.round(64 * drawn) + 1) / 128 };

export const unaryOps: Record<string, Function> = {
  exp: { run: functions.exp, value: Math.exp, slope: Math.exp, exponents: [-20, 3] },
  log: {
    run: functions.log,
    value: Math.log,
    slope: (x) => 1 / x,
    draw: "positive",
    exponents: [-30, -1],
  },
  expm1: { run: functions.expm1, value: Math.expm1, slope: Math.exp, exponents: [-20, 3] },
  log1p: {
    run: functions.log1p,
    value: Math.log1p,
    slope: (x) => 1 / (1 + x),
    draw: { at: (_, drawn) => Math.abs(drawn) - 0.75 },
    exponents: [-20, -1],
  },
  rsqrt: {
    run: functions.rsqrt,
    value: (x) => 1 / Math.sqrt(x),
    slope: (x) => -0.5 / (x * Math.sqrt(x)),
    draw: "positive",
    exponents: [-40, 40],
  },
  abs: {
    run: functions.abs,
    value: Math.abs,
    slope: Math.sign,
    kinks: signs,
    exponents: [-30, 30],
  },
  sign: { run: functions.sign, value: Math.sign, slope: () => 0, kinks: signs, exponents: [-30, 30] },
  floor: {
    run: functions.floor,
    value: Math.floor,
    slope: () => 0,
    draw: offSteps,
    kinks: halves,
    exponents: [-3, 23],
  },
  ceil: {
    run: functions.ceil,
    value: Math.ceil,
    slope: () => 0,
    draw: offSteps,
    kinks: halves,
    exponents: [-3, 23],
  },
  round: {
    run: functions.round,
    value: roundToEven,
    slope: () => 0,
    draw: offSteps,
    kinks: halves,
    exponents: [-3, 23],
  },
  sin: { run: functions.sin, value: Math.sin, slope: Math.cos, exponents: [-20, 0.5] },
  cos: { run: functions.cos, value: Math.cos, slope: (x) => -Math.sin(x), exponents: [-20, 0.5] },
  tan: {
    run: functions.tan,
    value: Math.tan,
    slope: (x) => 1 + Math.tan(x) ** 2,
    draw: inside,
    exponents: [-20, 0.5],
  },
  asin: {
    run: functions.asin,
    value: Math.asin,
    slope: (x) => 1 / Math.sqrt(1 - x * x),
    draw: inside,
    exponents: [-20, -0.01],
  },
  acos: {
    run: functions.acos,
    value: Math.acos,
    slope: (x) => -1 / Math.sqrt(1 - x * x),
    draw: inside,
    exponents: [-20, -0.01],
  },
  atan: { run: functions.atan, value: Math.atan, slope: (x) => 1 / (1 + x * x), exponents: [-20, 20] },
  sinh: { run: functions.sinh, value: Math.sinh, slope: Math.cosh, exponents: [-20, 6] },
  cosh: { run: functions.cosh, value: Math.cosh, slope: Math.sinh, exponents: [-20, 6] },
  asinh: {
    run: functions.asinh,
    value: Math.asinh,
    slope: (x) => 1 / Math.sqrt(1 + x * x),
    exponents: [-20, 100],
  },
  acosh: {
    run: functions.acosh,
    value: Math.acosh,
    slope: (x) => 1 / Math.sqrt(x * x - 1),
    draw: { at: (_, drawn) => 1.25 + Math.abs(drawn) },
    exponents: [0.3, 100],
  },
  atanh: {
    run: functions.atanh,
    value: Math.atanh,
    slope: (x) => 1 / (1 - x * x),
    draw: inside,
    exponents: [-20, -0.1],
  },
  mish: {
    run: functions.mish,
    value: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
    slope: (x) => {
      const t = Math.tanh(Math.log1p(Math.exp(x)));
      return t + x * sigmoid(x) * (1 - t * t);
    },
    exponents: [-20, 0],
  },
  erf: {
    run: functions.erf,
    value: erf,
    slope: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x),
    exponents: [-20, 1.5],
  },
  sqrt: {
    run: functions.sqrt,
    value: Math.sqrt,
    slope: (x) => 0.5 / Math.sqrt(x),
    draw: "positive",
    exponents: [-40, 40],
  },
  neg: { run: functions.neg, value: (x) => -x, slope: () => -1, exponents: [-30, 30] },
  sigmoid: {
    run: functions.sigmoid,
    value: sigmoid,
    slope: (x) => sigmoid(x) * (1 - sigmoid(x)),
    exponents: [-20, 1],
  },
  tanh: { run: functions.tanh, value: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2, exponents: [-20, 1] },
  relu: {
    run: functions.relu,
    value: (x) => Math.max(x, 0),
    slope: (x) => (x > 0 ? 1 : 0),
    kinks: signs,
    exponents: [-30, 30],
  },
  leakyRelu: {
    run: (x) => functions.leakyRelu(x, 0.25),
    value: (x) => (x > 0 ? x : 0.25 * x),
    slope: (x) => (x > 0 ? 1 : 0.25),
    kinks: signs,
    exponents: [-30, 30],
  },
  elu: {
    run: (x) => functions.elu(x, 1.5),
    value: (x) => (x > 0 ? x : 1.5 * Math.expm1(x)),
    slope: (x) => (x > 0 ? 1 : 1.5 * Math.exp(x)),
    kinks: signs,
    exponents: [-20, 3],
  },
  silu: {
    run: functions.silu,
    value: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    exponents: [-20, 0],
  },
  softplus: {
    run: functions.softplus,
    value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    slope: sigmoid,
    exponents: [-20, 4],
  },
  gelu: { run: functions.gelu, value: gelu, slope: geluSlope, exponents: [-20, 0] },
  geluTanh: { run: functions.geluTanh, value: geluTanh, slope: geluTanhSlope, exponents: [-20, 0] },
  geluQuick: {
    run: functions.geluQuick,
    value: (x) => x * sigmoid(1.702 * x),
    slope: (x) => sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x))),
    exponents: [-20, 0],
  },
  square: { run: functions.square, value: (x) => x * x, slope: (x) => 2 * x, exponents: [-30, 30] },
  reciprocal: {
    run: functions.reciprocal,
    value: (x) => 1 / x,
    slope: (x) => -1 / (x * x),
    draw: "positive",
    exponents: [-30, 30],
  },
  scale: {
    run: (x) => functions.scale(x, -2.5),
    value: (x) => -2.5 * x,
    slope: () => -2.5,
    exponents: [-30, 30],
  },
  addScalar: {
    run: (x) => functions.addScalar(x, 0.75),
    value: (x) => x + 0.75,
    slope: () => 1,
    exponents: [-30, -2],
  },
  "pow 2.5": {
    run: (x) => arithmetic.pow(x, 2.5),
    value: (x) => x ** 2.5,
    slope: (x) => 2.5 * x ** 1.5,
    draw: "positive",
    exponents: [-20, 20],
  },
  "pow -3": {
    run: (x) => arithmetic.pow(x, -3),
    value: (x) => x ** -3,
    slope: (x) => -3 * x ** -4,
    draw: { at: (_, drawn) => drawn + Math.sign(drawn) },
    exponents: [-20, 20],
  },
  "pow 2": {
    run: (x) => arithmetic.pow(x, 2),
    value: (x) => x * x,
    slope: (x) => 2 * x,
    exponents: [-20, 20],
  },
  "minimum with 0.5": {
    run: (x) => arithmetic.minimum(x, 0.5),
    value: (x) => Math.min(x, 0.5),
    slope: (x) => (x < 0.5 ? 1 : x > 0.5 ? 0 : 0.5),
    kinks: halves,
    exponents: [-30, 30],
  },
  "maximum with -0.5": {
    run: (x) => arithmetic.maximum(x, -0.5),
    value: (x) => Math.max(x, -0.5),
    slope: (x) => (x > -0.5 ? 1 : x < -0.5 ? 0 : 0.5),
    kinks: halves,
    exponents: [-30, 30],
  },
  clamp: {
    run: (x) => functions.clamp(x, -0.5, 1),
    value: (x) => Math.min(Math.max(x, -0.5), 1),
    slope: (x) => (x >= -0.5 && x <= 1 ? 1 : 0),
    kinks: halves,
    exponents: [-30, 30],
  },
  "clamp below": {
    run: (x) => functions.clamp(x, undefined, 0.25),
    value: (x) => Math.min(x, 0.25),
    slope: (x) => (x <= 0.25 ? 1 : 0),
    exponents: [-30, 30],
  },
};

export const unaryNames = Object.keys(unaryOps);

/** Numbers between two powers of two, as many of each size, of both signs unless told. */
const magnitudes = ([low, high]: readonly [number, number], positive = false): Draw => ({
  at: (i, drawn) =>
    (positive || drawn > 0 ? 1 : -1) * 2 ** (low + (high - low) * ((i * 0.6180339887498949) % 1)),
});

export function unaryCase(op: string, shape: number[], dtype: DType = "f32", bench = false): OpCase {
  const { run, value, slope, draw } = unaryOps[op]!;
  return {
    name: `${op} ${shape.join("x") || "scalar"} ${dtype}`,
    inputs: [{ name: "x", shape, dtype, draw }],
    run: ([x]) => run(x!),
    reference: ([x]) => x!.map(value),
    gradients: ([x], dy) => [x!.map((at, i) => dy[i]! * slope(at))],
    ...(bench
      ? {
          bench: op === "gelu" ? { peer: { op } } : {},
          referenceAt: ([x], index) => value(x![index]!),
        }
      : {}),
  };
}

/** A function at numbers of all sizes, each result held against its own size. */
function unaryAtAllSizes(op: string): OpCase {
  const { draw, exponents } = unaryOps[op]!;
  const opCase = unaryCase(op, [7, 60]);
  return {
    ...opCase,
    name: `${opCase.name} of 2^${exponents.join(" to 2^")}`,
    inputs: [
      { name: "x", shape: [7, 60], draw: magnitudes(exponents, draw === "positive" || op === "acosh") },
    ],
    each: true,
    differences: false,
  };
}

/** A function at the numbers where it ties or has a kink, which no central difference can hold it to. */
function unaryAtKinks(op: string, dtype: DType): OpCase[] {
  const { kinks } = unaryOps[op]!;
  const opCase = unaryCase(op, [6, 9], dtype);
  const inputs = [{ name: "x", shape: [6, 9], dtype, draw: kinks }];
  return kinks ? [{ ...opCase, name: `${opCase.name} at kinks`, inputs, differences: false }] : [];
}

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

/** The shape of the result, and which elements of the operands belong to each of its elements. */
export function places(...shapes: number[][]): {
  shape: number[];
  size: number;
  at(index: number): number[];
} {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const padded = shapes.map((shape) => [...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const out = Array.from({ length: rank }, (_, d) => {
    const extents = padded.map((shape) => shape[d]!);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
  const locate = (shape: number[], index: number) => {
    let rest = index;
    let stride = 1;
    let at = 0;
    for (let d = rank - 1; d >= 0; d--) {
      const coordinate = rest % out[d]!;
      rest = Math.floor(rest / out[d]!);
      if (shape[d] !== 1) at += coordinate * stride;
      stride *= shape[d]!;
    }
    return at;
  };
  return {
    shape: out,
    size: out.reduce((product, extent) => product * extent, 1),
    at: (index) => padded.map((shape) => locate(shape, index)),
  };
}

export const named = (...shapes: number[][]) => shapes.map((shape) => shape.join("x") || "scalar").join();

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

function binaryAtAllSizes(op: string): OpCase {
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

function binaryAtTies(op: string, ties: Draw, dtype: DType): OpCase {
  const opCase = binaryCase(op, [9, 13], [13], dtype);
  const inputs = opCase.inputs.map((input) => ({ ...input, draw: ties }));
  return { ...opCase, name: `${opCase.name} at ties`, inputs, differences: false };
}

/** A number in place of one operand, forward and backward. */
function withNumber(
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
  const draw: Draw = dtype === "i32" ? { from: -(2 ** 31), below: 2 ** 31 } : { below: 2 ** 32 };
  const input = (name: string, shape: number[]) => ({ name, shape, dtype, ...(floating ? {} : { draw }) });
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

/** What integers are modulo 2^32, as u32 or as i32. */
const integer = (dtype: DType, value: number) => (dtype === "u32" ? value >>> 0 : value | 0);

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
  const signed = dtype === "i32";
  const few: Draw = { from: signed ? -3 : 0, below: 4 };
  const all: Draw = signed ? { from: -(2 ** 31), below: 2 ** 31 } : { below: 2 ** 32 };
  const amount: Draw = { below: 40 };
  return {
    name: `${op} ${named(a, b)} ${dtype}${small ? ", small" : ""}`,
    inputs: [
      { name: "a", shape: a, dtype, draw: small ? few : all },
      { name: "b", shape: b, dtype, draw: op.startsWith("shift") ? amount : small ? few : all },
    ],
    run: ([x, y]) => run(x!, y!),
    reference: ([x, y]) =>
      Float64Array.from({ length: size }, (_, index) => {
        const [i, j] = at(index) as [number, number];
        const result = value(x![i]!, y![j]!);
        return op in masks ? result : integer(dtype, result);
      }),
    tolerance: 0,
  };
}

/** Between integers and floats: to floats the nearest, to integers toward zero within their range. */
export function integerCastCase(shape: number[], from: DType, to: DType, draw: Draw): OpCase {
  const range = to === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  const floats = (dtype: DType) => dtype === "f32" || dtype === "f16";
  const toInteger = (x: number) =>
    floats(from) ? Math.min(Math.max(Math.trunc(x) || 0, range[0]!), range[1]!) : integer(to, x);
  return {
    name: `cast ${shape.join("x")} to ${to} ${from}`,
    inputs: [{ name: "x", shape, dtype: from, draw, grad: false }],
    ...(to === "f16" && { half: true }),
    run: ([x]) => cast(x!, to),
    reference: ([x]) =>
      x!.map(to === "f32" ? Math.fround : to === "f16" ? (at) => roundToHalf(Math.fround(at)) : toInteger),
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

export function castCase(shape: number[], from: DType, to: DType, bench = false): OpCase {
  return {
    name: `cast ${shape.join("x")} to ${to} ${from}`,
    inputs: [{ name: "x", shape, dtype: from }],
    half: true,
    run: ([x]) => cast(x!, to),
    reference: ([x]) => x!.slice(),
    gradients: (_, dy) => [dy],
    // One side or the other has the 11 bits of f16, gradient and weights as well.
    tolerance: 2e-3,
    ...(bench ? { bench: { torch: { op: "cast", to } }, referenceAt: ([x], index) => x![index]! } : {}),
  };
}

/** Magnitudes of binary16 from its least normal number to far beyond its largest, of either sign. */
const wideHalves: Draw = {
  at: (i, drawn) => Math.sign(drawn) * 2 ** (-14 + 36 * ((i * 0.6180339887498949) % 1)),
};

/** There and back, as how a number is rounded is left to the adapter: to either of its neighbours. */
export function packHalvesCase(shape: number[], draw: Draw): OpCase {
  return {
    name: `packHalves ${shape.join("x")}${draw === "normal" ? "" : " to beyond the largest"} f32`,
    inputs: [{ name: "x", shape, draw, grad: false }],
    run: ([x]) => unpackHalves(packHalves(x!), shape),
    reference: ([x]) => x!.map((value) => Math.min(Math.max(value, -65504), 65504)),
    tolerance: 2 ** -10,
    ...(draw !== "normal" && { each: true }),
  };
}

/** Any words, whose exponents are made odd and small, as WGSL leaves open what becomes of subnormals, infinity and NaN. */
export function unpackHalvesCase(shape: number[], dtype: "f32" | "f16" = "f32"): OpCase {
  const words = shape.reduce((a, b) => a * b, 1) / 2;
  return {
    name: `unpackHalves ${shape.join("x")}${dtype === "f16" ? " to f16" : ""}`,
    half: dtype === "f16",
    inputs: [{ name: "words", shape: [words], dtype: "u32", draw: { below: 2 ** 32 } }],
    run: ([drawn], engine) => {
      const word = (value: number) => engine.tensor(Uint32Array.of(value), [], "u32");
      const normal = arithmetic.bitOr(arithmetic.bitAnd(drawn!, word(0xbbff_bbff)), word(0x0400_0400));
      return unpackHalves(normal, shape, dtype);
    },
    reference: ([drawn]) => {
      const halves = new Uint16Array(Uint32Array.from(drawn!).buffer);
      return Float64Array.from(halves, (half) => {
        const exponent = ((half >> 10) & 0b01111) | 1;
        return (half >> 15 ? -1 : 1) * (1 + (half & 0x3ff) / 1024) * 2 ** (exponent - 15);
      });
    },
    each: true,
    tolerance: 1e-7,
  };
}

/** In place on a part of a copy, as the table's inputs must stay as they are, and what follows the part must as well. */
export function clampCase(size: number, part: number): OpCase {
  return {
    name: `clampInPlace ${part} of ${size} f32`,
    inputs: [{ name: "x", shape: [size], grad: false }],
    run: ([x], engine: Engine) => {
      const copy = engine.empty(x!.shape);
      engine.copy(x!, copy);
      clampInPlace(engine.slice(copy, 0, [part]), -0.5, 0.25);
      return copy;
    },
    reference: ([x]) => x!.map((value, i) => (i < part ? Math.min(Math.max(value, -0.5), 0.25) : value)),
  };
}

/** In place as well; the sum in f32 of an f16 value, where `from` is f16. */
export function accumulateCase(size: number, part: number, dtype: DType = "f32", from = dtype): OpCase {
  return {
    name: `accumulateInto ${part} of ${size} ${dtype}, ${from} value`,
    inputs: [
      { name: "target", shape: [size], dtype, grad: false },
      { name: "value", shape: [part], dtype: from, grad: false },
    ],
    run: ([target, value], engine: Engine) => {
      const copy = engine.empty(target!.shape, dtype);
      engine.copy(target!, copy);
      accumulateInto(engine.slice(copy, 0, [part]), value!);
      return copy;
    },
    reference: ([target, value]) => target!.map((sum, i) => (i < part ? sum + value![i]! : sum)),
  };
}

export const elementwiseCases: OpCase[] = [
  // What functions share, the way over their elements, is one template: a few take it at all sizes.
  ...["exp", "gelu", "relu", "clamp"].flatMap((op) => [unaryCase(op, [7, 13]), unaryCase(op, [])]),
  unaryCase("exp", [3, 0]),
  ...Object.keys(unaryOps).flatMap((op) => [
    unaryCase(op, [3, 2, 700]),
    unaryCase(op, [5, 9], "f16"),
    unaryAtAllSizes(op),
    ...unaryAtKinks(op, "f32"),
    ...unaryAtKinks(op, "f16"),
  ]),
  // Numbers whose turns come from the first words of 2 / pi, from later ones, and from the last.
  ...["sin", "cos"].flatMap((op) =>
    (
      [
        [-1, 25],
        [25, 57],
        [57, 127],
      ] as const
    ).map(([low, high]) => ({
      ...unaryCase(op, [7, 60]),
      name: `${op} 7x60 f32 of 2^${low} to 2^${high}`,
      inputs: [{ name: "x", shape: [7, 60], draw: magnitudes([low, high]) }],
      differences: false,
    })),
  ),
  {
    ...binaryCase("pow", [7, 60], [7, 60]),
    name: "pow 7x60 f32 of 2^-40 to 2^40",
    inputs: [
      { name: "a", shape: [7, 60], draw: magnitudes([-40, 40], true) },
      { name: "b", shape: [7, 60], draw: magnitudes([-1, 1.5]) },
    ],
    gradients: undefined,
    each: true,
    tolerance: 1.5e-6,
  },
  unaryCase("gelu", [577, 3072], "f32", true),
  unaryCase("gelu", [577, 3072], "f16", true),
  ...["add", "div", "maximum"].flatMap((op) => [
    binaryCase(op, [5, 12], [12]),
    binaryCase(op, [0, 3], [3]),
    binaryCase(op, [2, 1], [2, 0]),
    binaryCase(op, [2, 1, 3, 1, 2, 1], [1, 3, 1, 2, 1, 5]),
    binaryCase(op, [12], [5, 12]),
    binaryCase(op, [5, 7], [7]),
    binaryCase(op, [5, 7], [5, 1]),
    binaryCase(op, [5, 8], [5, 1]),
    binaryCase(op, [9, 5], []),
    binaryCase(op, [4, 1], [1, 6]),
    binaryCase(op, [2, 1, 4, 8], [3, 1, 8]),
    binaryCase(op, [2, 3, 1, 1], [1, 1, 4, 6]),
    binaryCase(op, [3, 2, 8], [8], "f16"),
  ]),
  ...Object.keys(binaryOps).flatMap((op) => [
    binaryCase(op, [6, 7], [6, 7]),
    binaryCase(op, [2, 3, 4, 5], [3, 1, 5]),
    binaryCase(op, [3, 7], [3, 1], "f16"),
    binaryAtAllSizes(op),
  ]),
  ...Object.entries({ ...binaryOps, ...masks }).flatMap(([op, { ties, slopes }]) =>
    ties || !slopes ? [binaryAtTies(op, ties ?? signs, "f32"), binaryAtTies(op, ties ?? halves, "f16")] : [],
  ),
  ...Object.keys(masks).flatMap((op) => [
    binaryCase(op, [6, 7], [6, 7]),
    binaryCase(op, [5, 7], [5, 1]),
    binaryCase(op, [], []),
    binaryCase(op, [2, 3, 4, 5], [3, 1, 5], "f16"),
  ]),
  {
    // Whole multiples among them, of both signs.
    ...binaryCase("mod", [9, 12], [12]),
    name: "mod of whole numbers 9x12,12 f32",
    inputs: [
      { name: "a", shape: [9, 12], draw: { from: -6, below: 7 } },
      {
        name: "b",
        shape: [12],
        draw: { at: (i: number) => [1, -1, 2, -2, 3, -3, 0.5, -0.5, 4, 5, -4, -6][i % 12]! },
      },
    ],
    differences: false,
  },
  {
    ...binaryCase("pow", [7, 11], [7, 11]),
    name: "pow 7x11 f32 of whole numbers",
    // No logarithm of what is not positive: the exponent's gradient is not asked for.
    inputs: [
      { name: "a", shape: [7, 11] },
      { name: "b", shape: [7, 11], draw: { from: -3, below: 4 }, grad: false },
    ],
    gradients: ([x, y], dy) => [x!.map((at, i) => dy[i]! * y![i]! * at ** (y![i]! - 1)), null],
  },
  ...(["f32", "f16"] as const).flatMap((dtype) => [
    withNumber(
      "sub from",
      dtype,
      (x) => sub(1.5, x),
      (x) => [1.5 - x, -1],
    ),
    withNumber(
      "div of",
      dtype,
      (x) => div(0.75, x),
      (x) => [0.75 / x, -0.75 / (x * x)],
    ),
    withNumber(
      "mul by",
      dtype,
      (x) => mul(x, -2.5),
      (x) => [-2.5 * x, -2.5],
    ),
    withNumber(
      "where or",
      dtype,
      (x) => where(less(x, 0.5), x, 0.25),
      (x) => [x < 0.5 ? x : 0.25, x < 0.5 ? 1 : 0],
    ),
  ]),
  ...(["f32", "f16", "u32", "i32"] as const).flatMap((dtype) => [
    whereCase(
      [
        [5, 8],
        [5, 8],
        [5, 8],
      ],
      dtype,
    ),
    whereCase([[5, 1], [7], [5, 7]], dtype),
    whereCase([[3, 1, 4], [2, 1, 1, 1], []], dtype),
    whereCase([[], [6, 7], [6, 7]], dtype),
    whereCase([[1], [], []], dtype),
    whereCase([[700, 3], [700, 1], [3]], dtype),
  ]),
  ...(["u32", "i32"] as const).flatMap((dtype) =>
    Object.keys(integerOps).flatMap((op) => [
      integerCase(op, [7, 300], [7, 300], dtype),
      integerCase(op, [9, 40], [9, 1], dtype, true),
      ...(op === "sub"
        ? [
            integerCase(op, [5, 7], [7], dtype),
            integerCase(op, [2, 3, 1, 4], [3, 5, 1], dtype),
            integerCase(op, [], [1], dtype),
          ]
        : []),
    ]),
  ),
  ...(["u32", "i32"] as const).flatMap((dtype) => {
    const all: Draw = dtype === "i32" ? { from: -(2 ** 31), below: 2 ** 31 } : { below: 2 ** 32 };
    const beyond: Draw = { at: (i, drawn) => drawn * 2 ** (i % 35) };
    return [
      integerCastCase([7, 300], dtype, "f32", all),
      integerCastCase([7, 13], dtype, "f16", { from: dtype === "i32" ? -65000 : 0, below: 65000 }),
      integerCastCase([7, 300], "f32", dtype, beyond),
      integerCastCase([7, 13], "f16", dtype, { at: (i, drawn) => drawn * 2 ** (i % 14) }),
      integerCastCase([5, 7], dtype, dtype === "u32" ? "i32" : "u32", all),
    ];
  }),
  detachCase([5, 7]),
  binaryCase("add", [300, 1000], [1000]),
  // Beside a repeated dimension one of two elements that is not.
  binaryCase("mul", [3, 2, 5], [2, 1]),
  binaryCase("mul", [577, 3072], [577, 3072], "f32", true),
  binaryCase("add", [577, 3072], [3072], "f32", true),
  castCase([7, 13], "f32", "f16"),
  castCase([7, 13], "f16", "f32"),
  castCase([3, 1000], "f32", "f16"),
  castCase([3, 1000], "f16", "f32"),
  castCase([577, 3072], "f32", "f16", true),
  castCase([577, 3072], "f16", "f32", true),
  packHalvesCase([7, 12], "normal"),
  packHalvesCase([3, 1002], "normal"),
  packHalvesCase([5, 202], wideHalves),
  unpackHalvesCase([3, 14]),
  unpackHalvesCase([5, 900]),
  unpackHalvesCase([5, 90], "f16"),
  clampCase(91, 7),
  clampCase(2803, 2799),
  accumulateCase(11, 6),
  accumulateCase(3003, 2998),
  accumulateCase(17, 13, "f16"),
  accumulateCase(3003, 2997, "f32", "f16"),
];
