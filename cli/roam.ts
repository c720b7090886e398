// `casement roam`: LaSCo-style triplets from VQA2.0's complementary pairs.

import type { Pair } from "../train/roam/pairs.ts";
import { reasons } from "../train/roam/reasons.ts";
import type { Roamed } from "../train/roam/roam.ts";
import type { Statistics } from "../train/roam/statistics.ts";
import { command } from "./command.ts";
import { filled, needed, otherwise, path, text, UsageError, whole } from "./options.ts";
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
    captionShare: whole("N", "Of a hundred texts, so many become captions (50 unless told)", 0, 100),
    longest: otherwise(whole("N", "Characters that a text may have", 1), 100),
    llm: text(
      "URL",
      "Asks a language model for the texts: an OpenAI-compatible endpoint, such as http://host:8000/v1",
    ),
    model: filled("NAME", "The model's name there"),
    batch: whole("N", "Pairs to a request (10 unless told)", 1, 100),
    atOnce: whole("N", "Requests at a time (4 unless told)", 1, 256),
    timeout: whole("N", "Seconds in which a request must be answered (120 unless told)", 1, 86_400),
    limit: whole("N", "The first N pairs only", 1),
    seed: otherwise(whole("N", "Seed of wordings and of which texts become captions", 0), 0),
  },
  async run(
    { questions, annotations, pairs, captionShare, llm, model, batch, atOnce, timeout, ...given },
    { output, interrupt },
  ) {
    const forModel = {
      "--model NAME": model,
      "--batch N": batch,
      "--at-once N": atOnce,
      "--timeout N": timeout,
    };
    const idle = Object.entries(forModel).find(([, value]) => value !== undefined);
    if (llm === undefined && idle) throw new UsageError(`${idle[0]} is for --llm URL`);
    if (given.captions === undefined && captionShare !== undefined)
      throw new UsageError("--caption-share N is for --captions FILE");
    if (llm !== undefined && model === undefined) throw new UsageError("--llm URL needs --model NAME");
    // Here, as no other command needs a tagger of English.
    const { roam } = await import("../train/roam/roam.ts");
    const { askDefaults, askModel } = await import("../train/roam/model.ts");
    const { Chat } = await import("../train/roam/chat.ts");
    const chat =
      llm === undefined
        ? null
        : new Chat(llm, model!, process.env.CASEMENT_LLM_KEY?.trim() || undefined, (timeout ?? 120) * 1000);
    const events = consoleEvents(output);
    const stop = interrupt.stoppable(stopMessage);
    const ask = {
      ...askDefaults,
      batch: batch ?? askDefaults.batch,
      atOnce: atOnce ?? askDefaults.atOnce,
      events,
      stop,
    };
    const options = { ...given, captionShare: captionShare ?? 50 };
    const roamed = await roam({
      ...options,
      files: { questions, annotations, pairs },
      ...(chat && { rephraser: (asked: readonly Pair[]) => askModel(chat, asked, options.out, ask) }),
      by: chat === null ? "rules" : `${chat.model} at ${chat.endpoint}`,
      events,
      stop,
    });
    events.end();
    if (roamed === null) {
      output.result(
        { out: options.out, finished: false },
        chat === null
          ? "Stopped; nothing was written."
          : "Stopped; what was answered is kept, and the same command goes on from there.",
      );
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
