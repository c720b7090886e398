// The plots of the run report.
import type { Recall, SplitMetrics } from "../eval/metrics.ts";
import type { StepRecord, ValidationRecord } from "../loop/record.ts";
import { draw, NARROW, type Plot } from "./draw.ts";
import { count, metricName, percent } from "./format.ts";
import type { Markup } from "./html.ts";
import { COLOURS, logTicks } from "./look.ts";

const MOST_POINTS = 500;

/** The K of R@K, and the key that holds it. */
export const RANKS = [
  ["R@1", "r1"],
  ["R@5", "r5"],
  ["R@10", "r10"],
  ["R@50", "r50"],
] as const satisfies readonly (readonly [string, keyof Recall])[];

interface Point {
  step: number;
  value: number;
}

/** Centred moving average over 1/25 of the run, at a few hundred points. On a log axis it averages logarithms. */
function smooth(points: Point[], log: boolean): Point[] {
  const reach = Math.floor(points.length / 50);
  const stride = Math.max(1, Math.floor(points.length / (MOST_POINTS / 2)));
  const last = points.length - 1;
  return points.flatMap(({ step }, i) => {
    if (i % stride !== 0 && i !== last) return [];
    // Narrower towards the ends, where it has points on one side only, so that it doesn't lag behind a steep start.
    const half = Math.min(reach, Math.max(Math.min(i, last - i), reach >> 2));
    const window = points.slice(Math.max(0, i - half), i + half + 1);
    const sum = window.reduce((total, { value }) => total + (log ? Math.log(value) : value), 0);
    const mean = sum / window.length;
    return [{ step, value: log ? Math.exp(mean) : mean }];
  });
}

/** Keeps the lowest and the highest point of equal stretches, so that a long run stays small and shows its spikes. */
function thin(points: Point[]): Point[] {
  if (points.length <= MOST_POINTS) return points;
  const stretches = MOST_POINTS / 2;
  const stretch = points.length / stretches;
  const kept: Point[] = [];
  for (let i = 0; i < stretches; i++) {
    const part = points.slice(Math.round(i * stretch), Math.round((i + 1) * stretch));
    const low = part.reduce((a, b) => (b.value < a.value ? b : a));
    const high = part.reduce((a, b) => (b.value > a.value ? b : a));
    kept.push(...(low === high ? [low] : low.step < high.step ? [low, high] : [high, low]));
  }
  return kept;
}

function series(steps: StepRecord[], key: keyof StepRecord): Point[] {
  return steps.flatMap((record) => {
    const value = record[key];
    return typeof value === "number" && Number.isFinite(value) ? [{ step: record.step, value }] : [];
  });
}

interface Line {
  points: Point[];
  colour: string;
  /** Raw values faint behind their moving average. */
  smoothed: boolean;
  dashed?: boolean;
  /** Drawn on a log axis. */
  log?: boolean;
}

function lineLayers({ points, colour, smoothed, dashed = false, log = false }: Line): object[] {
  const encoding = {
    x: { field: "step", type: "quantitative" },
    y: { field: "value", type: "quantitative" },
  };
  const layer = (values: Point[], mark: object) => ({ data: { values: thin(values) }, mark, encoding });
  // A line through one point draws nothing.
  if (points.length === 1)
    return [layer(points, { type: "point", filled: true, size: 60, opacity: 1, color: colour })];
  const line = { type: "line", color: colour, strokeJoin: "round" };
  const clear = { ...line, strokeWidth: 2, ...(dashed && { strokeDash: [7, 3] }) };
  if (!smoothed) return [layer(points, clear)];
  return [layer(points, { ...line, strokeWidth: 1, opacity: 0.3 }), layer(smooth(points, log), clear)];
}

