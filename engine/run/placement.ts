// From a captured step to memory: lifetimes of its storages, a plan (planner.ts), arenas behind it.

import { TensorError } from "../base/errors.ts";
import type { Region } from "../gpu/commands.ts";
import { usage } from "../gpu/flags.ts";
import type { Session } from "../gpu/session.ts";
import type { Storage } from "../gpu/storage.ts";
import { bytesOf, planArenas } from "./arenas.ts";
import { roomForBundles } from "./bundle.ts";
import { type Capture, sameBundle, touches } from "./capture.ts";
import { leastBytes, type Plan } from "./planner.ts";

/** Memory of a program in bytes. */
export interface ProgramMemory {
  /** What the plan takes. */
  planned: number;
  /** How many buffers that is. */
  arenas: number;
  /** What lives at the same time, at most: no plan takes less. */
  least: number;
  /** What all tensors of the step would take one beside the other. */
  naive: number;
}

/** How arenas are made. */
export interface ArenaOptions {
  /** Fill them with NaN, for tests. */
  poison: boolean;
  maxArenaBytes: number;
}

/** Plans the memory of a captured step, in arenas of at most `limit` bytes: a place for each of `storages`. */
export function planCapture(
  capture: Capture,
  limit: number,
): { storages: Storage[]; plan: Plan; memory: ProgramMemory } {
  const { steps, claims } = capture;
  const storages = [...claims.keys()].filter((storage) => !claims.get(storage)!.host);
  const index = new Map(storages.map((storage, i) => [storage, i]));
  const lifetimes = storages.map((storage) => ({
    bytes: storage.size,
    first: claims.get(storage)!.constant ? -1 : steps.length,
    last: claims.get(storage)!.constant ? steps.length : -1,
    apart: new Set<number>(),
  }));
  const kept = new Set<number>();
  for (const [storage, { returned }] of claims) {
    // What lies within another shares its lifetime.
    const at = index.get(capture.rootOf(storage).storage);
    if (at === undefined) continue;
    index.set(storage, at);
    if (returned) continue;
    lifetimes[at]!.last = steps.length;
    kept.add(at);
  }
  // What is left behind has to be read and written side by side, which WebGPU refuses within one buffer.
  for (const i of kept) for (const j of kept) if (i !== j) lifetimes[i]!.apart.add(j);
  /** By bundle what its members bind. */
  const bundles = new Map<number, (number | null)[][]>();
  let time = 0;
  steps.forEach((step, i) => {
    // What may run as one runs at one time, in any order.
    if (!sameBundle(step, steps[i - 1])) time = i;
    const { reads, writes } = touches(step);
    if (step.kind === "dispatch" && step.bundle) {
      const members = bundles.get(step.bundle.number) ?? [];
      members.push(step.regions.map(({ storage }) => index.get(storage) ?? null));
      bundles.set(step.bundle.number, members);
    }
    const indices = (regions: readonly Region[]) =>
      regions.map(({ storage }) => index.get(storage)).filter((i) => i !== undefined);
    const [read, written] = [indices(reads), indices(writes)];
    for (const i of [...read, ...written]) {
      lifetimes[i]!.first = Math.min(lifetimes[i]!.first, time);
      lifetimes[i]!.last = Math.max(lifetimes[i]!.last, time);
    }
    for (const i of written) {
      if (claims.get(storages[i]!)!.constant)
        throw new TensorError("capture: the step changes a tensor that it filled from the host.");
      for (const j of read) {
        lifetimes[i]!.apart.add(j);
        lifetimes[j]!.apart.add(i);
      }
    }
  });
  const least = leastBytes(lifetimes);
  const plan = planArenas(lifetimes, limit, [...bundles.values()], roomForBundles(least, capture.software));
  const naive = [...claims.keys()].reduce((sum, { size }) => sum + size, 0);
  const memory = { planned: bytesOf(plan), arenas: plan.arenas.length, least, naive };
  return { storages, plan, memory };
}

/**
 * Gives the storages of a captured step their places; returns the arenas behind them. `refused` hears where the device
 * has no memory for one.
 */
export function place(
  session: Session,
  { poison, maxArenaBytes }: ArenaOptions,
  capture: Capture,
  refused: (error: Error) => void,
): { arenas: GPUBuffer[]; memory: ProgramMemory } {
  const { device } = session;
  const { claims } = capture;
  const limit = Math.min(session.largestStorage, maxArenaBytes);
  const { storages, plan, memory } = planCapture(capture, limit);
  const arenas = plan.arenas.map((size, i) => {
    const flags = usage.storage | usage.copySource | usage.copyTarget;
    return session.makeBuffer({ size, usage: flags, label: `arena ${i} of a captured step` }, refused);
  });
  if (poison) {
    for (const arena of arenas) device.queue.writeBuffer(arena, 0, new Uint8Array(arena.size).fill(0xff));
  }
  storages.forEach((storage, i) => {
    const { arena, offset } = plan.places[i]!;
    storage.buffer = arenas[arena]!;
    storage.base = offset;
    const { constant } = claims.get(storage)!;
    if (constant) device.queue.writeBuffer(storage.buffer, offset, constant);
  });
  for (const storage of claims.keys()) {
    const { storage: root, offset } = capture.rootOf(storage);
    if (root === storage) continue;
    storage.buffer = root.buffer;
    storage.base = root.base + offset;
  }
  return { arenas, memory };
}
