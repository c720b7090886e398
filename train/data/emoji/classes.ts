// Answer classes: pictures that answer a text equally well, found by their pixels and by what they show.
import { createHash } from "node:crypto";
import { forEachPair, type Item } from "./edits.ts";

/** Below this mean difference per channel (0 to 255) two pictures count as looking the same. */
export const VISIBLE_DIFFERENCE = 0.5;

/** The least picture id of each picture's class: a union-find forest. */
class Classes {
  readonly parent: Int32Array;

  constructor(count: number) {
    this.parent = Int32Array.from({ length: count }, (_, i) => i);
  }

  find(id: number): number {
    while (this.parent[id] !== id) {
      this.parent[id] = this.parent[this.parent[id]];
      id = this.parent[id];
    }
    return id;
  }

  join(a: number, b: number): void {
    const [rootA, rootB] = [this.find(a), this.find(b)];
    this.parent[Math.max(rootA, rootB)] = Math.min(rootA, rootB);
  }
}

/** Whether two pictures differ by less than the visible difference; stops as soon as they don't. */
function looksEqual(pixels: Uint8Array, bytes: number, a: number, b: number): boolean {
  const limit = VISIBLE_DIFFERENCE * bytes;
  let sum = 0;
  for (let i = 0, atA = a * bytes, atB = b * bytes; i < bytes; i++) {
    sum += Math.abs(pixels[atA + i] - pixels[atB + i]);
    if (sum >= limit) return false;
  }
  return true;
}

/**
 * Gathers pictures that answer a text equally well: equal in pixels, equal in vendor and all attributes, or
 * made from each other by an edit too small to see.
 * @param pixels uint8 [pictures, size, size, 3]
 * @returns int32 [pictures], the class of each picture: the least picture id in it
 */
export function answerClasses(items: Item[], pixels: Uint8Array): Int32Array {
  const classes = new Classes(items.length);
  const first = new Map<string, number>();
  const joinWithFirst = (key: string, id: number) => {
    const known = first.get(key);
    if (known === undefined) first.set(key, id);
    else classes.join(known, id);
  };
  const bytes = pixels.length / items.length;
  items.forEach(({ vendor, family, attributes }, id) => {
    const own = pixels.subarray(id * bytes, (id + 1) * bytes);
    joinWithFirst(createHash("sha1").update(own).digest("hex"), id);
    // Things have no attributes but their code, so only pixels can make two of them equal.
    joinWithFirst(JSON.stringify([vendor, family, attributes]), id);
  });
  forEachPair(items, (_kind, a, b) => {
    if (a < b && classes.find(a) !== classes.find(b) && looksEqual(pixels, bytes, a, b)) classes.join(a, b);
  });
  return classes.parent.map((_, id) => classes.find(id));
}
