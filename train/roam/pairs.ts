// VQA2.0's complementary pairs: one question on two pictures with two answers. Three files: the questions, the annotations
// with their answers, and the pairs, which name two questions each.
import { basename } from "node:path";
import { z } from "zod";
import { checked, entryName, quote } from "../data/json.ts";
import { DataError } from "../data/types.ts";
import { type Beside, readList } from "./stream.ts";

/** A question on a picture, answered. */
export interface Answered {
  id: number;
  /** COCO's id of the picture. */
  image: number;
  question: string;
  /** One of VQA's 65, such as "what color is the". */
  type: string;
  /** The answer that most of its ten annotators gave. */
  answer: string;
}

/** A question on two pictures. */
export interface Pair {
  /** Its entry in the file of the pairs. */
  index: number;
  first: Answered;
  second: Answered;
}

/** A file that was read. */
export interface Source {
  file: string;
  bytes: number;
  sha256: string;
  entries: number;
}

export interface Pairs {
  /** train or val. */
  split: string;
  pairs: Pair[];
  sources: Source[];
}

const id = z.int().nonnegative();
const pairEntry = z.tuple([id, id]);
const questionEntry = z.object({ question_id: id, image_id: id, question: z.string() });
const annotationEntry = z.object({
  question_id: id,
  image_id: id,
  question_type: z.string(),
  multiple_choice_answer: z.string(),
});

/** Files by what is in them. */
export interface PairFiles {
  questions: string;
  annotations: string;
  pairs: string;
}

/**
 * Reads the first `limit` pairs; null where `stop` said so. Throws DataError, which names file and entry, for malformed files,
 * for ids that are unknown or given twice, and for a pair that is there twice, in either order.
 */
export async function readPairs(
  files: PairFiles,
  limit = Number.POSITIVE_INFINITY,
  stop: () => boolean = () => false,
  onProgress: (what: string, entries: number) => void = () => {},
): Promise<Pairs | null> {
  const sources: Source[] = [];
  const told = (what: string, file: string, entries: number, { bytes, sha256 }: Beside) => {
    sources.push({ file: basename(file), bytes, sha256, entries });
    onProgress(what, entries);
  };
  const ids: [number, number][] = [];
  // Numbers, not texts: two hundred thousand pairs are searched.
  const partners = new Map<number, number[]>();
  const pairName = (index: number) => entryName(basename(files.pairs), index);
  const listed = await readList(
    files.pairs,
    null,
    (value, index) => {
      const [a, b] = checked(pairName(index), pairEntry, value);
      if (a === b) throw new DataError(`${pairName(index)}: question ${a} is paired with itself`);
      const [low, high] = a < b ? [a, b] : [b, a];
      const known = partners.get(low);
      if (known?.includes(high))
        throw new DataError(`${pairName(index)}: the pair ${quote([a, b])} is there already`);
      if (known) known.push(high);
      else partners.set(low, [high]);
      ids.push([a, b]);
    },
    stop,
  );
  if (listed === null) return null;
  told("pairs", files.pairs, ids.length, listed);
  if (ids.length === 0) throw new DataError(`${basename(files.pairs)} has no pairs`);

  const taken = ids.slice(0, limit);
  const wanted = new Set(taken.flat());
  const answered = new Map<number, Answered>();
  const seen = new Set<number>();
  // Half of the questions are asked twice, and types and answers are few: each text is held once.
  const texts = new Map<string, string>();
  const once = (text: string) => {
    const known = texts.get(text);
    if (known === undefined) texts.set(text, text);
    return known ?? text;
  };
  const add = (where: string, question: number) => {
    if (seen.has(question)) throw new DataError(`${where}: question ${question} is there twice`);
    seen.add(question);
  };
  const asked = await readList(
    files.questions,
    "questions",
    (value, index) => {
      const where = entryName(basename(files.questions), index);
      const { question_id, image_id, question } = checked(where, questionEntry, value);
      add(where, question_id);
      if (!wanted.has(question_id)) return;
      answered.set(question_id, {
        id: question_id,
        image: image_id,
        question: once(question.trim()),
        type: "",
        answer: "",
      });
    },
    stop,
  );
  if (asked === null) return null;
  told("questions", files.questions, seen.size, asked);
  const known = new Set(seen);
  seen.clear();
  const annotated = await readList(
    files.annotations,
    "annotations",
    (value, index) => {
      const where = entryName(basename(files.annotations), index);
      const annotation = checked(where, annotationEntry, value);
      const { question_id, image_id } = annotation;
      add(where, question_id);
      if (!known.has(question_id)) {
        throw new DataError(
          `${where}: question ${question_id} is not in ${basename(files.questions)}; are the files of one split?`,
        );
      }
      const question = answered.get(question_id);
      if (!question) return;
      if (question.image !== image_id) {
        throw new DataError(
          `${where}: picture ${image_id}, but ${basename(files.questions)} asks question ${question_id} of picture ${question.image}`,
        );
      }
      question.type = once(annotation.question_type);
      question.answer = once(annotation.multiple_choice_answer.trim());
    },
    stop,
  );
  if (annotated === null) return null;
  told("annotations", files.annotations, seen.size, annotated);

  const find = (index: number, id: number): Answered => {
    const question = answered.get(id);
    if (!question) {
      throw new DataError(
        `${pairName(index)}: question ${id} is not in ${basename(files.questions)}; are the files of one split?`,
      );
    }
    if (!seen.has(id)) {
      throw new DataError(
        `${pairName(index)}: question ${id} has no answer in ${basename(files.annotations)}`,
      );
    }
    return question;
  };
  const pairs = taken.map(([a, b], index) => ({ index, first: find(index, a), second: find(index, b) }));
  return { split: splitOf(files, asked, annotated), pairs, sources };
}

/** The split that two files are of, by what they say or else by their names. */
function splitOf(files: PairFiles, questions: Beside, annotations: Beside): string {
  const [a, b] = [[files.questions, questions] as const, [files.annotations, annotations] as const].map(
    ([file, { values }]) => {
      const said = values.data_subtype ?? /(train|val)2014/.exec(basename(file))?.[0];
      const split = /^(train|val)2014$/.exec(`${said}`)?.[1];
      if (split) return split;
      throw new DataError(
        said === undefined
          ? `${basename(file)} has no data_subtype, and its name has neither train2014 nor val2014`
          : `${basename(file)}: data_subtype ${quote(said)} has no complementary pairs: train2014 or val2014 was expected`,
      );
    },
  );
  if (a !== b)
    throw new DataError(
      `${basename(files.questions)} is of ${a}2014, ${basename(files.annotations)} of ${b}2014`,
    );
  return a!;
}

/** A picture's path, as COCO and LaSCo name it. */
export const pathOf = (split: string, image: number) =>
  `${split}2014/COCO_${split}2014_${`${image}`.padStart(12, "0")}.jpg`;
