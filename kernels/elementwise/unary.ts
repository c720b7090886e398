// Functions of one tensor, element by element; what they are in WGSL is in unary-table.ts.
import { type ParamTypes, type Scalar, type Tensor, TensorError } from "../../engine/index.ts";
import { rangeOf, requireFloat } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { librariesOf } from "../lib/library.ts";
import { defineMap, type MapKernel, runMap } from "./map.ts";
import { type Kind, kindOf } from "./strided.ts";
import { Symbolic, symbolOf } from "./symbol.ts";
import * as ops from "./unary-table.ts";

type Op = ops.Definition;
/** Values of the `params.…` that an operation's expressions name. */
type Values = Readonly<Record<string, number | Scalar>>;

interface Made {
  value: MapKernel<ParamTypes>;
  /** Of dy and what is saved; null for a slope of 1 or 0, which needs none. */
  slope: MapKernel<ParamTypes> | null;
  saved: "x" | "y" | null;
}

const made = new Map<Op, Made>();
const integerKernels = new Map<string, MapKernel<ParamTypes>>();
const quads = { float: "Vec", u32: "vec4u", i32: "vec4i" } as const;

function define(
  { uses = [] }: Op,
  kind: Kind,
  name: string,
  operands: string[],
  value: string,
  flops: number,
) {
  const type = kind === "float" ? "f32" : kind;
  const names = [...value.matchAll(/\bparams\.(\w+)/g)].map((match) => [match[1]!, type] as const);
  const params: ParamTypes = Object.fromEntries(names);
  const includes = librariesOf(value, uses, kind !== "float");
  return defineMap({ name, operands, value, params, includes, flops, from: quads[kind], to: quads[kind] });
}

/** An operation's kernel for integers. */
function integerKernel(op: Op, kind: "u32" | "i32"): MapKernel<ParamTypes> {
  const name = `${op.name}-${kind}`;
  const kernel = integerKernels.get(name) ?? define(op, kind, name, ["x"], op.value, op.work[0]);
  integerKernels.set(name, kernel);
  return kernel;
}

/** An operation's kernels for floats, which are made when they are first asked for. */
function kernelsOf(op: Op): Made {
  const known = made.get(op);
  if (known) return known;
  const { name, value, slope, work } = op;
  const float = (name: string, operands: string[], value: string, flops: number) =>
    define(op, "float", name, operands, value, flops);
  const saved = (["x", "y"] as const).find((name) => new RegExp(`\\b${name}\\b`).test(slope)) ?? null;
  const constant = /^[01]\.0$/.test(slope);
  const kernels: Made = {
    value: float(name, ["x"], value, work[0]),
    slope: constant
      ? null
      : float(`${name}-slope`, ["dy", ...(saved ? [saved] : [])], `dy * (${slope})`, work[1] + 1),
    saved,
  };
  made.set(op, kernels);
  return kernels;
}

export const unaryKernels = kernelsIn(() =>
  Object.values(ops).flatMap((op) => {
    const whole = op.of ? (["u32", "i32"] as const).map((kind) => integerKernel(op, kind)) : [];
    if (op.of === "integers") return whole;
    const { value, slope } = kernelsOf(op);
    return [...(slope ? [value, slope] : [value]), ...whole];
  }),
);

function evaluate(op: Op, x: Tensor, params: Values = {}): Tensor {
  const kind = kindOf(x.dtype);
  if (!op.of) requireFloat(op.name, x);
  const kernel = kind === "float" ? kernelsOf(op).value : integerKernel(op, kind);
  return runMap(kernel, [x], x.engine.empty(x.shape, x.dtype), params);
}

function apply(op: Op, x: Tensor, params?: Values): Tensor {
  if (x instanceof Symbolic) return symbolFor(op, x, params);
  const y = evaluate(op, x, params);
  if (kindOf(x.dtype) !== "float") return y;
  return x.engine.record(op.name, y, [x], (dy) => [
    multiplyBySlope(op, dy, kernelsOf(op).saved === "y" ? y : x, params),
  ]);
}

