// Functions of two and three tensors with NumPy's broadcasting: one table of what they are in WGSL, with their gradients.
// The gradient of a repeated operand is the sum over its repetitions.
import { type Backend, type DType, type Kernel, Tensor, TensorError } from "../../engine/index.ts";
import { librariesOf } from "../lib/library.ts";
import { sumTo } from "../reduce/reduce.ts";
import {
  broadcastShape,
  broadcastStrides,
  defineStrided,
  type Kind,
  kindOf,
  kinds,
  runStrided,
} from "./strided.ts";
import { maximumScalar, minimumScalar, powScalar, square } from "./unary.ts";

interface Definition {
  /** From `a` and `b`, and `condition` where that is the first operand. */
  value: string;
  of: "floats" | "integers" | "all";
  /** The result is u32, 1 where `value` is true and 0 where not. */
  mask?: true;
  /**
   * Of a and of b, from the gradient `dy` of the result `y`, of the result's shape; that of b may name that of a, `da`,
   * before it is summed.
   */
  gradients?: readonly [a: string, b: string];
  /** Floating-point operations of the value and of the gradients, where these are computed. */
  work: readonly number[];
}

const ops = {
  add: { value: "a + b", of: "all", gradients: ["dy", "dy"], work: [1] },
  sub: { value: "a - b", of: "all", gradients: ["dy", "-dy"], work: [1] },
  mul: { value: "a * b", of: "all", gradients: ["dy * b", "dy * a"], work: [1, 1, 1] },
  div: { value: "a / b", of: "all", gradients: ["dy / b", "-da * y"], work: [1, 1, 2] },
  mod: {
    value: "modulo(a, b)",
    of: "all",
    gradients: ["dy", "-dy * floor(a / b)"],
    work: [6, 0, 3],
  },
  pow: {
    value: "power(a, b)",
    of: "floats",
    gradients: ["dy * powerSlope(a, b)", "dy * powerGrowth(a, b)"],
    work: [24, 27, 37],
  },
  minimum: {
    value: "lesser(a, b)",
    of: "all",
    gradients: ["dy * lesserShare(a, b)", "dy * lesserShare(b, a)"],
    work: [1, 3, 3],
  },
  maximum: {
    value: "greater(a, b)",
    of: "all",
    gradients: ["dy * lesserShare(b, a)", "dy * lesserShare(a, b)"],
    work: [1, 3, 3],
  },
  squaredDifference: {
    value: "(a - b) * (a - b)",
    of: "floats",
    gradients: ["2.0 * dy * (a - b)", "-da"],
    work: [2, 3],
  },
  atan2: {
    value: "arc(a, b)",
    of: "floats",
    gradients: ["dy * b / (a * a + b * b)", "-dy * a / (a * a + b * b)"],
    work: [18, 5, 6],
  },
  less: { value: "(ranks(a) < ranks(b)) & ordered(a, b)", of: "all", mask: true, work: [1] },
  lessEqual: { value: "(ranks(a) <= ranks(b)) & ordered(a, b)", of: "all", mask: true, work: [1] },
  greater: { value: "(ranks(a) > ranks(b)) & ordered(a, b)", of: "all", mask: true, work: [1] },
  greaterEqual: { value: "(ranks(a) >= ranks(b)) & ordered(a, b)", of: "all", mask: true, work: [1] },
  equal: { value: "(ranks(a) == ranks(b)) & ordered(a, b)", of: "all", mask: true, work: [1] },
  notEqual: { value: "(ranks(a) != ranks(b)) | !ordered(a, b)", of: "all", mask: true, work: [1] },
  bitAnd: { value: "a & b", of: "integers", work: [0] },
  bitOr: { value: "a | b", of: "integers", work: [0] },
  bitXor: { value: "a ^ b", of: "integers", work: [0] },
  shiftLeft: { value: "shiftedLeft(a, b)", of: "integers", work: [0] },
  shiftRight: { value: "shiftedRight(a, b)", of: "integers", work: [0] },
  where: {
    value: "select(b, a, condition != vec4u())",
    of: "all",
    gradients: ["select(vec4f(), dy, condition != vec4u())", "select(dy, vec4f(), condition != vec4u())"],
    work: [1, 1, 1],
  },
} as const satisfies Record<string, Definition>;

type Op = keyof typeof ops;

/** A kernel and the names of what it reads, by the names that its expression has for them. */
interface Expression {
  kernel: Kernel;
  operands: readonly string[];
}

const names = /\b(condition|dy|da|a|b|y)\b/g;
const known = new Map<string, Kernel>();

/** The kernel of an expression; the gradient "dy * b" is that of the product "a * b" under other names. */
function expression(name: string, wgsl: string, kind: Kind, flops: number, mask = false): Expression {
  const operands = [...new Set(wgsl.match(names))];
  const plain = operands.filter((operand) => operand !== "condition");
  const bound = (operand: string) => "abc"[plain.indexOf(operand)] ?? operand;
  const value = wgsl.replace(names, bound);
  const key = `${kind} ${value}`;
  const includes = librariesOf(value, kind === "float" ? kind : "integer");
  const kernel =
    known.get(key) ??
    defineStrided({ name, kind, operands: operands.map(bound), value, mask, includes, flops });
  known.set(key, kernel);
  return { kernel, operands };
}

