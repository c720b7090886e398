// The words of the attention kernels on matrix units that go by a number of units, and which heads they can take.
import type { Backend } from "../../engine/index.ts";
import { chain, load, multiply, restore, scale, store } from "../tiles/text.ts";
import { type MatrixShape, matrixUnits } from "../tiles/units.ts";
import joinedSource from "./joined.wgsl?raw";

/** How the kernels cover a head. */
export interface Units {
  shape: MatrixShape;
  headSize: number;
  /** Tokens that pass by at once. */
  block: number;
}

/** Bytes of workgroup memory for what passes, or the workgroup's own rows. */
export const tileBytes = ({ shape: { M }, headSize, block }: Units) =>
  2 * Math.max(4 * M, 2 * block) * (headSize + 8);

/** Those, two sets of scores in f32 and of weights in f16, and what a block of queries has besides. */
function allBytes(units: Units): number {
  const { shape, block } = units;
  const rows = 2 * 4 * shape.M;
  return tileBytes(units) + 4 * rows * (block + 4) + 2 * rows * (block + 8) + 8 * block + 16;
}

/**
 * How an adapter's units cover heads of a size, null where they can't: heads are whole units of up to 128, a row of scores belongs to
 * 1, 2 or 4 invocations, and a workgroup has the memory.
 */
export function attentionUnits(engine: Backend, headSize: number): Units | null {
  const shape = matrixUnits(engine);
  if (!shape || headSize > 128) return null;
  const { device, lanes } = engine;
  const { M, N, K } = shape;
  const { limits } = device;
  const invocations = 4 * lanes.count;
  const split = lanes.count / M;
  const fits =
    headSize % N === 0 &&
    headSize % K === 0 &&
    [1, 2, 4].includes(split) &&
    limits.maxComputeInvocationsPerWorkgroup >= invocations &&
    limits.maxComputeWorkgroupSizeX >= invocations;
  const room = (units: Units) => allBytes(units) <= limits.maxComputeWorkgroupStorageSize;
  // Two units of tokens, or one where memory is small; each invocation has whole pairs of them.
  const blocks = [2 * N, N].filter((block) => fits && block % K === 0 && block % (2 * split) === 0);
  return blocks.map((block) => ({ shape, headSize, block })).find(room) ?? null;
}

/** WGSL of loads, products and stores of a head; with `scaling`, of scaling rows. */
/* @__NO_SIDE_EFFECTS__ */
export function attentionWords({ shape: { N, K }, headSize, block }: Units, scaling: boolean): string {
  const scores = { memory: { array: "&scores", per: 1 }, stride: "SCORE_LINE" };
  const [wide, columns] = [headSize / N, block / N];
  // Results pass through the place of a row's scores, as many units at a time.
  const parts = Array.from({ length: Math.ceil(wide / columns) }, (_, i) => {
    const first = i * columns;
    return { i, first, count: Math.min(columns, wide - first), element: `${i}u * BLOCK` };
  });
  const moves = parts.flatMap(({ i, first, count }) => [
    store(`storeOuts${i}`, wide, first, count, scores),
    restore(`loadOuts${i}`, wide, first, count, scores),
  ]);
  const steps = (lines: (part: (typeof parts)[number]) => string[]) =>
    parts.flatMap((part) => lines(part).map((line) => `  ${line};`)).join("\n");
  const width = ({ count }: (typeof parts)[number]) => `${count}u * MATRIX_N`;
  return [
    load("ownOf", "Left", headSize / K, (i) => `at + ${i}u * MATRIX_K`, {
      columns: false,
      stride: "LINE",
    }),
    load("weightsOf", "Left", block / K, (i) => `at + ${i}u * MATRIX_K`, {
      memory: { array: "&weightWords", per: 2 },
      columns: false,
      stride: "WEIGHT_LINE",
    }),
    // Tokens are columns of scores, and rows of what weights are multiplied with.
    load("acrossOf", "Right", columns, (j) => `at + ${j}u * MATRIX_N * LINE`, {
      columns: true,
      stride: "LINE",
    }),
    load("alongOf", "Right", wide, (j) => `at + ${j}u * MATRIX_N`, { columns: false, stride: "LINE" }),
    multiply("multiplyAcross", 1, columns),
    multiply("multiplyAlong", 1, wide),
    chain("across", {
      sums: "Scores",
      terms: headSize / K,
      product: "multiplyAcross",
      loads: (i) => `acrossOf(at + ${i}u * MATRIX_K, 0u)`,
    }),
    chain("along", {
      sums: "Outs",
      terms: block / K,
      product: "multiplyAlong",
      loads: (i) => `alongOf(at + ${i}u * MATRIX_K * LINE, 0u)`,
    }),
    store("storeScores", columns, 0, columns, scores),
    scale("scaleOuts", wide),
    // All of a subgroup call it, as they do joinedLargest of units.wgsl.
    `@diagnostic(off, subgroup_uniformity)\n${joinedSource}`,
    ...moves,
    `// Stores all columns of the rows, times a factor, from quad \`at\` on.
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn finish(sums: ptr<function, Outs>, at: u32, factor: f32, there: bool) {
${steps((part) => [
  `storeOuts${part.i}(sums, me.scores)`,
  "workgroupBarrier()",
  `emitRow(at + ${part.element} / 4u, ${width(part)}, factor, there)`,
  "workgroupBarrier()",
])}
}`,
    ...(scaling
      ? [
          `// Scales rows, each by its own factor.
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn scaleRows(sums: ptr<function, Outs>, factor: f32) {
${steps((part) => [
  `storeOuts${part.i}(sums, me.scores)`,
  "workgroupBarrier()",
  `scaleRow(${width(part)}, factor)`,
  "workgroupBarrier()",
  `loadOuts${part.i}(sums, me.scores)`,
  "workgroupBarrier()",
])}
}`,
        ]
      : []),
  ].join("\n");
}
