// The audit's page: how much of a data set one modality answers, the figures of what is left as those queries go, and
// queries to look at with the answers that text, picture and both give.
import { textOf } from "../data/captions.ts";
import type { Pictures, Split } from "../data/types.ts";
import {
  type Audit,
  type Counts,
  type Curve,
  type Example,
  type Group,
  type Removal,
  removals,
  type Sort,
  sorts,
  type Way,
  ways,
} from "../eval/audit.ts";
import { draw, NARROW, type Plot } from "./draw.ts";
import { count, metricName, percent, share } from "./format.ts";
import { html, type Markup } from "./html.ts";
import { COLOURS } from "./look.ts";
import { factList, figure, page } from "./page.ts";
import { packSprites } from "./sprites.ts";

/** What the page is about. */
export interface AuditPage {
  found: Audit;
  split: Split;
  /** The protocol in words. */
  what: string;
  notes: readonly string[];
  examples: readonly Example[];
  /** Pictures of the split by its indices. */
  pictures: Pictures;
  /** Indices of pictures that can't be read. */
  missing: ReadonlySet<number>;
}

const names: Record<Way, string> = { text: "text alone", image: "picture alone", both: "both together" };
const removed: Record<Removal, { name: string; colour: string }> = {
  text: { name: "by the text", colour: COLOURS.reverse },
  image: { name: "by the picture", colour: COLOURS.chance },
  either: { name: "by either", colour: COLOURS.forward },
};
/** The parts of all queries, from the left of a bar. */
const parts: { name: string; colour: string; of: (counts: Counts) => number }[] = [
  { name: "text alone", colour: COLOURS.reverse, of: ({ text, each }) => text - each },
  { name: "each of the two alone", colour: "#b9695a", of: ({ each }) => each },
  { name: "picture alone", colour: COLOURS.chance, of: ({ image, each }) => image - each },
  { name: "composition required", colour: COLOURS.forward, of: (counts) => counts["composition-required"] },
  { name: "unresolved", colour: COLOURS.pixels, of: ({ unresolved }) => unresolved },
];
const sortWords: Record<Sort, [title: string, what: string]> = {
  text: ["The text alone", "ranks the target within"],
  image: ["The picture alone", "ranks the target within"],
  "composition-required": ["Composition required", "only both together rank the target within"],
  unresolved: ["Unresolved", "neither one alone nor both rank the target within"],
};

/** Bars of the labels by K. */
async function plotLabels(title: string, { labels, queries }: Group): Promise<Plot> {
  const values = labels.flatMap((counts) => {
    let from = 0;
    return parts.map(({ name, of }) => {
      const start = from;
      from += of(counts) / queries;
      return { k: `K = ${counts.k}`, name, start: 100 * start, end: 100 * from };
    });
  });
  const told = labels.map(
    (counts) =>
      `K = ${counts.k}: ${parts.map(({ name, of }) => `${name} ${share(of(counts) / queries)}`).join(", ")}`,
  );
  const svg = await draw(
    {
      height: 34 + 30 * labels.length,
      data: { values },
      mark: { type: "bar", height: 18 },
      encoding: {
        y: { field: "k", type: "nominal", sort: null, axis: { title: null, grid: false } },
        x: {
          ...{ field: "start", type: "quantitative", scale: { domain: [0, 100], nice: false } },
          axis: { title: "percent of the queries", tickCount: 5 },
        },
        x2: { field: "end" },
        color: {
          field: "name",
          scale: { domain: parts.map(({ name }) => name), range: parts.map(({ colour }) => colour) },
          legend: null,
        },
      },
    },
    `What answers the queries within K, ${title}: ${told.join("; ")}`,
  );
  return { title, svg, legend: parts.map(({ name, colour }) => ({ name, colour, sort: "bar" })) };
}

/** Below so many queries a figure jumps with every one that goes: a curve is drawn no further, unless it begins so. */
const fewest = 20;

/** The n at which a curve is drawn: every one at first, then at equal steps of their logarithm. */
function drawn({ left }: Curve): number[] {
  const enough = left.filter((queries) => queries >= Math.min(fewest, left[0]!)).length;
  const length = Math.max(1, enough);
  const all = new Set<number>([length - 1]);
  for (let n = 0; n < length; n = Math.max(n + 1, Math.round(n * 1.03))) all.add(n);
  return [...all].sort((a, b) => a - b);
}

