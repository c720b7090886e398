// A run's configuration: data, model, training. Unknown keys are errors; what is left out gets the defaults below.
import { z } from "zod";
import { modelSchema } from "../model/config.ts";
import { type CaptionWay, captionWays } from "./data/captions.ts";
import { presetNames, withPreset } from "./presets.ts";

const count = z.int().positive();
/** Of a batch: all of it is compared with all, on the host a byte and on the GPU four a pair. CASE has up to 3,840. */
const mostTriplets = 8192;
/** More than anybody takes. */
const mostSteps = 2 ** 31 - 1;
const interval = z
  .tuple([z.number().positive(), z.number().positive()])
  .refine(([low, high]) => low <= high, "the first must not exceed the second");

const trainingSchema = z
  .strictObject({
    /** What others train with, for what is left out: presets.ts. */
    preset: z.enum(presetNames).optional(),
    /** Optimiser steps, those on data sets before the last included; the most of them where `epochs` is there. */
    steps: count.optional(),
    /** Passes over the triplets of the data set, of several the last; a run's own configuration has `steps` in its place. */
    epochs: z.number().positive().optional(),
    /**
     * Emoji-CoIR: pictures encoded at a time, shared by their triplets: a reference and its target at least. Batches of
     * other data sets have the pictures of their triplets.
     */
    pictures: z.int().min(2).default(64),
    /** Triplets to so many pictures. */
    triplets: count.default(128),
    /**
     * Parts that a batch is encoded in, one after the other: a step sees so many times `pictures` and `triplets`, all
     * compared with all, in the memory of one part and with two forward passes.
     */
    accumulation: count.default(1),
    /** Peak learning rate of AdamW. */
    learningRate: z.number().positive().default(1e-3),
    /** Steps of linear warm-up. */
    warmup: z.int().nonnegative().default(20),
    /** Steps in which the learning rate comes to its final value; all unless told. */
    decaySteps: count.optional(),
    /** After warm-up: cosine to `finalLearningRate`, exponential to it, or none. */
    decay: z.enum(["cosine", "exponential", "constant"]).default("cosine"),
    finalLearningRate: z.number().nonnegative().default(1e-5),
    weightDecay: z.number().nonnegative().default(0.05),
    beta2: z.number().min(0).max(0.9999).default(0.98),
    /** Global gradient norm to clip to; 0 switches clipping off. */
    clip: z.number().nonnegative().default(1),
    /** Contrastive cross-entropy, or the Recall@K surrogate. */
    loss: z.enum(["contrastive", "recall"]).default("contrastive"),
    reverse: z
      .strictObject({
        /** Weight of the reverse loss; 0 switches the reverse query off. CASE's own value is not known. */
        weight: z.number().nonnegative().default(0.1),
        /** Share of a batch's triplets that are reversed as well. */
        share: z.number().min(0).max(1).default(0.25),
      })
      .prefault({}),
    /**
     * What a query's own picture is to it: a wrong answer, or none at all, as where it is taken out of the gallery that the
     * query is ranked against.
     */
    reference: z.enum(["negative", "ignored"]).default("negative"),
    /**
     * So many of the steps, the first, tell the pictures' names apart: texts by themselves against pictures, as many as
     * `pictures`, without edits. Of data sets that have names.
     */
    names: z.strictObject({ steps: z.int().nonnegative().default(0) }).prefault({}),
    augment: z
      .strictObject({
        /** Pictures are moved by up to this many pixels each way; 0 leaves them where they are. */
        shift: z.int().nonnegative().default(0),
        /** Share of a batch's pictures that are moved. */
        share: z.number().min(0).max(1).default(0.5),
        /**
         * A part of each picture in place of all of it, of so much of the area and with sides of such a ratio: torchvision's
         * RandomResizedCrop. BLIP takes 0.5 to 1 of the area.
         */
        crop: z
          .strictObject({
            scale: interval.default([0.5, 1]).refine(([, high]) => high <= 1, "scale must not exceed 1"),
            ratio: interval.default([3 / 4, 4 / 3]),
          })
          .optional(),
        /** Share of the pictures that are mirrored, but for those of whose sides a text of the batch speaks. */
        flip: z.number().min(0).max(1).default(0),
        /** How far colours vary: torchvision's ColorJitter. */
        jitter: z
          .strictObject({
            brightness: z.number().nonnegative().default(0),
            contrast: z.number().nonnegative().default(0),
            saturation: z.number().nonnegative().default(0),
            hue: z.number().min(0).max(0.5).default(0),
          })
          .prefault({}),
      })
      .prefault({}),
    /** Capture a step once and replay it; false records each step anew, with the same numbers. */
    capture: z.boolean().default(true),
    /**
     * Time the variants of kernels on this adapter before the first step and use the fastest; what was measured stays in
     * .cache/tuning.json. false: fixed rules choose, so that nothing depends on a measurement.
     */
    tuning: z.boolean().default(false),
    /** Keep only the blocks' results for backward, which runs each block once more: the same numbers in less memory. */
    checkpointing: z.boolean().default(false),
    /** Leave the ViT as it is, as ChatIR does with pre-trained weights; groups go before. */
    freezeVision: z.boolean().default(false),
    /**
     * Keep what a frozen ViT makes of each picture on the disk, in f16, so that a step encodes only pictures that no step
     * has seen. A picture takes tokens times width times 2 bytes: 300 KB for a ViT-B of 224 pixels and patches of 16.
     */
    cacheTokens: z.boolean().default(false),
    /**
     * Parameters that learn in another way than the rest, by patterns of their names (* is any run of characters); the
     * first that fits counts.
     */
    groups: z
      .array(
        z.strictObject({
          match: z.string().min(1),
          /** Multiple of the learning rate; 0 leaves them as they are. */
          rate: z.number().nonnegative().default(1),
          /** Weight decay of matrices among them; `weightDecay` unless told. */
          weightDecay: z.number().nonnegative().optional(),
        }),
      )
      .default([]),
    /** Judging a split while training. */
    validate: z
      .strictObject({
        /** Steps between validations; one more is behind the last step. */
        every: count,
        /** The first of those that the run ends with unless told. */
        split: z.string().min(1).optional(),
        /** So many of its queries, spread evenly; all unless told. */
        queries: count.optional(),
        /** Figure that says which state is the best: CIRR's mean, r10 of others unless told. */
        metric: z.string().min(1).optional(),
        /** Validations in a row without a better one after which training ends; it goes on to its last step unless told. */
        patience: count.optional(),
      })
      .optional(),
    /** Steps between checkpoints. */
    checkpointEvery: count.default(100),
  })
  .refine(
    (t) => Math.max(t.triplets, t.pictures / 2) * t.accumulation <= mostTriplets,
    `triplets, and half of pictures, times accumulation are ${mostTriplets} at most`,
  )
  .refine(({ steps, epochs }) => steps !== undefined || epochs !== undefined, "steps or epochs must be there")
  .transform(({ steps = mostSteps, ...training }) => ({ ...training, steps }))
  .refine((t) => t.warmup < (t.decaySteps ?? t.steps), "warmup must be shorter than steps")
  .refine(
    (t) => t.decay !== "exponential" || t.finalLearningRate > 0,
    "an exponential decay never comes to a finalLearningRate of 0",
  );

