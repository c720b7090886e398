// One engine's use of a device, which may be the caller's: the buffers that it made there, what it waits for, what the
// device said against its calls, and its end. Every call that can be refused runs in an error scope, so that an error
// finds its cause and errors of the host app are none of the engine's. At the end, whether the device is lost or the
// engine disposed, every wait settles with an error and every buffer goes.

import { DeviceError, DeviceLostError } from "../base/errors.ts";
import { inNode } from "../base/home.ts";
import { waitFor } from "./wait.ts";

/** Those in Node whose device is their own. */
const owners = new Set<WeakRef<Session>>();

// When Node ends, Dawn's threads may still be compiling with what the end takes from them, and crash. A device waits for
// them as it is destroyed.
if (inNode) {
  process.on("exit", () => {
    for (const owner of owners) owner.deref()?.end(new DeviceError("The process has ended."));
  });
}

export class Session {
  /** Why nothing can be done any more; null as long as it can. */
  ended: Error | null = null;
  /** Bytes that one storage can have: whole vec4s of what the device binds, as kernels see a tensor in vec4s. */
  readonly largestStorage: number;
  /** Workgroups of a dispatch along one axis. */
  readonly mostWorkgroups: number;
  private readonly buffers = new Set<GPUBuffer>();
  private readonly waits = new Set<(error: Error) => void>();
  private readonly judgements = new Set<Promise<void>>();
  /** Errors that no call has thrown yet. */
  private readonly unreported: Error[] = [];
  private readonly stopListening: () => void = () => {};

  /** `owned`: the device is destroyed at the end. */
  constructor(
    readonly device: GPUDevice,
    private readonly owned: boolean,
  ) {
    // Kept, as every dispatch asks and a device's answers are slow.
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
    this.largestStorage = Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / 256) * 256;
    this.mostWorkgroups = maxComputeWorkgroupsPerDimension;
    // The device may live longer than this: what it holds for good must not hold the engine.
    const self = new WeakRef(this);
    device.lost.then(({ reason, message }) =>
      self.deref()?.end(new DeviceLostError(`The GPU device was lost (${reason}): ${message}`)),
    );
    if (!owned) return;
    // All calls are guarded, so this is for what no scope catches, such as errors inside the driver.
    const listener = ({ error }: GPUUncapturedErrorEvent) =>
      self.deref()?.report(new DeviceError(error.message));
    device.addEventListener("uncapturederror", listener);
    if (inNode) owners.add(self);
    this.stopListening = () => {
      device.removeEventListener("uncapturederror", listener);
      owners.delete(self);
    };
  }

  /** Throws why nothing can be done any more. */
  check(): void {
    if (this.ended) throw this.ended;
  }

  /** What a promise gives for which the device has to work, or the error of the end, whichever comes first. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return waitFor(this.settle(promise), this.device.queue);
  }

  /** `wait` for what happens beside the device, such as compiling: the thread does not nap meanwhile. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let stop!: (error: Error) => void;
    const end = new Promise<never>((_, reject) => {
      stop = reject;
    });
    if (this.ended) stop(this.ended);
    this.waits.add(stop);
    try {
      return await Promise.race([promise, end]);
    } finally {
      this.waits.delete(stop);
    }
  }

  /** Runs `work`, which must not be async, in an error scope; `judged` hears what the device said of it, null for nothing. */
  guard<T>(
    filter: GPUErrorFilter,
    work: () => T,
    judged: (error: GPUError | null) => void | Promise<void>,
  ): T {
    const { device } = this;
    device.pushErrorScope(filter);
    try {
      return work();
    } finally {
      // Where the device is gone its end says more.
      const judgement: Promise<void> = device
        .popErrorScope()
        .then(judged, () => {})
        .catch((error: Error) => this.report(error))
        .finally(() => this.judgements.delete(judgement));
      this.judgements.add(judgement);
    }
  }

  /** Resolves when the device has said what it had to say of all calls so far. */
  async judged(): Promise<void> {
    if (this.judgements.size > 0) await this.settle(Promise.all(this.judgements));
  }

  /** Keeps an error for the next call that waits for all work. */
  report(error: Error): void {
    // Whoever never asks is told the first ones.
    if (this.unreported.length < 100) this.unreported.push(error);
  }

  /** Takes note that this error was thrown. */
  acknowledge(error: Error): void {
    const at = this.unreported.indexOf(error);
    if (at >= 0) this.unreported.splice(at, 1);
  }

  /** Throws the first error that no call has thrown yet, once. */
  throwUnreported(): void {
    const error = this.unreported.shift();
    if (error) throw error;
  }

  /**
   * A buffer that lives until `destroyBuffer`, or to the end; `refused` hears where the device has no memory for it. After the
   * end, which may have overtaken a wait that was over, throws the end's error: nobody would destroy the buffer.
   */
  makeBuffer(descriptor: GPUBufferDescriptor, refused: (error: Error) => void): GPUBuffer {
    this.check();
    const buffer = this.guard(
      "out-of-memory",
      () => this.device.createBuffer(descriptor),
      (error) => {
        if (!error) return;
        const { label, size } = descriptor;
        refused(
          new DeviceError(`The device has no memory for ${label}, ${mebibytes(size)}: ${error.message}`),
        );
      },
    );
    this.buffers.add(buffer);
    return buffer;
  }

  /** Whether a buffer was made by `makeBuffer`. */
  owns(buffer: GPUBuffer): boolean {
    return this.buffers.has(buffer);
  }

  destroyBuffer(buffer: GPUBuffer): void {
    this.buffers.delete(buffer);
    buffer.destroy();
  }

  /** The end: waits settle with this error, buffers go, and the device too where it is the engine's own. */
  end(error: Error): void {
    if (this.ended) return;
    this.ended = error;
    this.stopListening();
    for (const stop of this.waits) stop(error);
    this.waits.clear();
    for (const buffer of this.buffers) buffer.destroy();
    this.buffers.clear();
    if (this.owned) this.device.destroy();
  }
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
