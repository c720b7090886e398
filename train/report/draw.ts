// How plots are drawn: Vega-Lite specifications made inline SVG in Node. Text is currentColor and marks are mid tones
// that stand out on white and on black, so that one drawing serves light and dark pages.
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { html, type Markup, raw } from "./html.ts";

const WIDTH = 460;
export const NARROW = 370; // three stand side by side, or one on a phone

/** A figure's parts: heading, drawing, and what its colours mean. */
export interface Plot {
  title: string;
  svg: Markup;
  legend: { name: string; colour: string; sort: "line" | "dashed" | "bar" | "dot" | "ring" }[];
}

/** Draws a Vega-Lite specification; Vega-Lite's own types (unions of hundreds) can't follow those made at run time. */
export async function toSvg(spec: object): Promise<string> {
  const { spec: compiled } = compile(spec as TopLevelSpec);
  const view = new vega.View(vega.parse(compiled), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** Draws a specification in the pages' look; `label` is what a screen reader says of it. */
export async function draw(spec: Record<string, unknown>, label: string): Promise<Markup> {
  const whole = {
    width: WIDTH,
    autosize: { type: "fit", contains: "padding" },
    padding: 4,
    background: null,
    ...spec,
    config: {
      font: "inherit",
      view: { stroke: null },
      mark: { aria: false },
      axis: {
        labelColor: "currentColor",
        titleColor: "currentColor",
        labelOpacity: 0.75,
        titleOpacity: 0.75,
        labelFontSize: 12,
        titleFontSize: 12,
        titleFontWeight: "normal",
        gridColor: "currentColor",
        gridOpacity: 0.1,
        domain: false,
        ticks: false,
        labelPadding: 6,
        aria: false,
      },
    },
  };
  const svg = await toSvg(whole);
  // The page needs neither namespaces nor a fixed size: the drawing shrinks with its column.
  const box = /viewBox="([^"]*)"/.exec(svg)?.[1] ?? "";
  return html`<svg viewBox="${box}" role="img" aria-label="${label}">${raw(svg.slice(svg.indexOf(">") + 1))}`;
}
