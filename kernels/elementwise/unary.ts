// Functions of one tensor, element by element: one table of what they are in WGSL, with their slopes.
import { type ParamTypes, type Scalar, type Tensor, TensorError } from "../../engine/index.ts";
import { requireFloat } from "../lib/items.ts";
import { librariesOf } from "../lib/library.ts";
import { defineMap, runMap } from "./map.ts";

interface Definition {
  /** From `x`, a vec4f. */
  value: string;
  /** Of `x`, or of the result `y` where that is simpler: backward keeps whichever is named. */
  slope: string;
  /** Floating-point operations of a value and of a slope; GELU's are mostly those of erf, 25. */
  work: readonly [value: number, slope: number];
}

/** `params.…` are the numbers that an operation goes with, each an f32. */
const ops = {
  exp: { value: "exp(x)", slope: "y", work: [1, 0] },
  expm1: { value: "expMinusOne(x)", slope: "exp(x)", work: [18, 1] },
  log: { value: "log(x)", slope: "1.0 / x", work: [1, 1] },
  log1p: { value: "logOnePlus(x)", slope: "1.0 / (1.0 + x)", work: [22, 2] },
  sqrt: { value: "sqrt(x)", slope: "0.5 / y", work: [1, 1] },
  rsqrt: { value: "inverseSqrt(x)", slope: "-0.5 * y * y * y", work: [1, 3] },
  square: { value: "x * x", slope: "2.0 * x", work: [1, 1] },
  reciprocal: { value: "1.0 / x", slope: "-y * y", work: [1, 2] },
  abs: { value: "sizeOf(x)", slope: "signOf(x)", work: [1, 1] },
  sign: { value: "signOf(x)", slope: "0.0", work: [1, 0] },
  floor: { value: "floor(x)", slope: "0.0", work: [1, 0] },
  ceil: { value: "ceil(x)", slope: "0.0", work: [1, 0] },
  round: { value: "round(x)", slope: "0.0", work: [1, 0] },
  sin: { value: "sineOf(x)", slope: "cosineOf(x)", work: [18, 18] },
  cos: { value: "cosineOf(x)", slope: "-sineOf(x)", work: [18, 19] },
  tan: { value: "sineOf(x) / cosineOf(x)", slope: "1.0 + y * y", work: [37, 2] },
  asin: {
    value: "arc(x, sqrt((1.0 - x) * (1.0 + x)))",
    slope: "inverseSqrt((1.0 - x) * (1.0 + x))",
    work: [22, 4],
  },
  acos: {
    value: "arc(sqrt((1.0 - x) * (1.0 + x)), x)",
    slope: "-inverseSqrt((1.0 - x) * (1.0 + x))",
    work: [22, 5],
  },
  atan: { value: "arc(x, vec4f(1.0))", slope: "1.0 / (1.0 + x * x)", work: [18, 3] },
  sinh: { value: "sinhOf(x)", slope: "coshOf(x)", work: [39, 4] },
  cosh: { value: "coshOf(x)", slope: "sinhOf(x)", work: [4, 39] },
  asinh: { value: "arsinh(x)", slope: "arsinhSlope(x)", work: [30, 3] },
  acosh: { value: "arcosh(x)", slope: "inverseSqrt(x - 1.0) * inverseSqrt(x + 1.0)", work: [29, 4] },
  atanh: { value: "artanh(x)", slope: "1.0 / ((1.0 - x) * (1.0 + x))", work: [26, 4] },
  erf: {
    value: "select(erf(x), x, areNan(x))",
    slope: "1.1283791670955126 * exp(-x * x)",
    work: [26, 3],
  },
  sigmoid: { value: "sigmoid(x)", slope: "y * (1.0 - y)", work: [3, 2] },
  tanh: { value: "accurateTanh(x)", slope: "1.0 - y * y", work: [5, 2] },
  softplus: { value: "softplusOf(x)", slope: "sigmoid(x)", work: [25, 3] },
  silu: { value: "x * sigmoid(x)", slope: "siluSlope(x)", work: [4, 7] },
  mish: { value: "x * accurateTanh(softplusOf(x))", slope: "mishSlope(x)", work: [31, 37] },
  relu: {
    value: "select(x, vec4f(0.0), notPositive(x))",
    slope: "select(vec4f(1.0), vec4f(0.0), notPositive(x))",
    work: [1, 1],
  },
  leakyRelu: {
    value: "select(x, params.below * x, notPositive(x))",
    slope: "select(vec4f(1.0), vec4f(params.below), notPositive(x))",
    work: [2, 1],
  },
  elu: {
    value: "select(x, params.alpha * expMinusOne(x), notPositive(x))",
    slope: "select(vec4f(1.0), params.alpha * exp(x), notPositive(x))",
    work: [20, 3],
  },
  gelu: { value: "gelu(x)", slope: "geluSlope(x)", work: [29, 34] },
  geluTanh: { value: "x * sigmoid(geluTanhArgument(x))", slope: "geluTanhSlope(x)", work: [8, 14] },
  geluQuick: { value: "x * sigmoid(1.702 * x)", slope: "geluQuickSlope(x)", work: [5, 8] },
  scale: { value: "x * params.operand", slope: "params.operand", work: [1, 0] },
  addScalar: { value: "x + params.operand", slope: "1.0", work: [1, 0] },
  powScalar: {
    value: "power(x, vec4f(params.operand))",
    slope: "powerSlope(x, vec4f(params.operand))",
    work: [24, 26],
  },
  minimumScalar: {
    value: "lesser(x, vec4f(params.operand))",
    slope: "lesserShare(x, vec4f(params.operand))",
    work: [1, 2],
  },
  maximumScalar: {
    value: "greater(x, vec4f(params.operand))",
    slope: "lesserShare(vec4f(params.operand), x)",
    work: [1, 2],
  },
  clamp: {
    value: "greater(lesser(x, vec4f(params.high)), vec4f(params.low))",
    slope: "select(vec4f(0.0), vec4f(1.0), within(x, params.low, params.high))",
    work: [2, 2],
  },
} as const satisfies Record<string, Definition>;

