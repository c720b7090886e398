// `casement audit`: which queries one modality answers alone.
import { join } from "node:path";
import { Engine } from "../engine/index.ts";
import { type Audit, audit, type Group, type Removal, ways } from "../train/eval/audit.ts";
import { protocols, provenanceOf } from "../train/eval/protocols.ts";
import { count, metricName, share } from "../train/report/format.ts";
import { auditFiles, auditSummary, inAuditFolder, writeAudit } from "../train/run/audit.ts";
import { readGivenWays } from "../train/run/given.ts";
import { command } from "./command.ts";
import { asked, galleryNames, given, listOf, lists, requireFashioniq, variants } from "./judge.ts";
import { choice, needed, otherwise, path, text, whole } from "./options.ts";
import { exit } from "./output.ts";
import { consoleEvents } from "./progress.ts";

export const auditCommand = command({
  about: "Tells which queries of a data set one modality answers alone",
  options: {
    data: needed(choice("NAME", asked, `One of ${asked.join(", ")}`)),
    split: needed(text("NAME", "Split: val, or another one whose answers are known")),
    ...given,
    textQueries: needed(path("FILE", "Safetensors: the queries' embeddings by their texts alone")),
    imageQueries: path("FILE", "By their reference pictures alone; those of the gallery unless told"),
    captionQueries: path(
      "FILE",
      "By picture and each caption by itself, ids ID/0, ID/1, where queries have several",
    ),
    out: needed(path("DIR", `Folder for ${Object.values(auditFiles).join(", ")}`)),
    k: otherwise(whole("N", "A query is answered where its target is among the first N", 1), 10),
    ...variants,
    ...lists,
  },
  async run(values, { output }) {
    const { data, pictures = "original", reference, captions, similarity = "cosine", out, k } = values;
    requireFashioniq(values);
    const ready = await readGivenWays({
      ...values,
      categories: values.category,
      ...(data === "fashioniq" && { galleries: [galleryNames[pictures]] }),
      filter: listOf(values),
    });
    const events = consoleEvents(output);
    const engine = await Engine.create();
    const { what } = protocols[data];
    const [found, files] = await inAuditFolder(out, events.message, async () => {
      const found = await audit(engine, ready.split, ready.embedded, {
        ...{ similarity, hash: ready.hash, filter: ready.filter, reference, k, apart: ready.apart },
        captions: captions ?? ready.captions ?? "not told",
        onProgress: (done, total) => events.progress("ranking", done, total),
      });
      const parts = { ...ready, pictures: { root: values.root }, what };
      return [found, await writeAudit(engine, out, found, parts)] as const;
    });
    engine.dispose();
    events.end();
    const { notes } = ready.split;
    output.result({ ...auditSummary(found), notes, files }, auditTable(found, notes, out));
    return exit.done;
  },
});

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