function drawLines(lines: Line[], label: string, y: object = {}): Promise<Markup> {
  const first = lines[0].points;
  const ticks = first.length === 1 ? { values: [first[0].step] } : { tickCount: 5, tickMinStep: 1 };
  const values = lines.flatMap(({ points }) => points.map((point) => point.value));
  // One tick for a constant: Vega would derive its digits from a span of zero, and print six.
  const constant = values.every((value) => value === values[0]);
  const scaleY = constant
    ? { scale: { zero: false }, axis: { values: [values[0]], labelExpr: "format(datum.value, '.3~g')" } }
    : y;
  return draw(
    {
      height: 220,
      layer: lines.flatMap(lineLayers),
      encoding: {
        x: {
          title: "step",
          scale: { nice: false, zero: false },
          axis: { grid: false, format: ",d", labelFlush: true, ...ticks },
        },
        y: { title: null, scale: { zero: false, nice: true }, axis: { tickCount: 5 }, ...scaleY },
      },
    },
    label,
  );
}

function describe({ points, smoothed, log = false }: Line): string {
  const values = smoothed ? smooth(points, log) : points;
  return `from ${values[0].value.toPrecision(3)} to ${values[values.length - 1].value.toPrecision(3)}`;
}

/** Plots of what training wrote down; one without any finite value is left out. */
export async function plotTraining(steps: StepRecord[]): Promise<Plot[]> {
  const plots: Plot[] = [];
  const losses = [
    { name: "forward", sort: "line", colour: COLOURS.forward },
    { name: "reverse", sort: "dashed", colour: COLOURS.reverse },
  ] as const;
  const legend = losses.filter(({ name }) => series(steps, name).length > 0);
  if (legend.length > 0) {
    const lines = legend.map(({ name, sort, colour }) => ({
      points: series(steps, name),
      colour,
      smoothed: true,
      dashed: sort === "dashed",
    }));
    const words = legend.map(({ name }, i) => `${name} ${describe(lines[i])}`).join(", ");
    plots.push({ title: "Loss", legend, svg: await drawLines(lines, `Loss by step: ${words}`) });
  }
  const others = [
    { key: "gradient_norm", title: "Gradient norm before clipping", smoothed: true },
    { key: "temperature", title: "Temperature", smoothed: false },
    { key: "learning_rate", title: "Learning rate", smoothed: false },
    { key: "loss_scale", title: "Loss scale", smoothed: false },
  ] as const;
  for (const { key, title, smoothed } of others) {
    const line = { points: series(steps, key), colour: COLOURS.forward, smoothed };
    if (line.points.length === 0) continue;
    const values = line.points.map((point) => point.value);
    const least = values.reduce((a, b) => Math.min(a, b));
    const most = values.reduce((a, b) => Math.max(a, b));
    // A few spikes would flatten everything else on a linear axis.
    const log = smoothed && least > 0 && most / least > 20;
    const y = log
      ? { scale: { type: "log", nice: true }, axis: { values: logTicks(least, most), format: "~r" } }
      : key === "learning_rate"
        ? { scale: { zero: true, nice: true }, axis: { tickCount: 4, format: "~e" } }
        : {};
    const drawn = { ...line, log };
    const svg = await drawLines([drawn], `${title} by step: ${describe(drawn)}`, y);
    plots.push({ title: log ? `${title}, log scale` : title, legend: [], svg });
  }
  return plots;
}

/** Plot of the figure that validations go by, with its best; none where there was no validation. */
export async function plotValidation(records: readonly ValidationRecord[]): Promise<Plot[]> {
  const last = records.at(-1)?.validation;
  if (!last) return [];
  const points = records.map(({ step, validation }) => ({ step, value: 100 * validation.value }));
  const best = points.reduce((a, b) => (b.value > a.value ? b : a));
  const name = `${metricName(last.metric)} on ${last.split}, percent of ${count(last.queries)} queries`;
  const title = `${name}; best ${percent(best.value)} at step ${count(best.step)}`;
  const line = { points, colour: COLOURS.forward, smoothed: false };
  return [{ title, legend: [], svg: await drawLines([line], `${title}: ${describe(line)}`) }];
}

/** Top of the axis of all bars of recall: a round number above the highest, with room for its label. */
export function recallTop(splits: SplitMetrics[]): number {
  const highest = Math.max(1, ...splits.flatMap((split) => [split.r50, split.pixels.r50]));
  return Math.min(108, Math.ceil((highest * 1.12) / 5) * 5);
}

/**
 * Bars of recall for one split.
 * @param top upper end of the axis, the same for all splits so that they compare
 */
