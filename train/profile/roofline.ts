// The page of a profile: the roofline, then the same numbers as tables.
import { draw, type Plot } from "../report/draw.ts";
import { count, rate, share } from "../report/format.ts";
import { html, type Markup, raw } from "../report/html.ts";
import { COLOURS, logTicks } from "../report/look.ts";
import { factList, figure, page } from "../report/page.ts";
import { kernelRows, millisecondsOf, type Row, type StepProfile, shapeRows } from "./measure.ts";
import { besideChain, named, type Schedule, scheduleOf, waitsInWords } from "./schedule.ts";

const WIDTH = 1080;
const HEIGHT = 460;
const STYLE = raw(`.rates tbody td{font-weight:400}.rates thead th{text-align:right}
.rates thead th:first-child{text-align:left}.waits td{white-space:normal}`);
/** Shapes shown; the rest is in the JSON. */
const mostShapes = 40;
/** Letters of a name that tables show, the one of waits fewer; what runs as one has the shapes of all. */
const letters = { shape: 56, wait: 36 };
/** Kernels with a smaller share of the time get a point without a name. */
const leastNamed = 0.01;
/** Decades below the roof; what is slower lies on the axis. */
const decades = 4;

interface Point {
  name: string;
  intensity: number;
  gflops: number;
}

/** Labels with how far each is moved down, in pixels, so that none lies on one before. */
function spread<P extends Point>(
  points: readonly P[],
  pixelsPerDecade: [number, number],
): (P & { dy: number })[] {
  const [letter, line] = [7, 14];
  const placed: { x: number; y: number; length: number }[] = [];
  return points.map((point) => {
    const x = Math.log10(point.intensity) * pixelsPerDecade[0];
    const length = letter * point.name.length;
    const top = -Math.log10(point.gflops) * pixelsPerDecade[1];
    let y = top;
    const covered = () =>
      placed.some(
        (other) => Math.abs(other.y - y) < line && x < other.x + other.length && other.x < x + length,
      );
    while (covered()) y += line / 2;
    placed.push({ x, y, length });
    return { ...point, dy: y - top };
  });
}

/** Kernels that compute, by operations a byte and operations a second, under the roof of the adapter's peaks. */
async function plotRoofline({ peak }: StepProfile, rows: readonly Row[]): Promise<Plot> {
  const whole = rows.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const points = rows.flatMap(({ name, flops, bytes, gflops, bound, milliseconds, ofPeak }) =>
    flops > 0 && gflops
      ? [{ name, intensity: flops / bytes, gflops, bound, share: milliseconds / whole, ofPeak }]
      : [],
  );
  const ridge = peak.gflops / peak.gbps;
  const left = Math.min(ridge / 10, ...points.map(({ intensity }) => intensity / 2));
  const right = Math.max(ridge * 10, ...points.map(({ intensity }) => intensity * 2));
  const roof = [
    { intensity: left, gflops: left * peak.gbps },
    { intensity: ridge, gflops: peak.gflops },
    { intensity: right, gflops: peak.gflops },
  ];
  const [top, bottom] = [peak.gflops * 2, peak.gflops / 10 ** decades];
  const ticks = (from: number, to: number) =>
    logTicks(from, to).filter((value) => value >= from && value <= to);
  const x = {
    field: "intensity",
    type: "quantitative",
    scale: { type: "log", domain: [left, right], nice: false },
    axis: { title: "operations per byte", format: "~g", values: ticks(left, right) },
  };
  const y = {
    field: "gflops",
    type: "quantitative",
    scale: { type: "log", domain: [bottom, top], nice: false, clamp: true },
    axis: { title: "GFLOP/s", format: "~g", values: ticks(bottom, top) },
  };
  const marks = { x, y };
  const named = points.filter(({ share }) => share >= leastNamed);
  const svg = await draw(
    {
      width: WIDTH,
      height: HEIGHT,
      layer: [
        {
          data: { values: roof },
          mark: { type: "line", color: COLOURS.pixels, strokeWidth: 2.5 },
          encoding: marks,
        },
        {
          data: { values: points },
          mark: { type: "point", filled: true, opacity: 0.8 },
          encoding: {
            ...marks,
            size: {
              field: "share",
              type: "quantitative",
              scale: { domain: [0, 1], range: [40, 1600] },
              legend: null,
            },
            color: {
              field: "bound",
              scale: { domain: ["compute", "memory"], range: [COLOURS.forward, COLOURS.reverse] },
              legend: null,
            },
          },
        },
        {
          data: {
            values: spread(named, [WIDTH / Math.log10(right / left), HEIGHT / Math.log10(top / bottom)]),
          },
          mark: {
            type: "text",
            align: "left",
            dx: { expr: "8 + 18 * sqrt(datum.share)" },
            dy: { expr: "datum.dy" },
            color: "currentColor",
            fontSize: 12,
          },
          encoding: { ...marks, text: { field: "name" } },
        },
      ],
    },
    `Roofline: peaks ${peak.gflops.toFixed(1)} GFLOP/s and ${peak.gbps.toFixed(1)} GB/s; ${points
      .map(({ name, gflops, ofPeak }) => `${name} ${gflops.toFixed(2)} GFLOP/s, ${share(ofPeak)} of its peak`)
      .join("; ")}`,
  );
  return {
    title: "Roofline",
    svg,
    legend: [
      { name: "bound by arithmetic", colour: COLOURS.forward, sort: "dot" },
      { name: "bound by memory", colour: COLOURS.reverse, sort: "dot" },
      { name: "measured peaks", colour: COLOURS.pixels, sort: "line" },
    ],
  };
}

