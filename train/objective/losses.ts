// Losses over a matrix of similarities between queries and the pictures of a batch. Pictures that are other right
// answers can be left out, so that they are neither answer nor negative.
import { defineKernel, type Tensor, TensorError } from "../../engine/index.ts";
import nanSource from "../../kernels/lib/nan.wgsl?raw";
import { eachRow, rowGroups } from "../../kernels/lib/rows.ts";
import { perElement } from "../../kernels/lib/work.ts";
import { sumLeading } from "../../kernels/reduce/reduce.ts";
import contrastiveSource from "./contrastive.wgsl?raw";
import recallSource from "./recall.wgsl?raw";

const includes = [nanSource, ...eachRow];

export const contrastive = defineKernel({
  name: "contrastive",
  source: contrastiveSource,
  includes,
  bindings: [
    "s: f32",
    "temperature: f32",
    "goal: u32",
    "ignored: u32",
    "dy: f32",
    "+extra: vec2f",
    "+y: f32",
    "+dTemperature: f32",
  ],
  params: { rows: "u32", columns: "u32", hasIgnore: "u32" },
  flops: perElement("s", 6, { BACKWARD: 2 }),
});

export const recall = defineKernel({
  name: "recall-surrogate",
  source: recallSource,
  includes,
  bindings: ["s: f32", "goal: u32", "ignored: u32", "dy: f32", "+extra: f32", "+y: f32"],
  params: { rows: "u32", columns: "u32", hasIgnore: "u32", rankTemperature: "f32", recallTemperature: "f32" },
  flops: perElement("s", 8, { BACKWARD: 3 }),
});

export const lossKernels = [contrastive, recall];

function checkShapes(
  name: string,
  s: Tensor,
  goal: Tensor,
  ignored: Tensor | null,
): { rows: number; columns: number } {
  const [rows, columns] = [s.shape[0]!, s.shape[1]!];
  const fits = s.shape.length === 2 && s.dtype === "f32" && goal.dtype === "u32" && goal.size === rows;
  if (!fits || (ignored && (ignored.size !== s.size || ignored.dtype !== "u32"))) {
    throw new TensorError(
      `${name}: similarities ${s}, targets ${goal} and mask ${ignored ?? "none"} do not fit.`,
    );
  }
  return { rows, columns };
}

/**
 * Contrastive cross-entropy per row (InfoNCE): log sum_j exp(s_j / t) - s_target / t.
 * @param s f32 [rows, columns], similarities
 * @param temperature f32 [1], t; gets a gradient
 * @param goal u32 [rows], the column of each row's target; one that isn't there gives NaN
 * @param ignored u32 [rows, columns], not 0 where a column doesn't count; never the target
 * @returns f32 [rows], the losses; take the mean of them. Throws TensorError where the shapes do not fit.
 */
export function contrastiveLoss(
  s: Tensor,
  temperature: Tensor,
  goal: Tensor,
  ignored: Tensor | null = null,
): Tensor {
  const sizes = checkShapes("contrastiveLoss", s, goal, ignored);
  const { engine } = s;
  const { rows, columns } = sizes;
  const params = { rows, columns, hasIgnore: ignored ? 1 : 0 };
  const logSum = engine.empty([rows, 2]);
  const losses = engine.empty([rows]);
  const unused = engine.empty([1]);
  const run = (dy: Tensor, y: Tensor, dTemperature: Tensor, backward: boolean) =>
    engine.run(contrastive, {
      bind: [s, temperature, goal, ignored ?? goal, dy, logSum, y, dTemperature],
      params,
      grid: rows,
      constants: { BACKWARD: backward, GROUPS: rowGroups(engine, columns) },
    });
  run(s, losses, unused, false);
  return engine.record("contrastiveLoss", losses, [s, temperature], (dy) => {
    const ds = engine.empty(s.shape);
    const parts = engine.empty([rows]);
    run(dy, ds, parts, true);
    return [ds, sumLeading(parts, 1)];
  });
}

export interface RecallOptions {
  /** tau2 of the paper. */
  rankTemperature?: number;
  /** tau1 of the paper. */
  recallTemperature?: number;
}

/**
 * The Recall@K surrogate per row, for K = 1, 2, 4, 8, 16 (Patel et al., arXiv 2108.11179).
 * Arguments and result as for `contrastiveLoss`, without a learnt temperature.
 */
export function recallLoss(
  s: Tensor,
  goal: Tensor,
  ignored: Tensor | null = null,
  options: RecallOptions = {},
): Tensor {
  const { rankTemperature = 0.01, recallTemperature = 1 } = options;
  const { rows, columns } = checkShapes("recallLoss", s, goal, ignored);
  const { engine } = s;
  const params = { rows, columns, hasIgnore: ignored ? 1 : 0, rankTemperature, recallTemperature };
  const ranks = engine.empty([rows]);
  const losses = engine.empty([rows]);
  const run = (dy: Tensor, y: Tensor, backward: boolean) =>
    engine.run(recall, {
      bind: [s, goal, ignored ?? goal, dy, ranks, y],
      params,
      grid: rows,
      constants: { BACKWARD: backward, GROUPS: rowGroups(engine, columns) },
    });
  run(s, losses, false);
  return engine.record("recallLoss", losses, [s], (dy) => {
    const ds = engine.empty(s.shape);
    run(dy, ds, true);
    return [ds];
  });
}
