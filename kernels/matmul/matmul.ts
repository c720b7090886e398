// Matrix products: plain, batched and transposed, and the linear layer with bias, GELU and residual in its epilogue.
// Gradients are matrix products again, so the four transpose variants serve forward and backward alike.
import { type Shape, sizeOf, type Tensor, TensorError, tracked } from "../../engine/index.ts";
import { multiplyBySlope } from "../elementwise/unary.ts";
import { requireFloat, rowsOf } from "../lib/items.ts";
import { sumLeading } from "../reduce/reduce.ts";
import { multiply, type ProductResult } from "./product.ts";

export { matmulKernels } from "./variants.ts";

export interface MatmulOptions {
  /** `a` is stored [k, m]. */
  transposeA?: boolean;
  /** `b` is stored [n, k]. */
  transposeB?: boolean;
  /** Multiplies the product. */
  scale?: number;
}

/**
 * y = scale · op(a) op(b). `a` is [..., m, k] (or [..., k, m] with transposeA), `b` is [..., k, n] (or [..., n, k] with
 * transposeB); leading dimensions are a batch and must agree, or `b` has none and is shared. f32 or f16, sums in f32.
 * Throws TensorError where shapes or dtypes do not fit.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  requireFloat("matmul", a, b);
  const misfit = () => {
    const marks = `${transposeA ? " transposed" : ""} by [${b.shape}]${transposeB ? " transposed" : ""}`;
    return new TensorError(`matmul: [${a.shape}]${marks} does not fit.`);
  };
  if (a.shape.length < 2 || b.shape.length < 2) throw misfit();
  const [lastA, lastB] = [a.shape.slice(-2), b.shape.slice(-2)];
  const leading = a.shape.slice(0, -2);
  const shared = b.shape.length === 2;
  let batch = sizeOf(leading);
  let [m, k] = transposeA ? [lastA[1]!, lastA[0]!] : [lastA[0]!, lastA[1]!];
  const [kB, n] = transposeB ? [lastB[1]!, lastB[0]!] : [lastB[0]!, lastB[1]!];
  if (k !== kB || (!shared && `${leading}` !== `${b.shape.slice(0, -2)}`)) throw misfit();
  const shape = [...leading, m, n];
  if (shared && batch > 1) {
    if (transposeA) throw misfit();
    // With one shared `b`, the batch is just more rows.
    m *= batch;
    batch = 1;
  }
  /** scale · op(left) op(right), of `rows` by `columns` in sums of `terms`. */
  const product = (
    [left, transposeA]: [Tensor, boolean],
    [right, transposeB]: [Tensor, boolean],
    [rows, columns, terms]: [number, number, number],
    shape: Shape,
  ) => {
    const sizes = { m: rows, n: columns, k: terms, batch, scale };
    return multiply(a.engine, left, right, { ...sizes, transposeA, transposeB, shape }).y;
  };
  const y = product([a, transposeA], [b, transposeB], [m, n, k], shape);
  return a.engine.record("matmul", y, [a, b], (dy, needs) => {
    const gradA = () =>
      transposeA
        ? product([b, transposeB], [dy, true], [k, m, n], a.shape)
        : product([dy, false], [b, !transposeB], [m, k, n], a.shape);
    const gradB = () =>
      transposeB
        ? product([dy, true], [a, transposeA], [n, k, m], b.shape)
        : product([a, !transposeA], [dy, false], [k, n, m], b.shape);
    return [needs[0] ? gradA() : null, needs[1] ? gradB() : null];
  });
}

export interface LinearOptions {
  /** [n]; added to every row. */
  bias?: Tensor | null;
  /** Exact (erf) GELU after the bias. */
  gelu?: boolean;
  /** Same shape as the result; added last. */
  residual?: Tensor | null;
}

/**
 * The linear layer y = gelu(x Wᵀ + bias) + residual. `x` is [..., k], `weight` [n, k] as PyTorch stores it; the result
 * is [..., n]; f32 or f16. Throws TensorError where shapes or dtypes do not fit.
 */