type Op = keyof typeof ops;
/** Values of the `params.…` that an operation's expressions name. */
type Values = Readonly<Record<string, number | Scalar>>;

const mentions = (wgsl: string, name: string) => new RegExp(`\\b${name}\\b`).test(wgsl);

function kernelsOf(name: string, { value, slope, work }: Definition) {
  const define = (name: string, operands: string[], value: string, flops: number) => {
    const names = [...value.matchAll(/\bparams\.(\w+)/g)].map((match) => [match[1]!, "f32"] as const);
    const params: ParamTypes = Object.fromEntries(names);
    return defineMap({ name, operands, value, params, includes: librariesOf(value), flops });
  };
  const saved = ["x", "y"].find((name) => mentions(slope, name)) ?? null;
  return {
    value: define(name, ["x"], value, work[0]),
    // A slope of 1 or 0 needs none.
    slope: /^[01]\.0$/.test(slope)
      ? null
      : define(`${name}-slope`, ["dy", ...(saved ? [saved] : [])], `dy * (${slope})`, work[1] + 1),
    saved,
  };
}

const kernels = Object.fromEntries(
  Object.entries(ops).map(([op, definition]) => [op, kernelsOf(op, definition)]),
) as Record<Op, ReturnType<typeof kernelsOf>>;

export const unaryKernels = Object.values(kernels).flatMap(({ value, slope }) =>
  slope ? [value, slope] : [value],
);

function evaluate(op: Op, x: Tensor, params: Values = {}): Tensor {
  requireFloat(op, x);
  return runMap(kernels[op].value, [x], x.engine.empty(x.shape, x.dtype), params);
}

function apply(op: Op, x: Tensor, params?: Values): Tensor {
  const y = evaluate(op, x, params);
  return x.engine.record(op, y, [x], (dy) => [
    multiplyBySlope(op, dy, kernels[op].saved === "y" ? y : x, params),
  ]);
}

/**
 * dy · f'(saved), of the shape of `saved`, not recorded; `saved` is f's result where the table has the slope by `y`, else
 * its input; `dy` itself where the slope is 1. Throws TensorError where the sizes differ.
 */
export function multiplyBySlope(op: Op, dy: Tensor, saved: Tensor, params: Values = {}): Tensor {
  requireFloat(op, saved, dy);
  if (dy.size !== saved.size) throw new TensorError(`${op}: gradient ${dy} does not fit ${saved}.`);
  const { slope, saved: name } = kernels[op];
  const { engine, shape, dtype } = saved;
  if (!slope) return ops[op].slope === "1.0" ? dy : engine.zeros(shape, dtype);
  const result = engine.empty(shape, dtype);
  return runMap(slope, name ? [dy, saved] : [dy], result, params);
}

/** factor · x, not recorded. */
export const scaled = (x: Tensor, factor: number): Tensor => evaluate("scale", x, { operand: factor });

// Every function below takes f32 or f16 of any shape, gives the same shape and dtype and computes in f32. NaN stays NaN.

