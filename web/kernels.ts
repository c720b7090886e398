// What the Kernels tab and its worker tell each other. The worker is one of its own: float64 references take seconds of a
// thread, and a kernel that never ends takes a device along.
import type { Offer } from "../cases/offers.ts";
import type { Peak } from "../train/profile/peak/peak.ts";

/** A case of the bench as the table has it. */
export interface CaseRow {
  name: string;
  /** Its inputs, such as "577x3072, 3072". */
  shapes: string;
  /** Why it can't run on this adapter; null where it can. */
  lack: string | null;
}

export interface KernelsOpened {
  adapter: string;
  /** What a bug report should say of the adapter. */
  facts: Offer[];
  cases: CaseRow[];
}

/** Dispatches of one kernel in one run of a case. */
export interface Part {
  kernel: string;
  calls: number;
  /** Constants that are on, such as the epilogues of a product. */
  variants: string[];
}

/** Batches of runs, in milliseconds a run. */
export interface Spread {
  median: number;
  least: number;
  most: number;
  samples: number[];
}

/** How fast a case ran, and what that is of what the adapter can. */
export interface Rates extends Spread {
  gflops: number | null;
  gbps: number;
}

export interface Timed extends Rates {
  name: string;
  /** Operations and bytes of a run; operations null where there are none. */
  flops: number | null;
  bytes: number;
  /** Its rate is told in operations, as the bench's is. */
  inFlops: boolean;
  /** The largest relative error by float64. */
  error: number;
  /** What is wrong with the result; null for nothing. */
  wrong: string | null;
  parts: Part[];
}

/** A kernel that runs here, with the cases that run it. */
export interface KernelEntry {
  name: string;
  /** Cases of the op table at small sizes: what an edit is checked on. */
  checked: number;
  /** Cases that it can be timed on: the bench's, or the largest of the others. */
  timed: string[];
}

export interface KernelText {
  name: string;
  /** What it includes, and its own text last. */
  text: string;
  /** What is written in front: aliases, constants, bindings, as one of its cases has them. */
  derived: string;
}

export interface Edit {
  kernel: string;
  text: string;
  /** The case that it is timed on. */
  timedOn: string;
}

/** A line of the edited text that does not compile; 0 where the compiler names none, or one of what is derived. */
export interface Fault {
  line: number;
  column: number;
  message: string;
}

/** A case that an edit gets wrong. */
export interface WrongCase {
  name: string;
  failures: string[];
  /** Worst elements, with their places in the tensors. */
  elements: { output: string; index: number; got: number; wanted: number }[];
  /** The original gets it wrong as well. */
  originalToo: boolean;
}

/** What became of an edit. */
export type Outcome =
  | { kind: "broken"; faults: Fault[]; message: string }
  | { kind: "wrong"; cases: WrongCase[]; right: number; untried: number }
  /** A loop had taken so many turns; line 0 where the text can't be watched. */
  | { kind: "endless"; line: number; name: string; turns: number }
  /** The device did not answer for so many seconds; it was left alone, and another one is opened. */
  | { kind: "stuck"; name: string; seconds: number }
  | { kind: "lost"; name: string; why: string }
  | { kind: "stopped" }
  | {
      kind: "right";
      checked: number;
      skipped: number;
      timedOn: string;
      original: Rates;
      edited: Rates;
      /** Time of the original over that of the edit: of the medians, and of the rounds at least and most. */
      ratio: Omit<Spread, "samples">;
    };

export interface KernelCalls {
  open(): Promise<KernelsOpened>;
  peak(): Promise<Peak>;
  /** Times a case. Rejects where it can't run, is stopped, or the device does not get through. */
  time(name: string): Promise<Timed>;
  /** The kernels that run here. */
  kernels(): Promise<KernelEntry[]>;
  source(kernel: string): Promise<KernelText>;
  try(edit: Edit): Promise<Outcome>;
  stop(): Promise<void>;
}

export type KernelNews =
  | { kind: "progress"; what: string; done: number; total: number }
  | { kind: "lost"; why: string };