export function linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Tensor {
  const { bias = null, gelu = false, residual = null } = options;
  const inputs = [x, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  const keep = gelu && inputs.some(tracked) ? "pre" : null;
  const { y, kept: pre } = layer(x, { weight, bias }, { gelu, residual, keep });
  return x.engine.record("linear", y, inputs, (dy, needs, earlier) => {
    const dPre = pre ? multiplyBySlope("gelu", dy, pre) : dy;
    const wanted = { x: needs[0]!, weight: needs[1]!, bias: bias !== null && needs[2]! };
    const grads = layerGradients(dPre, x, weight, wanted, { earlier: earlier(0) });
    return [grads.x, grads.weight, ...(bias ? [grads.bias] : []), ...(residual ? [dy] : [])];
  });
}

/** One linear layer, not recorded. Throws TensorError where the shapes do not fit. */
function layer(
  x: Tensor,
  { weight, bias }: { weight: Tensor; bias: Tensor | null },
  options: { gelu?: boolean; residual?: Tensor | null; keep?: "pre" | null },
): ProductResult {
  const { residual = null } = options;
  requireFloat("linear", x, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : []));
  const [n, k] = [weight.shape[0]!, weight.shape[1]!];
  if (weight.shape.length !== 2 || x.shape.at(-1) !== k) {
    throw new TensorError(`linear: input [${x.shape}] does not fit the weight [${weight.shape}].`);
  }
  const shape = [...x.shape.slice(0, -1), n];
  if (bias && bias.size !== n)
    throw new TensorError(`linear: bias [${bias.shape}] does not fit ${n} outputs.`);
  if (residual && residual.size !== sizeOf(shape)) {
    throw new TensorError(`linear: residual [${residual.shape}] does not fit [${shape}].`);
  }
  const sizes = { m: rowsOf("linear", x).rows, n, k, batch: 1, transposeB: true, shape };
  return multiply(x.engine, x, weight, { ...sizes, ...options, bias });
}

/**
 * The gradients of x Wᵀ + bias from that of its result: dX = dY W, times gelu'(`slopeAt`) where the input is gelu of
 * that, plus what came `earlier`; dW = dYᵀ X; and the bias's, the sums of dY's columns, which the product for dW reads
 * anyway.
 */
function layerGradients(
  dy: Tensor,
  x: Tensor,
  weight: Tensor,
  wanted: { x: boolean; weight: boolean; bias: boolean },
  options: { slopeAt?: Tensor | null; earlier?: Tensor | null },
): { x: Tensor | null; weight: Tensor | null; bias: Tensor | null } {
  const { engine } = x;
  const [n, k] = [weight.shape[0]!, weight.shape[1]!];
  const m = rowsOf("linear", x).rows;
  const { slopeAt = null, earlier: residual = null } = options;
  const dx = () =>
    multiply(engine, dy, weight, { m, n: k, k: n, batch: 1, slopeAt, residual, shape: x.shape }).y;
  const sizes = { m: n, n: k, k: m, batch: 1, transposeA: true, shape: weight.shape };
  // Where there are no weights nothing is multiplied, and nothing summed on the way.
  const keep = wanted.bias && k > 0 ? "sums" : null;
  const dW = wanted.weight ? multiply(engine, dy, x, { ...sizes, keep }) : null;
  return {
    x: wanted.x ? dx() : null,
    weight: dW?.y ?? null,
    bias: dW?.kept ?? (wanted.bias ? sumLeading(dy, n) : null),
  };
}

/** Weight [outputs, inputs] and bias [outputs] of a linear layer. */
export interface Layer {
  weight: Tensor;
  bias: Tensor;
}

/**
 * The feed-forward half of a transformer's block, y = gelu(x W₁ᵀ + b₁) W₂ᵀ + b₂ + residual, as one operation: the same
 * as two calls of `linear`, but the gradient goes through GELU in the epilogue of a product instead of by itself. `x` is
 * [..., k]; the result is [..., n]; f32 or f16. Throws TensorError where shapes or dtypes do not fit.
 */
export function feedForward(
  x: Tensor,
  first: Layer,
  second: Layer,
  options: { residual?: Tensor | null } = {},
): Tensor {
  const { residual = null } = options;
  const inputs = [x, first.weight, first.bias, second.weight, second.bias, ...(residual ? [residual] : [])];
  const keep = inputs.some(tracked) ? "pre" : null;
  const { y: hidden, kept: pre } = layer(x, first, { gelu: true, keep });
  const { y } = layer(hidden, second, { residual });
  return x.engine.record("feedForward", y, inputs, (dy, needs, earlier) => {
    const outer = layerGradients(
      dy,
      hidden,
      second.weight,
      { x: needs[0]! || needs[1]! || needs[2]!, weight: needs[3]!, bias: needs[4]! },
      { slopeAt: pre },
    );
    const wanted = { x: needs[0]!, weight: needs[1]!, bias: needs[2]! };
    // Where the input is the residual as well, its gradient is one sum.
    const same = residual === x;
    const inner = outer.x
      ? layerGradients(outer.x, x, first.weight, wanted, { earlier: same ? dy : earlier(0) })
      : { x: null, weight: null, bias: null };
    const rest = residual ? [same ? null : dy] : [];
    return [inner.x, inner.weight, inner.bias, outer.weight, outer.bias, ...rest];
  });
}
