// How results are held against each other, by tests and bench alike.

/** About how many elements of a large result are looked at where each takes long to compute. */
export const sampleSize = 2000;

/**
 * The largest |a - b| / (|b| + rms(b)), or with `each` |a - b| / |b|, which sees errors of elements much smaller than
 * the rest. Infinite where lengths differ, or where one is not finite and the other not the same infinity or NaN.
 */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>, each = false): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let squares = 0;
  for (let i = 0; i < b.length; i++) if (Number.isFinite(b[i]!)) squares += b[i]! * b[i]!;
  const rms = each ? 0 : Math.sqrt(squares / b.length);
  let worst = 0;
  for (let i = 0; i < b.length; i++) {
    if (!Number.isFinite(a[i]!) || !Number.isFinite(b[i]!)) {
      if (Object.is(a[i], b[i])) continue;
      return Number.POSITIVE_INFINITY;
    }
    const difference = Math.abs(a[i]! - b[i]!);
    if (difference > 0) worst = Math.max(worst, difference / (Math.abs(b[i]!) + rms));
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
