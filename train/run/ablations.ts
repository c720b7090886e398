// The rivals that CASE is compared with, as changes of a configuration: everything else, the budget included, stays.
import type { RunConfig } from "../config.ts";

type Fusion = RunConfig["model"]["fusion"];

interface Rival {
  about: string;
  fusion: Fusion;
  /** Without the reverse query: because it is what is left out, or because one modality can't answer it. */
  forwardOnly?: true;
}

/** Those that the comparison is about stand first. */
const rivals = {
  "no-rev": { about: "CASE without the reverse query", fusion: "early", forwardOnly: true },
  "late-fusion": { about: "picture and text encoded apart, the mean of the two embeddings", fusion: "late" },
  gate: { about: "encoded apart, joined by TIRG's gate and residual", fusion: "gate" },
  combiner: { about: "encoded apart, joined by a combiner network", fusion: "combiner" },
  "text-only": {
    about: "no picture in the query: text encoder without cross-attention",
    fusion: "text",
    forwardOnly: true,
  },
  "image-only": {
    about: "no text in the query: the shift encoder sees the picture and an empty text",
    fusion: "image",
    forwardOnly: true,
  },
} as const satisfies Record<string, Rival>;

/** A rival's name. */
export type Ablation = keyof typeof rivals;

/** What `--ablate` knows. */
export const ablations = Object.keys(rivals) as Ablation[];

/** The configuration of a rival. */
export function ablate(config: RunConfig, ablation: Ablation): RunConfig {
  const { model, training } = config;
  const { fusion, forwardOnly }: Rival = rivals[ablation];
  return {
    ...config,
    name: `${config.name}-${ablation}`,
    model: { ...model, fusion },
    training: forwardOnly ? { ...training, reverse: { ...training.reverse, weight: 0 } } : training,
  };
}

/** What a rival is, in words. */
export const describeAblation = (ablation: Ablation): string => rivals[ablation].about;
