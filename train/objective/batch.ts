// The loss of a batch: queries against all pictures of the batch, the same commands for every batch of one shape.
//
// A batch may be encoded in parts, of which only the embeddings stay in memory: the loss compares all with all, and
// backward encodes each part once more, with the same dropout. So a batch has as many negatives as it has pictures, on any
// device (Gao et al., "Scaling deep contrastive learning batch size under memory limited setup", arXiv 2101.06983).
import type { RandomStreams, Tensor } from "../../engine/index.ts";
import { mul } from "../../kernels/elementwise/arithmetic.ts";
import { unpackHalves } from "../../kernels/elementwise/halves.ts";
import { matmul } from "../../kernels/matmul/matmul.ts";
import { sum } from "../../kernels/reduce/reduce.ts";
import { concat, split } from "../../kernels/shape/slice.ts";
import type { Case } from "../../model/case.ts";
import { imageTokens } from "../../model/vit.ts";
import type { RunConfig } from "../config.ts";
import type { BatchInputs, PartInputs } from "../data/collate.ts";
import { normalizePictures } from "../inputs.ts";
import { contrastiveLoss, recallLoss } from "./losses.ts";

/** What a batch costs. */
export interface BatchLoss {
  /** f32 [], mean of the forward losses plus weight times the mean of the reverse losses. */
  loss: Tensor;
  /** f32 [Q], the loss of each query. */
  losses: Tensor;
}

/** Records the forward pass of one batch, of pictures or of their tokens. */
export function batchLoss(
  model: Case,
  { loss, cacheTokens }: Pick<RunConfig["training"], "loss" | "cacheTokens">,
  { parts, goals, ignored, weights }: BatchInputs<Tensor>,
  streams: RandomStreams,
): BatchLoss {
  const { engine } = model;
  const pictures = ignored.shape[1]! / parts.length;
  const encode = (part: PartInputs<Tensor>) => encodePart(model, part, pictures, cacheTokens, streams);
  let gallery: Tensor | null = null;
  let queries: Tensor | null = null;
  for (const part of parts) {
    const [mine, asked] =
      parts.length === 1
        ? encode(part)
        : apart(
            engine.checkpoint(() => concat(encode(part))),
            pictures,
          );
    gallery = gallery ? concat([gallery, mine]) : mine;
    queries = queries ? concat([queries, asked]) : asked;
  }
  const similarities = matmul(queries!, gallery!, { transposeB: true });
  const losses =
    loss === "recall"
      ? recallLoss(similarities, goals, ignored)
      : contrastiveLoss(similarities, model.temperature, goals, ignored);
  return { loss: sum(mul(losses, weights)), losses };
}

/** Embeddings of a part: its pictures as targets [p, projection] and its queries [q, projection], f32. */
function encodePart(
  model: Case,
  { pictures, ids, mask, source }: PartInputs<Tensor>,
  count: number,
  areTokens: boolean,
  streams: RandomStreams,
): [Tensor, Tensor] {
  const { vision } = model.config;
  const { precision } = model.parameters;
  const tokens = areTokens
    ? unpackHalves(pictures, [count, imageTokens(vision), vision.width], precision)
    : model.encodeImages(normalizePictures(pictures, count, vision.imageSize, vision, precision));
  const queries = source
    ? model.embedQueries({ ids, mask }, tokens, source, streams)
    : model.embedTexts({ ids, mask }, streams);
  return [model.embedTargets(tokens), queries];
}

/** The first rows of a matrix, and the others. */
function apart(rows: Tensor, first: number): [Tensor, Tensor] {
  return split(rows, [first, rows.shape[0]! - first]) as [Tensor, Tensor];
}
