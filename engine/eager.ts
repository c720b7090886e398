// An engine that runs each operation as it comes: one device with its buffers, pipelines and recorded work. It keeps no
// globals, so several engines live in one process, and it takes the caller's GPUDevice as well as one of its own. Its
// operations are those of run/operations.ts; here stands what its owner does with it.

import { DeviceError } from "./base/errors.ts";
import { type DeviceOptions, type OpenDevice, openDevice } from "./gpu/device.ts";
import type { PoolStatistics } from "./gpu/pool.ts";
import { type OperationOptions, Operations } from "./run/operations.ts";

export interface EagerOptions extends DeviceOptions, OperationOptions {}

/**
 * What `Engine` is without captured steps, tuning and profiling: bundlers can't leave out methods, and an app that calls none
 * of these loads a fifth less.
 */
export class EagerEngine extends Operations {
  protected constructor(opened: OpenDevice, options: EagerOptions) {
    super(opened, !options.device, options);
  }

  /**
   * Opens an engine on the caller's device, or on a device of the best adapter with all its limits.
   * Throws DeviceError where there is no adapter.
   */
  static create(options: EagerOptions = {}): Promise<EagerEngine> {
    return EagerEngine.open(options, (opened) => new EagerEngine(opened, options));
  }

  /** Opens the device of an engine, which has its saved choices then. */
  protected static async open<E extends EagerEngine>(
    options: EagerOptions,
    make: (opened: OpenDevice) => E,
  ): Promise<E> {
    const opened = await openDevice(options);
    let engine: E | null = null;
    try {
      engine = make(opened);
      await engine.choices.load();
      return engine;
    } catch (error) {
      engine?.dispose();
      if (!options.device) opened.device.destroy();
      throw error;
    }
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
