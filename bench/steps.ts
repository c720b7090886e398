// What engines need to know to build the same training steps: sizes, fresh parameters, data, and the optimiser.
// A step is forward, mean squared error against a fixed target, backward, clipping by the global norm, AdamW.
import { normal } from "../engine/index.ts";
import { type ModelConfig, modelSchema } from "../model/config.ts";
import { initialValues } from "../model/parameters.ts";
import { imageTokens, vitSpecs } from "../model/vit.ts";

export const adamw = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.05,
  maxNorm: 1,
};

/** Steps whose losses and norms engines compare before they are timed. */
export const comparedSteps = 3;

export type VisionSizes = Partial<ModelConfig["vision"]>;

/** ViT-Tiny of 12 blocks on one picture of 224 pixels: 197 tokens of width 192, in 3 heads. */
export const benchVit: VisionSizes = { imageSize: 224, patchSize: 16, width: 192, depth: 12, heads: 3 };

export function vitConfig(vision: VisionSizes): ModelConfig {
  return modelSchema.parse({ vision });
}

/** Fresh parameters; weight decay is for matrices. */
export function vitParameters(config: ModelConfig) {
  return vitSpecs(config).map((spec) => ({
    name: spec.name.replace("vision_model.", ""),
    shape: [...spec.shape],
    values: initialValues(spec, 1),
    decays: spec.shape.length > 1,
  }));
}

/** Numbers that are drawn before they come again: a prime, so that they fall in step with no row. */
export const period = 65_537;

/** Normally distributed numbers, other ones for each stream. */
export function numbers(size: number, stream: number): Float32Array<ArrayBuffer> {
  return repeated(
    Float32Array.from({ length: Math.min(size, period) }, (_, i) => normal({ key: 2, stream }, i)),
    size,
  );
}

/** `size` numbers: `drawn` over and over. */
export function repeated(drawn: ArrayLike<number>, size: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size);
  values.set(drawn.length > size ? Array.from(drawn).slice(0, size) : drawn);
  // What is there already doubles.
  for (let at = drawn.length; at < size; at *= 2) values.copyWithin(at, 0, at);
  return values;
}

/** Pictures f32 [batch, 3, size, size] and the target of the result f32 [batch, tokens, width]. */
export function vitData({ vision }: ModelConfig, batch = 1) {
  const pixels = [batch, 3, vision.imageSize, vision.imageSize];
  const target = [batch, imageTokens(vision), vision.width];
  const fill = (shape: number[], stream: number) => ({
    shape,
    values: numbers(
      shape.reduce((a, b) => a * b),
      stream,
    ),
  });
  return { pixels: fill(pixels, 0), target: fill(target, 1) };
}

/** Operations of the products of a step: forward, and twice as many backward. */
export function vitFlops({ vision }: ModelConfig, batch = 1): number {
  const { width, depth, mlpRatio, patchSize } = vision;
  const tokens = imageTokens(vision);
  const block = 2 * tokens * width * width * (4 + 2 * mlpRatio) + 4 * tokens * tokens * width;
  return 3 * batch * (depth * block + 2 * (tokens - 1) * width * 3 * patchSize ** 2);
}
