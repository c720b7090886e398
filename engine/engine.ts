// The engine: one device with its buffers, pipelines and recorded work. It keeps no globals, so several engines live
// in one process, and it takes the caller's GPUDevice as well as one of its own.

import { bytesPerElement, type DType, fromBytes, type HostArray, toBytes } from "./base/dtype.ts";
import { DeviceError, DeviceLostError, KernelError, TensorError } from "./base/errors.ts";
import { noteStreams, type RandomKey, repeatStreams } from "./base/random.ts";
import { type Shape, sizeOf } from "./base/shape.ts";
import { type AdapterOptions, findAdapter } from "./gpu/adapter.ts";
import type { BoundRegion, Grid, Region, Sink } from "./gpu/commands.ts";
import { mapModeRead, usage } from "./gpu/flags.ts";
import {
  type Constants,
  gridX,
  type Kernel,
  type Lanes,
  type ParamTypes,
  type ParamValues,
} from "./gpu/kernel.ts";
import { PipelineCache } from "./gpu/pipelines.ts";
import { BufferPool, type PoolStatistics } from "./gpu/pool.ts";
import { type DispatchTime, Profiler } from "./gpu/profiler.ts";
import type { Memory } from "./gpu/storage.ts";
import { waitFor } from "./gpu/wait.ts";
import { Warmer, warmUp } from "./gpu/warm.ts";
import { Capture } from "./run/capture.ts";
import { Program } from "./run/program.ts";
import { Recorder } from "./run/recorder.ts";
import { type Node, startsOf, tracked } from "./tensor/autograd.ts";
import { Scopes } from "./tensor/scopes.ts";
import { Tensor } from "./tensor/tensor.ts";
import { type Choice, type ChoiceStore, Choices, type Tuned, timeVariants } from "./tune/choices.ts";

export interface EngineOptions extends AdapterOptions {
  /** Use this device; the engine then never destroys it. */
  device?: GPUDevice;
  /** Fill every buffer with NaN before use, so that an output which a kernel leaves unwritten shows. For tests. */
  poison?: boolean;
  /** Run the shared-memory variants even where the adapter has subgroups. For tests and comparisons. */
  withoutSubgroups?: boolean;
  /** Let several narrow subgroups share a row, as wide ones do. For tests and comparisons. */
  wideRows?: boolean;
  /** Lanes of the shared-memory variants, a power of two; 32 unless told. For tests: it stands for subgroups of 64. */
  sharedLanes?: number;
  /** Workgroups in x of a linear grid, for tests: small grids then fold as large ones do. */
  gridX?: number;
  /** Bytes of the largest buffer behind a captured step; the device's limit, unless told. */
  maxArenaBytes?: number;
  /** Keeps what `tune` measures between runs; without one it counts for this engine only. */
  choices?: ChoiceStore;
}

/** How to run one kernel. */
export interface Run<P extends ParamTypes> {
  /** Tensors in the order of the kernel's bindings. */
  bind: readonly Tensor[];
  params: ParamValues<P>;
  /** Workgroups: [x, y, z], or a linear count that the kernel reads through GRID_X. */
  grid: Grid | number;
  /** What `Scalar` means in the WGSL; f32 unless told. */
  dtype?: DType;
  constants?: Constants;
}

const wantedFeatures = [
  "shader-f16",
  "subgroups",
  "timestamp-query",
  // The rest is not yet among the features that @webgpu/types knows.
  "subgroup-size-control" as GPUFeatureName,
  // Behind Dawn's switch allow_unsafe_apis.
  "chromium-experimental-subgroup-matrix" as GPUFeatureName,
] as const;
/** A rehearsal's work goes nowhere. */
const nowhere: Sink = { dispatch() {}, copy() {}, clear() {}, write() {} };
/** Lanes of the shared-memory fallback, and of subgroups where there is a choice. */
const usualLanes = 32;

