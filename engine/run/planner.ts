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

/** Which of lifetimes of one size is placed first: the one that is listed first, that lives longest, or that ends last. */
export const tieBreaks = ["listed", "longest", "latest"] as const;

/**
 * Places lifetimes in arenas of at most `limit` bytes. Each must fit into one. Those of one of `classes`, as `coalesced` finds
 * them (arenas.ts), go into one arena.
 */
export function planMemory(
  lifetimes: readonly Lifetime[],
  limit: number,
  {
    classes = lifetimes.map((_, i) => i),
    tieBreak = "listed",
  }: { classes?: readonly number[]; tieBreak?: (typeof tieBreaks)[number] } = {},
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
  const lead = ({ first, last }: Lifetime) =>
    tieBreak === "listed" ? 0 : tieBreak === "latest" ? last : last - first;
  const order = lifetimes
    .map(({ bytes }, i) => ({ i, bytes, lead: lead(lifetimes[i]!) }))
    .sort((a, b) => b.bytes - a.bytes || b.lead - a.lead || a.i - b.i)
    .map(({ i }) => i);
  for (const i of order) {
    const own = classes[i]!;
    const closed = new Set<number>();
    for (const other of apartOf[own]!) for (const arena of arenasOf[other]!) closed.add(arena);
    const open = [...arenas.keys()].filter((arena) => !closed.has(arena));
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
    const there = residents[best.arena]!;
    const next = there.findIndex((other) => places[other]!.offset > best.offset);
    there.splice(next < 0 ? there.length : next, 0, i);
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

/** The lowest offset in an arena where a lifetime overlaps none that lives at the same time; `residents` by their offsets. */
function lowestGap(
  lifetimes: readonly Lifetime[],
  places: Plan["places"],
  residents: readonly number[],
  i: number,
): number {
  const { bytes, first, last } = lifetimes[i]!;
  let offset = 0;
  for (const other of residents) {
    const life = lifetimes[other]!;
    if (life.first > last || first > life.last) continue;
    const from = places[other]!.offset;
    if (offset + bytes <= from) break;
    offset = Math.max(offset, Math.ceil((from + life.bytes) / alignment) * alignment);
  }
  return offset;
}
