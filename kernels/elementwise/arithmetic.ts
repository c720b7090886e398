// Functions of two and three tensors with NumPy's broadcasting; what they are in WGSL is in arithmetic-table.ts. The gradient
// of a repeated operand is the sum over its repetitions.
import {
  type Backend,
  type DType,
  gradientDType,
  type Kernel,
  Tensor,
  TensorError,
} from "../../engine/index.ts";
import { requireNumber } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { type Library, librariesOf } from "../lib/library.ts";
import { sumTo } from "../reduce/reduce.ts";
import * as ops from "./arithmetic-table.ts";
import {
  broadcastShape,
  broadcastStrides,
  defineStrided,
  type Kind,
  kindOf,
  kinds,
  runStrided,
} from "./strided.ts";
import { Symbolic, symbolOf } from "./symbol.ts";
import { maximumScalar, minimumScalar, powScalar, square } from "./unary.ts";

type Op = ops.Definition;

/** A kernel and the names of what it reads, by the names that its expression has for them. */
interface Expression {
  kernel: Kernel;
  operands: readonly string[];
}

interface Made {
  values: Partial<Record<Kind, Expression>>;
  /** Of a and of b; as it stands in the table where it is another gradient, but for its sign. */
  slopes: readonly (string | Expression)[];
}

const names = /\b(condition|dy|da|a|b|y)\b/g;
const known = new Map<string, Kernel>();

/** The kernel of an expression; the gradient "dy * b" is that of the product "a * b" under other names. */
function expression(
  name: string,
  wgsl: string,
  kind: Kind,
  flops: number,
  { mask, uses = [] }: { mask?: boolean; uses?: readonly Library[] },
): Expression {
  const operands = [...new Set(wgsl.match(names))];
  const plain = operands.filter((operand) => operand !== "condition");
  const bound = (operand: string) => "abc"[plain.indexOf(operand)] ?? operand;
  const value = wgsl.replace(names, bound);
  const key = `${kind} ${value}`;
  const includes = librariesOf(value, uses, kind !== "float");
  const kernel =
    known.get(key) ??
    defineStrided({ name, kind, operands: operands.map(bound), value, mask, includes, flops });
  known.set(key, kernel);
  return { kernel, operands };
}

const made = new Map<Op, Made>();

/** An operation's kernels, which are made when they are first asked for. */
function kernelsOf(op: Op): Made {
  const already = made.get(op);
  if (already) return already;
  const { name, value, of, mask, gradients = [], work, uses } = op;
  const values: Made["values"] = {};
  for (const kind of kinds) {
    if (of !== "all" && (kind === "float") !== (of === "floats")) continue;
    const own = kind === "float" ? name : `${name}-${kind}`;
    values[kind] = expression(own, value, kind, work[0]!, { mask, uses });
  }
  const slopes = gradients.map((wgsl, i) =>
    /^-?d[ya]$/.test(wgsl) ? wgsl : expression(`${name}-d${"ab"[i]}`, wgsl, "float", work[i + 1]!, { uses }),
  );
  made.set(op, { values, slopes });
  return { values, slopes };
}

export const arithmeticKernels = kernelsIn(() => {
  for (const op of Object.values(ops)) kernelsOf(op);
  return [...known.values()];
});

/** A tensor, or a number that stands for a tensor of its only one. */
export type Operand = Tensor | number;
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
    if (tensor.dtype !== dtype) throw new TensorError(`${op.name}: ${first} and ${tensor} differ in dtype.`);
  const kind = kindOf(dtype);
  if (!kernelsOf(op).values[kind])
    throw new TensorError(
      `${op.name}: needs ${kind === "float" ? "u32 or i32" : "f32 or f16"}, not ${first}.`,
    );
  for (const operand of operands) if (!(operand instanceof Tensor)) requireNumber(op.name, operand, dtype);
  return dtype;
}

function apply(op: Op, a: Operand, b: Operand, condition?: Tensor): Tensor {
  const given: Operands = { a, b, ...(condition && { condition }) };
  const tensors = Object.values(given).filter((operand) => operand instanceof Tensor);
  if (tensors.length === 0) throw new TensorError(`${op.name}: needs a tensor.`);
  const { engine } = tensors[0]!;
  const dtype = dtypeOf(op, [a, b]);
  const shape = broadcastShape(op.name, ...Object.values(given).map(shapeOf));
  const result = op.mask ? "u32" : dtype;
  if (tensors.some((tensor) => tensor instanceof Symbolic)) {
    const [ofA, ofB] = op.gradients ?? [];
    const gradients: Readonly<Record<string, string>> = ofA && ofB ? { a: ofA, b: ofB } : {};
    return symbolOf({ ...op, operands: given, gradients }, engine, shape, result, dtype);
  }
  const { values, slopes } = kernelsOf(op);
  const kind = kindOf(dtype);
  const y = evaluate(values[kind]!, engine, shape, given, dtype, result);
  if (kind !== "float" || slopes.length === 0) return y;
  const inputs = ["a", "b"].filter((name) => given[name] instanceof Tensor);
  const recorded = inputs.map((name) => given[name] as Tensor);
  return engine.record(op.name, y, recorded, (dy, needs) => {
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
      const input = recorded[i]!;
      return sumTo(whole, input.shape, negative ? -1 : 1, gradientDType(input));
    });
  });
}

