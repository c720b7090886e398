// A captured step with its memory planned, to be replayed: each replay encodes the same pipelines and bind groups again.
// It makes no buffer, bind group, pipeline or closure, writes the parameters that hold a Scalar in one piece, and is one
// submit unless it is long.

import type { DType } from "../base/dtype.ts";
import { KernelError, TensorError } from "../base/errors.ts";
import { Scalar } from "../base/scalar.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import {
  bindGroupKey,
  type Command,
  makeBindGroup,
  paramBuffer,
  type Region,
  writeParams,
} from "../gpu/commands.ts";
import { usage } from "../gpu/flags.ts";
import { mostMembers, paramBytes } from "../gpu/kernel.ts";
import type { Pace, Part } from "../gpu/pace.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import type { Session } from "../gpu/session.ts";
import type { Storage } from "../gpu/storage.ts";
import { type LaunchWork, workOf } from "../gpu/work.ts";
import { Tensor } from "../tensor/tensor.ts";
import { type Bundle, bundlesOf } from "./bundle.ts";
import { type Capture, type Step, sameBundle, touches } from "./capture.ts";
import type { Tenant } from "./faults.ts";
import { type ArenaOptions, type ProgramMemory, place } from "./placement.ts";
import type { Recorder } from "./recorder.ts";
import type { Taken } from "./take-down.ts";
import { type Piece, summaryOf, type Touched, type Waits, type WaitsSummary, waitsOf } from "./waits.ts";

/** New contents of an input: its values, and their shape and dtype to be checked. */
export type InputValues =
  | ArrayLike<number>
  | { readonly values: ArrayLike<number>; readonly shape: Shape; readonly dtype?: DType };

/** Why these values can't go into an input of a captured step; empty where they can. */
function misfitOf(tensor: Tensor, given: InputValues): string {
  if (tensor.disposed) return ", which was disposed";
  if (given instanceof Tensor) return "; it got a tensor, and takes host values: engine.copy copies tensors";
  const host = typeof given === "object" && given !== null && ("shape" in given ? given.values : given);
  if (!host || typeof host.length !== "number")
    return `; it got ${host ? "an object" : given} for its values`;
  if (!("shape" in given))
    return given.length === tensor.size ? "" : `, of ${tensor.size} values; it got ${given.length}`;
  const { values, shape, dtype = tensor.dtype } = given;
  if (shape.length !== tensor.shape.length || shape.some((extent, i) => extent !== tensor.shape[i]))
    return `; it got the shape [${shape}]`;
  if (dtype !== tensor.dtype) return `; it got ${dtype}`;
  return values.length === tensor.size ? "" : `; it got ${values.length} values`;
}

type DispatchStep = Extract<Step, { kind: "dispatch" }>;

/** A dispatch as it is sent: of one step or of a bundle. */
interface Sent extends Bundle<DispatchStep> {
  compiled: CompiledKernel;
}

/** A dispatch, or a part of one, and the byte offset of its parameters. */
interface Launch {
  sent: Sent;
  part: Part;
  estimate: number;
  slot: number;
}

/** Writes the parameters of a launch, a slot for each member. */
function writeLaunch(bytes: ArrayBuffer, { sent, part: { start }, slot }: Launch): void {
  sent.members.forEach(({ kernel, params }, i) => {
    const view = new DataView(bytes, slot + i * paramBytes, paramBytes);
    writeParams(view, kernel.params, params, start, sent.begins[i]);
  });
}

/** A command of a replay and what it waits for. */
export interface ReplayCommand extends Waits {
  /** The kernel's name, or "copy" or "clear". */
  name: string;
  /** Its number in `launches()`; null for what is no dispatch. */
  launch: number | null;
}

/** What a program needs of its engine. */
interface Host extends ArenaOptions {
  session: Session;
  recorder: Recorder;
  pace: Pace;
  /** Throws TensorError where a program can't run now. */
  mayRun(): void;
}

/** A captured step. `outputs` is what the step returned; its tensors hold the results of the last run. */
export class Program<T> {
  readonly outputs: T;
  readonly memory: ProgramMemory;
  readonly dispatches: number;
  /** Resolves when the device has said whether it has the memory. Throws DeviceError where it has not. */
  readonly ready: Promise<void>;
  private readonly capture: Capture;
  private readonly arenas: GPUBuffer[];
  private readonly commands: Command[] = [];
  private readonly params: GPUBuffer;
  /** Dispatches whose parameters hold a Scalar, whose slots in `changingBytes` come first. */
  private readonly changing: readonly Launch[];
  private readonly launchList: readonly Launch[];
  private readonly changingBytes: ArrayBuffer;
  /** The gradients that the step makes, with their leaves: each run brings them there. */
  private readonly gradients: { leaf: Tensor; grad: Tensor }[];
  /** The program's own memory, and what it writes outside of it. */
  private readonly written: ReadonlySet<Storage>;
  private disposed = false;