const kernels = Object.fromEntries(
  Object.entries(ops).map(([op, definition]: [string, Definition]) => {
    const { value, of, mask, gradients = [], work } = definition;
    const values = kinds
      .filter((kind) => of === "all" || (kind === "float") === (of === "floats"))
      .map((kind) => [
        kind,
        expression(kind === "float" ? op : `${op}-${kind}`, value, kind, work[0]!, mask),
      ]);
    const slopes = gradients.map((wgsl, i) =>
      /^-?d[ya]$/.test(wgsl) ? wgsl : expression(`${op}-d${"ab"[i]}`, wgsl, "float", work[i + 1]!),
    );
    return [op, { values: Object.fromEntries(values), slopes }];
  }),
) as Record<Op, { values: Partial<Record<Kind, Expression>>; slopes: (string | Expression)[] }>;

export const arithmeticKernels = [...known.values()];

/** A tensor, or a number that stands for a tensor of its only one. */
type Operand = Tensor | number;
type Operands = Readonly<Record<string, Operand>>;

/** Runs an expression on operands that broadcast to `shape`; not recorded. */
function evaluate(
  { kernel, operands }: Expression,
  engine: Backend,
  shape: readonly number[],
  given: Operands,
  dtype: DType,
  result = dtype,
): Tensor {
  const made: Tensor[] = [];
  const strided = operands.map((name) => {
    const operand = given[name]!;
    const tensor = operand instanceof Tensor ? operand : engine.tensor([operand], [], dtype);
    if (tensor !== operand) made.push(tensor);
    return { tensor, strides: broadcastStrides(tensor.shape, shape) };
  });
  const y = runStrided(kernel, shape, strided, dtype, result);
  for (const tensor of made) tensor.dispose();
  return y;
}

const shapeOf = (operand: Operand) => (operand instanceof Tensor ? operand.shape : []);

/** The dtype of the tensors among the operands, which an operation must have and all numbers must be of. */
function dtypeOf(op: Op, operands: readonly Operand[]): DType {
  const tensors = operands.filter((operand) => operand instanceof Tensor);
  const [first] = tensors;
  const dtype = first?.dtype ?? "f32";
  for (const tensor of tensors)
    if (tensor.dtype !== dtype) throw new TensorError(`${op}: ${first} and ${tensor} differ in dtype.`);
  const kind = kindOf(dtype);
  if (!kernels[op].values[kind])
    throw new TensorError(`${op}: needs ${kind === "float" ? "u32 or i32" : "f32 or f16"}, not ${first}.`);
  for (const operand of operands) {
    if (operand instanceof Tensor || kind === "float") continue;
    if (operand !== (kind === "u32" ? operand >>> 0 : operand | 0))
      throw new TensorError(`${op}: ${operand} is no ${kind}.`);
  }
  return dtype;
}

function apply(op: Op, a: Operand, b: Operand, condition?: Tensor): Tensor {
  const given: Operands = { a, b, ...(condition && { condition }) };
  const tensors = Object.values(given).filter((operand) => operand instanceof Tensor);
  if (tensors.length === 0) throw new TensorError(`${op}: needs a tensor.`);
  const { engine } = tensors[0]!;
  const dtype = dtypeOf(op, [a, b]);
  const { values, slopes } = kernels[op];
  const shape = broadcastShape(op, ...Object.values(given).map(shapeOf));
  const kind = kindOf(dtype);
  const mask = "mask" in ops[op];
  const y = evaluate(values[kind]!, engine, shape, given, dtype, mask ? "u32" : dtype);
  if (kind !== "float" || slopes.length === 0) return y;
  const inputs = ["a", "b"].filter((name) => given[name] instanceof Tensor);
  const recorded = inputs.map((name) => given[name] as Tensor);
  return engine.record(op, y, recorded, (dy, needs) => {
    let da: Tensor | null = null;
    /** The gradient before it is summed, but for its sign. */
    const gradient = (slope: string | Expression): Tensor => {
      if (typeof slope === "string") return slope.endsWith("a") ? gradientOfA() : dy;
      const da = slope.operands.includes("da") ? gradientOfA() : dy;
      return evaluate(slope, engine, shape, { ...given, da, dy, y }, dtype);
    };
    const gradientOfA = () => {
      da ??= gradient(slopes[0]!);
      return da;
    };
    return inputs.map((name, i) => {
      if (!needs[i]) return null;
      const slope = slopes[name === "a" ? 0 : 1]!;
      const whole = name === "a" ? gradientOfA() : gradient(slope);
      const negative = typeof slope === "string" && slope.startsWith("-");
      return sumTo(whole, recorded[i]!.shape, negative ? -1 : 1);
    });
  });
}

