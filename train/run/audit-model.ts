// A split's embeddings by text, by picture and by both, of a run's model. The model's own ways for one modality are those that
// it has without the other: its text encoder with no picture to attend to, and the reference picture as a target, both of which
// live in the space of the targets. A model that was trained on pairs alone never learnt the first of these; a run that was
// trained on one modality (`train --ablate text`, `image`) is the stronger witness then, and may stand in its place.
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import type { Inference } from "../../model/parameters.ts";
import { captionsOf, type RunConfig } from "../config.ts";
import { type CaptionWay, textOf } from "../data/captions.ts";
import type { OpenData } from "../data/dataset.ts";
import type { Filtered } from "../data/filter.ts";
import type { DataName, Pictures, Query, Split } from "../data/types.ts";
import { captionsApart, type Way } from "../eval/audit.ts";
import { embedPictures, embedQueries, embedTexts } from "../eval/embed.ts";
import { type Embedded, protocolOf } from "../eval/protocols.ts";
import type { Matrix } from "../eval/scores.ts";
import { tellCut } from "../inputs.ts";
import { type DataSource, openData } from "./data.ts";
import type { RunEvents } from "./events.ts";
import { type Cut, cutSplit, hashOf } from "./given.ts";
import { type LoadedModel, openModel } from "./open.ts";
import { RowStore } from "./rows.ts";

export interface ModelWaysOptions {
  /** Folder of the run whose model ranks by both, and by one unless other runs do. */
  run: string;
  /** A checkpoint of it, in place of what it ended with. */
  checkpoint?: string;
  /** Folder of a run whose queries rank by the text, or by the picture, alone. */
  textRun?: string;
  imageRun?: string;
  precision?: Inference;
  /** The data set, for the run's configuration. */
  sourceOf: (config: RunConfig) => DataSource;
  split: string;
  /** What of it is asked for. */
  cutOf: (data: DataName) => Cut;
  /** Folder of the embeddings that are kept. */
  folder: string;
  events: RunEvents;
}

export interface ModelWays {
  engine: Engine;
  split: Split;
  embedded: Record<Way, Embedded>;
  /** Of the queries of `captionsApart`. */
  apart?: Embedded;
  pictures: Pictures;
  hash: Record<string, string>;
  captions: CaptionWay;
  filter?: Filtered;
  close(): Promise<void>;
}

/** A run's model with the split that it is asked about. */
interface Opened {
  run: LoadedModel;
  data: OpenData;
  split: Split;
  pictures: Pictures;
  weights: string;
  cut: { filter?: Filtered; hash: { list?: string } };
}

