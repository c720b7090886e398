// Work is recorded as data (pipeline, bindings, parameters, grid) and sent in few submits: one encoder, one compute
// pass and one write of all parameters per batch. A batch that needs a pipeline still being compiled waits for it, and
// later batches queue behind, so that many pipelines compile at once and order is kept.

import {
  bindGroupKey,
  type Command,
  type DispatchRequest,
  type Download,
  encodeCommands,
  type Grid,
  makeBindGroup,
  paramBuffer,
  type Region,
  type Sink,
  touchedBy,
  writeParams,
} from "../gpu/commands.ts";
import { usage } from "../gpu/flags.ts";
import { paramBytes } from "../gpu/kernel.ts";
import type { Pace } from "../gpu/pace.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Session } from "../gpu/session.ts";
import type { Storage } from "../gpu/storage.ts";
import { workOf } from "../gpu/work.ts";
import { Faults, type Recorded, type Replayed, type Submission } from "./faults.ts";

interface Batch {
  commands: Recorded[];
  submission: Submission;
  /** One slot of `paramBytes` per dispatch. */
  params: ArrayBuffer;
  dispatches: number;
}

const slots = 256;
const noStart: Grid = [0, 0, 0];
const noneMissing: ReadonlySet<Promise<void>> = new Set();
/** Tensors of a dispatch that together have fewer bytes keep no device busy, whatever is computed of them. */
const smallBytes = 65536;
/** Bind groups kept; beyond, all are dropped and made anew, so that odd usage can't grow memory without end. */
const maxBindGroups = 16384;

export class Recorder implements Sink {
  /** Counters for tests, the bench and `profile`. */
  readonly counters = { dispatches: 0, submits: 0, bindGroups: 0 };
  /** When set, every dispatch gets a pass of its own with timestamps. */
  profiler: Profiler | null = null;
  private readonly params: GPUBuffer;
  private readonly bindGroups = new Map<string, { group: GPUBindGroup; regions: readonly Region[] }>();
  private readonly faults: Faults;
  private batch: Batch;
  /** A batch's parameters, to be used again. */
  private spare: ArrayBuffer | null = null;
  private backlog: Promise<void> | null = null;
  private serial = 1;
  private submitted = 0;

  constructor(
    private readonly session: Session,
    private readonly pace: Pace,
  ) {
    this.faults = new Faults(session);
    this.params = session.makeBuffer(paramBuffer(slots, usage.uniform | usage.copyTarget), (error) =>
      session.end(error),
    );
    this.batch = this.newBatch();
  }

  /** Records one dispatch, in parts where it is long. */
  dispatch(request: DispatchRequest): void {
    const { kernel, compiled, regions, grid } = request;
    // It compiles while more is recorded.
    void compiled.ready;
    const estimate = this.estimate(request);
    const group = this.bindGroup(compiled, regions);
    if (!this.pace.isLong(estimate)) {
      this.dispatchPart(request, group, grid, noStart, estimate);
      return;
    }
    const parts = this.pace.divide(kernel, grid, estimate);
    for (const part of parts)
      this.dispatchPart(request, group, part.grid, part.start, estimate / parts.length);
  }

  private dispatchPart(
    { kernel, compiled, regions, params: values }: DispatchRequest,
    bindGroup: GPUBindGroup,
    grid: Grid,
    start: Grid,
    estimate: number,
  ): void {
    if (this.batch.dispatches === slots) this.flush();
    const params = this.batch.dispatches++ * paramBytes;
    writeParams(new DataView(this.batch.params, params, paramBytes), kernel.params, values, start);
    for (const { storage } of regions) this.touch(storage);
    this.add({ kind: "dispatch", kernel: compiled, regions, bindGroup, params, grid, estimate });
    this.counters.dispatches++;
  }

  /** Seconds that a dispatch may take; of small tensors the time to read them. */
  private estimate(request: DispatchRequest): number {
    let bytes = 0;
    for (const { size } of request.regions) bytes += size;
    return this.pace.estimate(bytes < smallBytes ? { flops: 0, bytes } : workOf(request));
  }

  /** Records a copy between two regions of the same size. */
  copy(from: Region, to: Region): void {
    this.touch(from.storage);
    this.touch(to.storage);
    this.add({ kind: "copy", from, to });
  }

  /** Records filling a region with zero bytes. */
  clear(region: Region): void {
    this.touch(region.storage);
    this.add({ kind: "clear", region });
  }

  /** Writes host bytes; at once where no unsent work uses the buffer, in order otherwise. */
  write(region: Region, bytes: Uint8Array<ArrayBuffer>): void {
    if (region.storage.lastUse <= this.submitted) {
      this.faults.overwritten(region);
      this.writeNow(region, bytes);
      return;
    }
    this.touch(region.storage);
    this.add({ kind: "write", region, bytes });
  }

  /** Records a copy into a mappable buffer, from byte `at` on; `settled()` tells when it was sent. */
  download(from: Region, to: GPUBuffer, at: number): Download {
    this.touch(from.storage);
    const command: Download = { kind: "download", from, to, at, fault: null };
    this.add(command);
    return command;
  }

  /** Sends everything recorded, or queues it behind pipelines that are still being compiled. */
  flush(): void {
    const batch = this.batch;
    if (batch.commands.length === 0) return;
    this.batch = this.newBatch();
    const missing = new Set<Promise<void>>();
    for (const command of batch.commands) {
      if (command.kind === "dispatch" && !command.kernel.pipeline) missing.add(command.kernel.ready);
    }
    this.send(missing, () => this.encode(batch));
  }