/** One figure of what is left, by n. */
async function plotCurves(
  title: string,
  curves: Record<Removal, Curve>,
  pick: (curve: Curve) => readonly number[],
  format: string,
): Promise<Plot> {
  const series = removals.map((removal) => {
    const values = pick(curves[removal]);
    return { removal, points: drawn(curves[removal]).map((n) => ({ n, value: values[n]! })) };
  });
  const most = Math.max(1, ...series.map(({ points }) => points.at(-1)!.n));
  const ticks = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].filter((n) => n <= most);
  const layer = series.map(({ removal, points }) => ({
    data: { values: points },
    mark: {
      ...{ type: "line", color: removed[removal].colour, strokeWidth: 2, strokeJoin: "round" },
      ...(removal === "text" && { strokeDash: [7, 3] }),
      ...(removal === "image" && { strokeDash: [2, 2] }),
      // A line through one point draws nothing.
      ...(points.length === 1 && { point: { color: removed[removal].colour } }),
    },
    encoding: {
      x: { field: "n", type: "quantitative" },
      y: { field: "value", type: "quantitative" },
    },
  }));
  const told = series.map(({ removal, points }) => {
    const ends = [...new Set([points[0]!, points.at(-1)!])];
    return `${removed[removal].name} ${ends.map(({ n, value }) => `${percent(value)} at n = ${n}`).join(", ")}`;
  });
  const svg = await draw(
    {
      ...{ width: NARROW, height: 210, layer },
      encoding: {
        x: {
          ...{ title: "n", scale: { type: "symlog", constant: 1, nice: false, domain: [0, most] } },
          axis: { grid: false, values: ticks, labelOverlap: true, format: ",d" },
        },
        y: { title: null, scale: { zero: true, nice: true }, axis: { tickCount: 5, format } },
      },
    },
    `${title}, without the queries answered within n: ${told.join("; ")}`,
  );
  return {
    ...{ title, svg },
    legend: removals.map((removal) => ({
      ...removed[removal],
      sort: removal === "either" ? "line" : "dashed",
    })),
  };
}

function table(caption: string, head: readonly string[], rows: readonly (readonly string[])[]): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(([first = "", ...cells]) => html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}

function figureTable(title: string, { metrics }: Group): Markup {
  const keys = Object.keys(metrics.both);
  return table(
    `Figures by modality, ${title}, in percent`,
    ["ranked by", ...keys.map(metricName)],
    ways.map((way) => [names[way], ...keys.map((key) => (100 * metrics[way][key]!).toFixed(2))]),
  );
}

function labelTable(title: string, { labels, queries }: Group): Markup {
  const row = (name: string, of: (counts: Counts) => number) => [
    name,
    ...labels.map((counts) => `${count(of(counts))} · ${share(of(counts) / queries)}`),
  ];
  return table(
    `Labels, ${title}: queries and their share`,
    ["label", ...labels.map(({ k }) => `K = ${k}`)],
    [
      row("shortcut-solvable", (counts) => counts["shortcut-solvable"]),
      row("· by the text alone", ({ text }) => text),
      row("· by the picture alone", ({ image }) => image),
      row("· by each of them alone", ({ each }) => each),
      row("shortcut-free", (counts) => counts["shortcut-free"]),
      row("· composition-required", (counts) => counts["composition-required"]),
      row("· unresolved", ({ unresolved }) => unresolved),
    ],
  );
}

const nameOf = ({ category }: Group, { groups }: Audit) =>
  category ?? (groups.length > 1 ? "all categories" : "all queries");

async function labelSection({ found }: AuditPage): Promise<Markup> {
  const plots: Markup[] = [];
  const tables: Markup[] = [];
  for (const group of found.groups) {
    const name = nameOf(group, found);
    plots.push(figure(await plotLabels(name, group)));
    tables.push(
      html`<details><summary>Numbers: ${name}</summary>${figureTable(name, group)}${labelTable(name, group)}</details>`,
    );
  }
  return html`<section><h2>What answers the queries</h2>
<p class="lead">A query is answered where its target is among the first K. Where the text alone or the reference picture alone
does that, nothing had to be composed. What is unresolved is answered by nothing here, and may be by a better model.</p>
<div class="plots pair">${plots}</div>${tables}</section>`;
}

