// Functions of up to three tensors, element by element, and copies in another order: operands are read through strides,
// which makes broadcasting, permuting, slicing and turning round a matter of the host (as in NumPy); and what is a part of
// a larger tensor is written through strides, too. Dimensions are merged as far as the strides allow, so that equal shapes
// become one long vector.
import {
  type Backend,
  bytesPerElement,
  type DType,
  defineKernel,
  type Kernel,
  type ParamTypes,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, isInteger, items, vectors } from "../lib/items.ts";
import { partOf, perElement } from "../lib/work.ts";
import placeSource from "./place.wgsl?raw";
import source from "./strided.wgsl?raw";

/** What is computed with: f32 whatever floats are stored as, or integers as they are. */
export type Kind = "float" | "u32" | "i32";

export const kinds: readonly Kind[] = ["float", "u32", "i32"];
const wides = { float: "vec4f", u32: "vec4u", i32: "vec4i", stored: "Vec" } as const;
const ones = { float: "f32", u32: "u32", i32: "i32", stored: "Scalar" } as const;

export function kindOf(dtype: DType): Kind {
  return isInteger(dtype) ? dtype : "float";
}

/** Dimensions that may be left after merging. */
const mostDims = 8;
const dimensions = Array.from({ length: mostDims }, (_, d) => d);

/**
 * WGSL for where the element at an index is in each of up to three tensors, `offsets`, and the parameters of that: extents
 * but the outermost, the innermost last; elements between a tensor's neighbours along each dimension; and with `starts`
 * where each tensor's first element is. A step backwards is a stride below 0: sums of u32 go round. Constants: DIMS.
 */
function addressing(names: readonly string[], starts: boolean): { wgsl: string; params: ParamTypes } {
  const type = names.length === 1 ? "u32" : `vec${names.length}u`;
  const each = (what: string) => `Offsets(${names.map((x) => `params.${x}${what}`).join(", ")})`;
  const steps = dimensions
    .slice(1)
    .reverse()
    .map(
      (d) => `  if (DIMS > ${d}u) {
    at += rest % params.size${d} * ${each(`Stride${d}`)};
    rest /= params.size${d};
  }`,
    );
  const all = names.flatMap((x) => [
    ...(starts ? [`${x}Start`] : []),
    ...dimensions.map((d) => `${x}Stride${d}`),
  ]);
  return {
    wgsl: `alias Offsets = ${type};
fn offsets(index: u32) -> Offsets {
  var rest = index;
  var at = ${starts ? each("Start") : "Offsets()"};
${steps.join("\n")}
  return at + rest * ${each("Stride0")};
}`,
    params: Object.fromEntries(
      [...dimensions.slice(1).map((d) => `size${d}`), ...all].map((name) => [name, "u32"] as const),
    ),
  };
}

/** The values of `addressing`'s parameters but for starts. */
function addresses(dims: readonly Dimension[], names: readonly string[]): Record<string, number> {
  const values: Record<string, number> = {};
  for (const d of dimensions) {
    if (d > 0) values[`size${d}`] = dims[d]?.size ?? 1;
    names.forEach((x, k) => {
      values[`${x}Stride${d}`] = dims[d]?.steps[k] ?? 0;
    });
  }
  return values;
}

interface StridedSpec {
  name: string;
  /** Or "stored": in the dtype of the run, as it is. */
  kind: Kind | "stored";
  /** The tensors that are read, one to three, by their names in `value`; "condition" is u32 whatever the others are. */
  operands: readonly string[];
  /** WGSL of four elements, a `Wide`, or vec4<bool> where the result is a mask, from those of the operands. */
  value: string;
  /** The result is u32: 1 where `value` is true, 0 where not. */
  mask?: boolean;
  includes?: readonly string[];
  /** Floating-point operations for an element. */
  flops: number;
  /** An operand begins where its parameter `…Start` says. */
  starts?: boolean;
}

/** A kernel that computes `value` for every element; run it with `runStrided`. */
/* @__NO_SIDE_EFFECTS__ */
export function defineStrided(spec: StridedSpec): Kernel {
  const { name, kind, operands, value, mask = false, includes = [], flops, starts = false } = spec;
  const condition = (operand: string) => operand === "condition";
  const offset = (at: string, k: number) => (operands.length === 1 ? at : `${at}.${"xyz"[k]}`);
  const join = (each: (operand: string, k: number) => string, between = ", ") =>
    operands.map(each).join(between);
  const { wgsl, params } = addressing(operands, starts);
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
alias One = ${ones[kind]};
alias Out = ${mask ? "vec4u" : "Vec"};
${wgsl}
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
      ...params,
    },
    bundles: true,
    flops: perElement("y", flops),
    ...(starts && { bytes: partOf("y") }),
  });
}

/** Where elements lie in a contiguous tensor. */
export interface Selection {
  /** Elements between neighbours along each dimension. */
  strides: readonly number[];
  /** The element that comes first; 0 unless told. */
  start?: number;
}

/** A tensor and how it is read. */
export interface Strided extends Selection {
  tensor: Tensor;
}

/**
 * Runs a kernel of `defineStrided` over `shape` into a new tensor of that shape, or of one `as` large; not recorded. `dtype` is that of the operands which are no
 * condition, and of the result but for masks. Throws TensorError where more than eight dimensions are left after merging.
 */
