// What becomes of work that the device refuses. It says so later than the call, when more has been recorded on top: so
// the commands that it has not judged yet are kept, and an error marks what they should have written, what was made of
// that, and so on. A tensor so marked throws the error when it is read; all others, and the engine, go on.

import { KernelError } from "../base/errors.ts";
import { type Command, encodeCommands, type Region, touched } from "../gpu/commands.ts";
import type { Session } from "../gpu/session.ts";

/** Host bytes can't be part of an encoder's work: they end a submit. */
export type Recorded = Command | { kind: "write"; region: Region; bytes: Uint8Array<ArrayBuffer> };

/** Commands that are recorded or sent, and that the device has not judged yet. */
export interface Submission {
  readonly commands: readonly Recorded[];
}

export class Faults {
  private readonly pending = new Set<Submission>();

  constructor(private readonly session: Session) {}

  /** Keeps commands until `judge` or `close`. */
  open(commands: readonly Recorded[]): Submission {
    const entry = { commands };
    this.pending.add(entry);
    return entry;
  }

  close(entry: Submission): void {
    this.pending.delete(entry);
  }

  /** What the device says of commands that were sent together, of which it runs all or none. */
  async judge(entry: Submission, refusal: GPUError | null): Promise<void> {
    if (!refusal) {
      this.close(entry);
      return;
    }
    const regions = entry.commands.map(touched);
    // A buffer that there was no memory for, say: then that is the error.
    const cause = faultOf(regions.flatMap(({ reads, writes }) => [...reads, ...writes]));
    const error = cause ?? new KernelError(`The device refused a submit: ${refusal.message}`);
    if (!cause) this.session.report(error);
    this.spread(
      regions.flatMap(({ writes }) => writes),
      error,
    );
    this.close(entry);
    if (!cause) error.message = (await this.culprit(entry)) ?? error.message;
  }

  /** A command that was recorded: what it makes of something faulty is faulty, what the host writes anew is not. */
  follow(command: Recorded): void {
    if (command.kind === "write" || command.kind === "clear") {
      this.overwritten(command.region);
      return;
    }
    const regions = command.kind === "dispatch" ? command.regions : touched(command).reads;
    const cause = faultOf(regions);
    if (!cause) return;
    if (command.kind === "download") command.fault = cause;
    for (const { storage } of touched(command).writes) storage.fault ??= cause;
  }

  /** The whole of a storage gets new contents. */
  overwritten({ storage, offset, size }: Region): void {
    if (storage.fault && offset === 0 && size >= storage.bytes) storage.fault = null;
  }

  /** The host's bytes did not get there. */
  refusedWrite(region: Region, refusal: GPUError): void {
    const cause = region.storage.fault;
    const error = cause ?? new KernelError(`The device refused a write: ${refusal.message}`);
    if (!cause) this.session.report(error);
    this.spread([region], error);
  }

  /** Tensors could not be bound to the kernel `name`. */
  refusedBinding(name: string, { reads, writes }: ReturnType<typeof touched>, refusal: GPUError): void {
    const cause = faultOf([...reads, ...writes]);
    const error = cause ?? new KernelError(`Kernel "${name}": ${refusal.message}`);
    if (!cause) this.session.report(error);
    this.spread(writes, error);
  }

  /** Dispatches of kernels that did not compile are left out. */
  uncompiled(commands: readonly Recorded[]): void {
    for (const command of commands) {
      if (command.kind !== "dispatch" || !command.kernel.failure) continue;
      this.session.report(command.kernel.failure);
      this.spread(touched(command).writes, command.kernel.failure);
    }
  }

  /** Marks regions, and what pending commands make of them, in any order: too much rather than too little. */
  private spread(regions: Iterable<Region>, error: Error): void {
    const faulty = new Set<string>();
    const name = ({ storage, tenure }: Region) => `${storage.id}:${tenure}`;
    const mark = (region: Region) => {
      faulty.add(name(region));
      // Who has the storage now may be another.
      if (region.storage.tenure === region.tenure) region.storage.fault ??= error;
    };
    for (const region of regions) mark(region);
    for (let before = -1; before !== faulty.size; ) {
      before = faulty.size;
      for (const { commands } of this.pending) {
        for (const command of commands) {
          const { reads, writes } = touched(command);
          const from = command.kind === "dispatch" ? [...reads, ...writes] : reads;
          if (!from.some((region) => faulty.has(name(region)))) continue;
          if (command.kind === "download") command.fault ??= error;
          for (const region of writes) mark(region);
        }
      }
    }
  }

  /** Encodes commands one by one to find which of them the device refuses; null where it is none by itself. */
  private async culprit({ commands }: Submission): Promise<string | null> {
    const { device } = this.session;
    for (const command of commands) {
      if (command.kind === "write") continue;
      device.pushErrorScope("validation");
      const encoder = device.createCommandEncoder();
      encodeCommands(encoder, [command], null);
      encoder.finish();
      const error = await this.session.settle(device.popErrorScope());
      const name = command.kind === "dispatch" ? `Kernel "${command.kernel.name}"` : `A ${command.kind}`;
      if (error) return `${name} was refused by the device: ${error.message}`;
    }
    return null;
  }
}

function faultOf(regions: Iterable<Region>): Error | null {
  for (const { storage, tenure } of regions)
    if (storage.fault && storage.tenure === tenure) return storage.fault;
  return null;
}
