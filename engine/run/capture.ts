// The capture of a step: its commands, taken down instead of sent, on memory that has no place yet; and what is done to
// them before they get one, where it changes no result.

import { TensorError } from "../base/errors.ts";
import {
  type Command,
  type DispatchRequest,
  type Region,
  type Sink,
  touched,
  touchedBy,
} from "../gpu/commands.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { CompiledKernel, PipelineCache } from "../gpu/pipelines.ts";
import { requireFit } from "../gpu/pool.ts";
import { type Memory, release, retain, Storage } from "../gpu/storage.ts";
import { workOf } from "../gpu/work.ts";
import { formOf } from "./bundle.ts";
import { elidableCopies } from "./elide.ts";
import { replaceable, throughOutput } from "./in-place.ts";
import { independent, type Life, type Node, neighbours, type Range } from "./neighbours.ts";

/** A command before its memory is known. */
export type Step =
  | (DispatchRequest & {
      kind: "dispatch";
      /** The form that runs where the result takes an input's place. */
      inPlace: { compiled: CompiledKernel; regions: readonly Region[] } | null;
      /** The form that can run with its neighbours of the same `bundle`. */
      bundle: { compiled: CompiledKernel; number: number } | null;
    })
  | Extract<Command, { kind: "copy" | "clear" }>;

/** What is known of memory that a captured step asked for. */
interface Claim {
  /** Whether the step gave it back; what it kept must outlive every replay. */
  returned: boolean;
  /** What the host wrote there, the same for every replay. */
  constant: Uint8Array<ArrayBuffer> | null;
  /** The memory whose place it takes, or a part of which: it is used up then, or not needed before. */
  host: { storage: Storage; offset: number } | null;
}

/** Operations and bytes that take a large GPU about as long as a dispatch takes the host: beyond, nothing is gained. */
const long = { flops: 4e8, bytes: 16e6 };

/** Bytes that may live at one time beyond the `least` so that dispatches which can run as one come together. */
const roomForOrder = (least: number) => Math.min(2 ** 22, least / 16);

/** Takes commands down instead of sending them, and hands out memory that has no place yet. */
export class Capture implements Sink, Memory {
  readonly reuses = false;
  readonly planned = true;
  readonly steps: Step[] = [];
  readonly claims = new Map<Storage, Claim>();
  /** Storage from outside of the step; kept from the pool, so that nobody else gets it while the program lives. */
  readonly externals = new Set<Storage>();
  private open = true;
  private readonly kernelNumbers = new Map<Kernel, number>();

  /** `largestStorage`: bytes that one storage can have on the device; `software`: whether the adapter is the processor itself. */
  constructor(
    private readonly largestStorage: number,
    readonly software: boolean,
  ) {}

  /** Memory for a tensor of the step. Throws DeviceError beyond the device's limits. */
  take(bytes: number, what: string): Storage {
    requireFit(bytes, what, this.largestStorage);
    const storage = new Storage(Math.max(1, Math.ceil(bytes / 256)) * 256, bytes, this);
    this.claims.set(storage, { returned: false, constant: null, host: null });
    return storage;
  }

  give(storage: Storage): void {
    if (this.open) this.claims.get(storage)!.returned = true;
  }

  /** Ends the step: what it has not given back by now stays. */
  close(pipelines: PipelineCache): void {
    this.open = false;
    this.elideCopies();
    this.bringTogether();
    this.placeInPlace(pipelines);
    this.bundle(pipelines);
  }

  /** The kernels of all dispatches, each once. */
  get kernels(): CompiledKernel[] {
    const kernels = new Set<CompiledKernel>();
    for (const step of this.steps) if (step.kind === "dispatch") kernels.add(formOfStep(step).compiled);
    return [...kernels];
  }

  /** The outputs of a dispatch that its bundle's form sees through the first: those in the same memory, which the step leaves. */
  private joined({ kernel, regions }: DispatchRequest): string[] {
    const written = kernel.bindings.flatMap(({ access, name, type }, i) =>
      access === "read_write" ? [{ name, type, root: this.rootOf(regions[i]!.storage).storage }] : [],
    );
    const [first, ...others] = written;
    if (!first || this.claims.get(first.root)?.returned) return [];
    return others
      .filter(({ type, root }) => type === first.type && root === first.root)
      .map(({ name }) => name);
  }

