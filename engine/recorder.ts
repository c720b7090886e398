// Work is recorded as data (pipeline, bindings, parameters, grid) and sent in few submits: one encoder, one compute
// pass and one write of all parameters per batch. A batch that needs a pipeline still being compiled waits for it, and
// later batches queue behind, so that many pipelines compile at once and order is kept.

import { DeviceError } from "./errors.ts";
import { usage } from "./flags.ts";
import type { Kernel, ParamTypes, ParamValues } from "./kernel.ts";
import { type CompiledKernel, type PipelineCache, paramBytes } from "./pipelines.ts";
import type { PooledBuffer } from "./pool.ts";
import type { Profiler } from "./profiler.ts";

/** A piece of a buffer; offset and size in bytes. */
export interface Region {
  pooled: PooledBuffer;
  offset: number;
  size: number;
}

/** Workgroups in x, y and z. */
export type Grid = readonly [number, number, number];

type Command =
  | { kind: "dispatch"; kernel: CompiledKernel; bindGroup: GPUBindGroup; params: number; grid: Grid }
  | { kind: "copy"; from: Region; to: Region }
  | { kind: "clear"; region: Region }
  | { kind: "write"; region: Region; bytes: Uint8Array<ArrayBuffer> }
  | { kind: "download"; from: Region; to: GPUBuffer };

interface Batch {
  commands: Command[];
  /** One slot of `paramBytes` per dispatch. */
  params: ArrayBuffer;
  dispatches: number;
}

const slots = 256;
/** Bind groups kept; beyond, all are dropped and made anew, so that odd usage can't grow memory without end. */
const maxBindGroups = 16384;

export class Recorder {
  /** Counters for tests, the bench and `profile`. */
  readonly counters = { dispatches: 0, submits: 0, bindGroups: 0 };
  private readonly paramBuffer: GPUBuffer;
  private readonly paramGroup: GPUBindGroup;
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private batch: Batch = newBatch();
  private spare: Batch | null = null;
  private backlog: Promise<void> | null = null;
  private serial = 1;
  private submitted = 0;

  constructor(
    private readonly device: GPUDevice,
    pipelines: PipelineCache,
    private readonly onError: (error: Error) => void,
  ) {
    this.paramBuffer = device.createBuffer({
      size: slots * paramBytes,
      usage: usage.uniform | usage.copyTarget,
      label: "params",
    });
    this.paramGroup = device.createBindGroup({
      layout: pipelines.paramLayout,
      entries: [{ binding: 0, resource: { buffer: this.paramBuffer, size: paramBytes } }],
    });
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
    const view = new DataView(this.batch.params, slot, paramBytes);
    let at = 0;
    for (const name in kernel.params) {
      const type = kernel.params[name];
      const value = params[name]!;
      if (type === "f32") view.setFloat32(at, value, true);
      else if (type === "u32") view.setUint32(at, value, true);
      else view.setInt32(at, value, true);
      at += 4;
    }
    this.touch(regions);
    this.batch.commands.push({
      kind: "dispatch",
      kernel: compiled,
      bindGroup: this.bindGroup(compiled, regions),
      params: slot,
      grid,
    });
    this.counters.dispatches++;
  }

  /** Records a copy between two regions of the same size. */
  copy(from: Region, to: Region): void {
    this.touch([from, to]);
    this.batch.commands.push({ kind: "copy", from, to });
  }

  /** Records filling a region with zero bytes. */
  clear(region: Region): void {
    this.touch([region]);
    this.batch.commands.push({ kind: "clear", region });
  }

  /** Writes host bytes; at once where no unsent work uses the buffer, in order otherwise. */
  write(region: Region, bytes: Uint8Array<ArrayBuffer>): void {
    if (region.pooled.lastUse <= this.submitted) {
      this.device.queue.writeBuffer(region.pooled.buffer, region.offset, bytes);
      return;
    }
    this.touch([region]);
    this.batch.commands.push({ kind: "write", region, bytes });
  }