/** e^x */
export const exp = (x: Tensor): Tensor => apply("exp", x);
/** e^x - 1, exact near 0. */
export const expm1 = (x: Tensor): Tensor => apply("expm1", x);
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => apply("log", x);
/** ln(1 + x), exact near 0. */
export const log1p = (x: Tensor): Tensor => apply("log1p", x);
/** Square root. */
export const sqrt = (x: Tensor): Tensor => apply("sqrt", x);
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => apply("rsqrt", x);
/** x² */
export const square = (x: Tensor): Tensor => apply("square", x);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply("reciprocal", x);
/** -x */
export const neg = (x: Tensor): Tensor => apply("scale", x, { operand: -1 });
/** |x|, with slope 0 at 0. */
export const abs = (x: Tensor): Tensor => apply("abs", x);
/** 1, -1, or x itself where that is a zero. Its gradient is zero, as are those of the next three. */
export const sign = (x: Tensor): Tensor => apply("sign", x);
/** The largest whole number that is not above x. */
export const floor = (x: Tensor): Tensor => apply("floor", x);
/** The smallest whole number that is not below x. */
export const ceil = (x: Tensor): Tensor => apply("ceil", x);
/** The nearest whole number, of two the even one. */
export const round = (x: Tensor): Tensor => apply("round", x);
/** Sine; of any number right to 1e-7. */
export const sin = (x: Tensor): Tensor => apply("sin", x);
/** Cosine; of any number right to 1e-7. */
export const cos = (x: Tensor): Tensor => apply("cos", x);
/** Tangent, sine over cosine. */
export const tan = (x: Tensor): Tensor => apply("tan", x);
/** The angle from -pi / 2 to pi / 2 that has this sine; of x from -1 to 1. */
export const asin = (x: Tensor): Tensor => apply("asin", x);
/** The angle from 0 to pi that has this cosine; of x from -1 to 1. */
export const acos = (x: Tensor): Tensor => apply("acos", x);
/** The angle from -pi / 2 to pi / 2 that has this tangent. */
export const atan = (x: Tensor): Tensor => apply("atan", x);
/** Hyperbolic sine. */
export const sinh = (x: Tensor): Tensor => apply("sinh", x);
/** Hyperbolic cosine. */
export const cosh = (x: Tensor): Tensor => apply("cosh", x);
/** The number that has this hyperbolic sine. */
export const asinh = (x: Tensor): Tensor => apply("asinh", x);
/** The number from 0 on that has this hyperbolic cosine; of x from 1 on. */
export const acosh = (x: Tensor): Tensor => apply("acosh", x);
/** The number that has this hyperbolic tangent; of x from -1 to 1. */
export const atanh = (x: Tensor): Tensor => apply("atanh", x);
/** The error function, 2 / sqrt(pi) times the integral of e^(-t²) from 0 to x. */
export const erf = (x: Tensor): Tensor => apply("erf", x);
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => apply("sigmoid", x);
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => apply("tanh", x);
/** ln(1 + e^x) */
export const softplus = (x: Tensor): Tensor => apply("softplus", x);
/** x sigmoid(x), also called swish (Hendrycks and Gimpel, arXiv 1606.08415). */
export const silu = (x: Tensor): Tensor => apply("silu", x);
/** x tanh(softplus(x)) (Misra, arXiv 1908.08681). */
export const mish = (x: Tensor): Tensor => apply("mish", x);
/** max(x, 0), with slope 0 at 0 as in PyTorch. */
export const relu = (x: Tensor): Tensor => apply("relu", x);
/** x above 0, `below` · x else, with slope `below` at 0 as in PyTorch. */
export const leakyRelu = (x: Tensor, below: number | Scalar = 0.01): Tensor =>
  apply("leakyRelu", x, { below });
/** x above 0, alpha (e^x - 1) else (Clevert et al., arXiv 1511.07289), with slope alpha at 0 as in PyTorch. */
export const elu = (x: Tensor, alpha: number | Scalar = 1): Tensor => apply("elu", x, { alpha });
/** x Φ(x), the exact form (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = (x: Tensor): Tensor => apply("gelu", x);
/** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³))), GELU by its approximation (section 2 of the same). */
export const geluTanh = (x: Tensor): Tensor => apply("geluTanh", x);
/** x sigmoid(1.702 x), GELU as OpenAI's CLIP has it (the other approximation of the same section). */
export const geluQuick = (x: Tensor): Tensor => apply("geluQuick", x);
/** factor · x */
export const scale = (x: Tensor, factor: number | Scalar): Tensor => apply("scale", x, { operand: factor });
/** x + value */
export const addScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply("addScalar", x, { operand: value });
/** x^exponent as `pow` has it. */
export const powScalar = (x: Tensor, exponent: number | Scalar): Tensor =>
  apply("powScalar", x, { operand: exponent });
/** The smaller of x and a number, as `minimum` has it. */
export const minimumScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply("minimumScalar", x, { operand: value });
/** The larger of x and a number, as `maximum` has it. */
export const maximumScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply("maximumScalar", x, { operand: value });
/**
 * x limited to [low, high]; either may be left out or infinite. The gradient passes where x is within, ends included, as
 * in PyTorch. Throws TensorError where low is above high.
 */
export function clamp(x: Tensor, low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY): Tensor {
  if (!(low <= high)) throw new TensorError(`clamp: [${low}, ${high}] is no interval.`);
  return apply("clamp", x, { low, high });
}
