// What is taken along of the Kernels tab: all figures as JSON, or one HTML file for a bug report, which needs neither
// scripts nor a network. Texts that people wrote are escaped by train/report/html.ts.
import type { Peak } from "../../../train/profile/peak/peak.ts";
import { html, type Markup, raw } from "../../../train/report/html.ts";
import { factList, page } from "../../../train/report/page.ts";
import type { KernelsOpened, Outcome, Timed } from "../../kernels.ts";
import { outcomeWords, partWords, round, spreadOf, standing } from "./words.ts";

export interface EditOf {
  kernel: string;
  text: string;
  original: string;
  timedOn: string;
  outcome: Outcome | null;
}

export type Figures = ReturnType<typeof figuresOf>;

export function figuresOf(
  { adapter, facts }: KernelsOpened,
  peak: Peak | null,
  cases: readonly Timed[],
  unmeasured: readonly { name: string; why: string }[],
  edits: readonly EditOf[],
) {
  return {
    adapter,
    browser: navigator.userAgent,
    date: new Date().toISOString(),
    peak,
    ...{ cases, unmeasured, edits, facts },
  };
}

const style =
  raw(`.bar{display:inline-block;width:90px;height:10px;margin-right:8px;border-radius:3px;background:
linear-gradient(var(--accent),var(--accent)) 0/calc(100%*var(--share)) 100% no-repeat color-mix(in srgb,var(--soft) 22%,transparent)}
pre{overflow:auto;font:13px/1.5 ui-monospace,Menlo,Consolas,"Liberation Mono",monospace;background:var(--card);
border:1px solid var(--line);border-radius:10px;padding:12px 16px}
mark{background:color-mix(in srgb,var(--accent) 25%,transparent);color:inherit}
.bad{color:var(--bad);font-weight:600}td .bad{display:inline-block;width:220px;white-space:normal}.fine{color:var(--good);font-weight:600}
td.left,thead th.left{text-align:left}`);

/** The page of a report. `drawing` is the roofline's markup, made of elements. */
export function reportPage(figures: Figures, drawing: string | null): string {
  const { adapter, browser, date, peak, cases, unmeasured, edits, facts } = figures;
  const peaks = peak ? `${round(peak.gflops)} GFLOP/s, ${round(peak.gbps)} GB/s` : "not measured";
  const body = html`<header><h1>Kernels of casement on ${adapter}</h1>
${factList([
  ["adapter", adapter],
  ["measured peaks", peaks],
  ["browser", browser],
  ["date", date],
])}</header>
<main>
${drawing === null ? "" : html`<section><h2>Roofline</h2><figure>${raw(drawing)}</figure></section>`}
${peak === null || cases.length === 0 ? "" : html`<section><h2>Cases</h2>${caseTable(cases, peak)}</section>`}
${unmeasured.length === 0 ? "" : html`<section><h2>Not measured</h2><ul>${unmeasured.map(({ name, why }) => html`<li>${name}: ${why}</li>`)}</ul></section>`}
${edits.map(editSection)}
<section><h2>The adapter</h2>${factList(facts.map(({ name, words }) => [name, words.replaceAll("`", "")] as const))}</section>
</main>`;
  return page(`Kernels on ${adapter}`, body, style).text;
}

function caseTable(cases: readonly Timed[], peak: Peak): Markup {
  const heads = ["ms", "spread", "rate", "of its roof", "error by float64"];
  const lines = cases.map((one) => {
    const { ofPeak, rate } = standing(one, peak);
    return html`<tr><th scope="row">${one.name}</th><td>${round(one.median)}</td><td>${spreadOf(one)}</td><td>${rate}</td>
<td><span class="bar" style="--share:${Math.min(1, ofPeak).toFixed(3)}"></span>${Math.round(100 * ofPeak)} %</td>
<td>${one.wrong === null ? one.error.toExponential(1) : html`<span class="bad">${one.wrong}</span>`}</td>
<td class="left">${one.parts.map(partWords).join(", ")}</td></tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Cases"><table>
<thead><tr><th scope="col">case</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}<th scope="col" class="left">kernels</th></tr></thead>
<tbody>${lines}</tbody></table></div>`;
}

/** An edit with what became of it; lines that the original has not are marked. */
function editSection({ kernel, text, original, outcome }: EditOf): Markup {
  const { good, words } = outcome ? outcomeWords(outcome) : { good: true, words: "Not tried." };
  const known = new Set(original.split("\n"));
  const lines = text
    .split("\n")
    .map((line) => (known.has(line) ? html`${line}\n` : html`<mark>${line}</mark>\n`));
  return html`<section><h2>An edit of ${kernel}</h2><p class="${good ? "fine" : "bad"}">${words}</p>
${outcome ? details(outcome) : ""}<pre>${lines}</pre></section>`;
}

function details(outcome: Outcome): Markup {
  if (outcome.kind === "broken")
    return html`<ul>${outcome.faults.map(({ line, message }) => html`<li>line ${line}: ${message}</li>`)}</ul>`;
  if (outcome.kind !== "wrong") return html``;
  return html`<ul>${outcome.cases.map(({ name, failures, elements: [worst] }) => {
    const element = worst
      ? `${worst.output}, element ${worst.index}: ${worst.got} instead of ${worst.wanted}; `
      : "";
    return html`<li>${name}: ${element}${failures.slice(0, 3).join("; ")}</li>`;
  })}</ul>`;
}
