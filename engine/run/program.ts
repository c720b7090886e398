// A captured step with its memory planned, to be replayed: each replay encodes the same pipelines and bind groups again.
// It makes no buffer, bind group, pipeline or closure, writes the parameters that hold a Scalar in one piece, and is one
// submit.

import { bytesPerElement, type DType } from "../base/dtype.ts";
import { TensorError } from "../base/errors.ts";
import { numberOf, Scalar } from "../base/scalar.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import {
  bindGroupKey,
  type Command,
  makeBindGroup,
  makeParamBuffer,
  paramBytes,
  type Region,
  writeParams,
} from "../gpu/commands.ts";
import { usage } from "../gpu/flags.ts";
import type { Kernel, ParamTypes, ParamValues } from "../gpu/kernel.ts";
import { type Bound, boundBytes, type LaunchWork } from "../gpu/work.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Capture, type Step, touches } from "./capture.ts";
import { leastBytes, planMemory } from "./planner.ts";
import type { Recorder } from "./recorder.ts";

/** Memory of a program in bytes. */
export interface ProgramMemory {
  /** What the plan takes. */
  planned: number;
  /** How many buffers that is. */
  arenas: number;
  /** What lives at the same time, at most: no plan takes less. */
  least: number;
  /** What all tensors of the step would take one beside the other. */
  naive: number;
}

/** Gives the storages of a captured step their places; returns the arenas behind them. */
function place(
  { device, poison, maxArenaBytes }: Host,
  capture: Capture,
): { arenas: GPUBuffer[]; memory: ProgramMemory } {
  const { steps, asked } = capture;
  const storages = [...asked.keys()].filter((storage) => !asked.get(storage)!.within);
  const index = new Map(storages.map((storage, i) => [storage, i]));
  const lifetimes = storages.map((storage) => ({
    bytes: storage.size,
    first: asked.get(storage)!.constant ? -1 : steps.length,
    last: asked.get(storage)!.constant ? steps.length : -1,
    apart: new Set<number>(),
  }));
  for (const [storage, { returned }] of asked) {
    // What lies within another shares its lifetime.
    const at = index.get(capture.rootOf(storage).storage);
    if (at === undefined) continue;
    index.set(storage, at);
    if (!returned) lifetimes[at]!.last = steps.length;
  }
  steps.forEach((step, time) => {
    const { reads, writes } = touches(step);
    const indices = (regions: Region[]) =>
      regions.map(({ storage }) => index.get(storage)).filter((i) => i !== undefined);
    const [read, written] = [indices(reads), indices(writes)];
    for (const i of [...read, ...written]) {
      lifetimes[i]!.first = Math.min(lifetimes[i]!.first, time);
      lifetimes[i]!.last = Math.max(lifetimes[i]!.last, time);
    }
    for (const i of written) {
      if (asked.get(storages[i]!)!.constant)
        throw new TensorError("capture: the step changes a tensor that it filled from the host.");
      for (const j of read) {
        lifetimes[i]!.apart.add(j);
        lifetimes[j]!.apart.add(i);
      }
    }
  });
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize, maxArenaBytes);
  const plan = planMemory(lifetimes, limit);
  const arenas = plan.arenas.map((size, i) => {
    const flags = usage.storage | usage.copySource | usage.copyTarget;
    return device.createBuffer({ size, usage: flags, label: `arena ${i}` });
  });
  if (poison) {
    for (const arena of arenas) device.queue.writeBuffer(arena, 0, new Uint8Array(arena.size).fill(0xff));
  }
  storages.forEach((storage, i) => {
    const { arena, offset } = plan.places[i]!;
    storage.buffer = arenas[arena]!;
    storage.base = offset;
    const { constant } = asked.get(storage)!;
    if (constant) device.queue.writeBuffer(storage.buffer, offset, constant);
  });
  for (const storage of asked.keys()) {
    const { storage: root, offset } = capture.rootOf(storage);
    if (root === storage) continue;
    storage.buffer = root.buffer;
    storage.base = root.base + offset;
  }
  const sum = (sizes: number[]) => sizes.reduce((a, b) => a + b, 0);
  const naive = sum([...asked.keys()].map(({ size }) => size));
  const memory = { planned: sum(plan.arenas), arenas: arenas.length, least: leastBytes(lifetimes), naive };
  return { arenas, memory };
}

/** New contents of an input: its values, and their shape and dtype to be checked. */
export type InputValues =
  | ArrayLike<number>
  | { readonly values: ArrayLike<number>; readonly shape: Shape; readonly dtype?: DType };

/** Why these values can't go into an input of a captured step; empty where they can. */
function misfitOf(tensor: Tensor, given: InputValues): string {
  if (tensor.disposed) return ", which was disposed";
  if (!("shape" in given))
    return given.length === tensor.size ? "" : `, of ${tensor.size} values; it got ${given.length}`;
  const { values, shape, dtype = tensor.dtype } = given;
  if (shape.length !== tensor.shape.length || shape.some((extent, i) => extent !== tensor.shape[i]))
    return `; it got the shape [${shape}]`;
  if (dtype !== tensor.dtype) return `; it got ${dtype}`;
  return values.length === tensor.size ? "" : `; it got ${values.length} values`;
}

/** What a program needs of its engine. */
interface Host {
  device: GPUDevice;
  recorder: Recorder;
  /** Fill the arenas with NaN, for tests. */
  poison: boolean;
  maxArenaBytes: number;
}

