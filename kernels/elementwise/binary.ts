// Functions of two tensors, element by element, and copies in another order: operands are read through strides, which
// makes broadcasting and permuting a matter of the host (as in NumPy). Dimensions are merged as far as the strides allow,
// so that equal shapes become one long vector.
import { defineKernel, type Shape, type Tensor, TensorError } from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, requireFloat, vectors } from "../lib/items.ts";
import { perElement } from "../lib/work.ts";
import source from "./binary.wgsl?raw";

interface Definition {
  /** From `a` and `b`, each a vec4f. */
  value: string;
  /** Floating-point operations for an element. */
  flops: number;
}

const ops = {
  add: { value: "a + b", flops: 1 },
  sub: { value: "a - b", flops: 1 },
  mul: { value: "a * b", flops: 1 },
  div: { value: "a / b", flops: 1 },
  /** For the gradient of a quotient's divisor. */
  negativeMul: { value: "-a * b", flops: 2 },
  /** Only a copy: `b` does not count. */
  copy: { value: "a", flops: 0 },
} as const satisfies Record<string, Definition>;

export type BinaryOp = keyof typeof ops;

const kernelOf = (name: string, { value, flops }: Definition) =>
  defineKernel({
    name,
    source: `${source}
fn combine(a: vec4f, b: vec4f) -> vec4f {
  return ${value};
}`,
    includes: [eachSource],
    bindings: [
      "a: Vec",
      "b: Vec",
      // The same two again, for single elements.
      "singlesA: Scalar",
      "singlesB: Scalar",
      "+y: Vec",
    ],
    params: {
      // vec4s of y.
      count: "u32",
      // Extents of y but the outermost, the innermost last.
      size1: "u32",
      size2: "u32",
      size3: "u32",
      // Elements between neighbours along each dimension.
      strideA0: "u32",
      strideA1: "u32",
      strideA2: "u32",
      strideA3: "u32",
      strideB0: "u32",
      strideB1: "u32",
      strideB2: "u32",
      strideB3: "u32",
    },
    flops: perElement("y", flops),
  });

const kernels = Object.fromEntries(
  Object.entries(ops).map(([op, definition]) => [op, kernelOf(op, definition)]),
) as Record<BinaryOp, ReturnType<typeof kernelOf>>;

export const binaryKernels = Object.values(kernels);

/** Elements between neighbours along each dimension of a contiguous tensor. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= shape[d]!;
  }
  return strides;
}

/** Strides that read a tensor of `from` as one of `to`: 0 where it repeats. `to` must be a broadcast of `from`. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = contiguousStrides(from);
  const missing = to.length - from.length;
  return to.map((_, d) => (d < missing || from[d - missing] === 1 ? 0 : own[d - missing]!));
}

/** The shape that NumPy broadcasts `a` and `b` to. Throws TensorError where they don't fit. */
export function broadcastShape(name: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, d) => {
    const x = a[d - rank + a.length] ?? 1;
    const y = b[d - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new TensorError(`${name}: [${a}] and [${b}] do not broadcast.`);
    return x === 1 ? y : x;
  });
}

/**
 * f(a, b) of `shape`, not recorded; the strides say how `a` and `b` are read. f32 or f16, computed in f32. Throws
 * TensorError on mixed dtypes and where more than four dimensions are left after merging.
 */
export function binary(
  op: BinaryOp,
  shape: Shape,
  a: Tensor,
  stridesA: readonly number[],
  b: Tensor,
  stridesB: readonly number[],
): Tensor {
  requireFloat(op, a, b);
  const dims = merged(shape, stridesA, stridesB);
  if (dims.length > 4) throw new TensorError(`${op}: [${shape}] has more than four dimensions to broadcast.`);
  const inner = dims.at(-1)!;
  const grouped = (d: Dimension) => (inner.a === 0 || d.a % 4 === 0) && (inner.b === 0 || d.b % 4 === 0);
  const vector =
    inner.a <= 1 &&
    inner.b <= 1 &&
    (dims.length === 1 || inner.size % 4 === 0) &&
    dims.slice(0, -1).every(grouped);
  const { engine } = a;
  const y = engine.empty(shape, a.dtype);
  engine.run(kernels[op], {
    bind: [a, b, a, b, y],
    params: {
      count: vectors(y),
      size1: dims[1]?.size ?? 1,
      size2: dims[2]?.size ?? 1,
      size3: dims[3]?.size ?? 1,
      strideA0: dims[0]!.a,
      strideA1: dims[1]?.a ?? 0,
      strideA2: dims[2]?.a ?? 0,
      strideA3: dims[3]?.a ?? 0,
      strideB0: dims[0]!.b,
      strideB1: dims[1]?.b ?? 0,
      strideB2: dims[2]?.b ?? 0,
      strideB3: dims[3]?.b ?? 0,
    },
    grid: blocks(vectors(y)),
    dtype: a.dtype,
    constants: {
      DIMS: dims.length,
      VECTOR: vector,
      SPLAT_A: inner.a === 0,
      SPLAT_B: inner.b === 0,
    },
  });
  return y;
}

/** A tensor of `shape` with the elements of `x` that the strides lead to; not recorded. */
export function copyStrided(x: Tensor, shape: Shape, strides: readonly number[]): Tensor {
  return binary("copy", shape, x, strides, x, strides);
}

/** Copies `x`, repeated as broadcasting does, into a tensor of `shape`; not recorded. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return copyStrided(x, shape, broadcastStrides(x.shape, shape));
}

interface Dimension {
  size: number;
  a: number;
  b: number;
}

/** Drops dimensions of extent 1 and joins neighbours that both operands walk through in one go. */
function merged(shape: Shape, stridesA: readonly number[], stridesB: readonly number[]): Dimension[] {
  const dims: Dimension[] = [];
  shape.forEach((size, d) => {
    if (size === 1) return;
    const next = { size, a: stridesA[d]!, b: stridesB[d]! };
    const last = dims.at(-1);
    if (last && last.a === next.a * size && last.b === next.b * size) {
      dims[dims.length - 1] = { size: last.size * size, a: next.a, b: next.b };
    } else {
      dims.push(next);
    }
  });
  return dims.length > 0 ? dims : [{ size: 1, a: 0, b: 0 }];
}
