// Where operations send their work and get their memory: to the recorder and from the pool, or both times to a capture, or
// nowhere. What a step changes on tensors from outside while it is only rehearsed is taken back.

import { TensorError } from "../base/errors.ts";
import { withBlankStreams } from "../base/random.ts";
import type { Sink } from "../gpu/commands.ts";
import type { CompiledKernel, PipelineCache } from "../gpu/pipelines.ts";
import type { BufferPool } from "../gpu/pool.ts";
import type { Session } from "../gpu/session.ts";
import type { Memory } from "../gpu/storage.ts";
import { Capture } from "./capture.ts";
import type { Recorder } from "./recorder.ts";

/** Dispatches of a rehearsal that compiles nothing. */
const nowhere: Sink = { dispatch() {}, copy() {}, clear() {}, write() {} };

export class Diversion {
  sink: Sink;
  memory: Memory;
  /** What takes back the changes of a step that is being taken down; null where none is. */
  private changes: (() => void)[] | null = null;

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

  /** Records a step into a capture. Where it throws, all is as before. */
  takeDown<T>(step: () => T): { capture: Capture; outputs: T } {
    const capture = new Capture(this.session.device.limits);
    try {
      const { result } = this.divert(capture, capture, step);
      capture.close(this.pipelines);
      return { capture, outputs: result };
    } catch (error) {
      capture.end("was made by a captured step that failed");
      throw error;
    }
  }

  /**
   * Records a step on memory that is never there and takes back what it changed. With `compile`, the kernels that it needs
   * start to compile and are returned.
   */
  rehearse(step: () => unknown, compile: boolean): readonly CompiledKernel[] {
    const capture = new Capture(this.session.device.limits);
    try {
      withBlankStreams(() => this.divert(compile ? capture : nowhere, capture, step)).undo();
      if (compile) capture.close(this.pipelines);
      return capture.kernels;
    } finally {
      capture.end("was made by a step that was only rehearsed");
    }
  }

  /** Throws TensorError inside of a step that is being taken down, which can't do this. */
  requireDirect(what: string): void {
    if (!this.direct) throw new TensorError(`A step that is being captured can't ${what}.`);
  }

  /** Told of a change to a tensor that may have to be taken back, and how. */
  noteUndo(undo: () => void): void {
    this.changes?.push(undo);
  }

  /** Runs `step` with its work and memory elsewhere; returns with its result what takes back what it changed. */
  private divert<T>(sink: Sink, memory: Memory, step: () => T): { result: T; undo(): void } {
    this.session.check();
    if (!this.direct) throw new TensorError("A step is already being captured.");
    const changes: (() => void)[] = [];
    const undo = () => {
      for (const change of changes.reverse()) change();
    };
    this.sink = sink;
    this.memory = memory;
    this.changes = changes;
    try {
      return { result: step(), undo };
    } catch (error) {
      undo();
      throw error;
    } finally {
      this.sink = this.recorder;
      this.memory = this.pool;
      this.changes = null;
    }
  }
}
