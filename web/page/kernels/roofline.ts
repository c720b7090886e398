// The roofline (Williams, Waterman and Patterson, CACM 52, 2009) as a drawing of elements: the slope is memory at its
// measured peak, the roof arithmetic at its; a dot for each case. The saved report has the same drawing as text.
import type { Peak } from "../../../train/profile/peak/peak.ts";
import { COLOURS, logTicks } from "../../../train/report/look.ts";
import { svg } from "../dom.ts";
import { round } from "./words.ts";

export interface Dot {
  name: string;
  flops: number;
  bytes: number;
  gflops: number;
  /** Which peak limits it. */
  bound: "compute" | "memory";
  /** Named and ringed. */
  marked: boolean;
  /** Where an edit has moved it, in GFLOP/s, with what is said of it. */
  moved: { gflops: number; words: string } | null;
}

const margin = { left: 56, right: 14, top: 12, bottom: 42 };
/** Decades below the roof at least; more where a dot lies lower. */
const leastDecades = 3;

/** Draws dots under the roof of the adapter's peaks, so many pixels wide. */
export function roofline(peak: Peak, dots: readonly Dot[], width: number): SVGSVGElement {
  const height = Math.round(Math.max(280, Math.min(440, width * 0.5)));
  const ridge = peak.gflops / peak.gbps;
  const at = dots.map(({ flops, bytes }) => flops / bytes);
  const speeds = dots.flatMap(({ gflops, moved }) => (moved ? [gflops, moved.gflops] : [gflops]));
  const [left, right] = [
    Math.min(ridge / 10, ...at.map((x) => x / 2)),
    Math.max(ridge * 10, ...at.map((x) => x * 2)),
  ];
  const top = Math.max(peak.gflops, ...speeds) * 2;
  const bottom = Math.min(peak.gflops / 10 ** leastDecades, ...speeds.map((speed) => speed / 2));
  const [wide, high] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
  const x = (value: number) => margin.left + (Math.log(value / left) / Math.log(right / left)) * wide;
  const y = (value: number) => margin.top + (Math.log(top / value) / Math.log(top / bottom)) * high;

  const root = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "roofline",
    role: "img",
    "aria-label": `Roofline: the peaks are ${round(peak.gflops)} GFLOP/s and ${round(peak.gbps)} GB/s; ${wordsOf(dots)}`,
  });
  const text = (words: string, attributes: Record<string, string | number>) =>
    svg("text", { fill: "currentColor", "font-size": 12, ...attributes }, words);
  for (const value of within(left, right)) {
    const grid = { x1: x(value), x2: x(value), y1: margin.top, y2: margin.top + high };
    root.append(svg("line", { ...grid, stroke: "currentColor", "stroke-opacity": 0.12 }));
    root.append(
      text(number(value), { x: x(value), y: margin.top + high + 16, "text-anchor": "middle", opacity: 0.8 }),
    );
  }
  for (const value of within(bottom, top)) {
    const grid = { x1: margin.left, x2: margin.left + wide, y1: y(value), y2: y(value) };
    root.append(svg("line", { ...grid, stroke: "currentColor", "stroke-opacity": 0.12 }));
    root.append(
      text(number(value), { x: margin.left - 8, y: y(value) + 4, "text-anchor": "end", opacity: 0.8 }),
    );
  }
  root.append(
    text("operations a byte", { x: margin.left + wide / 2, y: height - 6, "text-anchor": "middle" }),
    text("GFLOP/s", {
      x: 14,
      y: margin.top + high / 2,
      "text-anchor": "middle",
      transform: `rotate(-90 14 ${margin.top + high / 2})`,
    }),
  );
  const roof = [
    [Math.max(left, bottom / peak.gbps), Math.max(bottom, left * peak.gbps)],
    [ridge, peak.gflops],
    [right, peak.gflops],
  ] as const;
  root.append(
    svg("polyline", {
      points: roof.map(([intensity, speed]) => `${x(intensity)},${y(speed)}`).join(" "),
      fill: "none",
      stroke: COLOURS.pixels,
      "stroke-width": 2.5,
    }),
  );
  // What is marked lies on top.
  for (const dot of [...dots].sort((a, b) => Number(a.marked) - Number(b.marked)))
    root.append(...drawDot(dot, x, y, width));
  return root;
}

function drawDot(
  { name, flops, bytes, gflops, bound, marked, moved }: Dot,
  x: (value: number) => number,
  y: (value: number) => number,
  width: number,
): SVGElement[] {
  const colour = bound === "compute" ? COLOURS.forward : COLOURS.reverse;
  const place = { cx: x(flops / bytes), cy: y(gflops) };
  const dot = svg(
    "circle",
    { ...place, r: marked ? 7 : 5, fill: colour, "fill-opacity": 0.85 },
    svg("title", {}, `${name}: ${round(gflops)} GFLOP/s`),
  );
  if (!marked) return [dot];
  const ring = svg("circle", { ...place, r: 10, fill: "none", stroke: "currentColor", "stroke-width": 1.5 });
  const drawn: SVGElement[] = [ring, dot];
  const onRight = place.cx < width * 0.55;
  const label = (words: string, height: number) =>
    svg(
      "text",
      {
        x: place.cx + (onRight ? 16 : -16),
        y: height + 4,
        "text-anchor": onRight ? "start" : "end",
        fill: "currentColor",
        "font-size": 12,
        class: "dot-name",
      },
      words,
    );
  const height = moved ? y(moved.gflops) : place.cy;
  // Two labels keep a line between them.
  const apart = moved && Math.abs(height - place.cy) < 16 ? (height <= place.cy ? 10 : -10) : 0;
  drawn.push(label(name, place.cy + apart));
  if (moved) {
    drawn.push(
      svg("line", {
        x1: place.cx,
        x2: place.cx,
        y1: place.cy,
        y2: height,
        stroke: COLOURS.chance,
        "stroke-width": 2,
      }),
      svg(
        "circle",
        { cx: place.cx, cy: height, r: 6, fill: COLOURS.chance, class: "moved" },
        svg("title", {}, `${name}, edited: ${round(moved.gflops)} GFLOP/s`),
      ),
      label(moved.words, height - apart),
    );
  }
  return drawn;
}

const within = (from: number, to: number) =>
  logTicks(from, to).filter((value) => value >= from && value <= to);
const number = (value: number) => `${Number(value.toPrecision(3))}`;
const wordsOf = (dots: readonly Dot[]) =>
  dots
    .map(
      ({ name, gflops, moved }) =>
        `${name} ${round(gflops)} GFLOP/s${moved ? `, edited ${round(moved.gflops)}` : ""}`,
    )
    .join("; ");
