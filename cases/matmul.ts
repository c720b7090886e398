// Cases of matmul and linear: every transposition, batches, epilogues, and sizes on both sides of what the kernels
// branch on (multiples of 4, tiles of 16 and 32 rows, short and long sums).
import type { DType } from "../engine/index.ts";
import { feedForward, linear, matmul } from "../kernels/matmul/matmul.ts";
import { useMatrixUnits } from "../kernels/matmul/matrix.ts";
import { type Bits, type PackedWeight, unpackNumbers } from "../kernels/matmul/packed.ts";
import { multiply } from "../kernels/matmul/product.ts";
import { runs, type VariantName, variantNames } from "../kernels/matmul/variants.ts";
import { besideItself, type Input, type OpCase, type PeerOp, withMasters } from "./case.ts";
import { gelu, geluSlope, type ProductSizes, product, productAt, sumRows } from "./reference.ts";

interface MatmulSpec extends ProductSizes {
  /** Leading dimensions of the operands. */
  leading?: number[];
  dtype?: DType;
  bench?: boolean;
}

export function matmulCase(label: string, spec: MatmulSpec): OpCase {
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
          bench: sharedB ? {} : { peer: peerMatmul(spec) },
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
  const size = results[0]?.length ?? 0;
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

export function linearCase(spec: LinearSpec): OpCase {
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
          bench: { peer: { op: "linear", gelu: spec.gelu ?? false } },
          referenceAt: at,
        }
      : {}),
  };
}

/** Two linear layers with GELU between them as one op. */
export function feedForwardCase(
  m: number,
  k: number,
  width: number,
  residual: boolean,
  dtype: DType = "f32",
): OpCase {
  const sizes = { m, n: width, k, transposeB: true };
  const back = { m, n: k, k: width, transposeB: true };
  const add = (values: Float64Array, bias: Float64Array) =>
    values.map((value, i) => value + bias[i % bias.length]!);
  const hiddenOf = ([x, w1, b1]: Float64Array[]) => add(product(x!, w1!, sizes), b1!);
  return {
    name: `feedForward${residual ? "+residual" : ""} ${m}x${k}x${width} ${dtype}`,
    inputs: [
      { name: "x", shape: [m, k], dtype },
      { name: "w1", shape: [width, k], dtype },
      { name: "b1", shape: [width], dtype },
      { name: "w2", shape: [k, width], dtype },
      { name: "b2", shape: [k], dtype },
      ...(residual ? [{ name: "residual", shape: [m, k], dtype }] : []),
    ],
    run: ([x, w1, b1, w2, b2, residual]) =>
      feedForward(x!, { weight: w1!, bias: b1! }, { weight: w2!, bias: b2! }, { residual }),
    reference: (values) => {
      const y = add(product(hiddenOf(values).map(gelu), values[3]!, back), values[4]!);
      return y.map((value, i) => value + (values[5]?.[i] ?? 0));
    },
    gradients: (values, dy) => {
      const pre = hiddenOf(values);
      const [dHidden, dW2] = matmulGradients(pre.map(gelu), values[3]!, dy, back);
      const dPre = dHidden.map((d, i) => d * geluSlope(pre[i]!));
      const [dx, dW1] = matmulGradients(values[0]!, values[1]!, dPre, sizes);
      return [dx, dW1, sumRows(dPre, width), dW2, sumRows(dy, k), ...(residual ? [dy] : [])];
    },
    flops: 4 * m * k * width,
  };
}

/** The weight's gradient is a sum beyond what f16 holds, which is none the worse in f32. */
function beyondHalf(opCase: OpCase): OpCase {
  const [x, ...others] = opCase.inputs;
  return { ...opCase, inputs: [{ ...x!, draw: { at: (_, normal) => 2000 * normal } }, ...others] };
}

interface VariantSpec extends ProductSizes {
  variant: VariantName;
  dtype?: DType;
  /** Bias, GELU and residual. */
  epilogue?: boolean;
  /** Add up the rows of op(a) as well. */
  sums?: boolean;
  /** f32 of f16. */
  wide?: boolean;
  /** Which of the results to look at. */
  want?: "y" | "pre" | "sums";
  /** Powers of two that the operands' values lie about. */
  powers?: readonly [number, number];
  /** The sixth row of `a` begins with infinity, which is no other row's. */
  infinite?: boolean;
}

