// Scaling rows to length 1, as torch.nn.functional.normalize does.
import { type DType, type Tensor, TensorError } from "../../engine/index.ts";
import { defineByWidth, requireFloat, rowsOf } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import nanSource from "../lib/nan.wgsl?raw";
import { eachRow, heldGroups, heldRows } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import inverseSource from "./inverse.wgsl?raw";
import forwardSource from "./normalize.wgsl?raw";
import backwardSource from "./normalize-backward.wgsl?raw";

const params = {
  rows: "u32",
  /** Items (of WIDTH elements) of a row. */
  length: "u32",
  eps: "f32",
} as const;

/** Both kernels; with `wide`, result and incoming gradient are f32 whatever `x` is. */
/* @__NO_SIDE_EFFECTS__ */
function define(wide: boolean) {
  const [suffix, stored] = wide ? (["-f32", "Wide"] as const) : (["", "Out"] as const);
  const shared = { bundles: true, params };
  const includes = [nanSource, inverseSource, `alias Made = ${stored};`, ...eachRow];
  return {
    forward: defineByWidth({
      ...shared,
      name: `normalize${suffix}`,
      source: forwardSource,
      includes: [...includes, heldRows("Wide")],
      bindings: [
        "x: In",
        "+y: Made",
        // The norm of each row.
        "+norms: f32",
      ],
      flops: perElement("x", 3),
    }),
    backward: defineByWidth({
      ...shared,
      name: `normalize${suffix}-backward`,
      source: backwardSource,
      includes,
      bindings: ["x: In", "norms: f32", "dy: Made", "+dx: Out"],
      flops: perElement("x", 7),
    }),
  };
}
const alike = define(false);
const widening = define(true);

export const normalizeKernels = kernelsIn(() =>
  [alike, widening].flatMap(({ forward, backward }) => [...forward.all, ...backward.all]),
);

/**
 * x / max(|x|, eps) with the Euclidean norm along the last axis; 1e-12 as in PyTorch unless told. f32 or f16, computed
 * in f32, and of f16 a result in f32 where `dtype` says so; a row with a NaN is all NaN. Throws TensorError on a scalar, and for f16 of
 * f32.
 */
export function normalize(x: Tensor, eps = 1e-12, dtype: DType = x.dtype): Tensor {
  requireFloat("normalize", x);
  if (dtype !== x.dtype && dtype !== "f32") throw new TensorError(`normalize: ${x} gives no ${dtype}.`);
  const { rows, length } = rowsOf("normalize", x);
  const { engine } = x;
  const items = length % 4 === 0 ? length / 4 : length;
  const run = {
    params: { rows, length: items, eps },
    grid: rows,
    dtype: x.dtype,
  };
  const { forward, backward } = dtype === x.dtype ? alike : widening;
  const y = engine.empty(x.shape, dtype);
  const norms = engine.empty([rows]);
  const held = heldGroups(engine, items);
  engine.run(forward.of(length), { ...run, bind: [x, y, norms], constants: held });
  return engine.record("normalize", y, [x], (dy) => {
    const dx = engine.empty(x.shape, x.dtype);
    engine.run(backward.of(length), { ...run, bind: [x, norms, dy, dx], constants: { GROUPS: held.GROUPS } });
    return [dx];
  });
}
