// Cases of the elementwise operations: every function, and broadcasting on both sides of what the kernel branches on
// (one long vector, groups of four, single elements, one to four dimensions).
import type { DType, Engine, Tensor } from "../engine/index.ts";
import { accumulateInto, clampInPlace } from "../kernels/elementwise/accumulate.ts";
import { add, div, mul, sub } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import * as functions from "../kernels/elementwise/unary.ts";
import type { Draw, OpCase } from "./case.ts";
import { gelu, geluSlope, geluTanh, geluTanhSlope } from "./reference.ts";

interface Function {
  run(x: Tensor): Tensor;
  value(x: number): number;
  slope(x: number): number;
  draw?: Draw;
  /**
   * Powers of two between which the results, and the slopes, are to be right to their last digits: where they don't
   * come of numbers that cancel.
   */
  exponents: [low: number, high: number];
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const unaryOps: Record<string, Function> = {
  exp: { run: functions.exp, value: Math.exp, slope: Math.exp, exponents: [-20, 3] },
  log: {
    run: functions.log,
    value: Math.log,
    slope: (x) => 1 / x,
    draw: "positive",
    exponents: [-30, -1],
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
    exponents: [-30, 30],
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
};

/** Numbers between two powers of two, as many of each size, of both signs unless told. */
const magnitudes = ([low, high]: [number, number], positive = false): Draw => ({
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
    inputs: [{ name: "x", shape: [7, 60], draw: magnitudes(exponents, draw === "positive") }],
    each: true,
    differences: false,
  };
}

/** Zeros of both signs, ones and minus ones: what ties, and where relu has its kink. */
const signs: Draw = { at: (_, drawn) => Math.round(drawn) || (drawn < 0 ? -0 : 0) };

interface Binary {
  run(a: Tensor, b: Tensor): Tensor;
  value(a: number, b: number): number;
  /** Derivatives by a and by b. */
  slopes(a: number, b: number): [number, number];
}

const binaryOps: Record<string, Binary> = {
  add: { run: add, value: (a, b) => a + b, slopes: () => [1, 1] },
  sub: { run: sub, value: (a, b) => a - b, slopes: () => [1, -1] },
  mul: { run: mul, value: (a, b) => a * b, slopes: (a, b) => [b, a] },
  div: { run: div, value: (a, b) => a / b, slopes: (a, b) => [1 / b, -a / (b * b)] },
};

/** The shape of the result, and which elements of a and b belong to each of its elements. */
function pairs(a: number[], b: number[]): { size: number; at(index: number): [number, number] } {
  const rank = Math.max(a.length, b.length);
  const padded = [a, b].map((shape) => [...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const out = padded[0]!.map((extent, d) => Math.max(extent, padded[1]![d]!));
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
    size: out.reduce((product, extent) => product * extent, 1),
    at: (index) => [locate(padded[0]!, index), locate(padded[1]!, index)],
  };
}

export function binaryCase(
  op: string,
  a: number[],
  b: number[],
  dtype: DType = "f32",
  bench = false,
): OpCase {
  const { run, value, slopes } = binaryOps[op]!;
  const { size, at } = pairs(a, b);
  const valueAt = ([x, y]: Float64Array[], index: number) => {
    const [i, j] = at(index);
    return value(x![i]!, y![j]!);
  };
  return {
    name: `${op} ${a.join("x") || "scalar"},${b.join("x") || "scalar"} ${dtype}`,
    inputs: [
      { name: "a", shape: a, dtype },
      { name: "b", shape: b, dtype, draw: op === "div" ? "positive" : "normal" },
    ],
    run: ([x, y]) => run(x!, y!),
    reference: (values) => Float64Array.from({ length: size }, (_, index) => valueAt(values, index)),
    gradients: ([x, y], dy) => {
      const dx = new Float64Array(x!.length);
      const dOther = new Float64Array(y!.length);
      dy.forEach((incoming, index) => {
        const [i, j] = at(index);
        const [byA, byB] = slopes(x![i]!, y![j]!);
        dx[i]! += incoming * byA;
        dOther[j]! += incoming * byB;
      });
      return [dx, dOther];
    },
    ...(bench ? { bench: op === "add" || op === "mul" ? { torch: { op } } : {}, referenceAt: valueAt } : {}),
  };
}

function binaryAtAllSizes(op: string): OpCase {
  const opCase = binaryCase(op, [5, 44], [5, 44]);
  return {
    ...opCase,
    name: `${opCase.name} of 2^-15 to 2^15`,
    inputs: opCase.inputs.map((input, i) => ({ ...input, draw: magnitudes([-15, 15], i > 0) })),
    each: true,
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

/** In place on a part of a copy, as the table's inputs must stay as they are, and what follows the part must as well. */
function clampCase(size: number, part: number): OpCase {
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
function accumulateCase(size: number, part: number, dtype: DType = "f32", from = dtype): OpCase {
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
  ...Object.keys(unaryOps).flatMap((op) => [
    unaryCase(op, [7, 13]),
    unaryCase(op, []),
    unaryCase(op, [3, 2, 700]),
    unaryCase(op, [5, 9], "f16"),
    unaryAtAllSizes(op),
  ]),
  {
    ...unaryCase("relu", [6, 9]),
    name: "relu 6x9 at zeros f32",
    inputs: [{ name: "x", shape: [6, 9], draw: signs }],
    differences: false,
  },
  unaryCase("gelu", [577, 3072], "f32", true),
  unaryCase("gelu", [577, 3072], "f16", true),
  ...Object.keys(binaryOps).flatMap((op) => [
    binaryCase(op, [6, 7], [6, 7]),
    binaryCase(op, [5, 12], [12]),
    binaryCase(op, [12], [5, 12]),
    binaryCase(op, [5, 7], [7]),
    binaryCase(op, [5, 7], [5, 1]),
    binaryCase(op, [5, 8], [5, 1]),
    binaryCase(op, [9, 5], []),
    binaryCase(op, [4, 1], [1, 6]),
    binaryCase(op, [2, 3, 4, 5], [3, 1, 5]),
    binaryCase(op, [2, 1, 4, 8], [3, 1, 8]),
    binaryCase(op, [2, 3, 1, 1], [1, 1, 4, 6]),
    binaryCase(op, [3, 2, 8], [8], "f16"),
    binaryCase(op, [3, 7], [3, 1], "f16"),
    binaryAtAllSizes(op),
  ]),
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
  clampCase(91, 7),
  clampCase(2803, 2799),
  accumulateCase(11, 6),
  accumulateCase(3003, 2998),
  accumulateCase(17, 13, "f16"),
  accumulateCase(3003, 2997, "f32", "f16"),
];
