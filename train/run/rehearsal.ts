// The kernels of a training step get ready while the data set loads: a step is recorded on a model and a batch that only
// have the right shapes. On a software adapter both take seconds, on different threads.
import { availableParallelism } from "node:os";
import type { Engine } from "../../engine/index.ts";
import { specialTokens, Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import type { TrainingSet } from "../data/dataset.ts";
import { inMemory } from "../data/memory.ts";
import { makeModel } from "../loop/trainer.ts";
import { makeTrainer, packerOf } from "./trainer.ts";

/** Gets the kernels of a run's steps ready. What another batch needs beside them compiles when it comes. */
export async function rehearse(engine: Engine, config: RunConfig): Promise<void> {
  const tokenizer = new Tokenizer([...specialTokens, word]);
  const set = blankSet(config);
  const { inputs } = await packerOf(tokenizer, set, config)(0);
  await engine.prepare(
    () => {
      const model = makeModel(engine, config, tokenizer.size);
      makeTrainer(engine, model, tokenizer, set, config).record(inputs);
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
  return {
    name: "blank",
    pictures: inMemory({ size: imageSize, names: [""], pixels }),
    triplets: 1,
    texts: () => [text],
    sampleBatch({ pictures, triplets }) {
      const count = data.kind === "emoji" ? pictures : 2 * triplets;
      return {
        pictures: new Int32Array(count),
        reference: new Int32Array(triplets),
        target: new Int32Array(triplets).fill(1),
        text: new Array<string>(triplets).fill(text),
        kind: new Array<string>(triplets).fill(""),
        ignore: new Uint8Array(triplets * count),
      };
    },
  };
}
