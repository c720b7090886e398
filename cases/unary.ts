// Cases of the functions of one tensor, each with its value and slope in float64; which are tried, and where, is in elementwise.ts.
import type { DType, Tensor } from "../engine/index.ts";
import * as arithmetic from "../kernels/elementwise/arithmetic.ts";
import * as functions from "../kernels/elementwise/unary.ts";
import type { Draw, OpCase } from "./case.ts";
import { halves, magnitudes, signs } from "./draws.ts";
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

/** Numbers from -1 to 1 that are near neither. */
const inside: Draw = { at: (_, drawn) => 0.9 * Math.tanh(drawn) };
/** Numbers away from whole ones and from those halfway between, where steps are. */
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
export function unaryAtAllSizes(op: string): OpCase {
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
export function unaryAtKinks(op: string, dtype: DType): OpCase[] {
  const { kinks } = unaryOps[op]!;
  const opCase = unaryCase(op, [6, 9], dtype);
  const inputs = [{ name: "x", shape: [6, 9], dtype, draw: kinks }];
  return kinks ? [{ ...opCase, name: `${opCase.name} at kinks`, inputs, differences: false }] : [];
}
