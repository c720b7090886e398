// `casement results`: CASE and its rivals under one budget with several seeds, and the tables in docs/results.md that
// compare them. What is finished is not done again, what was interrupted goes on; the page is of what there is so far.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, type RunConfig } from "../config.ts";
import { overrule } from "../overrule.ts";
import { type Claim, type ComparedRun, compare, type System } from "../report/comparison.ts";
import { type Ablation, ablate, ablations, describeAblation } from "./ablations.ts";
import { newestStep } from "./checkpoint.ts";
import { loadConfig } from "./config-file.ts";
import { folderStore, writeAtomically } from "./disk.ts";
import type { RunEvents } from "./events.ts";
import { files } from "./store.ts";
import { train } from "./train.ts";

/** The part of the page that is rewritten lies between these two lines. */
const marks = ["<!-- results: begin -->", "<!-- results: end -->"] as const;

/** The name of the system that the rivals are compared with. */
export const subject = "CASE";
export const systemNames = [subject, ...ablations] as const;
type SystemName = (typeof systemNames)[number];

const claims: Claim[] = [
  {
    says: "attending to the picture in every layer beats joining two embeddings",
    against: ["late-fusion", "gate", "combiner"],
  },
  { says: "learning the reverse query helps", against: ["no-rev"] },
  { says: "queries need both modalities", against: ["text-only", "image-only"] },
];

export interface ResultsOptions {
  /** Of CASE; the rivals differ from it in one thing each. */
  config: RunConfig;
  /** Each system is trained with so many seeds, from the configuration's on. */
  seeds: number;
  /** Those that are trained; the page shows whatever has runs. */
  only?: readonly SystemName[];
  /** Where the runs are kept. */
  folder: string;
  /** Markdown file with the lines between which it is rewritten. */
  page: string;
  events: RunEvents;
  stop: () => boolean;
}

const aboutOf = (name: SystemName) =>
  name === subject
    ? "text that attends to the picture in every layer, with the reverse query"
    : describeAblation(name);

interface PlannedRun {
  system: SystemName;
  config: RunConfig;
}

/** All runs in their order: the first seed of every system, then the second. A run's folder has its configuration's name. */
export function plan(base: RunConfig, seeds: number): PlannedRun[] {
  return Array.from({ length: seeds }, (_, i) => base.seed + i).flatMap((seed) =>
    systemNames.map((system): PlannedRun => {
      const own = system === subject ? base : ablate(base, system as Ablation);
      const config = overrule(own, { seed });
      return { system, config: { ...config, name: `${config.name}-seed-${seed}` } };
    }),
  );
}

/**
 * Trains what is missing, the first seed of all systems before the second, and rewrites the page after each run. Returns
 * whether all is done; false where it was stopped. Throws ConfigError for a page without its marks, before training.
 */
export async function writeResults(options: ResultsOptions): Promise<boolean> {
  const { config, seeds, only = systemNames, folder, events, stop } = options;
  const known = new Map<SystemName, ComparedRun[]>(systemNames.map((name) => [name, []]));
  const missing: PlannedRun[] = [];
  for (const planned of plan(config, seeds)) {
    const run = await finished(join(folder, planned.config.name), planned.config);
    if (run) known.get(planned.system)!.push(run);
    else if (only.includes(planned.system)) missing.push(planned);
  }
  await rewritePage(options, known);
  for (const { system, config } of missing) {
    const out = join(folder, config.name);
    const resume = await interrupted(out, config);
    const command = "npx casement results";
    const outcome = await train(config, { ...{ out, events, stop, resume, command }, fresh: !resume });
    const run = outcome.finished ? await finished(out, config) : null;
    if (!run) return false;
    known.get(system)!.push(run);
    known.get(system)!.sort((a, b) => a.seed - b.seed);
    await rewritePage(options, known);
  }
  return true;
}

async function rewritePage(
  { config, page }: ResultsOptions,
  known: ReadonlyMap<SystemName, readonly ComparedRun[]>,
): Promise<void> {
  const text = await readFile(page, "utf8");
  const [from, to] = [text.indexOf(marks[0]), text.indexOf(marks[1])];
  if (from < 0 || to < from) throw new ConfigError(`${page} lacks the lines ${marks.join(" and ")}.`);
  const systems = [...known].map(([name, runs]): System => ({ name, about: aboutOf(name), runs }));
  if (systems[0]!.runs.length === 0) return;
  const { steps, triplets, pictures } = config.training;
  const budget = `${steps} steps of ${triplets} triplets over ${pictures} pictures each`;
  const body = compare(systems, claims, budget);
  await writeAtomically(page, `${text.slice(0, from + marks[0].length)}\n${body}\n${text.slice(to)}`);
}

/** Whether a folder has the configuration. */
async function isOf(out: string, config: RunConfig): Promise<boolean> {
  try {
    return JSON.stringify(await loadConfig(join(out, files.config))) === JSON.stringify(config);
  } catch {
    return false;
  }
}

/** A finished run of exactly this configuration; null where there is none. */
async function finished(out: string, config: RunConfig): Promise<ComparedRun | null> {
  if (!(await isOf(out, config))) return null;
  try {
    const [metrics, ranks] = await Promise.all(
      [files.metrics, files.ranks].map(async (name) => JSON.parse(await readFile(join(out, name), "utf8"))),
    );
    return { seed: config.seed, metrics, ranks };
  } catch {
    return null;
  }
}

/** Whether a run of exactly this configuration can go on. */
async function interrupted(out: string, config: RunConfig): Promise<boolean> {
  return (await isOf(out, config)) && (await newestStep(folderStore(out))) !== null;
}
