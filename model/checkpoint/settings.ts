// What the files beside a checkpoint say of the computation: config.json of Hugging Face's and of timm's,
// preprocessor_config.json or processor_config.json, and tokenizer_config.json. Each field is computed with, held against the tensors, known to change no embedding, or
// refused by name: a field that is not known may change anything.
import type { Activation } from "../config.ts";
import type { Filter, Preparation } from "../picture.ts";
import { CheckpointError, quote } from "../safetensors.ts";
import { isMark } from "../tokenizer.ts";
import { bertNaming, blipNaming, dinov2Naming, type Naming, timmNaming, towerNaming } from "./names.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** What is said of one encoder; what isn't said is undefined. */
export interface EncoderSettings {
  heads?: number;
  /** What its class has where nothing says the heads. */
  usualHeads?: number;
  epsilon?: number;
  activation?: Activation;
  pooling?: "token" | "mean" | "attention";
  /** Whether queries, keys and values have biases. */
  biases?: boolean;
  /** Whether only patches have positions. */
  patchPositionsOnly?: boolean;
  /** What is said of pictures, by the field. */
  pixels: Map<string, unknown>;
  /** Sizes by the fields that say them. */
  sizes: Map<Size, { field: string; value: number }>;
}

/** Sizes that the tensors have as well. */
export type Size =
  | "width"
  | "depth"
  | "inner"
  | "ratio"
  | "image"
  | "patch"
  | "channels"
  | "registers"
  | "places"
  | "words"
  | "types"
  | "imageWidth"
  | "projection";

/** How a picture becomes numbers; what isn't said is undefined. */
export interface PixelSettings {
  /** Side of the square. */
  size?: number;
  fit?: Preparation["fit"];
  zoom?: number;
  filter?: Filter;
  mean?: readonly number[];
  std?: readonly number[];
}

export interface Settings {
  vision: EncoderSettings;
  text: EncoderSettings;
  pixels: PixelSettings;
  /** Export's own part. */
  casement: Fields | undefined;
}

/** What a field does. */
type Rule =
  /** No embedding depends on it. */
  | "needless"
  | { size: Size }
  /** The only values that are computed. */
  | { only: readonly unknown[] }
  /** Takes the value; gives what would be computed where this one isn't, else null. */
  | { take: (value: unknown, into: EncoderSettings) => string | null };

const names: Record<string, Activation> = {
  ...{ gelu: "gelu", gelu_python: "gelu", "nn.gelu": "gelu" },
  ...{ gelu_new: "geluTanh", gelu_fast: "geluTanh", gelu_pytorch_tanh: "geluTanh", gelu_tanh: "geluTanh" },
  ...{ gelu_accurate: "geluTanh", gelu_python_tanh: "geluTanh" },
  ...{ quick_gelu: "geluQuick", quickgelu: "geluQuick", relu: "relu" },
};

const activation: Rule = {
  take: (value, into) => {
    if (value === null) return null;
    if (typeof value !== "string" || !Object.hasOwn(names, value)) return Object.keys(names).join(", ");
    into.activation = names[value];
    return null;
  },
};
const number = (key: "heads" | "epsilon", check: (value: number) => boolean, what: string): Rule => ({
  take: (value, into) => {
    if (typeof value !== "number" || !check(value)) return what;
    into[key] = value;
    return null;
  },
});
const flag = (key: "biases" | "patchPositionsOnly"): Rule => ({
  take: (value, into) => {
    if (typeof value !== "boolean") return "true, false";
    into[key] = value;
    return null;
  },
});
const heads = number("heads", (value) => Number.isInteger(value) && value > 0, "a whole number");
const size = (size: Size): Rule => ({ size });
/** Fields of its own, which are read by themselves. */
const part: Rule = { take: (value) => (value === null || asObject(value) ? null : "an object of fields") };
const only = (...values: unknown[]): Rule => ({ only: values });

const rulesOf = (names: string, rule: Rule) =>
  Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [name, rule]),
  );

