// How the cost of a whole training step of a ViT grows with batch, tokens, width and depth, one at a time.
import { z } from "zod";
import type { OurSide } from "./ours.ts";
import type { VisionSizes } from "./steps.ts";

/** The sizes around which one is varied; a patch of 4 pixels is a token. */
const base = { batch: 4, side: 8, width: 64, depth: 2 };
const patchSize = 4;
const headSize = 32;

type Sizes = typeof base;

/** What is varied: its values, and the sizes of a point. */
const axes: Record<string, { points: { value: number; sizes: Partial<Sizes> }[] }> = {
  batch: { points: [1, 2, 4, 8, 16, 32, 64, 128, 256].map((batch) => ({ value: batch, sizes: { batch } })) },
  // Pictures of n x n patches and the class token, 17 to 1,025.
  tokens: {
    points: [4, 6, 8, 12, 16, 24, 32].map((side) => ({ value: side * side + 1, sizes: { side, batch: 1 } })),
  },
  width: { points: [64, 128, 256, 512, 1024].map((width) => ({ value: width, sizes: { width, batch: 1 } })) },
  depth: { points: [1, 2, 4, 8, 16].map((depth) => ({ value: depth, sizes: { depth } })) },
};

/** What the operations of a step should cost along an axis, up to a factor. */
export function expected(axis: string, value: number): number {
  // Products of width x width for each token, and attention for each pair of tokens.
  if (axis === "tokens") return value * (12 * base.width) + 2 * value * value;
  return axis === "width" ? value * value : value;
}

const pointSchema = z.strictObject({
  value: z.number().positive(),
  milliseconds: z.number().positive(),
  /** Bytes: parameters, gradients, moments and data; arenas of the step; the same without planning. */
  kept: z.number().positive(),
  planned: z.number().positive(),
  naive: z.number().positive(),
});

export const growthSchema = z.strictObject({
  adapter: z.string(),
  axes: z.record(z.string(), z.array(pointSchema)),
});

export type Growth = z.infer<typeof growthSchema>;

export async function measureGrowth(
  adapter: string,
  ours: OurSide,
  message: (text: string) => void,
): Promise<Growth> {
  const growth: Growth = { adapter, axes: {} };
  for (const [axis, { points }] of Object.entries(axes)) {
    growth.axes[axis] = [];
    for (const { value, sizes } of points) {
      const { batch, side, width, depth } = { ...base, ...sizes };
      const vision: VisionSizes = {
        ...{ imageSize: side * patchSize, patchSize, width, depth, heads: width / headSize },
      };
      const cost = await ours.cost(vision, batch);
      growth.axes[axis].push({ value, ...cost });
      message(
        `  ${axis} ${value}: ${cost.milliseconds.toPrecision(3)} ms, ${(cost.kept / 1e6).toFixed(1)} + ${(cost.planned / 1e6).toFixed(1)} MB planned, ${(cost.naive / 1e6).toFixed(1)} MB naive`,
      );
    }
  }
  return growth;
}
