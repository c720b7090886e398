// The smallest cases of ops that have none beside their others: tensors without elements, and of one.
import { reshape } from "../kernels/shape/reshape.ts";
import {
  binaryCase,
  binaryOps,
  detachCase,
  integerCase,
  integerOps,
  masks,
  whereCase,
} from "./arithmetic.ts";
import { attentionCase } from "./attention.ts";
import type { OpCase } from "./case.ts";
import { castCase } from "./cast.ts";
import { contrastiveCase, recallCase } from "./contrastive.ts";
import { poolCase, transposeCase } from "./conv.ts";
import { dropoutCase } from "./dropout.ts";
import { einsumCase } from "./einsum.ts";
import { embeddingCase, positionsCase } from "./embedding.ts";
import { gatherCase, scatterAddCase } from "./gather.ts";
import { groupnormCase, layernormCase } from "./layernorm.ts";
import { feedForwardCase, linearCase } from "./matmul.ts";
import { normalizeCase } from "./normalize.ts";
import { optimizerCase } from "./optimizer.ts";
import { patchifyCase, prependCase } from "./patch.ts";
import { sumLeadingCase } from "./reduce.ts";
import {
  concatCase,
  expandCase,
  flipCase,
  moveCase,
  permuteCase,
  repeatCase,
  sliceCase,
  splitCase,
  stackCase,
  tileCase,
} from "./shape.ts";
import { topkCase } from "./topk.ts";
import { unaryCase, unaryOps } from "./unary.ts";

const edges: OpCase[] = [
  ...Object.keys(unaryOps).flatMap((op) => [unaryCase(op, []), unaryCase(op, [3, 0])]),
  ...Object.keys({ ...binaryOps, ...masks }).flatMap((op) => [
    binaryCase(op, [1], []),
    binaryCase(op, [0, 3], [3]),
  ]),
  ...Object.keys(integerOps).flatMap((op) => [
    integerCase(op, [], [1], "i32"),
    integerCase(op, [2, 0], [2, 1], "u32"),
  ]),
  whereCase([[2, 0], [1], [2, 1]]),
  ...[[1], [0, 3]].flatMap((shape) => [castCase(shape, "f32", "f16"), detachCase(shape)]),
  linearCase({ m: 1, n: 1, k: 1, bias: true }),
  feedForwardCase(1, 1, 1, false),
  feedForwardCase(1, 1, 1, true),
  feedForwardCase(0, 4, 8, false),
  feedForwardCase(0, 4, 8, true),
  ...[{}, { keys: 1 }].flatMap((more) => [
    attentionCase("one", { batch: 1, heads: 1, queries: 1, headSize: 4, ...more }),
    attentionCase("none", { batch: 0, heads: 2, queries: 3, headSize: 4, ...more }),
  ]),
  optimizerCase("SGD momentum", [1, 0], 0),
  optimizerCase("Lion", [1, 0], 0),
  einsumCase("ij,jk->ik", [
    [1, 1],
    [1, 1],
  ]),
  embeddingCase(1, 1, [1]),
  positionsCase(1, 1, 1, 1),
  positionsCase(0, 4, 8, 6),
  gatherCase({ x: [1], axis: 0, ids: [1] }),
  gatherCase({ x: [1], axis: 0, ids: [1] }, true),
  scatterAddCase({ x: [1], axis: 0, ids: [1] }, true),
  layernormCase({ shape: [1, 1] }),
  // Its slope is eps of what else cancels.
  { ...layernormCase({ shape: [1, 1], rms: true }), tolerance: 0.02 },
  groupnormCase([1, 1, 1], 1),
  normalizeCase([1, 1]),
  normalizeCase([0, 4]),
  topkCase({ rows: 0, n: 5, k: 2 }),
  dropoutCase([0, 5], 0.5),
  contrastiveCase({ rows: 1, columns: 1, masked: false }),
  recallCase({ rows: 1, columns: 2, masked: false }, 1),
  transposeCase({ x: [1, 1, 1, 1], weight: [1, 1, 1, 1] }),
  transposeCase({ x: [0, 2, 3, 3], weight: [2, 3, 2, 2] }),
  ...(["max", "average"] as const).flatMap((kind) => [
    poolCase(kind, { x: [1, 1, 1, 1], size: 1 }),
    poolCase(kind, { x: [0, 2, 4, 4], size: 2 }),
  ]),
  patchifyCase([1, 1, 1, 1], 1),
  patchifyCase([0, 3, 8, 8], 4),
  prependCase(0, 4, 8),
  prependCase(1, 1, 1),
  sumLeadingCase(0, 7),
  sumLeadingCase(1, 1),
  moveCase("reshape", [[1]], ([x]) => reshape(x!, [1, 1]), [0]),
  moveCase("reshape", [[0, 3]], ([x]) => reshape(x!, [3, 0]), []),
  permuteCase([1, 1], [1, 0]),
  sliceCase([1], [[0, 1]]),
  flipCase([1], [0]),
  flipCase([0, 3], [0, 1]),
  splitCase([1], 1, 0),
  splitCase([4, 0], 2, 0),
  concatCase([[1], [1]], 0),
  stackCase(2, [1], 0),
  stackCase(2, [0, 3], 1),
  repeatCase([1], 3, 0),
  repeatCase([0, 2], 2, 1),
  tileCase([1], [3]),
  tileCase([2, 0], [2, 2]),
  expandCase([1, 0], [3, 0]),
];

/** Those that are not among the other cases already. */
export function edgeCases(known: readonly OpCase[]): OpCase[] {
  const names = new Set(known.map(({ name }) => name));
  return edges.filter(({ name }) => !names.has(name));
}
