// What a tensor's elements lie in: a buffer of the pool, or a place in the arenas of a captured step. It is given back
// when the last who uses it lets go.

/** Numbers of one process: a number that is unique in one engine or one capture only would be no key for a cache. */
let nextId = 1;

export class Storage {
  /** Names it in bind-group keys; no other storage ever has it. */
  readonly id = nextId++;
  /** Byte offset of its first element in the buffer. */
  base = 0;
  /** The last recorded work that touches it. */
  lastUse = 0;
  /** Tensors and programs that use it. */
  references = 0;
  /** Counts those who had it one after the other, so that an error finds who had it then. */
  tenure = 0;
  /** Why nothing is in it any more, as the end of a sentence about its tensor; null as long as there is. */
  ended: string | null = null;
  /** Why what is in it can't be trusted: its memory, or work that should have written it, was refused. */
  fault: Error | null = null;
  /** Whether it holds host values that a captured step has for good. */
  constant = false;

  constructor(
    /** Bytes, padding included. */
    readonly size: number,
    /** Bytes that were asked for. */
    public bytes: number,
    readonly owner: Owner,
    /** In a captured step it comes with the plan. */
    public buffer: GPUBuffer = undefined as unknown as GPUBuffer,
  ) {}
}

/** Takes storage back. */
export interface Owner {
  /** Whether storage that was given back goes to others. */
  readonly reuses: boolean;
  /** Whether its storage is of a captured step, and gets its place with the plan. */
  readonly planned: boolean;
  give(storage: Storage): void;
}

/** Hands storage out, too. */
export interface Memory extends Owner {
  /** Storage of at least `bytes`, without references yet; `what` names it in errors. */
  take(bytes: number, what: string): Storage;
}

/** Counts one more user. */
export function retain(storage: Storage): void {
  storage.references++;
}

/** Counts one user less; the last gives the storage back. */
export function release(storage: Storage): void {
  if (--storage.references === 0) storage.owner.give(storage);
}
