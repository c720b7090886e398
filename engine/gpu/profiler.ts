// GPU time of each dispatch by timestamp queries. While a profiler is set, each dispatch runs in a pass of its own, whose
// begin and end the device stamps; the overhead makes the sum larger than an ordinary run, the shares stay telling.

import { mapModeRead, usage } from "./flags.ts";
import type { Session } from "./session.ts";

/** When a dispatch ran, in milliseconds of the device's clock since the first of them began. */
export interface DispatchTime {
  name: string;
  begin: number;
  end: number;
}

/** Dispatches of one query set: WebGPU allows sets of 4,096 queries. */
const capacity = 2048;

export class Profiler {
  private readonly sets: GPUQuerySet[] = [];
  private readonly names: string[] = [];

  /** The device needs the feature timestamp-query. */
  constructor(private readonly session: Session) {}

  /** The pass that stamps one dispatch of the kernel `name`. */
  passFor(name: string): GPUComputePassDescriptor {
    const index = this.names.push(name) - 1;
    const place = index % capacity;
    if (place === 0)
      this.sets.push(this.session.device.createQuerySet({ type: "timestamp", count: 2 * capacity }));
    return {
      timestampWrites: {
        querySet: this.sets.at(-1)!,
        beginningOfPassWriteIndex: 2 * place,
        endOfPassWriteIndex: 2 * place + 1,
      },
    };
  }

  /** Reads the stamps, in the order of the dispatches, and frees the queries. */
  async finish(): Promise<DispatchTime[]> {
    const { session, names, sets } = this;
    const { device } = session;
    const refused = (error: Error) => session.report(error);
    const times: DispatchTime[] = [];
    let start: bigint | null = null;
    for (const [i, set] of sets.entries()) {
      const part = names.slice(i * capacity, (i + 1) * capacity);
      const size = part.length * 16;
      const label = "timestamps";
      const resolved = session.makeBuffer(
        { size, usage: usage.queryResolve | usage.copySource, label },
        refused,
      );
      const staging = session.makeBuffer({ size, usage: usage.mapRead | usage.copyTarget, label }, refused);
      const encoder = device.createCommandEncoder();
      encoder.resolveQuerySet(set, 0, 2 * part.length, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
      device.queue.submit([encoder.finish()]);
      await session.wait(staging.mapAsync(mapModeRead));
      const stamps = new BigUint64Array(staging.getMappedRange());
      start ??= stamps[0]!;
      const since = (stamp: bigint) => Number(stamp - start!) / 1e6;
      part.forEach((name, j) => {
        times.push({ name, begin: since(stamps[2 * j]!), end: since(stamps[2 * j + 1]!) });
      });
      session.destroyBuffer(staging);
      session.destroyBuffer(resolved);
      set.destroy();
    }
    return times;
  }
}
