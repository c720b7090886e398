// Emoji-CoIR of the page's gallery: the same batches, texts and queries as in Node, of the pictures that came with the page.
import type { ModelConfig } from "../../model/config.ts";
import type { Preparation } from "../../model/picture.ts";
import { ConfigError } from "../../train/config.ts";
import type { OpenData } from "../../train/data/dataset.ts";
import { describeSources } from "../../train/data/emoji/edits.ts";
import { emojiSet } from "../../train/data/emoji/set.ts";
import type { Vendor } from "../../train/data/emoji/sources.ts";
import { DataError, type Pictures } from "../../train/data/types.ts";
import { siteFile } from "../site-files.ts";
import { type TrainingFile, trainingName } from "../training.ts";
import type { Gallery } from "./gallery.ts";

/** Splits whose pictures are those that training knows; the unseen vendor's are not asked for here. */
const splits = ["concepts", "combinations"];

export interface PageData extends OpenData {
  /** How its pictures were made. */
  preparation: Preparation;
}

/**
 * Opens it, which takes a second of the thread.
 * @param folder the gallery's
 */
export async function openPageEmoji(gallery: Gallery, folder: URL): Promise<PageData> {
  const file: TrainingFile = await (await siteFile(new URL(trainingName, folder))).json();
  const words = { labels: new Map(file.labels), subcategories: new Map(file.subcategories) };
  const count = file.classes.length;
  const names = gallery.names.slice(0, count);
  const pictures: Pictures = { count, size: gallery.size, names, read: (ids) => gallery.read(ids) };
  const sources = names.map((name) => {
    const [vendor, code] = name.split("/") as [Vendor, string];
    return { vendor, code };
  });
  const items = describeSources(sources, words);
  const classes = Int32Array.from(file.classes);
  const set = emojiSet({ items, classes, words, pictures, looks: pictures });
  return {
    ...{ name: "emoji", splits, evaluated: splits, preparation: file.preparation },
    training: async () => set,
    async open(name) {
      const split = splits.includes(name) ? set.splits[name] : undefined;
      if (!split)
        throw new DataError(`the page has no split ${JSON.stringify(name)}, but ${splits.join(", ")}`);
      return { split, pictures };
    },
    close: async () => {},
  };
}

/** Throws ConfigError where a model wants other pictures than the page has. */
export function requirePictures(
  { imageSize, fit, zoom, filter }: ModelConfig["vision"],
  there: Preparation,
): void {
  const asked: Record<string, unknown> = { imageSize, fit, zoom, filter };
  const known: Record<string, unknown> = { ...there, imageSize: there.size };
  const wrong = Object.keys(asked).filter((key) => asked[key] !== known[key]);
  if (wrong.length === 0) return;
  const told = wrong.map((key) => `model.vision.${key} must be ${known[key]}, not ${asked[key]}`).join("; ");
  throw new ConfigError(`The page's pictures are ${there.size} pixels large and made in one way: ${told}.`);
}
