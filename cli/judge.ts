// Commands that judge files alone, without a model of ours: `score` and `submit` take anyone's embeddings, `submit check`
// a submission file, `data check` a data set's folder.
import { basename, dirname, join } from "node:path";
import { Engine } from "../engine/index.ts";
import { captionsOf } from "../train/config.ts";
import { type CaptionWay, captionWays } from "../train/data/captions.ts";
import { checkData } from "../train/data/check.ts";
import { type FilterKind, filterWords } from "../train/data/filter.ts";
import { readText } from "../train/data/json.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import { type DataName, type FolderData, folderData, type Split } from "../train/data/types.ts";
import { type Embedded, judge, protocols, type References, type Result } from "../train/eval/protocols.ts";
import { checkSubmission, submissions } from "../train/eval/submit.ts";
import { openData } from "../train/run/data.ts";
import { writeAtomically } from "../train/run/disk.ts";
import { embedData } from "../train/run/evaluate.ts";
import type { RunEvents } from "../train/run/events.ts";
import { hashOf, readGiven } from "../train/run/given.ts";
import { openModel } from "../train/run/open.ts";
import { command } from "./command.ts";
import { dataOptions, sourceOf } from "./data.ts";
import { choice, flag, many, needed, path, text, UsageError, type Values } from "./options.ts";
import { exit } from "./output.ts";
import { consoleEvents } from "./progress.ts";
import { dataTable, scoreTable, submissionTable } from "./tables.ts";

export type Asked = Exclude<FolderData, "folder">;
/** Data sets that have a server for their secret answers. */
type Served = "cirr" | "circo";
export const asked = folderData.filter((name) => name !== "folder");
export const galleryNames = { original: "original split", val: "VAL split" } as const;

/** A list of queries, such as the audit's redundant ones. */
export const lists = {
  only: path("FILE", "JSON lines: only the queries whose ids are listed count"),
  without: path("FILE", "JSON lines: the queries whose ids are listed do not count"),
};

/** The list that was given, if one was. Throws UsageError for two. */
export function listOf({ only, without }: Values<typeof lists>) {
  if (only !== undefined && without !== undefined)
    throw new UsageError("--only and --without exclude each other");
  const file = only ?? without;
  const kind: FilterKind = only === undefined ? "without" : "only";
  return file === undefined ? undefined : { kind, file };
}

/** What embeddings are for, and where they are. */
export const given = {
  root: needed(path("DIR", "Folder of the data set")),
  queries: needed(path("FILE", "Safetensors: the queries' embeddings [n, d], their ids in the metadata")),
  gallery: needed(path("FILE", "Safetensors: the pictures' embeddings")),
  similarity: choice<"cosine" | "dot">("NAME", ["cosine", "dot"], "cosine unless told, or dot"),
  allowMissing: flag("Go on without pictures that have no embedding, and the queries that need them"),
};

/** What makes figures of one data set different ones. */
export const variants = {
  reference: choice<References>(
    "WHAT",
    ["kept", "removed"],
    "Whether the reference competes, instead of the protocol's way",
  ),
  category: many(text("NAME", "FashionIQ: this category alone; may be given again")),
  pictures: choice<keyof typeof galleryNames>(
    "NAME",
    ["original", "val"],
    "FashionIQ: against this gallery alone",
  ),
  captions: choice<CaptionWay>(
    "WAY",
    captionWays,
    `How texts were made, to be printed: ${captionWays.join(", ")}`,
  ),
};

/** Throws UsageError for what only FashionIQ has, where another data set is asked for. */
export function requireFashioniq({
  data,
  category,
  pictures,
}: { data: DataName } & Pick<Values<typeof variants>, "category" | "pictures">): void {
  if (data !== "fashioniq" && (category.length > 0 || pictures !== undefined)) {
    throw new UsageError(`--category and --pictures are for fashioniq, not ${data}`);
  }
}

