// Functions of one tensor, element by element: one kernel for values and slopes, specialised by a constant.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import geluSource from "../lib/gelu.wgsl?raw";
import { blocks, requireFloat, vectors } from "../lib/items.ts";
import { alsoReads, elements, perElement } from "../lib/work.ts";
import clampSource from "./clamp.wgsl?raw";
import source from "./unary.wgsl?raw";

const unary = defineKernel({
  name: "unary",
  source,
  includes: [geluSource],
  bindings: ["x: Vec", "dy: Vec", "+y: Vec"],
  inPlace: ["dy", "x"],
  params: {
    // vec4s of x.
    count: "u32",
    // The factor of SCALE, the summand of ADD.
    operand: "f32",
  },
  flops: (launch) => {
    const { OP, BACKWARD } = launch.constants;
    const [value, slope] = work[opNames[Number(OP)]!];
    return (BACKWARD ? slope + 1 : value) * elements(launch, "y");
  },
});

const clampKernel = defineKernel({
  name: "clamp",
  source: clampSource,
  bindings: ["+x: Scalar"],
  params: { size: "u32", low: "f32", high: "f32" },
  flops: perElement("x", 2),
  bytes: alsoReads("x"),
});

export const unaryKernels = [unary, clampKernel];

/** The numbers of the constants in unary.wgsl. */
const ops = {
  exp: 0,
  log: 1,
  sqrt: 2,
  sigmoid: 3,
  tanh: 4,
  relu: 5,
  gelu: 6,
  square: 7,
  reciprocal: 8,
  scale: 9,
  add: 10,
} as const;

type Op = keyof typeof ops;

const opNames = Object.keys(ops) as Op[];

/** Operations of unary.wgsl for a value and for a slope; GELU's are mostly those of erf in lib/gelu.wgsl, 25. */
const work: Record<Op, readonly [value: number, slope: number]> = {
  exp: [1, 0],
  log: [1, 1],
  sqrt: [1, 1],
  sigmoid: [3, 2],
  tanh: [5, 2],
  relu: [1, 1],
  gelu: [29, 34],
  square: [1, 1],
  reciprocal: [1, 2],
  scale: [1, 0],
  add: [1, 0],
};

/** Ops whose slope is a function of the result; the rest save their input. */
const savesResult: ReadonlySet<Op> = new Set<Op>(["exp", "sqrt", "sigmoid", "tanh", "reciprocal"]);

function run(op: Op, x: Tensor, dy: Tensor | null, operand: number): Tensor {
  const { engine } = x;
  const y = engine.empty(x.shape, x.dtype);
  engine.run(unary, {
    bind: [x, dy ?? x, y],
    params: { count: vectors(x), operand },
    grid: blocks(vectors(x)),
    dtype: x.dtype,
    constants: { OP: ops[op], BACKWARD: dy !== null },
  });
  return y;
}

function apply(op: Op, x: Tensor, operand = 0): Tensor {
  requireFloat(op, x);
  const y = run(op, x, null, operand);
  return x.engine.record(op, y, [x], (dy) => [
    op === "add" ? dy : multiplyBySlope(op, dy, savesResult.has(op) ? y : x, operand),
  ]);
}

/** dy · f'(saved), not recorded; `saved` is f's result or input as the head of unary.wgsl says. */
export function multiplyBySlope(op: Op, dy: Tensor, saved: Tensor, operand = 0): Tensor {
  requireFloat(op, saved, dy);
  if (dy.size !== saved.size) throw new TensorError(`${op}: gradient ${dy} does not fit ${saved}.`);
  return run(op, saved, dy, operand);
}

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
/** max(x, 0), with slope 0 at 0 as in PyTorch. */
export const relu = (x: Tensor): Tensor => apply("relu", x);
/** x Φ(x), the exact form (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = (x: Tensor): Tensor => apply("gelu", x);
/** x² */
export const square = (x: Tensor): Tensor => apply("square", x);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply("reciprocal", x);
/** factor · x */
export const scale = (x: Tensor, factor: number): Tensor => apply("scale", x, factor);
/** x + value */
export const addScalar = (x: Tensor, value: number): Tensor => apply("add", x, value);

/** Limits the elements of `x` to [low, high] in place, outside of the graph: for parameters after an update. */
export function clampInPlace(x: Tensor, low: number, high: number): void {
  requireFloat("clampInPlace", x);
  if (!(low <= high)) throw new TensorError(`clampInPlace: [${low}, ${high}] is no interval.`);
  x.engine.run(clampKernel, {
    bind: [x],
    params: { size: x.size, low, high },
    grid: blocks(vectors(x)),
    dtype: x.dtype,
  });
}
