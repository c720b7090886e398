// Runs the programs of many seeds and reports those that fail: shortened, as a listing, with the seed.
import { generate } from "./generate.ts";
import { Bench, play } from "./play.ts";
import { prune, shrink } from "./shrink.ts";
import { listing, type Statement } from "./statements.ts";

/** A program that failed. */
export interface Failure {
  seed: number;
  message: string;
  /** Seeds that failed in the same way. */
  others: number[];
  /** The shortened program. */
  listing: string;
}

/** What may be told while programs run. */
export interface Search {
  from: number;
  count: number;
  /** Different failures before the search gives up; 1 unless told. */
  failures?: number;
  /** Programs between looks at what pools hold. */
  every?: number;
  shorten?: boolean;
  progress?(done: number, bench: Bench): void;
}

/** What went wrong when a program ran; null where nothing did. */
async function outcome(bench: Bench, program: readonly Statement[], seed: number): Promise<string | null> {
  let rejected: unknown = null;
  const onRejection = (error: unknown) => {
    rejected = error;
  };
  process.on("unhandledRejection", onRejection);
  try {
    await play(bench, program, seed);
    await new Promise(setImmediate);
    return rejected === null ? null : `a rejection that nobody handled: ${describe(rejected)}`;
  } catch (error) {
    return describe(error);
  } finally {
    process.removeListener("unhandledRejection", onRejection);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `${error}`;
  const at = error.constructor.name === "Difference" ? [] : (error.stack ?? "").split("\n").slice(1, 5);
  return [`${error.name}: ${error.message}`, ...at].join("\n");
}

/** What went wrong, without names and numbers. */
function kindOf(message: string): string {
  return message
    .split(/[:\n(]/)
    .slice(0, 2)
    .join(":")
    .replace(/\b[tpg]?\d[\d.e+-]*/g, "#");
}

/** Runs a program on engines of its own. */
async function alone(program: readonly Statement[], seed: number): Promise<string | null> {
  const bench = await Bench.open();
  try {
    return await outcome(bench, program, seed);
  } finally {
    bench.dispose();
  }
}

/** Runs programs by their seeds, one after the other on the same engines. */
export async function search(options: Search): Promise<Failure[]> {
  const { from, count, failures: most = 1, every = 50, shorten = true, progress } = options;
  const failures: Failure[] = [];
  const kinds = new Map<string, number>();
  let bench = await Bench.open();
  let level: { A: number; C: number } | null = null;
  for (let seed = from; seed < from + count && failures.length < most; seed++) {
    const program = prune(generate(seed, { halves: bench.engines.A.hasF16 }));
    const message = await outcome(bench, program, seed);
    progress?.(seed - from + 1, bench);
    if (message !== null) {
      bench.dispose();
      const kind = kindOf(message);
      const times = (kinds.get(kind) ?? 0) + 1;
      kinds.set(kind, times);
      if (times === 1) failures.push(await report(seed, program, message, shorten));
      else failures.find((failure) => kindOf(failure.message) === kind)?.others.push(seed);
      bench = await Bench.open();
      level = null;
    } else if ((seed - from) % every === every - 1) {
      const left = await bench.left();
      level ??= left;
      if (left.A !== level.A || left.C !== level.C) {
        const told = `buffers left after trim: ${JSON.stringify(left)}, before ${JSON.stringify(level)}`;
        failures.push({
          seed,
          message: `some program from ${seed - every + 1} to ${seed} leaks: ${told}`,
          others: [],
          listing: "",
        });
      }
    }
  }
  bench.dispose();
  return failures;
}

async function report(
  seed: number,
  program: Statement[],
  message: string,
  shorten: boolean,
): Promise<Failure> {
  const again = await alone(program, seed);
  if (again === null) {
    const note = "It passes on engines of its own: what ran before matters.";
    return { seed, message: `${message}\n${note}`, others: [], listing: listing(program) };
  }
  const same = async (candidate: readonly Statement[]) =>
    kindOf((await alone(candidate, seed)) ?? "") === kindOf(again);
  const short = shorten ? await shrink(program, same) : program;
  return { seed, message: (await alone(short, seed)) ?? again, others: [], listing: listing(short) };
}
