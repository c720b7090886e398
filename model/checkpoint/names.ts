// One table of names: what casement calls a parameter, and what checkpoints call it in the namings of Hugging Face, of
// Salesforce's BLIP and of timm (blip-checkpoint.md has BLIP's shapes). # stands for a layer's number, * for weight or
// bias, | for one name or the other. A list means that casement keeps those tensors in one, row after row.

type Theirs = string | readonly string[];

/** The namings of vision transformers, besides casement's own, which is that of Hugging Face's BLIP. */
type Column = "timm" | "vit" | "newVit" | "dinov2" | "tower";

const parts = (names: readonly string[], around: string) => names.map((name) => around.replace("?", name));

/**
 * Casement's names, and what each column has for them; where it has no such thing, nothing. timm's are the original
 * BLIP's and DINOv2's as well; newVit is ViTModel's since Transformers 5, tower what CLIP and SigLIP have for pictures.
 */
const vision: Record<string, Partial<Record<Column, Theirs>>> = {
  "embeddings.class_embedding": {
    timm: "cls_token",
    vit: "embeddings.cls_token",
    newVit: "embeddings.cls_token",
    dinov2: "embeddings.cls_token",
    tower: "embeddings.class_embedding",
  },
  // The token of DeiT's distillation is one more that stands for no patch.
  "embeddings.register_embedding": {
    timm: "reg_token|register_tokens|dist_token",
    vit: "embeddings.distillation_token",
    newVit: "embeddings.distillation_token",
    dinov2: "embeddings.register_tokens",
  },
  "embeddings.position_embedding": {
    timm: "pos_embed",
    vit: "embeddings.position_embeddings",
    newVit: "embeddings.position_embeddings",
    dinov2: "embeddings.position_embeddings",
    tower: "embeddings.position_embedding.*",
  },
  "embeddings.patch_embedding.*": {
    timm: "patch_embed.proj.*",
    vit: "embeddings.patch_embeddings.projection.*",
    newVit: "embeddings.patch_embeddings.projection.*",
    dinov2: "embeddings.patch_embeddings.projection.*",
    tower: "embeddings.patch_embedding.*",
  },
  // Without its e in every CLIP of Hugging Face's.
  "pre_layernorm.*": { timm: "norm_pre.*", tower: "pre_layrnorm.*" },
  "encoder.layers.#.layer_norm1.*": {
    timm: "blocks.#.norm1.*",
    vit: "encoder.layer.#.layernorm_before.*",
    newVit: "layers.#.layernorm_before.*",
    dinov2: "encoder.layer.#.norm1.*",
    tower: "encoder.layers.#.layer_norm1.*",
  },
  "encoder.layers.#.self_attn.qkv.*": {
    timm: "blocks.#.attn.qkv.*",
    vit: parts(["query", "key", "value"], "encoder.layer.#.attention.attention.?.*"),
    newVit: parts(["q", "k", "v"], "layers.#.attention.?_proj.*"),
    dinov2: parts(["query", "key", "value"], "encoder.layer.#.attention.attention.?.*"),
    tower: parts(["q", "k", "v"], "encoder.layers.#.self_attn.?_proj.*"),
  },
  "encoder.layers.#.self_attn.query_norm.*": { timm: "blocks.#.attn.q_norm.*" },
  "encoder.layers.#.self_attn.key_norm.*": { timm: "blocks.#.attn.k_norm.*" },
  "encoder.layers.#.self_attn.projection.*": {
    timm: "blocks.#.attn.proj.*",
    vit: "encoder.layer.#.attention.output.dense.*",
    newVit: "layers.#.attention.o_proj.*",
    dinov2: "encoder.layer.#.attention.output.dense.*",
    tower: "encoder.layers.#.self_attn.out_proj.*",
  },
  "encoder.layers.#.layer_norm2.*": {
    timm: "blocks.#.norm2.*",
    vit: "encoder.layer.#.layernorm_after.*",
    newVit: "layers.#.layernorm_after.*",
    dinov2: "encoder.layer.#.norm2.*",
    tower: "encoder.layers.#.layer_norm2.*",
  },
  "encoder.layers.#.mlp.fc1.*": {
    timm: "blocks.#.mlp.fc1.*",
    vit: "encoder.layer.#.intermediate.dense.*",
    newVit: "layers.#.mlp.fc1.*",
    dinov2: "encoder.layer.#.mlp.fc1.*",
    tower: "encoder.layers.#.mlp.fc1.*",
  },
  "encoder.layers.#.mlp.fc2.*": {
    timm: "blocks.#.mlp.fc2.*",
    vit: "encoder.layer.#.output.dense.*",
    newVit: "layers.#.mlp.fc2.*",
    dinov2: "encoder.layer.#.mlp.fc2.*",
    tower: "encoder.layers.#.mlp.fc2.*",
  },
  "post_layernorm.*": {
    timm: "norm.*|fc_norm.*",
    vit: "layernorm.*",
    newVit: "layernorm.*",
    dinov2: "layernorm.*",
    tower: "post_layernorm.*",
  },
  "head.probe": { timm: "attn_pool.latent", tower: "head.probe" },
  "head.attention.qkv.*": {
    timm: ["attn_pool.q.*", "attn_pool.kv.*"],
    tower: "head.attention.in_proj_*",
  },
  "head.attention.projection.*": { timm: "attn_pool.proj.*", tower: "head.attention.out_proj.*" },
  "head.layer_norm.*": { timm: "attn_pool.norm.*", tower: "head.layernorm.*" },
  "head.mlp.fc1.*": { timm: "attn_pool.mlp.fc1.*", tower: "head.mlp.fc1.*" },
  "head.mlp.fc2.*": { timm: "attn_pool.mlp.fc2.*", tower: "head.mlp.fc2.*" },
};

