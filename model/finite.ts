// Numbers that are none: a NaN or an infinity in a weight or an embedding is told by its name and its place, for from
// there on it makes everything NaN, or worse, some of it.

/** Place of the first value that is NaN or infinite; -1 where all are finite. */
export function firstNotFinite(values: ArrayLike<number>): number {
  // An infinity less itself is NaN, and NaN equals nothing: one comparison for both.
  for (let i = 0; i < values.length; i++) if (values[i]! - values[i]! !== 0) return i;
  return -1;
}

/**
 * What is wrong with values that should be finite: "NaN at [3, 5], the first of 4096 that are not finite"; null where
 * nothing is.
 */
export function notFinite(values: ArrayLike<number>, shape: readonly number[]): string | null {
  const first = firstNotFinite(values);
  if (first < 0) return null;
  let count = 0;
  for (let i = first; i < values.length; i++) if (!Number.isFinite(values[i]!)) count++;
  const place: number[] = [];
  for (let axis = shape.length - 1, rest = first; axis >= 0; axis--) {
    place.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  const more = count > 1 ? `, the first of ${count} numbers that are not finite` : "";
  return `${values[first]} at [${place.join(", ")}]${more}`;
}
