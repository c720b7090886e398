// How the bench talks to the engines that it measures. Each has a process of its own, ours as well: two libraries that
// both want `navigator.gpu`, or two builds of Dawn, don't share one process, a crash takes nobody along, and every engine
// pays the same for being asked. A question costs about 0.2 ms, so that an engine is asked for a batch of runs at a time.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PeerOp } from "../cases/case.ts";
import { type Runner, type Subject, timeRuns } from "../cases/timing.ts";
import type { DType } from "../engine/index.ts";

/** A tensor as it travels. */
export interface Values {
  name: string;
  shape: number[];
  dtype: DType;
  values: Float32Array;
}

/** What an engine is to compute over and over. */
export type Job =
  /** A case of the op table; with `weights`, the gradients of sum(weights · result) as well. */
  | { kind: "op"; name: string; peer: PeerOp | null; inputs: Values[]; weights: Float32Array | null }
  /** AdamW on `size` parameters, see steps.ts. */
  | { kind: "adamw"; size: number }
  /** A whole training step of a ViT, see steps.ts; eager, or replayed where the engine can. */
  | { kind: "vit"; eager: boolean }
  /** A whole training step of emoji-tiny, data included. */
  | { kind: "emoji"; eager: boolean };

/** Results by name, to be compared between engines. */
export type Outputs = Record<string, Float32Array>;

/** What an engine can be asked. */
export interface Side extends Runner {
  /** Starts the engine. Returns the adapter's name, or null where the engine does not tell. */
  open(): Promise<string | null>;
  /** Gets a job ready and runs it once, or as often as its outputs say. Returns null for a job it has no means for. */
  prepare(job: Job): Promise<Outputs | null>;
  /** Gives the job's memory back. */
  release(): Promise<void>;
}

/** The part of a side that is the same for all engines. */
export function sideOf(
  open: Side["open"],
  build: (job: Job) => Promise<{ subject: Subject; outputs: Outputs } | null>,
): Side {
  let subject: Subject | null = null;
  return {
    open,
    async prepare(job) {
      const built = await build(job);
      subject = built?.subject ?? null;
      return built?.outputs ?? null;
    },
    run: (times) => timeRuns(subject!, times),
    async release() {
      await subject?.dispose();
      subject = null;
    },
  };
}

type Question = { id: number; method: string; args: unknown[] };
type Answer = { id: number; value?: unknown; error?: string };

/** Answers questions from the parent process by calling `methods`, one at a time. */
export function serve(methods: object): void {
  let before: Promise<void> = Promise.resolve();
  process.on("message", ({ id, method, args }: Question) => {
    const answer = async (): Promise<Answer> => {
      try {
        const call = (methods as Record<string, (...args: unknown[]) => unknown>)[method]!;
        return { id, value: await call(...args) };
      } catch (error) {
        return { id, error: (error as Error).stack ?? `${error}` };
      }
    };
    before = before.then(answer).then((message) => {
      process.send!(message);
    });
  });
  process.on("disconnect", () => process.exit(0));
}

/**
 * The other end of `serve`: a process that runs the file `path`, relative to this folder. One that has ended is started
 * again by the next question, so that a crash costs one case.
 */
export function ask<T extends Side>(
  path: string,
  args: readonly string[] = [],
): { side: T; end: () => void } {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let next = 0;
  let child: ChildProcess | null = null;

  const start = (): ChildProcess => {
    const register = new URL("../cli/register.mjs", import.meta.url).href;
    const started = fork(fileURLToPath(new URL(path, import.meta.url)), args, {
      serialization: "advanced",
      execArgv: ["--import", register],
      // What Dawn and the libraries print on their way is not the bench's; errors come as answers.
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let noise = "";
    started.stderr!.setEncoding("utf8").on("data", (text: string) => {
      noise = (noise + text).slice(-4000);
    });
    started.on("message", ({ id, value, error }: Answer) => {
      const question = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) question?.resolve(value);
      else question?.reject(new Error(error));
    });
    started.on("close", (code, signal) => {
      child = null;
      for (const { reject } of waiting.values())
        reject(new Error(`${path} ended with ${signal ?? code}.\n${noise}`));
      waiting.clear();
    });
    return started;
  };

  const put = (method: string, args: unknown[]) =>
    new Promise((resolve, reject) => {
      const running = child ?? start();
      if (!child && method !== "open") running.send({ id: -1, method: "open", args: [] } satisfies Question);
      child = running;
      waiting.set(next, { resolve, reject });
      running.send({ id: next++, method, args } satisfies Question);
    });
  const side = new Proxy({} as T, {
    // A thenable would be taken for a promise.
    get: (_, method) =>
      method === "then" || typeof method === "symbol" ? undefined : (...args: unknown[]) => put(method, args),
  });
  return { side, end: () => child?.kill("SIGKILL") };
}
