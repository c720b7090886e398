// Draws of numbers that cases of several groups take.
import type { Draw } from "./case.ts";

/** Zeros of both signs, ones and minus ones: what ties, and where relu has its kink. */
export const signs: Draw = { at: (_, drawn) => Math.round(drawn) || (drawn < 0 ? -0 : 0) };
/** Whole numbers and those halfway between. */
export const halves: Draw = { at: (_, drawn) => Math.round(4 * drawn) / 2 };
/** Numbers between two powers of two, as many of each size, of both signs unless told. */
export const magnitudes = ([low, high]: readonly [number, number], positive = false): Draw => ({
  at: (i, drawn) =>
    (positive || drawn > 0 ? 1 : -1) * 2 ** (low + (high - low) * ((i * 0.6180339887498949) % 1)),
});
