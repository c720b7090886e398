// The vision transformer of BLIP: ViT with pre-norm blocks, a class token, learnt positions, biased fused QKV, exact
// GELU and a final norm (Dosovitskiy et al., arXiv 2010.11929; sizes and order from BLIP's visual_encoder).
import type { Tensor } from "../engine/index.ts";
import { selfAttention } from "../kernels/attention/attention.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { feedForward, linear } from "../kernels/matmul/matmul.ts";
import { patchify, prependToken } from "../kernels/patch/patch.ts";
import type { ModelConfig } from "./config.ts";
import { initials } from "./initial.ts";
import { linearSpecs, normSpecs, type ParameterSpec, type Parameters } from "./parameters.ts";
import { type Observer, stage } from "./stage.ts";

const root = "vision_model";

/** Number of tokens that a picture becomes, the class token included. */
export function imageTokens({ imageSize, patchSize }: ModelConfig["vision"]): number {
  return (imageSize / patchSize) ** 2 + 1;
}

/** Parameters of the vision transformer. */
export function vitSpecs(config: ModelConfig): ParameterSpec[] {
  const { width, depth, patchSize, mlpRatio } = config.vision;
  const { embedding, weight, valuesFrom, attentionOutput, feedForwardOutput } = initials(config);
  const embeddings = `${root}.embeddings`;
  const specs: ParameterSpec[] = [
    { name: `${embeddings}.class_embedding`, shape: [width], initial: embedding },
    {
      name: `${embeddings}.position_embedding`,
      shape: [imageTokens(config.vision), width],
      initial: embedding,
    },
    ...linearSpecs(`${embeddings}.patch_embedding`, width, 3 * patchSize ** 2, weight),
  ];
  for (let i = 0; i < depth; i++) {
    const layer = `${root}.encoder.layers.${i}`;
    specs.push(
      ...normSpecs(`${layer}.layer_norm1`, width),
      ...linearSpecs(`${layer}.self_attn.qkv`, 3 * width, width, valuesFrom(2 * width)),
      ...linearSpecs(`${layer}.self_attn.projection`, width, width, attentionOutput),
      ...normSpecs(`${layer}.layer_norm2`, width),
      ...linearSpecs(`${layer}.mlp.fc1`, mlpRatio * width, width, weight),
      ...linearSpecs(`${layer}.mlp.fc2`, width, mlpRatio * width, feedForwardOutput),
    );
  }
  return [...specs, ...normSpecs(`${root}.post_layernorm`, width)];
}

export interface VitOptions {
  /** Backward runs each block once more instead of keeping what it made. */
  checkpointing?: boolean;
  /**
   * Is shown "patches" [pictures, tokens - 1, width], and "embeddings" and "layer 1", "layer 2", ..., each
   * [pictures, tokens, width].
   */
  observe?: Observer;
}

/**
 * Encodes pictures.
 * @param pixels [pictures, 3, size, size], normalised, in the precision of the parameters
 * @returns [pictures, tokens, width], the class token first, after the final norm
 */
export function vit(
  parameters: Parameters,
  config: ModelConfig["vision"],
  pixels: Tensor,
  { checkpointing = false, observe }: VitOptions = {},
): Tensor {
  const p = (name: string) => parameters.get(`${root}.${name}`);
  const norm = (x: Tensor, name: string) =>
    layernorm(x, p(`${name}.weight`), p(`${name}.bias`), { eps: config.layerNormEpsilon });
  const { engine } = pixels;

  let x = stage(
    engine,
    () => {
      const patches = linear(patchify(pixels, config.patchSize), p("embeddings.patch_embedding.weight"), {
        bias: p("embeddings.patch_embedding.bias"),
      });
      observe?.("patches", patches);
      return prependToken(patches, p("embeddings.class_embedding"), p("embeddings.position_embedding"));
    },
    checkpointing,
  );
  observe?.("embeddings", x);
  for (let i = 0; i < config.depth; i++) {
    const layer = `encoder.layers.${i}`;
    const weights = (name: string) => ({
      weight: p(`${layer}.${name}.weight`),
      bias: p(`${layer}.${name}.bias`),
    });
    const dense = (input: Tensor, name: string, options: { residual?: Tensor } = {}) =>
      linear(input, weights(name).weight, { bias: weights(name).bias, ...options });
    const before = x;
    x = stage(
      engine,
      () => {
        const qkv = dense(norm(before, `${layer}.layer_norm1`), "self_attn.qkv");
        const attended = selfAttention(qkv, { heads: config.heads });
        const middle = dense(attended, "self_attn.projection", { residual: before });
        const normed = norm(middle, `${layer}.layer_norm2`);
        return feedForward(normed, weights("mlp.fc1"), weights("mlp.fc2"), { residual: middle });
      },
      checkpointing,
    );
    observe?.(`layer ${i + 1}`, x);
  }
  return stage(engine, () => norm(x, "post_layernorm"), checkpointing);
}
