// Puts one fault in, in memory, and runs the checks that could see it until one of them does.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineOptions } from "../../engine/index.ts";
import type { Fault } from "./faults.ts";
import { functionsAt, type Notes, root, type Seen, type SeenCase, withRegistration } from "./seen.ts";

export interface Fate {
  what: "killed" | "killed by time" | "survived" | "does not compile";
  /** The check that saw it, or how many did not. */
  by: string;
}

const casesRunner = fileURLToPath(new URL("run-cases.ts", import.meta.url));
/** Seconds without a word after which a run of cases stands still. */
const patience = 60;

/** The checks that could see a fault: cases of the op table in their order, and test files, the quickest first. */
export interface Checks {
  cases: readonly { name: string; options: EngineOptions }[];
  files: readonly string[];
}

export function checksFor(seen: Seen, file: string, fault: Fault): Checks {
  const inside = functionsAt(seen, file, fault.start).at(-1);
  // What stands at the top of a module is seen by all that come to any of its functions.
  const theirs = new Set(seen.functions.flatMap((place, i) => (place.file === file ? [i] : [])));
  const sees = ({ functions, texts }: Notes) => {
    if (file.endsWith(".wgsl")) return texts.includes(file);
    if (inside !== undefined) return functions.includes(inside);
    return theirs.size === 0 ? functions.length > 0 : functions.some((number) => theirs.has(number));
  };
  const cases = seen.cases.filter(sees).sort((a, b) => a.cost - b.cost);
  const concerned = ({ pipelines }: SeenCase) =>
    pipelines.filter(({ texts }) => !file.endsWith(".wgsl") || texts.includes(file));
  // First a case for each kernel, then for each of its specialisations, then for those on each engine, then the rest.
  const levels = [
    (one: SeenCase) => concerned(one).map(({ key }) => key.split(",")[0]!),
    (one: SeenCase) => concerned(one).map(({ key }) => key),
    (one: SeenCase) => concerned(one).map(({ key }) => `${one.engine}: ${key}`),
  ];
  const ordered = new Set<SeenCase>();
  for (const level of levels) {
    const known = new Set(Array.from(ordered).flatMap(level));
    for (const one of cases) {
      const fresh = level(one).filter((key) => !known.has(key));
      for (const key of fresh) known.add(key);
      if (fresh.length > 0) ordered.add(one);
    }
  }
  for (const one of cases) ordered.add(one);
  return {
    cases: Array.from(ordered, ({ name, engine }) => ({ name, options: seen.engines[engine]! })),
    files: seen.files.filter(sees).map((one) => one.file),
  };
}

interface Ending {
  /** Null where it was stopped. */
  status: number | null;
  lines: string[];
}

/** Runs Node with a fault until it ends, until nothing came for `quiet` seconds, or `seconds` are over. */
function runWith(
  fault: object | null,
  args: string[],
  limits: { quiet: number; seconds: number },
): Promise<Ending> {
  return new Promise((resolve) => {
    const env = withRegistration();
    if (fault) env.CASEMENT_FAULT = JSON.stringify(fault);
    // A group of its own, so that what a test started ends with it.
    const child = spawn(process.execPath, args, {
      cwd: root,
      env,
      detached: true,
    });
    let text = "";
    let stopped = false;
    const stop = () => {
      stopped = true;
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    };
    const last = setTimeout(stop, limits.seconds * 1000);
    let silence = setTimeout(stop, limits.quiet * 1000);
    const onSignal = () => {
      stop();
      process.exit(130);
    };
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        clearTimeout(silence);
        silence = setTimeout(stop, limits.quiet * 1000);
      });
    }
    child.on("close", (code) => {
      clearTimeout(last);
      clearTimeout(silence);
      process.removeListener("SIGINT", onSignal).removeListener("SIGTERM", onSignal);
      resolve({ status: stopped ? null : (code ?? -1), lines: text.trimEnd().split("\n") });
    });
  });
}

/**
 * What becomes of a fault; null in place of one runs the same checks on the sources as they are.
 * @param limit seconds for the cases of the op table, of which a matrix product has hundreds
 */
export async function runFault(
  file: string,
  fault: Fault | null,
  { cases, files }: Checks,
  limit: number,
): Promise<Fate> {
  const change = fault && { file, ...fault };
  const broken = (lines: string[]) => fault?.wgsl && lines.some((line) => /does not compile\./.test(line));
  const told: string[] = [];
  const byCases = async (): Promise<Fate | null> => {
    if (cases.length === 0) return null;
    const folder = mkdtempSync(join(tmpdir(), "casement-fault-"));
    const list = join(folder, "cases.json");
    writeFileSync(list, JSON.stringify(cases.map(({ options, name }) => [options, name])));
    const start = performance.now();
    const { status, lines } = await runWith(change, [casesRunner, list], { quiet: patience, seconds: limit });
    const seconds = (performance.now() - start) / 1000;
    rmSync(folder, { recursive: true });
    const begun = lines.filter((line) => line.startsWith("case "));
    const at = begun.at(-1)?.slice(5) ?? "the first case";
    if (broken(lines)) return { what: "does not compile", by: at };
    if (status === null && seconds < limit) return { what: "killed by time", by: at };
    if (status !== 0 && status !== null) return { what: "killed", by: at };
    told.push(`${status === 0 ? begun.length : begun.length - 1} of ${cases.length} cases`);
    return null;
  };
  const byFiles = async (): Promise<Fate | null> => {
    for (const test of files) {
      const limits = { quiet: 2 * patience, seconds: 3 * patience };
      const { status, lines } = await runWith(change, [test], limits);
      if (broken(lines)) return { what: "does not compile", by: test };
      if (status !== 0) return { what: status === null ? "killed by time" : "killed", by: test };
    }
    told.push(`${files.length} test files`);
    return null;
  };
  // The engine has tests of its own, which know more of it than the op table.
  const order = file.startsWith("engine/") ? [byFiles, byCases] : [byCases, byFiles];
  for (const run of order) {
    const fate = await run();
    if (fate) return fate;
  }
  return { what: "survived", by: told.join(", ") };
}
