// Curves over the steps of a run, drawn by uPlot in the page's colours.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { el, fill } from "./dom.ts";

export interface Curve {
  name: string;
  /** The page's colour by its name in style.css. */
  color: string;
  width: number;
  /** How its last value is told; null where nobody wants to know. */
  format: ((value: number) => string) | null;
}

/** What is to be drawn: one plot a frame, as the first strokes of a canvas take long. */
const waiting = new Set<() => void>();

function inTurn(draw: () => void): void {
  waiting.add(draw);
  if (waiting.size === 1) requestAnimationFrame(drawNext);
}

function drawNext(): void {
  const [draw] = waiting;
  draw?.();
  if (draw) waiting.delete(draw);
  if (waiting.size > 0) requestAnimationFrame(drawNext);
}

/** Points that are drawn; more show nothing more. */
const mostPoints = 1500;
const height = 190;

export class Chart {
  readonly element: HTMLElement;
  private readonly frame = el("div", { class: "plot" });
  private readonly legend = el("p", { class: "legend" });
  private plot: uPlot | null = null;
  private data: uPlot.AlignedData = [[]];
  /** Whether the plot's size or colours are others. */
  private isOld = true;
  private readonly draw = () => {
    this.tell();
    if (this.isOld) this.renew();
    else this.plot?.setData(this.data);
  };

  /** @param range of the values, where it is always the same */
  constructor(
    title: string,
    private readonly curves: readonly Curve[],
    private readonly range: [number, number] | null = null,
  ) {
    this.frame.setAttribute("role", "img");
    this.frame.setAttribute("aria-label", `${title}: a curve over the steps; its last values stand above`);
    this.element = el("section", { class: "card chart" }, el("h2", { text: title }), this.legend, this.frame);
    const again = () => {
      this.isOld = true;
      inTurn(this.draw);
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new ResizeObserver(() => {
      const { clientWidth: width } = this.frame;
      // A panel that is hidden has no width.
      if (width > 0 && this.plot?.width !== width) again();
    }).observe(this.frame);
    this.tell();
  }

  /** @param steps where the values of each curve are */
  set(steps: readonly number[], values: readonly (readonly number[])[]): void {
    const stride = Math.ceil(steps.length / mostPoints);
    const thin = (list: readonly number[]) =>
      stride <= 1 ? [...list] : list.filter((_, i) => (list.length - 1 - i) % stride === 0);
    this.data = [thin(steps), ...values.map(thin)];
    inTurn(this.draw);
  }

  private tell(): void {
    fill(
      this.legend,
      ...this.curves.map(({ name, color, format }, i) => {
        const value = this.data[i + 1]?.at(-1);
        if (!format) return null;
        const key = el("span", { class: "swatch" });
        key.style.setProperty("background", `var(--${color})`);
        const told = value === null || value === undefined ? "–" : format(value);
        return el("span", {}, key, `${name} `, el("b", { text: told }));
      }),
    );
  }

  /** Makes the plot anew, as its colours are those of when it was made. */
  private renew(): void {
    this.plot?.destroy();
    this.plot = null;
    const { clientWidth: width } = this.frame;
    if (width === 0) return;
    this.isOld = false;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const axis: uPlot.Axis = {
      stroke: color("soft"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: color("line"), width: 1 },
      ticks: { stroke: color("line"), width: 1, size: 4 },
    };
    const { range } = this;
    this.plot = new uPlot(
      {
        ...{ width, height, padding: [8, 8, 0, 0] },
        scales: { x: { time: false }, y: range ? { range } : {} },
        axes: [
          { ...axis, space: 60, size: 28 },
          {
            ...{ ...axis, space: 32, size: 52 },
            ...(this.range && {
              values: (_: uPlot, ticks: number[]) => ticks.map((tick) => `${100 * tick} %`),
            }),
          },
        ],
        series: [
          {},
          ...this.curves.map(({ name, color: own, width }) => ({
            ...{ label: name, stroke: color(own), width, spanGaps: true },
            points: { show: false },
          })),
        ],
        legend: { show: false },
        cursor: { show: false },
      },
      this.data,
      this.frame,
    );
  }
}
