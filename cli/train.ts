// `casement train`: a run from a configuration, or the rest of one.
import { basename, join } from "node:path";
import type { RunConfig } from "../train/config.ts";
import { overrule, type Setting } from "../train/overrule.ts";
import { ablate, ablations } from "../train/run/ablations.ts";
import { loadConfig } from "../train/run/config-file.ts";
import { runConfig } from "../train/run/open.ts";
import { train } from "../train/run/train.ts";
import { command } from "./command.ts";
import { trainingDataOptions, withData } from "./data.ts";
import { choice, flag, path, quoted, UsageError, type Values, whole, writtenOut } from "./options.ts";
import { exit } from "./output.ts";
import { consoleEvents } from "./progress.ts";
import { requireOnce, settings } from "./settings.ts";
import { metricsTables } from "./tables.ts";

export const stopMessage = "Stopping as soon as it can go on from there; once more to quit at once.";

/** What starts a run, and has no meaning for one that goes on. */
const starting = {
  config: path("FILE", "Configuration file (JSON)"),
  out: path("DIR", "Folder of the run (runs/NAME unless told)"),
  seed: whole("N", "Seed, instead of the configuration's", 0),
  ablate: choice("RIVAL", ablations, `Train a rival: ${ablations.join(", ")}`),
  ...trainingDataOptions,
  init: path("DIR", "Start from the model in this folder: an import or a finished run"),
  fresh: flag("Move an earlier run in the folder aside"),
};

export const trainCommand = command({
  about: "Trains and evaluates a model",
  options: {
    ...starting,
    steps: whole("N", "Number of steps, instead of the configuration's", 1),
    set: settings,
    resume: path("DIR", "Go on with the run in this folder; what --steps and --set change then stays"),
  },
  async run({ steps, set, resume, ...flags }, { output, interrupt }) {
    requireOnce(set, { "training.steps": steps, seed: flags.seed });
    const config = await (resume === undefined ? configOf({ ...flags, set }) : configOfRun(resume, flags));
    const changed = overrule(config, {
      ...{ settings: set, steps, seed: flags.seed },
      begun: resume !== undefined,
    });
    const typed = { ...flags, steps, set: set.map(({ text }) => text) };
    const out = resume ?? flags.out ?? defaultFolder(changed.name);
    const events = consoleEvents(output);
    const outcome = await train(changed, {
      ...{ out, events, stop: interrupt.stoppable(stopMessage) },
      ...{ resume: resume !== undefined, fresh: flags.fresh, init: flags.init },
      command: `npx casement train ${writtenOut(resume === undefined ? typed : { config: join(out, "config.json") })}`,
    });
    events.end();
    if (outcome.finished) {
      const { metrics } = outcome;
      const tables = `${metricsTables(metrics)}\n\nReport: ${join(out, "report.html")}`;
      output.result({ out, finished: true, metrics }, tables);
      return exit.done;
    }
    const { step } = outcome;
    const next = step === 0 ? null : `npx casement train ${writtenOut({ resume: out })}`;
    output.result(
      { out, finished: false, step, resume: next },
      next === null
        ? "Stopped before the first step; nothing was written."
        : `Stopped after step ${step}. To go on: ${next}`,
    );
    return exit.interrupted;
  },
});

type Starting = Values<typeof starting>;

async function configOf({
  config: file,
  ablate: rival,
  ...typed
}: Starting & { set: Setting[] }): Promise<RunConfig> {
  if (file === undefined) throw new UsageError("--config FILE or --resume DIR is missing");
  const config = withData(await loadConfig(file), typed);
  return rival === undefined ? config : ablate(config, rival);
}

async function configOfRun(dir: string, flags: Starting): Promise<RunConfig> {
  const beside = writtenOut(flags);
  if (beside !== "") {
    throw new UsageError(
      `--resume takes everything but --steps and --set from the run; leave out: ${beside}`,
    );
  }
  return runConfig(dir);
}

/** Where a run goes by its name alone. */
export function defaultFolder(name: string): string {
  if (basename(name) !== name || name === "." || name === "..")
    throw new UsageError(`--out DIR is missing; the configuration's name, ${quoted(name)}, is no folder's`);
  return join("runs", name);
}
