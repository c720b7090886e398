// The yardstick that needs no model, and no GPU: pictures as vectors of their raw pixels.
import { resizeBicubic } from "../../model/picture.ts";
import type { Row } from "./rank.ts";
import { type Matrix, rowsOf } from "./scores.ts";

/** Side of the pictures that are compared, whatever size a model sees: figures of all models have the same yardstick. */
const side = 32;

/** Numbers of one picture. */
export const shadesWidth = 3 * side ** 2;

/**
 * A picture as a vector.
 * @param pixels uint8 [size, size, 3]
 * @returns f32 [shadesWidth], around the middle grey: so sums stay small, which keeps f32 exact enough
 */
export function shadesOf(pixels: Uint8Array, size: number): Float32Array {
  return Float32Array.from(resizeBicubic(pixels, size, size, side), (value) => value / 255 - 0.5);
}

/** Scores of a picture against others on the processor: minus the squared distance, the nearest first. */
export function pixelScores(shades: Float32Array, gallery: Matrix): Row {
  const scores = new Float32Array(rowsOf(gallery));
  for (let place = 0; place < scores.length; place++) {
    let sum = 0;
    const at = place * gallery.width;
    for (let i = 0; i < gallery.width; i++) sum -= (shades[i]! - gallery.values[at + i]!) ** 2;
    scores[place] = sum;
  }
  return { scores, error: 0, exact: (place) => scores[place]! };
}
