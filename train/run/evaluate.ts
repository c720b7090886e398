// Evaluates a model on the splits of a data set.

import { ConfigError } from "../config.ts";
import type { CaptionWay } from "../data/captions.ts";
import { textOf } from "../data/captions.ts";
import type { OpenData, OpenSplit } from "../data/dataset.ts";
import type { Filtered } from "../data/filter.ts";
import { joinPictures } from "../data/sequence.ts";
import type { Pictures } from "../data/types.ts";
import { compareKinds, embedSplit } from "../eval/evaluate.ts";
import type { Metrics, SheetRow } from "../eval/metrics.ts";
import type { Embedded, References } from "../eval/protocols.ts";
import { tellCut } from "../inputs.ts";
import type { RunEvents } from "./events.ts";
import { type Cut, cutSplit, hashOf } from "./given.ts";
import { embedGalleries, judgeSplit } from "./judge.ts";
import type { LoadedModel } from "./open.ts";

export interface EvaluateOptions {
  events: RunEvents;
  /** Names of splits; those with known answers that were not trained on unless there. */
  splits?: readonly string[];
  /** As written unless told. */
  captions?: CaptionWay;
  /** The protocol's own way unless told. */
  references?: readonly References[];
  /** A list of queries that are the only ones, or left out. */
  filter?: Cut["filter"];
  /** Steps that the model was trained for; the configuration's unless told. */
  steps?: number;
  /** Seconds that the run took before. */
  earlierSeconds?: number;
  /** Called with the figures as soon as they are there, and once more when the yardsticks are. */
  write?: (metrics: Metrics) => Promise<void>;
}

/** Figures, with a sheet of queries and answers whose picture ids point into `pictures`. */
export interface Evaluation {
  metrics: Metrics;
  /** By split, the rank of every query's best right answer, the reference left out. */
  ranks: Record<string, number[]>;
  sheet: SheetRow[];
  pictures: Pictures;
}

/** Evaluates splits by name. Throws ConfigError for a name that the data set lacks, NotFiniteError. */
export async function evaluate(
  run: LoadedModel,
  data: OpenData,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { engine, model, tokenizer, config, weights } = run;
  const started = performance.now();
  const { events, captions = "as written", references, earlierSeconds = 0, write = async () => {} } = options;
  const names = options.splits ?? data.evaluated;
  for (const name of names) {
    if (!data.splits.includes(name))
      throw new ConfigError(`There is no split "${name}"; there are ${data.splits.join(", ")}.`);
  }
  const hash = { weights: await hashOf(weights) };
  const metrics: Metrics = {
    ...{ results: [], notes: [], splits: {}, seconds: 0, adapter: engine.adapterName },
    steps: options.steps ?? config.training.steps,
  };
  const { bits } = model.parameters;
  if (bits) metrics.notes.push(`the weights of linear layers are packed in int${bits}`);
  const sheet: SheetRow[] = [];
  const ranks: Evaluation["ranks"] = {};
  const opened: (OpenSplit & { filter?: Filtered; list?: string })[] = [];
  for (const name of names) {
    const { split: whole, pictures } = await data.open(name);
    if (!options.filter) opened.push({ split: whole, pictures });
    else {
      const { split, filter, hash } = await cutSplit(whole, { filter: options.filter });
      opened.push({ split, pictures, filter, list: hash.list });
    }
  }
  const galleries = await embedGalleries(engine, model, opened, events);
  for (const open of opened) {
    const { split, pictures, filter, list } = open;
    const { name } = split;
    const texts = split.queries.map((query) => textOf(query, captions));
    const cut = tellCut(tokenizer, model.config, texts, `queries of ${name}`);
    if (cut) events.message(cut);
    const { targets, first } = galleries.get(pictures)!;
    const result = await judgeSplit(run, open, targets, {
      ...{ captions, references, filter, events },
      hash: { ...hash, ...(list !== undefined && { list }) },
    });
    metrics.results.push(...result.results);
    metrics.notes.push(...split.notes);
    ranks[name] = result.ranks;
    for (const row of result.sheet) {
      sheet.push({
        ...row,
        ...{ reference: row.reference + first, target: row.target + first },
        answers: row.answers.map((answer) => ({ ...answer, picture: answer.picture + first })),
      });
    }
  }
  const taken = () => earlierSeconds + (performance.now() - started) / 1000;
  metrics.seconds = taken();
  await write(metrics);
  // The yardstick comes last: what it could fail on is no loss to the figures.
  if (data.name === "emoji") {
    for (const open of opened) {
      const { name } = open.split;
      metrics.splits[name] = await compareKinds(engine, open, ranks[name]!);
    }
    metrics.seconds = taken();
    await write(metrics);
  }
  return { metrics, ranks, sheet, pictures: joinPictures([...galleries.keys()]) };
}

/** Embeddings of one split by a model: of its queries and of its galleries' pictures. Throws NotFiniteError. */
export async function embedData(
  { engine, model, tokenizer }: LoadedModel,
  open: OpenSplit,
  captions: CaptionWay,
  events: RunEvents,
): Promise<Embedded> {
  const galleries = await embedGalleries(engine, model, [open], events);
  const { targets } = galleries.get(open.pictures)!;
  return embedSplit(engine, model, tokenizer, open, targets, captions, (done) =>
    events.progress("embedding the queries", done, open.split.queries.length),
  );
}