async function curveSection({ found }: AuditPage): Promise<Markup> {
  const sections: Markup[] = [];
  for (const group of found.groups) {
    const { curves } = group;
    const keys = Object.keys(curves.either.metrics);
    const plots = [await plotCurves("Queries left", curves, ({ left }) => left, ",d")];
    for (const key of keys) {
      const inPercent = ({ metrics }: Curve) => metrics[key]!.map((value) => 100 * value);
      plots.push(await plotCurves(`${metricName(key)}, percent`, curves, inPercent, "d"));
    }
    const drawing = html`<div class="plots">${plots.map(figure)}</div>`;
    sections.push(
      group === found.groups[0]
        ? drawing
        : html`<details><summary>${nameOf(group, found)}</summary>${drawing}</details>`,
    );
  }
  return html`<section><h2>What is left</h2>
<p class="lead">The figures of both together, on what is left as the queries go whose target one modality has among its
first n: the plot of CASE's paper. Where a curve falls steeply, that modality earned the figure. Curves are drawn as long as ${fewest} queries are left; audit.json has the rest.</p>
${sections}</section>`;
}

/** Pairs that are listed. */
const mostPairs = 20;

function paraphraseSection({ found }: AuditPage): Markup {
  const { paraphrases } = found.groups[0]!;
  if (!paraphrases) return html``;
  const rows = found.paraphrases.slice(0, mostPairs).map(({ texts }) => {
    const list = texts.map(({ text, rank }) => html`<li><b>${count(rank)}</b> <bdi>${text}</bdi></li>`);
    return html`<li class="texts"><ul>${list}</ul></li>`;
  });
  const flips = paraphrases.flips.map(({ k, pairs }) => [
    `K = ${k}`,
    `${count(pairs)} · ${share(pairs / paraphrases.pairs)}`,
  ]);
  return html`<section><h2>Several texts</h2>
<p class="lead">${count(paraphrases.pairs)} pairs of reference and target have ${count(paraphrases.texts)} texts. By the best text of a pair
the median rank is ${count(paraphrases.best)}, by its worst ${count(paraphrases.worst)}: ${paraphrases.factor.toFixed(1)} times as far.</p>
${table("Pairs that one wording answers within K and another does not", ["within", "pairs"], flips)}
<h3 class="spread">The widest spread: ranks and texts</h3><ul class="rows">${rows}</ul></section>`;
}

const css = html`.three{display:grid;gap:10px;min-width:0}
.three>div{display:grid;grid-template-columns:132px 1fr;gap:10px;align-items:center}
.three small{color:var(--soft)}.three b{display:block}
.three .in b{color:var(--good)}.three .out b{color:var(--bad)}
.example{display:grid;grid-template-columns:300px 1fr;gap:20px;padding:14px 16px;break-inside:avoid;--side:56px}
.example+.example,.texts+.texts{border-top:1px solid var(--line)}
.example .query{align-items:flex-start}.target{display:flex;gap:8px;align-items:center;margin-top:8px;color:var(--soft)}
.spread{margin-top:20px}
.texts{padding:8px 16px;overflow-wrap:anywhere}.texts b{display:inline-block;min-width:56px;font-variant-numeric:tabular-nums}
@media (max-width:760px){.example{grid-template-columns:1fr}.three>div{grid-template-columns:1fr;gap:4px}}
`;