export class Engine {
  readonly lanes: Lanes;
  /** How many groups of `lanes` a workgroup may have for one row: one where lanes are few, as those are a CPU's vectors. */
  readonly rowGroups: number;
  /** Whether operations record how to differentiate them; see `inference`. */
  gradients = true;
  readonly pool: BufferPool;
  private readonly pipelines: PipelineCache;
  private readonly recorder: Recorder;
  private readonly scopes = new Scopes();
  private readonly choices: Choices;
  /** Where operations go and get their memory: the recorder and the pool, or both times a capture. */
  private sink: Sink;
  private memory: Memory;
  private failure: Error | null = null;
  private nextNode = 1;
  /** Checkpoints that are being run. */
  private checkpoints = 0;
  private closed = false;

  private constructor(
    readonly device: GPUDevice,
    readonly adapterInfo: GPUAdapterInfo,
    private readonly options: EngineOptions,
    /** Held so that Dawn's instance outlives the device (see engine/gpu/adapter.ts). */
    readonly instance: GPU | null,
  ) {
    this.lanes = chooseLanes(device, adapterInfo, options);
    if (options.gridX) this.lanes.gridX = options.gridX;
    const { maxComputeInvocationsPerWorkgroup } = device.limits;
    const together =
      this.lanes.count > 8 || options.wideRows ? Math.min(256, maxComputeInvocationsPerWorkgroup) : 0;
    this.rowGroups = Math.max(1, Math.floor(together / this.lanes.count));
    const { vendor, architecture } = adapterInfo;
    const way = this.lanes.subgroups ? `subgroups of ${this.lanes.count}` : "shared memory";
    this.choices = new Choices(
      [vendor, architecture, this.adapterName, way].join(", "),
      options.choices ?? null,
    );
    this.pool = new BufferPool(device);
    this.pipelines = new PipelineCache(device, this.lanes);
    this.recorder = new Recorder(device, (error) => this.fail(error));
    this.sink = this.recorder;
    this.memory = this.pool;
    device.addEventListener("uncapturederror", (event) => this.fail(new KernelError(event.error.message)));
    device.lost.then((info) => {
      if (!this.closed)
        this.fail(new DeviceLostError(`The GPU device was lost (${info.reason}): ${info.message}`));
    });
  }

  /**
   * Opens an engine on the caller's device, or on a device of the best adapter with all its limits.
   * Throws DeviceError where there is no adapter.
   */
  static async create(options: EngineOptions = {}): Promise<Engine> {
    const engine = await Engine.open(options);
    await engine.choices.load();
    return engine;
  }

