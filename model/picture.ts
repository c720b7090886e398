// Pictures become tensors here, the same way in Node and in the browser: white behind transparent pixels,
// then a squash to a square by Pillow's antialiased bicubic filter, which BLIP's transforms use.
// Source: Pillow's src/libImaging/Resample.c (8-bit path) and BLIP's data transforms.

/** Mean of BLIP's training pictures per channel (R, G, B), in units of full intensity (0 to 1). */
export const PICTURE_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
/** Standard deviation of BLIP's training pictures per channel (R, G, B), in units of full intensity. */
export const PICTURE_STD = [0.26862954, 0.26130258, 0.27577711] as const;

// Pillow keeps its filter weights as integers with this many fractional bits: 32 - 8 bits of pixel - 2 bits
// of headroom for the filter's overshoot. Its rounding can only be matched with the same integers.
const PRECISION_BITS = 22;

interface Window {
  start: number;
  weights: Int32Array;
}

/** The bicubic kernel of Keys (1981) with a = -0.5. */
function cubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** For each output position, the input positions it reads and their weights. */
function filterWindows(from: number, to: number): Window[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1); // when shrinking, the kernel widens: that is the antialiasing
  const support = 2 * stretch;
  const windows: Window[] = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const exact = new Float64Array(end - start);
    let sum = 0;
    for (let j = 0; j < exact.length; j++) {
      exact[j] = cubic((j + start - centre + 0.5) / stretch);
      sum += exact[j];
    }
    const weights = new Int32Array(exact.length);
    for (let j = 0; j < exact.length; j++) {
      const weight = (exact[j] / sum) * 2 ** PRECISION_BITS;
      weights[j] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    windows.push({ start, weights });
  }
  return windows;
}

/** Filters along one axis; `stride` is the distance between neighbours on it, in bytes. */
function filterAxis(
  source: Uint8Array | Uint8ClampedArray,
  windows: Window[],
  lines: number,
  sourceLine: number,
  sourceStride: number,
  outLine: number,
  outStride: number,
): Uint8Array {
  const out = new Uint8Array(lines * windows.length * 3);
  const half = 2 ** (PRECISION_BITS - 1);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < windows.length; i++) {
      const { start, weights } = windows[i];
      let r = half;
      let g = half;
      let b = half;
      let at = line * sourceLine + start * sourceStride;
      for (let j = 0; j < weights.length; j++, at += sourceStride) {
        const weight = weights[j];
        r += source[at] * weight;
        g += source[at + 1] * weight;
        b += source[at + 2] * weight;
      }
      const to = line * outLine + i * outStride;
      out[to] = Math.min(255, Math.max(0, r >> PRECISION_BITS));
      out[to + 1] = Math.min(255, Math.max(0, g >> PRECISION_BITS));
      out[to + 2] = Math.min(255, Math.max(0, b >> PRECISION_BITS));
    }
  }
  return out;
}

function checkPicture(length: number, width: number, height: number, channels: number): void {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new Error(`picture of ${width} x ${height} pixels: both sides must be whole numbers of at least 1`);
  }
  if (length !== width * height * channels) {
    throw new Error(
      `picture of ${width} x ${height} pixels needs ${width * height * channels} bytes ` +
        `(${channels} per pixel), got ${length}`,
    );
  }
}

/**
 * Squashes a picture to size x size, equal byte for byte to Pillow's `resize((size, size), BICUBIC)`.
 * @param rgb uint8 [height, width, 3]
 * @param size side of the result in pixels
 * @returns uint8 [size, size, 3]
 * @throws when a side is not a positive whole number or the byte count does not fit
 */
export function resizeBicubic(
  rgb: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  size: number,
): Uint8Array {
  checkPicture(rgb.length, width, height, 3);
  if (!Number.isInteger(size) || size < 1) throw new Error(`cannot resize a picture to size ${size}`);
  if (width === size && height === size) return new Uint8Array(rgb);
  // Rounding to 8 bits between the passes, and horizontal first, is what Pillow does.
  const narrow = filterAxis(rgb, filterWindows(width, size), height, width * 3, 3, size * 3, 3);
  return filterAxis(narrow, filterWindows(height, size), size, 3, size * 3, 3, size * 3);
}

/**
 * Lays a picture with transparency on white.
 * @param rgba uint8 [height, width, 4], alpha not premultiplied
 * @returns uint8 [height, width, 3]
 * @throws when a side is not a positive whole number or the byte count does not fit
 */
export function flattenAlpha(
  rgba: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
): Uint8Array {
  checkPicture(rgba.length, width, height, 4);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    const white = 255 * (255 - alpha);
    for (let c = 0; c < 3; c++) rgb[to + c] = Math.round((rgba[from + c] * alpha + white) / 255);
  }
  return rgb;
}