export function runStrided(
  kernel: Kernel,
  shape: Shape,
  operands: readonly Strided[],
  dtype: DType,
  result: DType = dtype,
  as: Shape = shape,
): Tensor {
  const dims = merged(
    kernel.name,
    shape,
    operands.map(({ strides }) => strides),
  );
  const inner = dims.at(-1)!;
  const grouped = (offset: number, k: number) => inner.steps[k] === 0 || offset % 4 === 0;
  const vector =
    inner.steps.every((step) => step === 0 || step === 1) &&
    (dims.length === 1 || inner.size % 4 === 0) &&
    operands.every(({ start = 0 }, k) => grouped(start, k)) &&
    dims.slice(0, -1).every(({ steps }) => steps.every(grouped));
  const { engine } = operands[0]!.tensor;
  const y = engine.empty(as, result);
  const tensors = operands.map(({ tensor }) => tensor);
  const names = kernel.bindings.slice(0, operands.length).map(({ name }) => name);
  engine.run(kernel, {
    bind: [...tensors, ...tensors, y],
    params: {
      count: vectors(y),
      ...addresses(dims, names),
      ...Object.fromEntries(names.map((x, k) => [`${x}Start`, operands[k]!.start ?? 0])),
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

const copyKernel = defineStrided({
  ...{ name: "copy", kind: "stored", operands: ["a"], value: "a", flops: 0 },
  starts: true,
});

/* @__NO_SIDE_EFFECTS__ */
function definePlace(width: 1 | 4): Kernel {
  const { wgsl, params } = addressing(["x", "y"], true);
  return defineKernel<ParamTypes>({
    name: width === 4 ? "place" : "place-odd",
    source: placeSource,
    includes: [eachSource, items(width), wgsl],
    bindings: ["x: In", "+y: Out"],
    // Items (of WIDTH elements) are counted.
    params: { count: "u32", ...params },
    bundles: true,
    flops: ({ params, constants }) => (constants.ADD ? width * params.count! : 0),
    bytes: ({ params, constants, bindings }) =>
      (constants.ADD ? 3 : 2) * width * params.count! * bytesPerElement[bindings[1]!.dtype],
  });
}
const placeQuads = definePlace(4);
const placeSingles = definePlace(1);

export const copyKernels = [copyKernel, placeQuads, placeSingles];

/** The dtype under which elements are moved bit by bit. */
const bitsOf = (dtype: DType): DType => (bytesPerElement[dtype] === 4 ? "u32" : dtype);

/** The elements of `x` that strides over `shape` lead to, of any dtype, in a tensor of that shape or of one `as` large; not recorded. */
export function copyStrided(x: Tensor, shape: Shape, selection: Selection, as = shape): Tensor {
  return runStrided(copyKernel, shape, [{ tensor: x, ...selection }], bitsOf(x.dtype), x.dtype, as);
}

/**
 * Writes elements of `x` to places of `y`, both chosen through strides over `shape`, or with `add` adds them to floats; what
 * else `y` has stays. No place may come up twice. Not recorded.
 */
export function placeStrided(
  [x, from]: readonly [Tensor, Selection],
  [y, to]: readonly [Tensor, Selection],
  shape: Shape,
  add = false,
): void {
  const dims = merged("place", shape, [from.strides, to.strides]);
  const inner = dims.at(-1)!;
  const whole = (offset: number) => offset % 4 === 0;
  const quads =
    whole(inner.size) &&
    inner.steps.every((step) => step === 1) &&
    dims.slice(0, -1).every(({ steps }) => steps.every(whole)) &&
    [from, to].every(({ start = 0 }) => whole(start));
  const width = quads ? 4 : 1;
  // In items.
  const scaled = dims.map((dim) =>
    dim === inner
      ? { size: dim.size / width, steps: dim.steps }
      : { size: dim.size, steps: dim.steps.map((step) => step / width) },
  );
  const count = sizeOf(shape) / width;
  y.engine.run(quads ? placeQuads : placeSingles, {
    bind: [x, y],
    params: {
      count,
      ...addresses(scaled, ["x", "y"]),
      xStart: (from.start ?? 0) / width,
      yStart: (to.start ?? 0) / width,
    },
    grid: blocks(count),
    dtype: add ? y.dtype : bitsOf(y.dtype),
    constants: { DIMS: dims.length, ADD: add },
  });
}

/** Copies `x`, repeated as broadcasting does, into a tensor of `shape`; not recorded. */
export function expanded(x: Tensor, shape: Shape): Tensor {
  return copyStrided(x, shape, { strides: broadcastStrides(x.shape, shape) });
}

/** A tensor of one number; not recorded. */
export function filled(engine: Backend, shape: Shape, value: number, dtype: DType): Tensor {
  if (value === 0) return engine.zeros(shape, dtype);
  const one = engine.tensor([value], [], dtype);
  const y = expanded(one, shape);
  one.dispose();
  return y;
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

/**
 * Drops dimensions of extent 1 and joins neighbours that all operands walk through in one go. Throws TensorError where more
 * than eight are left.
 */
function merged(name: string, shape: Shape, strides: readonly (readonly number[])[]): Dimension[] {
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
  if (dims.length > mostDims)
    throw new TensorError(`${name}: [${shape}] has more than eight dimensions that lie apart.`);
  return dims.length > 0 ? dims : [{ size: 1, steps: strides.map(() => 0) }];
}