export const scoreCommand = command({
  about: "Scores anyone's embeddings by a data set's protocol",
  options: {
    data: needed(choice<Asked>("NAME", asked, `One of ${asked.join(", ")}`)),
    split: needed(text("NAME", "Split: val, or another one whose answers are known")),
    ...given,
    ...variants,
    ...lists,
  },
  async run(values, { output }) {
    const { data, pictures, reference, captions, similarity = "cosine", ...files } = values;
    requireFashioniq(values);
    const galleries = pictures && [galleryNames[pictures]];
    const filter = listOf(values);
    const ready = await readGiven({ ...files, data, galleries, categories: files.category, filter });
    const own = protocols[data].references;
    // FashionIQ's figures are published both ways.
    const references: References[] = reference
      ? [reference]
      : data === "fashioniq"
        ? [own, "removed"]
        : [own];
    const events = consoleEvents(output);
    const engine = await Engine.create();
    const results = await judge(engine, ready.split, ready.embedded, {
      ...{ similarity, hash: ready.hash, references, filter: ready.filter },
      captions: captions ?? ready.captions ?? "not told",
      onProgress: (done, total) => events.progress("scoring", done, total),
    });
    engine.dispose();
    events.end();
    const { notes } = ready.split;
    const protocol = protocolOf(protocols[data].what, results, references[0]!);
    const metrics = metricsOf(results, references[0]!);
    output.result({ protocol, metrics, results, notes }, scoreTable(protocols[data].what, results, notes));
    return exit.done;
  },
});

/** What the figures under `metrics` are, in words. */
function protocolOf(what: string, results: readonly Result[], reference: References): string {
  const [{ data, split, captions, similarity, filter }] = results as [Result];
  const galleries = [...new Set(results.map(({ gallery }) => gallery))].join(" and ");
  const cut = filter ? `; ${filterWords(filter)}` : "";
  return `${what}; ${data} ${split}${cut}; gallery: ${galleries}; reference ${reference}; captions: ${captions}; ${similarity}`;
}

/** The figures of the first exclusion: by themselves, or by category and gallery where there are such. */
function metricsOf(results: readonly Result[], reference: References) {
  const own = results.filter((result) => result.reference === reference);
  if (own[0]!.category === undefined) return own[0]!.metrics;
  const short = (name: string) => Object.entries(galleryNames).find(([, long]) => long === name)?.[0] ?? name;
  return Object.fromEntries(
    own.map(({ category, gallery, metrics }) => [`${category}-${short(gallery)}`, metrics]),
  );
}

export const submitCommand = command({
  about: "Writes the files that CIRR's and CIRCO's servers take, by a model or from anyone's embeddings",
  options: {
    data: needed(choice<Served>("NAME", ["cirr", "circo"], "cirr or circo")),
    split: text("NAME", "Split (test1 of cirr and test of circo unless told)"),
    root: given.root,
    run: path("DIR", "Folder of the run whose model answers"),
    checkpoint: path("FILE", "A checkpoint of the run, in place of what it ended with"),
    captions: dataOptions.captions,
    queries: path("FILE", "Without --run: safetensors with the queries' embeddings [n, d]"),
    gallery: path("FILE", "Without --run: safetensors with the pictures' embeddings"),
    similarity: given.similarity,
    allowMissing: dataOptions.allowMissing,
    out: needed(path("DIR", "Folder for the files")),
  },
  async run({ data, split, out, ...options }, { output }) {
    const name = split ?? (data === "cirr" ? "test1" : "test");
    const events = consoleEvents(output);
    const answers = await answersOf({ ...options, data, split: name }, events);
    const { engine, ready, hash, similarity } = answers;
    const total = ready.split.queries.length;
    const texts = await submissions(engine, ready.split, ready.embedded, similarity, (done) =>
      events.progress("ranking", done, total),
    );
    engine.dispose();
    events.end();
    const written: { file: string; queries: number; problems: string[] }[] = [];
    for (const [kind, text] of Object.entries(texts)) {
      const file = join(out, `${data}-${name}${kind === "circo" ? "" : `-${kind}`}.json`);
      await writeAtomically(file, text);
      const { queries, problems } = checkSubmission(
        text,
        await readSplit(data, folderFiles(options.root), name),
      );
      written.push({ file, queries, problems });
    }
    const lines = written.flatMap(({ file, queries, problems }) => [
      `${file}: ${queries} queries, ${problems.length === 0 ? "checked" : "which the server would refuse:"}`,
      ...problems.map((problem) => `  ${problem}`),
    ]);
    output.result({ files: written, hash, notes: ready.split.notes }, lines.join("\n"));
    return written.every(({ problems }) => problems.length === 0) ? exit.done : exit.failed;
  },
});

