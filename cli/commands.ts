// The commands, one per line of the README's table.

import { join } from "node:path";
import type { ImportPlan } from "../model/checkpoint/plan.ts";
import { captionsOf } from "../train/config.ts";
import { galleryOf } from "../train/data/dataset.ts";
import type { References } from "../train/eval/protocols.ts";
import { tellCut } from "../train/inputs.ts";
import { overrule } from "../train/overrule.ts";
import { root, workFolder } from "../train/place.ts";
import { figures } from "../train/profile/figures.ts";
import { profile, profileFiles } from "../train/profile/index.ts";
import { readPosition, stepIn } from "../train/run/checkpoint.ts";
import { loadConfig } from "../train/run/config-file.ts";
import { openData } from "../train/run/data.ts";
import { fileAt } from "../train/run/disk.ts";
import { embed } from "../train/run/embed.ts";
import { evaluate } from "../train/run/evaluate.ts";
import { exportCheckpoint, importCheckpoint } from "../train/run/import.ts";
import { openEngine, openModel } from "../train/run/open.ts";
import { systemNames, writeResults } from "../train/run/results.ts";
import { search } from "../train/run/search.ts";
import { auditCommand } from "./audit.ts";
import { type Command, command } from "./command.ts";
import { dataOptions, precision, sourceOf, trainingDataOptions, withData } from "./data.ts";
import { doctor } from "./doctor.ts";
import { dataCheckCommand, listOf, lists, scoreCommand, submitCheckCommand, submitCommand } from "./judge.ts";
import { choice, filled, flag, many, needed, otherwise, path, text, UsageError, whole } from "./options.ts";
import { exit } from "./output.ts";
import { consoleEvents } from "./progress.ts";
import { roamCommand } from "./roam.ts";
import { settings } from "./settings.ts";
import { answerTable, importTable, metricsTables, planSummary, profileTable } from "./tables.ts";
import { defaultFolder, stopMessage, trainCommand } from "./train.ts";

const doctorCommand = command({
  about: "Shows adapter, features and limits, and what to do where no adapter is found",
  options: {
    check: flag("Check the driver too: a cut of the op table against float64, in about a minute"),
  },
  run: ({ check }, { output }) => doctor(output, { check }),
});

const evalCommand = command({
  about: "Prints recall tables of a trained run",
  options: {
    run: needed(path("DIR", "Folder of the run")),
    checkpoint: path("FILE", "A checkpoint of the run, in place of what it ended with"),
    ...dataOptions,
    split: many(text("NAME", "This split alone; may be given again")),
    reference: choice<References>(
      "WHAT",
      ["kept", "removed"],
      "Whether the reference competes, instead of the protocol's way",
    ),
    ...lists,
    precision,
  },
  async run({ run: dir, checkpoint, split, reference, precision, ...typed }, { output }) {
    const filter = listOf(typed);
    const events = consoleEvents(output);
    const { step } = checkpoint === undefined ? { step: null } : await readPosition(...fileAt(checkpoint));
    const run = await openModel(dir, { precision, checkpoint });
    const data = await openData(sourceOf(run.config, typed), run.config.model.vision, events);
    const splits = split.length > 0 ? split : data.evaluated;
    if (filter && splits.length !== 1) {
      throw new UsageError(
        `--only and --without are for one split, not for ${splits.join(" and ")}: --split NAME`,
      );
    }
    const { metrics } = await evaluate(run, data, {
      ...{ events, filter, splits, captions: typed.captions ?? captionsOf(run.config) },
      ...(reference !== undefined && { references: [reference] }),
    });
    metrics.steps = step ?? (await stepIn(...fileAt(run.weights))) ?? run.config.training.steps;
    await data.close();
    run.engine.dispose();
    events.end();
    output.result(metrics, metricsTables(metrics));
    return exit.done;
  },
});

const searchCommand = command({
  about: "Ranks the gallery for a picture and a text",
  options: {
    run: needed(path("DIR", "Folder of the run")),
    checkpoint: path("FILE", "A checkpoint of the run, in place of what it ended with"),
    ...{ data: dataOptions.data, root: dataOptions.root, allowMissing: dataOptions.allowMissing },
    split: text(
      "NAME",
      "Split whose pictures are searched; the first that the run is evaluated on unless told",
    ),
    image: needed(path("FILE", "Picture file")),
    text: needed(text("TEXT", "What should be different")),
    k: otherwise(whole("N", "Number of answers", 1, 128), 10),
    precision,
  },
  async run({ run: dir, checkpoint, split, image, text, k, precision, ...typed }, { output }) {
    const events = consoleEvents(output);
    const run = await openModel(dir, { precision, checkpoint });
    const data = await openData(sourceOf(run.config, typed), run.config.model.vision, events);
    const open = await data.open(split ?? data.evaluated[0] ?? data.splits[0]!);
    const answers = await search(run, galleryOf(open), image, text, k, events);
    await data.close();
    run.engine.dispose();
    events.end();
    output.result({ image, text, answers }, answerTable(answers));
    return exit.done;
  },
});

