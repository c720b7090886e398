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
 * Places lifetimes in arenas of at most `limit` bytes. Each must fit into one. Those of one of `classes`, as `coalesced` finds
 * them, go into one arena.
 */
export function planMemory(
  lifetimes: readonly Lifetime[],
  limit: number,
  classes: readonly number[] = lifetimes.map((_, i) => i),
): Plan {
  const apartOf = lifetimes.map(() => new Set<number>());
  lifetimes.forEach(({ apart }, i) => {
    for (const other of apart) apartOf[classes[i]!]!.add(classes[other]!);
  });
  /** By class: one, unless that is full. */
  const arenasOf = lifetimes.map(() => new Set<number>());
  const arenas: number[] = [];
  const residents: number[][] = [];
  const places: Plan["places"] = new Array(lifetimes.length);
  const order = lifetimes.map((_, i) => i).sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || a - b);
  for (const i of order) {
    const own = classes[i]!;
    const closed = new Set([...apartOf[own]!].flatMap((other) => [...arenasOf[other]!]));
    const open = arenas.flatMap((_, arena) => (closed.has(arena) ? [] : [arena]));
    const bestOf = (candidates: readonly number[]) => {
      let best = { arena: -1, offset: 0, growth: Number.POSITIVE_INFINITY };
      for (const arena of candidates) {
        const offset = lowestGap(lifetimes, places, residents[arena]!, i);
        const end = offset + lifetimes[i]!.bytes;
        const growth = Math.max(0, end - arenas[arena]!);
        if (end <= limit && growth < best.growth) best = { arena, offset, growth };
      }
      return best;
    };
    let best = bestOf(open.filter((arena) => arenasOf[own]!.has(arena)));
    if (best.arena < 0) best = bestOf(open);
    if (best.arena < 0) {
      best = { arena: arenas.length, offset: 0, growth: 0 };
      arenas.push(0);
      residents.push([]);
    }
    places[i] = { arena: best.arena, offset: best.offset };
    arenasOf[own]!.add(best.arena);
    residents[best.arena]!.push(i);
    arenas[best.arena] = Math.max(arenas[best.arena]!, best.offset + lifetimes[i]!.bytes);
  }
  return { arenas, places };
}

/**
 * Classes of lifetimes that had better lie in one arena, by a number for each: of every group as many as nothing keeps apart,
 * as a compiler coalesces registers (Chaitin, "Register allocation and spilling via graph coloring", 1982).
 */
export function coalesced(lifetimes: readonly Lifetime[], groups: readonly (readonly number[])[]): number[] {
  const classes = lifetimes.map((_, i) => i);
  const members = lifetimes.map((_, i) => [i]);
  const apart = lifetimes.map(({ apart }) => new Set(apart));
  for (const group of [...groups].sort((a, b) => a.length - b.length))
    for (const [at, one] of group.entries())
      for (const other of group.slice(at + 1)) {
        const [a, b] = [classes[one]!, classes[other]!];
        if (a === b || members[b]!.some((i) => apart[a]!.has(i))) continue;
        for (const i of members[b]!) {
          classes[i] = a;
          members[a]!.push(i);
        }
        for (const i of apart[b]!) apart[a]!.add(i);
      }
  return classes;
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
