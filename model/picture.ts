// Pictures become tensors here, the same way in Node and in the browser: white behind transparent pixels,
// then a squash to a square by Pillow's antialiased bicubic filter, which BLIP's transforms use, or what the
// transforms of other models do instead.
// Source: Pillow's src/libImaging/Resample.c (8-bit path), BLIP's data transforms, torchvision's Resize and CenterCrop.

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

/** By name: the kernel, and how far it reaches. */
const filters = {
  bicubic: { kernel: cubic, reach: 2 },
  bilinear: { kernel: (x: number) => Math.max(0, 1 - Math.abs(x)), reach: 1 },
} as const;
export type Filter = keyof typeof filters;
export const filterNames = Object.keys(filters) as [Filter, ...Filter[]];

/** For each output position, the input positions it reads and their weights. */
function filterWindows(from: number, to: number, filter: Filter): Window[] {
  const { kernel, reach } = filters[filter];
  const scale = from / to;
  const stretch = Math.max(scale, 1); // when shrinking, the kernel widens: that is the antialiasing
  const support = reach * stretch;
  const windows: Window[] = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const exact = new Float64Array(end - start);
    let sum = 0;
    for (let j = 0; j < exact.length; j++) {
      exact[j] = kernel((j + start - centre + 0.5) / stretch);
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

/** Pillow's `resize((toWidth, toHeight), filter)`, byte for byte. */
function resize(
  rgb: Uint8Array | Uint8ClampedArray,
  [width, height]: readonly [number, number],
  [toWidth, toHeight]: readonly [number, number],
  filter: Filter,
): Uint8Array {
  if (width === toWidth && height === toHeight) return new Uint8Array(rgb);
  // Rounding to 8 bits between the passes, and horizontal first, is what Pillow does.
  const narrow = filterAxis(rgb, filterWindows(width, toWidth, filter), height, width * 3, 3, toWidth * 3, 3);
  return filterAxis(narrow, filterWindows(height, toHeight, filter), toWidth, 3, toWidth * 3, 3, toWidth * 3);
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
  return preparePicture(rgb, width, height, { size, fit: "squash", zoom: 1, filter: "bicubic" });
}

/** How a picture becomes a square of `size`, which is cut out of the middle of one `zoom` times as large. */
export interface Preparation {
  size: number;
  /** Whether all of the picture is squashed to that larger square, or its shorter side becomes as long. */
  fit: "squash" | "crop";
  zoom: number;
  filter: Filter;
}

/**
 * Makes a square of a picture, equal byte for byte to torchvision's Resize and CenterCrop on Pillow's pictures.
 * @param rgb uint8 [height, width, 3]
 * @returns uint8 [size, size, 3]
 * @throws when a side is not a positive whole number or the byte count does not fit
 */
export function preparePicture(
  rgb: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  { size, fit, zoom, filter }: Preparation,
): Uint8Array {
  checkPicture(rgb.length, width, height, 3);
  if (!Number.isInteger(size) || size < 1) throw new Error(`cannot resize a picture to size ${size}`);
  const side = Math.round(zoom * size);
  const long = (own: number, other: number) => (own <= other ? side : Math.trunc((side * own) / other));
  const [toWidth, toHeight] = fit === "squash" ? [side, side] : [long(width, height), long(height, width)];
  const resized = resize(rgb, [width, height], [toWidth, toHeight], filter);
  if (toWidth === size && toHeight === size) return resized;
  const [left, top] = [roundToEven((toWidth - size) / 2), roundToEven((toHeight - size) / 2)];
  const square = new Uint8Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    const from = 3 * ((top + y) * toWidth + left);
    square.set(resized.subarray(from, from + 3 * size), 3 * y * size);
  }
  return square;
}

/** As Python rounds: halves to the even neighbour. */
function roundToEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
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
