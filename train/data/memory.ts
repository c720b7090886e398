// Pictures that lie in memory: few ones, those of a page, and those of tests.
import type { Pictures } from "./types.ts";

/** Pictures whose bytes can be looked at without waiting. */
export interface PictureSet extends Pictures {
  /** uint8 [count, size, size, 3], RGB on white. */
  readonly pixels: Uint8Array;
}

/**
 * Pictures of one array.
 * @param pixels uint8 [names, size, size, 3], RGB on white
 * @throws where it has another length
 */
export function inMemory({
  size,
  names,
  pixels,
}: {
  size: number;
  names: readonly string[];
  pixels: Uint8Array;
}): PictureSet {
  const bytes = 3 * size * size;
  const count = names.length;
  if (pixels.length !== count * bytes)
    throw new Error(`${count} pictures of ${size} pixels are ${count * bytes} bytes, not ${pixels.length}`);
  return {
    count,
    size,
    names,
    pixels,
    async read(ids) {
      const out = new Uint8Array(ids.length * bytes);
      for (let i = 0; i < ids.length; i++) {
        const id = checkId(ids[i]!, count);
        out.set(pixels.subarray(id * bytes, (id + 1) * bytes), i * bytes);
      }
      return out;
    },
  };
}

/** The id of one of so many pictures. Throws for any other number. */
export function checkId(id: number, count: number): number {
  if (!Number.isInteger(id) || id < 0 || id >= count)
    throw new RangeError(`there is no picture ${id} among ${count}`);
  return id;
}
