// Cases of matmul and linear: every transposition, batches, epilogues, and sizes on both sides of what the kernels
// branch on (multiples of 4, tiles of 16 and 32 rows, short and long sums).
import type { DType } from "../../engine/index.ts";
import { linear, matmul } from "../../kernels/matmul/matmul.ts";
import type { Input, OpCase, PeerOp } from "./case.ts";
import { gelu, geluSlope, type ProductSizes, product, productAt, sumRows } from "./reference.ts";

interface MatmulSpec extends ProductSizes {
  /** Leading dimensions of the operands. */
  leading?: number[];
  dtype?: DType;
  bench?: boolean;
}

function matmulCase(label: string, spec: MatmulSpec): OpCase {
  const { m, n, k, leading = [], sharedB, transposeA, transposeB, scale, dtype = "f32", bench } = spec;
  const batch = leading.reduce((a, b) => a * b, 1);
  const sizes = { m, n, k, batch, sharedB, transposeA, transposeB, scale };
  const way = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
  return {
    name: `matmul ${label} ${way} ${[...leading, m].join("x")}x${n}x${k} ${dtype}`,
    inputs: [
      { name: "a", shape: [...leading, ...(transposeA ? [k, m] : [m, k])], dtype },
      { name: "b", shape: [...(sharedB ? [] : leading), ...(transposeB ? [n, k] : [k, n])], dtype },
    ],
    run: ([a, b]) => matmul(a!, b!, { transposeA, transposeB, scale }),
    reference: ([a, b]) => product(a!, b!, sizes),
    gradients: ([a, b], dy) => matmulGradients(a!, b!, dy, sizes),
    flops: 2 * batch * m * n * k,
    ...(bench
      ? {
          bench: dtype === "f32" && !sharedB ? { peer: peerMatmul(spec) } : {},
          referenceAt: ([a, b], index) => productAt(a!, b!, sizes, index),
        }
      : {}),
  };
}

function peerMatmul({ transposeA = false, transposeB = false, scale = 1 }: MatmulSpec): PeerOp {
  return { op: "matmul", transposeA, transposeB, scale };
}

/** dA = scale dY Bᵀ and dB = scale Aᵀ dY, stored as the operands are. */
function matmulGradients(
  a: Float64Array,
  b: Float64Array,
  dy: Float64Array,
  sizes: ProductSizes,
): [Float64Array, Float64Array] {
  const { m, n, k, batch = 1, sharedB, transposeA = false, transposeB = false, scale } = sizes;
  const dA = transposeA
    ? eachMatrix(batch, b, sharedB, dy, (bi, dyi) =>
        product(bi, dyi, { m: k, n: m, k: n, transposeA: transposeB, transposeB: true, scale }),
      )
    : eachMatrix(batch, b, sharedB, dy, (bi, dyi) =>
        product(dyi, bi, { m, n: k, k: n, transposeB: !transposeB, scale }),
      );
  const dB = eachMatrix(batch, a, false, dy, (ai, dyi) =>
    transposeB
      ? product(dyi, ai, { m: n, n: k, k: m, transposeA: true, transposeB: transposeA, scale })
      : product(ai, dyi, { m: k, n, k: m, transposeA: !transposeA, scale }),
  );
  return [dA, sharedB ? sumRows(dB, n * k) : dB];
}

/** Runs `work` on each pair of matrices of a batch and joins the results. */
function eachMatrix(
  batch: number,
  x: Float64Array,
  shared: boolean | undefined,
  dy: Float64Array,
  work: (x: Float64Array, dy: Float64Array) => Float64Array,
): Float64Array {
  const piece = (values: Float64Array, i: number) =>
    values.subarray((i * values.length) / batch, ((i + 1) * values.length) / batch);
  const results = Array.from({ length: batch }, (_, i) => work(shared ? x : piece(x, i), piece(dy, i)));
  const size = results[0]!.length;
  const joined = new Float64Array(batch * size);
  results.forEach((result, i) => {
    joined.set(result, i * size);
  });
  return joined;
}

interface LinearSpec {
  m: number;
  n: number;
  k: number;
  /** Dimensions of the input in front of its last; [m] unless told. */
  leading?: number[];
  bias?: boolean;
  gelu?: boolean;
  residual?: boolean;
  dtype?: DType;
  bench?: boolean;
}

