// What a tensor's elements lie in: a buffer of the pool, or a place in the arenas of a captured step. It is given back
// when the last who uses it lets go.

export interface Storage {
  /** Names it in bind-group keys. */
  id: number;
  buffer: GPUBuffer;
  /** Byte offset of its first element in the buffer. */
  base: number;
  /** Bytes, padding included. */
  size: number;
  /** The last recorded work that touches it. */
  lastUse: number;
  /** Tensors and programs that use it. */
  references: number;
  owner: Memory;
}

/** Hands storage out and takes it back. */
export interface Memory {
  /** Storage of at least `bytes`, without references yet; `what` names it in errors. */
  take(bytes: number, what: string): Storage;
  give(storage: Storage): void;
}

/** Counts one more user. */
export function retain(storage: Storage): void {
  storage.references++;
}

/** Counts one user less; the last gives the storage back. */
export function release(storage: Storage): void {
  if (--storage.references === 0) storage.owner.give(storage);
}