  private static async open(options: EngineOptions, dawn: GPU | null = null): Promise<Engine> {
    if (options.device) return new Engine(options.device, options.device.adapterInfo, options, null);
    const { adapter, instance } = await findAdapter(options, dawn);
    const { limits } = adapter;
    const device = await adapter.requestDevice({
      requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      },
    });
    return new Engine(device, adapter.info, options, instance);
  }

  /** Whether tensors of f16 can be computed with. */
  get hasF16(): boolean {
    return this.device.features.has("shader-f16");
  }

  /** Whether the adapter is the processor itself. */
  get isSoftware(): boolean {
    return this.adapterInfo.isFallbackAdapter || /llvmpipe|swiftshader/i.test(this.adapterName);
  }

  /** One line that names the adapter. */
  get adapterName(): string {
    const { description, device, vendor, architecture } = this.adapterInfo;
    return description || device || `${vendor} ${architecture}`.trim() || "unknown adapter";
  }

  /** A tensor with these values, in row-major order. Throws TensorError if their number does not fit the shape. */
  tensor(values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
    if (values.length !== sizeOf(shape)) {
      throw new TensorError(`tensor: ${values.length} values do not fill the shape [${shape}].`);
    }
    const tensor = this.empty(shape, dtype);
    this.write(tensor, values);
    return tensor;
  }

  /** A tensor whose contents are undefined. Throws TensorError on a bad shape, DeviceError beyond the limits. */
  empty(shape: Shape, dtype: DType = "f32"): Tensor {
    this.check();
    if (!shape.every((extent) => Number.isInteger(extent) && extent > 0)) {
      throw new TensorError(`A shape needs positive whole numbers, not [${shape}].`);
    }
    if (dtype === "f16" && !this.hasF16)
      throw new DeviceError("This adapter has no f16 (feature shader-f16).");
    const bytes = sizeOf(shape) * bytesPerElement[dtype];
    const storage = this.memory.take(bytes, `${dtype}[${shape}]`);
    if (this.options.poison && this.memory === this.pool) {
      const { size } = storage;
      this.sink.write({ storage, offset: 0, size }, new Uint8Array(size).fill(0xff));
    }
    return this.register(new Tensor(this, shape, dtype, storage));
  }

  /** A tensor of zeros. */
  zeros(shape: Shape, dtype: DType = "f32"): Tensor {
    const tensor = this.empty(shape, dtype);
    this.clear(tensor);
    return tensor;
  }

  /** The same elements under another shape of the same size. Not differentiable: kernels/shape.ts has `reshape`. */
  view(tensor: Tensor, shape: Shape): Tensor {
    requireLive(tensor);
    if (sizeOf(shape) !== tensor.size)
      throw new TensorError(`view: [${tensor.shape}] can't become [${shape}].`);
    return this.register(new Tensor(this, shape, tensor.dtype, tensor.storage, tensor.offset));
  }

  /**
   * `shape` elements from element `start` of `tensor`'s memory; the start must be a multiple of 256 bytes. Memory is
   * written in steps of four bytes: a slice of an odd number of f16 takes the element behind it along.
   */
  slice(tensor: Tensor, start: number, shape: Shape): Tensor {
    requireLive(tensor);
    const offset = tensor.offset + start * bytesPerElement[tensor.dtype];
    if (start + sizeOf(shape) > tensor.size)
      throw new TensorError(`slice: past the end of [${tensor.shape}].`);
    if (offset % 256 !== 0) throw new TensorError(`slice: byte offset ${offset} is no multiple of 256.`);
    return this.register(new Tensor(this, shape, tensor.dtype, tensor.storage, offset));
  }

  /** Overwrites a tensor with host values, in order with the recorded work. */
  write(tensor: Tensor, values: ArrayLike<number>): void {
    if (values.length !== tensor.size) throw new TensorError(`write: ${values.length} values for ${tensor}.`);
    this.sink.write(exactRegion(tensor), toBytes(values, tensor.dtype));
  }

  /** Fills a tensor with zeros. */
  clear(tensor: Tensor): void {
    this.sink.clear(exactRegion(tensor));
  }

  /** Copies `from` over `to`, of the same size and dtype. */
  copy(from: Tensor, to: Tensor): void {
    if (from.size !== to.size || from.dtype !== to.dtype)
      throw new TensorError(`copy: ${from} does not fit ${to}.`);
    this.sink.copy(exactRegion(from), exactRegion(to));
  }

  /** Records one run of a kernel. Throws TensorError on a disposed tensor or a wrong number of bindings. */
  run<P extends ParamTypes>(kernel: Kernel<P>, run: Run<P>): void {
    this.check();
    if (run.bind.length !== kernel.bindings.length) {
      throw new TensorError(
        `${kernel.name}: ${run.bind.length} tensors for ${kernel.bindings.length} bindings.`,
      );
    }
    if (this.sink === nowhere) return;
    const compiled = this.pipelines.get(kernel, run.dtype ?? "f32", run.constants ?? {});
    const grid: Grid = typeof run.grid === "number" ? [...this.fold(run.grid), 1] : run.grid;
    const regions = run.bind.map((tensor, i) => {
      if (tensor.disposed)
        throw new TensorError(`${kernel.name}: "${kernel.bindings[i]!.name}" was disposed.`);
      return boundRegion(tensor);
    });
    this.sink.dispatch(kernel, compiled, regions, run.params, grid);
  }

  /** A linear count of workgroups as x and y of a grid, which kernels read as `wg.y * GRID_X + wg.x`. */
  fold(workgroups: number): [number, number] {
    const width = this.lanes.gridX ?? gridX;
    return [Math.min(workgroups, width), Math.ceil(workgroups / width)];
  }

  /** Gives `output` a place in the graph, where any input needs a gradient. Returns `output`. */
  record(name: string, output: Tensor, inputs: readonly Tensor[], backward: Node["backward"]): Tensor {
    const flags = inputs.map(tracked);
    if (flags.includes(true)) output.node = { id: this.nextNode++, name, inputs, tracked: flags, backward };
    return output;
  }

  /**
   * Runs `work` without keeping what it makes on the way to its result: backward runs it again for that, with the same
   * random streams, so values and gradients are the bits that they are without. It trades time, about that of `work`,
   * for memory. Nesting and capture work; without gradients it is `scope`. `work` must give the same result each time,
   * must not be async or read anything, and what it uses must live until backward.
   * Throws TensorError where `work` returns no tensor or reads one.
   */
  checkpoint(work: () => Tensor): Tensor {
    if (!this.gradients) return this.scope(work);
    const first = this.nextNode;
    const drawn: RandomKey[] = [];
    const run = () => {
      this.checkpoints++;
      try {
        return requireTensor("checkpoint", work());
      } finally {
        this.checkpoints--;
      }
    };
    let inputs: Tensor[] = [];
    const result = this.scope(() => {
      const output = noteStreams(drawn, run);
      if (output.node && output.node.id >= first) inputs = startsOf(output, first);
      return output;
    });
    if (inputs.length === 0) return result;
    result.node = null;
    return this.record("checkpoint", result, inputs, {
      again: (walk) => {
        this.scope(() => walk(repeatStreams(drawn, run)));
      },
    });
  }

  /**
   * Takes one step down, without running it, and returns a program that replays it. What the step makes lives in
   * planned memory; tensors that it returns hold the results of the last replay until the program is disposed. Values
   * that the step writes from the host are constants of the program: what changes comes in through `inputs`, tensors
   * made before, or as a Scalar parameter. The step must not be async or read anything.
   * Throws TensorError where the step is async, reads, or writes host values to a tensor from outside.
   */
  async capture<T>(step: () => T, inputs: Readonly<Record<string, Tensor>> = {}): Promise<Program<T>> {
    const { capture, outputs } = this.takeDown(step);
    await capture.ready();
    this.check();
    const { device, recorder } = this;
    const { poison = false, maxArenaBytes = Number.POSITIVE_INFINITY } = this.options;
    return new Program({ device, recorder, poison, maxArenaBytes }, capture, inputs, outputs);
  }

  /** Which variant of an op runs: its rule's, or the one that `tune` found fastest. */
  choose<V extends string>(choice: Choice<V>): V {
    return this.choices.pick(choice);
  }

  /**
   * Finds the choices that a step comes to by recording it without running it, and times the variants of those that
   * nothing is known for. From then on this engine uses the fastest: call it before the first step and before `capture`,
   * and not between steps whose bits must agree. The step must be one that `capture` takes; it may be recorded again.
   * @returns what was measured; nothing where all was known
   */
  async tune(step: () => unknown): Promise<Tuned[]> {
    await this.idle();
    const noted = this.choices.note(() => this.rehearse(step));
    const measured: { choice: Choice; tuned: Tuned }[] = [];
    for (const choice of noted) {
      const inputs = choice.inputs.map(({ shape, dtype }) => this.keep(this.zeros(shape, dtype)));
      try {
        // The braces matter: a scope would pass on what it returns.
        const run = (variant: string) =>
          this.inference(() => {
            choice.run(variant, inputs);
          });
        const { variant, milliseconds } = await timeVariants(choice.variants, run, () => this.idle());
        measured.push({ choice, tuned: { key: choice.key, variant, milliseconds } });
      } finally {
        for (const tensor of inputs) tensor.dispose();
      }
    }
    if (measured.length > 0) {
      await this.choices.keep(measured.map(({ choice, tuned }) => ({ choice, variant: tuned.variant })));
      await this.trim();
    }
    return measured.map(({ tuned }) => tuned);
  }

  /** Records a step whose work goes nowhere, on memory that is never there. */
  private rehearse(step: () => unknown): void {
    if (this.sink !== this.recorder) throw new TensorError("A step that is being captured can't be tuned.");
    try {
      this.sink = nowhere;
      this.memory = new Capture();
      this.scope(() => {
        step();
      });
    } finally {
      this.sink = this.recorder;
      this.memory = this.pool;
    }
  }

  /**
   * Gets the kernels of a step ready without running it or taking memory for what it makes: compiled, and sent to the
   * device, as drivers may compile once more at the first run. What the step makes is of no use afterwards. A software
   * adapter compiles on several devices at once, as many as `threads`. Resolves when all are sent; the device may be at
   * the last ones for longer. Throws as `capture` does.
   */
  async prepare(step: () => unknown, { threads = 1 } = {}): Promise<void> {
    const { capture } = this.takeDown(step);
    capture.release();
    const helpers: Engine[] = [];
    const wanted = this.isSoftware && !this.options.device ? threads - 1 : 0;
    while (helpers.length < wanted) helpers.push(await Engine.open(this.options, this.instance));
    const warmers = [this, ...helpers].map(({ device, pipelines }) => new Warmer(device, pipelines));
    try {
      await warmUp(warmers, capture.kernels);
      this.check();
    } finally {
      for (const warmer of warmers) warmer.destroy();
      for (const helper of helpers) helper.dispose();
    }
  }

  /** Records a step into a capture. */
  private takeDown<T>(step: () => T): { capture: Capture; outputs: T } {
    this.check();
    if (this.sink !== this.recorder) throw new TensorError("A step is already being captured.");
    const capture = new Capture();
    let outputs: T;
    try {
      this.sink = capture;
      this.memory = capture;
      outputs = this.scope(step);
      refusePromise("capture", outputs);
    } catch (error) {
      capture.release();
      throw error;
    } finally {
      this.sink = this.recorder;
      this.memory = this.pool;
    }
    capture.close(this.pipelines);
    return { capture, outputs };
  }

  /**
   * Copies a tensor to the host. Throws the first error of the work recorded so far; at once, where a captured step or a
   * checkpoint reads.
   */
  read(tensor: Tensor): Promise<HostArray> {
    if (this.sink !== this.recorder)
      throw new TensorError("A step that is being captured can't read a tensor.");
    if (this.checkpoints > 0) throw new TensorError("checkpoint: the function must not read a tensor.");
    return this.download(tensor);
  }

  private async download(tensor: Tensor): Promise<HostArray> {
    this.check();
    const region = exactRegion(tensor);
    const staging = this.device.createBuffer({
      size: region.size,
      usage: usage.mapRead | usage.copyTarget,
    });
    try {
      this.recorder.download(region, staging);
      await this.recorder.settled();
      this.check();
      await waitFor(staging.mapAsync(mapModeRead)).catch((cause: Error) => {
        throw this.failure ?? new DeviceLostError(`Reading ${tensor} failed: ${cause.message}`, { cause });
      });
      this.check();
      return fromBytes(staging.getMappedRange().slice(0), tensor.dtype, tensor.size);
    } finally {
      staging.destroy();
    }
  }

  /** Sends the recorded work without waiting for it. */
  flush(): void {
    this.recorder.flush();
  }

  /** Sends the recorded work and waits until the device has done it. Throws its first error. */
  async idle(): Promise<void> {
    await this.recorder.settled();
    await waitFor(this.device.queue.onSubmittedWorkDone());
    this.check();
  }

  /** Runs `work` and disposes the tensors that it made, except those it returns. `work` must not be async. */
  scope<T>(work: () => T): T {
    return this.scopes.run(work);
  }

  /** Runs `work` without recording gradients, so that nothing is kept for a backward pass. */
  inference<T>(work: () => T): T {
    const before = this.gradients;
    this.gradients = false;
    try {
      return this.scope(work);
    } finally {
      this.gradients = before;
    }
  }

  /** Takes a tensor out of all scopes; the caller disposes it. Returns the tensor. */
  keep(tensor: Tensor): Tensor {
    this.scopes.keep(tensor);
    return tensor;
  }

  /** Whether `profile` can be had. */
  get hasTimestamps(): boolean {
    return this.device.features.has("timestamp-query");
  }

  /**
   * When each dispatch that `work` records or replays ran, in their order. Each gets a pass of its own.
   * Throws DeviceError without timestamp-query.
   */
  async profile(work: () => void | Promise<void>): Promise<DispatchTime[]> {
    if (!this.hasTimestamps) {
      throw new DeviceError("Profiling needs the feature timestamp-query, which this adapter lacks.");
    }
    await this.idle();
    const profiler = new Profiler(this.device);
    this.recorder.profiler = profiler;
    try {
      await work();
      await this.idle();
    } finally {
      this.recorder.profiler = null;
    }
    return profiler.finish();
  }

  /** Counters: memory in bytes, pipelines, dispatches, submits and bind groups so far. */
  stats(): PoolStatistics & { pipelines: number; dispatches: number; submits: number; bindGroups: number } {
    return { ...this.pool.stats(), pipelines: this.pipelines.created, ...this.recorder.counters };
  }

  /** Destroys buffers that wait in the pool. */
  async trim(): Promise<void> {
    await this.idle();
    this.recorder.forgetBindGroups();
    this.pool.trim();
  }

  /** Gives all memory back; destroys the device if the engine opened it. */
  dispose(): void {
    this.closed = true;
    this.recorder.destroy();
    this.pool.destroy();
    if (!this.options.device) this.device.destroy();
  }

  private register(tensor: Tensor): Tensor {
    this.scopes.add(tensor);
    return tensor;
  }

  private fail(error: Error): void {
    this.failure ??= error;
  }

  private check(): void {
    if (this.failure) throw this.failure;
    if (this.closed) throw new DeviceError("This engine was disposed.");
  }
}