/**
 * LayerScale (Touvron et al., arXiv 2103.17239): factors of what a layer gives, which are multiplied into the rows of its
 * weight and its bias.
 */
const scales: Record<string, Partial<Record<Column, string>>> = {
  "encoder.layers.#.self_attn.projection.*": {
    timm: "blocks.#.ls1.gamma|blocks.#.gamma_1",
    dinov2: "encoder.layer.#.layer_scale1.lambda1",
  },
  "encoder.layers.#.mlp.fc2.*": {
    timm: "blocks.#.ls2.gamma|blocks.#.gamma_2",
    dinov2: "encoder.layer.#.layer_scale2.lambda1",
  },
};

/** Rows of the text encoder: casement's name, and BERT's where it differs. */
const text: readonly (readonly [string, theirs?: Theirs])[] = [
  ["embeddings.word_embeddings.*"],
  // BERT adds the same row of its token types to every token of a lone text, so it is added to the positions here.
  ["embeddings.position_embeddings.*"],
  ["embeddings.LayerNorm.*"],
  [
    "encoder.layer.#.attention.self.qkv.*",
    ["query", "key", "value"].map((part) => `encoder.layer.#.attention.self.${part}.*`),
  ],
  ["encoder.layer.#.attention.output.dense.*"],
  ["encoder.layer.#.attention.output.LayerNorm.*"],
  ["encoder.layer.#.crossattention.self.query.*"],
  [
    "encoder.layer.#.crossattention.self.key_value.*",
    ["key", "value"].map((part) => `encoder.layer.#.crossattention.self.${part}.*`),
  ],
  ["encoder.layer.#.crossattention.output.dense.*"],
  ["encoder.layer.#.crossattention.output.LayerNorm.*"],
  ["encoder.layer.#.intermediate.dense.*"],
  ["encoder.layer.#.output.dense.*"],
  ["encoder.layer.#.output.LayerNorm.*"],
];

/**
 * What no embedding depends on, and why. Each stands at the beginning of a name, behind what stands before all names; a
 * first part that the naming has itself is none of these.
 */
export const needless: readonly (readonly [RegExp, string])[] = [
  [/^\w+_m\./, "momentum copy"],
  [/^((image|text|idx|ptr)_queue|queue_ptr)$/, "queue of the contrastive loss"],
  [/^((\w+\.)*embeddings\.)?position_ids$/, "the numbers 0, 1, 2 …"],
  [/^(embeddings\.)?mask_token$/, "stands for hidden patches while training"],
  [/^itm_head\./, "matching head, which CASE has not"],
  [/^(text_encoder\.)?pooler\./, "pooler: CASE takes the first token"],
  [/^text_decoder\./, "captioning decoder"],
  [/^decoder_(embed|blocks|norm|pred|pos_embed)(\.|$)/, "decoder of hidden patches (MAE)"],
  [/^teacher\./, "the teacher's copy"],
  [/^(model_ema|ema_model|ema)\./, "moving average"],
  [
    /^(optimizers?|optim|optimizer_states?|optimizer_state_dict|lr_schedulers?|schedulers?|scaler)\./,
    "optimiser state",
  ],
  [/^(text_encoder\.)?cls\./, "head of another task"],
  [/^(\w+_)?(head|heads|classifier)\./, "head of another task"],
  [/^(head_dist|qa_outputs)\./, "head of another task"],
];

/** One naming: its rows by casement's full name. */
export interface Naming {
  title: string;
  /** Which parts of CASE it has. */
  vision: boolean;
  text: boolean;
  /** What its own models have before all of its names; the holders of recognise.ts may stand before that. */
  prefixes: readonly string[];
  /** Casement's names to theirs; `|` stands between a name and another for the same. */
  rows: ReadonlyMap<string, readonly string[]>;
  /** Factors of rows, by casement's names. */
  scales: ReadonlyMap<string, string>;
  /** All patterns that its models may have. */
  patterns: ReadonlySet<string>;
}

