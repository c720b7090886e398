// The picture sheet: what was asked, what came back, and what was right, failures included.
import type { Pictures } from "../data/types.ts";
import type { SheetRow } from "../eval/metrics.ts";
import { count } from "./format.ts";
import { html, type Markup, raw } from "./html.ts";
import { packSprites } from "./sprites.ts";

const ANSWERS = 10;
const MOST_ROWS = 150; // keeps the file below 3 MB
const ARROW = raw(
  '<svg class="arrow" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 12h17m-6-6 6 6-6 6"/></svg>',
);

/** The sheet, and the style rules that carry its pictures. */
export interface Sheet {
  css: Markup;
  body: Markup;
}

/** Takes rows at equal distances, so that whatever order they came in is still represented. */
function spread<T>(rows: T[], most: number): T[] {
  if (rows.length <= most) return rows;
  return Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)]);
}

/** Draws the rows, grouped by split. */
export async function drawSheet(rows: SheetRow[], pictures: Pictures): Promise<Sheet> {
  const groups = new Map<string, SheetRow[]>();
  for (const row of rows) groups.set(row.split, [...(groups.get(row.split) ?? []), row]);
  for (const [split, all] of groups) groups.set(split, spread(all, Math.floor(MOST_ROWS / groups.size)));
  const shown = [...groups.values()].flat();
  const ids = shown.flatMap(({ reference, target, answers }) => [
    reference,
    target,
    ...answers.slice(0, ANSWERS).map((answer) => answer.picture),
  ]);
  const sprites = await packSprites(pictures, ids);
  const name = (id: number) => pictures.names[id] ?? `picture ${id}`;
  const show = (id: number, label: string) =>
    sprites?.show(id, label) ?? html`<span class="pic named">${label}</span>`;

  const drawRow = ({ reference, target, text, kind, rank, answers }: SheetRow) => {
    const first = answers.slice(0, ANSWERS);
    const hit = first.some((answer) => answer.right);
    const list = first.map(({ picture, score, right }, i) => {
      const words = `${i + 1}. ${name(picture)}, score ${score.toFixed(3)}${right ? ", right answer" : ""}`;
      const check = right ? raw('<span class="check" aria-hidden="true">✓</span>') : "";
      return html`<li${right ? raw(' class="right"') : ""}>${show(picture, words)}${check}</li>`;
    });
    const wanted = hit
      ? ""
      : html`<span class="wanted"><small>wanted</small>${show(target, `wanted: ${name(target)}`)}</span>`;
    return html`<li class="row ${hit ? "hit" : "miss"}">
<div class="query">${show(reference, `reference: ${name(reference)}`)}<p><bdi>${text}</bdi><small>${kind}</small></p>${ARROW}</div>
<ol class="answers">${list}</ol>
<div class="verdict"><b>${hit ? "✓" : "✗"} rank ${count(rank)}</b>${wanted}</div>
</li>`;
  };

  const sections = [...groups].map(([split, group]) => {
    const hits = group.filter((row) => row.answers.slice(0, ANSWERS).some((answer) => answer.right)).length;
    return html`<section class="group"><h3>${split} <small>right answer among the first ${ANSWERS} in ${hits} of these ${group.length} queries</small></h3>
<ul class="rows">${group.map(drawRow)}</ul></section>`;
  });
  const notes = [
    html`A green frame with a ✓ marks right answers; a query can have several. The rank is that of the best one.`,
    ...(shown.length < rows.length
      ? [html` ${shown.length} of ${rows.length} recorded queries are shown.`]
      : []),
    ...(sprites ? [] : [html` Pictures are missing because the package sharp isn't installed.`]),
  ];
  return {
    css: sprites?.css ?? raw(""),
    body: html`<p class="lead">${notes}</p>
<label class="filter"><input type="checkbox" id="misses"> only queries without a right answer in the first ${ANSWERS}</label>
${sections}`,
  };
}