interface Answers {
  engine: Engine;
  ready: { split: Split; embedded: Embedded };
  /** SHA-256 of the weights, or of the files of embeddings. */
  hash: Record<string, string>;
  similarity: "cosine" | "dot";
}

/** What a submission is made of: a run's model, or embeddings that are given. Throws UsageError for half of either. */
async function answersOf(
  {
    run: dir,
    checkpoint,
    captions,
    queries,
    gallery,
    similarity = "cosine",
    ...where
  }: {
    data: Served;
    split: string;
    root: string;
    run?: string;
    checkpoint?: string;
    captions?: CaptionWay;
    queries?: string;
    gallery?: string;
    similarity?: "cosine" | "dot";
    allowMissing: boolean;
  },
  events: RunEvents,
): Promise<Answers> {
  if (dir === undefined) {
    if (queries === undefined || gallery === undefined)
      throw new UsageError("--run DIR, or --queries FILE and --gallery FILE are missing");
    if (checkpoint !== undefined || captions !== undefined)
      throw new UsageError("--checkpoint and --captions go with --run");
    const ready = await readGiven({ ...where, queries, gallery });
    return { engine: await Engine.create(), ready, hash: ready.hash, similarity };
  }
  if (queries !== undefined || gallery !== undefined || similarity !== "cosine")
    throw new UsageError(
      "--queries, --gallery and --similarity are for embeddings that are given; --run has its own",
    );
  const run = await openModel(dir, { checkpoint });
  const source = sourceOf(run.config, { ...where, captions });
  const data = await openData(source, run.config.model.vision, events);
  const open = await data.open(where.split);
  const embedded = await embedData(run, open, source.captions ?? captionsOf(run.config), events);
  await data.close();
  const hash = { weights: await hashOf(run.weights) };
  return { engine: run.engine, ready: { split: open.split, embedded }, hash, similarity };
}

export const submitCheckCommand = command({
  about: "Says what CIRR's or CIRCO's server would refuse of a submission file",
  operands: { file: needed(path("FILE", "The submission file")) },
  options: {
    data: choice<Served>(
      "NAME",
      ["cirr", "circo"],
      "Whose file it is, with --root; told by the file unless given",
    ),
    root: path("DIR", "Folder of the data set, so that names and missing queries are checked too"),
    split: text("NAME", "Split that it is for (test1 of cirr and test of circo unless told)"),
  },
  async run({ file, data, root, split }, { output }) {
    const content = await readText(folderFiles(dirname(file)), basename(file));
    const first = checkSubmission(content);
    const kind = data ?? (first.kind === "circo" ? "circo" : "cirr");
    const name = split ?? (kind === "cirr" ? "test1" : "test");
    const check =
      root === undefined || first.kind === null
        ? first
        : checkSubmission(content, await readSplit(kind, folderFiles(root), name));
    const ok = check.problems.length === 0;
    output.result({ file, ok, ...check }, submissionTable(file, check));
    return ok ? exit.done : exit.failed;
  },
});

export const dataCheckCommand = command({
  about: "Checks a data set's folder: files, fields, counts, missing and broken pictures",
  options: {
    data: needed(choice<FolderData>("NAME", folderData, `One of ${folderData.join(", ")}`)),
    root: needed(path("DIR", "Folder of the data set")),
    split: many(text("NAME", "This split alone; may be given again")),
  },
  async run({ data, root, split }, { output }) {
    const events = consoleEvents(output);
    const check = await checkData(data, root, {
      splits: split,
      onProgress: (done, total) => events.progress("decoding", done, total),
    });
    events.end();
    output.result(check, dataTable(check));
    return check.ok ? exit.done : exit.failed;
  },
});
