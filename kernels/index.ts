/**
 * The kernels folder from outside: the differentiable ops, the optimiser, and the declarations of their kernels, each
 * file's as a list whose name ends with "Kernels".
 *
 * @module casement/kernels
 */
export * from "./attention/attention.ts";
export * from "./backward.ts";
export * from "./conv/conv.ts";
export * from "./conv/pool.ts";
export { separateKernels } from "./conv/separate.ts";
export { type Padding, type Pair, type WindowOptions, windowKernels } from "./conv/windows.ts";
export * from "./elementwise/accumulate.ts";
export * from "./elementwise/arithmetic.ts";
export { cast, castInto, castKernels } from "./elementwise/cast.ts";
export * from "./elementwise/dropout.ts";
export { fuse } from "./elementwise/fuse.ts";
export * from "./elementwise/halves.ts";
export { copyKernels } from "./elementwise/strided.ts";
export * from "./elementwise/unary.ts";
export * from "./embedding/embedding.ts";
export * from "./gather/gather.ts";
export * from "./layernorm/groupnorm.ts";
export { type LayernormOptions, layernorm, layernormKernels, rmsnorm } from "./layernorm/layernorm.ts";
export type { Axes } from "./lib/axes.ts";
export * from "./matmul/einsum.ts";
export * from "./matmul/matmul.ts";
export * from "./matmul/matrix.ts";
export { type Bits, canPack, type PackedWeight, packWeight } from "./matmul/packed.ts";
export * from "./normalize/normalize.ts";
export * from "./optimizer/adamw.ts";
export * from "./optimizer/average.ts";
export * from "./optimizer/lion.ts";
export * from "./optimizer/loss-scale.ts";
export {
  type Flat,
  normSquared,
  Optimizer,
  optimizerKernels,
  parameterGroup,
  squareSum,
} from "./optimizer/optimizer.ts";
export * from "./optimizer/sgd.ts";
export * from "./patch/patch.ts";
export * from "./reduce/reduce.ts";
export * from "./scan/scan.ts";
export * from "./shape/pad.ts";
export { expand, permute, repeat, reshape, tile, transpose2d } from "./shape/reshape.ts";
export { concat, flip, type Range, slice, split, stack } from "./shape/slice.ts";
export * from "./softmax/log-sum-exp.ts";
export * from "./softmax/softmax.ts";
export * from "./topk/topk.ts";
