// Data roaming (Levy et al., AAAI 2024): triplets from VQA2.0's complementary pairs. A pair asks one question of two pictures
// with two answers, and the answer to the one, as a text, leads there from the other; both directions have a text of their own.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { randomBits, seedKey } from "../../engine/index.ts";
import { removeEmpty } from "../make-folder.ts";
import { removeDrafts, writeAtomically } from "../run/disk.ts";
import { makeLocked } from "../run/lock.ts";
import { readCaptions } from "./captions.ts";
import { areEqual, changeNothing, isUnseen } from "./filters.ts";
import { filesOf, madeBy, requireOwn, type Triplet, writeSplit } from "./output.ts";
import { type Pair, type PairFiles, readPairs, type Source } from "./pairs.ts";
import { type Reason, reasons } from "./reasons.ts";
import { type Direction, qidOf, type Rephrased, Rules, turned } from "./rephrase.ts";
import { published, type Statistics, TextCounts } from "./statistics.ts";

export interface RoamOptions {
  files: PairFiles;
  out: string;
  /** COCO's captions of the same split. */
  captions?: string;
  /** How many of a hundred texts become captions. */
  captionShare: number;
  /** Characters that a text may have. */
  longest: number;
  /** So many pairs only. */
  limit?: number;
  /** Of wordings, and of which texts become captions. */
  seed: number;
  /** Asks a language model for the texts of pairs, both directions; null where it was stopped. */
  rephraser?: (pairs: readonly Pair[]) => Promise<((pair: Pair, direction: Direction) => Rephrased) | null>;
  /** What the texts are by, for the record. */
  by: string;
  events: { message(text: string): void; progress(what: string, done: number, total: number): void };
  stop: () => boolean;
}

/** What came of it. */
export interface Roamed {
  out: string;
  split: string;
  /** Names of the files with triplets, corpus and lines. */
  files: string[];
  by: string;
  pairs: number;
  /** Directions kept: lines in the file of triplets. */
  triplets: number;
  /** Directions by what their texts are by. */
  texts: Record<string, number>;
  /** Directions that were left out, by why. */
  leftOut: Partial<Record<Reason, number>>;
  /** This split, all splits in the folder where there are two, and LaSCo as published. */
  statistics: Statistics[];
}

/** A direction of a pair, with its text or why it has none. */
type Line = { pair: Pair; direction: Direction } & Rephrased;

/**
 * Builds a split. Null where `stop` said so: nothing is written then but what a language model has answered. Throws DataError
 * for what is wrong with the files, ConfigError where the folder is in use or holds another data set.
 */
export async function roam(options: RoamOptions): Promise<Roamed | null> {
  const { out, events, stop, files } = options;
  const read = await readPairs(files, options.limit, stop, (what, entries) =>
    events.message(`${entries} ${what} read`),
  );
  if (read === null) return null;
  const { split, pairs, sources } = read;
  const { made, unlock } = await makeLocked(out, out, events.message);
  try {
    await removeDrafts(out, /^(lasco|roam)_/);
    await requireOwn(out, split);
    const lines = await rephrased(pairs, options);
    if (lines === null) return null;
    const triplets = kept(lines, options.longest);
    if (options.captions !== undefined) {
      const source = await captioned(triplets, options);
      if (source === null) return null;
      sources.push(source);
    }
    if (stop()) return null;
    return await write(lines, triplets, pairs, split, sources, options);
  } finally {
    await unlock(out);
    await removeEmpty(made);
  }
}

/** Both directions of every pair. */
async function rephrased(pairs: readonly Pair[], options: RoamOptions): Promise<Line[] | null> {
  const why = pairs.map(objection);
  const asked = pairs.filter((_, i) => why[i] === null);
  let text: (pair: Pair, direction: Direction) => Rephrased;
  if (options.rephraser) {
    const answered = await options.rephraser(asked);
    if (answered === null) return null;
    text = answered;
  } else {
    const rules = new Rules(options.seed);
    text = (pair, direction) => rules.text(pair, direction);
  }
  const lines: Line[] = [];
  for (const [i, pair] of pairs.entries()) {
    const reason = why[i]!;
    for (const direction of [0, 1] as const) {
      lines.push({ pair, direction, ...(reason === null ? text(pair, direction) : { reason }) });
    }
    if (i % 1000 === 0) {
      options.events.progress("rephrasing", i, pairs.length);
      // A signal is only heard between turns of the event loop.
      await new Promise(setImmediate);
      if (options.stop()) return null;
    }
  }
  options.events.progress("rephrasing", pairs.length, pairs.length);
  return lines;
}

/** Why neither direction of a pair makes a triplet; null where they may. */
function objection({ first, second }: Pair): Reason | null {
  if (first.image === second.image) return "picture";
  if (!areEqual(first.question, second.question)) return "questions";
  if (isUnseen(first.question)) return "unseen";
  if (changeNothing(first.answer, second.answer)) return "answers";
  return null;
}

interface Kept extends Triplet {
  by: string;
  line: Line;
}

