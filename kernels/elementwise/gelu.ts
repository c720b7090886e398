// The backward half of GELU by itself, for layers that fuse the forward half into their own kernel.
import type { Tensor } from "../../engine/index.ts";
import { multiplyBySlope } from "./unary.ts";

/** dy · gelu'(pre), of the shape of `pre`; f32 or f16, not recorded. Throws TensorError where the sizes differ. */
export function multiplyByGeluSlope(dy: Tensor, pre: Tensor): Tensor {
  return multiplyBySlope("gelu", dy, pre);
}
