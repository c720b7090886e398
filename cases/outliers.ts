// Inputs that naive kernels get wrong, often finite and wrong: magnitudes near 800 beside 0.01 (squares and exponentials
// leave f16, exp(800) leaves f32), rows of one large value, ties, zeros of both signs, denormals (which WGSL may take for
// zeros: beside ordinary numbers, so that either is right), and -infinity where an op allows it. Each is a case of the
// ordinary table on other inputs; formulas of gradients are held to central differences there.
import type { DType } from "../engine/index.ts";
import { binaryCase } from "./arithmetic.ts";
import { attentionCase } from "./attention.ts";
import type { Draw, OpCase } from "./case.ts";
import { castCase } from "./cast.ts";
import { contrastiveCase } from "./contrastive.ts";
import { layernormCase } from "./layernorm.ts";
import { linearCase, matmulCase } from "./matmul.ts";
import { normalizeCase } from "./normalize.ts";
import { reduceCase } from "./reduce.ts";
import { softmaxCase } from "./softmax.ts";
import { topkCase } from "./topk.ts";
import { unaryCase } from "./unary.ts";

type Values = (index: number, drawn: number) => number;

/** A small number of 0.01 to some hundredths, never nearer to zero. */
const small: Values = (_, drawn) => Math.sign(drawn) * (0.01 + Math.abs(drawn) / 100);
const signed = (size: number, drawn: number) => (drawn < 0 ? -size : size);

/** Each seventh number near 800, the others near 0.01. */
const wide: Values = (i, drawn) => (i % 7 === 3 ? signed(800 - 8 * Math.abs(drawn), drawn) : small(i, drawn));
/** One number of 800 in every row of `length`, at another place in each. */
const oneLarge =
  (length: number): Values =>
  (i, drawn) =>
    i % length === (Math.floor(i / length) * 5) % length ? 800 : drawn;
/** Rows of `length` equal numbers. */
const ties =
  (length: number): Values =>
  (i) =>
    [-1.5, 0.25, 3][Math.floor(i / length) % 3]!;
const zeros: Values = (i, drawn) => (i % 4 === 0 ? drawn : i % 2 === 0 ? 0 : -0);
/** Denormals of f16, or of f32, between ordinary numbers. */
const denormals =
  (dtype: DType): Values =>
  (i, drawn) =>
    i % 3 === 0 ? drawn : drawn * (dtype === "f16" ? 2 ** -19 : 2 ** -130);
/** -infinity at some places, also the first of a row, never all of it. */
const infinities =
  (length: number): Values =>
  (i, drawn) =>
    i % length !== length - 1 && (i % length < 9 || i % 3 === 0) ? Number.NEGATIVE_INFINITY : drawn;

/** A case on other values of its inputs, by their place. */
function outlier(label: string, opCase: OpCase, values: Record<number, Values>): OpCase {
  return {
    ...opCase,
    name: `${label}, ${opCase.name}`,
    inputs: opCase.inputs.map((input, i) =>
      values[i] ? { ...input, draw: { at: values[i] } satisfies Draw } : input,
    ),
    differences: false,
  };
}

const positive =
  (values: Values): Values =>
  (i, drawn) =>
    Math.abs(values(i, drawn));
const negative =
  (values: Values): Values =>
  (i, drawn) =>
    -Math.abs(values(i, drawn));
/** Beyond these f16 has no results for squares and exponentials, forward or backward. */
const within =
  (values: Values, size: number): Values =>
  (i, drawn) =>
    Math.min(size, Math.max(-size, values(i, drawn)));

/** Where the functions of one number are given other than numbers of both signs to 800. */
const domains: Record<string, (values: Values, dtype: DType) => Values> = {
  exp: negative,
  expm1: negative,
  log: positive,
  log1p: positive,
  sqrt: positive,
  rsqrt: positive,
  reciprocal: (values) => values,
  square: (values, dtype) => (dtype === "f16" ? within(values, 200) : values),
};
const functions = [
  ...["exp", "log", "sqrt", "neg", "sigmoid", "tanh", "relu", "gelu", "square", "reciprocal", "scale"],
  ...["addScalar", "expm1", "log1p", "rsqrt", "abs", "sign", "floor", "sin", "cos", "erf", "silu"],
  ...["softplus", "leakyRelu", "elu", "clamp", "minimum with 0.5", "maximum with -0.5"],
];
/** Those that are large near zero, or of which a denormal has another value or slope than the zero it may be taken for. */
const unlikeZero = new Set([
  ...["log", "sqrt", "reciprocal", "rsqrt", "relu", "leakyRelu", "elu", "abs", "sign", "floor"],
]);

/** Rows for row kernels: aligned to vec4s, and not. */
const lengths = [37, 64];