/** What Hugging Face writes into any config.json. */
const common: Record<string, Rule> = {
  ...rulesOf(
    `_name_or_path _commit_hash architectures model_type transformers_version torch_dtype dtype torchscript
     use_bfloat16 tf_legacy_loss use_cache return_dict return_dict_in_generate output_attentions output_hidden_states
     output_scores id2label label2id num_labels problem_type finetuning_task task_specific_params tokenizer_class prefix
     bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id mask_token_id decoder_start_token_id
     forced_bos_token_id forced_eos_token_id tie_word_embeddings tie_encoder_decoder is_encoder_decoder is_composition
     gradient_checkpointing chunk_size_feed_forward initializer_range initializer_factor logit_scale_init_value
     label_smoothing classifier_dropout hidden_dropout_prob attention_probs_dropout_prob attention_dropout dropout
     drop_path_rate language license _attn_implementation attn_implementation _attn_implementation_autoset
     _attn_implementation_internal max_length min_length do_sample early_stopping num_beams num_beam_groups
     diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
     encoder_no_repeat_ngram_size num_return_sequences pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers
     pooler_size_per_head pooler_type pooler_output_size pooler_act directionality
     add_cross_attention encoder_stride out_features out_indices stage_names reshape_hidden_states use_mask_token`,
    "needless",
  ),
  num_attention_heads: heads,
  layer_norm_eps: number("epsilon", (value) => value > 0, "a positive number"),
  hidden_act: activation,
  ...{ hidden_size: size("width"), num_hidden_layers: size("depth"), intermediate_size: size("inner") },
};

const ofVision: Record<string, Rule> = {
  ...common,
  ...{ image_size: size("image"), patch_size: size("patch"), num_channels: size("channels") },
  ...{ mlp_ratio: size("ratio"), num_register_tokens: size("registers") },
  qkv_bias: flag("biases"),
  use_swiglu_ffn: only(false),
  apply_layernorm: only(true),
  // LayerScale's start; its values are in the tensors.
  ...rulesOf("layerscale_value projection_dim vision_use_head", "needless"),
};

const ofText: Record<string, Rule> = {
  ...common,
  max_position_embeddings: size("places"),
  vocab_size: size("words"),
  encoder_hidden_size: size("imageWidth"),
  type_vocab_size: size("types"),
  position_embedding_type: only("absolute"),
  projection_dim: "needless",
};

/** The outer part of a configuration of two encoders. */
const ofBoth: Record<string, Rule> = {
  ...common,
  ...{ vision_config: part, text_config: part },
  ...rulesOf("text_config_dict vision_config_dict vocab_size casement", "needless"),
  projection_dim: "needless",
};

/** Takes a value that another function makes sense of. */
const pixels = (check: (value: unknown) => boolean, what: string): ((field: string) => Rule) => {
  return (field) => ({
    take: (value, into) => {
      if (!check(value)) return what;
      into.pixels.set(field, value);
      return null;
    },
  });
};
const each = (fields: readonly string[], rule: (field: string) => Rule) =>
  Object.fromEntries(fields.map((field) => [field, rule(field)]));

const isSide = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;
const isColour = (value: unknown) =>
  Array.isArray(value) && value.length === 3 && value.every((one) => typeof one === "number");
/** A side, or an object of one. */
function isSquare(value: unknown): boolean {
  const { height, width, shortest_edge: shortest } = asObject(value) ?? {};
  return isSide(value) || isSide(shortest) || (isSide(height) && height === width);
}

/** Whose preprocessing is known; what a file leaves out is as its class has it. */
const processors = ["ViT", "DeiT", "CLIP", "Blip", "Siglip", "Bit"] as const;
const processorOf = (value: unknown) =>
  processors.find((name) =>
    new RegExp(`^${name}(ImageProcessor|FeatureExtractor)(Fast|Pil)?$`).test(`${value}`),
  );
