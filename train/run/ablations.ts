// The rivals that CASE is compared with, as changes of a configuration: everything else, the budget included, stays.
import type { RunConfig } from "../config.ts";

/** What `--ablate` knows, with what it shows. */
export const ablations = {
  "text-only": "no picture in the query: text encoder without cross-attention",
  "image-only": "no text in the query: the shift encoder sees the picture and an empty text",
  "late-fusion": "picture and text encoded apart, embeddings added",
  "no-rev": "CASE without the reverse query",
} as const;

export type Ablation = keyof typeof ablations;

/** The configuration of a rival. */
export function ablate(config: RunConfig, ablation: Ablation): RunConfig {
  const { model, training } = config;
  const reverse = { ...training.reverse, weight: 0 };
  const named = { ...config, name: `${config.name}-${ablation}` };
  if (ablation === "no-rev") return { ...named, training: { ...training, reverse } };
  if (ablation === "late-fusion") return { ...named, model: { ...model, fusion: "late" } };
  // With one modality the reverse query asks for what the query lacks, so it is left out.
  const fusion = ablation === "text-only" ? "text" : "image";
  return { ...named, model: { ...model, fusion }, training: { ...training, reverse } };
}
