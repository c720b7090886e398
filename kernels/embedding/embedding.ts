// Rows of a table by id, and position embeddings.
import { gradientDType, type Tensor, TensorError } from "../../engine/index.ts";
import { add } from "../elementwise/arithmetic.ts";
import { gather } from "../gather/gather.ts";
import { requireFloat } from "../lib/items.ts";
import { sumTo } from "../reduce/reduce.ts";
import { amongZeros, partAlong } from "../shape/slice.ts";

/**
 * Rows of `table` [V, C] (f32 or f16) by `ids` (u32, any shape): [...ids, C]. An id of V or more, which the host
 * can't see, gives NaN and gets no gradient. Throws TensorError on other shapes or dtypes.
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  requireFloat("embedding", table);
  if (table.shape.length !== 2 || ids.dtype !== "u32")
    throw new TensorError(`embedding: needs a table [V, C] and ids u32, not ${table} and ${ids}.`);
  return gather(table, ids, 0);
}

/**
 * x + table[t] for position t: `x` is [B, T, C], `table` [P, C] with P of at least T, all f32 or all
 * f16; rows beyond T get no gradient. Throws TensorError where they don't fit.
 */
export function addPositions(x: Tensor, table: Tensor): Tensor {
  const [, length = 0, width = 0] = x.shape;
  const [places = 0, channels] = table.shape;
  if (x.shape.length !== 3 || table.shape.length !== 2 || channels !== width || places < length)
    throw new TensorError(`addPositions: table [${table.shape}] does not fit [${x.shape}].`);
  const { engine } = x;
  const used = engine.slice(table, 0, [length, width]);
  const y = engine.inference(() => add(x, used));
  return engine.record("addPositions", y, [x, table], (dy, needs) => [
    dy,
    needs[1]
      ? amongZeros(
          sumTo(dy, used.shape, 1, gradientDType(table)),
          table.shape,
          partAlong(table.shape, 0, 0, length),
        )
      : null,
  ]);
}
