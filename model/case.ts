// CASE, the Cross-Attention driven Shift Encoder (Levy et al., arXiv 2303.09429): a ViT for pictures, a BERT whose
// layers attend to the reference picture's tokens for queries, and two projections into one space. The reverse query
// carries the learnt token [REV] behind its first token. Rivals for comparison are values of `fusion`.
import type { Engine, RandomStreams, Tensor } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { clampInPlace } from "../kernels/elementwise/accumulate.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { embedding } from "../kernels/embedding/embedding.ts";
import { linear, matmul } from "../kernels/matmul/matmul.ts";
import type { Bits } from "../kernels/matmul/packed.ts";
import { normalize } from "../kernels/normalize/normalize.ts";
import { permute, reshape } from "../kernels/shape/reshape.ts";
import { slice } from "../kernels/shape/slice.ts";
import { softmax } from "../kernels/softmax/softmax.ts";
import { bert, bertSpecs, type TextInput } from "./bert.ts";
import type { ModelConfig } from "./config.ts";
import { attendsToPicture, composerOf } from "./fusion.ts";
import { initials } from "./initial.ts";
import { type Learning, linearSpecs, type ParameterSpec, Parameters, type Precision } from "./parameters.ts";
import { stage } from "./stage.ts";
import { poolTokens, vit, vitSpecs } from "./vit.ts";

/** All parameters of a model. */
export function caseSpecs(config: ModelConfig, vocabularySize: number): ParameterSpec[] {
  const { projection } = config;
  const { shared } = initials(config);
  const initial = { constant: config.temperature.initial };
  return [
    ...vitSpecs(config),
    ...bertSpecs(config, vocabularySize),
    ...linearSpecs("vision_proj", projection, config.vision.width, shared),
    ...linearSpecs("text_proj", projection, config.text.width, shared),
    ...joinSpecs(config),
    { name: "temp", shape: [1], initial, exact: true },
  ];
}

/** Of them those that join picture and text where each is encoded apart; a model of another fusion lacks them. */
export function joinSpecs(config: ModelConfig): ParameterSpec[] {
  const composer = composerOf(config.fusion);
  if (!composer) return [];
  const reference = linearSpecs(
    "reference_proj",
    config.projection,
    config.vision.width,
    initials(config).shared,
  );
  return [...reference, ...composer.specs(config)];
}

export interface CaseOptions {
  /**
   * Which parameters learn, by name, or how; all unless told. Freezing the ViT is
   * `(name) => !name.startsWith("vision_")`.
   */
  trainable?: (name: string) => Learning | boolean;
  /** Training keeps only the results of the blocks; backward runs each block once more. Less memory for more time. */
  checkpointing?: boolean;
  /** What the encoders and projections compute in; f32 unless told. Embeddings are f32 in any case. */
  precision?: Precision;
  /** Packs the weights of linear layers that do not learn: for inference in less memory. */
  bits?: Bits | null;
}

/**
 * CASE (arXiv 2303.09429): a ViT for pictures, a BERT with cross-attention to the reference picture for queries, and one
 * space for both. Embeddings are rows of length 1, f32 [rows, projection].
 */
export class Case {
  readonly parameters: Parameters;
  private readonly checkpointing: boolean;

  constructor(
    readonly engine: Engine,
    readonly config: ModelConfig,
    vocabularySize: number,
    options: CaseOptions = {},
  ) {
    const { trainable, precision, bits, checkpointing = false } = options;
    this.parameters = new Parameters(engine, caseSpecs(config, vocabularySize), trainable, precision, bits);
    this.checkpointing = checkpointing;
  }

  /** The learnt temperature, f32 [1]. */
  get temperature(): Tensor {
    return this.parameters.get("temp");
  }

  /**
   * Encodes pictures.
   * @param pixels f32 [pictures, 3, size, size], or patches of that as `patchify` makes them, normalised
   * @returns [pictures, tokens, width] in the model's precision
   */
  encodeImages(pixels: Tensor): Tensor {
    const { parameters, config, checkpointing } = this;
    return vit(parameters, config.vision, cast(pixels, parameters.precision), { checkpointing });
  }

  /**
   * Target embeddings: normalise(vision_proj(pooled tokens)), these the class token unless the configuration differs.
   * @param tokens [pictures, tokens, width], from `encodeImages`
   * @returns f32 [pictures, projection], rows of unit length
   */
  embedTargets(tokens: Tensor): Tensor {
    return stage(this.engine, () => direction(this.project(this.pool(tokens), "vision_proj")));
  }