/** One variant by name, also where neither the rule nor the tuner would choose it. */
function variantCase(spec: VariantSpec): OpCase {
  const { variant, m, n, k, batch = 1, transposeA, transposeB, dtype = "f32" } = spec;
  const { epilogue = false, sums = false, want = "y", wide = false } = spec;
  const { powers = [0, 0], infinite } = spec;
  const scale = -0.75 * 2 ** -(powers[0] + powers[1]);
  const sizes = { m, n, k, batch, transposeA, transposeB, scale };
  const way = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
  const labels = [
    powers.some(Boolean) ? ` about 2^${powers.join(" and 2^")}` : "",
    infinite ? " with infinity" : "",
    wide ? " to f32" : "",
  ];
  const about = (power: number, at = -1): Pick<Input, "draw"> =>
    power === 0 && at < 0
      ? {}
      : { draw: { at: (i, normal) => (i === at ? Number.POSITIVE_INFINITY : normal * 2 ** power) } };
  const inputs: Input[] = [
    {
      name: "a",
      shape: [batch, ...(transposeA ? [k, m] : [m, k])],
      dtype,
      ...about(powers[0], infinite ? 5 * k : -1),
    },
    { name: "b", shape: [batch, ...(transposeB ? [n, k] : [k, n])], dtype, ...about(powers[1]) },
  ];
  if (epilogue) {
    inputs.push({ name: "bias", shape: [n], dtype }, { name: "residual", shape: [batch, m, n], dtype });
  }
  return {
    name: `product ${variant} ${want} ${way} ${batch}x${m}x${n}x${k} ${dtype}${labels.join("")}`,
    lacks: (engine) => (runs(engine, variant, dtype) ? null : `no ${variant} here`),
    inputs,
    run: ([a, b, bias, residual], engine) => {
      const shape = [batch, m, n];
      const keep = sums ? "sums" : epilogue ? "pre" : null;
      const { y, kept } = multiply(engine, a!, b!, {
        ...sizes,
        bias,
        residual,
        gelu: epilogue,
        keep,
        shape,
        variant,
        result: wide ? "f32" : dtype,
      });
      return want === "y" ? y : kept!;
    },
    reference: ([a, b, bias, residual]) => {
      if (want === "sums") {
        const at = (row: number, i: number) => a![transposeA ? i * m + row : row * k + i]!;
        const terms = Array.from({ length: k }, (_, i) => i);
        return Float64Array.from({ length: m }, (_, row) => terms.reduce((sum, i) => sum + at(row, i), 0));
      }
      const pre = product(a!, b!, sizes).map((value, i) => value + (bias?.[i % n] ?? 0));
      return epilogue && want === "y" ? pre.map((value, i) => gelu(value) + residual![i]!) : pre;
    },
  };
}

/** Those that need no matrix units. */
const arithmetic = variantNames();
useMatrixUnits();

/**
 * Every variant by every way to store the operands, at sizes beyond its tile; odd sizes, which share what is odd about
 * them, by every way for two variants only, as those pipelines take long to compile.
 */
function variantCases(): OpCase[] {
  return arithmetic.flatMap((name) =>
    ways.flatMap((way) => {
      const dtype = "f32";
      const { transposeA, transposeB } = way;
      const wants: ("y" | "sums")[] = transposeA ? ["y", "sums"] : ["y"];
      const each = (spec: VariantSpec) =>
        wants.map((want) => variantCase({ dtype, ...spec, ...way, want, sums: transposeA }));
      const even = { variant: name, dtype, m: 132, n: 136, k: 44, batch: 2, ...way, epilogue: true } as const;
      const odd = transposeA === transposeB || name === "subgroup-16" || name === "block-32";
      return [
        variantCase({ ...even, want: "y" }),
        variantCase({ ...even, want: "pre" }),
        ...(transposeA === transposeB
          ? [variantCase({ variant: `${name}/split`, dtype, m: 9, n: 12, k: 516, batch: 3, ...way })]
          : []),
        // Parts in f32, the result in f16; the last step of four terms is not whole where none is stored along them.
        ...(transposeB
          ? []
          : each({ variant: `${name}/split`, dtype: "f16", m: 8, n: 12, k: transposeA ? 1030 : 1028 })),
        // Gradients of masters are made in f32.
        ...(transposeA && !transposeB
          ? each({ variant: name, dtype: "f16", m: 36, n: 132, k: 38, wide: true })
          : []),
        ...(odd
          ? [
              ...each({ variant: name, m: 37, n: 131, k: 19 }),
              ...each({ variant: `${name}/split`, m: 19, n: 3, k: 701 }),
            ]
          : []),
      ];
    }),
  );
}

