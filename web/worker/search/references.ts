// The pictures that questions are about, of the gallery or files, with what they are to whatever has seen them.
import type { Pictures } from "../../../train/data/types.ts";
import type { Eye } from "./eye.ts";
import type { Print } from "./own.ts";
import { readPicture, resized } from "./pictures.ts";

/** References that questions may still be about. */
const most = 16;

interface Seen extends Print {
  /** uint8 [size, size, 3], as it was seen. */
  pixels: Uint8Array<ArrayBuffer>;
}

export class Reference {
  /** By the eye's key. */
  private readonly seen = new Map<string, Seen>();

  /** @param source a file, or an id in the gallery */
  constructor(
    readonly name: string,
    private readonly source: Blob | number,
    private readonly gallery: Pictures,
  ) {}

  /** What it is to an eye, which sees it once. Throws, naming it, where it is no picture, and what the model throws. */
  async seenBy({ key, preparation, printsOf }: Eye): Promise<Seen> {
    const known = this.seen.get(key);
    if (known) return known;
    const { name, source, gallery } = this;
    const pixels =
      typeof source === "number"
        ? Uint8Array.from(await resized(gallery, preparation).read([source]))
        : await readPicture(source, name, preparation);
    const [print] = await printsOf([{ name, pixels }]);
    const seen = { ...print!, pixels };
    this.seen.set(key, seen);
    return seen;
  }
}

/** The last of them. */
export class References {
  private readonly known = new Map<number, Reference>();
  private next = 1;

  /** @returns its key */
  add(reference: Reference): number {
    const key = this.next++;
    this.known.set(key, reference);
    for (const old of this.known.keys()) {
      if (this.known.size <= most) break;
      this.known.delete(old);
    }
    return key;
  }

  /** Throws where it was too long ago. */
  get(key: number): Reference {
    const reference = this.known.get(key);
    if (!reference) throw new Error("This reference picture is no longer there: choose it again.");
    return reference;
  }
}
