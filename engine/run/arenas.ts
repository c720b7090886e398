// Which arenas a step's tensors lie in. Dispatches run as one only where they bind the same buffers (bundle.ts), so what the
// members of a bundle bind in one place had better lie in one arena, as a compiler coalesces registers (Chaitin, "Register
// allocation and spilling via graph coloring", 1982). Each arena has a peak of its own, which costs memory: bundles of small
// tensors come first, and of several plans the one is taken that has the fewest dispatches in the memory there is.

import { type Lifetime, type Plan, planMemory, tieBreaks } from "./planner.ts";

/** What the members of a bundle bind, place by place: a lifetime, or null where it is memory from outside. */
export type Members = readonly (readonly (number | null)[])[];

/**
 * Classes of lifetimes that had better lie in one arena, by a number for each: of every bundle as many members run as one as nothing
 * keeps apart.
 */
export function coalesced(lifetimes: readonly Lifetime[], bundles: readonly Members[]): number[] {
  const classes = lifetimes.map((_, i) => i);
  const members = lifetimes.map((_, i) => [i]);
  const apart = lifetimes.map(({ apart }) => new Set(apart));
  const canJoin = (one: number | null, other: number | null) => {
    if (one === null || other === null) return true;
    const [a, b] = [classes[one]!, classes[other]!];
    return a === b || !members[b]!.some((i) => apart[a]!.has(i));
  };
  const join = (one: number | null, other: number | null) => {
    if (one === null || other === null) return;
    const [a, b] = [classes[one]!, classes[other]!];
    // What was joined in a place before may keep these apart.
    if (a === b || !canJoin(one, other)) return;
    for (const i of members[b]!) {
      classes[i] = a;
      members[a]!.push(i);
    }
    for (const i of apart[b]!) apart[a]!.add(i);
  };
  for (const bundle of bundles) {
    /** Of each dispatch its first member. */
    const dispatches: Members[number][] = [];
    for (const member of bundle) {
      const first = dispatches.find((first) => member.every((one, place) => canJoin(first[place]!, one)));
      if (!first) dispatches.push(member);
      else for (const [place, one] of member.entries()) join(first[place]!, one);
    }
  }
  return classes;
}

/** Dispatches that a plan makes of bundles: one for each set of arenas that members bind. */
export function dispatchesOf({ places }: Plan, bundles: readonly Members[]): number {
  const arenasOf = (member: Members[number]) =>
    member.map((one) => (one === null ? "" : places[one]!.arena)).join();
  return bundles.reduce((sum, members) => sum + new Set(members.map(arenasOf)).size, 0);
}

/** Bytes of all arenas. */
export function bytesOf({ arenas }: Plan): number {
  return arenas.reduce((a, b) => a + b, 0);
}

/** Places lifetimes in arenas of at most `limit` bytes, so that bundles are few dispatches; that may cost `room` bytes. */
export function planArenas(
  lifetimes: readonly Lifetime[],
  limit: number,
  bundles: readonly Members[],
  room: number,
): Plan {
  const several = bundles.filter((members) => members.length > 1);
  const size = (members: Members) =>
    [...new Set(members.flat())].reduce<number>(
      (sum, one) => sum + (one === null ? 0 : lifetimes[one]!.bytes),
      0,
    );
  const bySize = several
    .map((members) => ({ members, bytes: size(members) }))
    .sort((a, b) => a.bytes - b.bytes);
  /** How many of them are brought together: the largest cost most, so that some of them are left out. */
  const counts = new Set([0]);
  for (let without = 0; without < several.length; without = 2 * without + 1)
    counts.add(several.length - without);
  const plans = [...counts].flatMap((count) => {
    const classes = coalesced(
      lifetimes,
      bySize.slice(0, count).map(({ members }) => members),
    );
    return tieBreaks.map((tieBreak) => planMemory(lifetimes, limit, { classes, tieBreak }));
  });
  const most = room + Math.min(...plans.map(bytesOf));
  const [best] = plans
    .filter((plan) => bytesOf(plan) <= most)
    .map((plan) => ({ plan, dispatches: dispatchesOf(plan, several) }))
    .sort((a, b) => a.dispatches - b.dispatches || bytesOf(a.plan) - bytesOf(b.plan));
  return best!.plan;
}
