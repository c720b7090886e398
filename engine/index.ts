// What the engine offers to kernels and to those who embed it.

export { bytesPerElement, type DType, type HostArray } from "./base/dtype.ts";
export { DeviceError, DeviceLostError, KernelError, TensorError } from "./base/errors.ts";
export { normal, type RandomKey, RandomStreams, randomBits, uniform } from "./base/random.ts";
export { Scalar } from "./base/scalar.ts";
export { type Shape, sizeOf } from "./base/shape.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export { findAdapter } from "./gpu/adapter.ts";
export { composeWgsl, defineKernel, gridX, type Kernel, type ParamTypes } from "./gpu/kernel.ts";
export type { DispatchTime } from "./gpu/profiler.ts";
export { type Bound, boundBytes, type Launch, type LaunchWork } from "./gpu/work.ts";
export { type InputValues, Program, type ProgramMemory } from "./run/program.ts";
export { type Backward, type Earlier, propagate, tracked } from "./tensor/autograd.ts";
export { Tensor } from "./tensor/tensor.ts";
export { choiceDatabase } from "./tune/choice-database.ts";
export type { Choice, ChoiceStore, Tuned } from "./tune/choices.ts";