  /** Records a copy into a mappable buffer; `settled()` tells when it was sent. */
  download(from: Region, to: GPUBuffer): void {
    this.touch([from]);
    this.batch.commands.push({ kind: "download", from, to });
  }

  /** Sends everything recorded, or queues it behind pipelines that are still being compiled. */
  flush(): void {
    const batch = this.batch;
    if (batch.commands.length === 0) return;
    this.batch = this.spare ?? newBatch();
    this.spare = null;
    const serial = this.serial++;
    const missing = new Set<Promise<void>>();
    for (const command of batch.commands) {
      if (command.kind === "dispatch" && !command.kernel.pipeline) missing.add(command.kernel.ready);
    }
    if (!this.backlog && missing.size === 0) {
      this.encode(batch, serial);
      return;
    }
    const mine = (this.backlog ?? Promise.resolve())
      .then(() => Promise.all(missing))
      .then(() => this.encode(batch, serial))
      .catch((error: Error) => this.onError(error))
      .finally(() => {
        if (this.backlog === mine) this.backlog = null;
      });
    this.backlog = mine;
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
    this.paramBuffer.destroy();
    this.bindGroups.clear();
  }

  private touch(regions: readonly Region[]): void {
    for (const region of regions) region.pooled.lastUse = this.serial;
  }

  private bindGroup(compiled: CompiledKernel, regions: readonly Region[]): GPUBindGroup {
    let key = `${compiled.id}`;
    for (const region of regions) key += `|${region.pooled.id}:${region.offset}:${region.size}`;
    let group = this.bindGroups.get(key);
    if (!group) {
      if (this.bindGroups.size >= maxBindGroups) this.bindGroups.clear();
      group = this.device.createBindGroup({
        label: compiled.name,
        layout: compiled.layout,
        entries: regions.map((region, i) => ({
          binding: i,
          resource: { buffer: region.pooled.buffer, offset: region.offset, size: region.size },
        })),
      });
      this.bindGroups.set(key, group);
      this.counters.bindGroups++;
    }
    return group;
  }

  private encode(batch: Batch, serial: number): void {
    const { queue } = this.device;
    if (batch.dispatches > 0)
      queue.writeBuffer(this.paramBuffer, 0, batch.params, 0, batch.dispatches * paramBytes);
    let encoder = this.device.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    const endPass = () => {
      pass?.end();
      pass = null;
    };
    const submit = () => {
      endPass();
      queue.submit([encoder.finish()]);
      this.counters.submits++;
    };
    for (const command of batch.commands) {
      if (command.kind === "dispatch") {
        const current: GPUComputePassEncoder =
          pass ?? encoder.beginComputePass(this.profiler?.passFor(command.kernel.name));
        pass = current;
        if (!command.kernel.pipeline)
          throw new DeviceError(`Kernel "${command.kernel.name}" has no pipeline.`);
        current.setPipeline(command.kernel.pipeline);
        current.setBindGroup(0, command.bindGroup);
        current.setBindGroup(1, this.paramGroup, [command.params]);
        current.dispatchWorkgroups(command.grid[0], command.grid[1], command.grid[2]);
        if (this.profiler) endPass();
        continue;
      }
      endPass();
      if (command.kind === "copy") {
        const { from, to } = command;
        encoder.copyBufferToBuffer(from.pooled.buffer, from.offset, to.pooled.buffer, to.offset, to.size);
      } else if (command.kind === "clear") {
        encoder.clearBuffer(command.region.pooled.buffer, command.region.offset, command.region.size);
      } else if (command.kind === "download") {
        encoder.copyBufferToBuffer(
          command.from.pooled.buffer,
          command.from.offset,
          command.to,
          0,
          command.from.size,
        );
      } else {
        submit();
        queue.writeBuffer(command.region.pooled.buffer, command.region.offset, command.bytes);
        encoder = this.device.createCommandEncoder();
      }
    }
    submit();
    this.submitted = serial;
    batch.commands.length = 0;
    batch.dispatches = 0;
    this.spare = batch;
  }
}

function newBatch(): Batch {
  return { commands: [], params: new ArrayBuffer(slots * paramBytes), dispatches: 0 };
}
