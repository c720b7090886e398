// A run's configuration: data, model, training. Unknown keys are errors; what is left out gets the defaults below.
import { z } from "zod";
import { modelSchema } from "../model/config.ts";

const count = z.int().positive();

const trainingSchema = z
  .strictObject({
    /** Optimiser steps. */
    steps: count,
    /** Pictures encoded at a time, shared by their triplets: a reference and its target at least. */
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
    finalLearningRate: z.number().positive().default(1e-5),
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
    augment: z
      .strictObject({
        /** Pictures are moved by up to this many pixels each way; 0 leaves them where they are. */
        shift: z.int().nonnegative().default(0),
        /** Share of a batch's pictures that are moved. */
        share: z.number().min(0).max(1).default(0.5),
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
    /** Steps between checkpoints. */
    checkpointEvery: count.default(100),
  })
  .refine((t) => t.warmup < (t.decaySteps ?? t.steps), "warmup must be shorter than steps");

export const configSchema = z.strictObject({
  name: z.string().min(1),
  /** Below 2^53; every bit counts. */
  seed: z.int().nonnegative().default(1),
  data: z.strictObject({
    kind: z.literal("emoji"),
    /** "subset": only the word pieces that the training texts need; "bert": all 30,522. */
    vocabulary: z.enum(["subset", "bert"]).default("subset"),
  }),
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
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `  ${issue.path.join(".") || "(top)"}: ${issue.message}`,
  );
  throw new ConfigError(`${source} is not a valid configuration:\n${problems.join("\n")}`);
}
