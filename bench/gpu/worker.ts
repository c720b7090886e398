// A process that answers questions, in whatever language: questions are lines of JSON on its standard input, answers lines
// of JSON on descriptor 3, so that what a driver prints disturbs nobody. Each question has a time limit of its own. A
// process that does not answer in time, or dies, costs that one question: it goes with all that it started, and the next
// question finds a fresh one.
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export class WorkerError extends Error {
  override name = "WorkerError";
}

type Line = { id: number; value?: unknown; error?: string; note?: unknown };

interface Question {
  resolve(value: unknown): void;
  reject(error: Error): void;
  note(value: unknown): void;
}

export class Worker {
  private child: ChildProcess | null = null;
  private readonly waiting = new Map<number, Question>();
  private next = 0;
  private noise = "";

  constructor(
    readonly name: string,
    private readonly command: readonly string[],
    private readonly env: Readonly<Record<string, string>> = {},
  ) {}

  /**
   * Asks one question. Throws WorkerError where the process dies or takes longer than `limit` seconds, and with the
   * worker's own words where it answers with an error.
   * @param note is given what the worker says on the way
   */
  ask<T>(
    method: string,
    args: unknown,
    limit: number,
    note: (value: unknown) => void = () => {},
  ): Promise<T> {
    if (limit <= 0) return Promise.reject(new WorkerError(`${this.name}: no time left for "${method}"`));
    const child = this.child ?? this.start();
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.end(`${method} took more than ${Math.round(limit)} s`);
      }, limit * 1000);
      const done = () => {
        clearTimeout(timer);
        this.waiting.delete(id);
      };
      this.waiting.set(id, {
        note,
        resolve: (value) => {
          done();
          resolve(value as T);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      child.stdin!.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }

  /** Whether its process lives. */
  get running(): boolean {
    return this.child !== null;
  }

  /** Ends the process and all that it started; open questions fail for this reason. */
  end(reason = "it was ended"): void {
    const { child } = this;
    if (!child) return;
    this.child = null;
    this.noise = "";
    killTree(child.pid!);
    this.fail(reason);
  }

  private start(): ChildProcess {
    this.noise = "";
    const [program, ...args] = this.command as [string, ...string[]];
    const child = spawn(program, args, {
      env: { ...process.env, ...this.env },
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      // A group of its own, which can be ended as one.
      detached: true,
    });
    this.child = child;
    const gone = (reason: string) => {
      if (this.child !== child) return;
      this.child = null;
      this.fail(reason);
    };
    child.on("error", (error) => gone(error.message));
    child.on("exit", (code, signal) => gone(`the process ended with ${signal ?? `exit status ${code}`}`));
    // Writing to a process that has ended is told by its end.
    child.stdin!.on("error", () => {});
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.noise = (this.noise + text).slice(-2000);
      });
    createInterface({ input: child.stdio[3] as Readable }).on("line", (text) => {
      const { id, value, error, note } = JSON.parse(text) as Line;
      const question = this.waiting.get(id);
      if (note !== undefined) question?.note(note);
      else if (error !== undefined) question?.reject(new WorkerError(error));
      else question?.resolve(value);
    });
    return child;
  }

  private fail(reason: string): void {
    const last = this.noise.trim().split("\n").slice(-6).join("\n");
    for (const { reject } of [...this.waiting.values()])
      reject(new WorkerError(`${this.name}: ${reason}${last ? `\n${last}` : ""}`));
  }
}

/**
 * Runs a command to its end and tells each line of its output. Resolves to how it ended: "" where that was well, and
 * where the exit status is 1 behind some output, by which commands tell that something is wrong. After `limit` seconds it is ended.
 */
export function runLines(
  command: readonly string[],
  cwd: string,
  limit: number,
  tell: (line: string) => void,
): Promise<string> {
  const [program, ...args] = command as [string, ...string[]];
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let noise = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killTree(child.pid!);
    }, limit * 1000);
    let lines = 0;
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines++;
      tell(line);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      noise = (noise + text).slice(-1000);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve(error.message);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (late) resolve(`it took more than ${Math.round(limit)} s`);
      else
        resolve(
          code === 0 || (code === 1 && lines > 0)
            ? ""
            : `it ended with ${signal ?? `exit status ${code}`}: ${noise}`,
        );
    });
  });
}

/** Ends a process, its group, and all that descends from it, whatever groups those have made. */
export function killTree(pid: number): void {
  for (const id of [...descendants(pid), pid]) {
    for (const target of [-id, id]) {
      try {
        process.kill(target, "SIGKILL");
      } catch {
        // It leads no group, or has ended.
      }
    }
  }
}

/** Process ids below `pid`, by what Linux tells in /proc; none elsewhere. */
function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  let ids: string[];
  try {
    ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  for (const id of ids) {
    try {
      // The name, in brackets, may hold anything; the parent is the second field behind it.
      const parent = Number(readFileSync(`/proc/${id}/stat`, "utf8").split(") ").at(-1)!.split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(id)]);
    } catch {
      // It has ended.
    }
  }
  const below = (id: number): number[] =>
    (children.get(id) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}
