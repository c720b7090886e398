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
import { divisions, divisorTypes, divisorValues, setDivisor } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, isInteger, items, vectors } from "../lib/items.ts";
import { partOf, perElement } from "../lib/work.ts";
import placeSource from "./place.wgsl?raw";
import source from "./strided.wgsl?raw";
import turnSource from "./turn.wgsl?raw";

/** What is computed with: f32 whatever floats are stored as, or integers as they are. */
export type Kind = "float" | "u32" | "i32";

export const kinds: readonly Kind[] = ["float", "u32", "i32"];
export const wides = { float: "vec4f", u32: "vec4u", i32: "vec4i", stored: "Vec" } as const;
export const ones = { float: "f32", u32: "u32", i32: "i32", stored: "Scalar" } as const;

export function kindOf(dtype: DType): Kind {
  return isInteger(dtype) ? dtype : "float";
}

/** Dimensions that may be left after merging. */
export const mostDims = 8;
/** The parameters that are the extents of so many dimensions but the outermost, the innermost first. */
const sizesOf = (dims: number) => Array.from({ length: dims - 1 }, (_, d) => `size${d}`);

/**
 * WGSL for where elements are in each of up to three tensors, by their index: `offsets` of one, and `fourOffsets` of four behind
 * each other, found together where they lie WITHIN a row or ACROSS two; and the parameters of that: extents but the outermost,
 * numbered from the innermost on; elements between a tensor's neighbours along each dimension; and with `starts`
 * where each tensor's first element is. A step backwards is a stride below 0: sums of u32 go round. Constants: DIMS, WITHIN, ACROSS.
 */
export function addressing(
  names: readonly string[],
  starts: boolean,
  most = mostDims,
): { wgsl: string; params: ParamTypes } {
  const dimensions = Array.from({ length: most }, (_, d) => d);
  const sizes = sizesOf(most);
  const type = names.length === 1 ? "u32" : `vec${names.length}u`;
  const each = (what: string) => `Offsets(${names.map((x) => `params.${x}${what}`).join(", ")})`;
  const steps = dimensions.slice(1).map(
    (d) => `  if (DIMS > ${d + 1}u) {
    let divided = bySize${d}(rest);
    at += divided.y * ${each(`Stride${d}`)};
    rest = divided.x;
  } else if (DIMS == ${d + 1}u) {
    at += rest * ${each(`Stride${d}`)};
  }`,
  );
  // The outermost has none above it.
  if (most > 1)
    steps[steps.length - 1] = `  if (DIMS == ${most}u) {
    at += rest * ${each(`Stride${most - 1}`)};
  }`;
  const all = names.flatMap((x) => [
    ...(starts ? [`${x}Start`] : []),
    ...dimensions.map((d) => `${x}Stride${d}`),
  ]);
  return {
    wgsl: `${divisions(...sizes)}
alias Offsets = ${type};
struct Four { p: Offsets, q: Offsets, r: Offsets, s: Offsets }
fn byRows(index: u32) -> vec2u {
  if (DIMS == 1u) {
    return vec2u(0u, index);
  }
  return bySize0(index);
}
fn rowStart(row: u32) -> Offsets {
  var rest = row;
  var at = ${starts ? each("Start") : "Offsets()"};
${steps.join("\n")}
  return at;
}
fn offsets(index: u32) -> Offsets {
  let at = byRows(index);
  return rowStart(at.x) + at.y * ${each("Stride0")};
}
fn fourOffsets(index: u32) -> Four {
  if (!WITHIN && !ACROSS) {
    return Four(offsets(index), offsets(index + 1u), offsets(index + 2u), offsets(index + 3u));
  }
  let at = byRows(index);
  let step = ${each("Stride0")};
  let first = rowStart(at.x) + at.y * step;
  if (WITHIN) {
    return Four(first, first + step, first + 2u * step, first + 3u * step);
  }
  // As if the next row went on before its start.
  let next = rowStart(at.x + 1u) + (at.y - params.size0) * step;
  let room = params.size0 - at.y;
  return Four(
    first,
    select(next, first, room > 1u) + step,
    select(next, first, room > 2u) + 2u * step,
    select(next, first, room > 3u) + 3u * step,
  );
}`,
    params: {
      ...divisorTypes(...sizes),
      ...Object.fromEntries(all.map((name) => [name, "u32"] as const)),
    },
  };
}

/** Of parameters of `addressing` their names, by dimension, and all values where no dimension is walked along. */
interface Places {
  strides: string[][];
  still: Record<string, number>;
}
const known = new Map<string, Places>();

function placesOf(names: readonly string[], most: number): Places {
  const key = `${most} ${names}`;
  let places = known.get(key);
  if (!places) {
    const strides = Array.from({ length: most }, (_, d) => names.map((x) => `${x}Stride${d}`));
    const still = {
      ...divisorValues(Object.fromEntries(sizesOf(most).map((name) => [name, 1]))),
      ...Object.fromEntries(strides.flat().map((name) => [name, 0])),
    };
    places = { strides, still };
    known.set(key, places);
  }
  return places;
}

/** The values of `addressing`'s parameters but for starts. Every dispatch asks for them: only what is used is computed. */
export function addresses(
  dims: readonly Dimension[],
  names: readonly string[],
  most = mostDims,
): Record<string, number> {
  const { strides, still } = placesOf(names, most);
  const values = { ...still };
  for (let d = 0; d < dims.length; d++) {
    const { size, steps } = dims[dims.length - 1 - d]!;
    // The outermost is not divided by.
    if (d < dims.length - 1) setDivisor(values, `size${d}`, size);
    for (let k = 0; k < names.length; k++) values[strides[d]![k]!] = steps[k]!;
  }
  return values;
}

