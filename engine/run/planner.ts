// Where the tensors of a captured step lie: their lifetimes are known, so those that never live at the same time share
// memory. WebGPU forbids one buffer to be read and written by the same dispatch, whatever the ranges, so what a command
// reads and what it writes go into different arenas: a colouring, found greedily together with the offsets, largest
// tensors first (the greedy-by-size order of Pisarchyk and Lee, arXiv 2001.03288).

/** A piece of memory that a step needs from one command to another. */
export interface Lifetime {
  bytes: number;
  /** The first and the last command that touch it. */
  first: number;
  last: number;
  /** Indices of those that some command writes while it reads this one, or the other way round. */
  apart: ReadonlySet<number>;
}

export interface Plan {
  /** Bytes of each arena. */
  arenas: number[];
  /** Where each lifetime lies. */
  places: { arena: number; offset: number }[];
}

/** Offsets of bindings are multiples of this many bytes on every adapter. */
const alignment = 256;

/**
 * Places lifetimes in arenas of at most `limit` bytes. Each must fit into one.
 */
export function planMemory(lifetimes: readonly Lifetime[], limit: number): Plan {
  const arenas: number[] = [];
  const residents: number[][] = [];
  const places: Plan["places"] = new Array(lifetimes.length);
  const order = lifetimes.map((_, i) => i).sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || a - b);
  for (const i of order) {
    const { apart } = lifetimes[i]!;
    const closed = new Set<number>();
    for (const other of apart) if (places[other]) closed.add(places[other].arena);
    let best = { arena: -1, offset: 0, growth: Number.POSITIVE_INFINITY };
    for (let arena = 0; arena < arenas.length; arena++) {
      if (closed.has(arena)) continue;
      const offset = lowestGap(lifetimes, places, residents[arena]!, i);
      const end = offset + lifetimes[i]!.bytes;
      const growth = Math.max(0, end - arenas[arena]!);
      if (end <= limit && growth < best.growth) best = { arena, offset, growth };
    }
    if (best.arena < 0) {
      best = { arena: arenas.length, offset: 0, growth: 0 };
      arenas.push(0);
      residents.push([]);
    }
    places[i] = { arena: best.arena, offset: best.offset };
    residents[best.arena]!.push(i);
    arenas[best.arena] = Math.max(arenas[best.arena]!, best.offset + lifetimes[i]!.bytes);
  }
  return { arenas, places };
}

/** The most bytes that live at the same time. */
export function leastBytes(lifetimes: readonly Lifetime[]): number {
  const changes = lifetimes.flatMap(({ bytes, first, last }) => [
    [first, bytes] as const,
    [last + 1, -bytes] as const,
  ]);
  let [live, most] = [0, 0];
  // At one time, what ends is gone before what begins.
  for (const [, change] of changes.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    live += change;
    most = Math.max(most, live);
  }
  return most;
}

/** The lowest offset in an arena where a lifetime overlaps none that lives at the same time. */
function lowestGap(
  lifetimes: readonly Lifetime[],
  places: Plan["places"],
  residents: readonly number[],
  i: number,
): number {
  const { bytes, first, last } = lifetimes[i]!;
  const taken = residents
    .filter((other) => lifetimes[other]!.first <= last && first <= lifetimes[other]!.last)
    .map((other) => ({ from: places[other]!.offset, to: places[other]!.offset + lifetimes[other]!.bytes }))
    .sort((a, b) => a.from - b.from);
  let offset = 0;
  for (const { from, to } of taken) {
    if (offset + bytes <= from) break;
    offset = Math.max(offset, Math.ceil(to / alignment) * alignment);
  }
  return offset;
}
