// How kernels walk over tensors: aliases that make one WGSL text work on scalars or vec4s and on either storage type,
// and the grid of the elementwise kernels. A vec4 load costs a driver half as much per float as scalar loads
// (measured on llvmpipe: a copy of 16 MB takes 6.6 ms instead of 12), and the last vec4 may reach into a buffer's padding.

import randomSource from "../../engine/base/random.wgsl?raw";
import {
  type DType,
  defineKernel,
  type Include,
  type Kernel,
  type KernelSpec,
  type ParamTypes,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";

/** A type in WGSL: the tensor's own, or f32 for partial results. */
export type Stored = "Scalar" | "f32";
/** What is computed with: f32 whatever floats are stored as, or integers as they are. */
export type Computed = "f32" | "Scalar";

export const isInteger = (dtype: DType): dtype is "u32" | "i32" => dtype === "u32" || dtype === "i32";

/** The least and the largest number: of floats the infinities. */
export function rangeOf(dtype: DType): [least: number, most: number] {
  if (dtype === "u32") return [0, 2 ** 32 - 1];
  if (dtype === "i32") return [-(2 ** 31), 2 ** 31 - 1];
  return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
}

/**
 * WGSL aliases: `In` and `Out` are how items are stored, `Wide` how they are computed with, WIDTH of `One` each, `Bits` these as bits, `Truth` what is said of each;
 * `Result` is one stored element of the output; `total` and `largest` reduce an item to one number;
 * `magnitudes` orders floats as their absolute values, with NaN above INFINITE of lib/nan.wgsl.
 */
export function items(
  width: 1 | 4,
  input: Stored = "Scalar",
  output: Stored = "Scalar",
  one: Computed = "f32",
): string {
  const of = (type: string) => (width === 4 ? `vec4<${type}>` : type);
  const total = width === 4 ? "dot(value, Wide(One(1)))" : "value";
  return `alias In = ${of(input)};
alias Out = ${of(output)};
alias One = ${one};
alias Wide = ${of(one)};
alias Result = ${output};
alias Bits = ${of("u32")};
alias Truth = ${of("bool")};
const WIDTH = ${width}u;
fn magnitudes(value: Wide) -> Bits { return bitcast<Bits>(value) & Bits(0x7fffffffu); }
fn total(value: Wide) -> One { return ${total}; }
fn largest(value: Wide) -> One { return ${width === 4 ? "max(max(value.x, value.y), max(value.z, value.w))" : "value"}; }`;
}

/**
 * WGSL for dropout on items: `kept(at)` says which elements of item `at` stay, as `uniform` of engine/base/random.ts draws
 * them. The kernel's parameters have `key`, `stream` and `probability`.
 */
export function randomItems(width: 1 | 4): string[] {
  const draw = (index: string) => `uniformAt(params.key, params.stream, ${index}) >= params.probability`;
  const each = [0, 1, 2, 3].map((c) => draw(`at * 4u + ${c}u`)).join(", ");
  return [
    randomSource,
    width === 4
      ? `fn kept(at: u32) -> vec4<bool> { return vec4<bool>(${each}); }`
      : `fn kept(at: u32) -> bool { return ${draw("at")}; }`,
  ];
}

/** WGSL for the sum of an item over the lanes, to stand behind `rowLanes`. */
export function laneSums(width: 1 | 4): string {
  const each = ["x", "y", "z", "w"].map((c) => `laneSum(value.${c})`).join(", ");
  return `fn laneSums(value: Wide) -> Wide { return ${width === 4 ? `Wide(${each})` : "laneSum(value)"}; }`;
}

/** vec4s of a tensor, the last one perhaps partly filled. */
export function vectors(tensor: Tensor): number {
  return Math.ceil(tensor.size / 4);
}

/** Workgroups of an elementwise kernel: 64 invocations of four vec4s each. */
export function blocks(vectorCount: number): number {
  return Math.ceil(vectorCount / 256);
}

/** Throws TensorError unless a number is one, and of integers one that the dtype has. */
export function requireNumber(name: string, value: unknown, dtype: DType): void {
  if (typeof value !== "number") throw new TensorError(`${name}: ${value} is neither a tensor nor a number.`);
  const [least, most] = rangeOf(dtype);
  if (isInteger(dtype) && !(Number.isInteger(value) && value >= least && value <= most))
    throw new TensorError(`${name}: ${value} is no ${dtype}.`);
}

/** Throws TensorError unless the tensors are of one dtype. */
export function requireAlike(name: string, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors)
    if (tensor.dtype !== tensors[0]!.dtype)
      throw new TensorError(`${name}: ${tensors[0]} and ${tensor} differ in dtype.`);
}

/** Throws TensorError unless the tensors hold floating-point numbers, of one dtype. */
export function requireFloat(name: string, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    if (tensor.dtype !== "f32" && tensor.dtype !== "f16") {
      throw new TensorError(`${name}: needs f32 or f16, not ${tensor}.`);
    }
  }
  requireAlike(name, ...tensors);
}

/** A tensor as rows along its last axis. Throws TensorError on a scalar. */
export function rowsOf(name: string, tensor: Tensor): { rows: number; length: number } {
  const length = tensor.shape.at(-1);
  if (length === undefined) throw new TensorError(`${name}: a scalar has no last axis.`);
  return { rows: sizeOf(tensor.shape.slice(0, -1)), length };
}

interface WidthSpec<P extends ParamTypes> extends Omit<KernelSpec<P>, "includes"> {
  includes: readonly Include[] | ((width: 1 | 4, one: Computed) => readonly Include[]);
}

/**
 * The same kernel for vec4s, where row lengths are multiples of 4, and for scalars: chosen by the row length. Its includes
 * stand behind `items`.
 */
/* @__NO_SIDE_EFFECTS__ */
export function defineByWidth<const P extends ParamTypes>(
  spec: WidthSpec<P>,
  one: Computed = "f32",
): { of(length: number): Kernel<P>; all: Kernel<P>[] } {
  const all = ([4, 1] as const).map((width) => {
    const { name, includes } = spec;
    const more = typeof includes === "function" ? includes(width, one) : includes;
    return defineKernel<P>({
      ...spec,
      name: `${name}${one === "f32" ? "" : "-whole"}${width === 4 ? "" : "-odd"}`,
      includes: [items(width, "Scalar", "Scalar", one), ...more],
    });
  });
  return { of: (length) => all[length % 4 === 0 ? 0 : 1]!, all };
}

/** The same for floats and for integers, chosen by the dtype as well. */
/* @__NO_SIDE_EFFECTS__ */
export function defineByDtype<const P extends ParamTypes>(
  spec: WidthSpec<P>,
): { of(length: number, dtype: DType): Kernel<P>; all: Kernel<P>[] } {
  const [floats, integers] = [defineByWidth(spec), defineByWidth(spec, "Scalar")];
  return {
    of: (length, dtype) => (isInteger(dtype) ? integers : floats).of(length),
    all: [...floats.all, ...integers.all],
  };
}
