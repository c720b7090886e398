// The gallery that comes with the page: pictures of npm packages, embedded when the page was built. What the build writes
// and the page reads.

/** gallery/gallery.json */
export interface GalleryFile {
  /** SHA-256 of the weights that it was embedded by. */
  weights: string;
  /** Side of a picture in pixels, as the model sees it; pictures to a row of a sheet, and to a sheet. */
  size: number;
  columns: number;
  perSheet: number;
  sheets: number;
  /** By place: the data set's name, words for people, and the fingerprint of the pixels. */
  names: string[];
  labels: string[];
  prints: string[];
  /** A question for every kind of change, of the held-out splits, with its answers. */
  examples: Example[];
  /** The ways in which the data set words a change, by change. */
  phrasings: string[][];
  /** Whose pictures they are. */
  sources: PictureSource[];
}

export interface Example {
  reference: number;
  text: string;
  /** Places of the right answers. */
  right: number[];
}

export interface PictureSource {
  what: string;
  package: string;
  version: string;
  license: string;
  url: string;
}

export const sheetName = (sheet: number) => `sheet-${String(sheet).padStart(2, "0")}.webp`;

/** Short name of a picture's pixels: equal for equal pictures. Needs a secure context, as WebGPU does. */
export async function fingerprint(pixels: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", pixels));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
