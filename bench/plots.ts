// The plots of docs/performance.md, as files that show on a light and a dark page: dark text on a white ground.
import { toSvg } from "../train/report/draw.ts";
import { logTicks } from "../train/report/look.ts";
import { expected, type Growth } from "./growth.ts";
import { type CaseResult, cpuPeers } from "./results.ts";

const colours = { ours: "#3d7fe8", expected: "#8b919c", kept: "#d2528a", naive: "#e07b28", other: "#55b07a" };

const config = {
  font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: "#444",
    titleColor: "#444",
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: "normal",
    gridColor: "#e6e6e6",
    domain: false,
    ticks: false,
    labelPadding: 6,
  },
  title: { fontSize: 12, fontWeight: 600, color: "#222", anchor: "start", offset: 8 },
  legend: { labelColor: "#444", labelFontSize: 11, labelLimit: 0, title: null, orient: "bottom" },
};

const draw = (spec: object) => toSvg({ background: "white", padding: 12, config, ...spec });

/** Case names without what every reader can guess. */
const short = (name: string) =>
  name.replace(" f32", "").replace(" bench", "").replace(", forward and backward", ", both ways");

/** How many times faster than each peer, on a logarithmic axis with dashed lines at `goals`. */
export async function plotRatios(
  cases: readonly Pick<CaseResult, "name" | "ours_ms" | "peers" | "ratio_best_peer">[],
  goals: readonly number[] = [5],
): Promise<string> {
  const compared = cases.filter(({ ratio_best_peer }) => ratio_best_peer !== null);
  const values = compared.flatMap(({ name, ours_ms, peers }) =>
    Object.entries(peers)
      .filter(([peer]) => !cpuPeers.includes(peer))
      .map(([peer, time]) => ({ name: short(name), peer, ratio: time / ours_ms })),
  );
  const y = {
    field: "name",
    type: "nominal",
    sort: compared.map(({ name }) => short(name)),
    axis: { title: null, labelLimit: 380, grid: true },
  };
  const ratios = values.map(({ ratio }) => ratio);
  const [least, most] = [Math.min(1, ...ratios), Math.max(1, ...goals, ...ratios)];
  const scale = { type: "log", nice: false, domain: [least * 0.9, most * 1.1] };
  const ticks = logTicks(least, most).filter((tick) => tick >= least * 0.9 && tick <= most * 1.1);
  const mark = (at: number, dash: number[]) => ({
    data: { values: [{ at }] },
    mark: { type: "rule", color: "#444", strokeDash: dash },
    encoding: { x: { field: "at", type: "quantitative", scale } },
  });
  return draw({
    width: 440,
    height: { step: 22 },
    layer: [
      mark(1, []),
      ...goals.map((goal) => mark(goal, [5, 3])),
      {
        data: { values },
        mark: { type: "point", filled: true, size: 70, opacity: 0.9 },
        encoding: {
          y,
          x: {
            field: "ratio",
            type: "quantitative",
            scale,
            axis: {
              title: `time of the peer / ours (line at 1${goals.map((goal) => `, dashed at ${goal}`).join("")})`,
              format: "~g",
              values: ticks,
            },
          },
          color: {
            field: "peer",
            type: "nominal",
            scale: { range: [colours.ours, colours.naive, colours.other] },
          },
        },
      },
    ],
  });
}

interface Line {
  name: string;
  colour: string;
  dashed?: boolean;
  points: { x: number; y: number }[];
}

function panel(axis: string, title: string, lines: readonly Line[]): object {
  const values = lines.flatMap(({ name, points }) => points.map((point) => ({ ...point, name })));
  const xs = [...new Set(values.map(({ x }) => x))];
  const ys = values.map(({ y }) => y);
  const encoding = {
    x: {
      field: "x",
      type: "quantitative",
      scale: { type: "log", nice: false, padding: 8 },
      axis: { title: axis, values: xs, labelOverlap: true, format: "d", grid: false },
    },
    y: {
      field: "y",
      type: "quantitative",
      scale: { type: "log", nice: true },
      axis: { title, format: "~s", values: logTicks(Math.min(...ys), Math.max(...ys)) },
    },
    color: {
      field: "name",
      type: "nominal",
      sort: null,
      scale: { domain: lines.map(({ name }) => name), range: lines.map(({ colour }) => colour) },
    },
  };
  const dashed = lines.filter((line) => line.dashed).map(({ name }) => name);
  const solid = lines.filter((line) => !line.dashed).map(({ name }) => name);
  const only = (names: string[]) => [{ filter: { field: "name", oneOf: names } }];
  return {
    width: 270,
    height: 190,
    data: { values },
    layer: [
      { transform: only(dashed), mark: { type: "line", strokeDash: [5, 4], strokeWidth: 1.5 }, encoding },
      { transform: only(solid), mark: { type: "line", strokeWidth: 2, point: { size: 40 } }, encoding },
    ],
  };
}

/** Two panels in a row. */
const rows = (panels: object[]) => ({
  vconcat: Array.from({ length: Math.ceil(panels.length / 2) }, (_, i) => ({
    hconcat: panels.slice(2 * i, 2 * i + 2),
  })),
});

/** The last point of a line, carried along the axis by what should be the law of growth. */
function expectedLine(points: readonly { x: number; y: number }[], law: (x: number) => number): Line {
  const last = points.at(-1)!;
  return {
    ...{ name: "expected", colour: colours.expected, dashed: true },
    points: points.map(({ x }) => ({ x, y: (last.y * law(x)) / law(last.x) })),
  };
}

/** Time of a step along each axis, beside what its operations would make of the last point. */
export async function plotTime(growth: Growth): Promise<string> {
  const panels = Object.entries(growth.axes).map(([axis, points]) => {
    const measured = points.map(({ value, milliseconds }) => ({ x: value, y: milliseconds }));
    return panel(axis, "ms a step", [
      expectedLine(measured, (value) => expected(axis, value)),
      { name: "measured", colour: colours.ours, points: measured },
    ]);
  });
  return draw(rows(panels));
}

/** Memory of a step along each axis; what it plans should grow in proportion, as attention keeps no scores. */
export async function plotMemory(growth: Growth): Promise<string> {
  const panels = Object.entries(growth.axes).map(([axis, points]) => {
    const line = (key: "kept" | "planned" | "naive") =>
      points.map((point) => ({ x: point.value, y: point[key] }));
    return panel(axis, "bytes", [
      expectedLine(line("planned"), (value) => value),
      { name: "step, a buffer each", colour: colours.naive, points: line("naive") },
      { name: "step, planned", colour: colours.ours, points: line("planned") },
      { name: "parameters, moments, data", colour: colours.kept, points: line("kept") },
    ]);
  });
  return draw(rows(panels));
}