async function exampleSection({
  found,
  split,
  examples,
  pictures,
  missing,
}: AuditPage): Promise<{ css: Markup; body: Markup }> {
  const ids = examples.flatMap(({ query, answers }) => {
    const { reference, right } = split.queries[query]!;
    return [reference, right[0]!, ...ways.flatMap((way) => answers[way].map(({ picture }) => picture))];
  });
  const there = ids.filter((id) => !missing.has(id));
  const sprites = there.length > 0 ? await packSprites(pictures, there) : undefined;
  const show = (id: number, label: string) =>
    sprites && !missing.has(id)
      ? sprites.show(id, label)
      : html`<span class="pic named" title="${label}">${label}</span>`;
  const nameOfPicture = (id: number) => split.pictures[id]!.id;
  const { k } = found;
  const drawExample = ({ query, ranks, answers }: Example) => {
    const asked = split.queries[query]!;
    const { id, reference, right, category, kind } = asked;
    const lines = ways.map((way) => {
      const list = answers[way].map(({ picture, right }, i) => {
        const words = `${i + 1}. ${nameOfPicture(picture)}${right ? ", right answer" : ""}`;
        const check = right ? html`<span class="check" aria-hidden="true">✓</span>` : html``;
        return right
          ? html`<li class="right">${show(picture, words)}${check}</li>`
          : html`<li>${show(picture, words)}</li>`;
      });
      return html`<div class="${ranks[way] <= k ? "in" : "out"}"><span><small>${names[way]}</small><b>rank ${count(ranks[way])}</b></span><ol class="answers">${list}</ol></div>`;
    });
    return html`<li class="example"><div>
<div class="query">${show(reference, `reference: ${nameOfPicture(reference)}`)}<p><bdi>${textOf(asked, "as written")}</bdi><small>${[id, category, kind].filter(Boolean).join(" · ")}</small></p></div>
<div class="target">${show(right[0]!, `target: ${nameOfPicture(right[0]!)}`)}<small>target</small></div>
</div><div class="three">${lines}</div></li>`;
  };
  const sections = sorts.flatMap((sort) => {
    const own = examples.filter((one) => one.sort === sort);
    const [title, what] = sortWords[sort];
    return own.length === 0
      ? []
      : [
          html`<section class="group"><h3>${title} <small>${what} ${k}</small></h3><ul class="rows">${own.map(drawExample)}</ul></section>`,
        ];
  });
  const absent = new Set(ids.filter((id) => missing.has(id))).size;
  const note =
    absent > 0
      ? html` ${count(absent)} of their pictures can't be read here; their names stand for them.`
      : "";
  return {
    css: html`${css}${sprites?.css ?? ""}`,
    body: html`<section><h2>Queries to look at</h2>
<p class="lead">Some of each sort, evenly from the whole split, with the first answers by each way and the target's rank. A green frame with a ✓
marks right answers; the reference itself is left out of the pictures.${note}</p>${sections}</section>`,
  };
}

function header({ found, split, what, notes }: AuditPage): Markup {
  const [whole] = found.groups as [Group];
  const at = whole.labels.find(({ k }) => k === found.k)!;
  const facts: [string, string][] = [
    ["data", `${found.data} ${found.split}`],
    ["queries", `${count(whole.queries)}${whole.category ? ` of ${whole.category}` : ""}`],
    ["gallery", `${found.gallery}, ${count(found.pictures)} pictures`],
    ["reference", found.reference],
    ["captions", found.captions],
    ["similarity", found.similarity],
    ...(found.filter
      ? ([
          [
            "list",
            `${found.filter.kind} the ${count(found.filter.listed)} of ${count(found.filter.of)} queries`,
          ],
        ] as [string, string][])
      : []),
    ...Object.entries(found.hash).map(([name, hash]): [string, string] => [
      `SHA-256, ${name}`,
      hash.slice(0, 12),
    ]),
  ];
  const tile = (name: string, part: number, more: string) =>
    html`<div class="tile"><small>${name}</small><b>${percent((100 * part) / whole.queries)}<small> %</small></b><small>${more}</small></div>`;
  return html`<header><h1>Audit of ${split.data} ${split.name}</h1>
<p class="lead">${what}. Each query is ranked by its text alone, by its reference picture alone and by both.</p>
${notes.map((note) => html`<p class="lead">${note}</p>`)}
${factList(facts)}
<div class="tiles">
${tile(`shortcut-solvable at K = ${at.k}`, at["shortcut-solvable"], `text alone ${share(at.text / whole.queries)}, picture alone ${share(at.image / whole.queries)}`)}
${tile("composition-required", at["composition-required"], "only both together")}
${tile("unresolved", at.unresolved, "not even both together")}
</div></header>`;
}

/** The page, self-contained: it fetches nothing and runs no script. */
export async function auditPage(about: AuditPage): Promise<string> {
  const sheet = about.examples.length > 0 ? await exampleSection(about) : { css, body: html`` };
  const body = html`${header(about)}
<main>
${await labelSection(about)}
${await curveSection(about)}
${paraphraseSection(about)}
${sheet.body}
</main>`;
  return page(`Audit of ${about.split.data} ${about.split.name}`, body, sheet.css).text;
}
