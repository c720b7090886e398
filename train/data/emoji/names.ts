// Pictures by their names: what an emoji is called, its skin tone and who drew it. The names are emojibase's labels, which
// the texts of edits are made of too; only pictures that training may see have one here.
import { seedKey } from "../../../engine/index.ts";
import type { Batch, BatchOptions, NamedPictures } from "../dataset.ts";
import { random } from "../random.ts";
import { TONES } from "./attributes.ts";
import type { Item, Words } from "./edits.ts";

const TONE_POINT = /-1f3f[b-f]/g;

/** What a picture is called; null where nothing is known. */
function nameOf({ code, vendor, attributes: { tone } }: Item, labels: Map<string, string>): string | null {
  const label = labels.get(code.replace(TONE_POINT, ""))?.toLowerCase();
  if (label === undefined) return null;
  const skin = tone !== undefined && TONES.includes(tone) ? ` with ${tone} skin` : "";
  return `${label}${skin}, ${vendor}`;
}

/**
 * The names of pictures.
 * @param classes int32 [pictures], answer class of each picture
 * @param trainable uint8 [pictures], 1 where training may see the picture
 */
export function namedPictures(
  items: Item[],
  classes: Int32Array,
  trainable: Uint8Array,
  { labels }: Words,
): NamedPictures {
  const names = items.map((item, id) => (trainable[id] ? nameOf(item, labels) : null));
  const named = Int32Array.from(items.keys()).filter((id) => names[id] !== null);
  return {
    texts: () => [...new Set(Array.from(named, (id) => names[id]!))],
    sampleBatch({ pictures: count, seed, step }: BatchOptions): Batch {
      if (count < 2 || count > named.length) {
        throw new Error(`a batch of names needs 2 to ${named.length} pictures, got ${count}`);
      }
      // Another stream than that of the edits' batches.
      const pictures = random(seedKey(seed), step, 1).shuffle(named.slice()).slice(0, count);
      const text = Array.from(pictures, (id) => names[id]!);
      const ignore = new Uint8Array(count * count);
      for (let i = 0; i < count; i++)
        for (let j = 0; j < count; j++) {
          const alike = text[i] === text[j] || classes[pictures[i]!] === classes[pictures[j]!];
          if (i !== j && alike) ignore[i * count + j] = 1;
        }
      const own = Int32Array.from(pictures.keys());
      return { pictures, reference: own, target: own, text, kind: text.map(() => "name"), ignore };
    },
  };
}