/**
 * Variants on matrix units: the smaller shape by every way to store its operands, the others, whose text differs in little, by
 * some, as a driver without such units in its hardware takes seconds for each pipeline. Sizes are whole units of 16, or none.
 */
function unitCases(): OpCase[] {
  const dtype = "f16" as const;
  const [nn, nt, tn, tt] = ways as [Ways, Ways, Ways, Ways];
  const whole = { dtype, m: 144, n: 160, k: 80, batch: 2, epilogue: true } as const;
  const parts = { dtype, m: 16, n: 48, k: 1040 } as const;
  const odd = { dtype, m: 37, n: 131, k: 19 } as const;
  const both = (spec: VariantSpec, second: "pre" | "sums") =>
    (["y", second] as const).map((want) => variantCase({ ...spec, want, sums: second === "sums" }));
  // Sums of many times what f16 holds, and operands below what is normal there.
  const far = [
    [9, 9],
    [-18, 10],
  ] as const;
  return [
    ...ways.flatMap((way) => both({ variant: "matrix-small", ...whole, ...way }, "pre")),
    variantCase({ variant: "matrix-small/split", ...odd, m: 9, k: 1030, ...nn }),
    variantCase({ variant: "matrix-small/split", dtype, m: 8, n: 16, k: 1032, ...tt }),
    ...both({ variant: "matrix-small", ...odd, ...tn }, "sums"),
    ...both({ variant: "matrix-small/split", ...odd, k: 701, ...tt }, "sums"),
    variantCase({ variant: "matrix-small", ...odd, ...nn }),
    variantCase({ variant: "matrix-small", ...odd, ...nt, infinite: true }),
    ...both({ variant: "matrix", ...whole, ...nt }, "pre"),
    ...both({ variant: "matrix", ...whole, batch: 1, epilogue: false, ...tn, wide: true }, "sums"),
    variantCase({ variant: "matrix", ...odd, ...tt }),
    variantCase({ variant: "matrix/split", ...parts, ...nn }),
    ...[nn, nt, tn].map((way) => variantCase({ variant: "matrix-direct", ...whole, ...way })),
    ...both({ variant: "matrix-direct/split", ...parts, ...tn }, "sums"),
    ...far.map((powers) =>
      variantCase({ variant: "matrix-small", ...whole, ...nn, epilogue: false, powers }),
    ),
    ...far.map((powers) => variantCase({ variant: "matrix-direct", ...whole, ...nt, powers })),
  ];
}

/** A product with a packed weight, by one variant; `split` has its sums in parts of another dtype than its result. */
function packedCase(variant: ReturnType<typeof variantNames>[number], bits: Bits, split: boolean): OpCase {
  const dtype = split || variant === "matrix-small" ? "f16" : "f32";
  const { m, n, k } = split ? { m: 9, n: 12, k: 544 } : { m: 37, n: 136, k: 96 };
  const name: VariantName = split ? `${variant}/split` : variant;
  const sizes = { m, n, k, batch: 1, transposeB: true, scale: -0.75 };
  const inputs: Input[] = [
    { name: "a", shape: [m, k], dtype, grad: false },
    // All bits but those of one number are drawn.
    { name: "words", shape: [(n * k * bits) / 32], dtype: "u32", draw: { below: 2 ** 32 - 1 }, grad: false },
    {
      name: "scales",
      shape: [(n * k) / 32],
      draw: { at: (_, normal) => (2 * normal) / 2 ** bits },
      grad: false,
    },
  ];
  if (!split) inputs.push({ name: "bias", shape: [n], dtype, grad: false });
  return {
    name: `product ${name} int${bits} ${m}x${n}x${k} ${dtype}`,
    lacks: (engine) => (runs(engine, name, dtype) ? null : `no ${name} here`),
    inputs,
    run: ([a, words, scales, bias], engine) => {
      const packed: PackedWeight = { bits, shape: [n, k], words: words!, scales: scales! };
      return multiply(engine, a!, packed, { ...sizes, bias, gelu: !split, shape: [m, n], variant: name }).y;
    },
    reference: ([a, words, scales, bias]) => {
      const y = product(a!, Float64Array.from(unpackNumbers(words!, scales!, bits)), sizes);
      return bias ? y.map((value, i) => gelu(value + bias[i % n]!)) : y;
    },
  };
}