function symbolFor(op: Op, x: Symbolic, numbers: Values = {}): Symbolic {
  if (!op.of) requireFloat(op.name, x);
  const { name, value, slope, work, uses } = op;
  const gradient = slope === "1.0" ? "dy" : `dy * (${slope})`;
  const gradients: Readonly<Record<string, string>> = slope === "0.0" ? {} : { x: gradient };
  return symbolOf(
    { name, value, operands: { x }, numbers, gradients, work, uses },
    x.engine,
    x.shape,
    x.dtype,
  );
}

/**
 * dy · f'(saved), of the shape of `saved`, not recorded; `saved` is f's result where the table has the slope by `y`, else
 * its input; `dy` itself where the slope is 1. Throws TensorError where the sizes differ.
 */
function multiplyBySlope(op: Op, dy: Tensor, saved: Tensor, params: Values = {}): Tensor {
  requireFloat(op.name, saved, dy);
  if (dy.size !== saved.size) throw new TensorError(`${op.name}: gradient ${dy} does not fit ${saved}.`);
  const { slope, saved: name } = kernelsOf(op);
  const { engine, shape, dtype } = saved;
  if (!slope) return op.slope === "1.0" ? dy : engine.zeros(shape, dtype);
  const result = engine.empty(shape, dtype);
  return runMap(slope, name ? [dy, saved] : [dy], result, params);
}

/** dy · gelu'(x), of the shape of `x`, f32 or f16, not recorded. Throws TensorError where sizes or dtypes differ. */
export const multiplyByGeluSlope = (dy: Tensor, x: Tensor): Tensor => multiplyBySlope(ops.gelu, dy, x);

/** factor · x, f32 or f16, not recorded. Throws TensorError for integers. */
export const scaled = (x: Tensor, factor: number): Tensor => evaluate(ops.scale, x, { operand: factor });

// Every function below: f32 or f16 of any shape gives the same shape and dtype, computed in f32; NaN stays NaN. `square`, `neg`,
// `abs`, `sign` and `clamp` take u32 and i32 as well, modulo 2^32 and without gradients; the others throw TensorError for them.

/** e^x */
export const exp = (x: Tensor): Tensor => apply(ops.exp, x);
/** e^x - 1, exact near 0. */
export const expm1 = (x: Tensor): Tensor => apply(ops.expm1, x);
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => apply(ops.log, x);
/** ln(1 + x), exact near 0. */
export const log1p = (x: Tensor): Tensor => apply(ops.log1p, x);
/** Square root. */
export const sqrt = (x: Tensor): Tensor => apply(ops.sqrt, x);
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => apply(ops.rsqrt, x);
/** x² */
export const square = (x: Tensor): Tensor => apply(ops.square, x);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply(ops.reciprocal, x);
/** -x; of u32 2^32 - x. */
export const neg = (x: Tensor): Tensor =>
  kindOf(x.dtype) === "float" ? apply(ops.scale, x, { operand: -1 }) : apply(ops.negative, x);