/** What a kernel sees: whole vec4s, also where the last is only partly filled; pooled buffers are large enough. */
function boundRegion({ storage, offset, bytes, shape, dtype }: Tensor): BoundRegion {
  return { storage, offset, size: Math.ceil(bytes / 16) * 16, shape, dtype };
}

/** What the host writes, copies and reads: the elements, in steps of four bytes. */
function exactRegion(tensor: Tensor): Region {
  requireLive(tensor);
  return { storage: tensor.storage, offset: tensor.offset, size: Math.ceil(tensor.bytes / 4) * 4 };
}

function requireLive(tensor: Tensor): void {
  if (tensor.disposed) throw new TensorError(`${tensor} was disposed.`);
}

function requireTensor(name: string, value: unknown): Tensor {
  refusePromise(name, value);
  if (value instanceof Tensor) return value;
  throw new TensorError(`${name}: the function must return a tensor.`);
}

function refusePromise(name: string, value: unknown): void {
  if (!(value instanceof Promise)) return;
  // Its own failure, such as a read that was refused, is part of this one.
  value.catch(() => {});
  throw new TensorError(`${name}: the function must not be async.`);
}

/**
 * Subgroups where their size is one known power of two, or where kernels can ask for one; else shared memory. Of several
 * sizes, `usualLanes` if it is among them.
 */
function chooseLanes(device: GPUDevice, info: GPUAdapterInfo, options: EngineOptions): Lanes {
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  const sized = min !== max && device.features.has("subgroup-size-control" as GPUFeatureName);
  if (
    device.features.has("subgroups") &&
    !options.withoutSubgroups &&
    max !== undefined &&
    min >= 4 &&
    (min === max || sized)
  ) {
    return { subgroups: true, count: Math.min(max, Math.max(min, usualLanes)), sized };
  }
  return { subgroups: false, count: options.sharedLanes ?? usualLanes };
}
