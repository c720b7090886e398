// Augmentation: pictures moved by a few pixels while training, so that a model which sees few pictures often does not
// learn them pixel by pixel. Flips are left out, as texts speak of left and right.
import { type RandomKey, randomBits, uniform } from "../../engine/index.ts";
import type { RunConfig } from "../config.ts";

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
  { shift, share }: RunConfig["training"]["augment"],
  key: RandomKey,
  i: number,
): [number, number] {
  if (uniform(key, 3 * i) >= share) return [0, 0];
  const offset = (index: number) => (randomBits(key, index) % (2 * shift + 1)) - shift;
  return [offset(3 * i + 1), offset(3 * i + 2)];
}
