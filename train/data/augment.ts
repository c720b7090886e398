// Augmentation: pictures that are a little other each time they are seen, so that a model which sees few pictures often does
// not learn them pixel by pixel. Cropping, mirroring and jitter are torchvision's RandomResizedCrop, RandomHorizontalFlip and
// ColorJitter, in its order and with its defaults' meaning; a shift by whole pixels is our own. What is drawn depends on
// nothing but seed, step and the picture's place in the batch.
import { type RandomKey, randomBits, uniform } from "../../engine/index.ts";
import type { ModelConfig } from "../../model/config.ts";
import { preparePicture } from "../../model/picture.ts";
import type { RunConfig } from "../config.ts";
import type { Batch } from "./dataset.ts";

type Options = RunConfig["training"]["augment"];
/** A number in [0, 1), the same for the same index. */
export type Draw = (index: number) => number;

/** A part of a picture, in pixels. */
export interface Rectangle {
  top: number;
  left: number;
  height: number;
  width: number;
}

/**
 * The part of a square picture that RandomResizedCrop takes: of an area and a shape that are drawn up to ten times, and the
 * middle where none of them fits. Draws 0 to 39.
 */
export function drawCrop(
  size: number,
  { scale, ratio }: NonNullable<Options["crop"]>,
  draw: Draw,
): Rectangle {
  const between = (index: number, low: number, high: number) => low + (high - low) * draw(index);
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = size * size * between(4 * attempt, ...scale);
    const shape = Math.exp(between(4 * attempt + 1, Math.log(ratio[0]), Math.log(ratio[1])));
    const width = halfToEven(Math.sqrt(area * shape));
    const height = halfToEven(Math.sqrt(area / shape));
    if (width < 1 || width > size || height < 1 || height > size) continue;
    const place = (index: number, side: number) => Math.floor(draw(index) * (size - side + 1));
    return { top: place(4 * attempt + 2, height), left: place(4 * attempt + 3, width), height, width };
  }
  const width = ratio[1] < 1 ? halfToEven(size * ratio[1]) : size;
  const height = ratio[0] > 1 ? halfToEven(size / ratio[0]) : size;
  return { top: (size - height) >> 1, left: (size - width) >> 1, height, width };
}

/** Python's round. */
function halfToEven(x: number): number {
  const whole = Math.floor(x);
  return x - whole === 0.5 ? whole + (whole % 2) : Math.round(x);
}

/** A part of a picture, uint8 [size, size, 3], made as large as the picture by Pillow's filter of this name. */
export function cropPicture(
  pixels: Uint8Array,
  size: number,
  { top, left, height, width }: Rectangle,
  filter: ModelConfig["vision"]["filter"],
): Uint8Array {
  const part = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * size + left);
    part.set(pixels.subarray(from, from + 3 * width), 3 * y * width);
  }
  return preparePicture(part, width, height, { size, fit: "squash", zoom: 1, filter });
}

/** The mirror image of a picture, uint8 [size, size, 3]. */
export function mirrorPicture(pixels: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const x = (at / 3) % size;
    const to = at + 3 * (size - 1 - 2 * x);
    for (let channel = 0; channel < 3; channel++) out[to + channel] = pixels[at + channel]!;
  }
  return out;
}

/** A picture's shades, from 0 to 1, [pixels, 3]. */
type Shades = Float64Array;

const clamp = (x: number) => Math.min(1, Math.max(0, x));
const grey = (shades: Shades, at: number) =>
  0.2989 * shades[at]! + 0.587 * shades[at + 1]! + 0.114 * shades[at + 2]!;

/** How much of its range a channel lacks so many sixths of the circle behind where it begins to (Smith's hexcone). */
const missing = (sixths: number) => Math.max(0, Math.min(sixths, 4 - sixths, 1));

/** What torchvision's adjust_brightness and its kin do to shades, in place, in the order in which ColorJitter names them. */
export const adjustments: Record<keyof Options["jitter"], (shades: Shades, factor: number) => void> = {
  brightness(shades, factor) {
    for (let i = 0; i < shades.length; i++) shades[i] = clamp(factor * shades[i]!);
  },
  contrast(shades, factor) {
    let mean = 0;
    for (let at = 0; at < shades.length; at += 3) mean += grey(shades, at);
    mean /= shades.length / 3;
    for (let i = 0; i < shades.length; i++) shades[i] = clamp(factor * shades[i]! + (1 - factor) * mean);
  },
  saturation(shades, factor) {
    for (let at = 0; at < shades.length; at += 3) {
      const other = (1 - factor) * grey(shades, at);
      for (let i = at; i < at + 3; i++) shades[i] = clamp(factor * shades[i]! + other);
    }
  },
  /** `factor` is a part of the whole circle. */
  hue(shades, factor) {
    for (let at = 0; at < shades.length; at += 3) {
      const red = shades[at]!;
      const green = shades[at + 1]!;
      const blue = shades[at + 2]!;
      const most = Math.max(red, green, blue);
      const range = most - Math.min(red, green, blue);
      if (range === 0) continue;
      const sixth =
        most === red
          ? (green - blue) / range
          : most === green
            ? 2 + (blue - red) / range
            : 4 + (red - green) / range;
      const turned = (sixth + 6 * factor + 12) % 6;
      shades[at] = most - range * missing((5 + turned) % 6);
      shades[at + 1] = most - range * missing((3 + turned) % 6);
      shades[at + 2] = most - range * missing((1 + turned) % 6);
    }
  },
};

