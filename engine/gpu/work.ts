// What a dispatch has to do, on paper: floating-point operations and bytes, for the profile's rates and its roofline
// (Williams, Waterman and Patterson, "Roofline", CACM 52, 2009). A kernel says its operations beside its definition;
// bytes are what its bindings hold, each read or written once, unless the kernel knows better. Counted are operations
// on the numbers of tensors: an addition, a product, a comparison and a call of exp are one each, a fused
// multiply-add two, the arithmetic of indices none. Nothing here runs unless somebody asks.

import { bytesPerElement } from "../base/dtype.ts";
import { numberOf } from "../base/scalar.ts";
import { sizeOf } from "../base/shape.ts";
import type { BoundRegion, DispatchRequest } from "./commands.ts";
import type { Bound, Launch } from "./kernel.ts";

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

/** The work of a dispatch on these regions; scalars count as they are now. */
export function workOf({ kernel, compiled, regions, grid, params }: DispatchRequest): LaunchWork {
  const bindings = regions.map(({ storage, offset, shape, dtype }, i): Bound => {
    const same = (other: BoundRegion) => other.storage === storage && other.offset === offset;
    return {
      name: kernel.bindings[i]!.name,
      shape,
      dtype,
      bytes: sizeOf(shape) * bytesPerElement[dtype],
      repeated: regions.findIndex(same) < i,
    };
  });
  const values = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, numberOf(value)]));
  const launch = { params: values, constants: compiled.constants, grid, bindings };
  const bytes = kernel.bytes?.(launch) ?? boundBytes(launch);
  return { kernel: kernel.name, ...launch, flops: kernel.flops?.(launch) ?? null, bytes };
}