  /**
   * Query embeddings: normalise(text_proj(shift encoder's first token)).
   * @param text tokens of the texts; each starts with [ENC] or [CLS], a reverse query's second token is [REV]
   * @param tokens [pictures, tokens, width] of the reference pictures; not used where fusion is "text"
   * @param source u32, `packSource` of which of the pictures each text refers to
   * @param streams random streams for dropout, null outside of training
   * @returns f32 [texts, projection], rows of unit length
   */
  embedQueries(text: TextInput, tokens: Tensor, source: Tensor, streams: RandomStreams | null): Tensor {
    const { checkpointing, config } = this;
    const image = attendsToPicture(config.fusion) ? { tokens, source } : null;
    const composer = composerOf(config.fusion);
    const hidden = bert(this.parameters, config.text, text, image, {
      streams,
      firstOnly: true,
      checkpointing,
    });
    return stage(this.engine, () => {
      const shift = this.project(onlyTokens(hidden), "text_proj");
      if (!composer) return direction(shift);
      // A packed source begins with the rows themselves.
      const rows = this.engine.slice(source, 0, [text.ids.shape[0]!]);
      const reference = this.project(embedding(this.pool(tokens), rows), "reference_proj");
      return direction(composer.compose(this.parameters, shift, reference));
    });
  }

  /**
   * Embeddings of texts by themselves, as BLIP retrieval has them: normalise(text_proj(first token)), with no picture
   * to attend to.
   * @param text tokens of the texts; BLIP's start with [CLS] here
   * @param streams random streams for dropout, null outside of training
   * @returns f32 [texts, projection], rows of unit length
   */
  embedTexts(text: TextInput, streams: RandomStreams | null = null): Tensor {
    const { checkpointing, config } = this;
    const options = { streams, firstOnly: true, checkpointing };
    const hidden = bert(this.parameters, config.text, text, null, options);
    return stage(this.engine, () => direction(this.project(onlyTokens(hidden), "text_proj")));
  }

  /**
   * Where in its picture each token of a text looks: the cross-attention's probabilities, softmax(Q Kᵀ / sqrt(head size)),
   * which the fused kernel never writes. Made anew from its queries and keys, so for a few texts at a time.
   * @param text as for `embedQueries`
   * @param tokens [pictures, tokens, width] of the reference pictures, one for each text
   * @returns by layer, f32 [texts, heads, length, picture tokens]; none where fusion has no texts attend to pictures
   */
  attentionMaps(text: TextInput, tokens: Tensor): Tensor[] {
    const { engine, config, parameters } = this;
    if (!attendsToPicture(config.fusion)) return [];
    const { heads } = config.text;
    const pictures = tokens.shape[0]!;
    const packed = packSource([...Array(pictures).keys()], pictures);
    const source = engine.tensor(packed, [packed.length], "u32");
    const maps: Tensor[] = [];
    const meet = (query: Tensor, keyValue: Tensor) =>
      maps.push(engine.keep(attentionShares(query, keyValue, heads)));
    bert(parameters, config.text, text, { tokens, source }, { meet });
    return maps;
  }

  /** Keeps the temperature in its range; call before each training step, as BLIP does. */
  clampTemperature(): void {
    clampInPlace(this.temperature, this.config.temperature.low, this.config.temperature.high);
  }

  /** Gives the memory of all parameters back. */
  dispose(): void {
    this.parameters.dispose();
  }

  private pool(tokens: Tensor): Tensor {
    return poolTokens(this.parameters, this.config.vision, tokens);
  }

  private project(x: Tensor, name: string): Tensor {
    const { weight, bias } = this.parameters.layer(name);
    return linear(x, weight, { bias });
  }
}

/**
 * Probabilities of attention.
 * @param query [batch, queries, heads * size]
 * @param keyValue [batch, keys, 2 * heads * size], keys before values
 * @returns f32 [batch, heads, queries, keys]
 */
function attentionShares(query: Tensor, keyValue: Tensor, heads: number): Tensor {
  const size = query.shape[2]! / heads;
  const byHead = (x: Tensor) => {
    const apart = reshape(cast(x, "f32"), [x.shape[0]!, x.shape[1]!, heads, size]);
    return permute(apart, [0, 2, 1, 3]);
  };
  const keys = slice(keyValue, [null, null, [0, heads * size]]);
  const scale = 1 / Math.sqrt(size);
  return softmax(matmul(byHead(query), byHead(keys), { transposeB: true, scale }));
}

/** [texts, 1, width] to [texts, width]. */
function onlyTokens(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, x.shape[2]!]);
}

/** Rows of unit length in f32: lengths and similarities want more digits than f16 has. */
function direction(x: Tensor): Tensor {
  return normalize(x, undefined, "f32");
}
