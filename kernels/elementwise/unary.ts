// Functions of one tensor, element by element: one table of what they are in WGSL, with their slopes.
import { type ParamTypes, type Tensor, TensorError } from "../../engine/index.ts";
import functionsSource from "../lib/functions.wgsl?raw";
import { requireFloat } from "../lib/items.ts";
import { defineMap, runMap } from "./map.ts";

interface Definition {
  /** From `x`, a vec4f. */
  value: string;
  /** Of `x`, or of the result `y` where that is simpler: backward keeps whichever is named. */
  slope: string;
  /** Floating-point operations of a value and of a slope; GELU's are mostly those of erf, 25. */
  work: readonly [value: number, slope: number];
}

/** `params.operand` is the number that an operation goes with. */
const ops = {
  exp: { value: "exp(x)", slope: "y", work: [1, 0] },
  log: { value: "log(x)", slope: "1.0 / x", work: [1, 1] },
  sqrt: { value: "sqrt(x)", slope: "0.5 / y", work: [1, 1] },
  sigmoid: { value: "sigmoid(x)", slope: "y * (1.0 - y)", work: [3, 2] },
  tanh: { value: "accurateTanh(x)", slope: "1.0 - y * y", work: [5, 2] },
  relu: {
    value: "select(x, vec4f(0.0), notPositive(x))",
    slope: "select(vec4f(1.0), vec4f(0.0), notPositive(x))",
    work: [1, 1],
  },
  gelu: { value: "gelu(x)", slope: "geluSlope(x)", work: [29, 34] },
  geluTanh: { value: "x * sigmoid(geluTanhArgument(x))", slope: "geluTanhSlope(x)", work: [8, 14] },
  geluQuick: { value: "x * sigmoid(1.702 * x)", slope: "geluQuickSlope(x)", work: [5, 8] },
  square: { value: "x * x", slope: "2.0 * x", work: [1, 1] },
  reciprocal: { value: "1.0 / x", slope: "-y * y", work: [1, 2] },
  scale: { value: "x * params.operand", slope: "params.operand", work: [1, 0] },
  addScalar: { value: "x + params.operand", slope: "1.0", work: [1, 0] },
} as const satisfies Record<string, Definition>;

type Op = keyof typeof ops;

const mentions = (wgsl: string, name: string) => new RegExp(`\\b${name}\\b`).test(wgsl);

function kernelsOf(name: string, { value, slope, work }: Definition) {
  const define = (name: string, operands: string[], value: string, flops: number) => {
    const params: ParamTypes = mentions(value, "operand") ? { operand: "f32" } : {};
    return defineMap({ name, operands, value, params, includes: [functionsSource], flops });
  };
  const saved = ["x", "y"].find((name) => mentions(slope, name)) ?? null;
  return {
    value: define(name, ["x"], value, work[0]),
    slope: define(`${name}-slope`, ["dy", ...(saved ? [saved] : [])], `dy * (${slope})`, work[1] + 1),
    saved,
  };
}

const kernels = Object.fromEntries(
  Object.entries(ops).map(([op, definition]) => [op, kernelsOf(op, definition)]),
) as Record<Op, ReturnType<typeof kernelsOf>>;

export const unaryKernels = Object.values(kernels).flatMap(({ value, slope }) => [value, slope]);

function evaluate(op: Op, x: Tensor, operand = 0): Tensor {
  requireFloat(op, x);
  return runMap(kernels[op].value, [x], x.engine.empty(x.shape, x.dtype), { operand });
}

function apply(op: Op, x: Tensor, operand = 0): Tensor {
  const y = evaluate(op, x, operand);
  return x.engine.record(op, y, [x], (dy) => [
    ops[op].slope === "1.0" ? dy : multiplyBySlope(op, dy, kernels[op].saved === "y" ? y : x, operand),
  ]);
}

/**
 * dy · f'(saved), of the shape of `saved`, not recorded; `saved` is f's result where the table has the slope by `y`, else
 * its input. Throws TensorError where the sizes differ.
 */
export function multiplyBySlope(op: Op, dy: Tensor, saved: Tensor, operand = 0): Tensor {
  requireFloat(op, saved, dy);
  if (dy.size !== saved.size) throw new TensorError(`${op}: gradient ${dy} does not fit ${saved}.`);
  const { slope, saved: name } = kernels[op];
  const result = saved.engine.empty(saved.shape, saved.dtype);
  return runMap(slope, name ? [dy, saved] : [dy], result, { operand });
}

/** factor · x, not recorded. */
export const scaled = (x: Tensor, factor: number): Tensor => evaluate("scale", x, factor);

// Every function below takes f32 or f16 of any shape, gives the same shape and dtype and computes in f32.

/** e^x */
export const exp = (x: Tensor): Tensor => apply("exp", x);
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => apply("log", x);
/** Square root. */
export const sqrt = (x: Tensor): Tensor => apply("sqrt", x);
/** -x */
export const neg = (x: Tensor): Tensor => apply("scale", x, -1);
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => apply("sigmoid", x);
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => apply("tanh", x);
/** max(x, 0), with slope 0 at 0 as in PyTorch; NaN stays NaN. */
export const relu = (x: Tensor): Tensor => apply("relu", x);
/** x Φ(x), the exact form (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = (x: Tensor): Tensor => apply("gelu", x);
/** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³))), GELU by its approximation (section 2 of the same). */
export const geluTanh = (x: Tensor): Tensor => apply("geluTanh", x);
/** x sigmoid(1.702 x), GELU as OpenAI's CLIP has it (the other approximation of the same section). */
export const geluQuick = (x: Tensor): Tensor => apply("geluQuick", x);
/** x² */
export const square = (x: Tensor): Tensor => apply("square", x);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply("reciprocal", x);
/** factor · x */
export const scale = (x: Tensor, factor: number): Tensor => apply("scale", x, factor);
/** x + value */
export const addScalar = (x: Tensor, value: number): Tensor => apply("addScalar", x, value);
