// The way back: CASE's parameters as a checkpoint that Hugging Face's BlipForImageTextRetrieval loads, with the names of
// names.ts, query, key and value apart, and a config.json. What BLIP has no place for stands in its "casement" part.
import { sizeOf } from "../../engine/base/shape.ts";
import { caseSpecs } from "../case.ts";
import type { Activation, ModelConfig } from "../config.ts";
import { PICTURE_MEAN, PICTURE_STD } from "../picture.ts";
import { CheckpointError } from "../safetensors.ts";
import { mlpWidth } from "../vit.ts";
import { blipNaming, nameOf, patternOf } from "./names.ts";
import type { TensorEntry } from "./tensor.ts";

/** A tensor to be written. */
export interface ExportedTensor {
  name: string;
  shape: readonly number[];
  /** f32, row-major. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

/** The matching head that BLIP has and CASE has not; zeros, so that it favours neither answer. */
const matchingHead = "itm_head";

/**
 * The tensors of a model under Hugging Face's names. Throws CheckpointError for a model without cross-attention, and
 * where `parameters` lack one or have another shape.
 * @param parameters casement's parameters by name
 */
export function exportTensors(
  model: ModelConfig,
  vocabularySize: number,
  parameters: ReadonlyMap<string, TensorEntry>,
): ExportedTensor[] {
  if (model.fusion !== "early") {
    throw new CheckpointError(
      `BLIP has cross-attention in every layer; fusion "${model.fusion}" has no such form`,
    );
  }
  const tensors: ExportedTensor[] = [];
  for (const { name, shape } of caseSpecs(model, vocabularySize)) {
    const entry = parameters.get(name);
    if (!entry || `${entry.shape}` !== `${shape}`) {
      throw new CheckpointError(`"${name}" is [${entry?.shape ?? "missing"}], not [${shape}]`);
    }
    const { pattern, ...rest } = patternOf(name);
    const theirs = blipNaming.rows.get(pattern) ?? [];
    const part = theirShape(name, shape, model, theirs.length);
    theirs.forEach((one, i) => {
      const read = async () => {
        const values = await entry.read();
        const size = sizeOf(part);
        return theirs.length === 1 ? values : values.slice(i * size, (i + 1) * size);
      };
      tensors.push({ name: nameOf(one, rest), shape: part, read });
    });
  }
  const { width } = model.text;
  for (const [leaf, shape] of [
    ["weight", [2, width]],
    ["bias", [2]],
  ] as const) {
    tensors.push({
      name: `${matchingHead}.${leaf}`,
      shape,
      read: async () => new Float32Array(sizeOf(shape)),
    });
  }
  return tensors;
}

/** The shape that BLIP gives a tensor, or one of `parts` of it. */
function theirShape(
  name: string,
  shape: readonly number[],
  { vision }: ModelConfig,
  parts: number,
): readonly number[] {
  if (name === "vision_model.embeddings.class_embedding") return [1, 1, ...shape];
  if (name === "vision_model.embeddings.position_embedding") return [1, ...shape];
  if (name === "vision_model.embeddings.patch_embedding.weight") {
    return [shape[0], 3, vision.patchSize, vision.patchSize];
  }
  return parts > 1 ? [shape[0] / parts, ...shape.slice(1)] : shape;
}

const activationNames: Record<Activation, string> = {
  gelu: "gelu",
  geluTanh: "gelu_pytorch_tanh",
  geluQuick: "quick_gelu",
  relu: "relu",
};

/** Whether Hugging Face's BLIP computes the same; what else a vision transformer may have, it would leave out. */
export function isBlip({ vision }: ModelConfig): boolean {
  const { classToken, registers, preNorm, queryKeyNorm, pooling, finalNorm } = vision;
  const more = registers > 0 || preNorm || queryKeyNorm;
  return classToken && !more && pooling === "token" && finalNorm === "tokens";
}

/** What whoever loads an export must know, a sentence each. */
export function exportNotes(model: ModelConfig): string[] {
  const { fit, zoom, filter, mean, std } = model.vision;
  const prepared = { fit, zoom, filter, mean, std };
  const usual = { fit: "squash", zoom: 1, filter: "bicubic", mean: PICTURE_MEAN, std: PICTURE_STD };
  return [
    "The matching head itm_head is zeros: CASE has none.",
    ...(isBlip(model)
      ? []
      : ["Its vision encoder has parts that BLIP has not: only casement import reads it."]),
    ...(JSON.stringify(prepared) === JSON.stringify(usual)
      ? []
      : [
          `Its pictures are not prepared as BLIP's: ${fit} by ${filter}, zoom ${zoom}, mean ${mean}, deviation ${std}.`,
        ]),
  ];
}

/**
 * The config.json for `exportTensors`, with everything said that Hugging Face's classes would assume otherwise. A model
 * that BLIP could not hold has a model_type that they refuse.
 */
export function exportConfig(
  model: ModelConfig,
  vocabulary: readonly string[],
  temperature: number,
): Record<string, unknown> {
  const { vision, text, projection, initializerRange } = model;
  const id = (token: string) => Math.max(0, vocabulary.indexOf(token));
  return {
    architectures: [isBlip(model) ? "BlipForImageTextRetrieval" : "Casement"],
    model_type: isBlip(model) ? "blip" : "casement",
    image_text_hidden_size: projection,
    projection_dim: projection,
    initializer_range: initializerRange,
    vision_config: {
      model_type: "blip_vision_model",
      hidden_size: vision.width,
      intermediate_size: mlpWidth(vision),
      num_hidden_layers: vision.depth,
      num_attention_heads: vision.heads,
      image_size: vision.imageSize,
      patch_size: vision.patchSize,
      hidden_act: activationNames[vision.activation],
      layer_norm_eps: vision.layerNormEpsilon,
    },
    text_config: {
      model_type: "blip_text_model",
      vocab_size: vocabulary.length,
      hidden_size: text.width,
      encoder_hidden_size: vision.width,
      intermediate_size: text.intermediate,
      num_hidden_layers: text.depth,
      num_attention_heads: text.heads,
      max_position_embeddings: text.maxPositions,
      hidden_act: activationNames[text.activation],
      layer_norm_eps: text.layerNormEpsilon,
      hidden_dropout_prob: text.dropout,
      attention_probs_dropout_prob: text.dropout,
      // The class only has cross-attention when it is told so.
      is_decoder: true,
      pad_token_id: id("[PAD]"),
      bos_token_id: id("[DEC]"),
      sep_token_id: id("[SEP]"),
      eos_token_id: id("[SEP]"),
    },
    casement: { temperature, model },
  };
}
