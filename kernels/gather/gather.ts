// Entries along an axis by their numbers, and sums into them: each is the other's gradient. Numbers are for whole slices, the
// same all over the tensor (gather, scatterAdd), or for every element by itself (takeAlongAxis, addAlongAxis).
import {
  defineKernel,
  gradientDType,
  type Kernel,
  type Shape,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { castInto, floatsIn } from "../elementwise/cast.ts";
import { axisOf, type Block, blockOf, withExtent } from "../lib/axes.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByDtype, defineByWidth, isInteger, requireAlike } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { rowLanes } from "../lib/rows.ts";
import { partOf, perElement } from "../lib/work.ts";
import addAlongSource from "./add-along.wgsl?raw";
import gatherSource from "./gather.wgsl?raw";
import gatherQuadsSource from "./gather-quads.wgsl?raw";
import rowSource from "./row.wgsl?raw";
import scatterAddSource from "./scatter-add.wgsl?raw";

const sizes = {
  // Ids of a slice; rows that they choose of; items (of WIDTH elements) of the inner extent.
  entries: "u32",
  rows: "u32",
  inner: "u32",
} as const;

const gatherKernel = defineByWidth({
  name: "gather",
  source: gatherSource,
  includes: [nanSource, eachSource, rowSource, divisions("entries", "inner")],
  bindings: ["x: In", "ids: u32", "+y: Out"],
  // Items of y.
  params: { count: "u32", rows: "u32", ...divisorTypes("entries", "inner") },
  flops: () => 0,
  bytes: partOf("y"),
});
const gatherQuads = defineKernel({
  name: "gather-quads",
  source: gatherQuadsSource,
  includes: [nanSource, eachSource, divisions("quads")],
  bindings: ["x: Scalar", "ids: vec4u", "+y: Vec"],
  // vec4s of y, rows of x, and vec4s of ids.
  params: { count: "u32", rows: "u32", ...divisorTypes("quads") },
  flops: () => 0,
  bytes: partOf("y"),
});
const scatterAddKernel = defineByDtype({
  name: "scatter-add",
  source: scatterAddSource,
  includes: [rowLanes, rowSource],
  bindings: ["x: In", "ids: u32", "+y: Wide"],
  params: {
    ...sizes,
    // Residue classes, strips of an entry's items, and workgroups: one for each strip of each class of each outer slice.
    classes: "u32",
    strips: "u32",
    groups: "u32",
  },
  flops: perElement("x", 1),
  bytes: partOf("x"),
});
type AddAlong = Kernel<typeof sizes & { readonly count: "u32" }>;
const [addAlong, addAlongWhole] = (["f32", "Scalar"] as const).map((one) =>
  defineKernel({
    name: one === "f32" ? "add-along" : "add-along-whole",
    source: addAlongSource,
    includes: [eachSource, rowSource, `alias One = ${one};`],
    bindings: ["x: Scalar", "ids: u32", "+y: One"],
    // Columns.
    params: { count: "u32", ...sizes },
    flops: perElement("x", 1),
    bytes: partOf("x"),
  }),
) as [AddAlong, AddAlong];

export const gatherKernels = kernelsIn(() => [
  ...gatherKernel.all,
  gatherQuads,
  ...scatterAddKernel.all,
  ...[addAlong, addAlongWhole],
]);

const signed = (ids: Tensor) => ({ SIGNED: ids.dtype === "i32" });

/** Residue classes of ids: enough workgroups for a GPU, but each reads all ids once; and none that no row is of. */
function classesFor(entries: number, outer: number, rows: number): number {
  const most = entries > 16384 ? 64 : 256;
  return Math.max(1, Math.min(Math.floor(most / outer), rows));
}

/**
 * What `ids` choose of the middle of `x`; with `along` an id for each element of the result. An id that is not there gives NaN,
 * or 0 of integers and with `zeros`.
 */
function chosen(
  x: Tensor,
  { outer, extent, inner }: Block,
  ids: Tensor,
  along: boolean,
  shape: Shape,
  zeros = isInteger(x.dtype),
): Tensor {
  const { engine, dtype } = x;
  const y = engine.empty(shape, dtype);
  const entries = along ? ids.size / Math.max(1, outer * inner) : ids.size;
  const constants = { ALONG: along, ...signed(ids), ZEROS: zeros };
  if (inner === 1 && entries % 4 === 0 && extent > 0) {
    const count = y.size / 4;
    const params = { count, rows: extent, ...divisorValues({ quads: entries / 4 }) };
    engine.run(gatherQuads, { bind: [x, ids, y], params, grid: blocks(count), dtype, constants });
    return y;
  }
  const quads = !along && inner % 4 === 0;
  const items = quads ? inner / 4 : inner;
  const count = outer * entries * items;
  engine.run(gatherKernel.of(quads ? 4 : 1), {
    bind: [x, ids, y],
    params: { count, rows: extent, ...divisorValues({ entries, inner: items }) },
    grid: blocks(count),
    dtype,
    constants,
  });
  return y;
}

/** Adds to the middle of `y`, f32 or the integers of `x`, what `ids` say of `x`; with `along` an id for each element of `x`. */
function addChosen(y: Tensor, { outer, extent, inner }: Block, ids: Tensor, along: boolean, x: Tensor): void {
  if (x.size === 0) return;
  const { engine, dtype } = x;
  const entries = x.size / (outer * inner);
  // Of one column there is one invocation, where scatter-add has many lanes.
  if (along && outer * inner > 1) {
    const count = outer * inner;
    engine.run(isInteger(dtype) ? addAlongWhole : addAlong, {
      bind: [x, ids, y],
      params: { count, entries, rows: extent, inner },
      grid: blocks(count),
      dtype,
      constants: signed(ids),
    });
    return;
  }
  const classes = classesFor(entries, outer, extent);
  const items = inner % 4 === 0 ? inner / 4 : inner;
  // An id that many entries have, such as padding's, keeps a workgroup busy for long: on a GPU no lane has two items then.
  const strips = engine.rowGroups > 1 ? Math.ceil(items / engine.lanes.count) : 1;
  const groups = classes * outer * strips;
  engine.run(scatterAddKernel.of(inner, dtype), {
    bind: [x, ids, y],
    params: {
      ...{ entries, rows: extent, inner: items },
      ...{ classes, strips, groups },
    },
    // Not all classes need have an id.
    grid: [...engine.fold(groups), 1],
    dtype,
    constants: { GROUPS: 1, ...signed(ids) },
  });
}

function requireIds(name: string, ids: Tensor): void {
  if (!isInteger(ids.dtype)) throw new TensorError(`${name}: ids must be u32 or i32, not ${ids}.`);
}

/** Sums into zeros of the shape of `x`, as its gradient. */
function sumsOf(dy: Tensor, x: Tensor, view: Block, ids: Tensor, along: boolean): Tensor {
  // Sums are f32 also where the numbers are f16.
  const sums = dy.engine.zeros(x.shape);
  addChosen(sums, view, ids, along, dy);
  return floatsIn(sums, gradientDType(x));
}

/** `x` with sums in its middle, as an operation. */
function added(
  name: string,
  [x, updates]: readonly [Tensor, Tensor],
  view: Block,
  ids: Tensor,
  along: boolean,
): Tensor {
  const { engine, dtype } = x;
  // Sums of f16 are f32.
  const own = dtype === "f32" || isInteger(dtype);
  const sums = engine.empty(x.shape, own ? dtype : "f32");
  if (own) engine.copy(x, sums);
  else castInto(x, sums);
  addChosen(sums, view, ids, along, updates);
  let y = sums;
  if (!own) {
    y = engine.empty(x.shape, dtype);
    castInto(sums, y);
    sums.dispose();
  }
  return engine.record(name, y, [x, updates], (dy, needs) => [
    dy,
    needs[1] ? chosen(dy, view, ids, along, updates.shape, true) : null,
  ]);
}

/**
 * Entries of `x`, of any dtype, along `axis`, one for each of `ids` (u32, or i32, where below 0 counts from the end), whose shape
 * takes the axis's place: NumPy's take. An id that is not there, which the host can't see, gives NaN, or 0 of integers, and gets no
 * gradient. Throws TensorError on a bad axis or other ids.
 */
export function gather(x: Tensor, ids: Tensor, axis = 0): Tensor {
  const at = axisOf("gather", x, axis);
  requireIds("gather", ids);
  const view = blockOf(x.shape, at);
  const y = chosen(x, view, ids, false, [...x.shape.slice(0, at), ...ids.shape, ...x.shape.slice(at + 1)]);
  return x.engine.record("gather", y, [x], (dy) => [sumsOf(dy, x, view, ids, false)]);
}

/**
 * `x` with `updates` added to the entries along `axis` that `ids` name, in the order of the ids; of the shape that
 * `gather(x, ids, axis)` has. f32 or f16, with the same bits in every run; integers modulo 2^32, without gradients. Ids that are not there are passed over, and their
 * updates' gradients are 0. Throws TensorError where shapes or dtypes do not fit.
 */
export function scatterAdd(x: Tensor, ids: Tensor, updates: Tensor, axis = 0): Tensor {
  requireAlike("scatterAdd", x, updates);
  const at = axisOf("scatterAdd", x, axis);
  requireIds("scatterAdd", ids);
  const shape = [...x.shape.slice(0, at), ...ids.shape, ...x.shape.slice(at + 1)];
  if (`${updates.shape}` !== `${shape}`)
    throw new TensorError(`scatterAdd: updates [${updates.shape}] are not [${shape}].`);
  return added("scatterAdd", [x, updates], blockOf(x.shape, at), ids, false);
}

/** The axis of an operation with an id for each element. */
function alongAxis(name: string, x: Tensor, ids: Tensor, axis: number): Block {
  const at = axisOf(name, x, axis);
  requireIds(name, ids);
  if (`${withExtent(ids.shape, at, 0)}` !== `${withExtent(x.shape, at, 0)}`)
    throw new TensorError(`${name}: ids [${ids.shape}] do not fit [${x.shape}] along axis ${axis}.`);
  return blockOf(x.shape, at);
}

/**
 * For each of `ids` the element of `x`, of any dtype, in its place but along `axis`, where the id says: NumPy's take_along_axis,
 * PyTorch's gather. Ids as in `gather`, of the shape of `x` but for the extent of `axis`, as is the result. Throws TensorError on other shapes.
 */
export function takeAlongAxis(x: Tensor, ids: Tensor, axis = -1): Tensor {
  const view = alongAxis("takeAlongAxis", x, ids, axis);
  const y = chosen(x, view, ids, true, ids.shape);
  return x.engine.record("takeAlongAxis", y, [x], (dy) => [sumsOf(dy, x, view, ids, true)]);
}

/**
 * `x` with each element of `updates` added in its place but along `axis`, where its id says: PyTorch's scatter_add. Dtypes as of `scatterAdd`. Throws TensorError where `updates` has not the shape of `ids`, and as `takeAlongAxis`.
 */
export function addAlongAxis(x: Tensor, ids: Tensor, updates: Tensor, axis = -1): Tensor {
  requireAlike("addAlongAxis", x, updates);
  const view = alongAxis("addAlongAxis", x, ids, axis);
  if (`${updates.shape}` !== `${ids.shape}`)
    throw new TensorError(`addAlongAxis: updates [${updates.shape}] are not [${ids.shape}].`);
  return added("addAlongAxis", [x, updates], view, ids, true);
}
