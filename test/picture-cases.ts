// Pictures with what Pillow makes of them, for Node and the browser. Fixture: reference/picture-resize.py.
import { readFileSync } from "node:fs";

/** Pixels squashed. */
export interface ResizedCase {
  width: number;
  height: number;
  size: number;
  rgb: number[];
  resized: number[];
}

/** A file decoded, laid on white and squashed. */
export interface DecodedCase {
  name: string;
  /** Base64 */
  file: string;
  size: number;
  resized: number[];
}

const fixture: { cases: ResizedCase[]; files: DecodedCase[] } = JSON.parse(
  readFileSync(new URL("fixtures/picture-resize.json", import.meta.url), "utf8"),
);
export const { cases, files } = fixture;

/** Mean difference per channel, in levels of 1/255. */
export function meanDifferences(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  const sums = [0, 0, 0];
  for (let i = 0; i < a.length; i++) sums[i % 3] += Math.abs(a[i] - b[i]);
  return sums.map((sum) => sum / (a.length / 3));
}
