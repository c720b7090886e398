// The engine: one device with its buffers, pipelines and recorded work. It keeps no globals, so several engines live
// in one process, and it takes the caller's GPUDevice as well as one of its own. What operations ask of it is `Backend`
// (tensor/tensor.ts), where each of those methods is described; here stands what its owner does with it.

import { bytesPerElement, type DType, type HostArray } from "./base/dtype.ts";
import { DeviceError, TensorError } from "./base/errors.ts";
import { type Shape, sizeOf } from "./base/shape.ts";
import {
  chooseLanes,
  chooseRowGroups,
  type DeviceOptions,
  isSoftware,
  type LaneOptions,
  nameOf,
  type OpenDevice,
  openDevice,
} from "./gpu/device.ts";
import type { Kernel, Lanes, ParamTypes } from "./gpu/kernel.ts";
import { Pace } from "./gpu/pace.ts";
import type { PoolStatistics } from "./gpu/pool.ts";
import { type DispatchTime, Profiler } from "./gpu/profiler.ts";
import { Session } from "./gpu/session.ts";
import { Warmer, warmUp } from "./gpu/warm.ts";
import { Executor } from "./run/executor.ts";
import { Program } from "./run/program.ts";
import { Graph } from "./tensor/graph.ts";
import { refusePromise, Scopes } from "./tensor/scopes.ts";
import { type Backend, type Choice, type Node, type Run, Tensor } from "./tensor/tensor.ts";
import { type ChoiceStore, Choices, type Tuned } from "./tune/choices.ts";
import { runTrials } from "./tune/trials.ts";

export interface EngineOptions extends DeviceOptions, LaneOptions {
  /** Fill every buffer with NaN before use, so that an output which a kernel leaves unwritten shows. For tests. */
  poison?: boolean;
  /** Seconds that the device may be kept busy at a stretch, 0.5 unless told: systems reset a device that is for longer. */
  longestSeconds?: number;
  /** Bytes of the largest buffer behind a captured step; the device's limit, unless told. */
  maxArenaBytes?: number;
  /** Keeps what `tune` measures between runs; without one it counts for this engine only. */
  choices?: ChoiceStore;
}

export class Engine implements Backend {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  readonly lanes: Lanes;
  readonly rowGroups: number;
  private readonly instance: GPU | null;
  private readonly session: Session;
  private readonly executor: Executor;
  private readonly scopes = new Scopes();
  private readonly graph = new Graph();
  private readonly choices: Choices;

  private constructor(
    opened: OpenDevice,
    private readonly options: EngineOptions,
  ) {
    this.device = opened.device;
    this.adapterInfo = opened.info;
    this.instance = opened.instance;
    this.lanes = chooseLanes(opened, options);
    this.rowGroups = chooseRowGroups(opened, this.lanes, options);
    const { vendor, architecture } = opened.info;
    const way = this.lanes.subgroups ? `subgroups of ${this.lanes.count}` : "shared memory";
    this.choices = new Choices(
      [vendor, architecture, this.adapterName, way].join(", "),
      options.choices ?? null,
    );
    this.session = new Session(this.device, !options.device);
    const pace = new Pace(this.isSoftware, options.longestSeconds ?? 0.5);
    this.executor = new Executor(this, this.session, this.lanes, pace, options.poison ?? false);
  }

  /**
   * Opens an engine on the caller's device, or on a device of the best adapter with all its limits.
   * Throws DeviceError where there is no adapter.
   */
  static async create(options: EngineOptions = {}): Promise<Engine> {
    const engine = new Engine(await openDevice(options), options);
    await engine.choices.load();
    return engine;
  }

  get gradients(): boolean {
    return this.graph.recording;
  }

  get hasF16(): boolean {
    return this.device.features.has("shader-f16");
  }