  /**
   * Made by `Engine.capture`; the pipelines of all commands must be ready.
   * @internal
   */
  constructor(
    private readonly host: Host,
    private readonly taken: Taken<T>,
    private readonly inputs: Readonly<Record<string, Tensor>>,
  ) {
    const { capture, gradients } = taken;
    this.capture = capture;
    this.outputs = taken.outputs;
    this.gradients = gradients;
    this.written = new Set([...capture.claims.keys(), ...capture.writtenExternals()]);
    const { session } = host;
    const { device } = session;
    const { steps } = capture;
    let refusal: Error | null = null;
    const refused = (error: Error) => {
      refusal ??= error;
    };
    const { arenas, memory } = place(session, host, capture, refused);
    this.arenas = arenas;
    this.memory = memory;
    const early = new TensorError("The captured step that this is a result of has not run yet.");
    for (const storage of capture.claims.keys()) storage.fault = early;

    const ordered = this.inBundles(steps).map((step) =>
      "kind" in step ? { step, launches: [] } : { step, launches: this.divide(step) },
    );
    const launches = ordered.flatMap((one) => one.launches);
    const changes = ({ sent }: Launch) =>
      sent.members.some(({ params }) => Object.values(params).some((value) => value instanceof Scalar));
    const changing = launches.filter(changes);
    let bytes = 0;
    let changingBytes = 0;
    for (const launch of [...changing, ...launches.filter((launch) => !changes(launch))]) {
      launch.slot = bytes;
      bytes += launch.sent.members.length * paramBytes;
      if (launch === changing.at(-1)) changingBytes = bytes;
    }
    // A bundle's slots are bound as if it had as many members as one can have.
    const values = new ArrayBuffer(bytes + mostMembers * paramBytes);
    for (const launch of launches) writeLaunch(values, launch);
    this.launchList = launches;
    this.dispatches = launches.length;
    const slotCount = values.byteLength / paramBytes;
    this.params = session.makeBuffer(paramBuffer(slotCount, usage.uniform | usage.copyTarget), refused);
    device.queue.writeBuffer(this.params, 0, values);
    this.changing = changing;
    this.changingBytes = new ArrayBuffer(changingBytes);

    const groups = new Map<string, GPUBindGroup>();
    for (const { step, launches } of ordered) {
      if ("kind" in step) {
        this.commands.push(step);
        continue;
      }
      const { compiled, regions } = step;
      const key = bindGroupKey(compiled, regions);
      const bindGroup =
        groups.get(key) ??
        session.guard(
          "validation",
          () => makeBindGroup(device, compiled, regions, this.params),
          (error) => {
            if (error) refused(new KernelError(`Kernel "${compiled.name}": ${error.message}`));
          },
        );
      groups.set(key, bindGroup);
      const common = { kind: "dispatch", kernel: compiled, regions, bindGroup } as const;
      for (const { part, estimate, slot } of launches)
        this.commands.push({ ...common, params: slot, grid: part.grid, estimate });
    }
    this.ready = session.judged().then(() => {
      if (!refusal) return;
      this.dispose();
      throw refusal;
    });
  }

  /**
   * Replays the step with these values in its inputs, by name; inputs that are left out keep theirs. Scalars count as
   * they are now. Throws TensorError, before anything is written, for an unknown or disposed input, for values of
   * another shape, dtype or number than the step was captured with, and where the step uses memory of another program
   * that was disposed, and inside of a checkpoint or of another step that is being taken down.
   */
  run(values: Readonly<Record<string, InputValues>> = {}): void {
    this.check();
    for (const name in values) {
      const tensor = Object.hasOwn(this.inputs, name) && this.inputs[name];
      if (!tensor) throw new TensorError(`The captured step has no input "${name}".`);
      const misfit = misfitOf(tensor, values[name]!);
      if (misfit)
        throw new TensorError(`The captured step's input "${name}" is ${tensor}${misfit}: capture it anew.`);
    }
    for (const name in values) {
      const given = values[name]!;
      this.inputs[name]!.engine.write(this.inputs[name]!, "shape" in given ? given.values : given);
    }
    for (const launch of this.changing) writeLaunch(this.changingBytes, launch);
    const { externals, claims } = this.capture;
    let fault: Error | null = null;
    for (const storage of externals) fault ??= storage.fault;
    for (const storage of claims.keys()) storage.fault = fault;
    if (fault) for (const storage of this.written) storage.fault ??= fault;
    this.replay(this.commands, this.changingBytes);
    this.bringGradients();
  }

  /** Leaves have this program's gradient from now on, whichever they had. */
  private bringGradients(): void {
    for (const gradient of this.gradients) {
      const { leaf, grad } = gradient;
      if (leaf.disposed || leaf.grad === grad) continue;
      if (grad.disposed)
        gradient.grad = new Tensor(grad.engine, grad.shape, grad.dtype, grad.storage, grad.offset);
      leaf.grad = gradient.grad;
    }
  }

