// What trains CASE on a data set: its batches, collated, and their loss.
import { type Engine, RandomStreams, seedKey } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import { type Augmentation, augmentPictures, augments, sidedPictures } from "../data/augment.ts";
import { flatten, packBatch, packNames, unflatten } from "../data/collate.ts";
import type { TrainingSet } from "../data/dataset.ts";
import type { Pictures } from "../data/types.ts";
import { alone, partOf, type Sync } from "../loop/sync.ts";
import { type PackedStep, type Task, Trainer } from "../loop/trainer.ts";
import { batchLoss } from "../objective/batch.ts";
import { type KeptTokens, requireStill, type Tokens } from "./still.ts";

/** What a home has for making batches, beside the data. */
export interface Means {
  /** Where tokens can be kept, such as tokens.ts's `onDisk`. */
  keep?(model: Case, pictures: Pictures): KeptTokens;
  /** Augments pictures elsewhere than on this thread, such as `AugmentThreads`. */
  threads?: {
    /** The pixels of pictures, augmented. */
    augment(pixels: Uint8Array, how: Augmentation): Promise<Uint8Array>;
    /** Ends the threads. */
    close(): void;
  };
  /** The other processes that train the same model; there are none unless told. */
  sync?: Sync;
}

/**
 * Makes the batch of any step of a run.
 * @param contents the tokens of the set's pictures, where the configuration asks for them
 * @param augment augments on this thread unless told
 * @param sync which part of each step is packed
 */
export function packerOf(
  tokenizer: Tokenizer,
  set: TrainingSet,
  config: RunConfig,
  contents: Tokens = set.pictures,
  augment: (pixels: Uint8Array, how: Augmentation) => Uint8Array | Promise<Uint8Array> = augmentPictures,
  sync = alone,
): (step: number) => Promise<PackedStep> {
  const { training, seed } = config;
  const { accumulation } = training;
  return async (done) => {
    const naming = done < training.names.steps;
    const step = partOf(done, sync);
    const batch = (naming ? set.names! : set).sampleBatch({
      pictures: training.pictures * accumulation,
      triplets: training.triplets * accumulation,
      ...{ seed, step },
    });
    const read = await contents.read(batch.pictures);
    // Streams of another seed than the dropout's.
    const streams = new RandomStreams(~seedKey(seed) >>> 0, step);
    const keys = { moves: streams.stream(), others: streams.stream() };
    const how = { vision: config.model.vision, options: training.augment, keys };
    const seen = augments(training.augment)
      ? await augment(read, { ...how, sided: sidedPictures(batch) })
      : read;
    const { inputs, rows } = (naming ? packNames : packBatch)(config, tokenizer, batch, seen);
    return { inputs: flatten(inputs), rows };
  };
}

/**
 * A trainer of a model on a data set. The model's parameters may get their values later. Throws ConfigError where names are
 * to be learnt that the data set lacks, or tokens to be kept of a ViT that learns.
 */
export function makeTrainer(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  set: TrainingSet,
  config: RunConfig,
  { keep, threads, sync }: Means = {},
): Trainer {
  const { training } = config;
  if (training.names.steps > 0 && !set.names)
    throw new ConfigError(`training.names: the pictures of ${set.name} have no names.`);
  if (training.cacheTokens) requireStill(config);
  if (training.cacheTokens && !keep)
    throw new ConfigError("training.cacheTokens: there is no disk to keep tokens on.");
  const tokens = training.cacheTokens ? keep!(model, set.pictures) : undefined;
  const task: Task = {
    pack: packerOf(tokenizer, set, config, tokens, threads?.augment, sync),
    loss: (inputs, streams) => batchLoss(model, training, unflatten(inputs, training.accumulation), streams),
    close: () => {
      threads?.close();
      tokens?.close();
    },
  };
  return new Trainer(engine, model, task, config, sync);
}
