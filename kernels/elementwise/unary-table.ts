// What the functions of one tensor are in WGSL, with their slopes, a constant each: an app loads those that it calls.

import {
  gelu as geluFunctions,
  hyperbolic,
  integers,
  type Library,
  logarithms,
  nan,
  order,
  power,
  sigmoid as sigmoidFunctions,
  trigonometry,
} from "../lib/library.ts";

export interface Definition {
  name: string;
  /** From `x`, a `Wide`, vec4f unless it is of all; `params.…` are the numbers that the function goes with, of that kind each. */
  value: string;
  /** Absent for those of floats. */
  of?: "all" | "integers";
  /** Of `x`, or of the result `y` where that is simpler: backward keeps whichever is named. */
  slope: string;
  /** Floating-point operations of a value and of a slope; GELU's are mostly those of erf, 25. */
  work: readonly [value: number, slope: number];
  /** What has the functions that both call. */
  uses?: readonly Library[];
}

export const exp: Definition = { name: "exp", value: "exp(x)", slope: "y", work: [1, 0] };
export const expm1: Definition = {
  name: "expm1",
  value: "expMinusOne(x)",
  slope: "exp(x)",
  work: [18, 1],
  uses: [logarithms],
};
export const log: Definition = { name: "log", value: "log(x)", slope: "1.0 / x", work: [1, 1] };
export const log1p: Definition = {
  name: "log1p",
  value: "logOnePlus(x)",
  slope: "1.0 / (1.0 + x)",
  work: [22, 2],
  uses: [logarithms],
};
export const sqrt: Definition = { name: "sqrt", value: "sqrt(x)", slope: "0.5 / y", work: [1, 1] };
export const rsqrt: Definition = {
  name: "rsqrt",
  value: "inverseSqrt(x)",
  slope: "-0.5 * y * y * y",
  work: [1, 3],
};
export const square: Definition = {
  name: "square",
  value: "x * x",
  of: "all",
  slope: "2.0 * x",
  work: [1, 1],
};
export const reciprocal: Definition = {
  name: "reciprocal",
  value: "1.0 / x",
  slope: "-y * y",
  work: [1, 2],
};
export const abs: Definition = {
  name: "abs",
  value: "sizeOf(x)",
  of: "all",
  slope: "signOf(x)",
  work: [1, 1],
  uses: [integers, order],
};
export const sign: Definition = {
  name: "sign",
  value: "signOf(x)",
  of: "all",
  slope: "0.0",
  work: [1, 0],
  uses: [integers, order],
};
/** Of floats it is a product with -1. */
export const negative: Definition = {
  name: "neg",
  value: "Wide() - x",
  of: "integers",
  slope: "0.0",
  work: [1, 0],
};
export const floor: Definition = { name: "floor", value: "floor(x)", slope: "0.0", work: [1, 0] };
export const ceil: Definition = { name: "ceil", value: "ceil(x)", slope: "0.0", work: [1, 0] };
export const round: Definition = { name: "round", value: "round(x)", slope: "0.0", work: [1, 0] };
export const sin: Definition = {
  name: "sin",
  value: "sineOf(x)",
  slope: "cosineOf(x)",
  work: [18, 18],
  uses: [trigonometry],
};
export const cos: Definition = {
  name: "cos",
  value: "cosineOf(x)",
  slope: "-sineOf(x)",
  work: [18, 19],
  uses: [trigonometry],
};
export const tan: Definition = {
  name: "tan",
  value: "sineOf(x) / cosineOf(x)",
  slope: "1.0 + y * y",
  work: [37, 2],
  uses: [trigonometry],
};
export const asin: Definition = {
  name: "asin",
  value: "arc(x, sqrt((1.0 - x) * (1.0 + x)))",
  slope: "inverseSqrt((1.0 - x) * (1.0 + x))",
  work: [22, 4],
  uses: [trigonometry],
};
export const acos: Definition = {
  name: "acos",
  value: "arc(sqrt((1.0 - x) * (1.0 + x)), x)",
  slope: "-inverseSqrt((1.0 - x) * (1.0 + x))",
  work: [22, 5],
  uses: [trigonometry],
};
export const atan: Definition = {
  name: "atan",
  value: "arc(x, vec4f(1.0))",
  slope: "1.0 / (1.0 + x * x)",
  work: [18, 3],
  uses: [trigonometry],
};
export const sinh: Definition = {
  name: "sinh",
  value: "sinhOf(x)",
  slope: "coshOf(x)",
  work: [39, 4],
  uses: [hyperbolic],
};
export const cosh: Definition = {
  name: "cosh",
  value: "coshOf(x)",
  slope: "sinhOf(x)",
  work: [4, 39],
  uses: [hyperbolic],
};
export const asinh: Definition = {
  name: "asinh",
  value: "arsinh(x)",
  slope: "arsinhSlope(x)",
  work: [30, 3],
  uses: [hyperbolic],
};
export const acosh: Definition = {
  name: "acosh",
  value: "arcosh(x)",
  slope: "inverseSqrt(x - 1.0) * inverseSqrt(x + 1.0)",
  work: [29, 4],
  uses: [hyperbolic],
};
export const atanh: Definition = {
  name: "atanh",
  value: "artanh(x)",
  slope: "1.0 / ((1.0 - x) * (1.0 + x))",
  work: [26, 4],
  uses: [hyperbolic],
};
export const erf: Definition = {
  name: "erf",
  value: "select(erf(x), x, areNan(x))",
  slope: "1.1283791670955126 * exp(-x * x)",
  work: [26, 3],
  uses: [geluFunctions, nan],
};
export const sigmoid: Definition = {
  name: "sigmoid",
  value: "sigmoid(x)",
  slope: "y * (1.0 - y)",
  work: [3, 2],
  uses: [sigmoidFunctions],
};
export const tanh: Definition = {
  name: "tanh",
  value: "accurateTanh(x)",
  slope: "1.0 - y * y",
  work: [5, 2],
  uses: [sigmoidFunctions],
};
export const softplus: Definition = {
  name: "softplus",
  value: "softplusOf(x)",
  slope: "sigmoid(x)",
  work: [25, 3],
  uses: [logarithms, sigmoidFunctions],
};
export const silu: Definition = {
  name: "silu",
  value: "x * sigmoid(x)",
  slope: "siluSlope(x)",
  work: [4, 7],
  uses: [sigmoidFunctions],
};
export const mish: Definition = {
  name: "mish",
  value: "x * accurateTanh(softplusOf(x))",
  slope: "mishSlope(x)",
  work: [31, 37],
  uses: [logarithms, sigmoidFunctions],
};
export const relu: Definition = {
  name: "relu",
  value: "select(x, vec4f(0.0), notPositive(x))",
  slope: "select(vec4f(1.0), vec4f(0.0), notPositive(x))",
  work: [1, 1],
  uses: [order],
};
export const leakyRelu: Definition = {
  name: "leakyRelu",
  value: "select(x, params.below * x, notPositive(x))",
  slope: "select(vec4f(1.0), vec4f(params.below), notPositive(x))",
  work: [2, 1],
  uses: [order],
};
export const elu: Definition = {
  name: "elu",
  value: "select(x, params.alpha * expMinusOne(x), notPositive(x))",
  slope: "select(vec4f(1.0), params.alpha * exp(x), notPositive(x))",
  work: [20, 3],
  uses: [logarithms, order],
};
export const gelu: Definition = {
  name: "gelu",
  value: "gelu(x)",
  slope: "geluSlope(x)",
  work: [29, 34],
  uses: [geluFunctions],
};
export const geluTanh: Definition = {
  name: "geluTanh",
  value: "x * sigmoid(geluTanhArgument(x))",
  slope: "geluTanhSlope(x)",
  work: [8, 14],
  uses: [sigmoidFunctions],
};
export const geluQuick: Definition = {
  name: "geluQuick",
  value: "x * sigmoid(1.702 * x)",
  slope: "geluQuickSlope(x)",
  work: [5, 8],
  uses: [sigmoidFunctions],
};
export const scale: Definition = {
  name: "scale",
  value: "x * params.operand",
  slope: "params.operand",
  work: [1, 0],
};
export const addScalar: Definition = {
  name: "addScalar",
  value: "x + params.operand",
  slope: "1.0",
  work: [1, 0],
};
export const powScalar: Definition = {
  name: "powScalar",
  value: "power(x, vec4f(params.operand))",
  slope: "powerSlope(x, vec4f(params.operand))",
  work: [24, 26],
  uses: [power],
};
export const minimumScalar: Definition = {
  name: "minimumScalar",
  value: "lesser(x, vec4f(params.operand))",
  slope: "lesserShare(x, vec4f(params.operand))",
  work: [1, 2],
  uses: [order],
};
export const maximumScalar: Definition = {
  name: "maximumScalar",
  value: "greater(x, vec4f(params.operand))",
  slope: "lesserShare(vec4f(params.operand), x)",
  work: [1, 2],
  uses: [order],
};
export const clamp: Definition = {
  name: "clamp",
  value: "greater(lesser(x, Wide(params.high)), Wide(params.low))",
  of: "all",
  slope: "select(vec4f(0.0), vec4f(1.0), within(x, params.low, params.high))",
  work: [2, 2],
  uses: [integers, order],
};
