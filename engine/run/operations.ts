// The operations of an engine, as tensors and kernels ask for them (`Backend` in tensor/tensor.ts describes each): memory
// for tensors, work in order, the graph, scopes. Where all this goes, diversion.ts decides.

import { bytesPerElement, type DType, fromBytes, type HostArray, toBytes } from "../base/dtype.ts";
import { DeviceError, DeviceLostError, KernelError, TensorError } from "../base/errors.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import type { BoundRegion, Grid, Region } from "../gpu/commands.ts";
import {
  chooseLanes,
  chooseRowGroups,
  isSoftware,
  type LaneOptions,
  nameOf,
  type OpenDevice,
} from "../gpu/device.ts";
import { mapModeRead, usage } from "../gpu/flags.ts";
import { ForeignBuffers, requireUsage } from "../gpu/foreign.ts";
import { gridX, type Kernel, type Lanes, type ParamTypes } from "../gpu/kernel.ts";
import { Pace } from "../gpu/pace.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import { BufferPool, requireFit } from "../gpu/pool.ts";
import { Session } from "../gpu/session.ts";
import { release, retain, type Storage } from "../gpu/storage.ts";
import { Graph } from "../tensor/graph.ts";
import { Scopes } from "../tensor/scopes.ts";
import { type Backend, type Choice, type Node, type Run, Tensor } from "../tensor/tensor.ts";
import { type ChoiceStore, Choices } from "../tune/choices.ts";
import { Diversion } from "./diversion.ts";
import { Recorder } from "./recorder.ts";

export interface OperationOptions extends LaneOptions {
  /** Fill every buffer with NaN before use, so that an output which a kernel leaves unwritten shows. For tests. */
  poison?: boolean;
  /** Seconds that the device may be kept busy at a stretch, 0.5 unless told: systems reset a device that is for longer. */
  longestSeconds?: number;
  /** Keeps what `tune` measures between runs; without one it counts for this engine only. */
  choices?: ChoiceStore;
}

export class Operations implements Backend {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  readonly language: ReadonlySet<string>;
  readonly lanes: Lanes;
  readonly rowGroups: number;
  protected readonly session: Session;
  protected readonly pace: Pace;
  protected readonly pool: BufferPool;
  private readonly foreign: ForeignBuffers;
  protected readonly pipelines: PipelineCache;
  protected readonly recorder: Recorder;
  protected readonly diversion: Diversion;
  protected readonly graph = new Graph();
  protected readonly choices: Choices;
  private readonly scopes = new Scopes();
  private readonly poison: boolean;
  /** By the name of the kernel in whose place they run; null as long as there are none. */
  private standIns: Map<string, { kernel: Kernel; besides: readonly Tensor[] }> | null = null;

  protected constructor(opened: OpenDevice, ownsDevice: boolean, options: OperationOptions) {
    this.device = opened.device;
    this.adapterInfo = opened.info;
    this.language = opened.language;
    this.lanes = chooseLanes(opened, options);
    this.rowGroups = chooseRowGroups(opened, this.lanes, options);
    this.poison = options.poison ?? false;
    const { vendor, architecture } = opened.info;
    const way = this.lanes.subgroups ? `subgroups of ${this.lanes.count}` : "shared memory";
    const adapter = [vendor, architecture, this.adapterName, way].join(", ");
    this.choices = new Choices(adapter, options.choices ?? null);
    this.session = new Session(this.device, ownsDevice);
    this.pace = new Pace(this.isSoftware, options.longestSeconds ?? 0.5);
    this.pool = new BufferPool(this.session);
    this.pipelines = new PipelineCache(this.session, this.lanes);
    this.recorder = new Recorder(this.session, this.pace);
    this.foreign = new ForeignBuffers(this.session, (storage) =>
      this.recorder.forgetBindGroups(new Set([storage])),
    );
    this.diversion = new Diversion(this.session, this.recorder, this.pool);
  }

  get gradients(): boolean {
    return this.graph.recording;
  }