/** A captured step. `outputs` is what the step returned; its tensors hold the results of the last run. */
export class Program<T> {
  readonly memory: ProgramMemory;
  readonly dispatches: number;
  private readonly arenas: GPUBuffer[];
  private readonly commands: Command[] = [];
  private readonly params: GPUBuffer;
  /** Dispatches whose parameters hold a Scalar, with their slots in `changingBytes`; these come first. */
  private readonly changing: { view: DataView; kernel: Kernel; params: ParamValues<ParamTypes> }[];
  private readonly changingBytes: ArrayBuffer;
  private disposed = false;

  /** Made by `Engine.capture`; the pipelines of all commands must be ready. */
  constructor(
    private readonly host: Host,
    private readonly capture: Capture,
    private readonly inputs: Readonly<Record<string, Tensor>>,
    readonly outputs: T,
  ) {
    const { device } = host;
    const { steps } = capture;
    const { arenas, memory } = place(host, capture);
    this.arenas = arenas;
    this.memory = memory;

    const dispatches = steps.filter((step) => step.kind === "dispatch");
    const changes = (step: (typeof dispatches)[number]) =>
      Object.values(step.params).some((value) => value instanceof Scalar);
    const inOrder = [...dispatches.filter(changes), ...dispatches.filter((step) => !changes(step))];
    const values = new ArrayBuffer(Math.max(1, inOrder.length) * paramBytes);
    const slots = new Map(inOrder.map((step, i) => [step as Step, i * paramBytes]));
    inOrder.forEach(({ kernel, params }, i) => {
      writeParams(new DataView(values, i * paramBytes, paramBytes), kernel.params, params);
    });
    this.dispatches = dispatches.length;
    this.params = makeParamBuffer(device, values.byteLength / paramBytes, usage.uniform | usage.copyTarget);
    device.queue.writeBuffer(this.params, 0, values);
    const changing = dispatches.filter(changes);
    this.changingBytes = new ArrayBuffer(changing.length * paramBytes);
    this.changing = changing.map(({ kernel, params }, i) => ({
      view: new DataView(this.changingBytes, i * paramBytes, paramBytes),
      kernel,
      params,
    }));

    const groups = new Map<string, GPUBindGroup>();
    for (const step of steps) {
      if (step.kind !== "dispatch") {
        this.commands.push(step);
        continue;
      }
      const { grid } = step;
      const { compiled, regions } = step.inPlace ?? step;
      const key = bindGroupKey(compiled, regions);
      const bindGroup = groups.get(key) ?? makeBindGroup(device, compiled, regions, this.params);
      groups.set(key, bindGroup);
      this.commands.push({ kind: "dispatch", kernel: compiled, bindGroup, params: slots.get(step)!, grid });
    }
  }

  /**
   * Replays the step with these values in its inputs, by name; inputs that are left out keep theirs. Scalars count as
   * they are now. Throws TensorError, before anything is written, for an unknown or disposed input and for values of
   * another shape, dtype or number than the step was captured with.
   */
  run(values: Readonly<Record<string, InputValues>> = {}): void {
    if (this.disposed) throw new TensorError("This program was disposed.");
    for (const name in values) {
      const tensor = this.inputs[name];
      if (!tensor) throw new TensorError(`The captured step has no input "${name}".`);
      const misfit = misfitOf(tensor, values[name]!);
      if (misfit)
        throw new TensorError(`The captured step's input "${name}" is ${tensor}${misfit}: capture it anew.`);
    }
    for (const name in values) {
      const given = values[name]!;
      this.inputs[name]!.engine.write(this.inputs[name]!, "shape" in given ? given.values : given);
    }
    for (const { view, kernel, params } of this.changing) writeParams(view, kernel.params, params);
    this.host.recorder.replay(this.commands, this.params, this.changingBytes, this.capture.held);
  }

  /** The step's dispatches in order, with the work of each; scalars count as they are now. */
  launches(): LaunchWork[] {
    return this.capture.steps.flatMap((step) => {
      if (step.kind !== "dispatch") return [];
      const { kernel, compiled, regions, grid } = step;
      const params = Object.fromEntries(
        Object.entries(step.params).map(([name, value]) => [name, numberOf(value)]),
      );
      const bindings = regions.map(({ storage, offset, shape, dtype }, i): Bound => {
        const same = (other: Region) => other.storage === storage && other.offset === offset;
        return {
          name: kernel.bindings[i]!.name,
          shape,
          dtype,
          bytes: sizeOf(shape) * bytesPerElement[dtype],
          repeated: regions.findIndex(same) < i,
        };
      });
      const launch = { params, constants: compiled.constants, grid, bindings };
      const bytes = kernel.bytes?.(launch) ?? boundBytes(launch);
      return [{ kernel: kernel.name, ...launch, flops: kernel.flops?.(launch) ?? null, bytes }];
    });
  }

  /** Replays only the dispatches of one kernel, on whatever lies in memory: for its time by itself. */
  runAlone(kernel: string): void {
    const commands = this.commands.filter(
      (command) => command.kind === "dispatch" && command.kernel.name === kernel,
    );
    this.host.recorder.replay(commands, this.params, new ArrayBuffer(0), this.capture.held);
  }

  /** Gives the program's memory back; its outputs are gone with it. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    for (const arena of this.arenas) arena.destroy();
    this.params.destroy();
    this.capture.release();
  }
}
