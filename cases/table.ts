// The whole table of op cases, for the tests and the bench.
import { attentionCases } from "./attention.ts";
import type { OpCase } from "./case.ts";
import { contrastiveCases } from "./contrastive.ts";
import { convCases } from "./conv.ts";
import { dropoutCases } from "./dropout.ts";
import { edgeCases } from "./edges.ts";
import { einsumCases } from "./einsum.ts";
import { elementwiseCases } from "./elementwise.ts";
import { embeddingCases } from "./embedding.ts";
import { fuseCases } from "./fuse.ts";
import { gatherCases } from "./gather.ts";
import { integerCases } from "./integers.ts";
import { layernormCases } from "./layernorm.ts";
import { matmulCases } from "./matmul.ts";
import { normalizeCases } from "./normalize.ts";
import { optimizerCases } from "./optimizer.ts";
import { outlierCases } from "./outliers.ts";
import { patchCases } from "./patch.ts";
import { reduceCases } from "./reduce.ts";
import { shapeCases } from "./shape.ts";
import { softmaxCases } from "./softmax.ts";
import { topkCases } from "./topk.ts";

const cases: OpCase[] = [
  ...matmulCases,
  ...attentionCases,
  ...contrastiveCases,
  ...convCases,
  ...dropoutCases,
  ...einsumCases,
  ...elementwiseCases,
  ...embeddingCases,
  ...fuseCases,
  ...gatherCases,
  ...integerCases,
  ...layernormCases,
  ...normalizeCases,
  ...optimizerCases,
  ...outlierCases,
  ...patchCases,
  ...reduceCases,
  ...shapeCases,
  ...softmaxCases,
  ...topkCases,
];

export const allCases: OpCase[] = [...cases, ...edgeCases(cases)];