  /** The same for dispatches that a bundle could hold; null for a command that none can. */
  private kindOf(step: Step): string | null {
    if (!isBundled(step)) return null;
    const { flops, bytes } = workOf(step);
    if ((flops ?? 0) > long.flops || bytes > long.bytes) return null;
    const { kernel, compiled } = step;
    const { dtype, constants } = compiled;
    const number = this.kernelNumbers.get(kernel) ?? this.kernelNumbers.size;
    this.kernelNumbers.set(kernel, number);
    return JSON.stringify([number, dtype, constants, this.joined(step)]);
  }

  /** The steps by what they touch. */
  private asNodes(numbers: ReadonlyMap<Storage, number>): Node[] {
    return this.steps.map((step) => {
      const ranges = (regions: readonly Region[]) =>
        regions.map(({ storage, offset, size }): Range => {
          const root = this.rootOf(storage);
          const begin = root.offset + offset;
          return { storage: numbers.get(root.storage)!, begin, end: begin + size };
        });
      const { reads, writes } = touches(step);
      return { reads: ranges(reads), writes: ranges(writes), kind: this.kindOf(step) };
    });
  }

  /** Numbers for the memory that the steps lie in. */
  private numbered(): Map<Storage, number> {
    const roots = [...this.claims.keys(), ...this.externals].filter(
      (storage) => this.rootOf(storage).storage === storage,
    );
    return new Map(roots.map((storage, i) => [storage, i]));
  }

  /** Orders the steps so that those which can run as one are next to each other. */
  private bringTogether(): void {
    const numbers = this.numbered();
    const lives = [...numbers.keys()].map((storage): Life => {
      const claim = this.claims.get(storage);
      const constant = claim?.constant != null;
      return {
        bytes: claim ? storage.size : 0,
        early: constant,
        late: constant || claim?.returned === false,
      };
    });
    const steps = neighbours(this.asNodes(numbers), lives, roomForOrder, !this.software).map(
      (i) => this.steps[i]!,
    );
    this.steps.splice(0, steps.length, ...steps);
  }

  /** Numbers the runs of neighbours that can run as one, and gives all that a bundle could hold its form: a kernel has one. */
  private bundle(pipelines: PipelineCache): void {
    const nodes = this.asNodes(this.numbered());
    let members: Node[] = [];
    let number = 0;
    this.steps.forEach((step, i) => {
      const node = nodes[i]!;
      const joins = members.every((other) => independent(node, other) && node.kind === other.kind);
      if (!joins || node.kind === null) {
        members = [];
        number++;
      }
      members.push(node);
      if (!isBundled(step)) return;
      const { kernel, compiled } = step;
      const form = pipelines.get(formOf(kernel, this.joined(step)), compiled.dtype, compiled.constants);
      step.bundle = { compiled: form, number };
    });
  }

  /** Whether commands of the step alone make and use a storage, which has a place of its own so far. */
  private isTemporary(storage: Storage): boolean {
    const claim = this.claims.get(storage);
    return claim?.returned === true && claim.constant === null && claim.host === null;
  }

  /** Lets tensors lie from their beginning where they are copied to at their end. */
  private elideCopies(): void {
    const touching = this.steps.map((step) => ({
      ...touches(step),
      copy: step.kind === "copy" ? step : null,
    }));
    const elided = elidableCopies(touching, (storage) => this.isTemporary(storage));
    for (const { storage, place } of elided.values()) {
      this.claims.get(storage)!.host = { storage: place.storage, offset: place.offset };
    }
    const kept = this.steps.filter((_, time) => !elided.has(time));
    this.steps.length = 0;
    this.steps.push(...kept);
  }

  /** Lets results take the place of inputs that are used for the last time, where the kernels allow it. */
  private placeInPlace(pipelines: PipelineCache): void {
    // What others lie within is touched by what touches those, so it is left out.
    const hosts = new Set([...this.claims.values()].map(({ host }) => host?.storage));
    const elided = new Set([...this.claims.keys()].filter((storage) => this.claims.get(storage)!.host));
    const first = new Map<Storage, number>();
    const last = new Map<Storage, number>();
    this.steps.forEach((step, time) => {
      for (const { storage } of regionsOf(step)) {
        if (!first.has(storage)) first.set(storage, time);
        last.set(storage, time);
      }
    });
    this.steps.forEach((step, time) => {
      if (step.kind !== "dispatch") return;
      const { kernel, compiled, regions } = step;
      const changeable = (storage: Storage) =>
        this.claims.get(storage)?.constant === null && !hosts.has(storage) && !elided.has(storage);
      const found = replaceable({
        ...{ kernel, regions },
        begins: (storage) => changeable(storage) && first.get(storage) === time,
        ends: (storage) =>
          changeable(storage) && this.claims.get(storage)!.returned && last.get(storage) === time,
      });
      if (!found) return;
      const { storage, inputs } = found;
      step.inPlace = {
        compiled: pipelines.get(throughOutput(kernel, inputs), compiled.dtype, compiled.constants),
        regions: regions.filter((_, i) => !inputs.includes(kernel.bindings[i]!.name)),
      };
      const output = regions[kernel.bindings.findIndex(({ access }) => access === "read_write")]!;
      this.claims.get(output.storage)!.host = { storage, offset: 0 };
    });
  }

