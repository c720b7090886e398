// Where operations send their work and get their memory: to the recorder and from the pool, unless a step is being taken
// down (take-down.ts): then both times to a capture, or nowhere.

import { TensorError } from "../base/errors.ts";
import type { Sink } from "../gpu/commands.ts";
import type { BufferPool } from "../gpu/pool.ts";
import type { Session } from "../gpu/session.ts";
import { type Memory, release, type Storage } from "../gpu/storage.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Recorder } from "./recorder.ts";

/** Dispatches of a rehearsal that compiles nothing. */
export const nowhere: Sink = { dispatch() {}, copy() {}, clear() {}, write() {} };

/** What a step does to tensors from outside, and what it makes, while it is taken down. */
export class Changes {
  readonly made = new Set<Tensor>();
  readonly leaves = new Set<Tensor>();
  private readonly undos: (() => void)[] = [];
  private readonly releases: Storage[] = [];

  note(undo: () => void): void {
    this.undos.push(undo);
  }

  /** A tensor from outside was disposed: its storage goes once that is for good. */
  letGo(storage: Storage, undo: () => void): void {
    this.releases.push(storage);
    this.note(undo);
  }

  keep(): void {
    for (const storage of this.releases) release(storage);
  }

  undo(): void {
    for (const undo of this.undos.reverse()) undo();
    for (const tensor of this.made) tensor.dispose();
  }
}

export class Diversion {
  sink: Sink;
  memory: Memory;
  private changes: Changes | null = null;

  constructor(
    private readonly session: Session,
    private readonly recorder: Recorder,
    private readonly pool: BufferPool,
  ) {
    this.sink = recorder;
    this.memory = pool;
  }

  /** Whether work goes to the device. */
  get direct(): boolean {
    return this.sink === this.recorder;
  }

  /** Whether work goes nowhere at all, so that nothing has to compile. */
  get idle(): boolean {
    return this.sink === nowhere;
  }

  /** Throws TensorError inside of a step that is being taken down, which can't do this. */
  requireDirect(what: string): void {
    if (!this.direct) throw new TensorError(`A step that is being captured can't ${what}.`);
  }

  noteMade(tensor: Tensor): void {
    this.changes?.made.add(tensor);
  }

  /** As `Backend.noteGradient`. */
  noteGradient(leaf: Tensor, undo: () => void): void {
    this.changes?.leaves.add(leaf);
    this.changes?.note(undo);
  }

  /** As `Backend.letGo`. */
  letGo(storage: Storage, undo: () => void): void {
    if (!this.changes || storage.owner === this.memory) release(storage);
    else this.changes.letGo(storage, undo);
  }

  /** As `Backend.canAccumulate`. */
  canAccumulate({ disposed, storage }: Tensor): boolean {
    if (disposed) return false;
    // A program that has not run yet, ready or not, has made none.
    if (this.direct) return storage.buffer !== undefined && !(storage.fault instanceof TensorError);
    return storage.owner === this.memory || !storage.owner.planned;
  }

  /** Runs `step` with its work and memory elsewhere. Throws TensorError where one is being run so already. */
  divert<T>(sink: Sink, memory: Memory, changes: Changes, step: () => T): T {
    this.session.check();
    if (!this.direct) throw new TensorError("A step is already being captured.");
    this.sink = sink;
    this.memory = memory;
    this.changes = changes;
    try {
      return step();
    } finally {
      this.sink = this.recorder;
      this.memory = this.pool;
      this.changes = null;
    }
  }
}
