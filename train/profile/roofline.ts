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
.rates thead th:first-child{text-align:left}.waits td{white-space:normal}
@media (max-width:700px){figure{overflow-x:auto}figure svg{width:${WIDTH * 0.7}px}.waits td:nth-child(n+4){min-width:13em}}`);
/** Shapes shown; the rest is in the JSON. */
const mostShapes = 40;
/** Letters of a name that tables show, the one of waits fewer; what runs as one has the shapes of all. */
const letters = { shape: 56, wait: 36 };
/** Kernels with a smaller share of the time get a point without a name. */
const leastNamed = 0.01;
/** Decades below the roof; what is slower lies on the axis. */
const decades = 4;

/** Of the dots: pixels, for a kernel that takes nothing and one that takes all. */
const AREAS = [40, 1600] as const;
/** A letter and a line of the names, in pixels; about, as the page chooses the font. */
const [LETTER, LINE] = [7, 14];

interface Point {
  name: string;
  intensity: number;
  gflops: number;
  share: number;
}

/** Where a name stands, in the units of the axes, and on which side of its dot. */
interface Label {
  name: string;
  side: "left" | "right";
  at: { intensity: number; gflops: number };
  /** The end of a line to its dot, where it is not beside it. */
  dot: { intensity: number; gflops: number } | null;
}

type Box = { left: number; right: number; top: number; bottom: number };

/** Names for some dots so that none lies on a dot or on another name: beside their dot, or as near as there is room. */
function labels(named: readonly Point[], all: readonly Point[], domain: Box): Label[] {
  // What the axes leave.
  const [width, height] = [WIDTH - 60, HEIGHT - 44];
  const [wide, high] = [Math.log(domain.right / domain.left), Math.log(domain.top / domain.bottom)];
  const place = ({ intensity, gflops, share }: Point) => ({
    x: (Math.log(intensity / domain.left) / wide) * width,
    y: (Math.log(domain.top / Math.max(gflops, domain.bottom)) / high) * height,
    radius: Math.sqrt((AREAS[0] + share * (AREAS[1] - AREAS[0])) / Math.PI),
  });
  const taken = all.map((point): Box => {
    const { x, y, radius } = place(point);
    return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
  });
  const units = (x: number, y: number) => ({
    intensity: domain.left * Math.exp((x / width) * wide),
    gflops: domain.top * Math.exp((-y / height) * high),
  });
  const isFree = (box: Box) =>
    box.left >= 0 &&
    box.right <= width &&
    box.top >= 0 &&
    box.bottom <= height &&
    taken.every(
      (other) =>
        box.right <= other.left ||
        other.right <= box.left ||
        box.bottom <= other.top ||
        other.bottom <= box.top,
    );
  return named.map((point) => {
    const { x, y, radius } = place(point);
    const length = LETTER * point.name.length;
    const candidates = Array.from(
      { length: 13 },
      (_, i) => Math.ceil(i / 2) * (i % 2 ? LINE : -LINE),
    ).flatMap((down) => {
      const [away, top] = [radius + (down === 0 ? 4 : LINE), y + down - LINE / 2];
      const box = (left: number): Box => ({ left, right: left + length, top, bottom: top + LINE });
      return [
        { side: "right" as const, down, box: box(x + away) },
        { side: "left" as const, down, box: box(x - away - length) },
      ];
    });
    const { side, down, box } = candidates.find((candidate) => isFree(candidate.box)) ?? candidates[0]!;
    taken.push(box);
    const at = units(side === "right" ? box.left : box.right, y + down);
    return { name: point.name, side, at, dot: down === 0 ? null : units(x, y) };
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
  const names = labels(
    points.filter(({ share }) => share >= leastNamed),
    points,
    { left, right, top, bottom },
  );
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
              scale: { domain: [0, 1], range: AREAS },
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
            values: names.flatMap(({ at, dot }) =>
              dot ? [{ ...dot, x2: at.intensity, y2: at.gflops }] : [],
            ),
          },
          mark: { type: "rule", color: "currentColor", opacity: 0.5 },
          encoding: { ...marks, x2: { field: "x2" }, y2: { field: "y2" } },
        },
        ...(["right", "left"] as const).map((side) => ({
          data: {
            values: names.flatMap(({ name, at, ...label }) => (label.side === side ? [{ name, ...at }] : [])),
          },
          mark: {
            type: "text",
            align: side === "right" ? "left" : "right",
            baseline: "middle",
            color: "currentColor",
            fontSize: 12,
          },
          encoding: { ...marks, text: { field: "name" } },
        })),
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
