// How row kernels run: the WORKERS invocations of a workgroup, GROUPS times LANES, work on one row, and sum over it through
// `laneSum` and `laneMax`, on subgroups or on shared memory.
import type { Backend } from "../../engine/index.ts";
import eachSource from "./each-row.wgsl?raw";
import heldSource from "./held-rows.wgsl?raw";
import type { Computed } from "./items.ts";
import shared from "./rows-shared.wgsl?raw";
import subgroups from "./rows-subgroup.wgsl?raw";

/** The include that brings WORKERS, `lane`, `laneSum` and `laneMax` of one type; needs the constant GROUPS. */
const lanesOf = (type: Computed) => {
  const alias = `alias Laned = ${type};\n`;
  return { subgroups: alias + subgroups, shared: alias + shared };
};
export const rowLanes = lanesOf("f32");
/** The includes that call `takeRows` for ROWS rows a workgroup, or for one. */
export const eachRows = [rowLanes, eachSource];
const oneRow = "const ROWS = 1u;";
export const eachRow = [...eachRows, oneRow];
/** For one row a workgroup, of floats or of integers. */
export const eachRowOf = (type: Computed) => [lanesOf(type), eachSource, oneRow];

/** What brings `held` and `goesOn` for items of a type. */
export const heldRows = (type: string): string => `alias Held = ${type};\n${heldSource}`;

/**
 * GROUPS for rows of so many items: as many as have work for two rounds, a power of two, within what the engine lets a
 * workgroup have. A row too narrow for a second group has one subgroup by itself.
 */
export function rowGroups({ lanes, rowGroups: most }: Backend, items: number): number {
  const busy = Math.max(1, Math.floor(items / (2 * lanes.count)));
  return Math.min(most, 2 ** Math.floor(Math.log2(busy)));
}

/** Items of a row that an invocation holds at most; more than two rounds are left only where workgroups can't be larger. */
const mostHeld = 4;

/** GROUPS and HELD for rows of so many items. */
export function heldGroups(engine: Backend, items: number): { GROUPS: number; HELD: number } {
  const GROUPS = rowGroups(engine, items);
  const fits = items <= mostHeld * GROUPS * engine.lanes.count;
  return { GROUPS, HELD: engine.rowGroups > 1 && fits ? mostHeld : 0 };
}
