// Counter-based random numbers: the value at an index is a pure function of (key, index), so a run that resumes, a
// backward pass that needs its dropout mask again, and a browser all see the same numbers. The function is
// Philox-2x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011); engine/base/random.wgsl is the
// same function on the GPU.

import { TensorError } from "./errors.ts";
import { numberOf, Scalar } from "./scalar.ts";

/** Identifies one stream of random numbers: a u32 key and the high word of the counter. */
export interface RandomKey {
  key: number | Scalar;
  stream: number;
}

/** 32 random bits for (key, stream, index). */
export function randomBits({ key, stream }: RandomKey, index: number): number {
  let low = index >>> 0;
  let high = stream >>> 0;
  let round = numberOf(key) >>> 0;
  for (let i = 0; i < 10; i++) {
    const productLow = Math.imul(0xd256d193, low) >>> 0;
    low = (mulHigh(0xd256d193, low) ^ round ^ high) >>> 0;
    high = productLow;
    round = (round + 0x9e3779b9) >>> 0;
  }
  return low;
}

/** The upper 32 bits of the product of two u32, from 16-bit halves: every step is exact in a double. */
function mulHigh(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const mid = ah * bl + ((al * bl) >>> 16);
  const cross = al * bh + (mid & 0xffff);
  return ah * bh + Math.floor(mid / 0x10000) + Math.floor(cross / 0x10000);
}

/** A number uniform in [0, 1), with 24 random bits. */
export function uniform(key: RandomKey, index: number): number {
  return (randomBits(key, index) >>> 8) * 2 ** -24;
}

/** A normally distributed number (Box-Muller; uses indices 2i and 2i + 1). */
export function normal(key: RandomKey, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(key, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniform(key, 2 * index + 1));
}

/**
 * The u32 key of a seed, a whole number below 2^53 of which every bit counts: seeds that differ in one of their halves alone
 * have different keys, and those below 2^32 are their own. Throws TensorError for any other number.
 */
export function seedKey(seed: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new TensorError(`A seed is a whole number from 0 to 2^53 - 1, not ${seed}.`);
  }
  // Murmur3's finaliser, which is one to one and leaves 0 as it is.
  let high = Math.floor(seed / 2 ** 32);
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b);
  high = Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return (seed ^ high ^ (high >>> 16)) >>> 0;
}

/** Hands out streams in order: the same seed and step give the same streams, whatever ran before. */
export class RandomStreams {
  /** The key of all streams; a captured step that drew some gets new numbers when it changes. */
  private readonly key = new Scalar(0);
  private next = 0;

  private readonly seed: number;

  /** Throws TensorError for a seed that is no whole number below 2^53. */
  constructor(seed: number, step = 0) {
    this.seed = seedKey(seed);
    this.seek(step);
  }

  /** Starts anew at another step; streams that were handed out before are then those of that step. */
  seek(step: number): void {
    this.key.value = randomBits({ key: this.seed, stream: 0x5eed }, step);
    this.next = 0;
  }

  /** A stream that nothing else of this seed and step uses. */
  stream(): RandomKey {
    return draw(() => ({ key: this.key, stream: this.next++ }));
  }
}

/** How streams are handed out now: fresh ones, noted ones, or once more those of an earlier time. */
let draw = (fresh: () => RandomKey): RandomKey => fresh();

/** Hands streams out by `drawing` while `work` runs, which must not be async. */
function drawingBy<T>(drawing: typeof draw, work: () => T): T {
  const before = draw;
  draw = drawing;
  try {
    return work();
  } finally {
    draw = before;
  }
}

/** Runs `work` and notes in `drawn` the streams that it draws, from whichever RandomStreams. */
export function noteStreams<T>(drawn: RandomKey[], work: () => T): T {
  const outer = draw;
  return drawingBy((fresh) => {
    const key = outer(fresh);
    drawn.push(key);
    return key;
  }, work);
}

/** Runs `work`, whose numbers nobody needs, without drawing from any RandomStreams. */
export function withBlankStreams<T>(work: () => T): T {
  return drawingBy(() => ({ key: 0, stream: 0 }), work);
}

/** Runs `work` with the streams that were noted, in order. Throws TensorError where it draws more or fewer. */
export function repeatStreams<T>(drawn: readonly RandomKey[], work: () => T): T {
  let count = 0;
  const result = drawingBy(() => drawn[count++] ?? { key: 0, stream: 0 }, work);
  if (count !== drawn.length) {
    throw new TensorError(`The function drew ${drawn.length} random streams at first, then ${count}.`);
  }
  return result;
}
