// Emoji-CoIR: composed image retrieval on real pictures that npm carries. Three vendors drew the same emoji,
// and their codepoints say what differs between two of them, so that triplets need no human labels.
import { fileURLToPath } from "node:url";
import type { OpenData, TrainingSet } from "../dataset.ts";
import { inMemory, type PictureSet } from "../memory.ts";
import { DataError, type Split } from "../types.ts";
import { BatchSampler } from "./batches.ts";
import { loadPictures } from "./cache.ts";
import { answerClasses, describeSources, type Edits, type Item, listEdits } from "./edits.ts";
import { namedPictures } from "./names.ts";
import { listSources, type Source } from "./sources.ts";
import { type HeldOut, holdOut, makeSplits, splitNames, TEST_VENDOR } from "./splits.ts";

/** What is loaded, and from where. */
export interface EmojiOptions {
  /** Side of the pictures in pixels. */
  size: number;
  /** Folder of the packed picture cache; default `.cache` at the root of the repository. */
  cacheDir?: string;
  /** Called after each picture that had to be decoded. */
  onProgress?: (done: number, total: number) => void;
}

/** Emoji-CoIR, with what its pictures show for inspection. */
export interface EmojiDataset extends TrainingSet {
  pictures: PictureSet;
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

/** Emoji-CoIR as far as it is needed. */
interface OpenEmoji {
  /** Its pictures are the first of the whole data set, under the same ids. */
  training: EmojiDataset;
  /** Loads the rest, once. */
  whole(): Promise<EmojiDataset>;
}

const CACHE = fileURLToPath(new URL("../../../.cache", import.meta.url));

/**
 * Opens Emoji-CoIR for training: about 7,500 pictures of two vendors. Those of the third, which only tests see and
 * which take most of the time to decode, follow with `whole`. What was decoded once is read from the cache.
 * @throws when the size isn't a positive whole number, a package is missing or a picture can't be decoded
 */
export async function openEmoji({ size, cacheDir = CACHE, onProgress }: EmojiOptions): Promise<OpenEmoji> {
  if (!Number.isInteger(size) || size < 1) throw new Error(`cannot load emoji pictures of size ${size}`);
  const sources = listSources();
  const seen = sources.filter(({ vendor }) => vendor !== TEST_VENDOR);
  const unseen = sources.filter(({ vendor }) => vendor === TEST_VENDOR);
  const load = (part: Source[]) => loadPictures(part, size, cacheDir, onProgress);
  const pictures = await load(seen);
  let rest: Promise<EmojiDataset> | null = null;
  const whole = async () => describe([...seen, ...unseen], join(pictures, await load(unseen)));
  return {
    training: describe(seen, pictures),
    whole: () => {
      rest ??= whole();
      return rest;
    },
  };
}

/** Opens Emoji-CoIR as every data set is. Throws as `openEmoji` does. */
export function emojiData(options: EmojiOptions): OpenData {
  let opened: Promise<OpenEmoji> | null = null;
  const open = () => {
    opened ??= openEmoji(options);
    return opened;
  };
  return {
    name: "emoji",
    training: async () => (await open()).training,
    ...{ splits: splitNames, evaluated: splitNames },
    async open(name) {
      const { pictures, splits } = await (await open()).whole();
      const split = splits[name];
      if (!split)
        throw new DataError(`emoji has no split ${JSON.stringify(name)}, but ${splitNames.join(", ")}`);
      return { split, pictures };
    },
    close: async () => {},
  };
}

/** Loads all of Emoji-CoIR. Throws as `openEmoji` does. */
export async function loadEmoji(options: EmojiOptions): Promise<EmojiDataset> {
  return (await openEmoji(options)).whole();
}

/** The data set of these pictures. Training batches and texts are the same with and without the test vendor's. */
function describe(sources: Source[], pictures: PictureSet): EmojiDataset {
  const items = describeSources(sources);
  const classes = answerClasses(items, pictures);
  const edits = listEdits(items, classes);
  const heldOut = holdOut(items, classes);
  const trainable = classes.map((_, id) =>
    Number(!heldOut.concept[id] && !heldOut.combination[id] && !heldOut.vendor[id]),
  );
  const seen = Uint8Array.from(trainable);
  const sampler = new BatchSampler(edits, classes, seen);
  return {
    name: "emoji",
    pictures,
    items,
    edits,
    classes,
    heldOut,
    trainingEdits: sampler.trainingEdits,
    splits: makeSplits(edits, classes, heldOut, pictures.names),
    triplets: sampler.trainingEdits.length,
    texts: () => [...new Set(edits.texts.flat())],
    sampleBatch: (options) => sampler.sample(options),
    names: namedPictures(items, classes, seen),
  };
}

function join(a: PictureSet, b: PictureSet): PictureSet {
  const pixels = new Uint8Array(a.pixels.length + b.pixels.length);
  pixels.set(a.pixels);
  pixels.set(b.pixels, a.pixels.length);
  return inMemory({ size: a.size, names: [...a.names, ...b.names], pixels });
}