  private check(): void {
    this.host.session.check();
    this.host.mayRun();
    if (this.disposed) throw new TensorError("This program was disposed.");
    for (const { ended } of this.capture.externals) {
      if (ended) throw new TensorError(`The captured step uses a tensor that ${ended}: capture it anew.`);
    }
  }

  private replay(commands: readonly Command[], changingBytes: ArrayBuffer): void {
    const reads: Tenant[] = [];
    for (const storage of this.capture.externals) reads.push({ storage, tenure: storage.tenure });
    this.host.recorder.replay(commands, this.params, changingBytes, { reads, writes: this.written });
  }

  /** The steps with what runs as one in one. */
  private inBundles(steps: readonly Step[]): (Exclude<Step, DispatchStep> | Sent)[] {
    const fits = (members: readonly DispatchStep[]) => !this.host.pace.isLong(this.estimateOf(members));
    return steps.flatMap((step, i): (Exclude<Step, DispatchStep> | Sent)[] => {
      if (step.kind !== "dispatch") return [step];
      const { bundle } = step;
      if (!bundle) {
        const { compiled, regions } = step.inPlace ?? step;
        return [{ compiled, regions: [...regions], members: [step], begins: [[]], grid: step.grid }];
      }
      if (sameBundle(step, steps[i - 1])) return [];
      const { compiled } = bundle;
      let end = i + 1;
      while (sameBundle(step, steps[end])) end++;
      const members = steps.slice(i, end) as DispatchStep[];
      return bundlesOf(compiled, members, fits).map((one) => ({ ...one, compiled }));
    });
  }

  private estimateOf(members: readonly DispatchStep[]): number {
    return members.reduce((sum, member) => sum + this.host.pace.estimate(workOf(member)), 0);
  }

  /** A dispatch in the parts that it is sent in. */
  private divide(sent: Sent): Launch[] {
    const estimate = this.estimateOf(sent.members);
    const parts = this.host.pace.divide(sent.compiled.kernel, sent.grid, estimate);
    return parts.map((part) => ({ sent, part, estimate: estimate / parts.length, slot: 0 }));
  }

  /**
   * What is dispatched in order, with the work of each; scalars count as they are now. A bundle's operations, bytes and
   * bindings are those of all its members, the rest is the first's.
   */
  launches(): LaunchWork[] {
    return this.launchList.map(({ sent, part }) => {
      const works = sent.members.map(workOf);
      const sum = (of: (work: LaunchWork) => number) => works.reduce((all, work) => all + of(work), 0);
      const share = sizeOf(part.grid) / sizeOf(sent.grid);
      return {
        ...works[0]!,
        ...{ grid: part.grid, bindings: works.flatMap(({ bindings }) => bindings) },
        flops: works[0]!.flops === null ? null : sum(({ flops }) => flops!) * share,
        bytes: sum(({ bytes }) => bytes) * share,
      };
    });
  }

  /** The commands of a replay in order, with what each waits for, and the sums of that. */
  waits(): WaitsSummary & { replay: ReplayCommand[] } {
    let dispatches = 0;
    const names = this.commands.map((command) =>
      command.kind === "dispatch"
        ? { name: command.kernel.name, launch: dispatches++ }
        : { name: command.kind, launch: null },
    );
    const touched = this.commands.map((command, i): Touched => {
      const { launch } = names[i]!;
      const sent = launch === null ? null : this.launchList[launch]!.sent;
      const all = (sent?.members ?? [command as Step]).map(touches);
      return {
        how: sent ? "dispatch" : "copy",
        whole: sent ?? command,
        reads: all.flatMap(({ reads }) => reads.map((region) => this.pieceOf(region))),
        writes: all.flatMap(({ writes }) => writes.map((region) => this.pieceOf(region))),
      };
    });
    const waits = waitsOf(touched);
    return { ...summaryOf(touched, waits), replay: waits.map((one, i) => ({ ...names[i]!, ...one })) };
  }

  private pieceOf({ storage, offset, size }: Region): Piece {
    const begin = storage.base + offset;
    return {
      buffer: storage.buffer,
      storage: this.capture.rootOf(storage).storage,
      begin,
      end: begin + size,
    };
  }

  /** Replays only the dispatches of one kernel, on whatever lies in memory: for its time by itself. */
  runAlone(kernel: string): void {
    this.check();
    const commands = this.commands.filter(
      (command) => command.kind === "dispatch" && command.kernel.name === kernel,
    );
    this.replay(commands, new ArrayBuffer(0));
  }

  /**
   * Gives the program's memory back: its outputs, and whatever else the step left, count as disposed from now on. What was
   * recorded before still has it.
   */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    const { host, capture } = this;
    const { session, recorder } = host;
    // Those that lie outside of the program, as views of an input do, don't end with its memory.
    for (const tensor of this.taken.own) tensor.dispose();
    recorder.afterSent(() => {
      for (const buffer of [...this.arenas, this.params]) session.destroyBuffer(buffer);
    });
    recorder.forgetBindGroups(new Set(capture.claims.keys()));
    capture.end("belongs to a program that was disposed");
  }
}
