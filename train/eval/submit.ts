// What the evaluation servers take: CIRR's two files (50 names a query, and 3 of its subset) and CIRCO's one (50 ids), and
// what they would refuse, in words. The rules are those of CIRR's Test-split_server.md and CIRCO's README.
import type { Engine } from "../../engine/index.ts";
import { quote, scan } from "../data/json.ts";
import type { Split } from "../data/types.ts";
import { few } from "./embeddings.ts";
import { type Embedded, rowsAt } from "./protocols.ts";
import { best } from "./rank.ts";
import { eachRow } from "./scores.ts";

/** Kinds of submission files. */
export type Submission = "recall" | "recall_subset" | "circo";

/** Largest file that CIRR's server takes. */
const mostBytes = 5e6;
const version = "rc2";
const lengths: Record<Submission, number> = { recall: 50, recall_subset: 3, circo: 50 };
/** Queries of the splits, for files that are checked without their annotations. */
const published = { test1: 4148, test: 800 };

/** The submission files of a split, by their kinds, as JSON texts. Throws for a data set without a server. */
export async function submissions(
  engine: Engine,
  split: Split,
  embedded: Embedded,
  similarity: "cosine" | "dot",
  onProgress: (done: number) => void = () => {},
): Promise<Partial<Record<Submission, string>>> {
  const { data, queries, pictures, galleries } = split;
  if (data !== "cirr" && data !== "circo")
    throw new Error(`There is no server for ${data}; only for cirr and circo.`);
  const [gallery] = galleries;
  const places = new Map(Array.from(gallery!.pictures, (picture, place) => [picture, place]));
  const kinds: Submission[] = data === "cirr" ? ["recall", "recall_subset"] : ["circo"];
  const parts = new Map(kinds.map((kind) => [kind, [] as string[]]));
  const ranking = {
    queries: embedded.queries,
    gallery: rowsAt(embedded.pictures, gallery!.pictures),
    similarity,
  };
  await eachRow(
    engine,
    ranking,
    (i, row) => {
      const { id, reference, members } = queries[i]!;
      for (const kind of kinds) {
        // CIRR's reference is no answer to itself; CIRCO's own code leaves it in.
        const without = kind === "circo" ? -1 : (places.get(reference) ?? -1);
        const among = kind === "recall_subset" ? members!.map((picture) => places.get(picture)!) : undefined;
        const answers = best(row, lengths[kind], { without, among }).map(({ place }) => {
          const { id } = pictures[gallery!.pictures[place]!]!;
          return kind === "circo" ? Number(id) : id;
        });
        parts.get(kind)!.push(`${JSON.stringify(id)}:${JSON.stringify(answers)}`);
      }
    },
    onProgress,
  );
  // Joined by hand: an object would sort the ids.
  const files = Array.from(parts, ([kind, entries]) => {
    const head = kind === "circo" ? [] : [`"version":"${version}"`, `"metric":"${kind}"`];
    return [kind, `{${[...head, ...entries].join(",\n")}}\n`] as const;
  });
  return Object.fromEntries(files);
}

export interface SubmissionCheck {
  kind: Submission | null;
  queries: number;
  /** What the server would refuse or count wrong; empty for a file that is fine. */
  problems: string[];
  /** What could not be checked. */
  unchecked: string[];
}

/**
 * Checks a submission file.
 * @param text the file
 * @param split the split that it is for; without it, names and missing queries can't be checked
 */
export function checkSubmission(text: string, split?: Split): SubmissionCheck {
  const problems: string[] = [];
  const result = { kind: null as Submission | null, queries: 0, problems, unchecked: [] as string[] };
  const { fault, keys } = scan(text);
  if (fault) {
    const line = text.slice(0, fault.offset).split("\n").length;
    problems.push(`It is no JSON: line ${line}: ${fault.what}.`);
    return result;
  }
  const content: unknown = JSON.parse(text);
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    problems.push(`It is no JSON object of queries and their answers, but ${quote(content)}.`);
    return result;
  }
  const { version: written, metric, ...answers } = content as Record<string, unknown>;
  const cirr = split
    ? split.data === "cirr"
    : keys.includes("version") || keys.includes("metric") || hasNames(answers);
  const kind: Submission = !cirr ? "circo" : metric === "recall_subset" ? "recall_subset" : "recall";
  result.kind = kind;
  result.queries = Object.keys(answers).length;
  if (cirr) {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > mostBytes) {
      problems.push(`It has ${(bytes / 1e6).toFixed(1)} MB; the server takes 5 MB at most.`);
    }
    if (written !== version) {
      problems.push(
        `"version" must be "${version}", ${written === undefined ? "but is missing" : `not ${quote(written)}`}.`,
      );
    }
    if (metric !== "recall" && metric !== "recall_subset") {
      const found = metric === undefined ? "but is missing" : `not ${quote(metric)}`;
      problems.push(`"metric" must be "recall" or "recall_subset", ${found}.`);
    }
  } else {
    for (const [key, value] of Object.entries({ version: written, metric })) {
      if (value !== undefined) problems.push(`"${key}" is no query; CIRCO's file has queries alone.`);
    }
  }
  const seen = new Set<string>();
  const doubled = keys.filter((key) => seen.has(key) || !seen.add(key));
  const note = (ids: readonly string[], what: string) => {
    if (ids.length > 0) problems.push(`${what}: ${few(ids)}.`);
  };
  note(
    doubled,
    `${many(doubled.length, "key is", "keys are")} there more than once, and only the last would count`,
  );
  checkAnswers(kind, answers, split, note);
  checkQueries(kind, Object.keys(answers), split, note, result);
  return result;
}

