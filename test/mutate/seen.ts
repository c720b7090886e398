// Which checks see which source: the functions that a check calls, and the WGSL that it compiles. A check is a case of the op
// table on one of the engines of op-engines.ts, or a test file. Notes are taken on copies of the sources in which each
// function reports its number and each WGSL file its name (override.mjs brings them in); a case is only recorded for that,
// not run.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineOptions } from "../../engine/index.ts";
import { childrenOf, type Node, parse } from "./faults.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules/.cache/casement/seen.json");
/** Its address has %20 for a space, which NODE_OPTIONS would cut at. */
const registration = new URL("register.mjs", import.meta.url).href;

/** A function of a source, by where it stands there. */
interface Place {
  file: string;
  start: number;
  end: number;
}

/** What a check ran: numbers of functions, and WGSL files. */
export interface Notes {
  functions: number[];
  texts: string[];
}

export interface SeenCase extends Notes {
  engine: string;
  name: string;
  /** A guess at how long it takes, in no unit. */
  cost: number;
  /** What it compiled: the WGSL files of each specialised kernel. */
  pipelines: { key: string; texts: string[] }[];
}

export interface SeenFile extends Notes {
  file: string;
  seconds: number;
}

export interface Seen {
  functions: Place[];
  cases: SeenCase[];
  /** The options of the engines that cases run on, by the engine's name. */
  engines: Record<string, EngineOptions>;
  files: SeenFile[];
  /** WGSL files that no check runs. */
  idle: string[];
  /** Test files and sources that take no part, and why. */
  leftOut: string[];
}

/** The sources that get faults, as paths from the root: all WGSL, and the host code of engine and kernels. */
export function sourceFiles(): string[] {
  return ["engine", "kernels", "train"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".wgsl") || (name.endsWith(".ts") && folder !== "train"))
      .map((name) => `${folder}/${name}`)
      .sort(),
  );
}

export const read = (file: string) => readFileSync(join(root, file), "utf8");

/**
 * Test files that use the engine or kernels in Node and by themselves: not through the command line, which takes long, or
 * in a page, where no fault is. The op table's own runs case by case.
 */
function testFiles(): string[] {
  return readdirSync(join(root, "test"))
    .filter((name) => name.endsWith(".test.ts") && !/^(ops|mutate|browser|deno)\.test/.test(name))
    .map((name) => `test/${name}`)
    .filter((file) => /from "\.\.\/(engine|kernels|cases)\//.test(read(file)))
    .filter((file) => !/from "\.\/command/.test(read(file)));
}

/** The environment in which a process of Node, and those that it starts, import the house's sources changed. */
export function withRegistration(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS = "" } = process.env;
  return { ...process.env, NODE_OPTIONS: `${NODE_OPTIONS} --import=${registration}`.trim() };
}

/** Seconds after which a test file is too slow to be run for a fault. */
const slowest = 60;

/** Notes of all checks, from the cache where no source and no test has changed. */
export function takeNotes(say: (line: string) => void): Seen {
  const files = sourceFiles();
  const tests = testFiles();
  const others = ["cases", "test"].flatMap((folder) =>
    readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(".ts") ? [`${folder}/${name}`] : [])),
  );
  const hash = createHash("sha256");
  for (const file of [...files, ...others.sort()]) hash.update(`${file}\0${read(file)}\0`);
  const key = hash.digest("hex");
  if (existsSync(cache)) {
    const known = JSON.parse(readFileSync(cache, "utf8")) as { key: string; seen: Seen };
    if (known.key === key) return known.seen;
  }
  const folder = mkdtempSync(join(tmpdir(), "casement-seen-"));
  try {
    const functions = writeCopies(files, folder);
    const output = join(folder, "notes");
    const note = (file: string) => {
      rmSync(output, { force: true, recursive: true });
      mkdirSync(output);
      return spawnSync(process.execPath, [file], {
        cwd: root,
        env: { ...withRegistration(), CASEMENT_SEEN: folder, CASEMENT_SEEN_OUT: output },
        encoding: "utf8",
        timeout: slowest * 1000,
        killSignal: "SIGKILL",
      });
    };
    /** What the processes of a check wrote. */
    const told = <T>() =>
      readdirSync(output).map((name) => JSON.parse(readFileSync(join(output, name), "utf8")) as T);
    say("noting which case of the op table sees what");
    const noted = note(fileURLToPath(new URL("note-cases.ts", import.meta.url)));
    if (noted.status !== 0) throw new Error(`note-cases.ts failed:\n${noted.stderr}`);
    const [table] = told<Pick<Seen, "cases" | "engines">>();
    const seen: Seen = { functions, ...table!, files: [], idle: [], leftOut: [] };
    for (const file of tests) {
      say(`noting what ${file} sees`);
      const start = performance.now();
      const { status, signal } = note(file);
      const seconds = (performance.now() - start) / 1000;
      if (status === 0) {
        const notes = told<Notes>();
        const functions = [...new Set(notes.flatMap((one) => one.functions))];
        const texts = [...new Set(notes.flatMap((one) => one.texts))];
        if (functions.length > 0) seen.files.push({ file, seconds, functions, texts });
      } else {
        seen.leftOut.push(
          `${file} (${signal ? `longer than ${slowest} s` : "fails, if only on reporting copies"})`,
        );
      }
    }
    seen.files.sort((a, b) => a.seconds - b.seconds);
    const run = new Set([...seen.cases, ...seen.files].flatMap(({ texts }) => texts));
    seen.idle = files.filter((file) => file.endsWith(".wgsl") && !run.has(file));
    seen.leftOut.push(...seen.idle.map((file) => `${file} (no check on this adapter runs it)`));
    mkdirSync(dirname(cache), { recursive: true });
    writeFileSync(cache, JSON.stringify({ key, seen }));
    return seen;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the copies that report, and returns the places of their functions by number. */
function writeCopies(files: string[], folder: string): Place[] {
  const functions: Place[] = [];
  for (const file of files) {
    const source = read(file);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    const copy = file.endsWith(".wgsl") ? `${source}\n//@ ${file}\n` : reporting(file, source, functions);
    writeFileSync(join(folder, file), copy);
  }
  return functions;
}

function reporting(file: string, source: string, functions: Place[]): string {
  const insertions: [number, string][] = [];
  const walk = (node: Node) => {
    const body = node.body as Node | null;
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type) && body) {
      const call = `globalThis.casementSeen?.(${functions.length})`;
      functions.push({ file, start: node.start, end: node.end });
      if (/^(BlockStatement|FunctionBody)$/.test(body.type)) insertions.push([body.start + 1, `${call};`]);
      else insertions.push([body.start, `(${call}, `], [body.end, ")"]);
    }
    childrenOf(node).forEach(walk);
  };
  walk(parse(file, source));
  // Where one function ends at the end of another, their order does not matter: both are the same parenthesis.
  let copy = source;
  for (const [at, text] of insertions.sort((a, b) => b[0] - a[0]))
    copy = copy.slice(0, at) + text + copy.slice(at);
  return copy;
}

/** The numbers of the functions that a place is in, the innermost last; none at the top of a module. */
export function functionsAt({ functions }: Seen, file: string, at: number): number[] {
  return functions
    .map((place, number) => ({ ...place, number }))
    .filter((place) => place.file === file && place.start <= at && at < place.end)
    .sort((a, b) => a.start - b.start || b.end - a.end)
    .map(({ number }) => number);
}
