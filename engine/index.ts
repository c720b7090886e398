// What the engine offers to kernels and to those who embed it.
export { findAdapter } from "./adapter.ts";
export { type Backward, type Earlier, propagate, tracked } from "./autograd.ts";
export { choiceDatabase } from "./choice-database.ts";
export type { Choice, ChoiceStore, Tuned } from "./choices.ts";
export { bytesPerElement, type DType, type HostArray } from "./dtype.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export { DeviceError, DeviceLostError, KernelError, TensorError } from "./errors.ts";
export { composeWgsl, defineKernel, gridX, type Kernel } from "./kernel.ts";
export type { DispatchTime } from "./profiler.ts";
export { type InputValues, Program, type ProgramMemory } from "./program.ts";
export { normal, type RandomKey, RandomStreams, randomBits, uniform } from "./random.ts";
export { Scalar } from "./scalar.ts";
export { type Shape, sizeOf, Tensor } from "./tensor.ts";
export { type Bound, boundBytes, type Launch, type LaunchWork } from "./work.ts";