/** Adjusts a picture's colours as ColorJitter does, by factors and in an order that are drawn. Draws 41 to 47. */
export function jitterPicture(pixels: Uint8Array, jitter: Options["jitter"], draw: Draw): Uint8Array {
  const names = Object.keys(adjustments) as (keyof typeof adjustments)[];
  const factors = names.map((name, i) => {
    const reach = jitter[name];
    const low = name === "hue" ? -reach : Math.max(0, 1 - reach);
    return low + ((name === "hue" ? reach : 1 + reach) - low) * draw(44 + i);
  });
  const order = names.map((_, i) => i);
  for (let i = 3; i > 0; i--) {
    const j = Math.floor(draw(40 + i) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const shades = new Float64Array(pixels.length);
  for (let i = 0; i < shades.length; i++) shades[i] = pixels[i]! / 255;
  for (const i of order) if (jitter[names[i]!] > 0) adjustments[names[i]!](shades, factors[i]!);
  const out = new Uint8Array(pixels.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.round(255 * shades[i]!);
  return out;
}

/** Copies a picture of `size` x `size` RGB bytes into `out`, moved by (dx, dy) pixels; its edges fill the gap. */
export function movePicture(
  pixels: Uint8Array,
  size: number,
  [dx, dy]: readonly [number, number],
  out: Uint8Array,
): void {
  const inside = (at: number) => Math.max(0, Math.min(size - 1, at));
  for (let y = 0; y < size; y++) {
    const row = inside(y - dy) * size;
    for (let x = 0; x < size; x++) {
      const from = (row + inside(x - dx)) * 3;
      const to = (y * size + x) * 3;
      for (let channel = 0; channel < 3; channel++) out[to + channel] = pixels[from + channel]!;
    }
  }
}

/** By how much the i-th picture of a batch moves. */
export function drawMove(
  { shift, share }: Pick<Options, "shift" | "share">,
  key: RandomKey,
  i: number,
): [number, number] {
  if (uniform(key, 3 * i) >= share) return [0, 0];
  const offset = (index: number) => (randomBits(key, index) % (2 * shift + 1)) - shift;
  return [offset(3 * i + 1), offset(3 * i + 2)];
}

/** Whether anything is asked for. */
export function augments({ shift, crop, flip, jitter }: Options): boolean {
  return shift > 0 || crop !== undefined || flip > 0 || Object.values(jitter).some((reach) => reach > 0);
}

/** What the pictures of one step are augmented by. */
export interface Augmentation {
  vision: Pick<ModelConfig["vision"], "imageSize" | "filter">;
  options: Options;
  /** What moves, and what else, is drawn with. */
  keys: { moves: RandomKey; others: RandomKey };
  /** [pictures], whether a text that concerns it speaks of what a mirror changes: it then is not mirrored. */
  sided: readonly boolean[];
  /** The first picture's place in the batch: 0 unless they are a part of it. */
  first?: number;
}

/**
 * Pictures of a batch as they are seen in one step.
 * @param pixels uint8 [pictures, size, size, 3]
 * @returns as `pixels`, which stays as it is
 */
export function augmentPictures(
  pixels: Uint8Array,
  { vision: { imageSize: size, filter }, options, keys, sided, first = 0 }: Augmentation,
): Uint8Array {
  const { shift, crop, flip, jitter } = options;
  const bytes = 3 * size * size;
  const out = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length / bytes; i++) {
    const draw: Draw = (index) => uniform(keys.others, 64 * (first + i) + index);
    let picture = pixels.subarray(i * bytes, (i + 1) * bytes);
    if (crop) picture = cropPicture(picture, size, drawCrop(size, crop, draw), filter);
    if (draw(40) < flip && !sided[i]) picture = mirrorPicture(picture, size);
    if (Object.values(jitter).some((reach) => reach > 0)) picture = jitterPicture(picture, jitter, draw);
    const place = out.subarray(i * bytes, (i + 1) * bytes);
    if (shift > 0) movePicture(picture, size, drawMove(options, keys.moves, first + i), place);
    else place.set(picture);
  }
  return out;
}

/** Of each picture of a batch whether a text of a triplet that it is in speaks of what a mirror changes. */
export function sidedPictures({ pictures, reference, target, text }: Batch): boolean[] {
  const sided = new Array<boolean>(pictures.length).fill(false);
  for (const [i, words] of text.entries()) {
    if (!speaksOfSides(words)) continue;
    sided[reference[i]!] = true;
    sided[target[i]!] = true;
  }
  return sided;
}

/**
 * Words for what a mirror changes: sides, turning, clocks, the moon's phases, writing. Most stand for all that begin with
 * them, those of the second list for themselves. A word too many costs a mirror image, a word too few teaches what is wrong.
 */
const beginnings =
  "left right east west northeast northwest southeast southwest sideway mirror flip revers backward opposite direction facing turn " +
  "rotat tilt lean slant diagonal clock counterclock anticlock degree moon waxing waning hour letter digit number writ inscri " +
  "caption slogan logo profile";
const whole =
  "side sides around past oclock text texts word words sign signs name names other\\W(way|end|hand) o\\Wclock quarter\\Wto";
const aboutSides = new RegExp(
  `(?<![\\p{L}])((${beginnings.replaceAll(" ", "|")})|(${whole.replaceAll(" ", "|")})(?![\\p{L}]))`,
  "iu",
);

/** Whether a text speaks of what a mirror changes. */
export function speaksOfSides(text: string): boolean {
  return aboutSides.test(text);
}
