// COCO's captions, for LaSCo.Ca: a share of the texts is replaced by a caption of the target, so that a model also learns from
// texts that tell the whole picture.
import { basename } from "node:path";
import { z } from "zod";
import { checked, entryName } from "../data/json.ts";
import { DataError } from "../data/types.ts";
import type { Source } from "./pairs.ts";
import { readList } from "./stream.ts";

const entry = z.object({ image_id: z.int().nonnegative(), caption: z.string() });

export interface Captions {
  /** Of each picture, its captions in the file's order. */
  of: ReadonlyMap<number, readonly string[]>;
  source: Source;
}

/** Reads captions_train2014.json or captions_val2014.json; null where `stop` said so. Throws DataError. */
export async function readCaptions(
  file: string,
  wanted: ReadonlySet<number>,
  longest: number,
  stop: () => boolean,
): Promise<Captions | null> {
  const of = new Map<number, string[]>();
  let [entries, strangers] = [0, 0];
  const beside = await readList(
    file,
    "annotations",
    (value, index) => {
      entries++;
      const { image_id, caption } = checked(entryName(basename(file), index), entry, value);
      // One line, without what stands around it: COCO's have both.
      const text = caption.replace(/\s+/g, " ").trim();
      if (!wanted.has(image_id)) strangers++;
      if (!wanted.has(image_id) || text === "" || [...text].length > longest) return;
      const known = of.get(image_id);
      if (known) known.push(text);
      else of.set(image_id, [text]);
    },
    stop,
  );
  if (beside === null) return null;
  if (of.size === 0 && strangers === entries) {
    throw new DataError(`${basename(file)} has no caption of any target; is it of the other split?`);
  }
  const { bytes, sha256 } = beside;
  return { of, source: { file: basename(file), bytes, sha256, entries } };
}
