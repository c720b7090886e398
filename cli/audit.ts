// `casement audit`: which queries one modality answers alone.
import { join } from "node:path";
import { Engine } from "../engine/index.ts";
import type { RunConfig } from "../train/config.ts";
import type { DataName, Pictures, Split } from "../train/data/types.ts";
import {
  type Audit,
  type AuditOptions,
  audit,
  type Group,
  type Removal,
  type Way,
  ways,
} from "../train/eval/audit.ts";
import { type Embedded, protocols, provenanceOf } from "../train/eval/protocols.ts";
import { count, metricName, share } from "../train/report/format.ts";
import { auditFiles, auditSummary, inAuditFolder, writeAudit } from "../train/run/audit.ts";
import { embeddingsFolder, embedWays } from "../train/run/audit-model.ts";
import type { RunEvents } from "../train/run/events.ts";
import { readGivenWays } from "../train/run/given.ts";
import { command } from "./command.ts";
import { dataOptions, precision, sourceOf } from "./data.ts";
import { asked, galleryNames, given, listOf, lists, requireFashioniq, variants } from "./judge.ts";
import { needed, otherwise, path, text, UsageError, type Values, whole } from "./options.ts";
import { exit } from "./output.ts";
import { consoleEvents } from "./progress.ts";

const options = {
  run: path("DIR", "Folder of the run whose model ranks"),
  checkpoint: path("FILE", "A checkpoint of the run, in place of what it ended with"),
  textRun: path("DIR", "A run that was trained on texts alone: its queries are the text alone"),
  imageRun: path("DIR", "A run that was trained on pictures alone: its queries are the picture alone"),
  precision,
  ...dataOptions,
  split: needed(text("NAME", "Split: val, or another one whose answers are known")),
  queries: path("FILE", "Without --run: safetensors with the queries' embeddings, by picture and text"),
  textQueries: path("FILE", "Without --run: by their texts alone"),
  imageQueries: path("FILE", "Without --run: by their pictures alone; the gallery's rows unless told"),
  captionQueries: path("FILE", "Without --run: by picture and each caption by itself, ids ID/0, ID/1"),
  gallery: path("FILE", "Without --run: the pictures' embeddings"),
  similarity: given.similarity,
  out: needed(path("DIR", `Folder for ${Object.values(auditFiles).join(", ")}`)),
  k: otherwise(whole("N", "A query is answered where its target is among the first N", 1), 10),
  ...{ reference: variants.reference, category: variants.category, pictures: variants.pictures },
  ...lists,
};
type Typed = Values<typeof options>;

export const auditCommand = command({
  about: "Tells which queries of a data set one modality answers alone, by a model or anyone's embeddings",
  options,
  async run(values, { output }) {
    const { out, k, reference } = values;
    const events = consoleEvents(output);
    const open = opener(values, events);
    const { found, files, notes } = await inAuditFolder(out, events.message, async () => {
      const { engine, split, embedded, pictures, close, ...about } = await open();
      try {
        const found = await audit(engine, split, embedded, {
          ...{ ...about, reference, k },
          onProgress: (done, total) => events.progress("ranking", done, total),
        });
        const { what } = protocols[found.data as keyof typeof protocols];
        const files = await writeAudit(engine, out, found, { split, embedded, pictures, what });
        return { found, files, notes: split.notes };
      } finally {
        await close();
      }
    });
    events.end();
    output.result({ ...auditSummary(found), notes, files }, auditTable(found, notes, out));
    return exit.done;
  },
});

/** What is audited, and by what. */
interface Source extends Pick<AuditOptions, "similarity" | "captions" | "hash" | "filter" | "apart"> {
  engine: Engine;
  split: Split;
  embedded: Record<Way, Embedded>;
  pictures: { root: string } | Pictures;
  close(): Promise<void>;
}

