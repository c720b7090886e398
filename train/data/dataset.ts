// What training and evaluation ask of a data set, whichever it is: batches that any step can recompute, and splits with
// their pictures, opened when they are needed.
import type { DataName, Pictures, Split } from "./types.ts";

/** Training triplets that share pictures, so that each is encoded once. */
export interface Batch {
  /** int32 [pictures], distinct picture ids. */
  pictures: Int32Array;
  /** int32 [triplets], index into `pictures`. */
  reference: Int32Array;
  /** int32 [triplets], index into `pictures`. */
  target: Int32Array;
  /** [triplets] */
  text: string[];
  /** [triplets], equal where two texts ask for the same change. */
  kind: string[];
  /** uint8 [triplets, pictures]: 1 where that picture is another right answer, so neither negative nor target. */
  ignore: Uint8Array;
  /**
   * The same for the reversed query of each triplet: other pictures that its text leads from to its target, and those
   * that look like its reference. Unless told, references of triplets with the same target and kind are taken for such.
   */
  ignoreReversed?: Uint8Array;
  /**
   * To how many pictures the batch is filled up, where the number of pictures varies, so that few shapes occur; no more
   * than there are unless told.
   */
  room?: number;
}

/** Size and position of a training batch; the same options always give the same batch. */
export interface BatchOptions {
  /** Emoji-CoIR chooses so many pictures; other data sets take those of their triplets. */
  pictures: number;
  triplets: number;
  seed: number;
  step: number;
}

/** What training needs of a data set. */
export interface TrainingSet {
  name: string;
  pictures: Pictures;
  /** Triplets in an epoch. */
  triplets: number;
  /** Every text that a training batch or a query can hold, each once, to build a vocabulary from. */
  texts(): string[];
  /** A pure function of its options, so that resumed training sees the batches that it would have seen. */
  sampleBatch(options: BatchOptions): Batch;
  /** Its pictures by their names, where they have some. */
  names?: NamedPictures;
}

/** Pictures with texts that say what they show. */
export interface NamedPictures {
  /** Every text, each once. */
  texts(): string[];
  /** As many texts as pictures, of which each is reference and target of its own. A pure function of its options. */
  sampleBatch(options: BatchOptions): Batch;
}

/** A split with its pictures, in the order of the split's. */
export interface OpenSplit {
  split: Split;
  pictures: Pictures;
  /**
   * The same pictures at one small size, made from the originals, for what must not change with the size that a model sees.
   * Emoji-CoIR has them.
   */
  looks?: Pictures;
}

/** The pictures of a split that can be answers: those of its galleries; all of Emoji-CoIR. */
export function galleryOf({ split, pictures }: OpenSplit): { pictures: Pictures; ids: readonly number[] } {
  if (split.data === "emoji") return { pictures, ids: Array.from({ length: pictures.count }, (_, i) => i) };
  const ids = new Set(split.galleries.flatMap((gallery) => [...gallery.pictures]));
  return { pictures, ids: [...ids].sort((a, b) => a - b) };
}

/** A data set whose parts are loaded when they are asked for, each once. */
export interface OpenData {
  name: DataName;
  /** Throws DataError where it has no triplets to train on. */
  training(): Promise<TrainingSet>;
  /** Names of the splits that are there. */
  splits: readonly string[];
  /** Those of them that a run is evaluated on: their answers are known, and training does not see them. */
  evaluated: readonly string[];
  /** Throws DataError for a name that it lacks. */
  open(split: string): Promise<OpenSplit>;
  /** Closes its files. Nothing can be read after it. */
  close(): Promise<void>;
}
