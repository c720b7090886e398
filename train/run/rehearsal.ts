// The kernels of a training step get ready while the data set loads: a step is recorded on a model and a batch that only
// have the right shapes. On a software adapter both take seconds, on different threads.
import { availableParallelism } from "node:os";
import type { Engine } from "../../engine/index.ts";
import { specialTokens, Tokenizer } from "../../model/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import type { TrainingSet } from "../data/dataset.ts";
import { makeModel, Trainer } from "../loop/trainer.ts";

/** Gets the kernels of a run's steps ready. What another batch needs beside them compiles when it comes. */
export function rehearse(engine: Engine, config: RunConfig): Promise<void> {
  return engine.prepare(
    () => {
      const tokenizer = new Tokenizer([...specialTokens, word]);
      const model = makeModel(engine, config, tokenizer.size);
      new Trainer(engine, model, tokenizer, blankSet(config), config).recordNext();
    },
    { threads: availableParallelism() },
  );
}

const word = "a";

/** One white picture, of which every batch asks the same. */
function blankSet({ model }: RunConfig): TrainingSet {
  const { imageSize } = model.vision;
  const text = Array.from({ length: model.text.maxLength }, () => word).join(" ");
  return {
    name: "blank",
    pictures: {
      count: 1,
      size: imageSize,
      names: [""],
      pixels: new Uint8Array(3 * imageSize ** 2).fill(255),
    },
    texts: () => [text],
    sampleBatch: ({ pictures, triplets }) => ({
      pictures: new Int32Array(pictures),
      reference: new Int32Array(triplets),
      target: new Int32Array(triplets).fill(1),
      text: new Array<string>(triplets).fill(text),
      kind: new Array<string>(triplets).fill(""),
      ignore: new Uint8Array(triplets * pictures),
    }),
  };
}
