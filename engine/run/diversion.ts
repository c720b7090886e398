// Where operations send their work and get their memory: to the recorder and from the pool, or both times to a capture, or
// nowhere. What a step changes on tensors from outside while it is only rehearsed is taken back.

import { TensorError } from "../base/errors.ts";
import { withBlankStreams } from "../base/random.ts";
import type { Sink } from "../gpu/commands.ts";
import type { CompiledKernel, PipelineCache } from "../gpu/pipelines.ts";
import type { BufferPool } from "../gpu/pool.ts";
import type { Session } from "../gpu/session.ts";
import { type Memory, release, type Storage } from "../gpu/storage.ts";
import { tensorsIn } from "../tensor/scopes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Capture } from "./capture.ts";
import type { Recorder } from "./recorder.ts";

/** Dispatches of a rehearsal that compiles nothing. */
const nowhere: Sink = { dispatch() {}, copy() {}, clear() {}, write() {} };

/** What a step does to tensors from outside, and what it makes, while it is taken down. */
class Changes {
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

/** A step that was taken down. */
export interface Taken<T> {
  capture: Capture;
  outputs: T;
  /** Those outputs that the step made. */
  own: readonly Tensor[];
  /** The gradients that the step makes, with their leaves. */
  gradients: { leaf: Tensor; grad: Tensor }[];
}

export class Diversion {
  sink: Sink;
  memory: Memory;
  private changes: Changes | null = null;

  constructor(
    private readonly session: Session,
    private readonly recorder: Recorder,
    private readonly pool: BufferPool,
    private readonly pipelines: PipelineCache,
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

  /** Records a step into a capture. Where it throws, all tensors from outside are as before. */
  takeDown<T>(step: () => T): Taken<T> {
    const capture = new Capture(this.session.largestStorage);
    const changes = new Changes();
    try {
      const outputs = this.divert(capture, capture, changes, step);
      const own = tensorsIn(outputs).filter((tensor) => changes.made.has(tensor));
      const gradients = [...changes.leaves].flatMap((leaf) => (leaf.grad ? [{ leaf, grad: leaf.grad }] : []));
      changes.keep();
      capture.close(this.pipelines);
      return {
        ...{ capture, outputs, own },
        gradients: gradients.filter(({ grad }) => grad.storage.owner === capture),
      };
    } catch (error) {
      changes.undo();
      capture.end("was made by a captured step that failed");
      throw error;
    }
  }

  /**
   * Records a step on memory that is never there and takes back what it changed. With `compile`, the kernels that it needs
   * start to compile and are returned; `look` sees what was taken down before it is taken back.
   */
  rehearse(
    step: () => unknown,
    compile: boolean,
    look: (capture: Capture) => void = () => {},
  ): readonly CompiledKernel[] {
    const capture = new Capture(this.session.largestStorage);
    const changes = new Changes();
    try {
      withBlankStreams(() => this.divert(compile ? capture : nowhere, capture, changes, step));
      if (compile) capture.close(this.pipelines);
      look(capture);
      return capture.kernels;
    } finally {
      changes.undo();
      capture.end("was made by a step that was only rehearsed");
    }
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
    return storage.owner === this.memory || !(storage.owner instanceof Capture);
  }

  /** Runs `step` with its work and memory elsewhere. */
  private divert<T>(sink: Sink, memory: Memory, changes: Changes, step: () => T): T {
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