/** The triplets of lines; those that a filter takes get its reason. */
function kept(lines: Line[], longest: number): Kept[] {
  const triplets: Kept[] = [];
  const known = new Set<string>();
  const leave = (line: Line, reason: Reason) => {
    delete (line as { text?: string }).text;
    Object.assign(line, { reason });
  };
  for (let i = 0; i < lines.length; i += 2) {
    const [there, back] = [lines[i]!, lines[i + 1]!];
    if ("text" in there && "text" in back && areEqual(there.text, back.text)) {
      leave(there, "equal");
      leave(back, "equal");
    }
    for (const line of [there, back]) {
      if (!("text" in line)) continue;
      const { reference, target } = turned(line.pair, line.direction);
      const triplet = `${reference.image} ${target.image} ${line.text.toLowerCase()}`;
      if ([...line.text].length > longest) leave(line, "long");
      else if (known.has(triplet)) leave(line, "twice");
      else {
        known.add(triplet);
        const { text, by } = line;
        const qid = qidOf(line.pair, line.direction);
        triplets.push({ qid, reference: reference.image, target: target.image, text, by, line });
      }
    }
  }
  return triplets;
}

/** Replaces a share of the texts by captions of the targets. */
async function captioned(triplets: Kept[], options: RoamOptions): Promise<Source | null> {
  const wanted = new Set(triplets.map(({ target }) => target));
  const captions = await readCaptions(options.captions!, wanted, options.longest, options.stop);
  if (captions === null) return null;
  options.events.message(`${captions.source.entries} captions read`);
  const key = seedKey(options.seed);
  let without = 0;
  for (const triplet of triplets) {
    const bits = (stream: number) => randomBits({ key, stream }, triplet.qid);
    if (bits(0xca) / 2 ** 32 >= options.captionShare / 100) continue;
    const own = captions.of.get(triplet.target);
    if (own) Object.assign(triplet, { text: own[bits(0xcb) % own.length]!, by: "caption" });
    else without++;
  }
  if (without > 0) {
    options.events.message(
      `${without} targets have no caption of at most ${options.longest} characters: their texts stay`,
    );
  }
  return captions.source;
}

const counted = <K extends string>(keys: Iterable<K>): Partial<Record<K, number>> => {
  const counts: Partial<Record<K, number>> = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
};

async function write(
  lines: readonly Line[],
  triplets: readonly Kept[],
  pairs: readonly Pair[],
  split: string,
  sources: readonly Source[],
  options: RoamOptions,
): Promise<Roamed> {
  const { out, by } = options;
  // Every picture of a pair, so that filters and texts change no gallery.
  const pictures = [...new Set(pairs.flatMap(({ first, second }) => [first.image, second.image]))].sort(
    (a, b) => a - b,
  );
  const byLine = new Map(triplets.map((triplet) => [triplet.line, triplet]));
  const hashes = await writeSplit(out, split, triplets, pictures, linesOf(lines, byLine));
  const statistics = await statisticsOf(out, split, triplets, pictures.length);
  const leftOut = counted(lines.flatMap((line) => ("reason" in line ? [line.reason] : [])));
  const texts = counted(triplets.map((triplet) => triplet.by)) as Record<string, number>;
  const { captions, captionShare, longest, limit, seed } = options;
  const result: Roamed = {
    ...{ out, split, files: Object.keys(hashes), by, pairs: pairs.length, triplets: triplets.length },
    ...{ texts, leftOut, statistics },
  };
  const made = {
    ...{ madeBy, split, by, sources },
    options: { longest, limit, seed, ...(captions === undefined ? {} : { captionShare }) },
    ...{ pairs: pairs.length, triplets: triplets.length, pictures: pictures.length, texts, leftOut },
    ...{ statistics: statistics[0], sha256: hashes },
  };
  await writeAtomically(join(out, filesOf(split).made), `${JSON.stringify(made, null, 2)}\n`);
  return result;
}

function* linesOf(lines: readonly Line[], kept: ReadonlyMap<Line, Kept>): Generator<unknown> {
  for (const line of lines) {
    const { pair, direction } = line;
    const { reference, target } = turned(pair, direction);
    const triplet = kept.get(line);
    yield {
      ...{ qid: qidOf(pair, direction), questions: [reference.id, target.id], type: target.type },
      ...{ question: target.question, answers: [reference.answer, target.answer] },
      ...(triplet
        ? { by: triplet.by, text: triplet.text }
        : { leftOut: reasons[(line as { reason: Reason }).reason] }),
    };
  }
}

/** This split; with the other one where the folder has it, both; and LaSCo's row. */
async function statisticsOf(
  out: string,
  split: string,
  triplets: readonly Triplet[],
  pictures: number,
): Promise<Statistics[]> {
  const own = new TextCounts();
  const both = new TextCounts();
  for (const { text } of triplets) {
    own.add(text);
    both.add(text);
  }
  const counts = { train: null, val: null, [split]: pictures } as {
    train: number | null;
    val: number | null;
  };
  const rows = [own.row(`${out}, ${split}`, counts)];
  const other = split === "train" ? "val" : "train";
  const { made, triplets: file } = filesOf(other);
  try {
    const { pictures, sha256 } = JSON.parse(await readFile(join(out, made), "utf8"));
    if (sha256[file] !== undefined) {
      for (const entry of JSON.parse(await readFile(join(out, file), "utf8"))) both.add(entry["query-text"]);
      rows.push(both.row(`${out}, train and val`, { ...counts, [other]: pictures }));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return [...rows, published];
}
