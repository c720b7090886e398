// The loss of a batch: queries against all pictures of the batch, forward and, for a share of the triplets, reversed
// (query and target picture switch roles, [REV] marks it). What the host knows of a batch is packed first, so that the
// loss itself is the same commands for every batch of one shape.
import type { RandomKey, RandomStreams, Tensor } from "../../engine/index.ts";
import { packSource } from "../../kernels/attention/attention.ts";
import { mul } from "../../kernels/elementwise/arithmetic.ts";
import { matmul } from "../../kernels/matmul/matmul.ts";
import { sum } from "../../kernels/reduce/reduce.ts";
import type { Case } from "../../model/case.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { drawMove } from "../augment.ts";
import type { RunConfig } from "../config.ts";
import type { Batch, PictureSet } from "../dataset.ts";
import { type HostTensor, normalizePictures, packPictures, packTexts, words } from "../inputs.ts";
import { contrastiveLoss, recallLoss } from "./losses.ts";

/** Text lengths are multiples of this, so that few shapes occur. */
const textStep = 4;

/** A batch as the loss takes it; Q queries are the T triplets and then those reversed, over P pictures. */
export interface BatchInputs<T> {
  /** u32, the pictures' bytes */
  pictures: T;
  /** u32 [Q, length] */
  ids: T;
  /** u32 [Q, length] */
  mask: T;
  /** u32, `packSource` of each query's picture */
  source: T;
  /** u32 [Q], the right picture of each query */
  goals: T;
  /** u32 [Q, P], pictures that are neither right nor wrong */
  ignored: T;
  /** f32 [Q], share of each query in the loss */
  weights: T;
}

/** Packs a batch. `key` draws the moves of its pictures. */
export function packBatch(
  { model, training }: RunConfig,
  tokenizer: Tokenizer,
  pictures: PictureSet,
  batch: Batch,
  key: RandomKey,
): BatchInputs<HostTensor> {
  const { augment, reverse } = training;
  const triplets = batch.text.length;
  const reversed = reverse.weight > 0 ? Math.ceil(triplets * reverse.share) : 0;
  const texts = [...batch.text, ...batch.text.slice(0, reversed)];
  const isReverse = texts.map((_, i) => i >= triplets);
  const source = texts.map((_, i) => (isReverse[i] ? batch.target[i - triplets]! : batch.reference[i]!));
  const goal = texts.map((_, i) => (isReverse[i] ? batch.reference[i - triplets]! : batch.target[i]!));
  const columns = batch.pictures.length;
  const ignored = new Uint32Array(texts.length * columns);
  ignored.set(batch.ignore);
  ignoreOtherReferences(batch, ignored, reversed);
  const weights = texts.map((_, i) => (isReverse[i] ? reverse.weight / reversed : 1 / triplets));
  return {
    pictures: packPictures(
      pictures,
      batch.pictures,
      augment.shift > 0 ? (i) => drawMove(augment, key, i) : undefined,
    ),
    ...packTexts(tokenizer, model, texts, { reverse: isReverse, step: textStep }),
    source: words(packSource(source, columns)),
    goals: words(Uint32Array.from(goal)),
    ignored: words(ignored, [texts.length, columns]),
    weights: { values: Float32Array.from(weights), shape: [texts.length], dtype: "f32" },
  };
}

/** What a batch costs. */
export interface BatchLoss {
  /** f32 [], mean of the forward losses plus weight times the mean of the reverse losses. */
  loss: Tensor;
  /** f32 [Q], the loss of each query, reverse queries last. */
  losses: Tensor;
}

/** Records the forward pass of one batch. */
export function batchLoss(
  model: Case,
  loss: RunConfig["training"]["loss"],
  inputs: BatchInputs<Tensor>,
  streams: RandomStreams,
): BatchLoss {
  const { ids, mask, source, goals, ignored, weights } = inputs;
  const { imageSize } = model.config.vision;
  const pixels = normalizePictures(inputs.pictures, ignored.shape[1]!, imageSize);
  const tokens = model.encodeImages(pixels);
  const gallery = model.embedTargets(tokens);
  const queries = model.embedQueries({ ids, mask }, tokens, source, streams);
  const similarities = matmul(queries, gallery, { transposeB: true });
  const losses =
    loss === "recall"
      ? recallLoss(similarities, goals, ignored)
      : contrastiveLoss(similarities, model.temperature, goals, ignored);
  return { loss: sum(mul(losses, weights)), losses };
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
