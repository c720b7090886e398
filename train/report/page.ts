// What the pages have in common: one self-contained HTML file each, its figures, its list of facts.
import type { Plot } from "./draw.ts";
import { html, type Markup } from "./html.ts";
import { STYLE } from "./style.ts";

/** A whole page. The policy makes browsers hold to it: nothing is fetched and no script runs, whatever a text holds. */
export function page(title: string, body: Markup, css: Markup | string = ""): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}${css}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** Names and values side by side. */
export function factList(facts: readonly (readonly [string, string])[]): Markup {
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A plot with its heading and what its colours mean. */
export function figure({ title, svg, legend }: Plot): Markup {
  const keys = legend.map(
    ({ name, colour, sort }) =>
      html`<span class="key"><i class="${sort}" style="--c:${colour}"></i>${name}</span>`,
  );
  return html`<figure><figcaption><b>${title}</b>${keys}</figcaption>${svg}</figure>`;
}