const importCommand = command({
  about: "Turns a BLIP, BERT or ViT checkpoint into a folder like a run's",
  operands: { source: needed(path("SOURCE", "A checkpoint, or a folder with one")) },
  options: {
    out: needed(path("DIR", "Folder to be made")),
    partial: flag("Start what the checkpoint lacks afresh"),
    imageSize: whole("N", "Side of the pictures, instead of the checkpoint's", 1),
    heads: whole("N", "Attention heads, where neither the checkpoint nor a config.json tells", 1),
    textHeads: whole("N", "Those of the text encoder, where there is another one", 1),
    ignore: many(filled("PATTERN", "Passes over tensors, or FILE:FIELD; * is any text, may be given again")),
  },
  async run({ out, ...options }, { output, interrupt }) {
    const stop = interrupt.stoppable("Stopping; what was written of the import is removed.");
    let summary: ReturnType<typeof planSummary> | undefined;
    const show = (plan: ImportPlan) => {
      summary = planSummary(plan);
      output.lines(importTable(plan));
    };
    const imported = await importCheckpoint({ ...options, out, show, stop });
    if (imported === null) {
      output.result({ finished: false, out }, "Stopped; nothing was imported.");
      return exit.interrupted;
    }
    const { weights } = imported;
    output.lines(`digest of the ${weights.tensors} tensors of floats: ${weights.sha256}`);
    output.result({ out, ...summary, weights }, `Imported to ${out}.`);
    return exit.done;
  },
});

const exportCommand = command({
  about: "Writes a model for Hugging Face's BlipForImageTextRetrieval",
  options: {
    run: needed(path("DIR", "Folder of the run or import")),
    format: needed(choice("NAME", ["safetensors-hf"], "safetensors-hf")),
    out: needed(
      path("FILE", "File to be made, or the folder for it; config.json and vocab.txt go beside it"),
    ),
  },
  async run({ run, out }, { output }) {
    const { files, notes } = await exportCheckpoint(run, out);
    output.result({ run, files, notes }, [`Exported to ${files.join(", ")}.`, ...notes].join(" "));
    return exit.done;
  },
});

const embedCommand = command({
  about: "Prints the embedding of a picture, a text, or a query of both",
  options: {
    checkpoint: needed(path("DIR", "Folder of a run or an import")),
    image: path("FILE", "Picture file"),
    text: text("TEXT", "Text"),
    precision,
  },
  async run({ checkpoint, image, text, precision }, { output }) {
    if (image === undefined && text === undefined)
      throw new UsageError("--image FILE or --text TEXT is missing");
    const model = await openModel(checkpoint, { precision });
    const cut = text === undefined ? null : tellCut(model.tokenizer, model.config.model, [text], "texts");
    if (cut) output.aside(cut);
    const { kind, embedding } = await embed(model, { image, text });
    model.engine.dispose();
    const numbers = [...embedding];
    output.result({ kind, image, text, embedding: numbers }, numbers.join(" "));
    return exit.done;
  },
});

const profileCommand = command({
  about: "Shows where the time of a training step goes",
  options: {
    config: needed(path("FILE", "Configuration file (JSON)")),
    ...trainingDataOptions,
    out: path("DIR", "Folder for trace.json, roofline.html and profile.json (runs/NAME/profile unless told)"),
    steps: otherwise(whole("N", "Steps that are measured; the fastest counts", 1), 3),
    set: settings,
  },
  async run({ config: file, steps, set, ...flags }, { output }) {
    const config = overrule(withData(await loadConfig(file), { ...flags, set }), { settings: set });
    const out = flags.out ?? join(defaultFolder(config.name), "profile");
    const events = consoleEvents(output);
    const engine = await openEngine(config, { exactTimestamps: true });
    const measured = await profile(engine, config, { out, steps, events });
    engine.dispose();
    events.end();
    const written = `Written to ${out}: ${Object.values(profileFiles).join(", ")}`;
    output.result(figures(config.name, measured), `${profileTable(measured)}\n\n${written}`);
    return exit.done;
  },
});

const resultsCommand = command({
  about: "Trains CASE and its rivals under one budget and rewrites docs/results.md",
  options: {
    seeds: otherwise(whole("N", "Seeds of each system, the first of all before the second", 1, 99), 3),
    steps: whole("N", "Number of steps, instead of the configuration's", 1),
    only: many(choice("NAME", systemNames, `Train this system only: ${systemNames.join(", ")}`)),
    config: path("FILE", "Configuration of CASE (train/configs/emoji-tiny.json unless told)"),
    out: path("DIR", "Folder of the runs (runs/results unless told)"),
    page: path("FILE", "The page (docs/results.md unless told)"),
  },
  async run({ seeds, steps, only, ...places }, { output, interrupt }) {
    const config = await loadConfig(places.config ?? join(root, "train/configs/emoji-tiny.json"));
    const page = places.page ?? join(workFolder, "docs/results.md");
    const events = consoleEvents(output);
    const finished = await writeResults({
      config: overrule(config, { steps }),
      ...{ seeds, page, events },
      ...(only.length > 0 && { only }),
      folder: places.out ?? join(workFolder, "runs/results"),
      stop: interrupt.stoppable(stopMessage),
    });
    events.end();
    output.result({ finished, page }, finished ? `Rewrote ${page}` : "Stopped; once more to go on.");
    return finished ? exit.done : exit.interrupted;
  },
});

export const commands = new Map<string, Command>([
  ["doctor", doctorCommand],
  ["train", trainCommand],
  ["eval", evalCommand],
  ["search", searchCommand],
  ["import", importCommand],
  ["export", exportCommand],
  ["embed", embedCommand],
  ["profile", profileCommand],
  ["results", resultsCommand],
  ["data check", dataCheckCommand],
  ["roam", roamCommand],
  ["score", scoreCommand],
  ["audit", auditCommand],
  ["submit", submitCommand],
  ["submit check", submitCheckCommand],
]);
