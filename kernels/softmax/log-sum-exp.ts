// The logarithm of a sum of exponentials, relative to the largest, so that none is beyond what f32 has.
import type { Tensor } from "../../engine/index.ts";
import { add, div, less, mul, sub, where } from "../elementwise/arithmetic.ts";
import { abs, exp, log } from "../elementwise/unary.ts";
import { axisOf } from "../lib/axes.ts";
import { requireFloat } from "../lib/items.ts";
import { type Axes, max, type ReduceOptions, sum } from "../reduce/reduce.ts";

/**
 * ln of the sum of e^x over axes or over everything; minus infinity of nothing. f32 or f16. Throws TensorError as `sum` does.
 */
export function logSumExp(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  requireFloat("logSumExp", x);
  for (const axis of [axes ?? []].flat()) axisOf("logSumExp", x, axis);
  const { engine } = x;
  // Without a graph, as the gradient is simpler than those of the parts.
  const { y, top, sums } = engine.scope(() => {
    const plain = engine.view(x, x.shape);
    const largest = max(plain, axes, { keepDims: true });
    const top = where(less(abs(largest), Number.POSITIVE_INFINITY), largest, 0);
    const sums = sum(exp(sub(plain, top)), axes, options);
    // The largest adds 1, so that a sum below is of nothing, whose logarithm WGSL leaves open.
    const logs = where(less(sums, 0.5), Number.NEGATIVE_INFINITY, log(sums));
    return { y: add(logs, engine.view(top, sums.shape)), top, sums };
  });
  // Without the logarithm, whose last digits some drivers lack.
  return engine.record("logSumExp", y, [x], (dy) => [
    mul(engine.view(dy, top.shape), div(exp(sub(x, top)), engine.view(sums, top.shape))),
  ]);
}
