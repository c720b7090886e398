// What becomes of work that the device refuses. It says so later than the call, when more has been recorded on top: so
// the commands that it has not judged yet are kept, and an error marks what they should have written, what was made of
// that, and so on. A tensor so marked throws the error when it is read; all others, and the engine, go on.

import { DeviceError, KernelError } from "../base/errors.ts";
import { type Command, type Download, encodeCommands, type Region, touched } from "../gpu/commands.ts";
import type { Session } from "../gpu/session.ts";
import type { Storage } from "../gpu/storage.ts";

/** Host bytes can't be part of an encoder's work: they end a submit. */
export type Recorded = Command | { kind: "write"; region: Region; bytes: Uint8Array<ArrayBuffer> };

/** A storage as one of its tenants has it. */
export type Tenant = Pick<Region, "storage" | "tenure">;

/** What a replayed program reads and writes: all that it writes depends on all that it reads. */
export interface Replayed {
  reads: readonly Tenant[];
  writes: Iterable<Storage>;
}

/** Commands that are recorded or sent, and that the device has not judged yet. */
export interface Submission {
  readonly commands: readonly Recorded[];
  readonly replayed: Replayed | null;
}

/** What becomes faulty with what. */
interface Effect {
  from: readonly Tenant[];
  to: readonly Tenant[];
  download: Download | null;
}

export class Faults {
  private readonly pending = new Set<Submission>();

  constructor(private readonly session: Session) {}

  /** Keeps commands until `judge` or `close`. */
  open(commands: readonly Recorded[], replayed: Replayed | null = null): Submission {
    const submission = { commands, replayed };
    this.pending.add(submission);
    return submission;
  }

  close(submission: Submission): void {
    this.pending.delete(submission);
  }

  /** What the device says of commands that were sent together, of which it runs all or none. */
  async judge(submission: Submission, refusal: { message: string } | null): Promise<void> {
    if (!refusal) {
      this.close(submission);
      return;
    }
    const before = submission.commands.map((command) => faultOf(effectOf(command).from));
    // Memory that there was none of is enough to refuse all that it is sent with, and was told.
    const noMemory = before.find((error) => error instanceof DeviceError);
    const error = noMemory ?? new KernelError(`The device refused a submit: ${refusal.message}`);
    const effects = effectsOf(submission);
    for (const { download } of effects) if (download) download.fault ??= error;
    this.spread(
      effects.flatMap(({ to }) => to),
      error,
    );
    this.close(submission);
    if (noMemory) return;
    const culprit = await this.culprit(submission).catch(() => null);
    const cause = culprit && before[culprit.at];
    error.message = cause?.message ?? culprit?.message ?? error.message;
    if (!cause) this.session.report(error);
  }

  /** A command that was recorded: what it makes of something faulty is faulty, what is written or copied over is not. */
  follow(command: Recorded): void {
    if (command.kind === "write" || command.kind === "clear") {
      this.overwritten(command.region);
      return;
    }
    if (command.kind === "copy") this.overwritten(command.to);
    const regions = command.kind === "dispatch" ? command.regions : touched(command).reads;
    const cause = faultOf(regions);
    if (!cause) return;
    if (command.kind === "download") command.fault = cause;
    for (const { storage } of touched(command).writes) storage.fault ??= cause;
  }

  /** A region gets new contents: where it is the whole storage, what went wrong before is nobody's any more. */
  overwritten(region: Region): void {
    const { storage, offset, size } = region;
    if (offset !== 0 || size < storage.bytes) return;
    storage.fault = null;
    if (storage.owner.reuses) region.tenure = ++storage.tenure;
  }

  /** The host's bytes did not get there. */
  refusedWrite(region: Region, refusal: GPUError): void {
    this.refused([region], [region], `The device refused a write: ${refusal.message}`);
  }

  /** Tensors could not be bound to the kernel `name`. */
  refusedBinding(name: string, { reads, writes }: ReturnType<typeof touched>, refusal: GPUError): void {
    this.refused([...reads, ...writes], writes, `Kernel "${name}": ${refusal.message}`);
  }

  /** Dispatches of kernels that did not compile are left out. */
  uncompiled(commands: readonly Recorded[]): void {
    for (const command of commands) {
      if (command.kind !== "dispatch" || !command.kernel.failure) continue;
      this.session.report(command.kernel.failure);
      this.spread(touched(command).writes, command.kernel.failure);
    }
  }

  private refused(used: readonly Region[], writes: readonly Region[], message: string): void {
    const cause = faultOf(used);
    const error = cause ?? new KernelError(message);
    if (!cause) this.session.report(error);
    this.spread(writes, error);
  }

  /** Marks tenants, and what pending commands make of them, in any order: too much rather than too little. */
  private spread(tenants: Iterable<Tenant>, error: Error): void {
    const faulty = new Set<string>();
    const name = ({ storage, tenure }: Tenant) => `${storage.id}:${tenure}`;
    const mark = (tenant: Tenant) => {
      faulty.add(name(tenant));
      // Who has the storage now may be another.
      if (tenant.storage.tenure === tenant.tenure) tenant.storage.fault ??= error;
    };
    for (const tenant of tenants) mark(tenant);
    const effects = [...this.pending].flatMap(effectsOf);
    for (let before = -1; before !== faulty.size; ) {
      before = faulty.size;
      for (const { from, to, download } of effects) {
        if (!from.some((tenant) => faulty.has(name(tenant)))) continue;
        if (download) download.fault ??= error;
        for (const tenant of to) mark(tenant);
      }
    }
  }

  /** Encodes commands one by one to find which of them the device refuses; null where it is none by itself. */
  private async culprit({ commands }: Submission): Promise<{ at: number; message: string } | null> {
    const { device } = this.session;
    for (const [at, command] of commands.entries()) {
      if (command.kind === "write") continue;
      device.pushErrorScope("validation");
      const encoder = device.createCommandEncoder();
      encodeCommands(encoder, [command], null);
      encoder.finish();
      const error = await this.session.settle(device.popErrorScope());
      const name = command.kind === "dispatch" ? `Kernel "${command.kernel.name}"` : `A ${command.kind}`;
      if (error) return { at, message: `${name} was refused by the device: ${error.message}` };
    }
    return null;
  }
}

function effectOf(command: Recorded): Effect {
  const { reads, writes } = touched(command);
  return {
    // What a dispatch writes it may read, too.
    from: command.kind === "dispatch" ? command.regions : reads,
    to: writes,
    download: command.kind === "download" ? command : null,
  };
}

function effectsOf({ commands, replayed }: Submission): Effect[] {
  if (!replayed) return commands.map(effectOf);
  const to = [...replayed.writes].map((storage) => {
    const read = replayed.reads.find((tenant) => tenant.storage === storage);
    return { storage, tenure: read?.tenure ?? storage.tenure };
  });
  return [{ from: replayed.reads, to, download: null }];
}

function faultOf(tenants: Iterable<Tenant>): Error | null {
  for (const { storage, tenure } of tenants)
    if (storage.fault && storage.tenure === tenure) return storage.fault;
  return null;
}
