// Where the emoji pictures come from: three vendors' pictures that npm packages carry, found on disk.
// Source: emoji-datasource-google (Noto, Apache-2.0), emoji-datasource-twitter (CC-BY 4.0),
// @lobehub/fluent-emoji-3d (MIT), with labels from emojibase-data (MIT).
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { emojiPackages, packageFolder, requirePackages } from "../../place.ts";

/** Who drew a picture. */
export type Vendor = "google" | "twitter" | "fluent";

/** One picture file. */
export interface Source {
  vendor: Vendor;
  /** Codepoints in lower-case hex joined by "-", without variation selectors: one spelling for all vendors. */
  code: string;
  path: string;
  /** Where the same pixels lie in a picture of many, for vendors that have one. */
  cell: Cell | null;
}

/** A square of a sheet. */
export interface Cell {
  /** Path of the sheet. */
  sheet: string;
  /** Offset of its upper left corner, in pixels. */
  x: number;
  y: number;
  /** Side in pixels. */
  side: number;
}

const PACKAGES: Record<Vendor, { name: string; folder: string; sheet?: string }> = {
  google: { name: "emoji-datasource-google", folder: "img/google/64", sheet: "img/google/sheets/64.png" },
  twitter: { name: "emoji-datasource-twitter", folder: "img/twitter/64", sheet: "img/twitter/sheets/64.png" },
  fluent: { name: "@lobehub/fluent-emoji-3d", folder: "assets" },
};
// Of a sheet's pictures, with a margin of one pixel around each.
const CELL_SIDE = 64;
const CELL_MARGIN = 1;

// Components (bare skin-tone swatches) and the tag that ends subdivision flags, which fluent's names drop.
const SWATCH = /^1f3f[b-f]$/;
const CANCEL_TAG = /-e007f$/;

function folderOf(name: string): string {
  requirePackages("The emoji data set", emojiPackages);
  return packageFolder(name)!;
}

/** One spelling of a codepoint sequence, whichever package it was read from. */
export function canonicalCode(spelling: string): string {
  return spelling
    .toLowerCase()
    .split(/[-_]/)
    .map((point) => point.replace(/^0+/, ""))
    .filter((point) => point !== "fe0f")
    .join("-")
    .replace(CANCEL_TAG, "");
}

interface Placed {
  image: string;
  sheet_x: number;
  sheet_y: number;
}

/** The cells of a package's sheet by the name of the same picture's file. */
function readCells(root: string, path: string): Map<string, Cell> {
  const entries = JSON.parse(readFileSync(join(root, "emoji.json"), "utf8")) as (Placed & {
    skin_variations?: Record<string, Placed>;
  })[];
  const step = CELL_SIDE + 2 * CELL_MARGIN;
  const placed = entries.flatMap((entry) => [entry, ...Object.values(entry.skin_variations ?? {})]);
  return new Map(
    placed.map(({ image, sheet_x, sheet_y }) => {
      const [x, y] = [sheet_x * step + CELL_MARGIN, sheet_y * step + CELL_MARGIN];
      return [image, { sheet: join(root, path), x, y, side: CELL_SIDE }];
    }),
  );
}

/**
 * Lists the picture files of all vendors, in a fixed order.
 * @throws when a package is not installed
 */
export function listSources(): Source[] {
  const sources: Source[] = [];
  for (const vendor of Object.keys(PACKAGES) as Vendor[]) {
    const { name, sheet } = PACKAGES[vendor];
    const root = folderOf(name);
    const folder = join(root, PACKAGES[vendor].folder);
    const cells = sheet ? readCells(root, sheet) : null;
    const seen = new Set<string>(); // fluent has a few pictures under two spellings of one code
    for (const file of readdirSync(folder).sort()) {
      const extension = extname(file);
      const code = canonicalCode(file.slice(0, file.length - extension.length));
      if (![".png", ".webp"].includes(extension) || SWATCH.test(code) || seen.has(code)) continue;
      seen.add(code);
      sources.push({ vendor, code, path: join(folder, file), cell: cells?.get(file) ?? null });
    }
  }
  return sources;
}

/** Name and version of every package whose pictures are used, to key the cache by. */
export function sourceVersions(): string[] {
  return Object.values(PACKAGES).map(({ name }) => {
    const manifest = JSON.parse(readFileSync(join(folderOf(name), "package.json"), "utf8"));
    return `${name}@${manifest.version}`;
  });
}

/**
 * English labels by canonical code, skin tones left out.
 * @throws when emojibase-data is not installed
 */
export function readLabels(): Map<string, string> {
  const file = join(folderOf("emojibase-data"), "en/data.json");
  const entries = JSON.parse(readFileSync(file, "utf8")) as { hexcode: string; label: string }[];
  return new Map(entries.map(({ hexcode, label }) => [canonicalCode(hexcode), label]));
}

/**
 * Subcategory ("face-smiling", "hand-fingers-open", ...) by canonical code, skin tones left out.
 * @throws when emoji-datasource is not installed
 */
export function readSubcategories(): Map<string, string> {
  const file = join(folderOf("emoji-datasource"), "emoji.json");
  const entries = JSON.parse(readFileSync(file, "utf8")) as { unified: string; subcategory: string }[];
  return new Map(entries.map(({ unified, subcategory }) => [canonicalCode(unified), subcategory]));
}
