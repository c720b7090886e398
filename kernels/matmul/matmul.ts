// Matrix products: plain, batched and transposed, and the linear layer with bias, GELU and residual in its epilogue.
// Gradients are matrix products again, so the four transpose variants serve forward and backward alike.
import {
  type DType,
  gradientDType,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
  tracked,
} from "../../engine/index.ts";
import { expanded } from "../elementwise/strided.ts";
import { multiplyByGeluSlope } from "../elementwise/unary.ts";
import { requireFloat, rowsOf } from "../lib/items.ts";
import { sumLeading, sumTo } from "../reduce/reduce.ts";
import { isPacked, type PackedWeight } from "./packed.ts";
import { type Cycle, multiply, type ProductResult } from "./product.ts";

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
 * y = scale · op(a) op(b), as NumPy's matmul. `a` is [..., m, k] (or [..., k, m] with transposeA), `b` is [..., k, n] (or
 * [..., n, k] with transposeB); leading dimensions are a batch and broadcast. A vector [k] is a row as `a` and a column as
 * `b`, and the result has no such dimension. f32 or f16, sums in f32. Throws TensorError where shapes or dtypes do not fit.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  requireFloat("matmul", a, b);
  const misfit = () => {
    const marks = `${transposeA ? " transposed" : ""} by [${b.shape}]${transposeB ? " transposed" : ""}`;
    return new TensorError(`matmul: [${a.shape}]${marks} does not fit.`);
  };
  const [row, column] = [a.shape.length === 1, b.shape.length === 1];
  if (a.shape.length === 0 || b.shape.length === 0 || (row && transposeA) || (column && transposeB))
    throw misfit();
  const matricesA = row ? [1, ...a.shape] : a.shape;
  const matricesB = column ? [...b.shape, 1] : b.shape;
  const [leadingA, leadingB] = [matricesA.slice(0, -2), matricesB.slice(0, -2)];
  const [lastA, lastB] = [matricesA.slice(-2), matricesB.slice(-2)];
  let [m, k] = transposeA ? [lastA[1]!, lastA[0]!] : [lastA[0]!, lastA[1]!];
  const [kB, n] = transposeB ? [lastB[1]!, lastB[0]!] : [lastB[0]!, lastB[1]!];
  const leading = commonShape(leadingA, leadingB);
  if (k !== kB || !leading) throw misfit();
  const shape = [...leading, ...(row ? [] : [m]), ...(column ? [] : [n])];
  let batch = sizeOf(leading);
  if (sizeOf(leadingB) === 1 && sizeOf(leadingA) === batch && (batch === 1 || !transposeA)) {
    // With one `b` for all, the batch is just more rows.
    m *= batch;
    batch = 1;
  }
  const own = batch === 1 ? { repeat: 1, count: 1 } : null;
  const [sideA, sideB] = [
    { transpose: transposeA, cycle: own ?? cycleOf(leadingA, leading) },
    { transpose: transposeB, cycle: own ?? cycleOf(leadingB, leading) },
  ];
  /** An operand whose matrices don't come in a cycle is repeated. */
  const whole = (x: Tensor, { cycle }: typeof sideA, own: Shape) => {
    const all = [...leading, ...own.slice(-2)];
    return cycle ? x : expanded(x, all, own);
  };
  const all: Cycle = { repeat: 1, count: batch };
  /** scale · op(left) op(right), of `rows` by `columns` in sums of `terms`. */
  const product = (
    [left, turnLeft, cycleA]: readonly [Tensor, boolean, Cycle | null],
    [right, turnRight, cycleB]: readonly [Tensor, boolean, Cycle | null],
    [rows, columns, terms]: readonly [number, number, number],
    shape: Shape,
    result = a.dtype,
  ) => {
    const cycles = { cycleA: cycleA ?? all, cycleB: cycleB ?? all };
    const sizes = { m: rows, n: columns, k: terms, batch, scale, result, ...cycles };
    return multiply(a.engine, left, right, { ...sizes, transposeA: turnLeft, transposeB: turnRight, shape })
      .y;
  };
  const operand = (x: Tensor, side: typeof sideA, own: Shape, turned = false) =>
    [whole(x, side, own), side.transpose !== turned, side.cycle] as const;
  const [x, y] = [operand(a, sideA, matricesA), operand(b, sideB, matricesB)];
  const result = product(x, y, [m, n, k], shape);
  if (x[0] !== a) x[0].dispose();
  if (y[0] !== b) y[0].dispose();
  return a.engine.record("matmul", result, [a, b], (dy, needs) => {
    /** The gradient of an operand from that of every product, in matrices that are stored as the operand's. */
    const gradient = (
      of: Tensor,
      { cycle }: typeof sideA,
      own: Shape,
      make: (shape: Shape, result: DType) => Tensor,
    ) => {
      const once = cycle && cycle.count === batch;
      const result = gradientDType(of);
      const each = make(once ? of.shape : [...leading, ...own.slice(-2)], result);
      return once ? each : of.engine.view(sumTo(each, own), of.shape);
    };
    const incoming = (turned: boolean) => [dy, turned, all] as const;
    const gradA = (shape: Shape, result: DType) =>
      transposeA
        ? product(operand(b, sideB, matricesB), incoming(true), [k, m, n], shape, result)
        : product(incoming(false), operand(b, sideB, matricesB, true), [m, k, n], shape, result);
    const gradB = (shape: Shape, result: DType) =>
      transposeB
        ? product(incoming(true), operand(a, sideA, matricesA), [n, k, m], shape, result)
        : product(operand(a, sideA, matricesA, true), incoming(false), [k, n, m], shape, result);
    return [
      needs[0] ? gradient(a, sideA, matricesA, gradA) : null,
      needs[1] ? gradient(b, sideB, matricesB, gradB) : null,
    ];
  });
}

