// How column kernels run: several invocations go down a column, or four beside each other, and join what they found.
import type { Backend } from "../../engine/index.ts";
import type { Block } from "./axes.ts";
import eachSource from "./each-column.wgsl?raw";

/** The include that calls `takeColumn`; stands behind `items`. */
export const eachColumn = eachSource;

export const columnTypes = {
  // Items (of WIDTH elements) of the inner extent, of one outer row and of all.
  inner: "u32",
  columns: "u32",
  extent: "u32",
} as const;

/** How to run a column kernel; null where columns are so few and long that they had better be rows. */
export function columnRun({ rowGroups }: Backend, { outer, extent, inner }: Block) {
  const items = inner % 4 === 0 ? inner / 4 : inner;
  const columns = outer * items;
  if (columns < 64 && extent > 4096) return null;
  // A CPU has workgroups enough by few columns.
  const most = rowGroups > 1 ? 32 : 4;
  const DOWN = Math.max(1, Math.min(most, 2 ** Math.floor(Math.log2(extent / 4))));
  return { params: { inner: items, columns, extent }, grid: Math.ceil(columns / 8), constants: { DOWN } };
}