const isProcessor = (value: unknown) => processorOf(value) !== undefined;

/** preprocessor_config.json, and the image_processor of a processor_config.json. */
const ofPixels: Record<string, Rule> = {
  ...rulesOf(
    `processor_class do_convert_rgb return_tensors data_format
     input_data_format device disable_grouping default_to_square _valid_processor_keys num_channels image_seq_length
     auto_map`,
    "needless",
  ),
  ...each(["image_processor_type", "feature_extractor_type"], pixels(isProcessor, processors.join(", "))),
  ...each(["image_mean", "image_std"], pixels(isColour, "three numbers")),
  ...each(["size", "crop_size"], pixels(isSquare, "a square")),
  ...each(
    ["do_normalize", "do_center_crop"],
    pixels((value) => typeof value === "boolean", "true, false"),
  ),
  ...each(
    ["resample"],
    pixels((value) => value === 2 || value === 3, "2 (bilinear), 3 (bicubic)"),
  ),
  do_resize: only(true),
  do_rescale: only(true),
  rescale_factor: {
    take: (value) => (typeof value === "number" && Math.abs(value * 255 - 1) < 1e-6 ? null : "1 / 255"),
  },
};

const tokenizers =
  /^((Bert|DistilBert|Electra|MobileBert)Tokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend)$/;
/** A special token by its name, or as an object of it. */
const special = (token: string): Rule => ({
  take: (value) =>
    value === null || value === token || asObject(value)?.content === token ? null : quote(token),
});

/** tokenizer_config.json. */
const ofTokenizer: Record<string, Rule> = {
  // CASE has its own length, and places its special tokens itself.
  ...rulesOf(
    `name_or_path tokenizer_file special_tokens_map_file vocab_file processor_class backend is_local auto_map
     model_max_length max_length max_len stride truncation_strategy truncation pad_to_multiple_of pad_token_type_id padding
     model_input_names clean_up_tokenization_spaces add_special_tokens additional_special_tokens extra_special_tokens
     model_specific_special_tokens split_special_tokens mask_token bos_token eos_token use_fast
     chat_template return_token_type_ids local_files_only from_slow trust_remote_code use_auth_token cache_dir errors model_type transformers_version legacy`,
    "needless",
  ),
  do_lower_case: only(true),
  strip_accents: only(null, true),
  tokenize_chinese_chars: only(true),
  do_basic_tokenize: only(true),
  ...{ clean_text: only(true), wordpieces_prefix: only("##") },
  truncation_side: only("right"),
  padding_side: only("right"),
  ...{ unk_token: special("[UNK]"), cls_token: special("[CLS]"), sep_token: special("[SEP]") },
  pad_token: special("[PAD]"),
  added_tokens_decoder: {
    take: (value) => {
      const tokens = Object.values(asObject(value) ?? {}).map((token) => asObject(token));
      return tokens.every((token) => token && (token.special || isMark(`${token.content}`)))
        ? null
        : "special tokens";
    },
  },
  tokenizer_class: {
    take: (value) =>
      value === null || (typeof value === "string" && tokenizers.test(value)) ? null : "BertTokenizer",
  },
};

/** What timm has on pictures. */
const ofTimmPixels: Record<string, Rule> = {
  ...rulesOf(
    `tag custom_load fixed_input_size num_classes pool_size first_conv classifier license url hf_hub_id paper_ids
     paper_name origin_url notes architecture file hf_hub_filename source min_input_size test_input_size test_crop_pct
     label_names label_descriptions description mean_tokens`,
    "needless",
  ),
  ...each(["mean", "std"], pixels(isColour, "three numbers")),
  ...each(
    ["input_size"],
    pixels(
      (value) => isColour(value) && (value as number[])[1] === (value as number[])[2],
      "[3, side, side]",
    ),
  ),
  ...each(
    ["interpolation"],
    pixels((value) => value === "bicubic" || value === "bilinear", "bicubic, bilinear"),
  ),
  ...each(
    ["crop_pct"],
    pixels((value) => typeof value === "number" && value > 0 && value <= 1, "up to 1"),
  ),
  ...each(
    ["crop_mode"],
    pixels((value) => value === "center" || value === "squash", "center, squash"),
  ),
};

