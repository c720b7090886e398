// Functions of up to three tensors, element by element, and copies in another order: operands are read through strides,
// which makes broadcasting and permuting a matter of the host (as in NumPy). Dimensions are merged as far as the strides
// allow, so that equal shapes become one long vector.
import {
  type DType,
  defineKernel,
  type Kernel,
  type ParamTypes,
  type Shape,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, vectors } from "../lib/items.ts";
import { perElement } from "../lib/work.ts";
import source from "./strided.wgsl?raw";

/** What is computed with: f32 whatever floats are stored as, or integers as they are. */
export type Kind = "float" | "u32" | "i32";

export const kinds: readonly Kind[] = ["float", "u32", "i32"];
const wides = { float: "vec4f", u32: "vec4u", i32: "vec4i" } as const;

export function kindOf(dtype: DType): Kind {
  return dtype === "u32" || dtype === "i32" ? dtype : "float";
}

interface StridedSpec {
  name: string;
  kind: Kind;
  /** The tensors that are read, one to three, by their names in `value`; "condition" is u32 whatever the others are. */
  operands: readonly string[];
  /** WGSL of four elements, a `Wide`, or vec4<bool> where the result is a mask, from those of the operands. */
  value: string;
  /** The result is u32: 1 where `value` is true, 0 where not. */
  mask?: boolean;
  includes?: readonly string[];
  /** Floating-point operations for an element. */
  flops: number;
}

/** A kernel that computes `value` for every element; run it with `runStrided`. */
export function defineStrided(spec: StridedSpec): Kernel {
  const { name, kind, operands, value, mask = false, includes = [], flops } = spec;
  const condition = (operand: string) => operand === "condition";
  const offset = (at: string, k: number) => (operands.length === 1 ? at : `${at}.${"xyz"[k]}`);
  const join = (each: (operand: string, k: number) => string, between = ", ") =>
    operands.map(each).join(between);
  const strides = [0, 1, 2, 3].map(
    (d) => `fn stride${d}() -> Offsets { return Offsets(${join((x) => `params.${x}Stride${d}`)}); }`,
  );
  const reads = join((x, k) => {
    const [wide, one] = condition(x) ? ["vec4u", "u32"] : ["Wide", "One"];
    const single = (at: string) => `${one}(${x}Singles[${offset(at, k)}])`;
    return `fn ${x}Quad(at: Offsets) -> ${wide} {
  if (SPLAT_${x.toUpperCase()}) {
    return ${wide}(${single("at")});
  }
  return ${wide}(${x}[${offset("at", k)} / 4u]);
}
fn ${x}Gathered(p: Offsets, q: Offsets, r: Offsets, s: Offsets) -> ${wide} {
  return ${wide}(${["p", "q", "r", "s"].map(single).join(", ")});
}`;
  }, "\n");
  return defineKernel<ParamTypes>({
    name,
    source: `${source}
alias Wide = ${wides[kind]};
alias One = ${kind === "float" ? "f32" : kind};
alias Out = ${mask ? "vec4u" : "Vec"};
alias Offsets = ${operands.length === 1 ? "u32" : `vec${operands.length}u`};
${strides.join("\n")}
${reads}
fn valueOf(${join((x) => `${x}: ${condition(x) ? "vec4u" : "Wide"}`)}) -> Out {
  return Out(${value});
}
fn ofQuads(at: Offsets) -> Out {
  return valueOf(${join((x) => `${x}Quad(at)`)});
}
fn ofSingles(p: Offsets, q: Offsets, r: Offsets, s: Offsets) -> Out {
  return valueOf(${join((x) => `${x}Gathered(p, q, r, s)`)});
}`,
    includes: [eachSource, ...includes],
    bindings: [
      ...operands.map((x) => `${x}: ${condition(x) ? "vec4u" : "Vec"}` as const),
      // The same again, for single elements.
      ...operands.map((x) => `${x}Singles: ${condition(x) ? "u32" : "Scalar"}` as const),
      mask ? "+y: vec4u" : "+y: Vec",
    ],
    params: {
      // vec4s of y.
      count: "u32",
      // Extents of y but the outermost, the innermost last.
      ...{ size1: "u32", size2: "u32", size3: "u32" },
      // Elements between an operand's neighbours along each dimension.
      ...Object.fromEntries(
        operands.flatMap((x) => [0, 1, 2, 3].map((d) => [`${x}Stride${d}`, "u32"] as const)),
      ),
    },
    flops: perElement("y", flops),
  });
}

