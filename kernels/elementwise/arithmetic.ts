// Sum, difference, product and quotient with NumPy's broadcasting. The gradient of a repeated operand is the sum over
// its repetitions.
import type { Tensor } from "../../engine/index.ts";
import { sumTo } from "../reduce/reduce.ts";
import { type BinaryOp, binary, broadcastShape, broadcastStrides } from "./binary.ts";

function combine(op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  const shape = broadcastShape(op, a.shape, b.shape);
  return binary(op, shape, a, broadcastStrides(a.shape, shape), b, broadcastStrides(b.shape, shape));
}

// All four take f32 or f16 of shapes that broadcast, and throw TensorError on others or on mixed dtypes.

/** a + b */
export function add(a: Tensor, b: Tensor): Tensor {
  return a.engine.record("add", combine("add", a, b), [a, b], (dy, needs) => [
    needs[0] ? sumTo(dy, a.shape) : null,
    needs[1] ? sumTo(dy, b.shape) : null,
  ]);
}

/** a - b */
export function sub(a: Tensor, b: Tensor): Tensor {
  return a.engine.record("sub", combine("sub", a, b), [a, b], (dy, needs) => [
    needs[0] ? sumTo(dy, a.shape) : null,
    needs[1] ? sumTo(dy, b.shape, -1) : null,
  ]);
}

/** a · b, element by element */
export function mul(a: Tensor, b: Tensor): Tensor {
  return a.engine.record("mul", combine("mul", a, b), [a, b], (dy, needs) => [
    needs[0] ? sumTo(combine("mul", dy, b), a.shape) : null,
    needs[1] ? sumTo(combine("mul", dy, a), b.shape) : null,
  ]);
}

/** a / b */
export function div(a: Tensor, b: Tensor): Tensor {
  const y = combine("div", a, b);
  return a.engine.record("div", y, [a, b], (dy, needs) => {
    const quotient = combine("div", dy, b);
    return [
      needs[0] ? sumTo(quotient, a.shape) : null,
      needs[1] ? sumTo(combine("negativeMul", quotient, y), b.shape) : null,
    ];
  });
}