const vocabulary = z.enum(["subset", "bert"]);

const dataSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("emoji"),
    /** "subset": only the word pieces that the training texts need; "bert": all 30,522. */
    vocabulary: vocabulary.default("subset"),
  }),
  z.strictObject({
    kind: z.enum(["cirr", "fashioniq", "lasco", "jsonl"]),
    /** The data set's folder; --root tells it where it is not here. */
    root: z.string().min(1).optional(),
    /** Split that is trained on. */
    split: z.string().default("train"),
    /** How captions become one text, in training and evaluation. */
    captions: z.enum(captionWays).default("as written"),
    vocabulary: vocabulary.default("bert"),
    /** Go on without pictures that are missing or broken, and without the triplets that need them. */
    allowMissing: z.boolean().default(false),
  }),
]);
/** A data set that can be trained on. */
export type DataConfig = z.infer<typeof dataSchema>;

const stageSchema = z
  .strictObject({
    data: dataSchema,
    /** Optimiser steps on it. */
    steps: count.optional(),
    /** Passes over its triplets; a run's own configuration has `steps` in its place. */
    epochs: z.number().positive().optional(),
  })
  .refine(
    ({ steps, epochs }) => (steps === undefined) !== (epochs === undefined),
    "steps or epochs must be there",
  );