/** A tensor and how it is read: elements between neighbours along each dimension of the result. */
export interface Strided {
  tensor: Tensor;
  strides: readonly number[];
}

/**
 * Runs a kernel of `defineStrided` into a new tensor of `shape`; not recorded. `dtype` is that of the operands which are no
 * condition, and of the result but for masks. Throws TensorError where more than four dimensions are left after merging.
 */
export function runStrided(
  kernel: Kernel,
  shape: Shape,
  operands: readonly Strided[],
  dtype: DType,
  result: DType = dtype,
): Tensor {
  const dims = merged(
    shape,
    operands.map(({ strides }) => strides),
  );
  if (dims.length > 4)
    throw new TensorError(`${kernel.name}: [${shape}] has more than four dimensions to broadcast.`);
  const inner = dims.at(-1)!;
  const grouped = (d: Dimension) => d.steps.every((step, k) => inner.steps[k] === 0 || step % 4 === 0);
  const vector =
    inner.steps.every((step) => step <= 1) &&
    (dims.length === 1 || inner.size % 4 === 0) &&
    dims.slice(0, -1).every(grouped);
  const { engine } = operands[0]!.tensor;
  const y = engine.empty(shape, result);
  const tensors = operands.map(({ tensor }) => tensor);
  const names = kernel.bindings.slice(0, operands.length).map(({ name }) => name);
  engine.run(kernel, {
    bind: [...tensors, ...tensors, y],
    params: {
      count: vectors(y),
      ...Object.fromEntries([1, 2, 3].map((d) => [`size${d}`, dims[d]?.size ?? 1])),
      ...Object.fromEntries(
        names.flatMap((x, k) => [0, 1, 2, 3].map((d) => [`${x}Stride${d}`, dims[d]?.steps[k] ?? 0])),
      ),
    },
    grid: blocks(vectors(y)),
    dtype,
    constants: {
      DIMS: dims.length,
      VECTOR: vector,
      ...Object.fromEntries(names.map((x, k) => [`SPLAT_${x.toUpperCase()}`, inner.steps[k] === 0])),
    },
  });
  return y;
}

const copies = Object.fromEntries(
  kinds.map((kind) => {
    const name = kind === "float" ? "copy" : `copy-${kind}`;
    return [kind, defineStrided({ name, kind, operands: ["a"], value: "a", flops: 0 })];
  }),
) as Record<Kind, Kernel>;

export const copyKernels = Object.values(copies);

/** A tensor of `shape` with the elements of `x` that the strides lead to, of any dtype; not recorded. */
export function copyStrided(x: Tensor, shape: Shape, strides: readonly number[]): Tensor {
  return runStrided(copies[kindOf(x.dtype)], shape, [{ tensor: x, strides }], x.dtype);
}

/** Copies `x`, repeated as broadcasting does, into a tensor of `shape`; not recorded. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return copyStrided(x, shape, broadcastStrides(x.shape, shape));
}

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

/** The shape that NumPy broadcasts all of `shapes` to. Throws TensorError where they don't fit. */
export function broadcastShape(name: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, d) => {
    const extents = shapes.map((shape) => shape[d - rank + shape.length] ?? 1);
    const extent = extents.find((one) => one !== 1) ?? 1;
    if (extents.some((one) => one !== 1 && one !== extent))
      throw new TensorError(
        `${name}: ${shapes.map((shape) => `[${shape}]`).join(" and ")} do not broadcast.`,
      );
    return extent;
  });
}

interface Dimension {
  size: number;
  /** Of each operand, elements between neighbours. */
  steps: readonly number[];
}

/** Drops dimensions of extent 1 and joins neighbours that all operands walk through in one go. */
function merged(shape: Shape, strides: readonly (readonly number[])[]): Dimension[] {
  const dims: Dimension[] = [];
  shape.forEach((size, d) => {
    if (size === 1) return;
    const steps = strides.map((own) => own[d]!);
    const last = dims.at(-1);
    if (last && steps.every((step, k) => last.steps[k] === step * size)) {
      dims[dims.length - 1] = { size: last.size * size, steps };
    } else {
      dims.push({ size, steps });
    }
  });
  return dims.length > 0 ? dims : [{ size: 1, steps: strides.map(() => 0) }];
}
