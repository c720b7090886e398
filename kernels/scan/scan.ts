// Running sums along an axis. It is cut into short parts: their sums come first, then the running sums of those by the same
// way, then each part goes on from what is before it (Blelloch, "Prefix sums and their applications", 1990). Sums of floats are f32.
import type { Tensor } from "../../engine/index.ts";
import { axisOf, type Block, blockOf } from "../lib/axes.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, defineByDtype, isInteger } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { perElement } from "../lib/work.ts";
import partSumsSource from "./part-sums.wgsl?raw";
import partsSource from "./parts.wgsl?raw";
import scanSource from "./scan.wgsl?raw";

/** Entries that one invocation adds up. */
const part = 32;

const params = {
  // Parts of all columns, in items (of WIDTH elements) of the inner extent.
  count: "u32",
  extent: "u32",
  inner: "u32",
  parts: "u32",
} as const;
const includes = [eachSource, partsSource, `const PART = ${part}u;`];
const scanKernel = defineByDtype({
  name: "scan",
  source: scanSource,
  includes,
  bindings: ["x: In", "before: Wide", "+y: Out"],
  params,
  flops: perElement("x", 1),
});
const partSumsKernel = defineByDtype({
  name: "part-sums",
  source: partSumsSource,
  includes,
  bindings: ["x: In", "+y: Wide"],
  params,
  flops: perElement("x", 1),
});

export const scanKernels = kernelsIn(() => [...scanKernel.all, ...partSumsKernel.all]);

export interface CumsumOptions {
  /** Each sum leaves its own entry out, so that the first is 0. */
  exclusive?: boolean;
  /** From the last entry to the first. */
  reverse?: boolean;
}

function scan(x: Tensor, { outer, extent, inner }: Block, options: Required<CumsumOptions>): Tensor {
  const { engine, dtype } = x;
  const parts = Math.ceil(extent / part);
  const items = inner % 4 === 0 ? inner / 4 : inner;
  const count = outer * parts * items;
  const run = { params: { count, extent, inner: items, parts }, grid: blocks(count), dtype };
  const REVERSE = options.reverse;
  let before: Tensor | null = null;
  if (parts > 1) {
    const sums = engine.empty([outer, parts, inner], isInteger(dtype) ? dtype : "f32");
    engine.run(partSumsKernel.of(inner, dtype), { ...run, bind: [x, sums], constants: { REVERSE } });
    // Parts are counted in the order of the sums.
    before = scan(sums, { outer, extent: parts, inner }, { exclusive: true, reverse: false });
    sums.dispose();
  }
  const y = engine.empty(x.shape, dtype);
  engine.run(scanKernel.of(inner, dtype), {
    ...run,
    bind: [x, before ?? x, y],
    constants: { REVERSE, EXCLUSIVE: options.exclusive, HAS_BEFORE: before !== null },
  });
  before?.dispose();
  return y;
}

/** Running sums along `axis`, of the same shape; f32 or f16, or integers modulo 2^32, without a gradient. Throws TensorError on an axis that is not there. */
export function cumsum(x: Tensor, axis: number, options: CumsumOptions = {}): Tensor {
  const view = blockOf(x.shape, axisOf("cumsum", x, axis));
  const { exclusive = false, reverse = false } = options;
  const y = scan(x, view, { exclusive, reverse });
  return x.engine.record("cumsum", y, [x], (dy) => [scan(dy, view, { exclusive, reverse: !reverse })]);
}
