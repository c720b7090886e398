// The numbers of the report as tables that a screen reader can walk. Every trained row stands on the row of
// the raw-pixel nearest neighbours for the same queries: what needs no model.
import type { KindMetrics, Metrics, Recall, SplitMetrics } from "../eval/metrics.ts";
import { provenanceOf, type Result } from "../eval/protocols.ts";
import { count, metricName, percent } from "./format.ts";
import { html, type Markup } from "./html.ts";
import { RANKS } from "./plots.ts";

function heat(recall: Recall): Markup[] {
  return RANKS.map(([, key]) => {
    const share = Math.min(1, Math.max(0, recall[key] / 100)) || 0;
    return html`<td style="--heat:${share.toFixed(3)}">${percent(recall[key])}</td>`;
  });
}

function block(name: string, metrics: KindMetrics, chance?: number): Markup {
  const rows = chance === undefined ? 2 : 3;
  const random = RANKS.map(([, key]) => html`<td>${key === "r10" ? percent(chance ?? 0) : "–"}</td>`);
  return html`<tbody>
<tr><th scope="rowgroup" rowspan="${rows}">${name}<small>${count(metrics.queries)} queries</small></th><th scope="row">model</th>${heat(metrics)}</tr>
<tr class="yardstick"><th scope="row">raw pixels</th>${RANKS.map(([, key]) => html`<td>${percent(metrics.pixels[key])}</td>`)}</tr>
${chance === undefined ? "" : html`<tr class="yardstick"><th scope="row">chance</th>${random}</tr>`}
</tbody>`;
}

function table(caption: string, first: string, blocks: Markup[]): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr><th scope="col">${first}</th><th scope="col">ranked by</th>${RANKS.map(([rank]) => html`<th scope="col">${rank}</th>`)}</tr></thead>
${blocks}
</table></div>`;
}

/** One block of rows per split. */
export function splitTable({ splits }: Metrics): Markup {
  const blocks = Object.entries(splits).map(([name, split]) => block(name, split, split.chance_r10));
  return table("Recall by split, in percent", "split", blocks);
}

/** One block of rows per kind of change, after one for all queries of the split. */
export function kindTable(name: string, split: SplitMetrics): Markup {
  const kinds = Object.entries(split.kinds).map(([kind, metrics]) => block(kind, metrics));
  return table(`Recall by kind of change on ${name}, in percent`, "kind", [
    block("all kinds", split, split.chance_r10),
    ...kinds,
  ]);
}

/** What tells the figures of one table apart. */
export const shortName = ({ split, category, gallery }: Result) =>
  [split, category, gallery].filter((part) => part !== undefined).join(", ");

/** Figures by a data set's protocol, each row with all that it is of. */
export function resultTable(results: readonly Result[]): Markup {
  const keys = [...new Set(results.flatMap(({ metrics }) => Object.keys(metrics)))];
  const cell = (value: number | undefined) =>
    value === undefined
      ? html`<td>–</td>`
      : html`<td style="--heat:${value.toFixed(3)}">${percent(100 * value)}</td>`;
  const rows = results.map(
    (result) =>
      html`<tr><th scope="row" class="of">${shortName(result)}<small>${provenanceOf(result)}</small></th>${keys.map((key) => cell(result.metrics[key]))}</tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Figures by protocol"><table>
<caption>Figures by protocol, in percent</caption>
<thead><tr><th scope="col">of</th>${keys.map((key) => html`<th scope="col">${metricName(key)}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}
