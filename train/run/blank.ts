// A training step on a model and a batch that only have the right shapes: what its kernels and its memory are shows before
// the data set is there.
import type { Engine } from "../../engine/index.ts";
import { specialTokens, Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import type { Batch, TrainingSet } from "../data/dataset.ts";
import { inMemory } from "../data/memory.ts";
import { makeModel } from "../loop/trainer.ts";
import { tokenBytes } from "./still.ts";
import { makeTrainer, packerOf } from "./trainer.ts";

/**
 * What records the steps of a run, model and optimiser included, for `engine.prepare` and `engine.plan`. Texts are as long as
 * the model takes them.
 * @param vocabularySize tokens of the model; few unless told
 */
export async function blankStep(
  engine: Engine,
  config: RunConfig,
  vocabularySize?: number,
): Promise<() => void> {
  const tokenizer = new Tokenizer([...specialTokens, word]);
  const set = blankSet(config);
  const length = tokenBytes(config.model.vision);
  const zeros = {
    read: async (ids: ArrayLike<number>) => new Uint8Array(ids.length * length),
    close: async () => {},
  };
  const pack = packerOf(tokenizer, set, config, config.training.cacheTokens ? zeros : undefined);
  // The first step, and the first behind those on names.
  const steps = new Set([0, Math.min(config.training.names.steps, config.training.steps - 1)]);
  const packed = await Promise.all([...steps].map(pack));
  return () => {
    const model = makeModel(engine, config, vocabularySize ?? tokenizer.size);
    const trainer = makeTrainer(engine, model, tokenizer, set, config, { keep: () => zeros });
    for (const { inputs } of packed) trainer.record(inputs);
  };
}

const word = "a";

/** A data set of one white picture, of which every batch asks the same. */
export function blankSet({ model, data }: RunConfig): TrainingSet {
  const { imageSize } = model.vision;
  const text = Array.from({ length: model.text.maxLength }, () => word).join(" ");
  const pixels = new Uint8Array(3 * imageSize ** 2).fill(255);
  const batch = (count: number, queries: number): Batch => ({
    pictures: new Int32Array(count),
    reference: new Int32Array(queries),
    target: new Int32Array(queries).fill(1),
    text: new Array<string>(queries).fill(text),
    kind: new Array<string>(queries).fill(""),
    ignore: new Uint8Array(queries * count),
  });
  return {
    name: "blank",
    pictures: inMemory({ size: imageSize, names: [""], pixels }),
    triplets: 1,
    texts: () => [text],
    sampleBatch: ({ pictures, triplets }) => batch(data.kind === "emoji" ? pictures : 2 * triplets, triplets),
    names: { texts: () => [text], sampleBatch: ({ pictures }) => batch(pictures, pictures) },
  };
}
