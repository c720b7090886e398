// Emoji-CoIR: composed image retrieval on real pictures that npm carries. Three vendors drew the same emoji,
// and their codepoints say what differs between two of them, so that triplets need no human labels.
import { fileURLToPath } from "node:url";
import type { Dataset } from "../dataset.ts";
import { BatchSampler } from "./batches.ts";
import { loadPictures } from "./cache.ts";
import { answerClasses, describeSources, type Edits, type Item, listEdits } from "./edits.ts";
import { listSources } from "./sources.ts";
import { type HeldOut, holdOut, makeSplits } from "./splits.ts";

/** What loadEmoji reads. */
export interface EmojiOptions {
  /** Side of the pictures in pixels. */
  size: number;
  /** Folder of the packed picture cache; default `.cache` at the root of the repository. */
  cacheDir?: string;
  /** Called after each picture that had to be decoded. */
  onProgress?: (done: number, total: number) => void;
}

/** Emoji-CoIR, with what its pictures show for inspection. */
export interface EmojiDataset extends Dataset {
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

const CACHE = fileURLToPath(new URL("../../.cache", import.meta.url));

/**
 * Loads Emoji-CoIR. The first call for a size decodes about 11,000 files; later ones read the cache.
 * @throws when the size isn't a positive whole number, a package is missing or a picture can't be decoded
 */
export async function loadEmoji({ size, cacheDir = CACHE, onProgress }: EmojiOptions): Promise<EmojiDataset> {
  if (!Number.isInteger(size) || size < 1) throw new Error(`cannot load emoji pictures of size ${size}`);
  const sources = listSources();
  const pictures = await loadPictures(sources, size, cacheDir, onProgress);
  const items = describeSources(sources);
  const classes = answerClasses(items, pictures);
  const edits = listEdits(items, classes);
  const heldOut = holdOut(items, classes);
  const trainable = classes.map((_, id) =>
    Number(!heldOut.concept[id] && !heldOut.combination[id] && !heldOut.vendor[id]),
  );
  const sampler = new BatchSampler(edits, classes, Uint8Array.from(trainable));
  return {
    name: "emoji",
    pictures,
    items,
    edits,
    classes,
    heldOut,
    trainingEdits: sampler.trainingEdits,
    splits: makeSplits(edits, classes, heldOut),
    texts: () => [...new Set(edits.texts.flat())],
    sampleBatch: (options) => sampler.sample(options),
  };
}