  /**
   * Sends a program's commands after all that was recorded, in one submit unless that is long. `head` goes to the front of
   * its parameters before.
   */
  replay(commands: readonly Command[], params: GPUBuffer, head: ArrayBuffer, replayed: Replayed): void {
    this.flush();
    for (const { storage } of replayed.reads) this.touch(storage);
    // The host may write a result while its run still waits.
    for (const storage of replayed.writes) this.touch(storage);
    const values = this.backlog ? head.slice(0) : head;
    // What goes wrong before has to find what these commands make of it.
    const submission = this.faults.open(commands, replayed);
    this.send(noneMissing, () => {
      if (values.byteLength > 0) this.session.device.queue.writeBuffer(params, 0, values);
      this.submit(commands, replayed);
      this.faults.close(submission);
    });
  }

  /** Flushes and resolves when all of it was sent to the device's queue. Throws the error of the end. */
  async settled(): Promise<void> {
    this.flush();
    while (this.backlog) await this.session.settle(this.backlog);
    this.session.check();
  }

  /** Runs `job` once all that was recorded before is sent: at once, where nothing has to wait. */
  afterSent(job: () => void): void {
    this.flush();
    this.send(noneMissing, job);
  }

  /** Forgets the bind groups of these storages, whose buffers are to be destroyed; of all, unless told. */
  forgetBindGroups(storages?: ReadonlySet<Storage>): void {
    if (!storages) this.bindGroups.clear();
    else {
      for (const [key, { regions }] of this.bindGroups)
        if (regions.some(({ storage }) => storages.has(storage))) this.bindGroups.delete(key);
    }
  }

  private add(command: Recorded): void {
    this.batch.commands.push(command);
    this.faults.follow(command);
  }

  private touch(storage: Storage): void {
    storage.lastUse = this.serial;
  }

  private writeNow(region: Region, bytes: Uint8Array<ArrayBuffer>): void {
    const { storage, offset } = region;
    this.session.guard(
      "validation",
      () => this.session.device.queue.writeBuffer(storage.buffer, storage.base + offset, bytes),
      (error) => {
        if (error) this.faults.refusedWrite(region, error);
      },
    );
  }

  /** Runs `job` now, or once `missing` have settled and all jobs before are done; not after the end. */
  private send(missing: ReadonlySet<Promise<void>>, job: () => void): void {
    const serial = this.serial++;
    const run = () => {
      if (this.session.ended) return;
      job();
      this.submitted = serial;
    };
    if (!this.backlog && missing.size === 0) {
      run();
      return;
    }
    const mine = (this.backlog ?? Promise.resolve())
      .then(() => this.session.settle(Promise.allSettled(missing)))
      .then(run)
      // The end of the session is told by every call.
      .catch((error: Error) => this.session.end(error))
      .finally(() => {
        if (this.backlog === mine) this.backlog = null;
      });
    this.backlog = mine;
  }

  private bindGroup(compiled: CompiledKernel, regions: readonly Region[]): GPUBindGroup {
    const key = bindGroupKey(compiled, regions);
    const known = this.bindGroups.get(key);
    if (known) return known.group;
    if (this.bindGroups.size >= maxBindGroups) this.bindGroups.clear();
    const group = this.session.guard(
      "validation",
      () => makeBindGroup(this.session.device, compiled, regions, this.params),
      (error) => {
        if (!error) return;
        this.bindGroups.delete(key);
        this.faults.refusedBinding(compiled.name, touchedBy(compiled.kernel, regions), error);
      },
    );
    this.bindGroups.set(key, { group, regions });
    this.counters.bindGroups++;
    return group;
  }

  private encode(batch: Batch): void {
    const { commands, dispatches, params } = batch;
    this.faults.uncompiled(commands);
    if (dispatches > 0)
      this.session.device.queue.writeBuffer(this.params, 0, params, 0, dispatches * paramBytes);
    let part: Command[] = [];
    for (const command of commands) {
      if (command.kind !== "write") {
        part.push(command);
        continue;
      }
      this.submit(part);
      part = [];
      this.writeNow(command.region, command.bytes);
    }
    this.submit(part);
    this.faults.close(batch.submission);
    this.spare = params;
  }

  /** Sends commands in as few submits as are not long. */
  private submit(commands: readonly Command[], replayed: Replayed | null = null): void {
    let [first, estimate] = [0, 0];
    for (let i = 0; i <= commands.length; i++) {
      const command = commands[i];
      const more = command?.kind === "dispatch" ? command.estimate : 0;
      if (i > first && (!command || this.pace.isLong(estimate + more))) {
        const all = first === 0 && !command;
        this.submitTogether(all ? commands : commands.slice(first, i), estimate, replayed);
        first = i;
        estimate = 0;
      }
      estimate += more;
    }
  }

  private submitTogether(commands: readonly Command[], estimate: number, replayed: Replayed | null): void {
    const { session, faults, pace } = this;
    const { device } = session;
    const submission = faults.open(commands, replayed);
    let thrown: Error | null = null;
    session.guard(
      "validation",
      () => {
        try {
          const encoder = device.createCommandEncoder();
          encodeCommands(encoder, commands, this.profiler);
          device.queue.submit([encoder.finish()]);
        } catch (error) {
          thrown = error as Error;
        }
      },
      (error) => faults.judge(submission, error ?? thrown),
    );
    this.counters.submits++;
    if (!pace.measures(estimate)) return;
    const begin = performance.now();
    session.wait(device.queue.onSubmittedWorkDone()).then(
      () => pace.observe(estimate, begin, performance.now()),
      () => {},
    );
  }

  private newBatch(): Batch {
    const params = this.spare ?? new ArrayBuffer(slots * paramBytes);
    this.spare = null;
    const commands: Recorded[] = [];
    return { commands, submission: this.faults.open(commands), params, dispatches: 0 };
  }
}