/** The shape that two broadcast to; null where they don't. */
function commonShape(a: Shape, b: Shape): number[] | null {
  const rank = Math.max(a.length, b.length);
  const [left, right] = [a, b].map((shape) => [...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const common = left!.map((n, d) => (n === 1 ? right![d]! : n));
  return common.every((n, d) => right![d] === 1 || right![d] === n) ? common : null;
}

/** How matrices with these leading dimensions serve a batch of those; null where they don't come in turn. */
function cycleOf(own: Shape, all: Shape): Cycle | null {
  const extents = [...new Array<number>(all.length - own.length).fill(1), ...own];
  const repeats = extents.map((n, d) => n === 1 && all[d] !== 1);
  const [first, last] = [repeats.indexOf(false), repeats.lastIndexOf(false)];
  if (repeats.slice(first, last + 1).some((one) => one)) return null;
  return { repeat: sizeOf(all.slice(last + 1)), count: sizeOf(extents) };
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
 * The linear layer y = gelu(x Wᵀ + bias) + residual. `x` is [..., k], `weight` [n, k] as PyTorch stores it, or packed; the
 * result is [..., n]; f32 or f16. Throws TensorError where shapes or dtypes do not fit, and where a packed weight would be
 * differentiated through.
 */
export function linear(x: Tensor, weight: Tensor | PackedWeight, options: LinearOptions = {}): Tensor {
  const { bias = null, gelu = false, residual = null } = options;
  if (isPacked(weight)) {
    requireUntracked("linear", x, bias, residual);
    return layer(x, { weight, bias }, { gelu, residual }).y;
  }
  const inputs = [x, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  const keep = gelu && inputs.some(tracked) ? "pre" : null;
  const { y, kept: pre } = layer(x, { weight, bias }, { gelu, residual, keep });
  return x.engine.record("linear", y, inputs, (dy, needs, earlier) => {
    const dPre = pre ? multiplyByGeluSlope(dy, pre) : dy;
    const wanted = { x: needs[0]!, weight: needs[1]!, bias: bias !== null && needs[2]! };
    const grads = layerGradients(dPre, x, { weight, bias }, wanted, { earlier: earlier(0) });
    return [grads.x, grads.weight, ...(bias ? [grads.bias] : []), ...(residual ? [dy] : [])];
  });
}

/** Throws TensorError where a tensor that meets a packed weight wants a gradient. */
function requireUntracked(name: string, ...tensors: readonly (Tensor | null)[]): void {
  if (tensors.some((tensor) => tensor && tracked(tensor)))
    throw new TensorError(`${name}: there is no gradient through a packed weight; it is for inference.`);
}

/** One linear layer, not recorded. Throws TensorError where the shapes do not fit. */
function layer(
  x: Tensor,
  { weight, bias }: { weight: Tensor | PackedWeight; bias: Tensor | null },
  options: { gelu?: boolean; residual?: Tensor | null; keep?: "pre" | null },
): ProductResult {
  const { residual = null } = options;
  requireFloat(
    "linear",
    x,
    ...(isPacked(weight) ? [] : [weight]),
    ...(bias ? [bias] : []),
    ...(residual ? [residual] : []),
  );
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
  { weight, bias }: { weight: Tensor; bias: Tensor | null },
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
  const result = gradientDType(weight);
  const biasDType = bias ? gradientDType(bias) : result;
  // Where there are no weights nothing is multiplied, and nothing summed on the way; and both are made in one dtype.
  const keep = wanted.bias && k > 0 && biasDType === result ? "sums" : null;
  const dW = wanted.weight ? multiply(engine, dy, x, { ...sizes, keep, result }) : null;
  return {
    x: wanted.x ? dx() : null,
    weight: dW?.y ?? null,
    bias: dW?.kept ?? (wanted.bias ? sumLeading(dy, n, biasDType) : null),
  };
}

/** Weight [outputs, inputs], or packed, and bias [outputs] of a linear layer. */
export interface Layer {
  weight: Tensor | PackedWeight;
  bias: Tensor;
}

/**
 * The feed-forward half of a transformer's block, y = gelu(x W₁ᵀ + b₁) W₂ᵀ + b₂ + residual, as one operation: the same
 * as two calls of `linear`, but the gradient goes through GELU in the epilogue of a product instead of by itself. `x` is
 * [..., k]; the result is [..., n]; f32 or f16. Throws TensorError as `linear`.
 */
export function feedForward(
  x: Tensor,
  first: Layer,
  second: Layer,
  options: { residual?: Tensor | null } = {},
): Tensor {
  const { residual = null } = options;
  const [w1, w2] = [first.weight, second.weight];
  if (isPacked(w1) || isPacked(w2)) {
    const others = [w1, w2].map((weight) => (isPacked(weight) ? null : weight));
    requireUntracked("feedForward", x, first.bias, second.bias, residual, ...others);
    return layer(layer(x, first, { gelu: true }).y, second, { residual }).y;
  }
  const inputs = [x, w1, first.bias, w2, second.bias, ...(residual ? [residual] : [])];
  const keep = inputs.some(tracked) ? "pre" : null;
  const { y: hidden, kept: pre } = layer(x, first, { gelu: true, keep });
  const { y } = layer(hidden, second, { residual });
  return x.engine.record("feedForward", y, inputs, (dy, needs, earlier) => {
    const outer = layerGradients(
      dy,
      hidden,
      { weight: w2, bias: second.bias },
      { x: needs[0]! || needs[1]! || needs[2]!, weight: needs[3]!, bias: needs[4]! },
      { slopeAt: pre },
    );
    const wanted = { x: needs[0]!, weight: needs[1]!, bias: needs[2]! };
    // Where the input is the residual as well, its gradient is one sum.
    const same = residual === x;
    const inner = outer.x
      ? layerGradients(outer.x, x, { weight: w1, bias: first.bias }, wanted, {
          earlier: same ? dy : earlier(0),
        })
      : { x: null, weight: null, bias: null };
    const rest = residual ? [same ? null : dy] : [];
    return [inner.x, inner.weight, inner.bias, outer.weight, outer.bias, ...rest];
  });
}
