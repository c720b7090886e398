// Emoji-CoIR of pictures that have been opened, wherever they lie, and of what they are known to show.
import type { TrainingSet } from "../dataset.ts";
import type { Pictures, Split } from "../types.ts";
import { BatchSampler } from "./batches.ts";
import { type Edits, type Item, listEdits, type Words } from "./edits.ts";
import { namedPictures } from "./names.ts";
import { type HeldOut, holdOut, makeSplits } from "./splits.ts";

/** Emoji-CoIR, with what its pictures show for inspection. */
export interface EmojiDataset extends TrainingSet {
  /** The pictures by which look-alikes are found. */
  looks: Pictures;
  splits: Record<string, Split>;
  /** [pictures], what each picture shows. */
  items: Item[];
  /** All visible edits, held-out ones included. */
  edits: Edits;
  /** int32 [pictures], equal for pictures that answer equally well. */
  classes: Int32Array;
  heldOut: HeldOut;
  /** Indices of the edits that training draws from. */
  trainingEdits: Int32Array;
}

/**
 * The data set of these pictures.
 * @param items what each shows, in the order of the pictures
 * @param classes int32 [pictures], answer class of each
 * @param looks the pictures in the size that tells look-alikes
 */
export function emojiSet({
  items,
  classes,
  words,
  pictures,
  looks,
}: Pick<EmojiDataset, "items" | "classes" | "pictures" | "looks"> & { words: Words }): EmojiDataset {
  const edits = listEdits(items, classes, words);
  const heldOut = holdOut(items, classes);
  const trainable = classes.map((_, id) =>
    Number(!heldOut.concept[id] && !heldOut.combination[id] && !heldOut.vendor[id]),
  );
  const seen = Uint8Array.from(trainable);
  const sampler = new BatchSampler(edits, classes, seen);
  return {
    name: "emoji",
    pictures,
    looks,
    items,
    edits,
    classes,
    heldOut,
    trainingEdits: sampler.trainingEdits,
    splits: makeSplits(edits, classes, heldOut, pictures.names),
    triplets: sampler.trainingEdits.length,
    texts: () => [...new Set(edits.texts.flat())],
    sampleBatch: (options) => sampler.sample(options),
    names: namedPictures(items, classes, seen, words),
  };
}
