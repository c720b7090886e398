/**
 * What the engine offers to kernels and to those who embed it.
 *
 * @module casement/engine
 */
export { bytesPerElement, type DType, type HostArray } from "./base/dtype.ts";
export { DeviceError, DeviceLostError, KernelError, TensorError, type WgslFault } from "./base/errors.ts";
export { normal, type RandomKey, RandomStreams, randomBits, seedKey, uniform } from "./base/random.ts";
export { Scalar } from "./base/scalar.ts";
export { type Shape, sizeOf } from "./base/shape.ts";
export { EagerEngine, type EagerOptions } from "./eager.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export { type AdapterOptions, type FoundAdapter, findAdapter } from "./gpu/adapter.ts";
export type { Grid } from "./gpu/commands.ts";
export {
  type Binding,
  type Bound,
  type Constants,
  composeWgsl,
  defineKernel,
  gridX,
  type Include,
  type Kernel,
  type KernelSpec,
  type Lanes,
  type Launch,
  type ParamTypes,
  type ParamValues,
} from "./gpu/kernel.ts";
export type { PoolStatistics } from "./gpu/pool.ts";
export type { DispatchTime } from "./gpu/profiler.ts";
export { boundBytes, type LaunchWork } from "./gpu/work.ts";
export type { Jit, JitInput, JitOptions } from "./run/jit.ts";
export type { ProgramMemory } from "./run/placement.ts";
export { type InputValues, Program, type ReplayCommand } from "./run/program.ts";
export { chainsOf, type WaitsSummary } from "./run/waits.ts";
export { type Accumulator, gradientDType, propagate, tracked } from "./tensor/autograd.ts";
export { Placeholder } from "./tensor/placeholder.ts";
export {
  type Backend,
  type Backward,
  type Choice,
  type Earlier,
  type Node,
  type Run,
  Tensor,
} from "./tensor/tensor.ts";
export { choiceDatabase } from "./tune/choice-database.ts";
export type { ChoiceStore, Tuned } from "./tune/choices.ts";
