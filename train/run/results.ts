// `npm run results`: CASE and its rivals under one budget, and the table in docs/results.md that compares them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError, type RunConfig } from "../config.ts";
import type { Metrics, Recall } from "../eval/metrics.ts";
import { overrule } from "../overrule.ts";
import { ablate, ablations } from "./ablations.ts";
import { writeAtomically } from "./checkpoint.ts";
import { loadConfig } from "./config-file.ts";
import { type RunEvents, train } from "./train.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const configFile = join(root, "train/configs/emoji-tiny.json");
const page = join(root, "docs/results.md");
/** The part of the page that is rewritten lies between these two lines. */
const marks = ["<!-- results: begin -->", "<!-- results: end -->"] as const;

export interface ResultsOptions {
  /** Steps of each run, instead of the configuration's. */
  steps?: number;
  events: RunEvents;
  stop: () => boolean;
}

/**
 * Trains all models and rewrites the table. A model whose finished run has the same configuration is not trained again.
 * Returns the page, null where it was stopped before.
 */
export async function writeResults({ steps, events, stop }: ResultsOptions): Promise<string | null> {
  const base = overrule(await loadConfig(configFile), { steps });
  const configs = new Map<string, RunConfig>([["CASE", base]]);
  for (const name of ablations) configs.set(name, ablate(base, name));
  const rows = new Map<string, Metrics>();
  for (const [name, config] of configs) {
    const out = join(root, "runs/results", config.name);
    const metrics = (await finished(out, config)) ?? (await trainOne(config, out, events, stop));
    if (!metrics) return null;
    rows.set(name, metrics);
  }
  await writeAtomically(page, insert(await readFile(page, "utf8"), table(base, rows)));
  return page;
}

async function trainOne(
  config: RunConfig,
  out: string,
  events: RunEvents,
  stop: () => boolean,
): Promise<Metrics | null> {
  const outcome = await train(config, { out, events, stop, fresh: true, command: "npm run results" });
  return outcome.finished ? outcome.metrics : null;
}

/** The metrics of a finished run of exactly this configuration. */
async function finished(out: string, config: RunConfig): Promise<Metrics | null> {
  try {
    const same = JSON.stringify(await loadConfig(join(out, "config.json"))) === JSON.stringify(config);
    return same ? (JSON.parse(await readFile(join(out, "metrics.json"), "utf8")) as Metrics) : null;
  } catch {
    return null;
  }
}

function insert(text: string, body: string): string {
  const [from, to] = [text.indexOf(marks[0]), text.indexOf(marks[1])];
  if (from < 0 || to < from) throw new ConfigError(`${page} lacks the lines ${marks.join(" and ")}.`);
  return `${text.slice(0, from + marks[0].length)}\n${body}\n${text.slice(to)}`;
}

function cells(recall: Recall): string {
  return [recall.r1, recall.r5, recall.r10, recall.r50].map((value) => value.toFixed(1)).join(" | ");
}

function table(base: RunConfig, rows: ReadonlyMap<string, Metrics>): string {
  const first = rows.get("CASE")!;
  const { steps, triplets, pictures } = base.training;
  const lines = [
    `${steps} steps of ${triplets} triplets over ${pictures} pictures each, seed ${base.seed}, on ${first.adapter}. Recall in percent.`,
  ];
  for (const [name, split] of Object.entries(first.splits)) {
    lines.push(
      "",
      `### ${name}`,
      "",
      `${split.queries} queries against ${split.gallery} pictures, the reference taken out; a random order reaches R@10 of ${split.chance_r10.toFixed(2)} %.`,
      "",
      "| model | R@1 | R@5 | R@10 | R@50 | minutes |",
      "|---|--:|--:|--:|--:|--:|",
      ...Array.from(
        rows,
        ([model, metrics]) =>
          `| ${model} | ${cells(metrics.splits[name]!)} | ${(metrics.seconds / 60).toFixed(1)} |`,
      ),
      `| raw 32-pixel nearest neighbours | ${cells(split.pixels)} | |`,
      "",
      "| kind (CASE) | queries | R@1 | R@5 | R@10 | R@50 | raw pixels R@1 | raw pixels R@10 |",
      "|---|--:|--:|--:|--:|--:|--:|--:|",
      ...Object.entries(split.kinds).map(
        ([kind, recall]) =>
          `| ${kind} | ${recall.queries} | ${cells(recall)} | ${recall.pixels.r1.toFixed(1)} | ${recall.pixels.r10.toFixed(1)} |`,
      ),
    );
  }
  return lines.join("\n");
}
