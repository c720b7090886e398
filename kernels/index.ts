// The kernels folder from outside: the differentiable ops, the optimiser, and the declarations of all kernels.

import type { Kernel } from "../engine/index.ts";
import { attentionKernels } from "./attention/attention.ts";
import { contrastiveKernels } from "./contrastive/contrastive.ts";
import { dropoutKernels } from "./dropout/dropout.ts";
import { accumulateKernels } from "./elementwise/accumulate.ts";
import { castKernels } from "./elementwise/cast.ts";
import { stridedKernels } from "./elementwise/strided.ts";
import { unaryKernels } from "./elementwise/unary.ts";
import { embeddingKernels } from "./embedding/embedding.ts";
import { layernormKernels } from "./layernorm/layernorm.ts";
import { matmulKernels } from "./matmul/matmul.ts";
import { normalizeKernels } from "./normalize/normalize.ts";
import { optimizerKernels } from "./optimizer/adamw.ts";
import { patchKernels } from "./patch/patch.ts";
import { peakKernels } from "./peak/peak.ts";
import { reduceKernels } from "./reduce/reduce.ts";
import { shapeKernels } from "./shape/reshape.ts";
import { softmaxKernels } from "./softmax/softmax.ts";
import { topkKernels } from "./topk/topk.ts";

export * from "./attention/attention.ts";
export * from "./backward.ts";
export * from "./contrastive/contrastive.ts";
export * from "./dropout/dropout.ts";
export * from "./elementwise/accumulate.ts";
export * from "./elementwise/binary.ts";
export * from "./elementwise/cast.ts";
export * from "./elementwise/unary.ts";
export * from "./embedding/embedding.ts";
export * from "./layernorm/layernorm.ts";
export * from "./matmul/matmul.ts";
export * from "./normalize/normalize.ts";
export * from "./optimizer/adamw.ts";
export * from "./optimizer/loss-scale.ts";
export * from "./patch/patch.ts";
export * from "./peak/peak.ts";
export * from "./reduce/reduce.ts";
export * from "./shape/reshape.ts";
export * from "./softmax/softmax.ts";
export * from "./topk/topk.ts";

/** Every kernel. */
export const allKernels: readonly Kernel[] = [
  ...attentionKernels,
  ...contrastiveKernels,
  ...dropoutKernels,
  ...accumulateKernels,
  ...castKernels,
  ...stridedKernels,
  ...unaryKernels,
  ...embeddingKernels,
  ...layernormKernels,
  ...matmulKernels,
  ...normalizeKernels,
  ...optimizerKernels,
  ...patchKernels,
  ...peakKernels,
  ...reduceKernels,
  ...shapeKernels,
  ...softmaxKernels,
  ...topkKernels,
];
