// The engine: one device with its buffers, pipelines and recorded work. It keeps no globals, so several engines live
// in one process, and it takes the caller's GPUDevice as well as one of its own. Its operations are those of
// run/operations.ts; here stands what its owner does with it.

import { DeviceError, TensorError } from "./base/errors.ts";
import { type DeviceOptions, type OpenDevice, openDevice } from "./gpu/device.ts";
import type { PoolStatistics } from "./gpu/pool.ts";
import { type DispatchTime, Profiler } from "./gpu/profiler.ts";
import { Warmer, warmUp } from "./gpu/warm.ts";
import { compile, type Jit, type JitOptions } from "./run/jit.ts";
import { type OperationOptions, Operations } from "./run/operations.ts";
import { type ProgramMemory, planCapture } from "./run/placement.ts";
import { Program } from "./run/program.ts";
import { refusePromise } from "./tensor/scopes.ts";
import type { Tensor } from "./tensor/tensor.ts";
import type { Tuned } from "./tune/choices.ts";
import { runTrials } from "./tune/trials.ts";

export interface EngineOptions extends DeviceOptions, OperationOptions {
  /** Bytes of the largest buffer behind a captured step; the device's limit, unless told. */
  maxArenaBytes?: number;
}

export class Engine extends Operations {
  private constructor(
    opened: OpenDevice,
    private readonly options: EngineOptions,
  ) {
    super(opened, !options.device, options);
  }

  /**
   * Opens an engine on the caller's device, or on a device of the best adapter with all its limits.
   * Throws DeviceError where there is no adapter.
   */
  static async create(options: EngineOptions = {}): Promise<Engine> {
    const opened = await openDevice(options);
    let engine: Engine | null = null;
    try {
      engine = new Engine(opened, options);
      await engine.choices.load();
      return engine;
    } catch (error) {
      engine?.dispose();
      if (!options.device) opened.device.destroy();
      throw error;
    }
  }

  /** Whether `profile` can be had. */
  get hasTimestamps(): boolean {
    return this.device.features.has("timestamp-query");
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
    const { session, recorder, pace, diversion, options } = this;
    for (const [name, tensor] of Object.entries(inputs))
      this.requireOwn(tensor, `capture: the input "${name}"`);
    const taken = diversion.takeDown(() => this.scope(() => refusing("capture", step())));
    const { poison = false, maxArenaBytes = Number.POSITIVE_INFINITY } = options;
    const mayRun = () => {
      this.graph.refuse("run a program");
      diversion.requireDirect("run a program");
    };
    const host = { session, recorder, pace, poison, maxArenaBytes, mayRun };
    const { capture } = taken;
    // The program disposes them; a scope around has ended by then.
    for (const tensor of taken.own) this.keep(tensor);
    try {
      await session.settle(capture.ready());
      const program = new Program(host, taken, inputs);
      await program.ready;
      return program;
    } catch (error) {
      capture.end("was made by a captured step that failed");
      throw error;
    }
  }

  /**
   * Compiles a function by the shapes and dtypes of its inputs: it is taken down by `capture` when such inputs first come, and
   * replayed from then on; of more than `most` combinations the one used longest ago is let go. What the function closes
   * over, such as parameters, is read anew in each run. Gradients are taken inside of it. What it returns, a tensor or a
   * tree of them in lists and plain objects, is copied out, so that each call's results are its own.
   */
  jit<K extends string, T>(fn: (inputs: Record<K, Tensor>) => T, options: JitOptions = {}): Jit<K, T> {
    return compile(this, fn, options);
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
      this.diversion.rehearse(() => this.scope(() => void refusing("tune", step())), false);
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
    const kernels = this.diversion.rehearse(() => this.scope(() => void refusing("prepare", step())), true);
    const helpers: Engine[] = [];
    const warmers: Warmer[] = [];
    const wanted = this.isSoftware && !this.options.device ? threads - 1 : 0;
    try {
      while (helpers.length < wanted)
        helpers.push(new Engine(await openDevice(this.options, this.opened.instance), this.options));
      for (const { session, pipelines } of [this, ...helpers]) warmers.push(new Warmer(session, pipelines));
      await warmUp(warmers, kernels);
      this.session.check();
    } finally {
      for (const warmer of warmers) warmer.destroy();
      for (const helper of helpers) helper.dispose();
    }
  }

  /**
   * What a step would take, without running it or taking memory: what `capture` would plan for it, and what the step makes
   * and leaves, such as a model's parameters. Its kernels start to compile. Throws as `capture` does, DeviceError for a tensor
   * that is larger than the device lets one be.
   */
  plan(step: () => unknown): ProgramMemory {
    const { session, options } = this;
    const limit = Math.min(session.largestStorage, options.maxArenaBytes ?? Number.POSITIVE_INFINITY);
    let memory!: ProgramMemory;
    this.diversion.rehearse(
      () => this.scope(() => refusing("plan", step())),
      true,
      (capture) => {
        memory = planCapture(capture, limit).memory;
      },
    );
    return memory;
  }

  /** Sends the recorded work without waiting for it. */
  flush(): void {
    this.session.check();
    this.recorder.flush();
  }

  /** Sends the recorded work and resolves once it is in the device's queue: what is submitted from then on runs behind it. */
  sent(): Promise<void> {
    return this.recorder.settled();
  }

  /**
   * Sends the recorded work and waits until the device has done it. Throws the first error of all work so far that no call
   * has thrown yet: its next call throws the next one, or none.
   */
  async idle(): Promise<void> {
    await this.recorder.settled();
    await this.session.wait(this.device.queue.onSubmittedWorkDone());
    await this.session.judged();
    this.session.throwUnreported();
  }

  /**
   * When each dispatch that `work` records or replays ran, in their order. Each gets a pass of its own.
   * Throws DeviceError without timestamp-query.
   */
  async profile(work: () => void | Promise<void>): Promise<DispatchTime[]> {
    if (!this.hasTimestamps)
      throw new DeviceError("Profiling needs the feature timestamp-query, which this adapter lacks.");
    await this.idle();
    const { recorder } = this;
    if (recorder.profiler) throw new TensorError("profile: another profile is under way.");
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
    const { pool, pipelines, recorder } = this;
    return { ...pool.stats(), pipelines: pipelines.created, ...recorder.counters };
  }

  /** Destroys buffers that wait in the pool. */
  async trim(): Promise<void> {
    await this.idle();
    const buffers = this.pool.trim();
    this.recorder.afterSent(() => {
      for (const buffer of buffers) this.session.destroyBuffer(buffer);
    });
    this.recorder.forgetBindGroups();
  }

  /**
   * Gives all memory back, that of programs too, and destroys the device if the engine opened it. What waits for the device
   * is rejected with DeviceError, and so is every later call.
   */
  dispose(): void {
    this.session.end(new DeviceError("This engine was disposed."));
  }
}

function refusing<T>(name: string, value: T): T {
  refusePromise(name, value);
  return value;
}
