// The kernels of a training step get ready while the data set loads: a step is recorded on a model and a batch that only
// have the right shapes. On a software adapter both take seconds, on different threads.
import { availableParallelism } from "node:os";
import type { Engine } from "../../engine/index.ts";
import { specialTokens, Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import type { Batch, TrainingSet } from "../data/dataset.ts";
import { inMemory } from "../data/memory.ts";
import { makeModel } from "../loop/trainer.ts";
import { tokenBytes } from "./still.ts";
import { makeTrainer, packerOf } from "./trainer.ts";

/** Gets the kernels of a run's steps ready. What another batch needs beside them compiles when it comes. */
export async function rehearse(engine: Engine, config: RunConfig): Promise<void> {
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
  await engine.prepare(
    () => {
      const model = makeModel(engine, config, tokenizer.size);
      const trainer = makeTrainer(engine, model, tokenizer, set, config, { keep: () => zeros });
      for (const { inputs } of packed) trainer.record(inputs);
    },
    { threads: availableParallelism() },
  );
}

const word = "a";

/** One white picture, of which every batch asks the same. */
function blankSet({ model, data }: RunConfig): TrainingSet {
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
