// The extents of a tensor, and what follows from them alone.

/** Sizes of the dimensions, outermost first; an empty shape is a scalar. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
