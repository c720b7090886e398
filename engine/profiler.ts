// Per-kernel GPU time by timestamp queries. While a profiler is set, each dispatch runs in a pass of its own, whose
// begin and end the device stamps; the overhead makes the sum larger than an ordinary run, the shares stay telling.

import { mapModeRead, usage } from "./flags.ts";

/** Time of one kernel, in milliseconds of the device's clock. */
export interface KernelTime {
  name: string;
  calls: number;
  milliseconds: number;
}

const capacity = 2048;

export class Profiler {
  private readonly queries: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private readonly names: string[] = [];

  /** The device needs the feature timestamp-query. At most 2,048 dispatches are timed; later ones are not. */
  constructor(private readonly device: GPUDevice) {
    this.queries = device.createQuerySet({ type: "timestamp", count: capacity * 2 });
    this.resolved = device.createBuffer({
      size: capacity * 16,
      usage: usage.queryResolve | usage.copySource,
    });
  }

  /** The pass that stamps one dispatch of the kernel `name`. */
  passFor(name: string): GPUComputePassDescriptor {
    if (this.names.length === capacity) return {};
    const beginningOfPassWriteIndex = this.names.push(name) * 2 - 2;
    return {
      timestampWrites: {
        querySet: this.queries,
        beginningOfPassWriteIndex,
        endOfPassWriteIndex: beginningOfPassWriteIndex + 1,
      },
    };
  }

  /** Reads the stamps, sums them per kernel, the costliest first, and frees the queries. */
  async finish(): Promise<KernelTime[]> {
    const count = this.names.length;
    const times = new Map<string, KernelTime>();
    if (count > 0) {
      const staging = this.device.createBuffer({
        size: count * 16,
        usage: usage.mapRead | usage.copyTarget,
      });
      const encoder = this.device.createCommandEncoder();
      encoder.resolveQuerySet(this.queries, 0, count * 2, this.resolved, 0);
      encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, count * 16);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(mapModeRead);
      const stamps = new BigUint64Array(staging.getMappedRange());
      this.names.forEach((name, i) => {
        const time = times.get(name) ?? { name, calls: 0, milliseconds: 0 };
        time.calls++;
        time.milliseconds += Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6;
        times.set(name, time);
      });
      staging.destroy();
    }
    this.queries.destroy();
    this.resolved.destroy();
    return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }
}
