// Matrix products: plain, batched and transposed, and the linear layer with bias, GELU and residual in its epilogue.
// Gradients are matrix products again, so the four transpose variants serve forward and backward alike.
import {
  defineKernel,
  type Engine,
  type Launch,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
  tracked,
} from "../../engine/index.ts";
import { multiplyByGeluSlope } from "../elementwise/gelu.ts";
import geluSource from "../lib/gelu.wgsl?raw";
import { sumLeading } from "../reduce/reduce.ts";
import sharedSource from "./matmul-shared.wgsl?raw";
import subgroupSource from "./matmul-subgroup.wgsl?raw";

const bindings = ["a", "b", "bias", "residual", "+y"];
const params = {
  m: "u32",
  n: "u32",
  k: "u32",
  strideA: "u32",
  strideB: "u32",
  preOffset: "u32",
  tilesN: "u32",
  tiles: "u32",
  scale: "f32",
} as const;

/** Of the product itself, 2 m n k a matrix. The epilogue is not counted, as nobody else counts it. */
const flops = ({ params: { m, n, k }, grid }: Launch<typeof params>) => 2 * m * n * k * grid[2];

/** 16 rows by 4 LANES columns a subgroup; contiguous extents must be multiples of 4. */
export const matmulSubgroup = defineKernel({
  name: "matmul",
  source: subgroupSource,
  // The second text is never used: without subgroups matmulShared runs.
  includes: [geluSource, { subgroups: "", shared: "" }],
  bindings,
  params,
  flops,
});

/** 32 x 32 tiles through shared memory; any sizes. */
export const matmulShared = defineKernel({
  name: "matmul-shared",
  source: sharedSource,
  includes: [geluSource],
  bindings,
  params,
  flops,
});

export interface MatmulOptions {
  /** `a` is stored [k, m]. */
  transposeA?: boolean;
  /** `b` is stored [n, k]. */
  transposeB?: boolean;
  /** Multiplies the product. */
  scale?: number;
}

interface Product extends MatmulOptions {
  m: number;
  n: number;
  k: number;
  batch: number;
  bias?: Tensor | null;
  residual?: Tensor | null;
  gelu?: boolean;
  /** Keep the values before GELU; they come back as the second tensor. */
  keepPre?: boolean;
  shape: Shape;
}

/** Runs one product; the second tensor holds the values before GELU, where asked for. */
function multiply(engine: Engine, a: Tensor, b: Tensor, product: Product): [Tensor, Tensor | null] {
  const { m, n, k, batch, bias, residual, gelu = false, transposeA = false, transposeB = false } = product;
  if (a.dtype !== b.dtype) throw new TensorError(`matmul: ${a} and ${b} differ in dtype.`);
  const vectors = (transposeA ? m : k) % 4 === 0 && (transposeB ? k : n) % 4 === 0 && n % 4 === 0;
  const subgroup = engine.lanes.subgroups && vectors;
  const tilesN = Math.ceil(n / (subgroup ? 4 * engine.lanes.count : 32));
  const tiles = tilesN * Math.ceil(m / (subgroup ? 16 : 32));
  // The second half starts at a multiple of 64 elements, where a binding of it may start.
  const half = Math.ceil((batch * m * n) / 128) * 128;
  const whole = product.keepPre ? engine.empty([2 * half], a.dtype) : engine.empty(product.shape, a.dtype);
  engine.run(subgroup ? matmulSubgroup : matmulShared, {
    bind: [a, b, bias ?? a, residual ?? a, whole],
    params: {
      m,
      n,
      k,
      strideA: sizeOf(a.shape) === m * k ? 0 : m * k,
      strideB: sizeOf(b.shape) === n * k ? 0 : n * k,
      preOffset: product.keepPre ? half : 0,
      tilesN,
      tiles,
      scale: product.scale ?? 1,
    },
    grid: [Math.min(tiles, 32768), Math.ceil(tiles / 32768), batch],
    dtype: a.dtype,
    constants: {
      TRANS_A: transposeA,
      TRANS_B: transposeB,
      HAS_BIAS: !!bias,
      HAS_RESIDUAL: !!residual,
      GELU: gelu,
    },
  });
  if (!product.keepPre) return [whole, null];
  return [engine.slice(whole, 0, product.shape), engine.slice(whole, half, product.shape)];
}

/**
 * y = scale · op(a) op(b). `a` is [..., m, k] (or [..., k, m] with transposeA), `b` is [..., k, n] (or [..., n, k] with
 * transposeB); leading dimensions are a batch and must agree, or `b` has none and is shared. f32 or f16, sums in f32.
 * Throws TensorError where the shapes do not fit.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
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
  const { engine } = a;
  const sizes = { m, n, k, batch, scale };
  const [y] = multiply(engine, a, b, { ...sizes, transposeA, transposeB, shape });
  return engine.record("matmul", y, [a, b], (dy, needs) => {
    const gradA = () =>
      transposeA
        ? multiply(engine, b, dy, {
            ...sizes,
            m: k,
            n: m,
            k: n,
            transposeA: transposeB,
            transposeB: true,
            shape: a.shape,
          })
        : multiply(engine, dy, b, { ...sizes, n: k, k: n, transposeB: !transposeB, shape: a.shape });
    const gradB = () =>
      transposeB
        ? multiply(engine, dy, a, {
            ...sizes,
            m: n,
            n: k,
            k: m,
            transposeA: true,
            transposeB: transposeA,
            shape: b.shape,
          })
        : multiply(engine, a, dy, { ...sizes, m: k, k: m, transposeA: !transposeA, shape: b.shape });
    return [needs[0] ? gradA()[0] : null, needs[1] ? gradB()[0] : null];
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
 * is [..., n]. Throws TensorError where the shapes do not fit.
 */
export function linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Tensor {
  const { bias = null, gelu = false, residual = null } = options;
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
  const { engine } = x;
  const m = x.size / k;
  const inputs = [x, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  const keepPre = gelu && inputs.some(tracked);
  const [y, pre] = multiply(engine, x, weight, {
    ...{ m, n, k, batch: 1, transposeB: true, shape },
    ...{ bias, residual, gelu, keepPre },
  });
  return engine.record("linear", y, inputs, (dy, needs) => {
    const dPre = pre ? multiplyByGeluSlope(dy, pre) : dy;
    const grads: (Tensor | null)[] = [null, null];
    if (needs[0]) grads[0] = multiply(engine, dPre, weight, { m, n: k, k: n, batch: 1, shape: x.shape })[0];
    if (needs[1]) {
      const sizes = { m: n, n: k, k: m, batch: 1, shape: weight.shape };
      grads[1] = multiply(engine, dPre, x, { ...sizes, transposeA: true })[0];
    }
    if (bias) grads.push(needs[2] ? sumLeading(dPre, n) : null);
    if (residual) grads.push(dy);
    return grads;
  });
}