/** a + b of as many elements each, in the shape of `a`; f32 or f16, not recorded. */
export function plus(a: Tensor, b: Tensor): Tensor {
  const operands = [a, b].map((tensor) => ({ tensor, strides: [1] }));
  const y = runStrided(kernelsOf(ops.add).values.float!.kernel, [a.size], operands, a.dtype);
  return a.engine.view(y, a.shape);
}

// Every function below: tensors of shapes that broadcast, as in NumPy, and of one dtype, or a number in place of one of them.
// Throws TensorError for others, and where more than eight dimensions are left after joining those that lie alike.

// f32 or f16, with gradients; u32 and i32 exactly, modulo 2^32, without.

/** a + b */
export const add = (a: Operand, b: Operand): Tensor => apply(ops.add, a, b);
/** a - b */
export const sub = (a: Operand, b: Operand): Tensor => apply(ops.sub, a, b);
/** a · b, element by element */
export const mul = (a: Operand, b: Operand): Tensor => apply(ops.mul, a, b);
/** a / b; of integers the part before the point, and a itself where b is 0, as in WGSL. */
export const div = (a: Operand, b: Operand): Tensor => apply(ops.div, a, b);
/** What is left of a / b rounded down: its sign is that of b, as in Python; where b is 0, NaN, or 0 of integers. */
export const mod = (a: Operand, b: Operand): Tensor => apply(ops.mod, a, b);
/**
 * The smaller of a and b; NaN where one is, and -0 below 0. Where they tie each gets half of the gradient, as in PyTorch.
 */
export const minimum = (a: Tensor, b: Operand): Tensor =>
  typeof b === "number" && kindOf(a.dtype) === "float" ? minimumScalar(a, b) : apply(ops.minimum, a, b);
/** The larger of a and b; otherwise as `minimum`. */
export const maximum = (a: Tensor, b: Operand): Tensor =>
  typeof b === "number" && kindOf(a.dtype) === "float" ? maximumScalar(a, b) : apply(ops.maximum, a, b);
/**
 * a where the condition is not 0, b where it is, as PyTorch and NumPy have it. The condition is u32, such as a comparison
 * gives; it broadcasts as a and b do, and only what was chosen gets a gradient. Throws TensorError on another condition.
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (condition.dtype !== "u32") throw new TensorError(`where: the condition must be u32, not ${condition}.`);
  return apply(ops.where, a, b, condition);
}

// f32 or f16, with gradients.

/**
 * a^b as C and PyTorch have it: NaN where a is negative and b no whole number, 1 where b is 0 or a is 1. The gradient of b
 * is 0 where a is 0 and b is not negative, as in PyTorch.
 */
export const pow = (a: Tensor, b: Operand): Tensor =>
  b === 2 ? square(a) : typeof b === "number" ? powScalar(a, b) : apply(ops.pow, a, b);
/** (a - b)² */
export const squaredDifference = (a: Operand, b: Operand): Tensor => apply(ops.squaredDifference, a, b);
/** The angle of the point (b, a), from -pi to pi. */
export const atan2 = (a: Operand, b: Operand): Tensor => apply(ops.atan2, a, b);

// Comparisons of any dtype give a mask, u32 of 1 and 0, which `where` and attention take, `bitAnd`, `bitOr` and `bitXor`
// combine and `cast` makes numbers of: no gradient goes through it. NaN is neither below nor above nor equal to anything,
// and the two zeros are equal.

/** a < b */
export const less = (a: Operand, b: Operand): Tensor => apply(ops.less, a, b);
/** a <= b */
export const lessEqual = (a: Operand, b: Operand): Tensor => apply(ops.lessEqual, a, b);
/** a > b */
export const greater = (a: Operand, b: Operand): Tensor => apply(ops.greater, a, b);
/** a >= b */
export const greaterEqual = (a: Operand, b: Operand): Tensor => apply(ops.greaterEqual, a, b);
/** a = b */
export const equal = (a: Operand, b: Operand): Tensor => apply(ops.equal, a, b);
/** Not a = b: of a tensor and itself, where NaN is. */
export const notEqual = (a: Operand, b: Operand): Tensor => apply(ops.notEqual, a, b);

// u32 or i32.

/** The bits that both have; of masks, whether both are true. */
export const bitAnd = (a: Operand, b: Operand): Tensor => apply(ops.bitAnd, a, b);
/** The bits that one has; of masks, whether one is true. */
export const bitOr = (a: Operand, b: Operand): Tensor => apply(ops.bitOr, a, b);
/** The bits that only one has; with 1, the opposite of a mask. */
export const bitXor = (a: Operand, b: Operand): Tensor => apply(ops.bitXor, a, b);
/** a times 2^b modulo 2^32; 0 from b = 32 on. */
export const shiftLeft = (a: Operand, b: Operand): Tensor => apply(ops.shiftLeft, a, b);
/** a / 2^b, rounded down; from b = 32 on 0, or -1 of a negative i32. */
export const shiftRight = (a: Operand, b: Operand): Tensor => apply(ops.shiftRight, a, b);
