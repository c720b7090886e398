// One table of names: what casement calls a parameter, and what BLIP, BERT and ViT checkpoints call it in the namings
// of Hugging Face, of Salesforce's BLIP and of timm (blip-checkpoint.md has the shapes). # stands for a layer's number,
// * for weight or bias. A list means that casement keeps those tensors in one, row after row.

type Theirs = string | readonly string[];

/** Rows of the vision transformer: casement's name, and those of the columns below. */
type VisionRow = readonly [string, timm: string, vit: Theirs, vit5: Theirs];

/** Hugging Face's BLIP has casement's own names, timm's are the original BLIP's as well. */
const vision: readonly VisionRow[] = [
  ["embeddings.class_embedding", "cls_token", "embeddings.cls_token", "embeddings.cls_token"],
  [
    "embeddings.position_embedding",
    "pos_embed",
    "embeddings.position_embeddings",
    "embeddings.position_embeddings",
  ],
  [
    "embeddings.patch_embedding.*",
    "patch_embed.proj.*",
    "embeddings.patch_embeddings.projection.*",
    "embeddings.patch_embeddings.projection.*",
  ],
  [
    "encoder.layers.#.layer_norm1.*",
    "blocks.#.norm1.*",
    "encoder.layer.#.layernorm_before.*",
    "layers.#.layernorm_before.*",
  ],
  [
    "encoder.layers.#.self_attn.qkv.*",
    "blocks.#.attn.qkv.*",
    ["query", "key", "value"].map((part) => `encoder.layer.#.attention.attention.${part}.*`),
    ["q", "k", "v"].map((part) => `layers.#.attention.${part}_proj.*`),
  ],
  [
    "encoder.layers.#.self_attn.projection.*",
    "blocks.#.attn.proj.*",
    "encoder.layer.#.attention.output.dense.*",
    "layers.#.attention.o_proj.*",
  ],
  [
    "encoder.layers.#.layer_norm2.*",
    "blocks.#.norm2.*",
    "encoder.layer.#.layernorm_after.*",
    "layers.#.layernorm_after.*",
  ],
  [
    "encoder.layers.#.mlp.fc1.*",
    "blocks.#.mlp.fc1.*",
    "encoder.layer.#.intermediate.dense.*",
    "layers.#.mlp.fc1.*",
  ],
  [
    "encoder.layers.#.mlp.fc2.*",
    "blocks.#.mlp.fc2.*",
    "encoder.layer.#.output.dense.*",
    "layers.#.mlp.fc2.*",
  ],
  ["post_layernorm.*", "norm.*", "layernorm.*", "layernorm.*"],
];

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

/** What is left out on purpose, and why. */
export const ignored: readonly (readonly [RegExp, string])[] = [
  [/_m\./, "momentum copy"],
  [/(^|\.)(image|text|idx|ptr)_queue$|(^|\.)queue_ptr$/, "queue of the contrastive loss"],
  [/(^|\.)position_ids$/, "the numbers 0, 1, 2 …"],
  [/(^|\.)itm_head\./, "matching head, which CASE has not"],
  [/(^|\.)pooler\./, "pooler: CASE takes the first token"],
  [/(^|\.)text_decoder\./, "captioning decoder"],
  [/(^|\.)teacher\./, "the teacher's copy"],
  [/(^|\.)(model_ema|ema_model|ema)\./, "moving average"],
  [/(^|\.)(cls|classifier|head|qa_outputs)\./, "head of another task"],
];

/** One naming: its rows by casement's full name. */
export interface Naming {
  title: string;
  /** Which parts of CASE it has. */
  vision: boolean;
  text: boolean;
  /** What its own models have before all of its names; the holders of recognise.ts may stand before that. */
  prefixes: readonly string[];
  /** Casement's names to theirs. */
  rows: ReadonlyMap<string, readonly string[]>;
}

type Row = readonly [string, Theirs];

const list = (theirs: Theirs): readonly string[] => (typeof theirs === "string" ? [theirs] : theirs);

/** Vision rows under casement's names with one column's names behind `prefix`. */
function visionRows(column: 0 | 1 | 2 | 3, prefix: string): Row[] {
  return vision.map((row) => [`vision_model.${row[0]}`, list(row[column]).map((name) => prefix + name)]);
}

function textRows(prefix: string): Row[] {
  return text.map(([ours, theirs = ours]) => [
    `text_encoder.${ours}`,
    list(theirs).map((name) => prefix + name),
  ]);
}

const projections: Row[] = ["vision_proj.*", "text_proj.*"].map((name) => [name, name]);

function naming(title: string, prefixes: readonly string[], ...parts: readonly Row[][]): Naming {
  const rows = new Map(parts.flat().map(([ours, theirs]) => [ours, list(theirs)]));
  const has = (root: string) => [...rows.keys()].some((name) => name.startsWith(root));
  return { title, prefixes, rows, vision: has("vision_model."), text: has("text_encoder.") };
}

/** Hugging Face's `BlipForImageTextRetrieval`, which export writes. */
export const blipNaming = naming(
  "BLIP retrieval, Hugging Face's names",
  [""],
  visionRows(0, "vision_model."),
  textRows("text_encoder."),
  projections,
);

const originalBlipNaming = naming(
  "BLIP retrieval, original names",
  [""],
  visionRows(1, "visual_encoder."),
  textRows("text_encoder."),
  projections,
  [["temp", "temp"]],
);

export const bertNaming = naming("BERT", ["", "bert."], textRows(""));

const timmNaming = naming("ViT, timm's names", [""], visionRows(1, ""));

export const vitNaming = naming("ViT, Hugging Face's names", ["", "vit."], visionRows(2, ""));

const newVitNaming = naming(
  "ViT, Hugging Face's names since Transformers 5",
  ["", "vit."],
  visionRows(3, ""),
);

/** All namings, the first of equals before the rest. */
export const namings = [blipNaming, originalBlipNaming, bertNaming, timmNaming, vitNaming, newVitNaming];

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
    .replace(/\.(weight|bias|gamma|beta)$/, (_, word: string) => {
      leaf = leaves[word];
      return ".*";
    });
  return { pattern, layer, leaf };
}

/** The name that a pattern stands for. */
export function nameOf(pattern: string, { layer, leaf }: Pick<PatternedName, "layer" | "leaf">): string {
  return pattern.replace("#", layer).replace("*", leaf);
}
