// What drawings have in common, whoever draws them: mid tones that stand out on white and on black, and ticks.

export const COLOURS = { forward: "#3d7fe8", reverse: "#e07b28", pixels: "#8b919c", chance: "#d2528a" };

/** Powers of ten; over few of them, their halves and fifths too. */
export function logTicks(least: number, most: number): number[] {
  const first = Math.floor(Math.log10(least));
  const decades = Math.ceil(Math.log10(most)) - first;
  const factors = decades > 3 ? [1] : [1, 2, 5];
  return Array.from({ length: decades + 1 }, (_, i) =>
    factors.map((factor) => factor * 10 ** (first + i)),
  ).flat();
}
