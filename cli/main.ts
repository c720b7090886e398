// The command line: one command per line of the README's table. Mistakes of the user end in one clear line and a
// status of 1; --debug shows where they came from.
import { basename, join } from "node:path";
import { cac } from "cac";
import type { ImportPlan } from "../model/checkpoint/plan.ts";
import type { Precision } from "../model/parameters.ts";
import { type Ablation, ablate, ablations } from "../train/ablations.ts";
import { ConfigError, loadConfig, type RunConfig } from "../train/config.ts";
import { embed } from "../train/embed.ts";
import { exportCheckpoint, importCheckpoint } from "../train/import.ts";
import { figures, profile, profileFiles } from "../train/profile.ts";
import { writeResults } from "../train/results.ts";
import { evaluate, openEngine, openModel, openRun, runConfig, train } from "../train/run.ts";
import { search } from "../train/search.ts";
import { doctor } from "./doctor.ts";
import { consoleEvents } from "./progress.ts";
import { answerTable, importTable, profileTable, recallTables } from "./tables.ts";

const cli = cac("casement");

cli
  .command("doctor", "Shows adapter, features and limits, and what to do where no adapter is found")
  .option("--check", "Check the driver too: a cut of the op table against float64, in about a minute")
  .option("--json", "Print JSON")
  .action(async (options: { json?: boolean; check?: boolean }) => {
    process.exitCode = await doctor(options);
  });

interface TrainFlags {
  config?: string;
  steps?: number;
  resume?: string;
  out?: string;
  seed?: number;
  ablate?: string;
  fresh?: boolean;
  init?: string;
}

cli
  .command("train", "Trains and evaluates a model")
  .option("--config <file>", "Configuration file (JSON)")
  .option("--steps <n>", "Number of steps, instead of the configuration's")
  .option("--resume <dir>", "Go on with the run in this folder")
  .option("--out <dir>", "Folder of the run (default: runs/NAME)")
  .option("--seed <n>", "Seed, instead of the configuration's")
  .option("--ablate <rival>", `Train a rival instead: ${Object.keys(ablations).join(", ")}`)
  .option("--init <dir>", "Start from the model in this folder: an import or a finished run")
  .option("--fresh", "Move an earlier run in the folder aside")
  .action(async (flags: TrainFlags) => {
    const config = await configure(flags);
    const out = flags.resume ?? flags.out ?? join("runs", config.name);
    const events = consoleEvents();
    const interrupted = onInterrupt(events.message);
    const command = `npx casement train --config ${flags.config ?? join(out, "config.json")}${flags.ablate ? ` --ablate ${flags.ablate}` : ""}`;
    const outcome = await train(config, {
      ...{ out, events, command, stop: interrupted },
      ...{ resume: flags.resume !== undefined, fresh: flags.fresh ?? false, init: flags.init },
    });
    events.end();
    if (!outcome.finished) {
      console.log(`Stopped after step ${outcome.step}. To go on: npx casement train --resume ${out}`);
      process.exitCode = 130;
      return;
    }
    console.log(recallTables(outcome.metrics));
    console.log(`\nReport: ${join(out, "report.html")}`);
  });

cli
  .command("eval", "Prints recall tables of a trained run")
  .option("--run <dir>", "Folder of the run")
  .option("--split <name>", "One split only")
  .option("--precision <name>", "f32 or f16; the run's own unless told")
  .option("--json", "Print JSON")
  .action(async (flags: { run?: string; split?: string; precision?: string; json?: boolean }) => {
    const dir = required(flags.run, "--run DIR");
    const events = consoleEvents(flags.json);
    const run = await openRun(dir, events, precisionOf(flags.precision));
    const names = flags.split ? [flags.split] : Object.keys(run.dataset.splits);
    const { metrics } = await evaluate(run, names, events);
    metrics.steps = run.config.training.steps;
    run.engine.dispose();
    events.end();
    console.log(flags.json ? JSON.stringify(metrics, null, 2) : recallTables(metrics));
  });