/** What opens a run's model, or embeddings that are given. Throws UsageError for half of either. */
function opener(values: Typed, events: RunEvents): () => Promise<Source> {
  const { run, queries, textQueries, gallery, imageQueries, captionQueries, similarity } = values;
  const filter = listOf(values);
  const cutOf = (data: DataName) => {
    requireFashioniq({ ...values, data });
    const galleries = data === "fashioniq" ? [galleryNames[values.pictures ?? "original"]] : undefined;
    return { filter, categories: values.category, galleries };
  };
  if (run !== undefined) {
    if (
      [queries, textQueries, gallery, imageQueries, captionQueries, similarity].some(
        (one) => one !== undefined,
      )
    )
      throw new UsageError("--run has its own embeddings: leave out --similarity and the files of others");
    const folder = embeddingsFolder(values.out);
    const sourceIn = (config: RunConfig) => sourceOf(config, values);
    return async () => ({
      ...(await embedWays({ ...values, run, cutOf, folder, events, sourceOf: sourceIn })),
      similarity: "cosine",
    });
  }
  const { data, root } = values;
  if (queries === undefined || textQueries === undefined || gallery === undefined)
    throw new UsageError("--run DIR, or --queries FILE, --text-queries FILE and --gallery FILE are missing");
  const ofRun = [values.checkpoint, values.textRun, values.imageRun, values.precision];
  if (ofRun.some((one) => one !== undefined))
    throw new UsageError("--checkpoint, --text-run, --image-run and --precision go with --run");
  if (data === undefined) throw new UsageError("--data NAME is missing");
  if (data === "emoji" || data === "folder")
    throw new UsageError(`--data must be ${asked.join(", ")} for embeddings that are given, not ${data}`);
  if (root === undefined) throw new UsageError("--root DIR is missing");
  const cut = cutOf(data);
  return async () => {
    const ready = await readGivenWays({
      ...{ ...values, ...cut, data, root, queries, textQueries, gallery },
    });
    const engine = await Engine.create();
    return {
      ...{ ...ready, engine, similarity: similarity ?? "cosine", pictures: { root } },
      captions: values.captions ?? ready.captions ?? "not told",
      close: async () => engine.dispose(),
    };
  };
}

/** The n of the curve's lines; --json has all. */
const shownRanks = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const names = { text: "text alone", image: "picture alone", both: "both" };

/** What was found, for people: figures by modality, labels, and the curve at a few n. */
function auditTable(found: Audit, notes: readonly string[], out: string): string {
  const [whole] = found.groups as [Group];
  const head = provenanceOf({ ...found, category: whole.category, queries: whole.queries, metrics: {} });
  const solved = whole.labels.find(({ k }) => k === found.k)!["shortcut-solvable"];
  return [
    `${protocols[found.data as keyof typeof protocols].what}; by one modality alone and by both, in percent`,
    ...notes,
    head,
    ...found.groups.map((group) => groupTable(group, found.groups.length > 1)),
    `${count(solved)} redundant queries at rank ${found.k}: ${join(out, auditFiles.redundant)}; all files are in ${out}`,
  ].join("\n\n");
}

const row = (name: string, cells: readonly string[]) =>
  `  ${name.padEnd(30)}${cells.map((cell) => cell.padStart(9)).join("")}`;

function groupTable(
  { category, queries, pictures, metrics, labels, curves, paraphrases }: Group,
  several: boolean,
): string {
  const keys = Object.keys(metrics.both);
  const of = (part: number) => share(part / Math.max(1, queries));
  const labelled = (name: string, pick: (one: (typeof labels)[number]) => number) =>
    row(
      name,
      labels.map((one) => of(pick(one))),
    );
  const curve = (removal: Removal) => {
    const { left, metrics } = curves[removal];
    return shownRanks
      .filter((n) => n < left.length)
      .map((n) => row(`${n}`, [count(left[n]!), ...keys.map((key) => (100 * metrics[key]![n]!).toFixed(2))]));
  };
  const title = several
    ? [`${category ?? "all together"}: ${count(queries)} queries, ${count(pictures)} pictures`]
    : [];
  return [
    ...title,
    row("ranked by", keys.map(metricName)),
    ...ways.map((way) =>
      row(
        names[way],
        keys.map((key) => (100 * metrics[way][key]!).toFixed(2)),
      ),
    ),
    "",
    row(
      "labels at rank",
      labels.map(({ k }) => `${k}`),
    ),
    labelled("shortcut-solvable", (one) => one["shortcut-solvable"]),
    labelled("  by the text alone", (one) => one.text),
    labelled("  by the picture alone", (one) => one.image),
    labelled("  by each of them alone", (one) => one.each),
    labelled("shortcut-free", (one) => one["shortcut-free"]),
    labelled("  composition-required", (one) => one["composition-required"]),
    labelled("  unresolved", (one) => one.unresolved),
    "",
    row("without either's top", ["queries", ...keys.map(metricName)]),
    ...curve("either"),
    ...(paraphrases
      ? [
          "",
          `  ${count(paraphrases.pairs)} pairs have ${count(paraphrases.texts)} texts: the median rank is ${paraphrases.best} by a pair's best text, ` +
            `${paraphrases.worst} by its worst, ${paraphrases.factor.toFixed(1)} times as far`,
          row(
            "answered at rank",
            paraphrases.flips.map(({ k }) => `${k}`),
          ),
          row(
            "  by one text, not by another",
            paraphrases.flips.map(({ pairs }) => share(pairs / paraphrases.pairs)),
          ),
        ]
      : []),
  ].join("\n");
}