/** a + b of as many elements each, in the shape of `a`; f32 or f16, not recorded. */
export function plus(a: Tensor, b: Tensor): Tensor {
  const operands = [a, b].map((tensor) => ({ tensor, strides: [1] }));
  const y = runStrided(kernels.add.values.float!.kernel, [a.size], operands, a.dtype);
  return a.engine.view(y, a.shape);
}

// All below take tensors of shapes that broadcast, as in NumPy, of one dtype, or a number in place of one of them, and throw
// TensorError on others, and where more than eight dimensions are left after joining those that lie alike.

// f32 or f16, with gradients; u32 and i32 exactly, modulo 2^32, without.

/** a + b */
export const add = (a: Operand, b: Operand): Tensor => apply("add", a, b);
/** a - b */
export const sub = (a: Operand, b: Operand): Tensor => apply("sub", a, b);
/** a · b, element by element */
export const mul = (a: Operand, b: Operand): Tensor => apply("mul", a, b);
/** a / b; of integers the part before the point, and a itself where b is 0, as in WGSL. */
export const div = (a: Operand, b: Operand): Tensor => apply("div", a, b);
/** What is left of a / b rounded down: its sign is that of b, as in Python; where b is 0, NaN, or 0 of integers. */
export const mod = (a: Operand, b: Operand): Tensor => apply("mod", a, b);
/**
 * The smaller of a and b; NaN where one is, and -0 below 0. Where they tie each gets half of the gradient, as in PyTorch.
 */
export const minimum = (a: Tensor, b: Operand): Tensor =>
  typeof b === "number" && kindOf(a.dtype) === "float" ? minimumScalar(a, b) : apply("minimum", a, b);
/** The larger of a and b; otherwise as `minimum`. */
export const maximum = (a: Tensor, b: Operand): Tensor =>
  typeof b === "number" && kindOf(a.dtype) === "float" ? maximumScalar(a, b) : apply("maximum", a, b);
/**
 * a where the condition is not 0, b where it is, as PyTorch and NumPy have it. The condition is u32, such as a comparison
 * gives; it broadcasts as a and b do, and only what was chosen gets a gradient. Throws TensorError on another condition.
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (condition.dtype !== "u32") throw new TensorError(`where: the condition must be u32, not ${condition}.`);
  return apply("where", a, b, condition);
}

// f32 or f16, with gradients.

/**
 * a^b as C and PyTorch have it: NaN where a is negative and b no whole number, 1 where b is 0 or a is 1. The gradient of b
 * is 0 where a is 0 and b is not negative, as in PyTorch.
 */
export const pow = (a: Tensor, b: Operand): Tensor =>
  b === 2 ? square(a) : typeof b === "number" ? powScalar(a, b) : apply("pow", a, b);
/** (a - b)² */
export const squaredDifference = (a: Operand, b: Operand): Tensor => apply("squaredDifference", a, b);
/** The angle of the point (b, a), from -pi to pi. */
export const atan2 = (a: Operand, b: Operand): Tensor => apply("atan2", a, b);

// Comparisons of any dtype give a mask, u32 of 1 and 0, which `where` and attention take, `bitAnd`, `bitOr` and `bitXor`
// combine and `cast` makes numbers of: no gradient goes through it. NaN is neither below nor above nor equal to anything,
// and the two zeros are equal.

/** a < b */
export const less = (a: Operand, b: Operand): Tensor => apply("less", a, b);
/** a <= b */
export const lessEqual = (a: Operand, b: Operand): Tensor => apply("lessEqual", a, b);
/** a > b */
export const greater = (a: Operand, b: Operand): Tensor => apply("greater", a, b);
/** a >= b */
export const greaterEqual = (a: Operand, b: Operand): Tensor => apply("greaterEqual", a, b);
/** a = b */
export const equal = (a: Operand, b: Operand): Tensor => apply("equal", a, b);
/** Not a = b: of a tensor and itself, where NaN is. */
export const notEqual = (a: Operand, b: Operand): Tensor => apply("notEqual", a, b);

// u32 or i32.

/** The bits that both have; of masks, whether both are true. */
export const bitAnd = (a: Operand, b: Operand): Tensor => apply("bitAnd", a, b);
/** The bits that one has; of masks, whether one is true. */
export const bitOr = (a: Operand, b: Operand): Tensor => apply("bitOr", a, b);
/** The bits that only one has; with 1, the opposite of a mask. */
export const bitXor = (a: Operand, b: Operand): Tensor => apply("bitXor", a, b);
/** a times 2^b modulo 2^32; 0 from b = 32 on. */
export const shiftLeft = (a: Operand, b: Operand): Tensor => apply("shiftLeft", a, b);
/** a / 2^b, rounded down; from b = 32 on 0, or -1 of a negative i32. */
export const shiftRight = (a: Operand, b: Operand): Tensor => apply("shiftRight", a, b);
