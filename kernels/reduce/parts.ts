// How long reductions are cut into parts, which keeps all invocations busy: stages of about equal depth.

/** Elements of a row that one workgroup reduces in one go. */
export const longestRow = 8192;

/** Elements of a row that one workgroup reduces. */
export function rowPart(extent: number, width: number): number {
  if (extent <= longestRow) return extent;
  return Math.ceil(Math.max(4096, Math.sqrt(extent)) / width) * width;
}

/** Rows that one invocation reduces, where `columns` items lie side by side. */
export function columnPart(extent: number, columns: number): number {
  const few = columns < 16384 ? 64 : 1024;
  return extent <= few ? extent : Math.max(32, Math.ceil(Math.sqrt(extent)));
}
