// The gallery that came with the page: its list and embeddings at once, its sheets of pictures when one is needed.
import { decodeBlob } from "../../train/data/bitmaps.ts";
import { checkId } from "../../train/data/memory.ts";
import type { Pictures } from "../../train/data/types.ts";
import { type GalleryFile, sheetName } from "../gallery.ts";
import type { Sight } from "../messages.ts";
import { siteFile } from "../site-files.ts";

export class Gallery implements Pictures {
  private readonly sheets = new Map<number, Promise<Uint8Array>>();

  /** By text, what else the data set says wherever it says that. */
  readonly phrasings: ReadonlyMap<string, readonly string[]>;

  private constructor(
    private readonly folder: URL,
    readonly file: GalleryFile,
  ) {
    const phrasings = new Map<string, readonly string[]>();
    for (const texts of file.phrasings) {
      for (const text of texts) {
        const known = phrasings.get(text);
        phrasings.set(text, known ? known.filter((other) => texts.includes(other)) : texts);
      }
    }
    this.phrasings = phrasings;
  }

  static async open(folder: URL): Promise<Gallery> {
    return new Gallery(folder, await (await siteFile(new URL("gallery.json", folder))).json());
  }

  get count(): number {
    return this.file.names.length;
  }
  get size(): number {
    return this.file.size;
  }
  get names(): readonly string[] {
    return this.file.names;
  }

  /** Those of the model that it was embedded by, row-major. */
  async embeddings(): Promise<Float32Array> {
    return new Float32Array(await (await siteFile(new URL("embeddings.bin", this.folder))).arrayBuffer());
  }

  async read(ids: ArrayLike<number>): Promise<Uint8Array> {
    const { size, perSheet, columns } = this.file;
    const out = new Uint8Array(ids.length * size * size * 3);
    const width = columns * size * 3;
    for (let i = 0; i < ids.length; i++) {
      const id = checkId(ids[i]!, this.count);
      const sheet = await this.sheet(Math.floor(id / perSheet));
      const { x, y } = this.cell(id);
      for (let row = 0; row < size; row++) {
        const from = (y * size + row) * width + x * size * 3;
        out.set(sheet.subarray(from, from + size * 3), (i * size + row) * size * 3);
      }
    }
    return out;
  }

  sight(id: number): Sight {
    const { columns, perSheet } = this.file;
    const url = new URL(sheetName(Math.floor(id / perSheet)), this.folder).href;
    return { kind: "sheet", url, ...this.cell(id), columns, rows: perSheet / columns };
  }

  private cell(id: number): { x: number; y: number } {
    const { columns, perSheet } = this.file;
    const within = id % perSheet;
    return { x: within % columns, y: Math.floor(within / columns) };
  }

  /** uint8 [side, side, 3] of a sheet. */
  private sheet(index: number): Promise<Uint8Array> {
    const known = this.sheets.get(index);
    if (known) return known;
    const loading = this.loadSheet(index);
    this.sheets.set(index, loading);
    // What failed is tried again.
    loading.catch(() => this.sheets.delete(index));
    return loading;
  }

  private async loadSheet(index: number): Promise<Uint8Array> {
    const response = await siteFile(new URL(sheetName(index), this.folder));
    const side = this.file.columns * this.file.size;
    // Without transparency and as large as it is wanted, a sheet comes out as it is.
    return decodeBlob(await response.blob(), side);
  }
}