const shortened = (name: string, most: number) =>
  name.length > most ? `${name.slice(0, most - 1).trimEnd()}…` : name;

function table(caption: string, rows: readonly Row[], whole: number): Markup {
  const heads = ["calls", "ms", "of the step", "GFLOP/s", "GB/s", "bound by", "of that peak"];
  const lines = rows.map(
    ({ name, calls, milliseconds, gflops, gbps, bound, ofPeak }) =>
      html`<tr><th scope="row">${shortened(name, letters.shape)}</th><td>${count(calls)}</td><td>${milliseconds.toFixed(2)}</td>
<td>${share(milliseconds / whole)}</td><td>${rate(gflops)}</td><td>${rate(gbps)}</td><td>${bound}</td><td>${share(ofPeak)}</td></tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="rates">
<caption>${caption}</caption>
<thead><tr><th scope="col">kernel</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${lines}</tbody>
</table></div>`;
}

/** Dispatches that could run beside others. */
function besideTable(schedule: Schedule): Markup {
  const rows = besideChain(schedule);
  const lines = rows.slice(0, mostShapes).map(
    ({ number, kernel, shapes, milliseconds, slack, waitsFor, neededBy }) =>
      html`<tr><th scope="row">${shortened(`${number} ${kernel} ${shapes}`, letters.wait)}</th><td>${milliseconds.toFixed(2)}</td><td>${slack.toFixed(2)}</td>
<td>${named(schedule, waitsFor)}</td><td>${named(schedule, neededBy)}</td></tr>`,
  );
  const caption = `${Math.min(mostShapes, rows.length)} of ${rows.length} dispatches that could run beside the longest chain, those that would save most first`;
  const heads = ["ms", "later by, ms", "waits for", "needed by"];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="rates waits">
<caption>${caption}</caption>
<thead><tr><th scope="col">dispatch</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${lines}</tbody>
</table></div>`;
}

/** The page of a profile. */
export async function rooflinePage(title: string, profile: StepProfile): Promise<string> {
  const { peak, memory } = profile;
  const whole = millisecondsOf(profile.spans);
  const rows = kernelRows(profile);
  const shapes = shapeRows(profile);
  const facts: [string, string][] = [
    ["adapter", profile.adapter],
    ["measured peaks", `${peak.gflops.toFixed(1)} GFLOP/s, ${peak.gbps.toFixed(1)} GB/s`],
    ["kernels of a step", `${whole.toFixed(1)} ms by ${profile.timing}`],
    ["ordinary step", `${profile.stepMilliseconds.toFixed(1)} ms`],
    ["dispatches", count(profile.dispatches)],
    ["host", `${profile.hostMicroseconds.toFixed(1)} µs a dispatch`],
    ["memory", `${(memory.planned / 1e6).toFixed(1)} of ${(memory.naive / 1e6).toFixed(1)} MB`],
  ];
  const moved = rows.filter(({ flops }) => flops === 0).map(({ name }) => name);
  const missing =
    moved.length > 0 ? html` Kernels that only move numbers have no point: ${moved.join(", ")}.` : "";
  const byShape = html`<section><h2>By shape</h2>${table(
    `The costliest ${Math.min(mostShapes, shapes.length)} of ${shapes.length} kernels and shapes`,
    shapes.slice(0, mostShapes),
    whole,
  )}</section>`;
  const schedule = scheduleOf(profile);
  const waits = html`<section><h2>What waits for what</h2>
<p class="lead">${waitsInWords(profile, schedule, whole).join(" ")}</p>
${schedule && besideChain(schedule).length > 0 ? besideTable(schedule) : ""}</section>`;
  const body = html`<header><h1>${title}</h1>${factList(facts)}</header>
<main>
<section><h2>Roofline</h2>
<p class="lead">One point a kernel, its area the kernel's share of the step. The slope is memory at its measured peak, the
roof arithmetic at its. Above the slope, data came from a cache; on the axis lies what is slower than all it shows.${missing}</p>
${figure(await plotRoofline(profile, rows))}</section>
<section><h2>By kernel</h2>${table("Kernels, the costliest first", rows, whole)}</section>
${shapes.length > 0 ? byShape : ""}
${waits}
</main>`;
  return page(title, body, STYLE).text;
}
