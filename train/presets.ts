// Losses with the settings that others train them with, under a name: `training.preset` gives what a configuration leaves
// out, and --set training.preset=NAME what it says otherwise too. Each value names its source; what a source does not say,
// or what is the data set's to say, is not here.

export const presets = {
  /**
   * The Recall@K surrogate as ChatIR trains with it (Levy et al., arXiv 2305.20062, by CASE's authors): AdamW at 5e-5, which
   * falls exponentially to 1e-6 (by 0.93 an epoch there), the image encoder left as it is. K of 1, 2, 4, 8, 16 and
   * temperatures of 0.01 and 1 are the loss's own (Patel et al., arXiv 2108.11179).
   */
  chatir: {
    loss: "recall",
    learningRate: 5e-5,
    decay: "exponential",
    finalLearningRate: 1e-6,
    freezeVision: true,
  },
  /**
   * Contrastive cross-entropy as BLIP fine-tunes ViT-B for retrieval (salesforce/BLIP: configs/retrieval_coco.yaml, and
   * train_retrieval.py for AdamW with PyTorch's beta2, no warm-up, no clipping). Without its momentum encoder, its queue of
   * 57,600 and the soft targets from them.
   */
  blip: {
    loss: "contrastive",
    learningRate: 1e-5,
    warmup: 0,
    decay: "cosine",
    finalLearningRate: 0,
    weightDecay: 0.05,
    beta2: 0.999,
    clip: 0,
  },
} as const;

export type Preset = keyof typeof presets;

export const presetNames = Object.keys(presets) as [Preset, ...Preset[]];

/** A configuration that has not been checked yet, with what its preset gives and it leaves out. */
export function withPreset(config: unknown): unknown {
  const training = fieldsOf(fieldsOf(config)?.training);
  const name = presetNames.find((known) => known === training?.preset);
  return name ? { ...fieldsOf(config), training: { ...presets[name], ...training } } : config;
}

/** Training settings without those that a preset gives. */
export function withoutPreset<T extends object>(training: T, name: Preset): T {
  const own = Object.entries(training).filter(([key]) => !(key in presets[name]));
  return Object.fromEntries(own) as T;
}

function fieldsOf(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}
