// Symbols stand for operands, and for what functions of elements make of them, while fuse.ts finds out what a function
// computes: given one, such a function gives another, which knows its formula, and computes nothing.
import {
  type Backend,
  type DType,
  Placeholder,
  type Scalar,
  type Shape,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { isInteger } from "../lib/items.ts";
import { type Library, librariesOf } from "../lib/library.ts";

/** How the elements of a symbol come of others. */
export interface Formula {
  name: string;
  /** WGSL of four elements, from those of `operands` and from `params.…`, the `numbers`. */
  value: string;
  operands: Readonly<Record<string, Tensor | number>>;
  numbers?: Readonly<Record<string, number | Scalar>>;
  /** Of each operand that has one, from those names, the result `y` and its gradient `dy`; that of b may name that of a, `da`. */
  gradients?: Readonly<Record<string, string>>;
  /** The result is u32, 1 where `value` is true. */
  mask?: boolean;
  /** Floating-point operations of the value, and of the gradients. */
  work: readonly number[];
  uses?: readonly Library[];
}

const why = "stands for elements inside of fuse, where functions of elements alone take it";

export class Symbolic extends Placeholder {
  /** @param origin the operand that it stands for, or the formula of its elements */
  constructor(
    engine: Backend,
    shape: Shape,
    dtype: DType,
    readonly origin: Tensor | Formula,
  ) {
    super(engine, shape, dtype, why);
  }
}

/** What a formula makes of symbols. Throws TensorError for integers where other functions of these names would be called. */
export function symbolOf(
  formula: Formula,
  engine: Backend,
  shape: Shape,
  dtype: DType,
  of = dtype,
): Symbolic {
  const { name, value, uses = [] } = formula;
  if (isInteger(of) && librariesOf(value, uses, true).length > 0)
    throw new TensorError(`fuse: ${name} of ${of} is no operator of WGSL's: call it outside of fuse.`);
  // Within `inference` it has no gradients.
  return new Symbolic(engine, shape, dtype, engine.gradients ? formula : { ...formula, gradients: {} });
}
