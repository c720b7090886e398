// What a composed-retrieval data set offers, whichever it is (Emoji-CoIR, CIRR, FashionIQ, LaSCo): pictures,
// splits of queries to evaluate on, and training batches that any step can recompute.

/** Decoded pictures of one size. A picture's id is its index here. */
export interface PictureSet {
  count: number;
  /** Side in pixels. */
  size: number;
  names: string[];
  /** uint8 [count, size, size, 3], RGB on white. */
  pixels: Uint8Array;
}

/** One question: the reference picture changed as the text says is the target picture. */
export interface Query {
  /** Picture id. */
  reference: number;
  text: string;
  /** Picture id. */
  target: number;
  /** Ids of other right answers: pictures equal to the target in pixels or in what they show. Never the reference. */
  positives: number[];
  /** Which sort of change the text asks for. */
  kind: string;
}

/** Queries with the pictures that they are ranked against. The evaluator removes the reference, not the data set. */
export interface Split {
  name: string;
  /** int32 [n], picture ids. */
  gallery: Int32Array;
  queries: Query[];
}

/** Training triplets that share few pictures, so that each picture is encoded once. */
export interface Batch {
  /** int32 [pictures], distinct picture ids. */
  pictures: Int32Array;
  /** int32 [triplets], index into `pictures`. */
  reference: Int32Array;
  /** int32 [triplets], index into `pictures`. */
  target: Int32Array;
  /** [triplets] */
  text: string[];
  /** [triplets] */
  kind: string[];
  /** uint8 [triplets, pictures]: 1 where that picture is another right answer, so neither negative nor target. */
  ignore: Uint8Array;
}

/** Size and position of a training batch; the same options always give the same batch. */
export interface BatchOptions {
  pictures: number;
  triplets: number;
  seed: number;
  step: number;
}

/** What training needs of a data set. */
export interface TrainingSet {
  name: string;
  pictures: PictureSet;
  /** Every text that a training batch or a query can hold, each once, to build a vocabulary from. */
  texts(): string[];
  /** A pure function of its options, so that resumed training sees the batches that it would have seen. */
  sampleBatch(options: BatchOptions): Batch;
}

/** A data set for training and evaluation. */
export interface Dataset extends TrainingSet {
  splits: Record<string, Split>;
}

/** A data set that is loaded as far as it is needed. */
export interface OpenDataset {
  /** Its pictures are the first of the whole data set, under the same ids. */
  training: TrainingSet;
  /** Loads the rest, once. */
  whole(): Promise<Dataset>;
}
