// The logarithm of a sum of exponentials, relative to the largest, so that none is beyond what f32 has.
import type { Shape, Tensor } from "../../engine/index.ts";
import { add, less, mul, sub, where } from "../elementwise/arithmetic.ts";
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
  let kept: Shape = [];
  // Without a graph, as the gradient is simpler than those of the parts.
  const y = engine.scope(() => {
    const plain = engine.view(x, x.shape);
    const top = max(plain, axes, { keepDims: true });
    kept = top.shape;
    const finite = where(less(abs(top), Number.POSITIVE_INFINITY), top, 0);
    const sums = sum(exp(sub(plain, finite)), axes, options);
    return add(log(sums), engine.view(finite, sums.shape));
  });
  return engine.record("logSumExp", y, [x], (dy) => [
    mul(engine.view(dy, kept), exp(sub(x, engine.view(y, kept)))),
  ]);
}