  get hasF16(): boolean {
    return this.device.features.has("shader-f16");
  }

  /** Bytes that one tensor can have. */
  get largestStorage(): number {
    return this.session.largestStorage;
  }

  /** Whether the adapter is the processor itself. */
  get isSoftware(): boolean {
    return isSoftware(this.adapterInfo);
  }

  /** One line that names the adapter. */
  get adapterName(): string {
    return nameOf(this.adapterInfo);
  }

  tensor(values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
    requireShape("tensor", shape);
    if (values.length !== sizeOf(shape))
      throw new TensorError(`tensor: ${values.length} values do not fill [${shape}].`);
    const tensor = this.empty(shape, dtype);
    this.write(tensor, values);
    return tensor;
  }

  empty(shape: Shape, dtype: DType = "f32"): Tensor {
    const { session, diversion } = this;
    session.check();
    requireShape("A tensor", shape);
    this.requireDType(dtype);
    const storage = diversion.memory.take(sizeOf(shape) * bytesPerElement[dtype], `${dtype}[${shape}]`);
    if (this.poison && diversion.direct) {
      const { size, tenure } = storage;
      this.recorder.write({ storage, tenure, offset: 0, size }, new Uint8Array(size).fill(0xff));
    }
    return this.register(new Tensor(this, [...shape], dtype, storage));
  }

  zeros(shape: Shape, dtype: DType = "f32"): Tensor {
    const tensor = this.empty(shape, dtype);
    this.clear(tensor);
    return tensor;
  }

  /**
   * A tensor of elements that lie in a buffer of the app's own, made on the engine's device with the usage STORAGE; without a
   * copy, so that each sees what the other writes, in the order of their submits: what was recorded here is sent by
   * `Engine.sent`. The buffer stays the app's: disposing of the tensor leaves it, and it must not be destroyed or mapped
   * before. Reading and copying need its usage COPY_SRC, writing and clearing COPY_DST. Kernels see whole vec4s: a buffer
   * has room for 16 bytes where the last of them is begun. Where f16 are odd in number, writing, clearing and copying take
   * the two bytes behind the last along.
   * @param offset byte of the first element, a multiple of 256
   * @throws TensorError for what is no such buffer and for one without room for the shape; DeviceError as `empty` does
   */
  wrap(buffer: GPUBuffer, shape: Shape, dtype: DType = "f32", offset = 0): Tensor {
    this.session.check();
    requireShape("wrap", shape);
    this.requireDType(dtype);
    if (!Number.isInteger(offset) || offset < 0 || offset % 256 !== 0)
      throw new TensorError(`wrap: byte offset ${offset} is no multiple of 256.`);
    const storage = this.foreign.storageOf(buffer);
    const what = `${dtype}[${shape}]`;
    const needed = offset + Math.max(1, Math.ceil((sizeOf(shape) * bytesPerElement[dtype]) / 16)) * 16;
    if (needed > storage.size)
      throw new TensorError(
        `wrap: ${what} needs ${needed} bytes${offset > 0 ? " with what is before it" : ""}, the buffer has ${storage.size}.`,
      );
    requireFit(needed - offset, what, this.session.largestStorage);
    return this.register(new Tensor(this, [...shape], dtype, storage, offset));
  }

  view(tensor: Tensor, shape: Shape): Tensor {
    this.requireOwn(tensor);
    requireShape("view", shape);
    if (sizeOf(shape) !== tensor.size)
      throw new TensorError(`view: [${tensor.shape}] can't become [${shape}].`);
    return this.register(new Tensor(this, [...shape], tensor.dtype, tensor.storage, tensor.offset));
  }