  /** Whether `profile` can be had. */
  get hasTimestamps(): boolean {
    return this.device.features.has("timestamp-query");
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
    if (values.length !== sizeOf(shape))
      throw new TensorError(`tensor: ${values.length} values do not fill the shape [${shape}].`);
    const tensor = this.empty(shape, dtype);
    this.write(tensor, values);
    return tensor;
  }

  empty(shape: Shape, dtype: DType = "f32"): Tensor {
    return this.register(new Tensor(this, shape, dtype, this.executor.allocate(shape, dtype)));
  }

  zeros(shape: Shape, dtype: DType = "f32"): Tensor {
    const tensor = this.empty(shape, dtype);
    this.clear(tensor);
    return tensor;
  }

  view(tensor: Tensor, shape: Shape): Tensor {
    tensor.requireLive();
    requireShape("view", shape);
    if (sizeOf(shape) !== tensor.size)
      throw new TensorError(`view: [${tensor.shape}] can't become [${shape}].`);
    return this.register(new Tensor(this, shape, tensor.dtype, tensor.storage, tensor.offset));
  }

  slice(tensor: Tensor, start: number, shape: Shape): Tensor {
    tensor.requireLive();
    requireShape("slice", shape);
    if (!Number.isInteger(start) || start < 0)
      throw new TensorError(`slice: the start must be a whole number from 0 on, not ${start}.`);
    const offset = tensor.offset + start * bytesPerElement[tensor.dtype];
    if (start + sizeOf(shape) > tensor.size)
      throw new TensorError(`slice: past the end of [${tensor.shape}].`);
    if (offset % 256 !== 0) throw new TensorError(`slice: byte offset ${offset} is no multiple of 256.`);
    return this.register(new Tensor(this, shape, tensor.dtype, tensor.storage, offset));
  }

  write(tensor: Tensor, values: ArrayLike<number>): void {
    this.executor.write(tensor, values);
  }

  clear(tensor: Tensor): void {
    this.executor.clear(tensor);
  }

  copy(from: Tensor, to: Tensor): void {
    this.executor.copy(from, to);
  }

  read(tensor: Tensor): Promise<HostArray> {
    this.graph.refuse("read a tensor");
    return this.executor.read(tensor);
  }

  run<P extends ParamTypes>(kernel: Kernel<P>, run: Run<P>): void {
    this.executor.run(kernel, run);
  }

