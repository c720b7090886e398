// Learnt positions for another picture size: the grid of patches is resized as a picture would be, by the bicubic
// filter of torch.nn.functional.interpolate (align_corners false, no antialiasing); the class token's row stays.
// BLIP does the same in models/vit.py, interpolate_pos_embed.

/** Keys' cubic kernel with PyTorch's a; Pillow's is -0.5. */
const a = -0.75;

/** Weights of the four neighbours of a point that lies `t` behind the second of them. */
function cubicWeights(t: number): number[] {
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** For each output place, four input places and their weights; places beyond the border are the border's. */
function taps(from: number, to: number): { at: number[]; weights: number[] }[] {
  return Array.from({ length: to }, (_, i) => {
    // In float32 with one rounding, as PyTorch does: over tens of places the difference would show in the sixth digit.
    const centre = Math.fround(Math.fround(from / to) * (i + 0.5) - 0.5);
    const floor = Math.floor(centre);
    const at = [-1, 0, 1, 2].map((step) => Math.min(from - 1, Math.max(0, floor + step)));
    return { at, weights: cubicWeights(centre - floor) };
  });
}

/**
 * Resizes position embeddings.
 * @param positions f32 [from * from, width], those of patches alone
 * @returns f32 [to * to, width]
 */
export function resizePositions(
  positions: Float32Array,
  from: number,
  to: number,
  width: number,
): Float32Array<ArrayBuffer> {
  const resized = new Float32Array(to * to * width);
  const windows = taps(from, to);
  const row = new Float64Array(width);
  windows.forEach((vertical, y) => {
    windows.forEach((horizontal, x) => {
      row.fill(0);
      vertical.at.forEach((sourceY, i) => {
        horizontal.at.forEach((sourceX, j) => {
          const weight = vertical.weights[i] * horizontal.weights[j];
          const start = (sourceY * from + sourceX) * width;
          for (let k = 0; k < width; k++) row[k] += weight * positions[start + k];
        });
      });
      resized.set(row, (y * to + x) * width);
    });
  });
  return resized;
}
