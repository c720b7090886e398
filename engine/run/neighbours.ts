// The order of a captured step's commands: dispatches of one kernel that don't wait for one another are brought next to
// each other, so that they can run as one (bundle.ts). Devices begin a dispatch once all before it are done, whatever it needs
// (waits.ts), so that only within one do independent ones run side by side. What lies between two goes in front of them where
// they wait for it, and after them where it waits for them. What they hold lives longer meanwhile, as far as there is room.

import { mostMembers } from "../gpu/kernel.ts";

/** A piece of memory that a command touches. */
export interface Range {
  storage: number;
  begin: number;
  end: number;
}

/** A command as its order sees it. */
export interface Node {
  reads: readonly Range[];
  writes: readonly Range[];
  /** The same for commands that can run as one; null for those that can't. */
  kind: string | null;
}

/** A storage: its bytes, those of the step's own alone, and whether it lives from the beginning or to the end. */
export interface Life {
  bytes: number;
  early: boolean;
  late: boolean;
}

const meet = (a: readonly Range[], b: readonly Range[]) =>
  a.some((x) => b.some((y) => x.storage === y.storage && x.begin < y.end && y.begin < x.end));

/** Whether two commands give the same in either order. */
export function independent(a: Node, b: Node): boolean {
  return !meet(a.writes, b.reads) && !meet(a.writes, b.writes) && !meet(a.reads, b.writes);
}

/** Commands in order, by their numbers; what runs as one together. */
type Order = readonly (readonly number[])[];
/** Commands, by a mark at the number of each. */
type Marks = Uint8Array;

/** For each command those before it that it has to come after. */
function needsOf(nodes: readonly Node[]): number[][] {
  const uses = new Map<number, { by: number; begin: number; end: number; writes: boolean }[]>();
  return nodes.map((node, by) => {
    const needs = new Set<number>();
    const own = [
      ...node.reads.map((range) => ({ ...range, by, writes: false })),
      ...node.writes.map((range) => ({ ...range, by, writes: true })),
    ];
    for (const one of own)
      for (const other of uses.get(one.storage) ?? [])
        if ((one.writes || other.writes) && one.begin < other.end && other.begin < one.end)
          needs.add(other.by);
    for (const one of own) {
      const before = uses.get(one.storage);
      if (before) before.push(one);
      else uses.set(one.storage, [one]);
    }
    return [...needs];
  });
}

/**
 * The commands in their new order, by their old places; at most `room` of the bytes that lived at one time before is added to
 * them. Where `far` is false nothing but what is brought together moves: a processor finds what was just computed in its caches.
 */
export function neighbours(
  nodes: readonly Node[],
  lives: readonly Life[],
  room: (bytes: number) => number,
  far: boolean,
): number[] {
  const needs = needsOf(nodes);
  let order: Order = nodes.map((_, i) => [i]);
  const peak = peakOf(nodes, lives);
  const before = peak(order);
  const most = before + room(before);
  const waits = (some: readonly number[], others: Marks) =>
    some.some((one) => needs[one]!.some((other) => others[other] === 1));
  const mark = (marks: Marks, some: readonly number[]) => {
    for (const one of some) marks[one] = 1;
    return marks;
  };
  const marked = (some: readonly number[]) => mark(new Uint8Array(nodes.length), some);
  /** Those between two that wait for the first, be it by way of others. */
  const waitingFor = (first: readonly number[], between: Order) => {
    const found = marked(first);
    return between.filter((one) => {
      if (!waits(one, found)) return false;
      mark(found, one);
      return true;
    });
  };
  /** Those between two that the last waits for. */
  const neededBy = (last: readonly number[], between: Order) => {
    const needed = marked([]);
    const need = (some: readonly number[]) => {
      for (const one of some) mark(needed, needs[one]!);
    };
    need(last);
    return between
      .toReversed()
      .filter((one) => {
        if (!one.some((number) => needed[number] === 1)) return false;
        need(one);
        return true;
      })
      .toReversed();
  };
  /** Brings the places `at` and `last` together, if need be by moving `others` as well. */
  const join = (at: number, last: number, others: boolean) => {
    const [a, b] = [order[at]!, order[last]!];
    if (a.length + b.length > mostMembers || waits(b, marked(a))) return false;
    const between = order.slice(at + 1, last);
    const waiting = waitingFor(a, between);
    if (waits(b, marked(waiting.flat()))) return false;
    const needed = neededBy(b, between);
    const without = (some: Order) => between.filter((one) => !some.includes(one));
    const [head, tail] = [order.slice(0, at), order.slice(last + 1)];
    const together = [...a, ...b];
    const changed = [
      ...(others || waiting.length === 0
        ? [[...head, ...without(waiting), together, ...waiting, ...tail]]
        : []),
      ...(others || needed.length === 0 ? [[...head, ...needed, together, ...without(needed), ...tail]] : []),
    ].find((one) => peak(one) <= most);
    if (!changed) return false;
    order = changed;
    return true;
  };
  const kindAt = (place: number) => nodes[order[place]![0]!]!.kind;
  // What is joined makes the order one shorter, so that the next look is at where it ended.
  for (const others of far ? [false, true] : [false])
    for (let last = order.length - 1; last > 0; last--) {
      if (kindAt(last) === null) continue;
      for (let at = last - 1; at >= 0; at--) if (kindAt(at) === kindAt(last) && join(at, last, others)) break;
    }
  return order.flat();
}

/** Bytes that live at one time, at most, in any order of the commands. */
function peakOf(nodes: readonly Node[], lives: readonly Life[]) {
  const touched = nodes.map(({ reads, writes }) => [
    ...new Set([...reads, ...writes].map(({ storage }) => storage)),
  ]);
  const first = new Int32Array(lives.length);
  const last = new Int32Array(lives.length);
  const changes = new Float64Array(nodes.length + 1);
  return (order: Order) => {
    lives.forEach(({ early, late }, i) => {
      first[i] = early ? 0 : nodes.length;
      last[i] = late ? nodes.length - 1 : -1;
    });
    let time = 0;
    for (const together of order)
      for (const node of together) {
        for (const storage of touched[node]!) {
          first[storage] = Math.min(first[storage]!, time);
          last[storage] = Math.max(last[storage]!, time);
        }
        time++;
      }
    changes.fill(0);
    lives.forEach(({ bytes }, i) => {
      if (last[i]! < first[i]!) return;
      changes[first[i]!]! += bytes;
      changes[last[i]! + 1]! -= bytes;
    });
    let [live, most] = [0, 0];
    for (const change of changes) {
      live += change;
      most = Math.max(most, live);
    }
    return most;
  };
}
