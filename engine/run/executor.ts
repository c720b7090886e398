// Where operations go and get their memory: to the recorder and the pool, or both times to a capture. What a step changes
// on tensors from outside while it is only rehearsed is taken back.

import { bytesPerElement, type DType, fromBytes, type HostArray, toBytes } from "../base/dtype.ts";
import { DeviceError, DeviceLostError, KernelError, TensorError } from "../base/errors.ts";
import { withBlankStreams } from "../base/random.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import type { BoundRegion, Grid, Region, Sink } from "../gpu/commands.ts";
import { mapModeRead, usage } from "../gpu/flags.ts";
import { gridX, type Kernel, type Lanes, type ParamTypes } from "../gpu/kernel.ts";
import type { Pace } from "../gpu/pace.ts";
import { type CompiledKernel, PipelineCache } from "../gpu/pipelines.ts";
import { BufferPool } from "../gpu/pool.ts";
import type { Session } from "../gpu/session.ts";
import { type Memory, release, retain, type Storage } from "../gpu/storage.ts";
import type { Backend, Run, Tensor } from "../tensor/tensor.ts";
import { Capture } from "./capture.ts";
import { Recorder } from "./recorder.ts";

/** Dispatches of a rehearsal go nowhere. */
const nowhere: Sink = { dispatch() {}, copy() {}, clear() {}, write() {} };

export class Executor {
  readonly pool: BufferPool;
  readonly pipelines: PipelineCache;
  readonly recorder: Recorder;
  private sink: Sink;
  private memory: Memory;
  /** What takes back the changes of a step that is being taken down; null where none is. */
  private changes: (() => void)[] | null = null;

  constructor(
    /** Whose tensors these are. */
    private readonly owner: Backend,
    readonly session: Session,
    private readonly lanes: Lanes,
    readonly pace: Pace,
    private readonly poison: boolean,
  ) {
    this.pool = new BufferPool(session);
    this.pipelines = new PipelineCache(session, lanes);
    this.recorder = new Recorder(session, pace);
    this.sink = this.recorder;
    this.memory = this.pool;
  }

  /** Memory for a tensor of this shape. */
  allocate(shape: Shape, dtype: DType): Storage {
    this.session.check();
    if (!shape.every((extent) => Number.isInteger(extent) && extent > 0))
      throw new TensorError(`A shape needs positive whole numbers, not [${shape}].`);
    if (dtype === "f16" && !this.session.device.features.has("shader-f16"))
      throw new DeviceError("This adapter has no f16 (feature shader-f16).");
    const storage = this.memory.take(sizeOf(shape) * bytesPerElement[dtype], `${dtype}[${shape}]`);
    if (this.poison && this.memory === this.pool) {
      const { size, tenure } = storage;
      this.sink.write({ storage, tenure, offset: 0, size }, new Uint8Array(size).fill(0xff));
    }
    return storage;
  }

  /** As `Backend.run`. */
  run<P extends ParamTypes>(kernel: Kernel<P>, run: Run<P>): void {
    this.session.check();
    const { name, bindings } = kernel;
    if (run.bind.length !== bindings.length)
      throw new TensorError(`${name}: ${run.bind.length} tensors for ${bindings.length} bindings.`);
    const regions = run.bind.map((tensor, i) => {
      this.require(tensor, `${name}: "${bindings[i]!.name}"`);
      return boundRegion(tensor);
    });
    const grid: Grid = typeof run.grid === "number" ? [...this.fold(run.grid), 1] : run.grid;
    const { maxComputeWorkgroupsPerDimension: most } = this.session.device.limits;
    if (grid.some((count) => count > most)) {
      throw new KernelError(
        `Kernel "${name}" needs a grid of ${grid.join(" x ")} workgroups, the device takes ${most} a side.`,
      );
    }
    if (this.sink === nowhere) return;
    const compiled = this.pipelines.get(kernel, run.dtype ?? "f32", run.constants ?? {});
    this.sink.dispatch(kernel, compiled, regions, run.params, grid);
  }

  /** As `Backend.fold`. */
  fold(workgroups: number): [number, number] {
    const width = this.lanes.gridX ?? gridX;
    return [Math.min(workgroups, width), Math.ceil(workgroups / width)];
  }

  /** As `Backend.write`. */
  write(tensor: Tensor, values: ArrayLike<number>): void {
    if (values.length !== tensor.size) throw new TensorError(`write: ${values.length} values for ${tensor}.`);
    this.sink.write(this.exactRegion(tensor), toBytes(values, tensor.dtype));
  }

  /** As `Backend.clear`. */
  clear(tensor: Tensor): void {
    this.sink.clear(this.exactRegion(tensor));
  }

  /** As `Backend.copy`. */
  copy(from: Tensor, to: Tensor): void {
    if (from.size !== to.size || from.dtype !== to.dtype)
      throw new TensorError(`copy: ${from} does not fit ${to}.`);
    const [source, target] = [this.exactRegion(from), this.exactRegion(to)];
    if (from.storage !== to.storage) {
      this.sink.copy(source, target);
      return;
    }
    // WebGPU copies nothing within one buffer.
    const between = this.memory.take(source.size, `${from} on its way`);
    retain(between);
    const region = { storage: between, tenure: between.tenure, offset: 0, size: source.size };
    this.sink.copy(source, region);
    this.sink.copy(region, target);
    release(between);
  }