/** The constants of `addressing`. */
export function layoutOf(dims: readonly Dimension[]) {
  const inner = dims.at(-1)!.size;
  const within = dims.length === 1 || inner % 4 === 0;
  return { DIMS: dims.length, WITHIN: within, ACROSS: !within && inner > 2 };
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
fn ${x}Gathered(at: Four) -> ${wide} {
  return ${wide}(${["at.p", "at.q", "at.r", "at.s"].map(single).join(", ")});
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
fn ofSingles(at: Four) -> Out {
  return valueOf(${join((x) => `${x}Gathered(at)`)});
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
      ...layoutOf(dims),
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
    // `count` is of fours.
    params: { count: "u32", elements: "u32", ...params },
    bundles: true,
    flops: ({ params, constants }) => (constants.ADD ? params.elements! : 0),
    bytes: ({ params, constants, bindings }) =>
      (constants.ADD ? 3 : 2) * params.elements! * bytesPerElement[bindings[1]!.dtype],
  });
}
const placeQuads = definePlace(4);
const placeSingles = definePlace(1);

const turnKernel = (() => {
  const { wgsl, params } = addressing(["x", "y"], true);
  return defineKernel<ParamTypes>({
    name: "turn",
    source: turnSource,
    includes: [eachSource, wgsl],
    bindings: ["x: Vec", "+y: Vec"],
    // `count` is of blocks; from a row of a block to the next there are so many vec4s.
    params: { count: "u32", xNext: "u32", yNext: "u32", ...params },
    bundles: true,
    flops: () => 0,
    bytes: partOf("y"),
  });
})();

export const copyKernels = [copyKernel, placeQuads, placeSingles, turnKernel];

/** The dtype under which elements are moved bit by bit. */
const bitsOf = (dtype: DType): DType => (bytesPerElement[dtype] === 4 ? "u32" : dtype);

/** The elements of `x` that strides over `shape` lead to, of any dtype, in a tensor of that shape or of one `as` large; not recorded. */
export function copyStrided(x: Tensor, shape: Shape, selection: Selection, as = shape): Tensor {
  const dtype = bitsOf(x.dtype);
  const blocked = turned(shape, selection);
  if (!blocked) return runStrided(copyKernel, shape, [{ tensor: x, ...selection }], dtype, x.dtype, as);
  const y = x.engine.empty(as, x.dtype);
  const { dims, xNext, yNext } = blocked;
  const count = y.size / 16;
  const places = { ...addresses(dims, ["x", "y"]), xStart: selection.start ?? 0, yStart: 0 };
  x.engine.run(turnKernel, {
    bind: [x, y],
    params: { count, xNext, yNext, ...places },
    grid: blocks(count),
    dtype,
    constants: layoutOf(dims),
  });
  return y;
}

/** The blocks of `turn`, in x and in the contiguous y; null where these are not whole, or nothing is turned. */
function turned(
  shape: Shape,
  { strides, start = 0 }: Selection,
): { dims: Dimension[]; xNext: number; yNext: number } | null {
  const dims = merged("copy", shape, [strides, contiguousStrides(shape)]);
  const row = dims.at(-1)!;
  const column = dims.find(({ steps }) => steps[0] === 1);
  const whole = (count: number) => count % 4 === 0;
  const others = dims.filter((dim) => dim !== column);
  if (!column || column === row || dims.length + 1 > mostDims || !whole(start)) return null;
  if (![row, column].every(({ size }) => whole(size)) || !others.every(({ steps }) => whole(steps[0]!)))
    return null;
  const between = dims.filter((dim) => dim !== column && dim !== row);
  const [xStep, yStep] = [row.steps[0]!, column.steps[1]!];
  // Blocks that lie beside each other in x.
  const beside = [4, 2, 1].find((count) => (column.size / 4) % count === 0)!;
  return {
    dims: [
      ...between,
      { size: column.size / 4 / beside, steps: [4 * beside, 4 * beside * yStep] },
      { size: row.size / 4, steps: [4 * xStep, 4] },
      { size: beside, steps: [4, 4 * yStep] },
    ],
    xNext: xStep / 4,
    yNext: yStep / 4,
  };
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
  const elements = sizeOf(shape);
  const count = Math.ceil(elements / 4);
  y.engine.run(quads ? placeQuads : placeSingles, {
    bind: [x, y],
    params: {
      count,
      elements,
      ...addresses(dims, ["x", "y"]),
      xStart: from.start ?? 0,
      yStart: to.start ?? 0,
    },
    grid: blocks(count),
    dtype: add ? y.dtype : bitsOf(y.dtype),
    constants: { ...layoutOf(dims), ADD: add },
  });
}

/**
 * `x`, seen as `from`, repeated as broadcasting does, in a tensor of shape `as`, of `shape` unless told; not recorded. Nothing is
 * turned in that: an app that repeats and doesn't permute loads less.
 */
export function expanded(x: Tensor, shape: Shape, from: Shape = x.shape, as: Shape = shape): Tensor {
  const operand = { tensor: x, strides: broadcastStrides(from, shape) };
  return runStrided(copyKernel, shape, [operand], bitsOf(x.dtype), x.dtype, as);
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

export interface Dimension {
  size: number;
  /** Of each operand, elements between neighbours. */
  steps: readonly number[];
}

/** Drops dimensions of extent 1 and joins neighbours that all operands walk through in one go. */
export function joined(shape: Shape, strides: readonly (readonly number[])[]): Dimension[] {
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

/** `joined`; throws TensorError where more than eight dimensions are left. */
export function merged(name: string, shape: Shape, strides: readonly (readonly number[])[]): Dimension[] {
  const dims = joined(shape, strides);
  if (dims.length > mostDims)
    throw new TensorError(`${name}: [${shape}] has more than eight dimensions that lie apart.`);
  return dims;
}