/** Embeds a split by a run's model; what was embedded before is read. Throws as `openModel`, `openData` and `cutSplit` do. */
export async function embedWays(options: ModelWaysOptions): Promise<ModelWays> {
  const { run: dir, checkpoint, textRun, imageRun, precision, folder, events } = options;
  const store = new RowStore(folder);
  let source: DataSource | undefined;
  const open = async (dir: string, checkpoint?: string): Promise<Opened> => {
    const run = await openModel(dir, { precision, checkpoint });
    try {
      // All runs are asked about the data set of the first.
      source ??= options.sourceOf(run.config);
      const data = await openData(source, run.config.model.vision, events);
      const { split: whole, pictures } = await data.open(options.split);
      protocolOf(whole);
      const { split, ...cut } = await cutSplit(whole, options.cutOf(whole.data));
      return { run, data, split, pictures, weights: await hashOf(run.weights), cut };
    } catch (error) {
      run.engine.dispose();
      throw error;
    }
  };
  const main = await open(dir, checkpoint);
  const { run, data, split, cut } = main;
  const close = async () => {
    await data.close();
    run.engine.dispose();
  };
  try {
    const captions = source!.captions ?? captionsOf(run.config);
    const own = await embedder(main, captions, store, events);
    /** A whole run's queries in the place of one modality. */
    const standIn = async (dir: string) => {
      const other = await open(dir);
      try {
        return {
          hash: other.weights,
          embedded: await (await embedder(other, captions, store, events)).queries(),
        };
      } finally {
        await other.data.close();
        other.run.engine.dispose();
      }
    };
    const both = await own.queries();
    const text = textRun === undefined ? null : await standIn(textRun);
    const image = imageRun === undefined ? null : await standIn(imageRun);
    const embedded = {
      text: text?.embedded ?? (await own.texts()),
      image: image?.embedded ?? own.references(),
      both,
    };
    const apart = captionsApart(split).queries.length > 0 ? await own.captions() : undefined;
    await store.prune();
    return {
      ...{ engine: run.engine, split, embedded, pictures: main.pictures, captions, close },
      ...(apart && { apart }),
      ...(cut.filter && { filter: cut.filter }),
      hash: {
        weights: main.weights,
        ...(text && { "text weights": text.hash }),
        ...(image && { "image weights": image.hash }),
        ...cut.hash,
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What embeds a split by a model; its galleries and references are embedded when it is there. */
async function embedder(
  { run, split, pictures, weights }: Opened,
  way: CaptionWay,
  store: RowStore,
  events: RunEvents,
) {
  const { engine, model, tokenizer, config } = run;
  const width = model.config.projection;
  const known = JSON.stringify([
    weights,
    config.model,
    tokenizer.toJSON(),
    config.precision,
    model.parameters.bits,
  ]);
  const about = createHash("sha256").update(known).digest("hex");
  const progress = (what: string, total: number) => (done: number) => events.progress(what, done, total);
  const wanted = new Set(split.galleries.flatMap((gallery) => [...gallery.pictures]));
  for (const { reference } of split.queries) wanted.add(reference);
  const ids = [...wanted].sort((a, b) => a - b);
  const digests = await digestsOf(pictures, ids, progress("looking at the pictures", ids.length));
  const rows = await store.rows(
    [about, "target"],
    ids.length,
    width,
    (i) => digests.get(ids[i]!)!,
    (from, to) => embedPictures(engine, model, pictures, ids.slice(from, to)),
    progress("embedding the pictures", ids.length),
  );
  const targets: Matrix = { values: new Float32Array(pictures.count * width), width };
  for (const [i, id] of ids.entries())
    targets.values.set(rows.subarray(i * width, (i + 1) * width), id * width);
  const asked = (queries: Float32Array): Embedded => ({
    queries: { values: queries, width },
    pictures: targets,
  });
  const textsOf = (queries: readonly Query[]) => queries.map((query) => textOf(query, way));

  const embed = async (queries: readonly Query[], what: string) => {
    const texts = textsOf(queries);
    const cut = tellCut(tokenizer, model.config, texts, what);
    if (cut) events.message(cut);
    const pairs = queries.map(({ reference }, i) => ({ reference, text: texts[i]! }));
    const rows = await store.rows(
      [about, "query"],
      pairs.length,
      width,
      (i) => `${digests.get(pairs[i]!.reference)} ${pairs[i]!.text}`,
      (from, to) => embedQueries(engine, model, tokenizer, pictures, pairs.slice(from, to)),
      progress(`embedding the ${what}`, pairs.length),
    );
    return asked(rows);
  };
  return {
    queries: () => embed(split.queries, "queries"),
    captions: () => embed(captionsApart(split).queries, "captions"),
    async texts() {
      const texts = textsOf(split.queries);
      const rows = await store.rows(
        [about, "text"],
        texts.length,
        width,
        (i) => texts[i]!,
        (from, to) => embedTexts(engine, model, tokenizer, texts.slice(from, to)),
        progress("embedding the texts", texts.length),
      );
      return asked(rows);
    },
    references: (): Embedded => ({
      queries: targets,
      rows: split.queries.map(({ reference }) => reference),
      pictures: targets,
    }),
  };
}

/** Pictures that are read at a time. */
const block = 256;

/** The hashes of pictures' pixels, by id. */
async function digestsOf(
  pictures: Pictures,
  ids: readonly number[],
  onProgress: (done: number) => void,
): Promise<Map<number, string>> {
  const digests = new Map<number, string>();
  const bytes = 3 * pictures.size ** 2;
  for (let from = 0; from < ids.length; from += block) {
    const part = ids.slice(from, from + block);
    const pixels = await pictures.read(part);
    for (const [i, id] of part.entries()) {
      const hash = createHash("sha256").update(pixels.subarray(i * bytes, (i + 1) * bytes));
      digests.set(id, hash.digest("hex"));
    }
    onProgress(from + part.length);
  }
  return digests;
}

/** Where an audit's folder keeps embeddings. */
export const embeddingsFolder = (out: string) => join(out, "embeddings");