/** |x|, with slope 0 at 0; the least i32 stays what it is, as in NumPy. */
export const abs = (x: Tensor): Tensor => apply(ops.abs, x);
/** 1, -1, or x itself where that is a zero. Its gradient is zero, as are those of the next three. */
export const sign = (x: Tensor): Tensor => apply(ops.sign, x);
/** The largest whole number that is not above x. */
export const floor = (x: Tensor): Tensor => apply(ops.floor, x);
/** The smallest whole number that is not below x. */
export const ceil = (x: Tensor): Tensor => apply(ops.ceil, x);
/** The nearest whole number, of two the even one. */
export const round = (x: Tensor): Tensor => apply(ops.round, x);
/** Sine; of any number right to 1e-7. */
export const sin = (x: Tensor): Tensor => apply(ops.sin, x);
/** Cosine; of any number right to 1e-7. */
export const cos = (x: Tensor): Tensor => apply(ops.cos, x);
/** Tangent, sine over cosine. */
export const tan = (x: Tensor): Tensor => apply(ops.tan, x);
/** The angle from -pi / 2 to pi / 2 that has this sine; of x from -1 to 1. */
export const asin = (x: Tensor): Tensor => apply(ops.asin, x);
/** The angle from 0 to pi that has this cosine; of x from -1 to 1. */
export const acos = (x: Tensor): Tensor => apply(ops.acos, x);
/** The angle from -pi / 2 to pi / 2 that has this tangent. */
export const atan = (x: Tensor): Tensor => apply(ops.atan, x);
/** Hyperbolic sine. */
export const sinh = (x: Tensor): Tensor => apply(ops.sinh, x);
/** Hyperbolic cosine. */
export const cosh = (x: Tensor): Tensor => apply(ops.cosh, x);
/** The number that has this hyperbolic sine. */
export const asinh = (x: Tensor): Tensor => apply(ops.asinh, x);
/** The number from 0 on that has this hyperbolic cosine; of x from 1 on. */
export const acosh = (x: Tensor): Tensor => apply(ops.acosh, x);
/** The number that has this hyperbolic tangent; of x from -1 to 1. */
export const atanh = (x: Tensor): Tensor => apply(ops.atanh, x);
/** The error function, 2 / sqrt(pi) times the integral of e^(-t²) from 0 to x. */
export const erf = (x: Tensor): Tensor => apply(ops.erf, x);
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => apply(ops.sigmoid, x);
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => apply(ops.tanh, x);
/** ln(1 + e^x) */
export const softplus = (x: Tensor): Tensor => apply(ops.softplus, x);
/** x sigmoid(x), also called swish (Hendrycks and Gimpel, arXiv 1606.08415). */
export const silu = (x: Tensor): Tensor => apply(ops.silu, x);
/** x tanh(softplus(x)) (Misra, arXiv 1908.08681). */
export const mish = (x: Tensor): Tensor => apply(ops.mish, x);
/** max(x, 0), with slope 0 at 0 as in PyTorch. */
export const relu = (x: Tensor): Tensor => apply(ops.relu, x);
/** x above 0, `below` · x else, with slope `below` at 0 as in PyTorch. */
export const leakyRelu = (x: Tensor, below: number | Scalar = 0.01): Tensor =>
  apply(ops.leakyRelu, x, { below });
/** x above 0, alpha (e^x - 1) else (Clevert et al., arXiv 1511.07289), with slope alpha at 0 as in PyTorch. */
export const elu = (x: Tensor, alpha: number | Scalar = 1): Tensor => apply(ops.elu, x, { alpha });
/** x Φ(x), the exact form (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = (x: Tensor): Tensor => apply(ops.gelu, x);
/** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³))), GELU by its approximation (section 2 of the same). */
export const geluTanh = (x: Tensor): Tensor => apply(ops.geluTanh, x);
/** x sigmoid(1.702 x), GELU as OpenAI's CLIP has it (the other approximation of the same section). */
export const geluQuick = (x: Tensor): Tensor => apply(ops.geluQuick, x);
/** factor · x */
export const scale = (x: Tensor, factor: number | Scalar): Tensor => apply(ops.scale, x, { operand: factor });
/** x + value */
export const addScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply(ops.addScalar, x, { operand: value });
/** x^exponent as `pow` has it. */
export const powScalar = (x: Tensor, exponent: number | Scalar): Tensor =>
  apply(ops.powScalar, x, { operand: exponent });
/** The smaller of x and a number, as `minimum` has it. */
export const minimumScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply(ops.minimumScalar, x, { operand: value });
/** The larger of x and a number, as `maximum` has it. */
export const maximumScalar = (x: Tensor, value: number | Scalar): Tensor =>
  apply(ops.maximumScalar, x, { operand: value });
/**
 * x limited to [low, high]; either may be left out or infinite. The gradient passes where x is within, ends included, as
 * in PyTorch. Throws TensorError where low is above high, and where one is no whole number of the dtype of integers.
 */
export function clamp(x: Tensor, low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY): Tensor {
  if (!(low <= high)) throw new TensorError(`clamp: [${low}, ${high}] is no interval.`);
  const { dtype } = x;
  if (dtype !== "u32" && dtype !== "i32") return apply(ops.clamp, x, { low, high });
  const [least, most] = rangeOf(dtype);
  const bounds = { low: Math.max(low, least), high: Math.min(high, most) };
  for (const [bound, given] of [
    [bounds.low, low],
    [bounds.high, high],
  ] as const)
    if ((bound !== given && Number.isFinite(given)) || !Number.isInteger(bound))
      throw new TensorError(`clamp: ${given} is no ${dtype}.`);
  return apply(ops.clamp, x, bounds);
}