const packedCases = (
  ["subgroup-4", "subgroup-16", "subgroup-32", "block-64", "matrix-small"] as const
).flatMap((variant) =>
  ([8, 4] as const).flatMap((bits) => [false, true].map((split) => packedCase(variant, bits, split))),
);

type Ways = Pick<ProductSizes, "transposeA" | "transposeB">;
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
  ...variantCases(),
  ...unitCases(),
  ...packedCases,
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
  // More matrices than a grid has workgroups on one side.
  matmulCase("many", { leading: [65537], m: 1, n: 2, k: 3 }),
  // Sums of nothing, and results without elements.
  ...[{}, { transposeA: true, transposeB: true }].flatMap((way) => [
    matmulCase("empty", { m: 2, n: 3, k: 0, ...way }),
    matmulCase("empty", { m: 0, n: 3, k: 4, ...way }),
    matmulCase("empty", { leading: [2], m: 4, n: 0, k: 8, ...way }),
    matmulCase("empty", { leading: [0], m: 4, n: 2, k: 3, ...way }),
  ]),
  linearCase({ m: 0, n: 3, k: 4, bias: true }),
  linearCase({ m: 3, n: 4, k: 0, bias: true, gelu: true, residual: true }),
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
  feedForwardCase(18, 12, 24, true),
  feedForwardCase(7, 5, 9, false),
  feedForwardCase(70, 40, 100, true),
  feedForwardCase(6, 8, 12, true, "f16"),
  besideItself(feedForwardCase(9, 12, 20, false)),
  besideItself(feedForwardCase(11, 12, 16, false), ([x, w1, b1, w2, b2]) =>
    feedForward(x!, { weight: w1!, bias: b1! }, { weight: w2!, bias: b2! }, { residual: x }),
  ),
  besideItself(linearCase({ m: 9, n: 12, k: 12, bias: true })),
  besideItself(linearCase({ m: 7, n: 5, k: 5, bias: true, dtype: "f16" })),
  linearCase({ m: 70, n: 72, k: 40, bias: true, gelu: true, residual: true }),
  withMasters(matmulCase("half", { m: 12, n: 20, k: 8, transposeA: true, dtype: "f16" }), "a", "b"),
  withMasters(
    matmulCase("shared", { leading: [3], m: 7, n: 12, k: 9, sharedB: true, transposeA: true, dtype: "f16" }),
    "b",
  ),
  withMasters(linearCase({ m: 38, n: 24, k: 12, bias: true, dtype: "f16" }), "weight", "bias"),
  withMasters(linearCase({ m: 5, n: 7, k: 11, bias: true, gelu: true, dtype: "f16" }), "weight", "bias"),
  // One without the other, whose gradients then are not made together.
  withMasters(linearCase({ m: 9, n: 12, k: 8, bias: true, dtype: "f16" }), "weight"),
  withMasters(linearCase({ m: 9, n: 12, k: 20, bias: true, dtype: "f16" }), "bias"),
  withMasters(feedForwardCase(14, 8, 12, true, "f16"), "w1", "b1", "w2", "b2"),
  beyondHalf(withMasters(linearCase({ m: 600, n: 8, k: 8, bias: true, dtype: "f16" }), "weight", "bias")),
  ...benchLinears.map((spec) => linearCase({ ...spec, bias: true, bench: true })),
];