  fold(workgroups: number): [number, number] {
    return this.executor.fold(workgroups);
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

  noteUndo(undo: () => void): void {
    this.executor.noteUndo(undo);
  }

  checkpoint(work: () => Tensor): Tensor {
    return this.graph.checkpoint(work, (inner) => this.scope(inner));
  }

  /**
   * Takes one step down, without running it, and returns a program that replays it. What the step makes lives in
   * planned memory; tensors that it returns hold the results of the last replay until the program is disposed, and so does
   * the `grad` of a leaf that had none before. Values that the step writes from the host are constants of the program: what
   * changes comes in through `inputs`, tensors made before, or as a Scalar parameter. The step must not be async or read
   * anything. Throws TensorError where the step is async, reads, or writes host values to a tensor from outside;
   * DeviceError where there is no memory for it.
   */
  async capture<T>(step: () => T, inputs: Readonly<Record<string, Tensor>> = {}): Promise<Program<T>> {
    const { session, executor, options } = this;
    const { capture, outputs } = executor.takeDown(() => this.scope(() => refusing("capture", step())));
    try {
      await session.settle(capture.ready());
    } catch (error) {
      capture.end("was made by a captured step that failed");
      throw error;
    }
    const { poison = false, maxArenaBytes = Number.POSITIVE_INFINITY } = options;
    const mayRun = () => {
      this.graph.refuse("run a program");
      executor.requireDirect("run a program");
    };
    const { recorder, pace } = executor;
    const host = { session, recorder, pace, poison, maxArenaBytes, mayRun };
    const program = new Program(host, capture, inputs, outputs);
    await program.ready;
    return program;
  }

  /**
   * Finds the choices that a step comes to by recording it without running it, and times the variants of those that
   * nothing is known for. From then on this engine uses the fastest: call it before the first step and before `capture`,
   * and not between steps whose bits must agree. The step must be one that `capture` takes; it may be recorded again.
   * @returns what was measured; nothing where all was known
   */
  async tune(step: () => unknown): Promise<Tuned[]> {
    await this.idle();
    const measured = await runTrials(this, this.choices, () => {
      this.executor.rehearse(() => this.scope(() => void refusing("tune", step())), false);
    });
    if (measured.length > 0) await this.trim();
    return measured;
  }

  /**
   * Gets the kernels of a step ready without running it or taking memory for what it makes: compiled, and sent to the
   * device, as drivers may compile once more at the first run. What the step makes is of no use afterwards. A software
   * adapter compiles on several devices at once, as many as `threads`. Resolves when all are sent; the device may be at
   * the last ones for longer. Throws as `capture` does.
   */
  async prepare(step: () => unknown, { threads = 1 } = {}): Promise<void> {
    const kernels = this.executor.rehearse(() => this.scope(() => void refusing("prepare", step())), true);
    const helpers: Engine[] = [];
    const wanted = this.isSoftware && !this.options.device ? threads - 1 : 0;
    while (helpers.length < wanted)
      helpers.push(new Engine(await openDevice(this.options, this.instance), this.options));
    const warmers = [this, ...helpers].map(
      ({ session, executor }) => new Warmer(session, executor.pipelines),
    );
    try {
      await warmUp(warmers, kernels);
      this.session.check();
    } finally {
      for (const warmer of warmers) warmer.destroy();
      for (const helper of helpers) helper.dispose();
    }
  }

  /** Sends the recorded work without waiting for it. */
  flush(): void {
    this.executor.recorder.flush();
  }

  /**
   * Sends the recorded work and waits until the device has done it. Throws the first error of all work so far that no call
   * has thrown yet: its next call throws the next one, or none.
   */
  idle(): Promise<void> {
    return this.executor.idle();
  }

  /**
   * When each dispatch that `work` records or replays ran, in their order. Each gets a pass of its own.
   * Throws DeviceError without timestamp-query.
   */
  async profile(work: () => void | Promise<void>): Promise<DispatchTime[]> {
    if (!this.hasTimestamps)
      throw new DeviceError("Profiling needs the feature timestamp-query, which this adapter lacks.");
    await this.idle();
    const { recorder } = this.executor;
    const profiler = new Profiler(this.session);
    recorder.profiler = profiler;
    try {
      await work();
      await this.idle();
    } finally {
      recorder.profiler = null;
    }
    return profiler.finish();
  }

  /** Counters: memory in bytes, pipelines, dispatches, submits and bind groups so far. */
  stats(): PoolStatistics & { pipelines: number; dispatches: number; submits: number; bindGroups: number } {
    const { pool, pipelines, recorder } = this.executor;
    return { ...pool.stats(), pipelines: pipelines.created, ...recorder.counters };
  }

  /** Destroys buffers that wait in the pool. */
  async trim(): Promise<void> {
    await this.idle();
    this.executor.trim();
  }

  /**
   * Gives all memory back, that of programs too, and destroys the device if the engine opened it. What waits for the device
   * is rejected with DeviceError, and so is every later call.
   */
  dispose(): void {
    this.session.end(new DeviceError("This engine was disposed."));
  }

  private register(tensor: Tensor): Tensor {
    this.scopes.add(tensor);
    this.executor.noteUndo(() => tensor.dispose());
    return tensor;
  }
}

function refusing<T>(name: string, value: T): T {
  refusePromise(name, value);
  return value;
}

function requireShape(name: string, shape: Shape): void {
  if (!shape.every((extent) => Number.isInteger(extent) && extent > 0))
    throw new TensorError(`${name}: a shape needs positive whole numbers, not [${shape}].`);
}
