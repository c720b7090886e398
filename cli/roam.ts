// `casement roam`: LaSCo-style triplets from VQA2.0's complementary pairs.
import { reasons } from "../train/roam/filters.ts";
import type { Roamed } from "../train/roam/roam.ts";
import type { Statistics } from "../train/roam/statistics.ts";
import { command } from "./command.ts";
import { needed, otherwise, path, whole } from "./options.ts";
import { exit, visible } from "./output.ts";
import { consoleEvents } from "./progress.ts";

const stopMessage = "Stopping; once more to quit at once.";

export const roamCommand = command({
  about: "Makes triplets of VQA2.0's complementary pairs, in LaSCo's own files",
  options: {
    questions: needed(path("FILE", "VQA2.0's questions, v2_OpenEnded_mscoco_train2014_questions.json")),
    annotations: needed(path("FILE", "Their answers, v2_mscoco_train2014_annotations.json")),
    pairs: needed(path("FILE", "v2_mscoco_train2014_complementary_pairs.json")),
    out: needed(path("DIR", "Folder to be made")),
    captions: path("FILE", "COCO's captions_train2014.json: mixes captions in, for LaSCo.Ca"),
    captionShare: otherwise(whole("N", "Of a hundred texts, so many become captions", 0, 100), 50),
    longest: otherwise(whole("N", "Characters that a text may have", 1), 100),
    limit: whole("N", "The first N pairs only", 1),
    seed: otherwise(whole("N", "Seed of wordings and of which texts become captions", 0), 0),
  },
  async run({ questions, annotations, pairs, ...options }, { output, interrupt }) {
    // Here, as no other command needs a tagger of English.
    const { roam } = await import("../train/roam/roam.ts");
    const events = consoleEvents(output);
    const roamed = await roam({
      ...options,
      files: { questions, annotations, pairs },
      by: "rules",
      events,
      stop: interrupt.stoppable(stopMessage),
    });
    events.end();
    if (roamed === null) {
      output.result({ out: options.out, finished: false }, "Stopped; nothing was written.");
      return exit.interrupted;
    }
    output.result({ finished: true, ...roamed }, roamTable(roamed));
    return exit.done;
  },
});

const number = (value: number) => value.toLocaleString("en-US");

/** What was written, what was left out and why, and the paper's table. */
function roamTable({ out, files, pairs, triplets, texts, leftOut, statistics }: Roamed): string {
  const line = (count: number, what: string) => `  ${number(count).padStart(9)} ${what}`;
  const sorted = (counts: Record<string, number>) => Object.entries(counts).sort(([, a], [, b]) => b - a);
  const left = sorted(leftOut).map(([reason, count]) => line(count, reasons[reason as keyof typeof reasons]));
  return [
    `${number(triplets)} triplets from ${number(pairs)} pairs, both directions`,
    ["texts by", ...sorted(texts).map(([by, count]) => line(count, by))].join("\n"),
    ...(left.length > 0 ? [["left out", ...left].join("\n")] : []),
    statisticsTable(statistics),
    `Written to ${visible(out, "line")}: ${files.join(", ")}`,
  ].join("\n\n");
}

function statisticsTable(rows: readonly Statistics[]): string {
  const names = rows.map(({ name }) => visible(name, "line"));
  const width = Math.max(...names.map((name) => name.length));
  const head = ["triplets", "train images", "val images", "unique tokens", "mean length"];
  const cells = rows.map(({ triplets, trainPictures, valPictures, tokens, length }) => [
    ...[triplets, trainPictures, valPictures, tokens].map((value) => (value === null ? "-" : number(value))),
    length.toFixed(1),
  ]);
  const row = (name: string, values: readonly string[]) =>
    `  ${name.padEnd(width)}  ${values.map((value, i) => value.padStart(head[i]!.length)).join("  ")}`;
  return [row("", head), ...names.map((name, i) => row(name, cells[i]!))].join("\n");
}
