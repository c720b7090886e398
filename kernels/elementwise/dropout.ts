// Inverted dropout (Srivastava et al., JMLR 15, 2014) whose mask is a pure function of a random key and the element's
// index: nothing is stored for backward, and a resumed run drops the same elements. Where a residual sum and a norm follow,
// `layernorm` has it built in.
import { type RandomKey, type Tensor, TensorError } from "../../engine/index.ts";
import { randomItems, requireFloat } from "../lib/items.ts";
import { defineMap, runMap } from "./map.ts";

const kernel = defineMap({
  name: "dropout",
  operands: ["x"],
  value: "x * select(vec4f(0.0), vec4f(params.factor), kept(i))",
  params: { key: "u32", stream: "u32", probability: "f32", factor: "f32" },
  includes: randomItems(4),
  flops: 2,
});

export const dropoutKernels = [kernel];

function run(x: Tensor, probability: number, { key, stream }: RandomKey): Tensor {
  const params = { key, stream, probability, factor: 1 / (1 - probability) };
  return runMap(kernel, [x], x.engine.empty(x.shape, x.dtype), params);
}

/**
 * Zeroes each element with `probability` and divides the rest by 1 - probability. f32 or f16. Element i is dropped where
 * `uniform(key, i)` of engine/base/random.ts lies below `probability`. Throws TensorError outside of [0, 1) and without a key.
 */
export function dropout(x: Tensor, probability: number, key: RandomKey): Tensor {
  requireFloat("dropout", x);
  if (!(probability >= 0 && probability < 1))
    throw new TensorError(`dropout: the probability must be in [0, 1), not ${probability}.`);
  if (!key) throw new TensorError(`dropout: needs a random key, not ${key}.`);
  return x.engine.record("dropout", run(x, probability, key), [x], (dy) => [run(dy, probability, key)]);
}
