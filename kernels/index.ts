// The kernels folder from outside: the differentiable ops, the optimiser, and the declarations of their kernels.

import type { Kernel } from "../engine/index.ts";
import { attentionKernels } from "./attention/attention.ts";
import { accumulateKernels } from "./elementwise/accumulate.ts";
import { binaryKernels } from "./elementwise/binary.ts";
import { castKernels } from "./elementwise/cast.ts";
import { dropoutKernels } from "./elementwise/dropout.ts";
import { unaryKernels } from "./elementwise/unary.ts";
import { embeddingKernels } from "./embedding/embedding.ts";
import { layernormKernels } from "./layernorm/layernorm.ts";
import { matmulKernels } from "./matmul/matmul.ts";
import { normalizeKernels } from "./normalize/normalize.ts";
import { optimizerKernels } from "./optimizer/adamw.ts";
import { patchKernels } from "./patch/patch.ts";
import { reduceKernels } from "./reduce/reduce.ts";
import { shapeKernels } from "./shape/reshape.ts";
import { softmaxKernels } from "./softmax/softmax.ts";
import { topkKernels } from "./topk/topk.ts";

export * from "./attention/attention.ts";
export * from "./backward.ts";
export * from "./elementwise/accumulate.ts";
export * from "./elementwise/arithmetic.ts";
export * from "./elementwise/cast.ts";
export * from "./elementwise/dropout.ts";
export * from "./elementwise/unary.ts";
export * from "./embedding/embedding.ts";
export * from "./layernorm/layernorm.ts";
export * from "./matmul/matmul.ts";
export * from "./normalize/normalize.ts";
export * from "./optimizer/adamw.ts";
export * from "./optimizer/loss-scale.ts";
export * from "./patch/patch.ts";
export * from "./reduce/reduce.ts";
export * from "./shape/reshape.ts";
export * from "./softmax/softmax.ts";
export * from "./topk/topk.ts";

/** Every kernel of an op or of the optimiser. */
export const opKernels: readonly Kernel[] = [
  ...attentionKernels,
  ...dropoutKernels,
  ...accumulateKernels,
  ...castKernels,
  ...binaryKernels,
  ...unaryKernels,
  ...embeddingKernels,
  ...layernormKernels,
  ...matmulKernels,
  ...normalizeKernels,
  ...optimizerKernels,
  ...patchKernels,
  ...reduceKernels,
  ...shapeKernels,
  ...softmaxKernels,
  ...topkKernels,
];
