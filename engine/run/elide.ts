// Copies that a captured step need not make: where the copy is the last use of a tensor that the step made, the tensor
// can lie where it is copied to from its beginning. What a kernel made for a parameter's gradient is then written there.

import type { Region } from "../gpu/commands.ts";
import type { Storage } from "../gpu/storage.ts";

/** A command, seen by what it touches; `copy` is what it copies, where it is a copy. */
export interface Touching {
  reads: readonly Region[];
  writes: readonly Region[];
  copy: { from: Region; to: Region } | null;
}

/**
 * Finds the copies that can go: the time of each, and where the storage that it read lies instead.
 * @param temporary whether a storage is the step's own, to be written by its commands and used by nobody afterwards
 */
export function elidableCopies(
  steps: readonly Touching[],
  temporary: (storage: Storage) => boolean,
): Map<number, { storage: Storage; place: Region }> {
  const uses = new Map<Storage, { time: number; region: Region; written: boolean }[]>();
  steps.forEach(({ reads, writes }, time) => {
    for (const region of [...reads, ...writes]) {
      const use = { time, region, written: writes.includes(region) };
      const list = uses.get(region.storage);
      if (list) list.push(use);
      else uses.set(region.storage, [use]);
    }
  });
  const found = new Map<number, { storage: Storage; place: Region }>();
  const moved = new Set<Storage>();
  steps.forEach(({ copy }, time) => {
    if (!copy) return;
    const { from, to } = copy;
    const mine = uses.get(from.storage)!;
    const begin = mine[0]!.time;
    // Kernels bind whole vec4s: where the last is not full, what lies behind the copy's target would not stay.
    const whole = ({ offset, size }: Region) => offset === 0 && size === to.size;
    if (!temporary(from.storage) || moved.has(from.storage) || moved.has(to.storage)) return;
    if (begin === time || mine.at(-1)!.time !== time || !mine.every(({ region }) => whole(region))) return;
    const readAt = new Set(mine.filter((use) => !use.written).map((use) => use.time));
    const usedAt = new Set(mine.map((use) => use.time));
    const apart = uses.get(to.storage)!.every(({ time: at, region, written }) => {
      if (at < begin || at >= time) return true;
      const overlaps = region.offset < to.offset + to.size && to.offset < region.offset + region.size;
      // A dispatch may not read and write one buffer, whatever the ranges; it may write two ranges of one.
      return !overlaps && !(written ? readAt : usedAt).has(at);
    });
    if (!apart) return;
    // One target may take in several: each one's uses are its own from now on.
    for (const use of mine) {
      const region = { ...use.region, storage: to.storage, offset: to.offset };
      uses.get(to.storage)!.push({ ...use, region });
    }
    moved.add(from.storage);
    found.set(time, { storage: from.storage, place: to });
  });
  return found;
}
