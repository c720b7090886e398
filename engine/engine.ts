// The engine: all of eager.ts, and steps that are taken down before they run: captured, compiled, tuned, prepared; and
// profiles.

import { DeviceError, TensorError } from "./base/errors.ts";
import { EagerEngine, type EagerOptions } from "./eager.ts";
import { type OpenDevice, openDevice } from "./gpu/device.ts";
import type { CompiledKernel } from "./gpu/pipelines.ts";
import { type DispatchTime, Profiler } from "./gpu/profiler.ts";
import { Warmer, warmUp } from "./gpu/warm.ts";
import type { Capture } from "./run/capture.ts";
import { compile, type Jit, type JitOptions } from "./run/jit.ts";
import { type ProgramMemory, planCapture } from "./run/placement.ts";
import { Program } from "./run/program.ts";
import { rehearse, takeDown } from "./run/take-down.ts";
import { refusePromise, tensorsIn } from "./tensor/scopes.ts";
import type { Tensor } from "./tensor/tensor.ts";
import type { Tuned } from "./tune/choices.ts";
import { runTrials } from "./tune/trials.ts";

export interface EngineOptions extends EagerOptions {
  /** Bytes of the largest buffer behind a captured step; the device's limit, unless told. */
  maxArenaBytes?: number;
}

export class Engine extends EagerEngine {
  private constructor(
    opened: OpenDevice,
    private readonly options: EngineOptions,
  ) {
    super(opened, options);
  }

  /**
   * Opens an engine on the caller's device, or on a device of the best adapter with all its limits.
   * Throws DeviceError where there is no adapter.
   */
  static override create(options: EngineOptions = {}): Promise<Engine> {
    return Engine.open(options, (opened) => new Engine(opened, options));
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
   * anything. Throws TensorError where the step is async, reads, writes host values to a tensor from outside, or returns what
   * was disposed or is another engine's; DeviceError where there is no memory for it.
   */
  async capture<T>(step: () => T, inputs: Readonly<Record<string, Tensor>> = {}): Promise<Program<T>> {
    const { session, recorder, pace, diversion, options } = this;
    for (const [name, tensor] of Object.entries(inputs))
      this.requireOwn(tensor, `capture: the input "${name}"`);
    const taken = takeDown(this.surroundings, () =>
      this.scope(() => {
        const outputs = refusing("capture", step());
        for (const tensor of tensorsIn(outputs)) this.requireOwn(tensor, `capture: the result ${tensor}`);
        return outputs;
      }),
    );
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
   * replayed from then on; of more than `most` combinations the one used longest ago is let go. Tensors and
   * Scalars that the function closes over, such as parameters, are read anew in each run; numbers stay what they were when it
   * was taken down. Gradients are taken inside of it. What it returns, a tensor or a tree of them in lists and plain objects,
   * is copied out, so that each call's results are its own.
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
      this.rehearse("tune", step, false);
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
    const kernels = this.rehearse("prepare", step, true);
    const helpers: Engine[] = [];
    const warmers: Warmer[] = [];
    const wanted = this.isSoftware && !this.options.device ? threads - 1 : 0;
    try {
      while (helpers.length < wanted) helpers.push(new Engine(await openDevice(this.options), this.options));
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
   * and leaves, such as a model's parameters. Nothing compiles. Throws as `capture` does, DeviceError for a tensor that is
   * larger than the device lets one be.
   */
  plan(step: () => unknown): ProgramMemory {
    const limit = Math.min(this.largestStorage, this.options.maxArenaBytes ?? Number.POSITIVE_INFINITY);
    let memory!: ProgramMemory;
    this.pipelines.planning = true;
    try {
      this.rehearse("plan", step, true, (capture) => {
        memory = planCapture(capture, limit).memory;
      });
    } finally {
      this.pipelines.planning = false;
    }
    return memory;
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

  /** What steps are taken down in. */
  private get surroundings() {
    const { diversion, pipelines, largestStorage, isSoftware } = this;
    return { diversion, pipelines, largestStorage, isSoftware };
  }

  private rehearse(
    name: string,
    step: () => unknown,
    compile: boolean,
    look?: (capture: Capture) => void,
  ): readonly CompiledKernel[] {
    return rehearse(this.surroundings, () => this.scope(() => refusing(name, step())), compile, look);
  }
}

function refusing<T>(name: string, value: T): T {
  refusePromise(name, value);
  return value;
}
