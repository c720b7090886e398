// Embeddings that are made once: each part of them lies in a file by the hash of all that it depends on, and is written as a
// whole, so that work which was killed goes on where it was, and finds nothing that is another model's or of other data.
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { firstNotFinite } from "../../model/finite.ts";
import { writeAtomically } from "./disk.ts";

/** Rows of a part: few enough that little is lost with one. */
const partRows = 256;
const pattern = /^[\da-f]{32}\.f32$/;

export class RowStore {
  private readonly used = new Set<string>();

  constructor(
    private readonly folder: string,
    private readonly size = partRows,
  ) {}

  /**
   * Rows, row-major [count, width]: those that are there are read, the others made.
   * @param about what a row's numbers depend on, beside `keyOf(i)`: the weights, what it is an embedding of
   * @param make rows `from` up to `to`
   * @param onProgress rows done
   */
  async rows(
    about: readonly string[],
    count: number,
    width: number,
    keyOf: (row: number) => string,
    make: (from: number, to: number) => Promise<Float32Array>,
    onProgress: (done: number) => void = () => {},
  ): Promise<Float32Array> {
    const all = new Float32Array(count * width);
    for (let from = 0; from < count; from += this.size) {
      const to = Math.min(count, from + this.size);
      const keys = Array.from({ length: to - from }, (_, i) => keyOf(from + i));
      const hash = createHash("sha256").update(JSON.stringify([...about, width, keys]));
      const name = `${hash.digest("hex").slice(0, 32)}.f32`;
      this.used.add(name);
      const file = join(this.folder, name);
      let part = await readPart(file, (to - from) * width);
      if (!part) {
        part = await make(from, to);
        await writeAtomically(file, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
      }
      all.set(part, from * width);
      onProgress(to);
    }
    return all;
  }

  /** Removes parts that nobody asked for since: of other weights, or other data. */
  async prune(): Promise<void> {
    for (const name of await readdir(this.folder).catch(() => [])) {
      if (pattern.test(name) && !this.used.has(name)) await rm(join(this.folder, name), { force: true });
    }
  }
}

/** The numbers of a file; null where there is none, or not so many, or any that is none. */
async function readPart(file: string, count: number): Promise<Float32Array | null> {
  const bytes = await readFile(file).catch(() => null);
  if (bytes?.length !== 4 * count) return null;
  const values = new Float32Array(count);
  new Uint8Array(values.buffer).set(bytes);
  return firstNotFinite(values) < 0 ? values : null;
}
