// The feed-forward half of a transformer's block by its activation. Exact GELU runs in the epilogue of a product; the
// others, which few models have, by themselves between two products.
import type { Tensor } from "../engine/index.ts";
import { geluQuick, geluTanh, relu } from "../kernels/elementwise/unary.ts";
import { feedForward, type Layer, linear } from "../kernels/matmul/matmul.ts";
import type { Activation } from "./config.ts";

const between: Record<Exclude<Activation, "gelu">, (x: Tensor) => Tensor> = { geluTanh, geluQuick, relu };

/** y = activation(x W₁ᵀ + b₁) W₂ᵀ + b₂ + residual; shapes, types and errors as `feedForward`'s. */
export function activatedFeedForward(
  activation: Activation,
  x: Tensor,
  first: Layer,
  second: Layer,
  options: { residual?: Tensor | null } = {},
): Tensor {
  if (activation === "gelu") return feedForward(x, first, second, options);
  const hidden = between[activation](linear(x, first.weight, { bias: first.bias }));
  return linear(hidden, second.weight, { bias: second.bias, ...options });
}
