// What trains CASE on a data set: its batches, collated, and their loss.
import { type Engine, RandomStreams, seedKey } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import { augmentPictures, augments, sidedPictures } from "../data/augment.ts";
import { flatten, packBatch, packNames, unflatten } from "../data/collate.ts";
import type { TrainingSet } from "../data/dataset.ts";
import type { Pictures } from "../data/types.ts";
import { type PackedStep, type Task, Trainer } from "../loop/trainer.ts";
import { batchLoss } from "../objective/batch.ts";
import { type KeptTokens, requireStill, type Tokens } from "./still.ts";

/**
 * Makes the batch of any step of a run.
 * @param contents the tokens of the set's pictures, where the configuration asks for them
 */
export function packerOf(
  tokenizer: Tokenizer,
  set: TrainingSet,
  config: RunConfig,
  contents: Tokens = set.pictures,
): (step: number) => Promise<PackedStep> {
  const { training, seed } = config;
  const { accumulation } = training;
  return async (step) => {
    const naming = step < training.names.steps;
    const batch = (naming ? set.names! : set).sampleBatch({
      pictures: training.pictures * accumulation,
      triplets: training.triplets * accumulation,
      ...{ seed, step },
    });
    const read = await contents.read(batch.pictures);
    // Streams of another seed than the dropout's.
    const streams = new RandomStreams(~seedKey(seed) >>> 0, step);
    const keys = { moves: streams.stream(), others: streams.stream() };
    const seen = augments(training.augment)
      ? augmentPictures(read, config.model.vision, training.augment, keys, sidedPictures(batch))
      : read;
    const { inputs, rows } = (naming ? packNames : packBatch)(config, tokenizer, batch, seen);
    return { inputs: flatten(inputs), rows };
  };
}

/**
 * A trainer of a model on a data set. The model's parameters may get their values later. Throws ConfigError where names are
 * to be learnt that the data set lacks, or tokens to be kept of a ViT that learns.
 * @param keep where tokens can be kept, such as tokens.ts's `onDisk`
 */
export function makeTrainer(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  set: TrainingSet,
  config: RunConfig,
  keep: ((model: Case, pictures: Pictures) => KeptTokens) | null = null,
): Trainer {
  const { training } = config;
  if (training.names.steps > 0 && !set.names)
    throw new ConfigError(`training.names: the pictures of ${set.name} have no names.`);
  if (training.cacheTokens) requireStill(config);
  if (training.cacheTokens && !keep)
    throw new ConfigError("training.cacheTokens: there is no disk to keep tokens on.");
  const tokens = training.cacheTokens ? keep!(model, set.pictures) : undefined;
  const task: Task = {
    pack: packerOf(tokenizer, set, config, tokens),
    loss: (inputs, streams) => batchLoss(model, training, unflatten(inputs, training.accumulation), streams),
    close: () => tokens?.close(),
  };
  return new Trainer(engine, model, task, config);
}
