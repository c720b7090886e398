/**
 * Emoji-CoIR: composed image retrieval on real pictures that npm carries. Three vendors drew the same emoji,
 * and their codepoints say what differs between two of them, so that triplets need no human labels.
 *
 * @module casement/emoji
 */
import { isDeepStrictEqual } from "node:util";
import type { OpenData } from "../dataset.ts";
import { squash } from "../decode.ts";
import type { OpenPictures } from "../open.ts";
import { joinPictures } from "../sequence.ts";
import { DataError, type Pictures } from "../types.ts";
import { answerClasses } from "./classes.ts";
import { describeSources, type Words } from "./edits.ts";
import { type EmojiOptions, openSources } from "./pictures.ts";
import { type EmojiDataset, emojiSet } from "./set.ts";
import { listSources, readLabels, readSubcategories, type Source } from "./sources.ts";
import { splitNames, TEST_VENDOR } from "./splits.ts";

export type { EmojiDataset } from "./set.ts";

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
  const words: Words = { labels: readLabels(), subcategories: readSubcategories() };
  /** Training batches and texts are the same with and without the test vendor's. */
  const describe = async (part: readonly Source[], pictures: Pictures, looks: Pictures) => {
    const items = describeSources(part, words);
    const classes = answerClasses(items, await looks.read(items.map((_, id) => id)));
    return emojiSet({ items, classes, words, pictures, looks });
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
