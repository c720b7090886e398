// Sizes and options of a CASE model, from tiny to BLIP-base. Unknown keys are errors, so that a typo can't pass for a
// setting. Defaults are BLIP's (see the notes on each field); what is not known of CASE is an option.
import { z } from "zod";

const count = z.int().positive();

const visionSchema = z
  .strictObject({
    /** Side of the square input, pixels. */
    imageSize: count.default(384),
    patchSize: count.default(16),
    width: count.default(768),
    depth: count.default(12),
    heads: count.default(12),
    /** Hidden width of the MLP, as a multiple of the width. */
    mlpRatio: count.default(4),
    layerNormEpsilon: z.number().positive().default(1e-6),
  })
  .refine((v) => v.imageSize % v.patchSize === 0, "imageSize must be a multiple of patchSize")
  .refine((v) => v.width % v.heads === 0, "width must be a multiple of heads");

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
    /** Tokens kept of a text, special ones included. BLIP retrieval uses 35. */
    maxLength: z.int().min(4).default(35),
    /** First token of a query: BLIP puts [ENC] in multimodal mode, its matching head keeps [CLS]. */
    firstToken: z.enum(["enc", "cls"]).default("enc"),
  })
  .refine((t) => t.width % t.heads === 0, "width must be a multiple of heads")
  .refine((t) => t.maxLength <= t.maxPositions, "maxLength must not exceed maxPositions");

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
   * its rivals: "late" adds the two embeddings, "text" and "image" see one modality only.
   */
  fusion: z.enum(["early", "late", "text", "image"]).default("early"),
});

/** A checked model configuration with every default filled in. */
export type ModelConfig = z.infer<typeof modelSchema>;
