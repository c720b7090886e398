// The vocabulary that a fresh run begins with.
import { Tokenizer } from "../../model/tokenizer.ts";
import { bertVocabulary, subsetVocabulary } from "../../model/vocabulary.ts";
import type { RunConfig } from "../config.ts";
import type { TrainingSet } from "../data/dataset.ts";

/** Every text that a run trains on or asks, each once. */
export function textsOf({ training }: RunConfig, { texts, names }: TrainingSet): string[] {
  return training.names.steps > 0 ? [...texts(), ...(names?.texts() ?? [])] : texts();
}

/** A fresh run's tokenizer. */
export async function makeTokenizer(config: RunConfig, dataset: TrainingSet): Promise<Tokenizer> {
  const full = await bertVocabulary();
  if (config.data.vocabulary === "bert") return new Tokenizer(full);
  return new Tokenizer(subsetVocabulary(full, textsOf(config, dataset)));
}