function linearCase(spec: LinearSpec): OpCase {
  const { m, n, k, leading = [m], dtype = "f32", bench } = spec;
  const sizes = { m, n, k, transposeB: true };
  const inputs: Input[] = [
    { name: "x", shape: [...leading, k], dtype },
    { name: "weight", shape: [n, k], dtype },
  ];
  const biasAt = spec.bias ? inputs.push({ name: "bias", shape: [n], dtype }) - 1 : -1;
  const residualAt = spec.residual
    ? inputs.push({ name: "residual", shape: [...leading, n], dtype }) - 1
    : -1;
  const epilogue = ["bias", "gelu", "residual"].filter((name) => spec[name as "bias" | "gelu" | "residual"]);
  const preAt = (values: Float64Array[], index: number) =>
    productAt(values[0]!, values[1]!, sizes, index) + (values[biasAt]?.[index % n] ?? 0);
  const at = (values: Float64Array[], index: number) => {
    const pre = preAt(values, index);
    return (spec.gelu ? gelu(pre) : pre) + (values[residualAt]?.[index] ?? 0);
  };
  return {
    name: `linear ${epilogue.join("+") || "plain"} ${leading.join("x")}x${n}x${k} ${dtype}`,
    inputs,
    run: (tensors) =>
      linear(tensors[0]!, tensors[1]!, {
        bias: tensors[biasAt],
        gelu: spec.gelu,
        residual: tensors[residualAt],
      }),
    reference: (values) => Float64Array.from({ length: m * n }, (_, index) => at(values, index)),
    gradients: (values, dy) => {
      const dPre = spec.gelu ? dy.map((d, index) => d * geluSlope(preAt(values, index))) : dy;
      const [dx, dWeight] = matmulGradients(values[0]!, values[1]!, dPre, sizes);
      return [dx, dWeight, ...(spec.bias ? [sumRows(dPre, n)] : []), ...(spec.residual ? [dy] : [])];
    },
    flops: 2 * m * n * k,
    ...(bench
      ? {
          bench: dtype === "f32" ? { peer: { op: "linear", gelu: spec.gelu ?? false } } : {},
          referenceAt: at,
        }
      : {}),
  };
}

const ways = [
  { transposeA: false, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: false },
  { transposeA: true, transposeB: true },
];
const epilogues = [
  {},
  { bias: true },
  { gelu: true },
  { residual: true },
  { bias: true, gelu: true },
  { bias: true, residual: true },
  { bias: true, gelu: true, residual: true },
];

const benchSides = [64, 128, 256, 512, 1024, 2048];
/** Products of BLIP-base's ViT at 384 pixels (577 tokens), of ViT-base at 224 (197), and of emoji-tiny. */
const benchShapes = [
  { m: 577, n: 3072, k: 768 },
  { m: 197, n: 768, k: 768 },
  // Attention's scores, and the gradients of weights: fc1's of BLIP-base and of emoji-tiny.
  { leading: [12], m: 577, n: 577, k: 64, transposeB: true },
  { m: 3072, n: 768, k: 577, transposeA: true },
  { m: 384, n: 96, k: 640, transposeA: true },
];
/** Layers: fc1 and fc2 of BLIP-base, fused QKV and fc1 of emoji-tiny's pictures (128 of 5 tokens). */
const benchLinears = [
  { m: 577, n: 3072, k: 768, gelu: true },
  { m: 577, n: 768, k: 3072 },
  { m: 640, n: 288, k: 96 },
  { m: 640, n: 384, k: 96, gelu: true },
];

export const matmulCases: OpCase[] = [
  ...ways.flatMap((way) => [
    matmulCase("odd", { m: 7, n: 5, k: 9, ...way }),
    matmulCase("quads", { m: 20, n: 12, k: 8, ...way }),
    matmulCase("tiles", { m: 68, n: 100, k: 36, ...way }),
    matmulCase("odd-tiles", { m: 67, n: 45, k: 33, ...way }),
    matmulCase("batch", { leading: [2, 3], m: 12, n: 20, k: 4, ...way }),
    matmulCase("odd-batch", { leading: [3], m: 5, n: 3, k: 7, ...way }),
    matmulCase("scaled", { m: 16, n: 32, k: 24, scale: 0.125, ...way }),
    matmulCase("half", { m: 36, n: 40, k: 20, dtype: "f16", ...way }),
    matmulCase("odd-half", { m: 9, n: 7, k: 5, dtype: "f16", ...way }),
  ]),
  ...[false, true].flatMap((transposeB) => [
    matmulCase("shared-b", { leading: [3], sharedB: true, m: 8, n: 12, k: 16, transposeB }),
    matmulCase("odd-shared-b", { leading: [2, 2], sharedB: true, m: 5, n: 6, k: 3, transposeB }),
    matmulCase("row", { m: 1, n: 64, k: 128, transposeB }),
  ]),
  ...[1, 2, 3, 4, 5].flatMap((k) => [
    matmulCase("short", { m: 8, n: 12, k }),
    matmulCase("short", { m: 8, n: 12, k, transposeA: true }),
  ]),
  matmulCase("element", { m: 1, n: 1, k: 1 }),
  matmulCase("column", { m: 33, n: 1, k: 40 }),
  matmulCase("scaled-batch", { leading: [2], m: 12, n: 12, k: 8, scale: -3, transposeB: true }),
  matmulCase("long", { m: 20, n: 12, k: 1000, transposeB: true }),
  matmulCase("tall", { m: 1088, n: 96, k: 384 }),
  ...benchSides.map((side) => matmulCase("bench", { m: side, n: side, k: side, bench: true })),
  matmulCase("bench", { m: 512, n: 512, k: 512, dtype: "f16", bench: true }),
  ...benchShapes.map((shape) => matmulCase("bench", { ...shape, bench: true })),
  ...epilogues.flatMap((epilogue) => [
    linearCase({ m: 18, n: 24, k: 12, ...epilogue }),
    linearCase({ m: 5, n: 7, k: 11, ...epilogue }),
    linearCase({ m: 6, n: 8, k: 12, dtype: "f16", ...epilogue }),
  ]),
  linearCase({ m: 6, n: 8, k: 20, leading: [2, 3], bias: true, gelu: true }),
  linearCase({ m: 70, n: 72, k: 40, bias: true, gelu: true, residual: true }),
  ...benchLinears.map((spec) => linearCase({ ...spec, bias: true, bench: true })),
];