cli
  .command("search", "Ranks the gallery for a picture and a text")
  .option("--run <dir>", "Folder of the run")
  .option("--image <file>", "Picture file")
  .option("--text <text>", "What should be different")
  .option("-k <n>", "Number of answers", { default: 10 })
  .option("--precision <name>", "f32 or f16; the run's own unless told")
  .option("--json", "Print JSON")
  .action(
    async (flags: {
      run?: string;
      image?: string;
      text?: unknown;
      k: number;
      precision?: string;
      json?: boolean;
    }) => {
      const [dir, image] = [required(flags.run, "--run DIR"), required(flags.image, "--image FILE")];
      const text = `${required(flags.text, '--text "…"')}`;
      if (!Number.isInteger(flags.k) || flags.k < 1 || flags.k > 128)
        throw new ConfigError("-k must be 1 to 128.");
      const events = consoleEvents(flags.json);
      const run = await openRun(dir, events, precisionOf(flags.precision));
      const answers = await search(run, image, text, flags.k, events);
      run.engine.dispose();
      events.end();
      console.log(flags.json ? JSON.stringify({ image, text, answers }, null, 2) : answerTable(answers));
    },
  );

cli
  .command("import <source>", "Turns a BLIP, BERT or ViT checkpoint into a folder like a run's")
  .option("--out <dir>", "Folder to be made")
  .option("--partial", "Start what the checkpoint lacks afresh")
  .option("--image-size <n>", "Side of the pictures, instead of the checkpoint's")
  .action(async (source: string, flags: { out?: string; partial?: boolean; imageSize?: number }) => {
    const out = required(flags.out, "--out DIR");
    const { partial = false, imageSize } = flags;
    if (imageSize !== undefined && (!Number.isInteger(imageSize) || imageSize < 1))
      throw new ConfigError(`--image-size must be a whole number, not "${imageSize}".`);
    const show = (plan: ImportPlan) => console.log(importTable(plan));
    await importCheckpoint({ source, out, partial, imageSize, show });
    console.log(`Imported to ${out}.`);
  });

cli
  .command("export", "Writes a model for Hugging Face's BlipForImageTextRetrieval")
  .option("--run <dir>", "Folder of the run or import")
  .option("--format <name>", "safetensors-hf")
  .option("--out <file>", "File to be made; config.json and vocab.txt go beside it")
  .action(async (flags: { run?: string; format?: string; out?: string }) => {
    const dir = required(flags.run, "--run DIR");
    if (required(flags.format, "--format safetensors-hf") !== "safetensors-hf")
      throw new ConfigError(`--format must be safetensors-hf, not "${flags.format}".`);
    const file = required(flags.out, "--out FILE");
    await exportCheckpoint(dir, file);
    console.log(`Exported to ${file}. The matching head itm_head is zeros: CASE has none.`);
  });

cli
  .command("embed", "Prints the embedding of a picture, a text, or a query of both")
  .option("--checkpoint <dir>", "Folder of a run or an import")
  .option("--image <file>", "Picture file")
  .option("--text <text>", "Text")
  .option("--precision <name>", "f32 or f16; the run's own unless told")
  .option("--json", "Print JSON")
  .action(
    async (flags: {
      checkpoint?: string;
      image?: string;
      text?: unknown;
      precision?: string;
      json?: boolean;
    }) => {
      const dir = required(flags.checkpoint, "--checkpoint DIR");
      const { image } = flags;
      const text = flags.text === undefined ? undefined : `${flags.text}`;
      if (image === undefined) required(text, '--image FILE or --text "…"');
      const model = await openModel(dir, precisionOf(flags.precision));
      const { kind, embedding } = await embed(model, { image, text });
      model.engine.dispose();
      const numbers = [...embedding];
      console.log(flags.json ? JSON.stringify({ kind, image, text, embedding: numbers }) : numbers.join(" "));
    },
  );

