// Cases of gather, scatterAdd and their kin for every element, and of running sums: any axis, ids that come up several times, none.
import type { DType } from "../engine/index.ts";
import { addAlongAxis, gather, scatterAdd, takeAlongAxis } from "../kernels/gather/gather.ts";
import { type CumsumOptions, cumsum } from "../kernels/scan/scan.ts";
import type { Input, OpCase } from "./case.ts";
import { groupsOf } from "./reduce.ts";

interface Spec {
  x: number[];
  axis: number;
  ids: number[];
  dtype?: DType;
  /** Of the ids: from the end where they are below 0. */
  idType?: "u32" | "i32";
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The shape of what ids choose, and for each of its elements where it is in x, from the values of the ids. */
function chosen({ x, axis, ids }: Spec, along: boolean) {
  const at = axis < 0 ? axis + x.length : axis;
  const inner = sizeOf(x.slice(at + 1));
  const entries = along ? ids[at]! : sizeOf(ids);
  const shape = along ? ids : [...x.slice(0, at), ...ids, ...x.slice(at + 1)];
  const sources = (values: Float64Array) =>
    Array.from({ length: sizeOf(shape) }, (_, i) => {
      const [j, o] = [Math.floor(i / inner) % entries, Math.floor(i / inner / entries)];
      const id = values[along ? i : j]!;
      return (o * x[at]! + (id < 0 ? id + x[at]! : id)) * inner + (i % inner);
    });
  return { shape, sources, extent: x[at]! };
}

function idsOf({ ids, idType = "u32" }: Spec, extent: number): Input {
  const from = idType === "i32" ? -extent : 0;
  return { name: "ids", shape: ids, dtype: idType, draw: { from, below: extent }, grad: false };
}

const nameOf = (op: string, { x, axis, ids, dtype = "f32", idType = "u32" }: Spec) =>
  `${op} ${x.join("x")} axis ${axis} ids ${ids.join("x") || "scalar"} ${idType} ${dtype}`;

export function gatherCase(spec: Spec, along = false): OpCase {
  const { x: shape, axis, dtype = "f32" } = spec;
  const { sources, extent } = chosen(spec, along);
  const whole = dtype === "i32" || dtype === "u32";
  return {
    name: nameOf(along ? "takeAlongAxis" : "gather", spec),
    inputs: [{ name: "x", shape, dtype, ...(whole && { draw: { below: 2 ** 31 } }) }, idsOf(spec, extent)],
    run: ([x, ids]) => (along ? takeAlongAxis : gather)(x!, ids!, axis),
    reference: ([x, ids]) => Float64Array.from(sources(ids!), (at) => x![at]!),
    ...(!whole && {
      gradients: ([x, ids]: Float64Array[], dy: Float64Array) => {
        const dx = new Float64Array(x!.length);
        sources(ids!).forEach((at, i) => {
          dx[at]! += dy[i]!;
        });
        return [dx, null];
      },
    }),
  };
}

export function scatterAddCase(spec: Spec, along = false): OpCase {
  const { x: shape, axis, dtype = "f32" } = spec;
  const { shape: updates, sources, extent } = chosen(spec, along);
  return {
    name: nameOf(along ? "addAlongAxis" : "scatterAdd", spec),
    inputs: [{ name: "x", shape, dtype }, idsOf(spec, extent), { name: "updates", shape: updates, dtype }],
    run: ([x, ids, more]) => (along ? addAlongAxis : scatterAdd)(x!, ids!, more!, axis),
    reference: ([x, ids, more]) => {
      const y = Float64Array.from(x!);
      sources(ids!).forEach((at, i) => {
        y[at]! += more![i]!;
      });
      return y;
    },
    gradients: ([, ids], dy) => [dy, null, Float64Array.from(sources(ids!), (at) => dy[at]!)],
  };
}

/** Ids that are not there: NaN, and of integers 0. */
function beyondCase(dtype: DType, idType: "u32" | "i32", along: boolean, count: 5 | 8): OpCase {
  const all = idType === "u32" ? [3, 1, 4, 2 ** 32 - 1, 0, 2, 5, 1] : [-1, -4, 3, -5, 4, 2, -3, -9];
  const ids = all.slice(0, count);
  const there = (id: number) => (id < 0 ? id + 4 : id);
  const none = dtype === "i32" || dtype === "u32" ? 0 : Number.NaN;
  return {
    name: `${along ? "takeAlongAxis" : "gather"} of ${count} beyond the end ${idType} ${dtype}`,
    inputs: [{ name: "x", shape: [4], dtype, grad: false, ...(none === 0 && { draw: { below: 1000 } }) }],
    run: ([x], engine) => (along ? takeAlongAxis : gather)(x!, engine.tensor(ids, [count], idType), 0),
    reference: ([x]) => Float64Array.from(ids, (id) => x![there(id)] ?? none),
  };
}

/** Updates whose ids are not there: they are passed over, and no gradient comes to them. */
function passedOverCase(dtype: DType, idType: "u32" | "i32", along: boolean): OpCase {
  const ids = idType === "u32" ? [3, 1, 4, 2 ** 32 - 1, 1] : [-1, -4, 4, -5, 2];
  const places = ids.map((id) => (id < 0 ? id + 4 : id));
  return {
    name: `${along ? "addAlongAxis" : "scatterAdd"} beyond the end ${idType} ${dtype}`,
    inputs: [
      { name: "x", shape: [4], dtype },
      { name: "updates", shape: [5], dtype },
    ],
    run: ([x, more], engine) =>
      (along ? addAlongAxis : scatterAdd)(x!, engine.tensor(ids, [5], idType), more!, 0),
    reference: ([x, more]) =>
      x!.map((value, at) => more!.reduce((sum, one, i) => (places[i] === at ? sum + one : sum), value)),
    gradients: (_, dy) => [dy, Float64Array.from(places, (at) => dy[at] ?? 0)],
  };
}

export function cumsumCase(
  shape: number[],
  axis: number,
  options: CumsumOptions = {},
  dtype: DType = "f32",
): OpCase {
  const { exclusive = false, reverse = false } = options;
  const groups = groupsOf(shape, [axis < 0 ? axis + shape.length : axis]);
  const sums = (x: Float64Array, backwards: boolean) => {
    const y = new Float64Array(x.length);
    for (const group of groups) {
      let sum = 0;
      for (const at of backwards ? [...group].reverse() : group) {
        y[at] = exclusive ? sum : sum + x[at]!;
        sum += x[at]!;
      }
    }
    return y;
  };
  return {
    name: `cumsum ${shape.join("x")} axis ${axis}${exclusive ? " exclusive" : ""}${reverse ? " reverse" : ""} ${dtype}`,
    inputs: [{ name: "x", shape, dtype }],
    run: ([x]) => cumsum(x!, axis, options),
    reference: ([x]) => sums(x!, reverse),
    gradients: (_, dy) => [sums(dy, !reverse)],
  };
}

export const gatherCases: OpCase[] = [
  gatherCase({ x: [7, 5], axis: 0, ids: [9] }),
  gatherCase({ x: [3, 7, 5], axis: 1, ids: [9] }),
  gatherCase({ x: [3, 7, 8], axis: 1, ids: [2, 6], idType: "i32" }),
  gatherCase({ x: [3, 70], axis: -1, ids: [40] }),
  gatherCase({ x: [400], axis: 0, ids: [30, 11], idType: "i32" }),
  gatherCase({ x: [6, 300, 4], axis: 1, ids: [130] }),
  gatherCase({ x: [3, 7, 5], axis: 1, ids: [] }),
  gatherCase({ x: [3, 7, 5], axis: 2, ids: [4], dtype: "f16" }),
  gatherCase({ x: [3, 7, 8], axis: 0, ids: [4], dtype: "f16", idType: "i32" }),
  gatherCase({ x: [3, 7, 5], axis: 2, ids: [4], dtype: "i32" }),
  gatherCase({ x: [3, 7, 8], axis: 1, ids: [4], dtype: "u32" }),
  gatherCase({ x: [3, 7, 5], axis: 1, ids: [0] }),
  gatherCase({ x: [7, 5], axis: 1, ids: [7, 2] }, true),
  gatherCase({ x: [7, 5, 3], axis: 1, ids: [7, 9, 3], idType: "i32" }, true),
  gatherCase({ x: [7, 5, 4], axis: 0, ids: [2, 5, 4], dtype: "f16" }, true),
  gatherCase({ x: [50], axis: 0, ids: [70] }, true),
  gatherCase({ x: [70, 50], axis: -1, ids: [70, 1] }, true),
  gatherCase({ x: [70, 50], axis: -1, ids: [70, 12] }, true),
  gatherCase({ x: [70, 50], axis: 1, ids: [2, 8], idType: "i32" }),
  gatherCase({ x: [6, 7], axis: 1, ids: [6, 4], dtype: "u32" }, true),
  gatherCase({ x: [6, 4], axis: 0, ids: [3, 4], dtype: "i32" }, true),
  gatherCase({ x: [6, 4], axis: 0, ids: [0, 4] }, true),
  ...(["u32", "i32"] as const).flatMap((ids) => [
    beyondCase("f32", ids, false, 5),
    beyondCase("f16", ids, true, 5),
    beyondCase("i32", ids, false, 5),
    beyondCase("f32", ids, false, 8),
    beyondCase("f16", ids, true, 8),
    beyondCase("i32", ids, true, 8),
  ]),
  scatterAddCase({ x: [7, 5], axis: 0, ids: [19] }),
  scatterAddCase({ x: [3, 7, 8], axis: 1, ids: [2, 6], idType: "i32" }),
  scatterAddCase({ x: [3, 70], axis: -1, ids: [40] }),
  scatterAddCase({ x: [3, 7, 5], axis: 2, ids: [8], dtype: "f16" }),
  scatterAddCase({ x: [3, 7, 5], axis: 1, ids: [0] }),
  scatterAddCase({ x: [7, 5, 3], axis: 1, ids: [7, 9, 3], idType: "i32" }, true),
  scatterAddCase({ x: [9, 6], axis: -1, ids: [9, 13], dtype: "f16" }, true),
  scatterAddCase({ x: [11], axis: 0, ids: [40] }, true),
  passedOverCase("f32", "u32", false),
  passedOverCase("f16", "i32", true),
  cumsumCase([9], 0),
  cumsumCase([5, 33], 1),
  cumsumCase([5, 33], -1, { exclusive: true }),
  cumsumCase([70, 8], 0, { reverse: true }),
  cumsumCase([3, 70, 5], 1, { exclusive: true, reverse: true }),
  cumsumCase([2, 2100], 1),
  cumsumCase([2100, 4], 0, { reverse: true }),
  cumsumCase([4, 65], 1, {}, "f16"),
  cumsumCase([65, 4], 0, { exclusive: true }, "f16"),
  cumsumCase([3, 0, 2], 1),
  cumsumCase([1, 3], 0),
];
