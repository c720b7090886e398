// What the float64 references of several op groups share: matrix products, erf and GELU, sums over rows. Written for
// clarity; a reference that were clever would need one of its own.

/** Sizes of a product y = scale · op(a) op(b), y being [batch, m, n]. */
export interface ProductSizes {
  m: number;
  n: number;
  k: number;
  batch?: number;
  /** One `b` for the whole batch. */
  sharedB?: boolean;
  transposeA?: boolean;
  transposeB?: boolean;
  scale?: number;
}

/** One element of a product, by its row-major index. */
export function productAt(a: Float64Array, b: Float64Array, sizes: ProductSizes, index: number): number {
  const { m, n, k, sharedB, transposeA, transposeB, scale = 1 } = sizes;
  const matrix = Math.floor(index / (m * n));
  const row = Math.floor(index / n) % m;
  const column = index % n;
  const [stepA, stepB] = [transposeA ? m : 1, transposeB ? 1 : n];
  let atA = matrix * m * k + (transposeA ? row : row * k);
  let atB = (sharedB ? 0 : matrix * n * k) + (transposeB ? column * k : column);
  let sum = 0;
  for (let i = 0; i < k; i++, atA += stepA, atB += stepB) sum += a[atA]! * b[atB]!;
  return scale * sum;
}

/** A whole product. */
export function product(a: Float64Array, b: Float64Array, sizes: ProductSizes): Float64Array {
  const length = (sizes.batch ?? 1) * sizes.m * sizes.n;
  return Float64Array.from({ length }, (_, index) => productAt(a, b, sizes, index));
}

/** Sums of the columns of rows of `n` elements. */
export function sumRows(values: Float64Array, n: number): Float64Array {
  const sums = new Float64Array(n);
  values.forEach((value, i) => {
    sums[i % n]! += value;
  });
  return sums;
}

/** The error function by its series of positive terms, erf x = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The exact GELU, x Φ(x). */
export function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x * Math.SQRT1_2));
}

/** Derivative of `gelu`. */
export function geluSlope(x: number): number {
  return 0.5 * (1 + erf(x * Math.SQRT1_2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

/** GELU by its approximation with tanh. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Derivative of `geluTanh`. */
export function geluTanhSlope(x: number): number {
  const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  const slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + Math.tanh(inner)) + (0.5 * x * slope) / Math.cosh(inner) ** 2;
}

/** The nearest whole number, of two the even one. */
export function roundToEven(x: number): number {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}
