// Pictures on the page: cells of sheets, and small copies of one's own.
import type { Sight } from "../messages.ts";
import { siteFile } from "../site-files.ts";
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

/** Sheets that are kept decoded, of one MiB each: those that were shown last. */
const mostSheets = 24;
const sheets = new Map<string, Promise<ImageBitmap>>();

async function loadSheet(url: string): Promise<ImageBitmap> {
  const response = await siteFile(new URL(url));
  return createImageBitmap(await response.blob());
}

/** What a sheet shows; who wants to draw it does so as soon as it is there, since later it may be let go. */
function sheet(url: string): Promise<ImageBitmap> {
  const bitmap = sheets.get(url) ?? loadSheet(url);
  sheets.delete(url);
  sheets.set(url, bitmap);
  // What failed is tried again.
  bitmap.catch(() => sheets.delete(url));
  for (const [old, shown] of sheets) {
    if (sheets.size <= mostSheets) break;
    sheets.delete(old);
    void shown.then((bitmap) => bitmap.close());
  }
  return bitmap;
}

/**
 * A picture as large as its frame; `label` is null where the words stand beside it. Cells are drawn once, pixel for pixel: as
 * backgrounds of elements they stayed in the browser's cache of scaled pictures, each one that was ever shown.
 */
export function picture(sight: Sight, label: string | null): HTMLElement {
  if (sight.kind === "own") {
    return el("img", { class: "picture", attributes: { src: urlOf(sight), alt: label ?? "" } });
  }
  const { url, x, y, columns, rows } = sight;
  const role: Record<string, string> =
    label === null ? { "aria-hidden": "true" } : { role: "img", "aria-label": label };
  const element = el("canvas", { class: "picture", attributes: { width: 0, height: 0, ...role } });
  sheet(url).then(
    (bitmap) => {
      const [width, height] = [bitmap.width / columns, bitmap.height / rows];
      Object.assign(element, { width, height });
      element.getContext("2d")!.drawImage(bitmap, x * width, y * height, width, height, 0, 0, width, height);
    },
    () => {},
  );
  return element;
}