type Row = readonly [string, Theirs];

const list = (theirs: Theirs): readonly string[] => (typeof theirs === "string" ? [theirs] : theirs);

/** What stands for one tensor: names of which one is there. */
export const alternatives = (theirs: string): string[] => theirs.split("|");

/** A name with `prefix` before it, and before what it may be called as well. */
const behind = (prefix: string, theirs: string) =>
  alternatives(theirs)
    .map((name) => prefix + name)
    .join("|");

/** Vision rows under casement's names with one column's names behind `prefix`; casement's own without a column. */
function visionRows(column: Column | null, prefix: string): Row[] {
  return Object.entries(vision).flatMap(([ours, columns]) => {
    const theirs = column === null ? ours : columns[column];
    if (theirs === undefined) return [];
    return [[`vision_model.${ours}`, list(theirs).map((name) => behind(prefix, name))] as const];
  });
}

function visionScales(column: Column, prefix: string): [string, string][] {
  return Object.entries(scales).flatMap(([ours, columns]) => {
    const theirs = columns[column];
    return theirs === undefined ? [] : [[`vision_model.${ours}`, behind(prefix, theirs)]];
  });
}

function textRows(prefix: string): Row[] {
  return text.map(([ours, theirs = ours]) => [
    `text_encoder.${ours}`,
    list(theirs).map((name) => prefix + name),
  ]);
}

const projections: Row[] = ["vision_proj.*", "text_proj.*"].map((name) => [name, name]);

function naming(
  title: string,
  prefixes: readonly string[],
  parts: readonly Row[],
  scales: readonly [string, string][] = [],
): Naming {
  const rows = new Map(parts.map(([ours, theirs]) => [ours, list(theirs)]));
  const has = (root: string) => [...rows.keys()].some((name) => name.startsWith(root));
  const names = [...rows.values(), scales.map(([, theirs]) => theirs)].flat().flatMap(alternatives);
  return {
    ...{ title, prefixes, rows },
    scales: new Map(scales),
    patterns: new Set(names),
    vision: has("vision_model."),
    text: has("text_encoder."),
  };
}

/** Hugging Face's `BlipForImageTextRetrieval`, which export writes. */
export const blipNaming = naming(
  "BLIP retrieval, Hugging Face's names",
  [""],
  [...visionRows(null, "vision_model."), ...textRows("text_encoder."), ...projections],
);

const originalBlipNaming = naming(
  "BLIP retrieval, original names",
  [""],
  [...visionRows("timm", "visual_encoder."), ...textRows("text_encoder."), ...projections, ["temp", "temp"]],
  visionScales("timm", "visual_encoder."),
);

export const bertNaming = naming("BERT", ["", "bert."], textRows(""));

export const timmNaming = naming("ViT, timm's names", [""], visionRows("timm", ""), visionScales("timm", ""));

export const vitNaming = naming("ViT, Hugging Face's names", ["", "vit.", "deit."], visionRows("vit", ""));

const newVitNaming = naming(
  "ViT, Hugging Face's names since Transformers 5",
  ["", "vit.", "deit."],
  visionRows("newVit", ""),
);

export const dinov2Naming = naming(
  "DINOv2, Hugging Face's names",
  ["", "dinov2.", "dinov2_with_registers."],
  visionRows("dinov2", ""),
  visionScales("dinov2", ""),
);

export const towerNaming = naming(
  "CLIP's or SigLIP's vision model, Hugging Face's names",
  ["", "vision_model."],
  visionRows("tower", ""),
);

/** All namings, the first of equals before the rest. */
export const namings = [
  ...[blipNaming, originalBlipNaming, bertNaming, timmNaming],
  ...[vitNaming, newVitNaming, dinov2Naming, towerNaming],
];

/** A name taken apart: `a.3.b.weight` is layer 3 of `a.#.b.*`. */
export interface PatternedName {
  pattern: string;
  layer: string;
  leaf: string;
}

/** Old BERT checkpoints call a norm's weight gamma and its bias beta. */
const leaves: Record<string, string> = { weight: "weight", bias: "bias", gamma: "weight", beta: "bias" };

/** The pattern of a name. */
export function patternOf(name: string): PatternedName {
  let layer = "";
  let leaf = "";
  const pattern = name
    .replace(/\.(\d{1,9})\./, (_, digits: string) => {
      layer = digits;
      return ".#.";
    })
    .replace(/([._])(weight|bias|(?<=[Nn]orm\.)(?:gamma|beta))$/, (_, joint: string, word: string) => {
      leaf = leaves[word];
      return `${joint}*`;
    });
  return { pattern, layer, leaf };
}

/** The name that a pattern stands for. */
export function nameOf(pattern: string, { layer, leaf }: Pick<PatternedName, "layer" | "leaf">): string {
  return pattern.replace("#", layer).replace("*", leaf);
}
