// How results are held against each other, by tests and bench alike.

/** About how many elements of a large result are looked at where each takes long to compute. */
export const sampleSize = 2000;

/**
 * The largest |a - b| / (|b| + rms(b)), or with `each` |a - b| / |b|, which sees errors of elements much smaller than
 * the rest. Infinite where lengths differ, or where one is not finite and the other not the same infinity or NaN.
 */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>, each = false): number {
  return worstOf(a, b, each).error;
}

/** `relativeError` with the first element that is so far off; -1 where lengths differ, or none is off at all. */
export function worstOf(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  each = false,
): { error: number; index: number } {
  const worst = { error: 0, index: -1 };
  if (a.length !== b.length) return { error: Number.POSITIVE_INFINITY, index: -1 };
  let squares = 0;
  for (let i = 0; i < b.length; i++) if (Number.isFinite(b[i]!)) squares += b[i]! * b[i]!;
  const rms = each ? 0 : Math.sqrt(squares / b.length);
  for (let i = 0; i < b.length; i++) {
    if (!Number.isFinite(a[i]!) || !Number.isFinite(b[i]!)) {
      if (Object.is(a[i], b[i])) continue;
      return { error: Number.POSITIVE_INFINITY, index: i };
    }
    const difference = Math.abs(a[i]! - b[i]!);
    const error = difference > 0 ? difference / (Math.abs(b[i]!) + rms) : 0;
    if (error > worst.error) Object.assign(worst, { error, index: i });
  }
  return worst;
}

/** Where a large result is looked at: the ends, and places between that no tiling favours. */
export function sampleIndices(size: number): number[] {
  const step = Math.max(1, Math.floor(size / sampleSize)) | 1;
  const indices = [size - 1];
  for (let index = 0; index < size; index += step) indices.push(index);
  return indices;
}
