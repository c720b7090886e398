// GPU buffers are taken from free lists by size class and given back to them, so that a steady training step
// allocates nothing. Classes are an eighth of a power of two apart: at most 12.5 % of a buffer is padding.

import { DeviceError } from "../base/errors.ts";
import { usage } from "./flags.ts";
import type { Memory, Storage } from "./storage.ts";

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
  private readonly all = new Set<GPUBuffer>();
  private readonly free = new Map<number, Storage[]>();
  private nextId = 1;
  private readonly statistics: PoolStatistics = { usedBytes: 0, freeBytes: 0, buffers: 0, peakBytes: 0 };

  constructor(private readonly device: GPUDevice) {}

  /** A buffer of at least `bytes`. Throws DeviceError beyond the device's limits, naming what was asked for. */
  take(bytes: number, what: string): Storage {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (bytes > limit) {
      throw new DeviceError(
        `${what} needs ${mebibytes(bytes)} in one buffer, this device binds at most ${mebibytes(limit)}: use a smaller batch.`,
      );
    }
    const size = Math.min(sizeClass(bytes), limit);
    const waiting = this.free.get(size)?.pop();
    this.statistics.usedBytes += size;
    this.statistics.peakBytes = Math.max(this.statistics.peakBytes, this.statistics.usedBytes);
    if (waiting) {
      this.statistics.freeBytes -= size;
      return waiting;
    }
    this.statistics.buffers++;
    const buffer = this.device.createBuffer({
      size,
      usage: usage.storage | usage.copySource | usage.copyTarget,
      label: what,
    });
    this.all.add(buffer);
    return { id: this.nextId++, buffer, base: 0, size, lastUse: 0, references: 0, owner: this };
  }

  /** Takes a buffer back. Work that was recorded before may still use it; later work is ordered behind. */
  give(storage: Storage): void {
    const waiting = this.free.get(storage.size);
    if (waiting) waiting.push(storage);
    else this.free.set(storage.size, [storage]);
    this.statistics.usedBytes -= storage.size;
    this.statistics.freeBytes += storage.size;
  }

  /** Destroys every waiting buffer; the device must have no recorded work that uses them. */
  trim(): void {
    for (const waiting of this.free.values()) {
      for (const { buffer } of waiting) {
        buffer.destroy();
        this.all.delete(buffer);
      }
      this.statistics.buffers -= waiting.length;
    }
    this.free.clear();
    this.statistics.freeBytes = 0;
  }

  /** Destroys every buffer, also those in use: the end of the engine. */
  destroy(): void {
    for (const buffer of this.all) buffer.destroy();
    this.all.clear();
    this.free.clear();
  }

  /** A copy of the counters, in bytes. */
  stats(): PoolStatistics {
    return { ...this.statistics };
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