  /** As `Backend.read`. */
  read(tensor: Tensor): Promise<HostArray> {
    this.requireDirect("read a tensor");
    return this.download(tensor);
  }

  private async download(tensor: Tensor): Promise<HostArray> {
    const { session, recorder } = this;
    session.check();
    const region = this.exactRegion(tensor);
    const faults: Error[] = [];
    const flags = usage.mapRead | usage.copyTarget;
    const staging = session.makeBuffer(
      { size: region.size, usage: flags, label: `reading ${tensor}` },
      (error) => faults.push(error),
    );
    try {
      const command = recorder.download(region, staging);
      await recorder.settled();
      session.check(); // the end may have come since, and the buffer with it
      await session.wait(staging.mapAsync(mapModeRead)).catch((cause: Error) => {
        faults.push(
          session.ended ?? new DeviceLostError(`Reading ${tensor} failed: ${cause.message}`, { cause }),
        );
      });
      await session.judged();
      const fault = command.fault ?? faults[0];
      if (fault) {
        session.acknowledge(fault);
        throw fault;
      }
      return fromBytes(staging.getMappedRange().slice(0), tensor.dtype, tensor.size);
    } finally {
      session.destroyBuffer(staging);
    }
  }

  /** Sends all recorded work and waits until the device has done it. Throws the first error that no call has thrown. */
  async idle(): Promise<void> {
    await this.recorder.settled();
    await this.session.wait(this.session.device.queue.onSubmittedWorkDone());
    await this.session.judged();
    this.session.throwUnreported();
  }

  /** Destroys buffers that wait in the pool. */
  trim(): void {
    const buffers = this.pool.trim();
    this.recorder.afterSent(() => {
      for (const buffer of buffers) this.session.destroyBuffer(buffer);
    });
    this.recorder.forgetBindGroups();
  }

  /** Records a step into a capture. Where it throws, all is as before. */
  takeDown<T>(step: () => T): { capture: Capture; outputs: T } {
    const capture = new Capture(this.session.device.limits);
    try {
      const { result } = this.divert(capture, capture, step);
      capture.close(this.pipelines);
      return { capture, outputs: result };
    } catch (error) {
      capture.end("was made by a captured step that failed");
      throw error;
    }
  }

  /**
   * Records a step on memory that is never there and takes back what it changed. With `compile`, the kernels that it needs
   * start to compile and are returned.
   */
  rehearse(step: () => unknown, compile: boolean): readonly CompiledKernel[] {
    const capture = new Capture(this.session.device.limits);
    try {
      withBlankStreams(() => this.divert(compile ? capture : nowhere, capture, step)).undo();
      if (compile) capture.close(this.pipelines);
      return capture.kernels;
    } finally {
      capture.end("was made by a step that was only rehearsed");
    }
  }

  /** Throws TensorError inside of a step that is being taken down, which can't do this. */
  requireDirect(what: string): void {
    if (this.sink !== this.recorder) throw new TensorError(`A step that is being captured can't ${what}.`);
  }

  /** Told of a change to a tensor that may have to be taken back, and how. */
  noteUndo(undo: () => void): void {
    this.changes?.push(undo);
  }

  /** Runs `step` with its work and memory elsewhere; returns with its result what takes back what it changed. */
  private divert<T>(sink: Sink, memory: Memory, step: () => T): { result: T; undo(): void } {
    this.session.check();
    if (this.sink !== this.recorder) throw new TensorError("A step is already being captured.");
    const changes: (() => void)[] = [];
    const undo = () => {
      for (const change of changes.reverse()) change();
    };
    this.sink = sink;
    this.memory = memory;
    this.changes = changes;
    try {
      return { result: step(), undo };
    } catch (error) {
      undo();
      throw error;
    } finally {
      this.sink = this.recorder;
      this.memory = this.pool;
      this.changes = null;
    }
  }

  /** Throws TensorError where a tensor, which `subject` names, was disposed or is another engine's. */
  private require(tensor: Tensor, subject?: string): void {
    tensor.requireLive(subject);
    if (tensor.engine !== this.owner)
      throw new TensorError(`${subject ?? tensor} belongs to another engine.`);
  }

  /** What the host writes, copies and reads: the elements, in steps of four bytes. */
  private exactRegion(tensor: Tensor): Region {
    this.require(tensor);
    const { storage, offset, bytes } = tensor;
    return { storage, tenure: storage.tenure, offset, size: Math.ceil(bytes / 4) * 4 };
  }
}

/** What a kernel sees: whole vec4s, also where the last is only partly filled; storages are large enough. */
function boundRegion({ storage, offset, bytes, shape, dtype }: Tensor): BoundRegion {
  return { storage, tenure: storage.tenure, offset, size: Math.ceil(bytes / 16) * 16, shape, dtype };
}