/** timm's outer part; older files have what it says of pictures here. */
const ofTimm: Record<string, Rule> = {
  ...ofTimmPixels,
  ...rulesOf("architecture num_classes num_features classifier", "needless"),
  ...{ pretrained_cfg: part, model_args: part },
  global_pool: {
    take: (value, into) => {
      const known: Record<string, EncoderSettings["pooling"]> = {
        ...{ token: "token", avg: "mean", map: "attention", "": undefined },
      };
      if (typeof value !== "string" || !Object.hasOwn(known, value)) return "token, avg, map";
      into.pooling = known[value];
      return null;
    },
  },
};

/** What timm's models are made with. */
const ofTimmModel: Record<string, Rule> = {
  ...rulesOf(
    `num_classes class_token init_values drop_rate pos_drop_rate patch_drop_rate proj_drop_rate attn_drop_rate
     drop_path_rate weight_init fix_init dynamic_img_size qk_norm pre_norm fc_norm`,
    "needless",
  ),
  ...{ embed_dim: size("width"), depth: size("depth"), mlp_ratio: size("ratio"), img_size: size("image") },
  ...{ patch_size: size("patch"), in_chans: size("channels"), reg_tokens: size("registers") },
  ...{ num_heads: heads, act_layer: activation, qkv_bias: flag("biases") },
  no_embed_class: flag("patchPositionsOnly"),
  global_pool: ofTimm.global_pool,
  final_norm: only(true),
  norm_layer: only(null, "layernorm"),
};

/** What Hugging Face's classes assume where their config.json says nothing; heads are 12 but for BLIP's texts. */
const assumed: Record<string, Pick<EncoderSettings, "epsilon" | "activation" | "heads" | "biases">> = {
  bert: { epsilon: 1e-12, activation: "gelu" },
  blip_text_model: { epsilon: 1e-12, activation: "gelu", heads: 8 },
  blip_vision_model: { epsilon: 1e-5, activation: "gelu" },
  vit: { epsilon: 1e-12, activation: "gelu", biases: true },
  deit: { epsilon: 1e-12, activation: "gelu", biases: true },
  dinov2: { epsilon: 1e-6, activation: "gelu", biases: true },
  dinov2_with_registers: { epsilon: 1e-6, activation: "gelu", biases: true },
  clip_vision_model: { epsilon: 1e-5, activation: "geluQuick" },
  siglip_vision_model: { epsilon: 1e-6, activation: "geluTanh" },
};

/** Which model_types a naming's config.json may have, the first for messages. */
function typesOf(naming: Naming): readonly string[] {
  if (naming.vision && naming.text) return ["blip", "casement"];
  if (naming === bertNaming) return ["bert"];
  if (naming === dinov2Naming) return ["dinov2", "dinov2_with_registers"];
  if (naming === towerNaming) return ["clip", "clip_vision_model", "siglip", "siglip_vision_model"];
  return ["vit", "deit"];
}