cli
  .command("profile", "Shows where the time of a training step goes")
  .option("--config <file>", "Configuration file (JSON)")
  .option("--out <dir>", "Folder for trace.json, roofline.html and profile.json (default: runs/NAME/profile)")
  .option("--steps <n>", "Steps that are measured; the fastest counts", { default: 3 })
  .option("--json", "Print JSON")
  .action(async (flags: { config?: string; out?: string; steps: number; json?: boolean }) => {
    const config = await loadConfig(required(flags.config, "--config FILE"));
    const { steps } = flags;
    if (!Number.isInteger(steps) || steps < 1)
      throw new ConfigError(`--steps must be a whole number from 1, not "${steps}".`);
    const out = flags.out ?? join("runs", config.name, "profile");
    const events = consoleEvents(flags.json);
    const engine = await openEngine(config, { exactTimestamps: true });
    const measured = await profile(engine, config, { out, steps, events });
    engine.dispose();
    events.end();
    if (flags.json) console.log(JSON.stringify(figures(config.name, measured), null, 2));
    else {
      console.log(profileTable(measured));
      console.log(`\nWritten to ${out}: ${Object.values(profileFiles).join(", ")}`);
    }
  });

cli
  .command("results", "Trains emoji-tiny and its rivals under one budget and rewrites docs/results.md")
  .option("--steps <n>", "Number of steps, instead of the configuration's")
  .action(async (flags: { steps?: number }) => {
    const events = consoleEvents();
    await writeResults({ steps: flags.steps, events, stop: onInterrupt(events.message) });
    events.end();
  });

cli.option("--debug", "Show where an error came from");
cli.help();

async function configure(flags: TrainFlags): Promise<RunConfig> {
  if (flags.resume !== undefined) {
    if (flags.config || flags.ablate || flags.init || flags.seed !== undefined) {
      throw new ConfigError(
        "--resume takes configuration and seed from the run; leave --config, --ablate, --init, --seed out.",
      );
    }
    return overrule(await runConfig(flags.resume), flags);
  }
  const config = overrule(await loadConfig(required(flags.config, "--config FILE")), flags);
  if (flags.ablate === undefined) return config;
  if (!(flags.ablate in ablations)) {
    throw new ConfigError(
      `--ablate must be one of ${Object.keys(ablations).join(", ")}, not "${flags.ablate}".`,
    );
  }
  return ablate(config, flags.ablate as Ablation);
}

function overrule(config: RunConfig, flags: TrainFlags): RunConfig {
  for (const name of ["steps", "seed"] as const) {
    const value = flags[name];
    if (value !== undefined && (!Number.isInteger(value) || value < (name === "steps" ? 1 : 0))) {
      throw new ConfigError(`--${name} must be a whole number, not "${value}".`);
    }
  }
  const steps = flags.steps ?? config.training.steps;
  const warmup = Math.min(config.training.warmup, steps - 1);
  return { ...config, seed: flags.seed ?? config.seed, training: { ...config.training, steps, warmup } };
}

function required<T>(value: T | undefined, usage: string): T {
  if (value === undefined) throw new ConfigError(`Missing ${usage}; see npx casement --help.`);
  return value;
}

function precisionOf(name: string | undefined): Precision | undefined {
  if (name === undefined || name === "f32" || name === "f16") return name;
  throw new ConfigError(`--precision must be f32 or f16, not "${name}".`);
}

/** The first Ctrl-C asks to stop after the step at hand, a second one ends the process. */
function onInterrupt(message: (text: string) => void): () => boolean {
  let asked = false;
  process.on("SIGINT", () => {
    if (asked) process.exit(130);
    asked = true;
    message("Stopping after this step; press Ctrl-C again to quit at once.");
  });
  return () => asked;
}

try {
  cli.parse(process.argv, { run: false });
  if (!cli.matchedCommand && !cli.options.help) {
    if (cli.args.length > 0) throw new ConfigError(`There is no command "${cli.args[0]}".`);
    cli.outputHelp();
  } else await cli.runMatchedCommand();
  // Dawn's threads would keep the process alive after an error that left a device open.
  process.exit(process.exitCode ?? 0);
} catch (error) {
  const { message, stack } = error as Error;
  console.error(process.argv.includes("--debug") ? stack : `${basename("casement")}: ${message}`);
  process.exit(1);
}
