// Sizes and options of a CASE model, from tiny to BLIP-base. Unknown keys are errors, so that a typo can't pass for a
// setting. Defaults are BLIP's (see the notes on each field); what is not known of CASE is an option.
import { z } from "zod";
import { filterNames, PICTURE_MEAN, PICTURE_STD } from "./picture.ts";

const count = z.int().positive();

/**
 * What a feed-forward part computes between its layers: GELU exactly, by tanh, or by sigmoid as OpenAI's CLIP has it, or
 * ReLU.
 */
export const activations = ["gelu", "geluTanh", "geluQuick", "relu"] as const;
export type Activation = (typeof activations)[number];
const activation = z.enum(activations).default("gelu");

/** Attention takes its numbers by fours. */
const wholeHeads = ({ width, heads }: { width: number; heads: number }) => width % (4 * heads) === 0;
const headsMessage = "width must be a multiple of heads, and a head's width of 4";

const channels = z.tuple([z.number(), z.number(), z.number()]);

const visionSchema = z
  .strictObject({
    /** Side of the square input, pixels. */
    imageSize: count.default(384),
    patchSize: count.default(16),
    width: count.default(768),
    depth: count.default(12),
    heads: count.default(12),
    /** Hidden width of the MLP, as a multiple of the width; it need not be a whole one. */
    mlpRatio: z.number().positive().default(4),
    layerNormEpsilon: z.number().positive().default(1e-6),
    activation,
    /** Whether a class token is the first. */
    classToken: z.boolean().default(true),
    /** Learnt tokens behind it that stand for no patch: registers (arXiv 2309.16588), or DeiT's distillation token. */
    registers: z.int().min(0).default(0),
    /** A norm between the embeddings and the first layer, as CLIP has it. */
    preNorm: z.boolean().default(false),
    /** A norm over each head's queries and keys (Henry et al., arXiv 2010.04245; here layer norms). */
    queryKeyNorm: z.boolean().default(false),
    /** What stands for the whole picture: the class token, the mean of the patches, or what a learnt query attends to. */
    pooling: z.enum(["token", "mean", "attention"]).default("token"),
    /** Whether the last norm is of all tokens, or of what they are pooled to. */
    finalNorm: z.enum(["tokens", "pooled"]).default("tokens"),
    /**
     * How a picture becomes a square: all of it squashed, or its middle cut out where the shorter side fills it; in a
     * square `zoom` times as large, of which the middle is taken; and the filter.
     */
    fit: z.enum(["squash", "crop"]).default("squash"),
    zoom: z.number().min(1).max(4).default(1),
    filter: z.enum(filterNames).default("bicubic"),
    /** Mean and standard deviation of the pictures' channels (R, G, B), in units of full intensity. */
    mean: channels.default([...PICTURE_MEAN]),
    std: channels.default([...PICTURE_STD]).refine((std) => std.every((s) => s > 0), "std must be positive"),
  })
  .refine((v) => v.imageSize % v.patchSize === 0, "imageSize must be a multiple of patchSize")
  .refine(wholeHeads, headsMessage)
  .refine((v) => isWhole(v.mlpRatio * v.width), "mlpRatio times width must be a whole number")
  .refine((v) => v.classToken || v.pooling !== "token", "pooling by the class token needs one");

const textSchema = z
  .strictObject({
    width: count.default(768),
    depth: count.default(12),
    heads: count.default(12),
    /** Hidden width of the feed-forward part. */
    intermediate: count.default(3072),
    /** Rows of the position table; a text has at most this many tokens. */
    maxPositions: count.default(512),
    /** Dropout on hidden states and on attention probabilities while training. */
    dropout: z.number().min(0).max(0.9).default(0.1),
    layerNormEpsilon: z.number().positive().default(1e-12),
    activation,
    /** Tokens kept of a text, special ones included. BLIP retrieval uses 35. */
    maxLength: z.int().min(4).default(35),
    /** First token of a query: BLIP puts [ENC] in multimodal mode, its matching head keeps [CLS]. */
    firstToken: z.enum(["enc", "cls"]).default("enc"),
  })
  .refine(wholeHeads, headsMessage)
  .refine((t) => t.maxLength <= t.maxPositions, "maxLength must not exceed maxPositions");

/** A model of CASE's kind: widths, depths, heads and whatever else its embeddings depend on, each with its default. */
export const modelSchema = z.strictObject({
  vision: visionSchema.prefault({}),
  text: textSchema.prefault({}),
  /** Width of the shared embedding. */
  projection: count.default(256),
  /** Standard deviation of fresh weights. BERT and BLIP use 0.02. */
  initializerRange: z.number().positive().default(0.02),
  /**
   * The same for position, class and word embeddings. A small model that trains for few steps wants them as large as
   * what they are added to: an optimiser moves a weight by about the learning rate a step, however small it is.
   */
  embeddingRange: z.number().positive().default(0.02),
  /** How fresh weights are drawn, see initial.ts: as BERT and BLIP do, or so that attention starts by copying. */
  initialization: z.enum(["normal", "copying"]).default("normal"),
  /** Learnt temperature: its start, and the range that it is clamped to (BLIP's values). */
  temperature: z
    .strictObject({
      initial: z.number().positive().default(0.07),
      low: z.number().positive().default(0.001),
      high: z.number().positive().default(0.5),
    })
    .prefault({}),
  /**
   * How picture and text meet in a query. "early" is CASE: the text attends to the picture in every layer. The rest are
   * its rivals: "late" is the mean of the two embeddings, "gate" and "combiner" learn how to join them (see fusion.ts),
   * "text" and "image" see one modality only.
   */
  fusion: z.enum(["early", "late", "gate", "combiner", "text", "image"]).default("early"),
});

/** A checked model configuration with every default filled in. */
export type ModelConfig = z.infer<typeof modelSchema>;

/** Whether a product of two numbers stands for a whole one. */
function isWhole(x: number): boolean {
  return Math.abs(x - Math.round(x)) < 1e-6 * x;
}
