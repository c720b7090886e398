// Pictures on the page: cells of sheets, and small copies of one's own.
import type { Sight } from "../messages.ts";
import { el } from "./dom.ts";

const urls = new Map<number, string>();

/** The address of an own picture's small copy; of each picture one. */
function urlOf({ id, thumb }: Extract<Sight, { kind: "own" }>): string {
  const known = urls.get(id) ?? URL.createObjectURL(thumb);
  urls.set(id, known);
  return known;
}

/** Lets go of small copies, when the pictures are gone. */
export function forgetSights(): void {
  for (const url of urls.values()) URL.revokeObjectURL(url);
  urls.clear();
}

/** A picture as large as its frame; `label` is null where the words stand beside it. */
export function picture(sight: Sight, label: string | null): HTMLElement {
  if (sight.kind === "own") {
    return el("img", { class: "picture", attributes: { src: urlOf(sight), alt: label ?? "" } });
  }
  const { url, x, y, columns, rows } = sight;
  const role: Record<string, string> =
    label === null ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  const element = el("span", { class: "picture sheet", attributes: role });
  element.style.backgroundImage = `url(${JSON.stringify(url)})`;
  element.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  element.style.backgroundPosition = `${(x / (columns - 1)) * 100}% ${(y / (rows - 1)) * 100}%`;
  return element;
}
