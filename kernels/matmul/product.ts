// Runs one matrix product by one of its variants: the sizes and the epilogue come in, kernel, grid and memory are
// decided here. Everything that is a matrix product, forward or backward, goes through `multiply`.
import {
  type Backend,
  type DType,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../../engine/index.ts";
import { sumLeading } from "../reduce/reduce.ts";
import { isPacked, type PackedWeight } from "./packed.ts";
import {
  candidates,
  choiceKey,
  type Kept,
  kernelsNow,
  plan,
  type Sizes,
  type VariantName,
} from "./variants.ts";

/** How the matrices of an operand go round: each serves `repeat` products in a row, and after `count` the first comes again. */
export interface Cycle {
  repeat: number;
  count: number;
}

/** y = gelu(scale op(a) op(b) + bias) + residual, or scale op(a) op(b) gelu'(slopeAt), each part where asked for. */
export interface Product {
  m: number;
  n: number;
  k: number;
  batch: number;
  /** Which matrix of `a` each product of the batch takes: the only one, or its own, unless told. */
  cycleA?: Cycle;
  cycleB?: Cycle;
  /** `a` is stored [k, m]. */
  transposeA?: boolean;
  /** `b` is stored [n, k]. */
  transposeB?: boolean;
  scale?: number;
  bias?: Tensor | null;
  residual?: Tensor | null;
  gelu?: boolean;
  /** Of y's size; takes the residual's place. */
  slopeAt?: Tensor | null;
  /** Also keep the values before GELU, or the sums of the rows of op(a), these of a batch of one with transposeA. */
  keep?: Kept | null;
  /** Of y. */
  shape: Shape;
  /** Of y and what is kept but for the values before GELU: f32 in place of f16, so that nothing is rounded twice. */
  result?: DType;
  /** Run this variant instead of the one that the rule or a measurement chooses. */
  variant?: VariantName;
}

export interface ProductResult {
  y: Tensor;
  /** What was asked to be kept: the values before GELU, of y's shape, or [m], the sums of the rows of op(a). */
  kept: Tensor | null;
}

/**
 * Runs one product; f32 or f16, sums in f32, not recorded. A packed `b` is one matrix, stored [n, k], and nothing is kept.
 * Throws TensorError where `a` and `b` differ in dtype.
 */
export function multiply(
  engine: Backend,
  a: Tensor,
  b: Tensor | PackedWeight,
  product: Product,
): ProductResult {
  const { m, n, k, batch, transposeA = false, transposeB = false, bias, residual, gelu = false } = product;
  const { keep = null, slopeAt, shape } = product;
  const { dtype } = a;
  const { result = dtype } = product;
  const [packed, operand] = isPacked(b) ? [b, b.words] : [null, b];
  if (!packed && dtype !== operand.dtype) throw new TensorError(`matmul: ${a} and ${b} differ in dtype.`);
  const sizes: Sizes = { m, n, k, batch, transposeA, transposeB };
  const {
    cycleA = ownOf(a, m * k, batch),
    cycleB = packed ? { repeat: 1, count: 1 } : ownOf(operand, n * k, batch),
  } = product;
  const variant =
    product.variant ??
    choose(engine, a, b, { ...sizes, cycleA, cycleB }, !(bias || residual || gelu || slopeAt));
  const { kernel, constants, tile, splits, depth } = plan(
    engine,
    variant,
    sizes,
    { dtype, result },
    keep,
    packed?.bits,
  );

  const shapes: Shape[] = [shape, ...(keep ? [keep === "pre" ? shape : [m]] : [])];
  // Parts of split sums are f32, in whole quads, and added up afterwards, always in the same order.
  const strides = shapes.map((one) => Math.ceil(sizeOf(one) / 4) * 4);
  const targets = shapes.map((one, i) =>
    splits > 1 ? engine.empty([splits, strides[i]!]) : engine.empty(one, result),
  );
  const tilesN = Math.ceil(n / tile[1]);
  const tiles = tilesN * Math.ceil(m / tile[0]);
  engine.run(kernel, {
    bind: [
      ...[a, operand, bias ?? a, residual ?? slopeAt ?? a],
      ...(packed ? [packed.scales] : []),
      ...targets,
    ],
    params: {
      ...{ m, n, k, splits, depth, tilesN, tiles, batch },
      ...{ strideA: m * k, repeatA: cycleA.repeat, countA: cycleA.count },
      ...{ strideB: n * k, repeatB: cycleB.repeat, countB: cycleB.count },
      splitStride: strides[0]!,
      sumsStride: strides[1] ?? 0,
      scale: product.scale ?? 1,
      hasBias: bias ? 1 : 0,
      hasResidual: residual ? 1 : 0,
    },
    grid: tiles * splits * batch,
    dtype,
    constants: {
      ...{ TRANS_A: transposeA, TRANS_B: transposeB, GELU: gelu, SLOPE: !!slopeAt, ...constants },
    },
  });
  const [y, kept = null] = targets.map((target, i) => {
    if (splits === 1) return target;
    const whole = sumLeading(target, strides[i]!, result);
    const part = engine.slice(whole, 0, shapes[i]!);
    for (const tensor of [target, whole]) tensor.dispose();
    return part;
  }) as [Tensor, Tensor?];
  return { y, kept };
}

const ownOf = ({ size }: Tensor, one: number, batch: number): Cycle => ({
  repeat: 1,
  count: size === one ? 1 : batch,
});

/** The variant for a product. Parts of split sums leave out the epilogue, so only products without one are split. */
function choose(
  engine: Backend,
  a: Tensor,
  b: Tensor | PackedWeight,
  sizes: Sizes & Pick<Product, "cycleA" | "cycleB">,
  splittable: boolean,
): VariantName {
  const { dtype } = a;
  const packed = isPacked(b) ? b : null;
  const variants = candidates(engine, sizes, dtype, splittable, packed !== null);
  // What takes whole units only is no choice for the rest of a class.
  const direct = variants.includes("matrix-direct") ? " direct" : "";
  return engine.choose({
    key: `${choiceKey(sizes, dtype, splittable)}${direct}${packed ? ` int${packed.bits}` : ""}`,
    kernels: kernelsNow(),
    variants,
    inputs: isPacked(b) ? [a, b.words, b.scales] : [a, b],
    run: (variant, [a, b, scales]) => {
      const operand = packed ? { ...packed, words: b!, scales: scales! } : b!;
      multiply(engine, a!, operand, { ...sizes, shape: [sizes.batch, sizes.m, sizes.n], variant });
    },
  });
}
