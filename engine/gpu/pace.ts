// How long the device is kept busy at a stretch. Operating systems and browsers reset a device whose work takes seconds
// (Windows after two; Chromium's watchdog), and nothing else is drawn meanwhile. So long submits are sent in several, and
// a long dispatch is divided: its kernel adds `params.gridStart` to the number of its workgroup. What a dispatch will take
// is estimated by its operations and bytes, at the speed of a slow adapter of its kind, until the device has shown its own.
// Results are the same bits: no kernel knows of other workgroups.

import { DeviceError } from "../base/errors.ts";
import type { Grid } from "./commands.ts";
import { isDivisible, type Kernel } from "./kernel.ts";
import type { LaunchWork } from "./work.ts";

/** Operations and bytes a second that slow adapters reach. */
const speeds = {
  processor: { flops: 10e9, bytes: 1e9 },
  gpu: { flops: 100e9, bytes: 10e9 },
};
/** Estimates below tell nothing about the device: the submit itself takes longer. */
const shortest = 0.02;
/** Measurements that count; the latest ones. */
const remembered = 5;
/** All first submits are measured, then one of so many: a wait for the device costs a processor's adapter time. */
const [firstOnes, oneOf] = [8, 64];

/** Parts of one dispatch: beyond, the device needs more than half a minute for one. */
const mostParts = 64;

/** A part of a dispatch: its workgroups, and the first of them. */
export interface Part {
  grid: Grid;
  start: Grid;
}

export class Pace {
  private readonly speed: { flops: number; bytes: number };
  /** Times measured over times estimated, the latest last. */
  private readonly ratios: number[] = [];
  private slowness = 1;
  private submits = 0;
  private lastEnd = 0;

  constructor(
    software: boolean,
    /** Seconds that a dispatch or a submit should take at most. */
    private readonly longest: number,
  ) {
    if (!(longest > 0)) throw new DeviceError(`longestSeconds must be a positive number, not ${longest}.`);
    this.speed = speeds[software ? "processor" : "gpu"];
  }

  /** Seconds that a dispatch takes on a slow adapter of this kind. */
  estimate({ flops, bytes }: Pick<LaunchWork, "flops" | "bytes">): number {
    return Math.max((flops ?? 0) / this.speed.flops, bytes / this.speed.bytes);
  }

  /** Whether so much work is too much for one dispatch or submit. */
  isLong(estimate: number): boolean {
    return estimate * this.slowness > this.longest;
  }

  /** The parts that a dispatch is sent in: one, unless it is long. */
  divide(kernel: Kernel, grid: Grid, estimate: number): Part[] {
    const whole = { grid, start: [0, 0, 0] as const };
    if (!this.isLong(estimate) || !isDivisible(kernel)) return [whole];
    const axis = grid.indexOf(Math.max(...grid));
    const extent = grid[axis]!;
    const count = Math.min(extent, mostParts, Math.ceil((estimate * this.slowness) / this.longest));
    const along = (value: number, others: Grid): Grid => others.with(axis, value) as unknown as Grid;
    return Array.from({ length: count }, (_, i) => {
      const [from, to] = [Math.floor((i * extent) / count), Math.floor(((i + 1) * extent) / count)];
      return { grid: along(to - from, grid), start: along(from, whole.start) };
    });
  }

  /** Whether the device's time for the next submit is worth knowing. */
  measures(estimate: number): boolean {
    if (estimate < shortest) return false;
    return this.submits++ < firstOnes || this.submits % oneOf === 0;
  }

  /** The device began a submit at `begin` or when it was done with the one before, and ended at `end`, in milliseconds. */
  observe(estimate: number, begin: number, end: number): void {
    const seconds = (end - Math.max(begin, this.lastEnd)) / 1000;
    this.lastEnd = end;
    this.ratios.push(seconds / estimate);
    if (this.ratios.length > remembered) this.ratios.shift();
    // The median: a first run may be compiling.
    this.slowness = [...this.ratios].sort((a, b) => a - b)[this.ratios.length >> 1]!;
  }
}