/** A run: data, model and training, every field with its default. Unknown fields are errors. */
export const configSchema = z.strictObject({
  name: z.string().min(1),
  /** Below 2^53; every bit counts. */
  seed: z.int().nonnegative().default(1),
  /** What is trained on. */
  data: dataSchema,
  /** Data sets that are trained on before it, in this order, as LaSCo is before CIRR. */
  before: z.array(stageSchema).default([]),
  /** Where values come from, by their paths; for people. */
  sources: z.record(z.string(), z.string()).optional(),
  /**
   * "f16": the network computes in f16, with f32 master weights and dynamic loss scaling. Needs an adapter with
   * shader-f16.
   */
  precision: z.enum(["f32", "f16"]).default("f32"),
  model: modelSchema,
  training: trainingSchema,
});

/** A checked run configuration with every default filled in. */
export type RunConfig = z.infer<typeof configSchema>;

/** A configuration that can't be used; the message lists each problem with its path. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Checks a configuration. Throws ConfigError. */
export function parseConfig(value: unknown, source: string): RunConfig {
  const result = configSchema.safeParse(withPreset(value));
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `  ${issue.path.join(".") || "(top)"}: ${issue.message}`,
  );
  throw new ConfigError(`${source} is not a valid configuration:\n${problems.join("\n")}`);
}

/**
 * A configuration with another number of steps or another seed. Warm-up ends before the steps do.
 * @param begun a run that goes on: the learning rates of its steps stay as they are. Throws ConfigError.
 */
export function overrule(
  config: RunConfig,
  { steps, seed, begun = false }: { steps?: number; seed?: number; begun?: boolean },
): RunConfig {
  const { training } = config;
  const total = steps ?? training.steps;
  const schedule =
    begun && total !== training.steps
      ? { decaySteps: training.decaySteps ?? training.steps }
      : { warmup: Math.min(training.warmup, total - 1) };
  const changed = {
    ...config,
    seed: seed ?? config.seed,
    training: { ...training, steps: total, ...schedule },
  };
  return parseConfig(changed, "The configuration with these changes");
}

/**
 * A configuration whose epochs have become steps.
 * @param triplets of the data sets before the last, and of the last. Throws ConfigError where no step is left for the last.
 */
export function withSteps(config: RunConfig, triplets: readonly number[]): RunConfig {
  const { before, training } = config;
  const perStep = training.triplets * training.accumulation;
  const stepsOf = (epochs: number, of: number) => Math.max(1, Math.round((epochs * of) / perStep));
  const stages = before.map(({ data, steps, epochs }, i) => ({
    data,
    steps: steps ?? stepsOf(epochs!, triplets[i]!),
  }));
  const earlier = stages.reduce((sum, { steps }) => sum + steps, 0);
  const { epochs, ...rest } = training;
  const last = epochs === undefined ? Number.POSITIVE_INFINITY : stepsOf(epochs, triplets.at(-1)!);
  const steps = Math.min(training.steps, earlier + last);
  if (steps <= earlier)
    throw new ConfigError(
      `training.steps: ${steps} steps leave none for the last data set, after ${earlier}.`,
    );
  const resolved = { ...rest, steps, warmup: Math.min(training.warmup, steps - 1) };
  return parseConfig({ ...config, before: stages, training: resolved }, "The configuration with these steps");
}

/** How a configuration's data set joins captions. */
export function captionsOf({ data }: RunConfig): CaptionWay {
  return data.kind === "emoji" ? "as written" : data.captions;
}