const many = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`;

/** CIRR's answers are names, CIRCO's are numbers. */
const hasNames = (answers: Record<string, unknown>) => {
  const [first] = Object.values(answers);
  return Array.isArray(first) && typeof first[0] === "string" && !/^\d+$/.test(first[0]);
};

type Note = (ids: readonly string[], what: string) => void;

function checkAnswers(
  kind: Submission,
  answers: Record<string, unknown>,
  split: Split | undefined,
  note: Note,
): void {
  const wanted = lengths[kind];
  const word = kind === "circo" ? "ids" : "names";
  const pictures = split && new Map(split.pictures.map(({ id }, i) => [id, i]));
  const queries = new Map(split?.queries.map((query) => [query.id, query]));
  const found: Record<
    "noList" | "length" | "type" | "twice" | "reference" | "unknown" | "outside",
    string[]
  > = {
    ...{ noList: [], length: [], type: [], twice: [], reference: [], unknown: [], outside: [] },
  };
  for (const [id, list] of Object.entries(answers)) {
    if (!Array.isArray(list)) {
      found.noList.push(id);
      continue;
    }
    if (list.length !== wanted) found.length.push(`${id} (${list.length})`);
    const isRight = (one: unknown) =>
      kind === "circo" ? Number.isSafeInteger(one) : typeof one === "string";
    if (!list.every(isRight)) found.type.push(`${id} (${quote(list.find((one) => !isRight(one)))})`);
    const names = list.map(String);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) found.twice.push(`${id} (${twice})`);
    if (!pictures) continue;
    const unknown = names.find((name) => !pictures.has(name));
    if (unknown !== undefined) found.unknown.push(`${id} (${unknown})`);
    const query = queries.get(id);
    if (!query || kind === "circo") continue;
    if (names.some((name) => pictures.get(name) === query.reference)) found.reference.push(id);
    const members = new Set(query.members);
    const outside = names.find((name) => pictures.has(name) && !members.has(pictures.get(name)!));
    if (kind === "recall_subset" && outside !== undefined) found.outside.push(`${id} (${outside})`);
  }
  const have = (list: readonly string[]) => many(list.length, "query has", "queries have");
  note(found.noList, `${have(found.noList)} no list`);
  note(found.length, `${have(found.length)} another number of ${word} than ${wanted}`);
  note(found.type, `${have(found.type)} answers that are no ${kind === "circo" ? "whole numbers" : "names"}`);
  note(found.twice, `${have(found.twice)} an answer twice`);
  note(found.reference, `${have(found.reference)} the reference picture among the answers`);
  note(found.unknown, `${have(found.unknown)} ${word} that are no pictures of the split`);
  note(found.outside, `${have(found.outside)} names outside of the subset`);
}

function checkQueries(
  kind: Submission,
  ids: readonly string[],
  split: Split | undefined,
  note: Note,
  { problems, unchecked }: SubmissionCheck,
): void {
  if (split) {
    const [own, there] = [new Set(split.queries.map(({ id }) => id)), new Set(ids)];
    const missing = [...own].filter((id) => !there.has(id));
    const others = ids.filter((id) => !own.has(id));
    const name = `${split.data} ${split.name}`;
    note(
      missing,
      `${many(missing.length, "query", "queries")} of ${name}'s ${own.size} ${missing.length === 1 ? "is" : "are"} missing`,
    );
    note(others, `${many(others.length, "key is no query", "keys are no queries")} of ${name}`);
    return;
  }
  const [name, count] = kind === "circo" ? ["test", published.test] : ["test1", published.test1];
  if (ids.length !== count) {
    problems.push(
      `It has ${ids.length} queries; ${kind === "circo" ? "CIRCO's" : "CIRR's"} ${name} has ${count}.`,
    );
  }
  if (kind === "circo") {
    const others = ids.filter((id) => !(/^(0|[1-9]\d*)$/.test(id) && Number(id) < count));
    note(others, `${many(others.length, "key is", "keys are")} not from 0 to ${count - 1}`);
  }
  unchecked.push(
    kind === "circo"
      ? "whether the ids are pictures of COCO's unlabeled set: --root DIR"
      : "which queries are missing, and whether names are the split's, the reference among them or outside of the subset: --root DIR",
  );
}
