// Elements without HTML strings: what people type or name becomes text and never markup.

type Child = Node | string | null | undefined | false;

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
  element.append(
    ...children.filter(
      (child): child is Node | string => child !== null && child !== undefined && child !== false,
    ),
  );
  return element;
}

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
  element.replaceChildren(
    ...children.filter(
      (child): child is Node | string => child !== null && child !== undefined && child !== false,
    ),
  );
}

export const count = (n: number) => n.toLocaleString("en");