  /** Resolves when all pipelines are compiled. Throws KernelError. */
  async ready(): Promise<void> {
    await Promise.all(this.kernels.map(({ ready }) => ready));
  }

  /** The step's memory is no more, or never was: its tensors say why. Lets go of what is from outside. */
  end(reason: string): void {
    this.open = false;
    for (const storage of this.claims.keys()) storage.ended = reason;
    for (const storage of this.externals) release(storage);
    this.externals.clear();
  }

  dispatch(request: DispatchRequest): void {
    this.hold(request.regions);
    this.steps.push({ kind: "dispatch", inPlace: null, bundle: null, ...request });
  }

  copy(from: Region, to: Region): void {
    this.hold([from, to]);
    this.steps.push({ kind: "copy", from, to });
  }

  clear(region: Region): void {
    this.hold([region]);
    this.steps.push({ kind: "clear", region });
  }

  write({ storage, offset }: Region, bytes: Uint8Array<ArrayBuffer>): void {
    const claim = this.claims.get(storage);
    if (!claim) {
      throw new TensorError(
        "capture: the step writes host values to a tensor from outside; make it one of the step's inputs.",
      );
    }
    if (offset !== 0 || claim.constant) {
      throw new TensorError("capture: a constant of the step is written more than once.");
    }
    claim.constant = bytes;
    storage.constant = true;
  }

  /** The memory that a storage lies in at last, the step's own or from outside, and from which byte on. */
  rootOf(storage: Storage): { storage: Storage; offset: number } {
    let at = { storage, offset: 0 };
    for (let next = this.claims.get(storage)?.host; next; next = this.claims.get(at.storage)?.host)
      at = { storage: next.storage, offset: at.offset + next.offset };
    return at;
  }

  /** Storage from outside that the step writes. */
  writtenExternals(): Storage[] {
    const written = this.steps.flatMap((step) => touches(step).writes);
    return written
      .map(({ storage }) => this.rootOf(storage).storage)
      .filter((root) => this.externals.has(root));
  }

  private hold(regions: readonly Region[]): void {
    for (const { storage } of regions) {
      if (this.claims.has(storage) || this.externals.has(storage)) continue;
      this.externals.add(storage);
      retain(storage);
    }
  }
}

function regionsOf(step: Step): readonly Region[] {
  if (step.kind === "dispatch") return step.regions;
  return step.kind === "copy" ? [step.from, step.to] : [step.region];
}

/** Whether a command runs in the form of its kernel that bundles have. */
function isBundled(step: Step): step is Extract<Step, { kind: "dispatch" }> {
  if (step.kind !== "dispatch" || step.inPlace) return false;
  const { kernel, grid } = step;
  return kernel.bundles && grid[1] === 1 && grid[2] === 1;
}

/** What of a dispatch runs when it runs by itself or in a bundle. */
function formOfStep(step: Extract<Step, { kind: "dispatch" }>): { compiled: CompiledKernel } {
  return step.bundle ?? step.inPlace ?? step;
}

/** Whether two neighbours may run as one. */
export function sameBundle(a: Step, b: Step | undefined): boolean {
  return (
    a.kind === "dispatch" &&
    b?.kind === "dispatch" &&
    a.bundle !== null &&
    a.bundle.number === b.bundle?.number
  );
}

/** Which regions a step reads and writes. */
export function touches(step: Step): { reads: readonly Region[]; writes: readonly Region[] } {
  if (step.kind !== "dispatch") return touched(step);
  const { compiled, regions } = step.inPlace ?? step;
  return touchedBy(compiled.kernel, regions);
}
