// `npm run mutate`: do the tests see faults? Puts one-token faults into the WGSL and the host code of engine and kernels, one
// at a time and in memory only, runs the checks that could see each, and lists those that nothing saw. The idea is that of
// mutation testing (DeMillo, Lipton and Sayward, "Hints on test data selection", 1978); a sample says what all would.
//
//   npm run mutate -- --seed 7 --count 100 --only kernels/topk
//
// The same seed gives the same faults while the sources stay as they are. Faults in WGSL that don't compile are drawn anew, and
// so are those of harmless.ts.
// Exit status 1 where fewer than 92 of 100 died.
import { parseArgs } from "node:util";
import { wholeNumber } from "../../cli/options.ts";
import { randomBits, seedKey } from "../../engine/index.ts";
import { type Fault, lineOf, placesOf } from "./faults.ts";
import { harmless } from "./harmless.ts";
import { checksFor, type Fate, runFault } from "./run-fault.ts";
import { read, sourceFiles, takeNotes } from "./seen.ts";

// Who reads no more, as `head` does, has seen enough.
process.stdout.on("error", () => process.exit(0));

/** The options, and the numbers among them. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: "string", default: "1" },
        count: { type: "string", default: "20" },
        /** Only sources whose paths have this in them. */
        only: { type: "string", multiple: true, default: [] },
        /** Only the fault of this number, where a run of the same seed listed it. */
        number: { type: "string" },
        /** Seconds that cases of the op table may take for one fault. */
        limit: { type: "string", default: "180" },
      },
    });
    const number = (name: "seed" | "count" | "limit") => wholeNumber(values[name], `--${name}`, 0);
    return {
      ...{ only: values.only, seed: number("seed"), count: number("count"), limit: number("limit") },
      number: values.number === undefined ? undefined : wholeNumber(values.number, "--number", 0),
    };
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
}
const options = readOptions();
const { seed, count, limit } = options;

const sources = new Map(
  sourceFiles()
    .filter((file) => options.only.length === 0 || options.only.some((part) => file.includes(part)))
    .map((file) => [file, read(file)]),
);
const seen = takeNotes((line) => console.log(line));
for (const file of seen.idle) sources.delete(file);
const places = Array.from(sources, ([file, source]) =>
  placesOf(file, source).map((faults) => ({ file, faults })),
).flat();
if (places.length === 0) throw new RangeError(`No source has ${options.only.join(" or ")} in its path.`);
for (const line of seen.leftOut) console.log(`left out: ${line}`);
console.log(`${places.length} places in ${sources.size} sources, seed ${seed}`);

/** The line of a fault, with what is taken away and what comes in its place. */
function describe(file: string, { start, end, text }: Fault): string {
  const source = sources.get(file)!;
  const from = source.lastIndexOf("\n", start - 1) + 1;
  const to = source.indexOf("\n", end);
  const short = (part: string) =>
    part
      .split("\n")
      .map((line) => line.trim())
      .join(" ");
  const was = short(source.slice(start, end));
  const change = `[-${was.length > 60 ? `${was.slice(0, 60)}…` : was}-]{+${text}+}`;
  return source.slice(from, start).trimStart() + change + short(source.slice(end, to < 0 ? undefined : to));
}

const fates: { number: number; fault: string; fate: Fate }[] = [];
const drawn = new Set<string>();
let told = 0;
for (let draw = 0; fates.filter(({ fate }) => fate.what !== "does not compile").length < count; draw++) {
  if (draw > 20 * count) break;
  const pick = (stream: number, below: number) => randomBits({ key: seedKey(seed), stream }, draw) % below;
  const { file, faults } = places[pick(1, places.length)]!;
  const fault = faults[pick(2, faults.length)]!;
  const line = describe(file, fault);
  const where = `${file}:${lineOf(sources.get(file)!, fault.start)}: ${line}`;
  if (drawn.has(where) || (options.number !== undefined && draw !== options.number)) continue;
  drawn.add(where);
  const why = harmless[`${file}: ${line}`];
  if (why !== undefined && options.number === undefined) {
    console.log(`#${draw} changes no result (${why}) ${where}`);
    told++;
    continue;
  }
  const start = performance.now();
  const fate = await runFault(file, fault, checksFor(seen, file, fault), limit);
  fates.push({ number: draw, fault: where, fate });
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`#${draw} ${fate.what} (${fate.by}, ${seconds} s) ${where}`);
  if (options.number !== undefined) break;
}

const of = (...what: Fate["what"][]) => fates.filter(({ fate }) => what.includes(fate.what));
const counted = fates.length - of("does not compile").length;
const died = of("killed", "killed by time").length;
console.log(
  `\n${died} of ${counted} faults died, ${of("killed by time").length} of them by running out of time;`,
);
console.log(`${of("does not compile").length} more did not compile, ${told} are known to change no result.`);
if (counted > died) console.log("Nothing saw:");
for (const { number, fault, fate } of of("survived")) console.log(`#${number} ${fault} (${fate.by})`);
process.exitCode = died >= 0.92 * counted ? 0 : 1;
