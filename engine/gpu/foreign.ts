// Buffers of the app as storage for tensors: never made here, never destroyed, and no longer known once the last tensor on one
// is gone. One buffer is one storage, so that work on tensors that share it keeps its order.
import { TensorError } from "../base/errors.ts";
import { usage } from "./flags.ts";
import type { Session } from "./session.ts";
import { type Owner, Storage } from "./storage.ts";

export class ForeignBuffers implements Owner {
  readonly reuses = false;
  readonly planned = false;
  private readonly storages = new Map<GPUBuffer, Storage>();

  /** `forget` hears of storages that nobody uses any more. */
  constructor(
    private readonly session: Session,
    private readonly forget: (storage: Storage) => void,
  ) {}

  /**
   * The storage that a buffer is, without a reference yet where it is new. Throws TensorError for what is no buffer, one of
   * the engine's own, one that is mapped, and one without the usage STORAGE.
   */
  storageOf(buffer: GPUBuffer): Storage {
    const known = this.storages.get(buffer);
    if (!known) {
      if (typeof buffer?.usage !== "number" || typeof buffer.size !== "number")
        throw new TensorError("wrap: needs a GPUBuffer.");
      if (this.session.owns(buffer))
        throw new TensorError(`wrap: ${nameOf(buffer)} is this engine's own: use the tensor that it is of.`);
    }
    if (buffer.mapState !== "unmapped") throw new TensorError(`wrap: ${nameOf(buffer)} is mapped.`);
    requireUsage(buffer, "STORAGE", "wrap");
    const storage = known ?? new Storage(buffer.size, buffer.size, this, buffer);
    this.storages.set(buffer, storage);
    return storage;
  }

  give(storage: Storage): void {
    this.storages.delete(storage.buffer);
    this.forget(storage);
  }
}

/** Throws TensorError where a buffer was made without a usage that `what` needs. */
export function requireUsage(buffer: GPUBuffer, name: keyof typeof flags, what: string): void {
  if ((buffer.usage & flags[name]) === 0)
    throw new TensorError(`${what}: ${nameOf(buffer)} was made without GPUBufferUsage.${name}.`);
}

const flags = { STORAGE: usage.storage, COPY_SRC: usage.copySource, COPY_DST: usage.copyTarget };

const nameOf = ({ label, size }: GPUBuffer) => `the buffer ${label ? `"${label}" ` : ""}of ${size} bytes`;
