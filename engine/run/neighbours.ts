// The order of a captured step's commands: dispatches of one kernel that don't wait for one another are brought next to
// each other, so that they can run as one (bundle.ts). A gradient that nobody needs before the optimiser waits for others
// of its kind, say. What they hold lives longer meanwhile, as far as there is room.

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

/** The commands in their new order, by their old places; at most `room` of the bytes that lived at one time before is added to them. */
export function neighbours(
  nodes: readonly Node[],
  lives: readonly Life[],
  room: (bytes: number) => number,
): number[] {
  let order = nodes.map((_, i) => i);
  const before = mostAtOnce(nodes, lives, order);
  const most = before + room(before);
  const free = (node: number, from: number, to: number) => {
    for (let i = from; i < to; i++) if (!independent(nodes[node]!, nodes[order[i]!]!)) return false;
    return true;
  };
  /** Takes an order where it needs no more memory. */
  const take = (changed: number[]) => {
    if (mostAtOnce(nodes, lives, changed) > most) return false;
    order = changed;
    return true;
  };
  for (let last = order.length - 1; last > 0; last--) {
    const { kind } = nodes[order[last]!]!;
    if (kind === null) continue;
    // Those that run as one stand from `first` to `last`.
    let first = last;
    for (let at = last - 1; at >= 0 && last - first + 1 < mostMembers; at--) {
      if (nodes[order[at]!]!.kind !== kind) continue;
      const bundle = order.slice(first, last + 1);
      const between = order.slice(at + 1, first);
      const [before, after] = [order.slice(0, at), order.slice(last + 1)];
      if (free(order[at]!, at + 1, last + 1)) {
        // It waits for them.
        if (between.length === 0 || take([...before, ...between, order[at]!, ...bundle, ...after])) first--;
      } else if (
        between.length > 0 &&
        bundle.every((node) => free(node, at, first)) &&
        take([...before, order[at]!, ...bundle, ...between, ...after])
      ) {
        // They go there; what stood between is looked at from its end again.
        first = last + 1;
        break;
      }
    }
    last = first;
  }
  return order;
}

/** Bytes that live at one time, at most. */
function mostAtOnce(nodes: readonly Node[], lives: readonly Life[], order: readonly number[]): number {
  const first = lives.map(({ early }) => (early ? 0 : order.length));
  const last = lives.map(({ late }) => (late ? order.length - 1 : -1));
  order.forEach((node, time) => {
    for (const ranges of [nodes[node]!.reads, nodes[node]!.writes])
      for (const { storage } of ranges) {
        first[storage] = Math.min(first[storage]!, time);
        last[storage] = Math.max(last[storage]!, time);
      }
  });
  const changes = new Float64Array(order.length + 1);
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
}
