// The pictures that a report shows, packed into PNG sheets: each is stored once, however many rows show it.
import type { Pictures } from "../data/types.ts";
import { html, type Markup, raw } from "./html.ts";

const COLUMNS = 8;
const PER_SHEET = COLUMNS * COLUMNS; // few enough that one palette of 256 colours still suits them
const BUDGET = 1_500_000;
// Tried in turn until the sheets fit the budget.
const QUALITIES = [
  { largest: 64, palette: false },
  { largest: 64, palette: true },
  { largest: 32, palette: true },
];

type Sharp = typeof import("sharp").default;

/** Pictures of a report by id. */
export interface Sprites {
  /** Style rules that hold the sheets. */
  css: Markup;
  /** One picture, read out as `label`. */
  show(id: number, label: string): Markup;
}

async function shrink(sharp: Sharp, pictures: Pictures, id: number, size: number): Promise<Uint8Array> {
  const pixels = await pictures.read([id]);
  if (size === pictures.size) return pixels;
  const input = { raw: { width: pictures.size, height: pictures.size, channels: 3 as const } };
  return sharp(pixels, input).resize(size, size).raw().toBuffer();
}

/** Lays pictures out in a grid. Their edge pixels are repeated around them, so that smoothing takes in no neighbour. */
function layOut(pictures: Uint8Array[], size: number): { pixels: Uint8Array; width: number; height: number } {
  const cell = size + 2;
  const width = COLUMNS * cell;
  const height = Math.ceil(pictures.length / COLUMNS) * cell;
  const pixels = new Uint8Array(width * height * 3).fill(255);
  const inside = (i: number) => Math.min(size - 1, Math.max(0, i - 1));
  pictures.forEach((picture, index) => {
    const left = (index % COLUMNS) * cell;
    const top = Math.floor(index / COLUMNS) * cell;
    for (let y = 0; y < cell; y++)
      for (let x = 0; x < cell; x++) {
        const from = (inside(y) * size + inside(x)) * 3;
        pixels.set(picture.subarray(from, from + 3), ((top + y) * width + left + x) * 3);
      }
  });
  return { pixels, width, height };
}

async function encode(sharp: Sharp, pictures: Pictures, ids: number[], quality: (typeof QUALITIES)[number]) {
  const size = Math.min(pictures.size, quality.largest);
  const sheets: Buffer[] = [];
  for (let start = 0; start < ids.length; start += PER_SHEET) {
    const part = ids.slice(start, start + PER_SHEET);
    const small = await Promise.all(part.map((id) => shrink(sharp, pictures, id, size)));
    const { pixels, width, height } = layOut(small, size);
    const image = sharp(pixels, { raw: { width, height, channels: 3 } });
    sheets.push(await image.png({ compressionLevel: 9, palette: quality.palette, effort: 2 }).toBuffer());
  }
  return { sheets, size, bytes: sheets.reduce((sum, sheet) => sum + sheet.length, 0) };
}

/**
 * Packs pictures into sheets that a style sheet carries as data URIs.
 * @returns undefined where sharp, which is optional, isn't installed: a report without pictures beats none
 */
export async function packSprites(pictures: Pictures, ids: number[]): Promise<Sprites | undefined> {
  let sharp: Sharp;
  try {
    sharp = (await import("sharp")).default;
  } catch {
    return undefined;
  }
  const distinct = [...new Set(ids)];
  let packed = await encode(sharp, pictures, distinct, QUALITIES[0]);
  for (const quality of QUALITIES.slice(1)) {
    if (packed.bytes <= BUDGET) break;
    packed = await encode(sharp, pictures, distinct, quality);
  }
  const { size, sheets } = packed;
  const rules = sheets.map(
    (sheet, i) => `.s${i}{background-image:url(data:image/png;base64,${sheet.toString("base64")})}`,
  );
  // --side is a picture's side on the page; a cell of the sheet is a pixel larger on each edge.
  const grid = `.pic{--dot:calc(var(--side)/${size});--cell:calc(var(--dot)*${size + 2});
background-size:calc(var(--cell)*${COLUMNS}) auto;
background-position:calc(var(--cell)*var(--x)*-1 - var(--dot)) calc(var(--cell)*var(--y)*-1 - var(--dot))}`;
  const places = new Map(distinct.map((id, index) => [id, index]));
  return {
    css: raw([grid, ...rules].join("\n")),
    show(id, label) {
      const place = places.get(id)!;
      const within = place % PER_SHEET;
      const position = `--x:${within % COLUMNS};--y:${Math.floor(within / COLUMNS)}`;
      return html`<span class="pic s${Math.floor(place / PER_SHEET)}" style="${position}" role="img" aria-label="${label}" title="${label}"></span>`;
    },
  };
}