  slice(tensor: Tensor, start: number, shape: Shape): Tensor {
    this.requireOwn(tensor);
    requireShape("slice", shape);
    if (!Number.isInteger(start) || start < 0)
      throw new TensorError(`slice: a start is a whole number from 0 on, not ${start}.`);
    const offset = tensor.offset + start * bytesPerElement[tensor.dtype];
    if (start + sizeOf(shape) > tensor.size)
      throw new TensorError(`slice: past the end of [${tensor.shape}].`);
    if (offset % 256 !== 0) throw new TensorError(`slice: byte offset ${offset} is no multiple of 256.`);
    return this.register(new Tensor(this, [...shape], tensor.dtype, tensor.storage, offset));
  }

  /**
   * From now on this engine runs a kernel in place of the one of the same name: another text for the same parameters and
   * bindings, or for these and, after them, the tensors `besides`. For editors of kernels and for experiments.
   */
  standIn(kernel: Kernel, besides: readonly Tensor[] = []): void {
    this.standIns ??= new Map();
    this.standIns.set(kernel.name, { kernel, besides });
  }

  /** Takes back all of `standIn`. */
  endStandIns(): void {
    this.standIns = null;
  }

  run<P extends ParamTypes>(asked: Kernel<P>, run: Run<P>): void {
    this.session.check();
    const standIn = this.standIns?.get(asked.name);
    const kernel = standIn?.kernel ?? asked;
    const bind = standIn ? [...run.bind, ...standIn.besides] : run.bind;
    const { name, bindings } = kernel;
    if (bind.length !== bindings.length)
      throw new TensorError(`${name}: ${bind.length} tensors for ${bindings.length} bindings.`);
    const regions: BoundRegion[] = [];
    for (let i = 0; i < bindings.length; i++) {
      const tensor = bind[i]!;
      const { name: binding, access } = bindings[i]!;
      if (!this.isUsable(tensor)) this.require(tensor, `${name}: "${binding}", ${tensor},`);
      if (access === "read_write" && tensor.storage.constant)
        this.requireVariable(tensor, `${name}: "${binding}", ${tensor},`);
      regions.push(boundRegion(tensor));
    }
    refuseAliases(kernel, regions);
    for (const param in kernel.params)
      if (run.params[param] === undefined)
        throw new TensorError(`${name}: the parameter "${param}" is missing.`);
    const grid: Grid = typeof run.grid === "number" ? [...this.fold(run.grid), 1] : run.grid;
    const { mostWorkgroups: most } = this.session;
    if (!grid.every((count) => Number.isInteger(count) && count >= 0 && count <= most)) {
      throw new KernelError(
        `Kernel "${name}" needs a grid of ${grid.join(" x ")} workgroups, the device takes ${most} a side.`,
      );
    }
    // Where a tensor has no elements there is nothing to do.
    if (this.diversion.idle || grid.includes(0)) return;
    const compiled = this.pipelines.get(kernel, run.dtype ?? "f32", run.constants ?? {});
    this.diversion.sink.dispatch({ kernel, compiled, regions, params: run.params, grid });
  }

  fold(workgroups: number): [number, number] {
    const width = this.lanes.gridX ?? gridX;
    return [Math.min(workgroups, width), Math.ceil(workgroups / width)];
  }

  write(tensor: Tensor, values: ArrayLike<number>): void {
    if (values.length !== tensor.size) throw new TensorError(`write: ${values.length} values for ${tensor}.`);
    const region = this.exactRegion(tensor, true);
    if (region.size > 0) this.diversion.sink.write(region, toBytes(values, tensor.dtype));
  }

  clear(tensor: Tensor): void {
    const region = this.exactRegion(tensor, true);
    if (region.size > 0) this.diversion.sink.clear(region);
  }

  copy(from: Tensor, to: Tensor): void {
    if (from.size !== to.size || from.dtype !== to.dtype)
      throw new TensorError(`copy: ${from} does not fit ${to}.`);
    const [source, target] = [this.exactRegion(from, false), this.exactRegion(to, true)];
    if (source.size === 0) return;
    if (from.storage !== to.storage) {
      this.diversion.sink.copy(source, target);
      return;
    }
    // WebGPU copies nothing within one buffer.
    const between = this.diversion.memory.take(source.size, `${from} on its way`);
    retain(between);
    const region = { storage: between, tenure: between.tenure, offset: 0, size: source.size };
    this.diversion.sink.copy(source, region);
    this.diversion.sink.copy(region, target);
    release(between);
  }

