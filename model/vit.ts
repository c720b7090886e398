// The vision transformer of BLIP: ViT with pre-norm blocks, a class token, learnt positions, biased fused QKV, exact
// GELU and a final norm (Dosovitskiy et al., arXiv 2010.11929; sizes and order from BLIP's visual_encoder). What other
// ViTs have besides or instead is a field of the configuration: registers, no class token, a norm in front of the blocks,
// norms of queries and keys, other activations, other ways to pool.
import type { Tensor } from "../engine/index.ts";
import { crossAttention, selfAttention } from "../kernels/attention/attention.ts";
import { addPositions, embedding } from "../kernels/embedding/embedding.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { patchify, prependToken } from "../kernels/patch/patch.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { reshape } from "../kernels/shape/reshape.ts";
import { concat, slice } from "../kernels/shape/slice.ts";
import type { ModelConfig } from "./config.ts";
import { activatedFeedForward } from "./feed-forward.ts";
import { initials } from "./initial.ts";
import { linearSpecs, normSpecs, type ParameterSpec, type Parameters } from "./parameters.ts";
import { type Observer, stage } from "./stage.ts";

type VisionConfig = ModelConfig["vision"];

const root = "vision_model";

/** Number of tokens that stand for no patch; they are the first. */
export function prefixTokens({
  classToken,
  registers,
}: Pick<VisionConfig, "classToken" | "registers">): number {
  return Number(classToken) + registers;
}

/** Number of tokens that a picture becomes, the class token and registers included. */
export function imageTokens(config: VisionConfig): number {
  return (config.imageSize / config.patchSize) ** 2 + prefixTokens(config);
}

/** Hidden width of the vision transformer's MLP. */
export function mlpWidth({ mlpRatio, width }: ModelConfig["vision"]): number {
  return Math.round(mlpRatio * width);
}

/** Parameters of the vision transformer. */
export function vitSpecs(config: ModelConfig): ParameterSpec[] {
  const { width, depth, heads, patchSize, classToken, registers, preNorm, queryKeyNorm, pooling } =
    config.vision;
  const inner = mlpWidth(config.vision);
  const { embedding, weight, valuesFrom, attentionOutput, feedForwardOutput } = initials(config);
  const embeddings = `${root}.embeddings`;
  const specs: ParameterSpec[] = [
    ...(classToken ? [{ name: `${embeddings}.class_embedding`, shape: [width], initial: embedding }] : []),
    ...(registers > 0
      ? [{ name: `${embeddings}.register_embedding`, shape: [registers, width], initial: embedding }]
      : []),
    {
      name: `${embeddings}.position_embedding`,
      shape: [imageTokens(config.vision), width],
      initial: embedding,
    },
    ...linearSpecs(`${embeddings}.patch_embedding`, width, 3 * patchSize ** 2, weight),
    ...(preNorm ? normSpecs(`${root}.pre_layernorm`, width) : []),
  ];
  const mlp = (name: string) => [
    ...linearSpecs(`${name}.mlp.fc1`, inner, width, weight),
    ...linearSpecs(`${name}.mlp.fc2`, width, inner, feedForwardOutput),
  ];
  for (let i = 0; i < depth; i++) {
    const layer = `${root}.encoder.layers.${i}`;
    specs.push(
      ...normSpecs(`${layer}.layer_norm1`, width),
      ...linearSpecs(`${layer}.self_attn.qkv`, 3 * width, width, valuesFrom(2 * width)),
      ...(queryKeyNorm
        ? ["query_norm", "key_norm"].flatMap((name) => normSpecs(`${layer}.self_attn.${name}`, width / heads))
        : []),
      ...linearSpecs(`${layer}.self_attn.projection`, width, width, attentionOutput),
      ...normSpecs(`${layer}.layer_norm2`, width),
      ...mlp(layer),
    );
  }
  specs.push(...normSpecs(`${root}.post_layernorm`, width));
  if (pooling === "attention") {
    const head = `${root}.head`;
    specs.push(
      { name: `${head}.probe`, shape: [1, width], initial: embedding },
      // Read in parts: the query's, and those of keys and values.
      ...linearSpecs(`${head}.attention.qkv`, 3 * width, width, valuesFrom(2 * width)).map((spec) => ({
        ...spec,
        linear: false,
      })),
      ...linearSpecs(`${head}.attention.projection`, width, width, attentionOutput),
      ...normSpecs(`${head}.layer_norm`, width),
      ...mlp(head),
    );
  }
  return specs;
}

export interface VitOptions {
  /** Backward runs each block once more instead of keeping what it made. */
  checkpointing?: boolean;
  /**
   * Is shown "patches" [pictures, patches, width], and "embeddings" and "layer 1", "layer 2", ..., each
   * [pictures, tokens, width].
   */
  observe?: Observer;
}

/** The layers of a vision transformer by name. */
function layersOf(parameters: Parameters, config: VisionConfig) {
  const p = (name: string) => parameters.get(`${root}.${name}`);
  const weights = (name: string) => parameters.layer(`${root}.${name}`);
  return {
    p,
    weights,
    norm: (x: Tensor, name: string) =>
      layernorm(x, p(`${name}.weight`), p(`${name}.bias`), { eps: config.layerNormEpsilon }),
    dense: (input: Tensor, name: string, options: { residual?: Tensor } = {}) =>
      linear(input, weights(name).weight, { bias: weights(name).bias, ...options }),
    mlp: (normed: Tensor, name: string, residual: Tensor) =>
      activatedFeedForward(
        config.activation,
        normed,
        weights(`${name}.mlp.fc1`),
        weights(`${name}.mlp.fc2`),
        {
          residual,
        },
      ),
  };
}