export async function plotRecall(name: string, split: SplitMetrics, top: number): Promise<Plot> {
  const sides = ["trained", "pixels"];
  const values = RANKS.flatMap(([rank, key]) => [
    { rank, side: "trained", value: split[key], label: percent(split[key]) },
    { rank, side: "pixels", value: split.pixels[key], label: percent(split.pixels[key]) },
  ]);
  const x = {
    field: "rank",
    type: "nominal",
    sort: null,
    axis: { title: null, labelAngle: 0, grid: false },
    scale: { paddingInner: 0.2, paddingOuter: 0.1 },
  };
  const y = {
    field: "value",
    type: "quantitative",
    scale: { domain: [0, top], nice: false },
    axis: { title: null, tickCount: 5, format: "d" },
  };
  const bars = { x, y, xOffset: { field: "side", sort: sides } };
  const color = {
    field: "side",
    scale: { domain: sides, range: [COLOURS.forward, COLOURS.pixels] },
    legend: null,
  };
  const numbers = RANKS.map(
    ([rank, key]) => `${rank} ${percent(split[key])}, raw pixels ${percent(split.pixels[key])}`,
  ).join("; ");
  const chance = percent(split.chance_r10);
  const svg = await draw(
    {
      width: NARROW,
      height: 210,
      data: { values },
      layer: [
        { mark: { type: "bar", cornerRadiusEnd: 2 }, encoding: { ...bars, color } },
        {
          mark: { type: "text", baseline: "bottom", dy: -3, color: "currentColor", fontSize: 12 },
          encoding: { ...bars, text: { field: "label" } },
        },
        {
          data: { values: [{ rank: "R@10", value: split.chance_r10 }] },
          mark: { type: "rule", color: COLOURS.chance, strokeWidth: 2, strokeDash: [5, 2] },
          encoding: { x: { ...x, bandPosition: 0 }, x2: { field: "rank", bandPosition: 1 }, y },
        },
      ],
    },
    `Recall on ${name}, in percent: ${numbers}; R@10 by chance ${chance}`,
  );
  const legend: Plot["legend"] = [
    { name: "model", colour: COLOURS.forward, sort: "bar" },
    { name: "raw pixels", colour: COLOURS.pixels, sort: "bar" },
    { name: `chance at R@10`, colour: COLOURS.chance, sort: "dashed" },
  ];
  return { title: name, svg, legend };
}

/** R@10 of each kind of change beside the same queries' raw-pixel R@10, best first. */
export async function plotKinds(name: string, split: SplitMetrics): Promise<Plot> {
  const values = Object.entries(split.kinds)
    .map(([kind, { r10, pixels }]) => ({ kind, trained: r10, pixels: pixels.r10 }))
    .sort((a, b) => b.trained - a.trained);
  const y = {
    field: "kind",
    type: "nominal",
    sort: values.map((row) => row.kind),
    axis: { title: null, grid: false, labelLimit: 170, labelPadding: 10 },
  };
  const x = {
    type: "quantitative",
    scale: { domain: [0, 100], nice: false },
    axis: { title: "R@10, percent of queries", tickCount: 5 },
  };
  const trained = { ...x, field: "trained" };
  const svg = await draw(
    {
      width: NARROW,
      height: 50 + 23 * values.length,
      data: { values },
      layer: [
        {
          mark: { type: "rule", color: "currentColor", opacity: 0.25, strokeWidth: 2 },
          encoding: { y, x: trained, x2: { field: "pixels" } },
        },
        {
          mark: { type: "point", color: COLOURS.pixels, size: 55, strokeWidth: 2, opacity: 1 },
          encoding: { y, x: { ...x, field: "pixels" } },
        },
        {
          mark: { type: "point", filled: true, color: COLOURS.forward, size: 85, opacity: 1 },
          encoding: { y, x: trained },
        },
      ],
    },
    `R@10 by kind of change on ${name}, in percent: ${values
      .map((row) => `${row.kind} ${percent(row.trained)}, raw pixels ${percent(row.pixels)}`)
      .join("; ")}`,
  );
  const legend: Plot["legend"] = [
    { name: "model", colour: COLOURS.forward, sort: "dot" },
    { name: "raw pixels", colour: COLOURS.pixels, sort: "ring" },
  ];
  return { title: name, svg, legend };
}
