// GPU buffers are taken from free lists by size class and given back to them, so that a steady training step
// allocates nothing. Classes are an eighth of a power of two apart: at most 12.5 % of a buffer is padding.

import { DeviceError } from "../base/errors.ts";
import { usage } from "./flags.ts";
import { mebibytes, type Session } from "./session.ts";
import { type Memory, Storage } from "./storage.ts";

/** Bytes held by the pool: handed out and waiting. */
export interface PoolStatistics {
  usedBytes: number;
  freeBytes: number;
  buffers: number;
  /** The largest `usedBytes` so far. */
  peakBytes: number;
}

/** The size class that holds `bytes`. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  return Math.ceil(bytes / step) * step;
}

export class BufferPool implements Memory {
  readonly reuses = true;
  readonly planned = false;
  private readonly free = new Map<number, Storage[]>();
  /** Storages whose buffer the device had no memory for; nobody gets them again. */
  private readonly broken = new WeakSet<Storage>();
  private readonly statistics: PoolStatistics = { usedBytes: 0, freeBytes: 0, buffers: 0, peakBytes: 0 };

  constructor(private readonly session: Session) {}

  /** A buffer of at least `bytes`. Throws DeviceError beyond the device's limits, naming what was asked for. */
  take(bytes: number, what: string): Storage {
    const { largestStorage } = this.session;
    requireFit(bytes, what, largestStorage);
    const size = Math.min(sizeClass(bytes), largestStorage);
    const waiting = this.free.get(size)?.pop();
    this.statistics.usedBytes += size;
    this.statistics.peakBytes = Math.max(this.statistics.peakBytes, this.statistics.usedBytes);
    if (waiting) {
      this.statistics.freeBytes -= size;
      waiting.bytes = bytes;
      waiting.tenure++;
      waiting.fault = null;
      return waiting;
    }
    this.statistics.buffers++;
    const storage = new Storage(size, bytes, this);
    const flags = usage.storage | usage.copySource | usage.copyTarget;
    storage.buffer = this.session.makeBuffer({ size, usage: flags, label: what }, (error) => {
      this.broken.add(storage);
      storage.fault ??= error;
      this.session.report(error);
    });
    return storage;
  }

  /** Takes a buffer back. Work that was recorded before may still use it; later work is ordered behind. */
  give(storage: Storage): void {
    this.statistics.usedBytes -= storage.size;
    if (this.broken.has(storage)) {
      this.statistics.buffers--;
      this.session.destroyBuffer(storage.buffer);
      return;
    }
    const waiting = this.free.get(storage.size);
    if (waiting) waiting.push(storage);
    else this.free.set(storage.size, [storage]);
    this.statistics.freeBytes += storage.size;
  }

  /** Lets go of what waits and returns its buffers, to be destroyed once work that was recorded before is sent. */
  trim(): GPUBuffer[] {
    const waiting = [...this.free.values()].flat();
    this.free.clear();
    this.statistics.buffers -= waiting.length;
    this.statistics.freeBytes = 0;
    return waiting.map(({ buffer }) => buffer);
  }

  /** A copy of the counters, in bytes. */
  stats(): PoolStatistics {
    return { ...this.statistics };
  }
}

/** Throws DeviceError where one storage, which has `largest` bytes at most, can't have so many. */
export function requireFit(bytes: number, what: string, largest: number): void {
  if (bytes <= largest) return;
  throw new DeviceError(
    `${what} needs ${mebibytes(bytes)} in one buffer, this device binds at most ${mebibytes(largest)}: use a smaller batch.`,
  );
}