/** A value as an object, undefined for anything else. */
export function asObject(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** Whether a value switches nothing on. */
function isOff(value: unknown): boolean {
  return (
    value === null ||
    value === false ||
    value === "" ||
    (typeof value === "object" && Object.keys(value).length === 0)
  );
}

const nothing = (): EncoderSettings => ({ sizes: new Map(), pixels: new Map() });

/** Reads fields by their rules, and gathers what is refused: values, and fields that say two things of one. */
class Reader {
  private readonly refused: string[] = [];
  /** Of each encoder what is settled, the value, and which field did it. */
  private readonly settled = new Map<EncoderSettings, Map<string, { name: string; value: unknown }>>();

  /** @param ignores whether the user has said that a field, `FILE:PATH`, changes nothing */
  constructor(private readonly ignores: (name: string) => boolean) {}

  /** @param path of the fields: the file's name, and the outer ones */
  read(fields: Fields | undefined, path: string, rules: Record<string, Rule>, into: EncoderSettings): void {
    for (const [field, value] of Object.entries(fields ?? {})) {
      const name = `${path}${field}`;
      if (this.ignores(name)) continue;
      const rule = Object.hasOwn(rules, field) ? rules[field] : undefined;
      if (rule === "needless" || (!rule && isOff(value))) continue;
      const fault = rule
        ? this.take(rule, name, value, into)
        : "is not known and may change what is computed";
      if (fault) this.refused.push(`${name} = ${quote(value)} ${fault}`);
    }
  }

  /** Takes one field's value; gives what is wrong with it, else null. */
  private take(
    rule: Exclude<Rule, "needless">,
    name: string,
    value: unknown,
    into: EncoderSettings,
  ): string | null {
    const one = nothing();
    const fault = faultOf(rule, name, value, one);
    if (fault !== null) return fault;
    const { sizes, pixels, ...rest } = one;
    const known = this.settled.get(into) ?? new Map<string, { name: string; value: unknown }>();
    this.settled.set(into, known);
    for (const [key, said] of [
      ...Object.entries(rest),
      ...Array.from(sizes, ([size, said]) => [size, said.value] as const),
      ...pixels,
    ]) {
      const other = known.get(key);
      if (other && JSON.stringify(other.value) !== JSON.stringify(said)) {
        return `contradicts ${other.name}`;
      }
      known.set(key, { name, value: said });
    }
    Object.assign(into, rest);
    for (const [size, said] of sizes) into.sizes.set(size, said);
    for (const [field, said] of pixels) into.pixels.set(field, said);
    return null;
  }

  /** Throws CheckpointError where something was refused. */
  finish(): void {
    if (this.refused.length === 0) return;
    const most = 6;
    const more = this.refused.length > most ? `; and ${this.refused.length - most} more` : "";
    throw new CheckpointError(
      `${this.refused.slice(0, most).join("; ")}${more}. For what changes nothing, --ignore FILE:FIELD`,
    );
  }
}

/** What is wrong with a value, null where it is taken. */
function faultOf(
  rule: Exclude<Rule, "needless">,
  name: string,
  value: unknown,
  into: EncoderSettings,
): string | null {
  if ("size" in rule) {
    if (value === null) return null;
    // A square, however it is said.
    const sides = Array.isArray(value) ? value : [value];
    if (!sides.every((side) => typeof side === "number" && side >= 0 && side === sides[0]))
      return "is no size";
    into.sizes.set(rule.size, { field: name, value: sides[0] as number });
    return null;
  }
  if ("only" in rule)
    return rule.only.includes(value) ? null : `is not computed, only ${rule.only.map(quote).join(", ")}`;
  const computed = rule.take(value, into);
  return computed === null ? null : `is not computed, only ${computed}`;
}

/** What the classes of a type assume, under what is said. */
function under(type: string, said: EncoderSettings): EncoderSettings {
  const { epsilon, activation, heads = 12, biases } = assumed[type];
  return {
    ...said,
    epsilon: said.epsilon ?? epsilon,
    activation: said.activation ?? activation,
    usualHeads: heads,
    biases: said.biases ?? biases,
  };
}

/**
 * What config.json says, null where there is none. One without a model_type counts where it has fields of Hugging Face's;
 * one of another type would mean another computation on tensors of the same names (RoBERTa's positions start at 2), so it
 * ends in a CheckpointError, as does every field that is neither computed nor known to be needless.
 * @param ignores whether the user has said that a field, `config.json:PATH`, changes nothing
 */
export function readSettings(
  config: unknown,
  naming: Naming,
  ignores: (name: string) => boolean,
  notes: string[],
): Settings {
  const settings: Settings = { vision: nothing(), text: nothing(), pixels: {}, casement: undefined };
  const fields = asObject(config);
  if (!fields) return settings;
  const reader = new Reader(ignores);
  const file = "config.json:";
  const { model_type: type, architecture } = fields;
  const types = typesOf(naming);
  if (typeof type === "string" && !types.includes(type) && !ignores(`${file}model_type`)) {
    throw new CheckpointError(
      `config.json says model_type ${quote(type)}, the tensors are named as "${types[0]}" has them`,
    );
  }
  const { vision, text } = settings;
  if (typeof type !== "string" && typeof architecture === "string") {
    if (naming !== timmNaming) {
      throw new CheckpointError(
        `config.json is for timm's ${quote(architecture)}, the tensors are named as "${types[0]}" has them`,
      );
    }
    reader.read(fields, file, ofTimm, vision);
    reader.read(asObject(fields.model_args), `${file}model_args.`, ofTimmModel, vision);
    reader.read(asObject(fields.pretrained_cfg), `${file}pretrained_cfg.`, ofTimmPixels, vision);
    reader.finish();
    settings.pixels = timmPixels(vision.pixels);
    applyArchitecture(architecture, vision);
    return settings;
  }
  const own = [
    "vision_config",
    "text_config",
    "hidden_act",
    "num_attention_heads",
    "layer_norm_eps",
    "hidden_size",
  ];
  if (typeof type !== "string" && !own.some((field) => field in fields)) {
    notes.push("config.json names no model_type and was not used");
    return settings;
  }
  if (naming.vision && naming.text) {
    reader.read(fields, file, { ...ofBoth, image_text_hidden_size: size("projection") }, vision);
    reader.read(asObject(fields.vision_config), `${file}vision_config.`, ofVision, vision);
    reader.read(
      asObject(fields.text_config),
      `${file}text_config.`,
      { ...ofText, is_decoder: "needless" },
      text,
    );
    settings.casement = asObject(fields.casement);
    settings.text = under("blip_text_model", text);
    // The original's epsilon is another.
    settings.vision = under(
      "blip_vision_model",
      naming === blipNaming ? vision : { epsilon: 1e-6, ...vision },
    );
  } else if (naming.text) {
    reader.read(fields, file, { ...ofText, is_decoder: only(false) }, text);
    if (type) settings.text = under("bert", text);
  } else if (type === "clip" || type === "siglip") {
    reader.read(fields, file, ofBoth, nothing());
    reader.read(asObject(fields.vision_config), `${file}vision_config.`, ofVision, vision);
    settings.vision = under(`${type}_vision_model`, vision);
  } else {
    reader.read(fields, file, ofVision, vision);
    if (typeof type === "string")
      settings.vision = under(Object.hasOwn(assumed, type) ? type : "vit", vision);
  }
  reader.finish();
  return settings;
}

/** The side that a value of `isSquare` says, and whether it is the shorter one's. */
function sideOf(value: unknown): { side: number; shorter: boolean } | undefined {
  const { height, shortest_edge: shortest } = asObject(value) ?? {};
  const side = [value, shortest, height].find(isSide);
  return side === undefined ? undefined : { side, shorter: isSide(shortest) };
}

/**
 * What preprocessor_config.json says, or processor_config.json, into which Transformers 5 puts the same as
 * `image_processor`; undefined where neither says anything. Throws CheckpointError for what is not computed, and where there are both and they differ.
 * @param ignores as `readSettings`
 */
export function readPreprocessors(
  { preprocessor, processor }: { preprocessor?: unknown; processor?: unknown },
  ignores: (name: string) => boolean,
): PixelSettings | undefined {
  const [file, inner] = ["preprocessor_config.json", "processor_config.json:image_processor"];
  const nested = asObject(processor)?.image_processor;
  const isNested = !isOff(nested ?? null) && !ignores(inner);
  if (isNested && !asObject(nested))
    throw new CheckpointError(`${inner} = ${quote(nested)} is no object of settings`);
  const newer = isNested ? readPreprocessor(nested, `${inner}.`, ignores) : undefined;
  const older = asObject(preprocessor) && readPreprocessor(preprocessor, `${file}:`, ignores);
  if (newer && older && JSON.stringify(newer) !== JSON.stringify(older)) {
    throw new CheckpointError(
      `${file} and ${inner} prepare pictures in two ways: keep the one that holds, or --ignore ${inner}`,
    );
  }
  return newer ?? older;
}

/** Throws CheckpointError for what tokenizer_config.json says of texts that is not computed. */
export function requireTokenizer(config: unknown, ignores: (name: string) => boolean): void {
  const reader = new Reader(ignores);
  reader.read(asObject(config), "tokenizer_config.json:", ofTokenizer, nothing());
  reader.finish();
}

function readPreprocessor(
  preprocessor: unknown,
  path: string,
  ignores: (name: string) => boolean,
): PixelSettings {
  const reader = new Reader(ignores);
  const into = nothing();
  reader.read(asObject(preprocessor), path, ofPixels, into);
  reader.finish();
  const said = into.pixels;
  const kind = processorOf(said.get("image_processor_type") ?? said.get("feature_extractor_type"));
  const whole = sideOf(said.get("size"));
  const isCut = said.get("do_center_crop") ?? (kind === "DeiT" || kind === "CLIP" || kind === "Bit");
  const cut = isCut ? (sideOf(said.get("crop_size")) ?? whole) : undefined;
  // CLIP's first processors meant the shorter side by a number.
  const shorter = whole?.shorter || (kind === "CLIP" && isSide(said.get("size")));
  if (shorter && !cut) {
    throw new CheckpointError(
      `${path}size: pictures that stay oblong are not computed; do_center_crop or a square size is`,
    );
  }
  const halves = kind === "ViT" || kind === "DeiT" || kind === "Siglip" ? [0.5, 0.5, 0.5] : undefined;
  const plain = said.get("do_normalize") === false;
  const filters = { 2: "bilinear", 3: "bicubic" } as const;
  return {
    size: cut?.side ?? whole?.side,
    fit: whole && (shorter ? "crop" : "squash"),
    zoom: whole && cut && whole.side / cut.side,
    filter: filters[said.get("resample") as 2 | 3] ?? (kind === "ViT" ? "bilinear" : undefined),
    mean: plain ? [0, 0, 0] : ((said.get("image_mean") as number[] | undefined) ?? halves),
    std: plain ? [1, 1, 1] : ((said.get("image_std") as number[] | undefined) ?? halves),
  };
}

/** The same from what timm's config.json says. */
function timmPixels(said: ReadonlyMap<string, unknown>): PixelSettings {
  if (said.size === 0) return {};
  const size = (said.get("input_size") as number[] | undefined)?.[1];
  const part = (said.get("crop_pct") as number | undefined) ?? 0.875;
  return {
    size,
    fit: said.get("crop_mode") === "squash" ? "squash" : "crop",
    zoom: size && Math.floor(size / part) / size,
    filter: said.get("interpolation") as Filter | undefined,
    mean: said.get("mean") as number[] | undefined,
    std: said.get("std") as number[] | undefined,
  };
}

/** What the name of one of timm's models says that neither its tensors nor its config.json do. */
function applyArchitecture(architecture: string, vision: EncoderSettings): void {
  if (/_rpn_/.test(architecture)) {
    throw new CheckpointError(
      `config.json: ${quote(architecture)} has its norms behind attention and MLP; only those in front are computed`,
    );
  }
  const byTanh =
    /siglip/.test(architecture) &&
    /patch32|giantopt|so400m_patch16|large_patch16_siglip_(gap_)?512/.test(architecture);
  const own = /quickgelu/.test(architecture) ? "geluQuick" : byTanh ? "geluTanh" : "gelu";
  vision.activation ??= own;
  vision.biases ??= true;
}
