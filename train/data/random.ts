// Reproducible random numbers for the data set. Source: mulberry32 by Tommy Ettinger (public domain).

/** A stream of reproducible random numbers. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform whole number in [0, n). */
  below(n: number): number;
  /** The same items in random order, in place. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T;
}

/** Starts a stream; every whole number in `keys` changes all of it. */
export function random(...keys: number[]): Random {
  let state = 0x9e3779b9;
  for (const key of keys) {
    // Murmur3's finaliser, so that neighbouring steps give unrelated streams.
    state = Math.imul(state ^ key, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    next,
    below,
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        const swapped = items[i];
        items[i as number] = items[j] as never;
        items[j as number] = swapped as never;
      }
      return items;
    },
  };
}