function rowCases(dtype: DType): OpCase[] {
  return lengths.flatMap((length) => {
    const shape = [9, length];
    const softmaxes = [false, true].flatMap((log) => {
      const opCase = softmaxCase(shape, log, dtype);
      return [
        // Its gradient is what is left of weights that were rounded to f16 and nearly cancel.
        { ...outlier("wide", opCase, { 0: wide }), ...(dtype === "f16" && { tolerance: 1e-2 }) },
        outlier("one large", opCase, { 0: oneLarge(length) }),
        outlier("ties", opCase, { 0: ties(length) }),
        outlier("zeros", opCase, { 0: zeros }),
        outlier("denormals", opCase, { 0: denormals(dtype) }),
      ];
    });
    const layernorm = layernormCase({ shape, dtype });
    const added = layernormCase({ shape, dtype, residual: true });
    const normalize = normalizeCase(shape, dtype);
    return [
      ...softmaxes,
      // log-softmax is -infinity there itself.
      outlier("-infinity", softmaxCase(shape, false, dtype), { 0: infinities(length) }),
      outlier("wide", layernorm, { 0: wide }),
      outlier("one large", layernorm, { 0: oneLarge(length) }),
      outlier("ties", layernorm, { 0: ties(length) }),
      outlier("denormals", layernorm, { 0: denormals(dtype) }),
      outlier("wide", added, { 0: wide, 3: wide }),
      outlier("wide", normalize, { 0: wide }),
      outlier("one large", normalize, { 0: oneLarge(length) }),
      outlier("zeros", normalize, { 0: zeros }),
      outlier("denormals", normalize, { 0: denormals(dtype) }),
    ];
  });
}

function attentionCases(dtype: DType): OpCase[] {
  const [heads, headSize] = [2, 32];
  const width = heads * headSize;
  /** Columns q | k | v: a large number in every query and wide values, beside small keys. */
  const wideColumns: Values = (i, drawn) => {
    const column = i % (3 * width);
    if (column < width) return column % headSize === 3 ? 800 : drawn;
    if (column < 2 * width) return small(i, drawn);
    // Gradients of keys are products of values and queries, and f16 ends at 65504.
    return dtype === "f16" ? within(wide, 60)(i, drawn) : wide(i, drawn);
  };
  /** Queries that are zeros of both signs: every key has the same weight. */
  const tiedColumns: Values = (i, drawn) => (i % (3 * width) < width ? (drawn < 0 ? -0 : 0) : drawn);
  const self = attentionCase("outliers", { batch: 2, heads, queries: 21, headSize, dtype });
  const masked = attentionCase("outliers masked", {
    ...{ batch: 3, heads, queries: 12, headSize, dtype },
    attends: (b, j) => j < 2 + 4 * b,
  });
  return [
    outlier("wide", self, { 0: wideColumns }),
    outlier("wide", masked, { 0: wideColumns }),
    outlier("ties", self, { 0: tiedColumns }),
    outlier("denormals", self, { 0: denormals(dtype) }),
  ];
}

function elementwiseCases(dtype: DType): OpCase[] {
  const shape = [9, 40];
  return [
    ...functions.flatMap((op) => {
      const opCase = unaryCase(op, shape, dtype);
      const domain = domains[op] ?? ((values: Values) => values);
      const cases = [outlier("wide", opCase, { 0: domain(wide, dtype) })];
      if (!unlikeZero.has(op))
        cases.push(outlier("denormals", opCase, { 0: domain(denormals(dtype), dtype) }));
      return cases;
    }),
    ...["add", "sub", "mul", "minimum", "maximum", "atan2", "less", "equal"].map((op) =>
      outlier("wide", binaryCase(op, shape, [40], dtype), { 0: wide }),
    ),
    outlier("wide", binaryCase("div", shape, shape, dtype), {
      0: within(wide, dtype === "f16" ? 100 : 800),
    }),
    outlier("denormals", binaryCase("add", shape, shape, dtype), { 0: denormals(dtype) }),
    outlier("denormals", binaryCase("mul", shape, shape, dtype), { 0: denormals(dtype) }),
  ];
}

function sumCases(dtype: DType): OpCase[] {
  const products = [
    matmulCase("outliers", { m: 36, n: 40, k: 20, dtype }),
    matmulCase("outliers", { m: 9, n: 7, k: 5, dtype, transposeB: true }),
    linearCase({ m: 11, n: 24, k: 12, bias: true, gelu: true, residual: true, dtype }),
  ];
  return [
    ...products.flatMap((opCase) => [
      outlier("wide", opCase, { 0: wide }),
      outlier("denormals", opCase, { 0: denormals(dtype) }),
    ]),
    ...(["sum", "mean"] as const).flatMap((op) => [
      outlier("wide", reduceCase(op, [9, 37], 1, dtype), { 0: wide }),
      outlier("wide", reduceCase(op, [33, 12], 0, dtype), { 0: wide }),
      outlier("denormals", reduceCase(op, [9, 37], 1, dtype), { 0: denormals(dtype) }),
    ]),
  ];
}

const dtypes: DType[] = ["f32", "f16"];

export const outlierCases: OpCase[] = [
  ...dtypes.flatMap((dtype) => [
    ...rowCases(dtype),
    ...attentionCases(dtype),
    ...elementwiseCases(dtype),
    ...sumCases(dtype),
    outlier("-infinity", topkCase({ rows: 3, n: 40, k: 40, dtype }), { 0: infinities(40) }),
    outlier("wide", topkCase({ rows: 3, n: 300, k: 20, dtype }), { 0: wide }),
  ]),
  ...lengths.map((length) =>
    outlier("-infinity", reduceCase("max", [9, length], 1), { 0: infinities(length) }),
  ),
  outlier("wide", reduceCase("max", [9, 37], 1), { 0: wide }),
  outlier("wide", castCase([9, 37], "f32", "f16"), { 0: wide }),
  outlier("denormals", castCase([9, 37], "f32", "f16"), { 0: denormals("f16") }),
  outlier("denormals", castCase([9, 37], "f16", "f32"), { 0: denormals("f16") }),
  outlier("wide", contrastiveCase({ rows: 7, columns: 13, masked: true }), { 0: wide }),
];
