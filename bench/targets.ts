// What the project wants to reach beside its peers, and what a file of results says of it. They are wants for an adapter
// without a GPU, where peers and ours can be had side by side anywhere.
import { type CaseResult, type Results, ratioCounted } from "./results.ts";

export interface Target<R = Results> {
  name: string;
  goal: string;
  limit: number;
  /** Whether less is better. */
  atMost: boolean;
  /** The measured value that decides, and in which case; null where it was not measured. */
  value(results: R): { at: number; where?: string } | null;
}

type Number = (result: CaseResult) => number | null;
type Choice = (result: CaseResult) => boolean;

/** The case that is worst by `of` among those chosen. */
function worst(choice: Choice, of: Number): Target["value"] {
  return ({ cases }) => {
    const known = cases.filter(choice).flatMap((result) => {
      const at = of(result);
      return at === null ? [] : [{ at, where: result.name }];
    });
    return known.length === 0 ? null : known.reduce((a, b) => (b.at < a.at ? b : a));
  };
}

const time =
  (start: string): Target["value"] =>
  ({ cases }) => {
    const found = cases.find(({ name }) => name.startsWith(start));
    return found ? { at: Math.max(found.ours_ms, found.again?.ours_ms ?? 0) } : null;
  };

/** Products of 512 and more a side, and those of BLIP-base and emoji-tiny. */
const products: Choice = ({ name }) =>
  /^(matmul bench|linear)/.test(name) && !/ (64x64x64|128x128x128|256x256x256) /.test(name);
const least = (name: string, limit: number, value: Target["value"]): Target => ({
  ...{ name, limit, value, goal: `at least ${limit}`, atMost: false },
});
const most = (name: string, limit: number, unit: string, value: Target["value"]): Target => ({
  ...{ name, limit, value, goal: `at most ${limit} ${unit}`, atMost: true },
});

export const targets: readonly Target[] = [
  least("best WebGPU peer / ours, geometric mean", 5.5, ({ geomean_ratio }) =>
    geomean_ratio === null ? null : { at: geomean_ratio },
  ),
  least(
    "best WebGPU peer / ours, worst case",
    2,
    worst(() => true, ratioCounted),
  ),
  least("matmul from 512 up and at the models' shapes, f32 GFLOP/s, worst case", 20, (results) =>
    worst(
      (result) => products(result) && result.name.includes("f32"),
      ({ gflops }) => gflops,
    )(results),
  ),
  least(
    "attention forward and backward, best WebGPU peer / ours, worst case",
    8,
    worst(({ name }) => /Attention.*backward/.test(name), ratioCounted),
  ),
  least(
    "whole training step, better of tfjs and jax-js / ours",
    8,
    worst(({ name }) => name.startsWith("training step of ViT"), ratioCounted),
  ),
  most("host time of a replay, ms a dispatch", 0.01, "ms", time("host time of a replay")),
  most("cold start of emoji-tiny, ms", 8_000, "ms", time("cold start")),
];

export function isMet({ limit, atMost }: Pick<Target, "limit" | "atMost">, at: number): boolean {
  return atMost ? at <= limit : at >= limit;
}
