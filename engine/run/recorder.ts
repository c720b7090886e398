// Work is recorded as data (pipeline, bindings, parameters, grid) and sent in few submits: one encoder, one compute
// pass and one write of all parameters per batch. A batch that needs a pipeline still being compiled waits for it, and
// later batches queue behind, so that many pipelines compile at once and order is kept.

import {
  bindGroupKey,
  type Command,
  encodeCommands,
  type Grid,
  makeBindGroup,
  makeParamBuffer,
  paramBytes,
  type Region,
  type Sink,
  writeParams,
} from "../gpu/commands.ts";
import { usage } from "../gpu/flags.ts";
import type { Kernel, ParamTypes, ParamValues } from "../gpu/kernel.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Storage } from "../gpu/storage.ts";

/** Host bytes can't be part of an encoder's work: they end a submit. */
type Recorded = Command | { kind: "write"; region: Region; bytes: Uint8Array<ArrayBuffer> };

interface Batch {
  commands: Recorded[];
  /** One slot of `paramBytes` per dispatch. */
  params: ArrayBuffer;
  dispatches: number;
}

const slots = 256;
const noneMissing: ReadonlySet<Promise<void>> = new Set();
/** Bind groups kept; beyond, all are dropped and made anew, so that odd usage can't grow memory without end. */
const maxBindGroups = 16384;

export class Recorder implements Sink {
  /** Counters for tests, the bench and `profile`. */
  readonly counters = { dispatches: 0, submits: 0, bindGroups: 0 };
  private readonly params: GPUBuffer;
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private batch: Batch = newBatch();
  private spare: Batch | null = null;
  private backlog: Promise<void> | null = null;
  private serial = 1;
  private submitted = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly onError: (error: Error) => void,
  ) {
    this.params = makeParamBuffer(device, slots, usage.uniform | usage.copyTarget);
  }

  /** When set, every dispatch gets a pass of its own with timestamps. */
  profiler: Profiler | null = null;

  /** Records one dispatch. `grid` counts workgroups; a plain number is a linear count, split over x and y. */
  dispatch<P extends ParamTypes>(
    kernel: Kernel<P>,
    compiled: CompiledKernel,
    regions: readonly Region[],
    params: ParamValues<P>,
    grid: Grid,
  ): void {
    if (this.batch.dispatches === slots) this.flush();
    const slot = this.batch.dispatches++ * paramBytes;
    writeParams(new DataView(this.batch.params, slot, paramBytes), kernel.params, params);
    for (const { storage } of regions) this.touch(storage);
    const bindGroup = this.bindGroup(compiled, regions);
    this.batch.commands.push({ kind: "dispatch", kernel: compiled, bindGroup, params: slot, grid });
    this.counters.dispatches++;
  }

  /** Records a copy between two regions of the same size. */
  copy(from: Region, to: Region): void {
    this.touch(from.storage);
    this.touch(to.storage);
    this.batch.commands.push({ kind: "copy", from, to });
  }

  /** Records filling a region with zero bytes. */
  clear(region: Region): void {
    this.touch(region.storage);
    this.batch.commands.push({ kind: "clear", region });
  }

  /** Writes host bytes; at once where no unsent work uses the buffer, in order otherwise. */
  write(region: Region, bytes: Uint8Array<ArrayBuffer>): void {
    if (region.storage.lastUse <= this.submitted) {
      this.writeNow(region, bytes);
      return;
    }
    this.touch(region.storage);
    this.batch.commands.push({ kind: "write", region, bytes });
  }

  /** Records a copy into a mappable buffer; `settled()` tells when it was sent. */
  download(from: Region, to: GPUBuffer): void {
    this.touch(from.storage);
    this.batch.commands.push({ kind: "download", from, to });
  }

  /** Sends everything recorded, or queues it behind pipelines that are still being compiled. */
  flush(): void {
    const batch = this.batch;
    if (batch.commands.length === 0) return;
    this.batch = this.spare ?? newBatch();
    this.spare = null;
    const missing = new Set<Promise<void>>();
    for (const command of batch.commands) {
      if (command.kind === "dispatch" && !command.kernel.pipeline) missing.add(command.kernel.ready);
    }
    this.send(missing, () => this.encode(batch));
  }

  /**
   * Sends a program's commands after all that was recorded, in one submit. `head` goes to the front of its parameters
   * before; `held` are the storages that others may write in between.
   */
  replay(commands: readonly Command[], params: GPUBuffer, head: ArrayBuffer, held: Iterable<Storage>): void {
    this.flush();
    for (const storage of held) this.touch(storage);
    const values = this.backlog ? head.slice(0) : head;
    this.send(noneMissing, () => {
      if (values.byteLength > 0) this.device.queue.writeBuffer(params, 0, values);
      this.submit(commands);
    });
  }

  /** Flushes and resolves when all of it was sent to the device's queue. */
  async settled(): Promise<void> {
    this.flush();
    while (this.backlog) await this.backlog;
  }

  /** Forgets bind groups, before their buffers are destroyed. */
  forgetBindGroups(): void {
    this.bindGroups.clear();
  }

  destroy(): void {
    this.params.destroy();
    this.bindGroups.clear();
  }

  private touch(storage: Storage): void {
    storage.lastUse = this.serial;
  }

  private writeNow({ storage, offset }: Region, bytes: Uint8Array<ArrayBuffer>): void {
    this.device.queue.writeBuffer(storage.buffer, storage.base + offset, bytes);
  }

  /** Runs `job` now, or once `missing` and all jobs before are done. */
  private send(missing: ReadonlySet<Promise<void>>, job: () => void): void {
    const serial = this.serial++;
    const run = () => {
      job();
      this.submitted = serial;
    };
    if (!this.backlog && missing.size === 0) {
      run();
      return;
    }
    const mine = (this.backlog ?? Promise.resolve())
      .then(() => Promise.all(missing))
      .then(run)
      .catch((error: Error) => this.onError(error))
      .finally(() => {
        if (this.backlog === mine) this.backlog = null;
      });
    this.backlog = mine;
  }

  private bindGroup(compiled: CompiledKernel, regions: readonly Region[]): GPUBindGroup {
    const key = bindGroupKey(compiled, regions);
    let group = this.bindGroups.get(key);
    if (!group) {
      if (this.bindGroups.size >= maxBindGroups) this.bindGroups.clear();
      group = makeBindGroup(this.device, compiled, regions, this.params);
      this.bindGroups.set(key, group);
      this.counters.bindGroups++;
    }
    return group;
  }

  private encode(batch: Batch): void {
    const { commands, dispatches } = batch;
    if (dispatches > 0)
      this.device.queue.writeBuffer(this.params, 0, batch.params, 0, dispatches * paramBytes);
    let part: Command[] = [];
    for (const command of commands) {
      if (command.kind !== "write") {
        part.push(command);
        continue;
      }
      if (part.length > 0) this.submit(part);
      part = [];
      this.writeNow(command.region, command.bytes);
    }
    if (part.length > 0) this.submit(part);
    commands.length = 0;
    batch.dispatches = 0;
    this.spare = batch;
  }

  private submit(commands: readonly Command[]): void {
    const encoder = this.device.createCommandEncoder();
    encodeCommands(encoder, commands, this.profiler);
    this.device.queue.submit([encoder.finish()]);
    this.counters.submits++;
  }
}

function newBatch(): Batch {
  return { commands: [], params: new ArrayBuffer(slots * paramBytes), dispatches: 0 };
}
