// How fresh weights are drawn. "normal" is BERT's and BLIP's way. "copying" starts each attention as a mean over its
// tokens, handed on unchanged: value and output projections begin as the identity, after Trockman and Kolter, "Mimetic
// Initialization of Self-Attention Layers" (arXiv 2305.09828; there with a minus sign and for self-attention only).
// Feed-forward parts start small and both projections into the shared space start equal, so that a fresh query lies
// near its reference picture and training has only the shift to learn.
import type { ModelConfig } from "./config.ts";
import type { Initial } from "./parameters.ts";

/** What is left of the deviation of a feed-forward part's last weights when copying. */
const quietFeedForward = 0.3;

/** Initial values by the role of a weight. */
export function initials({ initialization, initializerRange, embeddingRange }: ModelConfig) {
  const weight: Initial = { normal: initializerRange };
  const copying = initialization === "copying";
  return {
    /** Word, position and class embeddings. */
    embedding: { normal: embeddingRange } as Initial,
    /** Any other weight. */
    weight,
    /** A fused projection of an attention; its value rows begin at `row`. */
    valuesFrom: (row: number): Initial => (copying ? { ...weight, identityFrom: row } : weight),
    /** An attention's output projection. */
    attentionOutput: (copying ? { ...weight, identityFrom: 0 } : weight) as Initial,
    /** The last weight of a feed-forward part. */
    feedForwardOutput: (copying ? { normal: quietFeedForward * initializerRange } : weight) as Initial,
    /** Projections into the shared space. */
    shared: (copying ? { ...weight, as: "shared" } : weight) as Initial,
  };
}
