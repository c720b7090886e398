// The shift encoder: BERT with post-norm layers and, after self-attention, cross-attention to picture tokens in every
// layer (Devlin et al., arXiv 1810.04805; the cross-attention and its order as in BLIP's med.py). No token types, no
// pooler, no causal mask.
import type { RandomStreams, Tensor } from "../engine/index.ts";
import { crossAttention, selfAttention } from "../kernels/attention/attention.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { addPositions, embedding } from "../kernels/embedding/embedding.ts";
import { type LayernormOptions, layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { slice } from "../kernels/shape/slice.ts";
import type { ModelConfig } from "./config.ts";
import { activatedFeedForward } from "./feed-forward.ts";
import { attendsToPicture } from "./fusion.ts";
import { initials } from "./initial.ts";
import { type Initial, linearSpecs, normSpecs, type ParameterSpec, type Parameters } from "./parameters.ts";
import { type Observer, stage } from "./stage.ts";

const root = "text_encoder";

/** Parameters of the text encoder; cross-attention only where the fusion has texts attend to pictures. */
export function bertSpecs(config: ModelConfig, vocabularySize: number): ParameterSpec[] {
  const { width, depth, intermediate, maxPositions } = config.text;
  const { embedding, weight, valuesFrom, attentionOutput, feedForwardOutput } = initials(config);
  const embeddings = `${root}.embeddings`;
  const specs: ParameterSpec[] = [
    {
      name: `${embeddings}.word_embeddings.weight`,
      shape: [vocabularySize, width],
      initial: embedding,
    },
    {
      name: `${embeddings}.position_embeddings.weight`,
      shape: [maxPositions, width],
      initial: embedding,
    },
    ...normSpecs(`${embeddings}.LayerNorm`, width),
  ];
  const output = (name: string, inputs: number, initial: Initial) => [
    ...linearSpecs(`${name}.dense`, width, inputs, initial),
    ...normSpecs(`${name}.LayerNorm`, width),
  ];
  for (let i = 0; i < depth; i++) {
    const layer = `${root}.encoder.layer.${i}`;
    specs.push(
      ...linearSpecs(`${layer}.attention.self.qkv`, 3 * width, width, valuesFrom(2 * width)),
      ...output(`${layer}.attention.output`, width, attentionOutput),
    );
    if (attendsToPicture(config.fusion)) {
      specs.push(
        ...linearSpecs(`${layer}.crossattention.self.query`, width, width, weight),
        ...linearSpecs(
          `${layer}.crossattention.self.key_value`,
          2 * width,
          config.vision.width,
          valuesFrom(width),
        ),
        ...output(`${layer}.crossattention.output`, width, attentionOutput),
      );
    }
    specs.push(
      ...linearSpecs(`${layer}.intermediate.dense`, intermediate, width, weight),
      ...output(`${layer}.output`, intermediate, feedForwardOutput),
    );
  }
  return specs;
}

/** Tokens of a batch of texts. */
export interface TextInput {
  /** u32 [texts, length] */
  ids: Tensor;
  /** u32 [texts, length], 1 for a token, 0 for padding. */
  mask: Tensor;
}

/** Pictures that texts attend to. */
export interface ImageInput {
  /** [pictures, tokens, vision width], in the precision of the parameters */
  tokens: Tensor;
  /** u32, `packSource` of which picture each text attends to; several texts may share one. */
  source: Tensor;
}

export interface BertOptions {
  /** Random streams for dropout while training; null switches dropout off. */
  streams?: RandomStreams | null;
  /**
   * Only the first token is wanted. In the last layer nothing after self-attention mixes tokens, so the rest of that
   * layer runs for the first token alone: the same numbers for less work.
   */
  firstOnly?: boolean;
  /** Backward runs each layer once more instead of keeping what it made. */
  checkpointing?: boolean;
  /** Is shown "embeddings" and "layer 1", "layer 2", ..., each [texts, length, width]. */
  observe?: Observer;
  /** Is shown what meets in the cross-attention of each layer: [texts, length, width] and [pictures, tokens, 2 * width]. */
  meet?: (query: Tensor, keyValue: Tensor) => void;
}

/**
 * Encodes texts, grounded in pictures where `image` is given.
 * @returns [texts, length, width]; [texts, 1, width] where only the first token is wanted
 */
export function bert(
  parameters: Parameters,
  config: ModelConfig["text"],
  text: TextInput,
  image: ImageInput | null,
  { streams = null, firstOnly = false, checkpointing = false, observe, meet }: BertOptions = {},
): Tensor {
  const p = (name: string) => parameters.get(`${root}.${name}`);
  const { engine } = text.ids;
  const probability = streams ? config.dropout : 0;
  const attentionDropout = () => (probability > 0 ? { probability, key: streams!.stream() } : null);
  const norm = (x: Tensor, name: string, options: LayernormOptions = {}) =>
    layernorm(x, p(`${name}.weight`), p(`${name}.bias`), { eps: config.layerNormEpsilon, ...options });
  const weights = (name: string) => parameters.layer(`${root}.${name}`);
  const dense = (x: Tensor, name: string, options: { residual?: Tensor } = {}) =>
    linear(x, weights(name).weight, { bias: weights(name).bias, ...options });
  /** LayerNorm(dropout(f) + residual); without dropout the sum is part of f's last product. */
  const output = (f: (options: { residual?: Tensor }) => Tensor, residual: Tensor, name: string) => {
    if (probability === 0) return norm(f({ residual }), `${name}.LayerNorm`);
    const dropout = { probability, key: streams!.stream() };
    return norm(f({}), `${name}.LayerNorm`, { residual, dropout });
  };
  const attentionOutput = (x: Tensor, residual: Tensor, name: string) =>
    output((options) => dense(x, `${name}.dense`, options), residual, name);

  let x = stage(
    engine,
    () => {
      const words = embedding(p("embeddings.word_embeddings.weight"), text.ids);
      const placed = addPositions(words, p("embeddings.position_embeddings.weight"));
      const normed = norm(placed, "embeddings.LayerNorm");
      return probability > 0 ? dropout(normed, probability, streams!.stream()) : normed;
    },
    checkpointing,
  );
  observe?.("embeddings", x);
  for (let i = 0; i < config.depth; i++) {
    const layer = `encoder.layer.${i}`;
    const before = x;
    x = stage(
      engine,
      () => {
        const qkv = dense(before, `${layer}.attention.self.qkv`);
        const own = selfAttention(qkv, { heads: config.heads, mask: text.mask, dropout: attentionDropout() });
        const pooled = firstOnly && i === config.depth - 1;
        const kept = (tokens: Tensor) => (pooled ? firstTokens(tokens) : tokens);
        let hidden = attentionOutput(kept(own), kept(before), `${layer}.attention.output`);
        if (image) {
          const query = dense(hidden, `${layer}.crossattention.self.query`);
          const keyValue = dense(image.tokens, `${layer}.crossattention.self.key_value`);
          meet?.(query, keyValue);
          const seen = crossAttention(query, keyValue, {
            heads: config.heads,
            source: image.source,
            dropout: attentionDropout(),
          });
          hidden = attentionOutput(seen, hidden, `${layer}.crossattention.output`);
        }
        const [first, second] = [weights(`${layer}.intermediate.dense`), weights(`${layer}.output.dense`)];
        return output(
          (options) => activatedFeedForward(config.activation, hidden, first, second, options),
          hidden,
          `${layer}.output`,
        );
      },
      checkpointing,
    );
    observe?.(`layer ${i + 1}`, x);
  }
  return x;
}

/** [texts, length, width] to [texts, 1, width]. */
function firstTokens(x: Tensor): Tensor {
  return slice(x, [null, [0, 1]]);
}
