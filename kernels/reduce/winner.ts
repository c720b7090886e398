// Where along an axis an extreme stands: of rows by a workgroup, of columns by an invocation each, the long ones in parts whose
// winners are the candidates of the next stage.
import { defineKernel, type Shape, type Tensor } from "../../engine/index.ts";
import type { Block } from "../lib/axes.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, type Computed, defineByDtype } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { eachRowOf, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import { columnPart, rowPart } from "./parts.ts";
import { orderOf } from "./turned.ts";
import winnerSource from "./winner.wgsl?raw";
import backwardSource from "./winner-backward.wgsl?raw";
import columnsSource from "./winner-columns.wgsl?raw";
import rowsSource from "./winner-rows.wgsl?raw";

const shared = (one: Computed) => [...orderOf(one), winnerSource];
const rowsKernel = defineByDtype({
  name: "winner-rows",
  source: rowsSource,
  includes: (width, one) => [
    ...shared(one),
    ...eachRowOf(one),
    `fn placesOf(item: u32) -> Bits { return ${width === 4 ? "Bits(4u * item) + Bits(0u, 1u, 2u, 3u)" : "item"}; }`,
  ],
  bindings: ["x: In", "+winner: u32"],
  params: {
    // Rows of x times parts.
    rows: "u32",
    // Items (of WIDTH elements) of a row, and of one part.
    extent: "u32",
    parts: "u32",
    partSize: "u32",
  },
  flops: perElement("x", 1),
});
const columnsKernel = defineByDtype({
  name: "winner-columns",
  source: columnsSource,
  includes: (_, one) => [...shared(one), eachSource],
  bindings: ["x: In", "candidates: u32", "+winner: Bits"],
  params: {
    // Items (of WIDTH elements) of the winners.
    count: "u32",
    extent: "u32",
    length: "u32",
    inner: "u32",
    parts: "u32",
    partSize: "u32",
  },
  flops: perElement("x", 1),
});
const backwardKernel = defineKernel({
  name: "winner-backward",
  source: backwardSource,
  includes: [eachSource, divisions("extent", "inner")],
  bindings: ["winner: u32", "dy: Scalar", "+dx: Scalar"],
  // Elements of x.
  params: { count: "u32", ...divisorTypes("extent", "inner") },
  flops: () => 0,
});

export const winnerKernels = kernelsIn(() => [...rowsKernel.all, ...columnsKernel.all, backwardKernel]);

/** Where along the middle of `x`, which has entries, its extreme or its first NaN comes first: u32 of `shape`; not recorded. */
export function winnersOf(of: "max" | "min", x: Tensor, view: Block, shape: Shape): Tensor {
  const { engine, dtype } = x;
  const { outer, inner } = view;
  const constants = { NEGATED: of === "min" };
  let extent = view.extent;
  let candidates: Tensor | null = null;
  const stage = (parts: number) =>
    parts === 1 ? engine.empty(shape, "u32") : engine.empty([outer, parts, inner], "u32");
  let winner: Tensor | null = null;
  if (inner === 1) {
    const width = extent % 4 === 0 ? 4 : 1;
    const partSize = rowPart(extent, width);
    const parts = Math.ceil(extent / partSize);
    winner = stage(parts);
    engine.run(rowsKernel.of(extent, dtype), {
      bind: [x, winner],
      params: {
        ...{ rows: outer * parts, extent: extent / width },
        ...{ parts, partSize: partSize / width },
      },
      grid: outer * parts,
      dtype,
      constants: { ...constants, GROUPS: rowGroups(engine, partSize / width) },
    });
    if (parts === 1) return winner;
    [candidates, extent] = [winner, parts];
  }
  for (;;) {
    // Candidates of neighbours lie anywhere.
    const width = candidates === null && inner % 4 === 0 ? 4 : 1;
    const partSize = columnPart(extent, (outer * inner) / width);
    const parts = Math.ceil(extent / partSize);
    const count = (outer * parts * inner) / width;
    winner = stage(parts);
    engine.run(columnsKernel.of(width, dtype), {
      bind: [x, candidates ?? x, winner],
      params: { count, extent, length: view.extent, inner: inner / width, parts, partSize },
      grid: blocks(count),
      dtype,
      constants: { ...constants, CANDIDATES: candidates !== null },
    });
    candidates?.dispose();
    if (parts === 1) return winner;
    [candidates, extent] = [winner, parts];
  }
}

/** The gradient of an extreme: all of it goes to the winner. Not recorded. */
export function toWinners(dy: Tensor, winner: Tensor, x: Tensor, { extent, inner }: Block): Tensor {
  const { engine, dtype } = x;
  const dx = engine.empty(x.shape, dtype);
  engine.run(backwardKernel, {
    bind: [winner, dy, dx],
    params: { count: x.size, ...divisorValues({ extent, inner }) },
    grid: blocks(x.size),
    dtype,
  });
  return dx;
}