  read(tensor: Tensor): Promise<HostArray> {
    return this.readAll([tensor]).then(([values]) => values!);
  }

  /**
   * The elements of several tensors, as `read` gives those of each: by as few copies to the host and waits as one buffer's
   * size allows, one as a rule. Throws as `read` does.
   */
  readAll(tensors: readonly Tensor[]): Promise<HostArray[]> {
    this.graph.refuse("read a tensor");
    this.diversion.requireDirect("read a tensor");
    return this.download(tensors);
  }

  private async download(tensors: readonly Tensor[]): Promise<HostArray[]> {
    this.session.check();
    const groups: { tensor: Tensor; region: Region; at: number }[][] = [];
    let at = Number.POSITIVE_INFINITY;
    for (const tensor of tensors) {
      const region = this.exactRegion(tensor, false);
      if (at + region.size > this.session.largestStorage) {
        groups.push([]);
        at = 0;
      }
      groups.at(-1)!.push({ tensor, region, at });
      at += region.size;
    }
    return (await Promise.all(groups.map((group) => this.downloadTogether(group)))).flat();
  }

  private async downloadTogether(
    parts: readonly { tensor: Tensor; region: Region; at: number }[],
  ): Promise<HostArray[]> {
    const { session, recorder } = this;
    const last = parts.at(-1)!;
    const size = last.at + last.region.size;
    if (size === 0) return parts.map(({ tensor }) => fromBytes(new ArrayBuffer(0), tensor.dtype, 0));
    const name = parts.length === 1 ? `${last.tensor}` : `${parts.length} tensors`;
    const faults: Error[] = [];
    const flags = usage.mapRead | usage.copyTarget;
    const staging = session.makeBuffer({ size, usage: flags, label: `reading ${name}` }, (error) =>
      faults.push(error),
    );
    try {
      const commands = parts
        .filter(({ region }) => region.size > 0)
        .map(({ region, at }) => recorder.download(region, staging, at));
      await recorder.settled();
      session.check(); // the end may have come since, and the buffer with it
      await session.wait(staging.mapAsync(mapModeRead)).catch((cause: Error) => {
        faults.push(
          session.ended ?? new DeviceLostError(`Reading ${name} failed: ${cause.message}`, { cause }),
        );
      });
      await session.judged();
      const fault = commands.find(({ fault }) => fault)?.fault ?? faults[0];
      if (fault) {
        session.acknowledge(fault);
        throw fault;
      }
      const bytes = staging.getMappedRange();
      return parts.map(({ tensor: { dtype, size }, region, at }) =>
        fromBytes(bytes.slice(at, at + region.size), dtype, size),
      );
    } finally {
      session.destroyBuffer(staging);
    }
  }

  record(name: string, output: Tensor, inputs: readonly Tensor[], backward: Node["backward"]): Tensor {
    return this.graph.record(name, output, inputs, backward);
  }

  choose<V extends string>(choice: Choice<V>): V {
    return this.choices.pick(choice);
  }

  scope<T>(work: () => T): T {
    return this.scopes.run(work);
  }

  inference<T>(work: () => T): T {
    return this.graph.pause(() => this.scope(work));
  }

  keep(tensor: Tensor): Tensor {
    this.scopes.keep(tensor);
    return tensor;
  }

  canAccumulate(grad: Tensor): boolean {
    return this.diversion.canAccumulate(grad);
  }

  noteGradient(leaf: Tensor, undo: () => void): void {
    this.diversion.noteGradient(leaf, undo);
  }

  letGo(storage: Storage, undo: () => void): void {
    this.diversion.letGo(storage, undo);
  }

  checkpoint(work: () => Tensor): Tensor {
    return this.graph.checkpoint(work, (inner) => this.scope(inner));
  }