/**
 * Encodes pictures.
 * @param pixels [pictures, 3, size, size], or as `patchify` makes patches of that, normalised, in the precision of the
 *   parameters
 * @returns [pictures, tokens, width], the class token first and registers behind it, after the final norm where that is
 *   of all tokens
 */
export function vit(
  parameters: Parameters,
  config: VisionConfig,
  pixels: Tensor,
  { checkpointing = false, observe }: VitOptions = {},
): Tensor {
  const { p, norm, dense, mlp } = layersOf(parameters, config);
  const { engine } = pixels;
  const { width, heads, classToken, registers } = config;

  /** The tokens that stand for no patch: the class token, the registers, or both. */
  const prefix = () => {
    if (registers === 0) return p("embeddings.class_embedding");
    const own = p("embeddings.register_embedding");
    return classToken ? concat([reshape(p("embeddings.class_embedding"), [1, width]), own]) : own;
  };
  /** Attention with queries and keys that are normalised by head. */
  const normedAttention = (qkv: Tensor, layer: string) => {
    const [pictures, tokens] = qkv.shape as [number, number, number];
    const apart = reshape(qkv, [pictures * tokens, 3, width]);
    const byHead = (part: number, name: string) =>
      norm(reshape(slice(apart, [null, part]), [-1, width / heads]), `${layer}.self_attn.${name}`);
    const key = reshape(byHead(1, "key_norm"), [pictures * tokens, 1, width]);
    const keyValue = concat([key, slice(apart, [null, [2]])], 1);
    return crossAttention(
      reshape(byHead(0, "query_norm"), [pictures, tokens, width]),
      reshape(keyValue, [pictures, tokens, 2 * width]),
      { heads },
    );
  };

  let x = stage(
    engine,
    () => {
      const cut = pixels.shape.length === 3 ? pixels : patchify(pixels, config.patchSize);
      const patches = dense(cut, "embeddings.patch_embedding");
      observe?.("patches", patches);
      const positions = p("embeddings.position_embedding");
      const placed =
        prefixTokens(config) > 0
          ? prependToken(patches, prefix(), positions)
          : addPositions(patches, positions);
      return config.preNorm ? norm(placed, "pre_layernorm") : placed;
    },
    checkpointing,
  );
  observe?.("embeddings", x);
  for (let i = 0; i < config.depth; i++) {
    const layer = `encoder.layers.${i}`;
    const before = x;
    x = stage(
      engine,
      () => {
        const qkv = dense(norm(before, `${layer}.layer_norm1`), `${layer}.self_attn.qkv`);
        const attended = config.queryKeyNorm ? normedAttention(qkv, layer) : selfAttention(qkv, { heads });
        const middle = dense(attended, `${layer}.self_attn.projection`, { residual: before });
        return mlp(norm(middle, `${layer}.layer_norm2`), layer, middle);
      },
      checkpointing,
    );
    observe?.(`layer ${i + 1}`, x);
  }
  if (config.finalNorm === "pooled") return x;
  return stage(engine, () => norm(x, "post_layernorm"), checkpointing);
}

/**
 * One vector for each picture, as the configuration pools: the class token, the mean of the patches' tokens, or what a
 * learnt query gathers from these, with a feed-forward part behind it (SigLIP's head, Zhai et al., arXiv 2303.15343;
 * from Lee et al., arXiv 1810.00825).
 * @param tokens [pictures, tokens, width], from `vit`
 * @returns [pictures, width]
 */
export function poolTokens(parameters: Parameters, config: VisionConfig, tokens: Tensor): Tensor {
  const pooled = poolers[config.pooling](parameters, config, tokens);
  return config.finalNorm === "pooled" ? layersOf(parameters, config).norm(pooled, "post_layernorm") : pooled;
}

/** The tokens that stand for patches. */
function patchesOf(config: VisionConfig, tokens: Tensor): Tensor {
  const prefix = prefixTokens(config);
  return prefix > 0 ? slice(tokens, [null, [prefix]]) : tokens;
}

const poolers: Record<VisionConfig["pooling"], typeof poolTokens> = {
  token: (_parameters, _config, tokens) => slice(tokens, [null, 0]),
  mean: (_parameters, config, tokens) => mean(patchesOf(config, tokens), 1),
  attention: (parameters, config, tokens) => {
    const { p, norm, dense, mlp } = layersOf(parameters, config);
    const { engine } = tokens;
    const { width, heads } = config;
    const pictures = tokens.shape[0]!;
    const [weight, bias] = [p("head.attention.qkv.weight"), p("head.attention.qkv.bias")];
    const part = (x: Tensor, from: number, parts: number) =>
      linear(x, slice(weight, [[from * width, (from + parts) * width]]), {
        bias: slice(bias, [[from * width, (from + parts) * width]]),
      });
    // The same query for every picture.
    const probes = embedding(p("head.probe"), engine.zeros([pictures, 1], "u32"));
    const attended = crossAttention(part(probes, 0, 1), part(patchesOf(config, tokens), 1, 2), { heads });
    const gathered = dense(attended, "head.attention.projection");
    return slice(mlp(norm(gathered, "head.layer_norm"), "head", gathered), [null, 0]);
  },
};
