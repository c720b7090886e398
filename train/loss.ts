// The loss of a batch: queries against all pictures of the batch, forward and, for a share of the triplets, reversed
// (query and target picture switch roles, [REV] marks it).
import type { RandomStreams, Tensor } from "../engine/index.ts";
import { contrastiveLoss, recallLoss } from "../kernels/contrastive/contrastive.ts";
import { mul } from "../kernels/elementwise/binary.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { sum } from "../kernels/reduce/reduce.ts";
import type { Case } from "../model/case.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { drawMove } from "./augment.ts";
import type { RunConfig } from "./config.ts";
import type { Batch, PictureSet } from "./dataset.ts";
import { uploadPictures, uploadTexts } from "./inputs.ts";

/** What a batch costs. */
export interface BatchLoss {
  /** f32 [], mean of the forward losses plus weight times the mean of the reverse losses. */
  loss: Tensor;
  /** f32 [triplets + reversed], the loss of each query, reverse queries last. */
  losses: Tensor;
}

/** Records the forward pass of one batch. */
export function batchLoss(
  model: Case,
  tokenizer: Tokenizer,
  training: RunConfig["training"],
  pictures: PictureSet,
  batch: Batch,
  streams: RandomStreams,
): BatchLoss {
  const { engine, config } = model;
  const { augment } = training;
  const key = augment.shift > 0 ? streams.stream() : null;
  const move = key ? (i: number) => drawMove(augment, key, i) : undefined;
  const tokens = model.encodeImages(uploadPictures(engine, pictures, batch.pictures, move));
  const gallery = model.embedTargets(tokens);

  const triplets = batch.text.length;
  const { weight, share } = training.reverse;
  const reversed = weight > 0 ? Math.ceil(triplets * share) : 0;
  const texts = [...batch.text, ...batch.text.slice(0, reversed)];
  const source = Uint32Array.from(texts, (_, i) =>
    i < triplets ? batch.reference[i]! : batch.target[i - triplets]!,
  );
  const goal = Uint32Array.from(texts, (_, i) =>
    i < triplets ? batch.target[i]! : batch.reference[i - triplets]!,
  );
  const text = uploadTexts(
    engine,
    tokenizer,
    config,
    texts,
    texts.map((_, i) => i >= triplets),
  );
  const queries = model.embedQueries(text, tokens, source, streams);
  const similarities = matmul(queries, gallery, { transposeB: true });

  const columns = batch.pictures.length;
  const ignored = new Uint32Array(texts.length * columns);
  ignored.set(batch.ignore);
  ignoreOtherReferences(batch, ignored, reversed);
  const goals = engine.tensor(goal, [texts.length], "u32");
  const mask = engine.tensor(ignored, [texts.length, columns], "u32");
  const losses =
    training.loss === "recall"
      ? recallLoss(similarities, goals, mask)
      : contrastiveLoss(similarities, model.temperature, goals, mask);
  const weights = Float32Array.from(texts, (_, i) => (i < triplets ? 1 / triplets : weight / reversed));
  return { loss: sum(mul(losses, engine.tensor(weights, [texts.length]))), losses };
}

/**
 * A reverse query asks from which picture the text led to the target; the references of the batch's other triplets of
 * the same target and kind are as right as its own.
 */
function ignoreOtherReferences(batch: Batch, ignored: Uint32Array, reversed: number): void {
  const triplets = batch.text.length;
  const columns = batch.pictures.length;
  for (let i = 0; i < reversed; i++) {
    for (let j = 0; j < triplets; j++) {
      const twin = batch.target[i] === batch.target[j] && batch.kind[i] === batch.kind[j];
      const other = batch.reference[j]!;
      if (twin && other !== batch.reference[i]) ignored[(triplets + i) * columns + other] = 1;
    }
  }
}
