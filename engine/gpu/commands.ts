// Commands as data, and how a list of them becomes one encoder's work: dispatches share a compute pass until a copy or
// a clear comes between. Used by what is sent at once (recorder.ts) and by what is replayed (program.ts).

import type { DType } from "../base/dtype.ts";
import { numberOf } from "../base/scalar.ts";
import type { Shape } from "../base/shape.ts";
import {
  boundParamBytes,
  gridStartOffset,
  type Kernel,
  type ParamTypes,
  type ParamValues,
  paramBytes,
} from "./kernel.ts";
import type { CompiledKernel } from "./pipelines.ts";
import type { Profiler } from "./profiler.ts";
import type { Storage } from "./storage.ts";

/** A piece of a storage as one of its tenants has it; offset and size in bytes. */
export interface Region {
  storage: Storage;
  tenure: number;
  offset: number;
  size: number;
}

/** What a kernel is given: a region and the tensor's form. */
export interface BoundRegion extends Region {
  shape: Shape;
  dtype: DType;
}

/** Workgroups in x, y and z. */
export type Grid = readonly [number, number, number];

export interface Dispatch {
  kind: "dispatch";
  kernel: CompiledKernel;
  regions: readonly Region[];
  bindGroup: GPUBindGroup;
  /** Byte offset of its parameters. */
  params: number;
  grid: Grid;
  /** Seconds that it may take, as pace.ts estimates them. */
  estimate: number;
}

export type Command =
  | Dispatch
  | { kind: "copy"; from: Region; to: Region }
  | { kind: "clear"; region: Region }
  | Download;

/** A copy to where the host can read it. */
export interface Download {
  kind: "download";
  from: Region;
  to: GPUBuffer;
  /** Byte of `to` from which on it goes there. */
  at: number;
  /** Why what came can't be trusted. */
  fault: Error | null;
}

/** Which regions a command reads and writes. */
export function touched(command: Command | { kind: "write"; region: Region }): {
  reads: readonly Region[];
  writes: readonly Region[];
} {
  if (command.kind === "dispatch") return touchedBy(command.kernel.kernel, command.regions);
  if (command.kind === "copy") return { reads: [command.from], writes: [command.to] };
  if (command.kind === "download") return { reads: [command.from], writes: [] };
  return { reads: [], writes: [command.region] };
}

/** Which of the regions that are bound to a kernel it reads and writes. */
export function touchedBy({ bindings }: Kernel, regions: readonly Region[]) {
  return {
    reads: regions.filter((_, i) => bindings[i]!.access === "read"),
    writes: regions.filter((_, i) => bindings[i]!.access === "read_write"),
  };
}

/** What an operation asks of a kernel. */
export interface DispatchRequest {
  kernel: Kernel;
  compiled: CompiledKernel;
  /** Of the tensors in the order of the kernel's bindings. */
  regions: readonly BoundRegion[];
  params: ParamValues<ParamTypes>;
  grid: Grid;
}

/** Where the engine's operations go: the recorder, or a capture. */
export interface Sink {
  dispatch(request: DispatchRequest): void;
  copy(from: Region, to: Region): void;
  clear(region: Region): void;
  write(region: Region, bytes: Uint8Array<ArrayBuffer>): void;
}

/**
 * Writes a kernel's parameters as its uniform block has them, for a dispatch that begins at workgroup `start`; in a bundle's
 * form with the first elements of its tensors.
 */
export function writeParams<P extends ParamTypes>(
  view: DataView,
  types: P,
  values: ParamValues<P>,
  start: Grid,
  begins: readonly number[] = [],
): void {
  let at = 0;
  for (const name in types) {
    const type = types[name];
    const value = numberOf(values[name]!);
    if (type === "f32") view.setFloat32(at, value, true);
    else if (type === "u32") view.setUint32(at, value, true);
    else view.setInt32(at, value, true);
    at += 4;
  }
  const startAt = gridStartOffset(types);
  for (let axis = 0; axis < 3; axis++) view.setUint32(startAt + 4 * axis, start[axis]!, true);
  for (let i = 0; i < begins.length; i++) view.setUint32(startAt + 12 + 4 * i, begins[i]!, true);
}

/** What a buffer of `slots` parameter blocks is made by. */
export function paramBuffer(slots: number, usage: GPUBufferUsageFlags): GPUBufferDescriptor {
  return { size: slots * paramBytes, usage, label: "the parameters of kernels" };
}

/** The group that binds regions in the order of a kernel's bindings, and any slot of a buffer of parameters. */
export function makeBindGroup(
  device: GPUDevice,
  compiled: CompiledKernel,
  regions: readonly Region[],
  params: GPUBuffer,
): GPUBindGroup {
  const resources: GPUBufferBinding[] = regions.map(({ storage, offset, size }) => ({
    buffer: storage.buffer,
    offset: storage.base + offset,
    size,
  }));
  resources.push({ buffer: params, size: boundParamBytes(compiled.kernel) });
  const entries = resources.map((resource, binding) => ({ binding, resource }));
  return device.createBindGroup({ label: compiled.name, layout: compiled.layout, entries });
}

/** Names a binding of regions to a kernel: equal names can share a bind group. */
export function bindGroupKey(compiled: CompiledKernel, regions: readonly Region[]): string {
  let key = `${compiled.id}`;
  for (const { storage, offset, size } of regions) key += `|${storage.id}:${offset}:${size}`;
  return key;
}

/**
 * Encodes commands in order, without what did not compile. With a profiler each dispatch gets a pass of its own, with
 * timestamps.
 */
export function encodeCommands(
  encoder: GPUCommandEncoder,
  commands: readonly Command[],
  profiler: Profiler | null,
): void {
  let pass: GPUComputePassEncoder | null = null;
  let pipeline: GPUComputePipeline | null = null;
  const endPass = () => {
    pass?.end();
    pass = null;
    pipeline = null;
  };
  const offsets = [0];
  for (const command of commands) {
    if (command.kind === "dispatch") {
      const { kernel, grid } = command;
      if (!kernel.pipeline) continue;
      const current: GPUComputePassEncoder = pass ?? encoder.beginComputePass(profiler?.passFor(kernel.name));
      pass = current;
      if (pipeline !== kernel.pipeline) current.setPipeline(kernel.pipeline);
      pipeline = kernel.pipeline;
      offsets[0] = command.params;
      current.setBindGroup(0, command.bindGroup, offsets);
      current.dispatchWorkgroups(grid[0], grid[1], grid[2]);
      if (profiler) endPass();
      continue;
    }
    endPass();
    if (command.kind === "copy") {
      const { from, to } = command;
      encoder.copyBufferToBuffer(
        from.storage.buffer,
        from.storage.base + from.offset,
        to.storage.buffer,
        to.storage.base + to.offset,
        to.size,
      );
    } else if (command.kind === "clear") {
      const { storage, offset, size } = command.region;
      encoder.clearBuffer(storage.buffer, storage.base + offset, size);
    } else {
      const { storage, offset, size } = command.from;
      encoder.copyBufferToBuffer(storage.buffer, storage.base + offset, command.to, command.at, size);
    }
  }
  endPass();
}
