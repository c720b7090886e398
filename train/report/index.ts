// The run report: one HTML file with everything that a run has to show, which opens anywhere and fetches nothing.
import { writeFile } from "node:fs/promises";
import type { Pictures } from "../data/types.ts";
import type { Metrics, SheetRow } from "../eval/metrics.ts";
import type { Result } from "../eval/protocols.ts";
import type { StepRecord, ValidationRecord } from "../loop/record.ts";
import type { Plot } from "./draw.ts";
import { count, duration, metricName, percent } from "./format.ts";
import { html, type Markup } from "./html.ts";
import { factList, figure, page } from "./page.ts";
import { plotKinds, plotRecall, plotTraining, plotValidation, recallTop } from "./plots.ts";
import { drawSheet } from "./sheet.ts";
import { kindTable, resultTable, shortName, splitTable } from "./tables.ts";

/** What writeReport shows, and where. */
export interface ReportOptions {
  /** Path of the file to write. */
  file: string;
  /** What was trained, in a line. */
  title: string;
  /** What to type to repeat the run. */
  command: string;
  steps: StepRecord[];
  validations?: ValidationRecord[];
  metrics: Metrics;
  sheet: SheetRow[];
  /** Pictures that the sheet's ids point into. */
  pictures: Pictures;
}

function header({ title, command, steps, metrics, pictures }: ReportOptions): Markup {
  const speeds = steps.map((record) => record.samples_per_second).sort((a, b) => a - b);
  const median = speeds[Math.floor(speeds.length / 2)];
  const facts: [string, string][] = [
    ["adapter", metrics.adapter],
    ["steps", count(metrics.steps)],
    ["time", duration(metrics.seconds)],
    ...(Number.isFinite(median) ? [["median speed", `${count(median)} triplets/s`] as [string, string]] : []),
    ["pictures", `${count(pictures.count)} of ${pictures.size} × ${pictures.size} pixels`],
  ];
  const tiles = Object.entries(metrics.splits).map(
    ([
      name,
      split,
    ]) => html`<div class="tile"><small>R@10, ${name}</small><b>${percent(split.r10)}<small> %</small></b>
<small><span>raw pixels ${percent(split.pixels.r10)}</span><span>chance ${percent(split.chance_r10)}</span></small></div>`,
  );
  if (tiles.length === 0) {
    const means = metrics.results.filter(({ category }) => category === "mean");
    tiles.push(...(means.length > 0 ? means : metrics.results).slice(0, 6).map(headline));
  }
  return html`<header><h1>${title}</h1>
${factList(facts)}
<pre class="command" aria-label="command that repeats this run"><code>${command}</code></pre>
<div class="tiles">${tiles}</div></header>`;
}

/** The first figures of a result. */
function headline(result: Result): Markup {
  const [[first, value], ...others] = Object.entries(result.metrics) as [
    [string, number],
    ...[string, number][],
  ];
  const name = `${metricName(first)}, ${shortName(result)}`;
  const rest = others
    .slice(0, 2)
    .map(([key, one]) => html`<span>${metricName(key)} ${percent(100 * one)}</span>`);
  return html`<div class="tile"><small>${name}</small><b>${percent(100 * value)}<small> %</small></b><small>${rest}</small></div>`;
}

function figures({ metrics: { results, notes } }: ReportOptions): Markup {
  if (results.length === 0) return html``;
  const told = notes.map((note) => html`<p class="lead">${note}</p>`);
  return html`<section><h2>Figures</h2>${told}${resultTable(results)}</section>`;
}

async function recall({ metrics }: ReportOptions): Promise<Markup> {
  const splits = Object.entries(metrics.splits);
  if (splits.length === 0) return html``;
  const top = recallTop(splits.map(([, split]) => split));
  const bars: Plot[] = [];
  const kinds: Markup[] = [];
  for (const [name, split] of splits) {
    bars.push(await plotRecall(name, split, top));
    if (Object.keys(split.kinds).length > 0) kinds.push(figure(await plotKinds(name, split)));
  }
  const tables = splits
    .filter(([, split]) => Object.keys(split.kinds).length > 0)
    .map(
      ([name, split]) =>
        html`<details><summary>Numbers by kind: ${name}</summary>${kindTable(name, split)}</details>`,
    );
  const byKind = html`<section><h2>By kind of change</h2>
<p class="lead">R@10 for each kind of change that a text can ask for. A line joins the model to raw pixels on the same queries.</p>
<div class="plots">${kinds}</div>${tables}</section>`;
  return html`<section><h2>Recall</h2>
<p class="lead">R@K: percentage of queries with a right answer among the first K of the gallery, the reference taken out.
Raw pixels: the reference's nearest neighbours by their pixels alone, which needs no model and ignores the text.</p>
<div class="plots">${bars.map(figure)}</div>${splitTable(metrics)}</section>
${kinds.length > 0 ? byKind : ""}`;
}

async function training({ steps, validations = [] }: ReportOptions): Promise<Markup> {
  const plots = [...(await plotTraining(steps)), ...(await plotValidation(validations))];
  if (plots.length === 0) return html``;
  return html`<section><h2>Training</h2>
<p class="lead">Faint lines are single steps, clear ones their moving average.</p>
<div class="plots pair">${plots.map(figure)}</div></section>`;
}

/**
 * Writes the report of a run as one self-contained HTML file.
 * Needs sharp for the pictures of the sheet; without it, their names stand in for them.
 * @throws when the file can't be written
 */
export async function writeReport(options: ReportOptions): Promise<void> {
  const sheet = options.sheet.length > 0 ? await drawSheet(options.sheet, options.pictures) : undefined;
  const pictures = sheet ? html`<section><h2>Questions and answers</h2>${sheet.body}</section>` : "";
  const body = html`${header(options)}
<main>
${figures(options)}
${await recall(options)}
${await training(options)}
${pictures}
</main>`;
  await writeFile(options.file, page(options.title, body, sheet?.css).text);
}
