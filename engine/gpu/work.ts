// What a dispatch has to do, on paper: floating-point operations and bytes, for the profile's rates and its roofline
// (Williams, Waterman and Patterson, "Roofline", CACM 52, 2009). A kernel says its operations beside its definition;
// bytes are what its bindings hold, each read or written once, unless the kernel knows better. Counted are operations
// on the numbers of tensors: an addition, a product, a comparison and a call of exp are one each, a fused
// multiply-add two, the arithmetic of indices none. Nothing here runs unless somebody asks.

import type { DType } from "../base/dtype.ts";
import type { Shape } from "../base/shape.ts";
import type { Constants, ParamTypes } from "./kernel.ts";

/** A tensor as a dispatch sees it. */
export interface Bound {
  name: string;
  shape: Shape;
  dtype: DType;
  /** Of its elements. */
  bytes: number;
  /** Whether an earlier binding of the dispatch is the same memory, which then counts once. */
  repeated: boolean;
}

/** One dispatch, as a kernel's own count of its work gets it. */
export interface Launch<P extends ParamTypes = ParamTypes> {
  params: { readonly [K in keyof P]: number };
  constants: Constants;
  /** Workgroups in x, y and z. */
  grid: readonly [number, number, number];
  bindings: readonly Bound[];
}

/** A dispatch of a captured step with its work. */
export interface LaunchWork extends Launch {
  kernel: string;
  /** Floating-point operations; null where the kernel does not say. */
  flops: number | null;
  /** Bytes that have to be moved between memory and the processor. */
  bytes: number;
}

/** Bytes of all bindings, memory that is bound twice counted once. */
export function boundBytes({ bindings }: Pick<Launch, "bindings">): number {
  return bindings.reduce((sum, { bytes, repeated }) => sum + (repeated ? 0 : bytes), 0);
}
