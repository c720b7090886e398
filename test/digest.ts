// What a fixture keeps of PyTorch's results, which may be large: reference/named.py makes the same of them.
import * as assert from "uvu/assert";
import { namedValues } from "./checkpoint-files.ts";

/** A result of PyTorch's: all of its elements, or as many as `samples` of more, at places that its name gives. */
export interface Digest {
  shape: number[];
  /** Largest magnitude. */
  largest: number;
  /** Root of the sum of squares. */
  norm: number;
  /** Base64 of little-endian float32. */
  f32: string;
}

export const samples = 320;

/** The numbers of a fixture's base64 text. */
export function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
}

/** Where a fixture has the elements of a result of `size`. */
function places(name: string, size: number): number[] {
  if (size <= samples) return Array.from({ length: size }, (_, i) => i);
  return Array.from(namedValues(`sample ${name}`, samples, 1), (value) =>
    Math.floor(((value + 1) / 2) * size),
  );
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/**
 * Holds a result against PyTorch's.
 * @param name as the fixture has it: it says which elements are there
 * @returns the largest difference relative to the largest magnitude, or that of the norms, whichever is more; and the
 *   cosine between the elements
 */
export function compare(
  name: string,
  values: Float32Array,
  digest: Digest,
): { error: number; cosine: number } {
  const wanted = floats(digest.f32);
  const size = digest.shape.reduce((product, extent) => product * extent, 1);
  assert.is(values.length, size, `${name}: elements`);
  assert.is(wanted.length, Math.min(size, samples), `${name}: elements in the fixture`);
  const mine = Float32Array.from(places(name, size), (place) => values[place]);
  const differences = mine.map((value, i) => Math.abs(value - wanted[i]));
  const norm = Math.sqrt(dot(values, values));
  return {
    // NaN must not pass for small.
    error: Math.max(Math.max(...differences) / digest.largest, Math.abs(norm / digest.norm - 1)),
    cosine: dot(mine, wanted) / Math.sqrt(dot(mine, mine) * dot(wanted, wanted)),
  };
}