  private register(tensor: Tensor): Tensor {
    this.scopes.add(tensor);
    this.diversion.noteMade(tensor);
    return tensor;
  }

  /** Throws TensorError for what is no dtype, DeviceError for one that the adapter lacks. */
  private requireDType(dtype: DType): void {
    if (!(bytesPerElement[dtype] > 0)) throw new TensorError(`A tensor can't be of ${dtype}.`);
    if (dtype === "f16" && !this.hasF16)
      throw new DeviceError("This adapter has no f16 (feature shader-f16).");
  }

  /** Throws TensorError where a tensor, which `subject` names, was disposed or is another engine's. */
  protected requireOwn(tensor: Tensor, subject = `${tensor}`): void {
    this.session.check();
    if (!(tensor instanceof Tensor)) throw new TensorError(`${subject} is no tensor.`);
    tensor.requireLive(subject);
    if (tensor.engine !== this) throw new TensorError(`${subject} belongs to another engine.`);
  }

  /** Throws TensorError where work can't be recorded with a tensor, which `subject` names. */
  private require(tensor: Tensor, subject?: string): void {
    this.requireOwn(tensor, subject);
    if (!this.isUsable(tensor))
      throw new TensorError(
        `${subject ?? tensor} belongs to a captured step that is not ready: wait for its capture.`,
      );
  }

  /** Throws TensorError for host values that a captured step has for good. */
  private requireVariable({ storage }: Tensor, subject?: string): void {
    if (!storage.constant || storage.owner === this.diversion.memory) return;
    throw new TensorError(
      `${subject ?? "This tensor"} is a constant of a captured step, which can't be changed.`,
    );
  }

  /** Whether work can be recorded with a tensor; one of a captured step has no memory before that is ready. */
  private isUsable(tensor: Tensor): boolean {
    if (!(tensor instanceof Tensor)) return false;
    const { disposed, engine, storage } = tensor;
    const here = storage.buffer !== undefined || storage.owner === this.diversion.memory;
    return here && !disposed && engine === this;
  }

  /** What the host writes, copies and reads: the elements, in steps of four bytes. */
  private exactRegion(tensor: Tensor, written: boolean): Region {
    this.require(tensor);
    if (written) this.requireVariable(tensor);
    const { storage, offset, bytes } = tensor;
    if (storage.owner === this.foreign)
      requireUsage(storage.buffer, written ? "COPY_DST" : "COPY_SRC", `${tensor}`);
    return { storage, tenure: storage.tenure, offset, size: Math.ceil(bytes / 4) * 4 };
  }
}

/**
 * What a kernel sees: whole vec4s, also where the last is only partly filled; storages are large enough. Of a tensor without
 * elements it sees some vec4 of the storage, as WebGPU binds nothing empty.
 */
function boundRegion({ storage, offset, bytes, shape, dtype }: Tensor): BoundRegion {
  const size = Math.ceil(bytes / 16) * 16;
  const bound = size > 0 ? { offset, size } : { offset: 0, size: 16 };
  return { storage, tenure: storage.tenure, ...bound, shape, dtype };
}

/** Throws TensorError where a kernel would read and write one buffer, which WebGPU does not allow. */
function refuseAliases({ name, bindings }: Kernel, regions: readonly BoundRegion[]): void {
  for (let i = 0; i < bindings.length; i++) {
    if (bindings[i]!.access === "read") continue;
    for (let j = 0; j < bindings.length; j++) {
      if (bindings[j]!.access === "read" && regions[j]!.storage === regions[i]!.storage)
        throw new TensorError(
          `${name}: "${bindings[j]!.name}" is read and "${bindings[i]!.name}" written in one buffer.`,
        );
    }
  }
}

function requireShape(name: string, shape: Shape): void {
  if (!shape?.every?.((extent) => Number.isInteger(extent) && extent >= 0))
    throw new TensorError(`${name}: a shape is a list of whole numbers from 0 on, not ${shape}.`);
}
