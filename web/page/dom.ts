// Elements without HTML strings: what people type or name becomes text and never markup.

type Child = Node | string | null | undefined | false;
const isThere = (child: Child): child is Node | string =>
  child !== null && child !== undefined && child !== false;

interface Properties {
  class?: string;
  text?: string;
  attributes?: Record<string, string | number | boolean | null>;
  on?: Record<string, (event: Event) => void>;
}

/** An element with its attributes, listeners and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { class: names, text, attributes = {}, on = {} }: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (names) element.className = names;
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : `${value}`);
  }
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  element.append(...children.filter(isThere));
  return element;
}

/** A button that does something. */
export const button = (text: string, work: () => unknown, names = ""): HTMLButtonElement =>
  el("button", { class: names, text, attributes: { type: "button" }, on: { click: () => void work() } });

/** An element of a drawing. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  element.append(...children);
  return element;
}

/** Puts children in the place of those that are there. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter(isThere));
}

/** Fills anew; what lies in the place of what had the focus gets it, so that a keyboard goes on from there. */
export function refill(element: Element, ...children: Child[]): void {
  const at = [...element.children].findIndex((child) => child.contains(document.activeElement));
  fill(element, ...children);
  const next = element.children[at];
  const button = next instanceof HTMLButtonElement ? next : next?.querySelector("button");
  button?.focus({ preventScroll: true });
}

/** A table that scrolls by itself where it is wider than the page; `label` is what a screen reader calls it. */
export function wideTable(label: string, heads: readonly HTMLElement[], body: HTMLElement): HTMLElement {
  return el(
    "div",
    { class: "scroll", attributes: { tabindex: 0, role: "region", "aria-label": label } },
    el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body),
  );
}

/** The head of a column. */
export const columnHead = (text: string, names = ""): HTMLElement =>
  el("th", { text, class: names, attributes: { scope: "col" } });

export const count = (n: number) => n.toLocaleString("en");
