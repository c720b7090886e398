// Inverted dropout (Srivastava et al., JMLR 15, 2014) whose mask is a pure function of a random key and the element's
// index: nothing is stored for backward, and a resumed run drops the same elements.
import { defineKernel, type RandomKey, type Tensor, TensorError } from "../../engine/index.ts";
import randomSource from "../../engine/random.wgsl?raw";
import { blocks, requireFloat, vectors } from "../lib/items.ts";
import { perElement } from "../lib/work.ts";
import source from "./dropout.wgsl?raw";

const kernel = defineKernel({
  name: "dropout",
  source,
  includes: [randomSource],
  bindings: ["x", "residual", "+y"],
  inPlace: ["x", "residual"],
  params: { count: "u32", key: "u32", stream: "u32", probability: "f32", factor: "f32" },
  flops: perElement("y", 2, { HAS_RESIDUAL: 1 }),
});

export const dropoutKernels = [kernel];

function run(x: Tensor, residual: Tensor | null, probability: number, { key, stream }: RandomKey): Tensor {
  const { engine } = x;
  const y = engine.empty(x.shape, x.dtype);
  engine.run(kernel, {
    bind: [x, residual ?? x, y],
    params: { count: vectors(x), key, stream, probability, factor: 1 / (1 - probability) },
    grid: blocks(vectors(x)),
    dtype: x.dtype,
    constants: { HAS_RESIDUAL: residual !== null },
  });
  return y;
}

function check(name: string, probability: number): void {
  if (!(probability >= 0 && probability < 1))
    throw new TensorError(`${name}: the probability must be in [0, 1), not ${probability}.`);
}

/**
 * Zeroes each element with `probability` and divides the rest by 1 - probability. f32 or f16. Element i is dropped where
 * `uniform(key, i)` of engine/random.ts lies below `probability`. Throws TensorError outside of [0, 1).
 */
export function dropout(x: Tensor, probability: number, key: RandomKey): Tensor {
  requireFloat("dropout", x);
  check("dropout", probability);
  return x.engine.record("dropout", run(x, null, probability, key), [x], (dy) => [
    run(dy, null, probability, key),
  ]);
}

/** dropout(x) + residual in one pass; both of one shape and dtype, else TensorError. */
export function dropoutAdd(x: Tensor, residual: Tensor, probability: number, key: RandomKey): Tensor {
  requireFloat("dropoutAdd", x, residual);
  check("dropoutAdd", probability);
  if (`${x.shape}` !== `${residual.shape}`)
    throw new TensorError(`dropoutAdd: residual [${residual.shape}] does not fit [${x.shape}].`);
  const y = run(x, residual, probability, key);
  return x.engine.record("dropoutAdd", y, [x, residual], (dy, needs) => [
    needs[0] ? run(dy, null, probability, key) : null,
    dy,
  ]);
}
