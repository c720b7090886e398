// Emoji-CoIR: composed image retrieval on real pictures that npm carries. Three vendors drew the same emoji,
// and their codepoints say what differs between two of them, so that triplets need no human labels.
import { isDeepStrictEqual } from "node:util";
import type { OpenData, TrainingSet } from "../dataset.ts";
import { squash } from "../decode.ts";
import type { OpenPictures } from "../open.ts";
import { joinPictures } from "../sequence.ts";
import { DataError, type Pictures, type Split } from "../types.ts";
import { BatchSampler } from "./batches.ts";
import { answerClasses, describeSources, type Edits, type Item, listEdits } from "./edits.ts";
import { namedPictures } from "./names.ts";
import { type EmojiOptions, openSources } from "./pictures.ts";
import { listSources, type Source } from "./sources.ts";
import { type HeldOut, holdOut, makeSplits, splitNames, TEST_VENDOR } from "./splits.ts";

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

/** Emoji-CoIR as far as it is needed. */
interface OpenEmoji {
  /** Its pictures are the first of the whole data set, under the same ids. */
  training: EmojiDataset;
  /** Loads the rest, once. */
  whole(): Promise<EmojiDataset>;
  /** Closes its files. */
  close(): Promise<void>;
}

/**
 * Side of the pictures by which look-alikes are found, in pixels: what is asked and what is right must not change with the
 * size that a model sees. Published figures are of this one.
 */
const looksSize = 32;

/**
 * Opens Emoji-CoIR for training: about 7,500 pictures of two vendors. Those of the third, which only tests see and
 * which take most of the time to decode, follow with `whole`. What was decoded once is read from the cache.
 * @throws when the size isn't a positive whole number, a package is missing or a picture can't be decoded
 */
export async function openEmoji(options: EmojiOptions): Promise<OpenEmoji> {
  const asAsked = { ...options, preparation: options.preparation ?? squash };
  const sources = listSources();
  const seen = sources.filter(({ vendor }) => vendor !== TEST_VENDOR);
  const unseen = sources.filter(({ vendor }) => vendor === TEST_VENDOR);
  const opened: OpenPictures[] = [];
  const open = async (part: readonly Source[], asked: EmojiOptions) => {
    const packed = await openSources(part, asked);
    opened.push(packed);
    return packed.pictures;
  };
  const forLooks = { ...options, size: looksSize, preparation: squash };
  const openPart = async (part: readonly Source[]) => {
    const looks = await open(part, forLooks);
    return { looks, pictures: isDeepStrictEqual(asAsked, forLooks) ? looks : await open(part, asAsked) };
  };
  const close = async () => {
    for (const packed of opened.splice(0)) await packed.close();
  };
  try {
    const known = await openPart(seen);
    const training = await describe(seen, known.pictures, known.looks);
    const whole = async () => {
      const rest = await openPart(unseen);
      const [pictures, looks] = (["pictures", "looks"] as const).map((kind) =>
        joinPictures([known[kind], rest[kind]]),
      );
      return describe([...seen, ...unseen], pictures!, looks!);
    };
    let all: Promise<EmojiDataset> | null = null;
    return {
      training,
      whole: () => {
        all ??= whole();
        return all;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
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
      const { pictures, looks, splits } = await (await open()).whole();
      const split = splits[name];
      if (!split)
        throw new DataError(`emoji has no split ${JSON.stringify(name)}, but ${splitNames.join(", ")}`);
      return { split, pictures, looks };
    },
    close: async () => (await opened?.catch(() => null))?.close(),
  };
}

/** Loads all of Emoji-CoIR. Throws as `openEmoji` does. */
export async function loadEmoji(options: EmojiOptions): Promise<EmojiDataset> {
  return (await openEmoji(options)).whole();
}

/**
 * The data set of these pictures. Training batches and texts are the same with and without the test vendor's.
 * @param looks the pictures in the size that tells look-alikes
 */
async function describe(sources: Source[], pictures: Pictures, looks: Pictures): Promise<EmojiDataset> {
  const items = describeSources(sources);
  const classes = answerClasses(items, await looks.read(items.map((_, id) => id)));
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
    names: namedPictures(items, classes, seen),
  };
}
