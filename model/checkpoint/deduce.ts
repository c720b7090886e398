// The configuration of a model from its checkpoint: sizes from the shapes of its tensors, its parts from which are there,
// and the rest from what the files beside it say, or as its kind of model has it.
import { sizeOf } from "../../engine/base/shape.ts";
import { type Activation, type ModelConfig, modelSchema } from "../config.ts";
import { PICTURE_MEAN, PICTURE_STD } from "../picture.ts";
import { CheckpointError } from "../safetensors.ts";
import { mlpWidth } from "../vit.ts";
import { addedTokens } from "../vocabulary.ts";
import { headsOf } from "./heads.ts";
import type { Lookup } from "./lookup.ts";
import { bertNaming, dinov2Naming, type Naming, timmNaming, towerNaming, vitNaming } from "./names.ts";
import { asObject, type EncoderSettings, type Fields, type Settings, type Size } from "./settings.ts";

export const wordTable = "text_encoder.embeddings.word_embeddings.weight";
export const textPositions = "text_encoder.embeddings.position_embeddings.weight";
export const imagePositions = "vision_model.embeddings.position_embedding";
const attentionOf = (layer: number | "#") => `vision_model.encoder.layers.${layer}.self_attn`;

/** Beyond any published size; a file must not ask for more memory than it has reason to. */
const mostWidth = 8192;

/** What the checkpoint's form settles besides the model's sizes. */
export interface Deduced {
  /** Side of its pictures in patches. */
  grid: number;
  /** Rows of its position table before those of the patches. */
  placed: number;
  /** Patterns of the biases that its kind of model has not. */
  unbiased: ReadonlySet<string>;
  /** Whether a table of token types must be there. */
  typed: boolean;
}

/** What the user says of the model. */
export interface GivenSizes {
  /** Side of the pictures that it shall take; the checkpoint's own unless told. */
  imageSize?: number;
  /** Start what the checkpoint lacks afresh instead of refusing it. */
  partial?: boolean;
  /** Attention heads of the vision encoder, or of the only encoder there is. */
  heads?: number;
  /** Attention heads of the text encoder. */
  textHeads?: number;
}

/** The sizes of the model, from the shapes; the rest from config.json or as the naming's models have it. */
export function deduceModel(
  lookup: Lookup,
  { imageSize, partial, heads, textHeads }: GivenSizes,
  settings: Settings,
  notes: string[],
): { model: ModelConfig } & Deduced {
  const { naming } = lookup;
  const own = asObject(settings.casement?.model);
  const vision: Record<string, unknown> = { ...asObject(own?.vision) };
  const text: Record<string, unknown> = { ...asObject(own?.text) };
  const unbiased = new Set<string>();
  let layout = { grid: 0, placed: 1 };
  const patches = lookup.shape("vision_model.embeddings.patch_embedding.weight");
  const positions = lookup.whole(imagePositions);
  if (patches && positions) {
    const [width, channels, patchSize, wide] = patches;
    if (patches.length !== 4 || channels !== 3 || patchSize !== wide) {
      throw new CheckpointError(`the patch embedding is [${patches}], not [width, 3, patch, patch]`);
    }
    const said = settings.vision;
    const form = visionForm(lookup, width, said, own);
    layout = placesOf(lookup, positions, width, patchSize, form, said);
    const inner = innerOf(lookup, "vision_model.encoder.layers.0.mlp.fc1", width);
    const depth = lookup.depth("vision_model.encoder.layers.#.layer_norm1.*");
    const ownSize = layout.grid * patchSize;
    const { size, ...pixels } = settings.pixels;
    const told = Object.fromEntries(Object.entries(pixels).filter(([, value]) => value !== undefined));
    Object.assign(vision, form, told, {
      ...{ width, patchSize, imageSize: imageSize ?? size ?? ownSize, mlpRatio: inner / width, depth },
    });
    notes.push(pictureNote(vision, Object.keys(told).length > 0 || own !== undefined));
    requireSizes("vision", said, {
      ...{ width, depth, inner, patch: patchSize, channels, image: ownSize, registers: form.registers },
      projection: lookup.shape("vision_proj.weight")?.[0],
    });
    const headSize = lookup.shape(`${attentionOf(0)}.query_norm.weight`)?.[0];
    const known = headSize === undefined ? undefined : width / headSize;
    applyEncoder(
      "vision",
      vision,
      said,
      visionDefaults(naming, form),
      { heads, shown: known, option: "--heads", sizes: { width, depth, inner } },
      notes,
    );
    for (const [pattern, may] of [
      [`${attentionOf("#")}.qkv`, true],
      [`vision_model.embeddings.patch_embedding`, form.preNorm],
    ] as const) {
      if (may && !lookup.has(`${pattern}.bias`)) unbiased.add(`${pattern}.*`);
    }
    const qkv = `${attentionOf("#")}.qkv.*`;
    if (said.biases === true) unbiased.delete(qkv);
    if (said.biases === false && !unbiased.has(qkv)) {
      throw new CheckpointError(
        "config.json says that queries, keys and values have no biases, but they are there",
      );
    }
    if (unbiased.size > 0) notes.push(`vision: no biases of ${[...unbiased].map(lastParts).join(" and ")}`);
  } else if (imageSize !== undefined) vision.imageSize = imageSize;
  const words = lookup.shape(wordTable);
  const places = lookup.shape(textPositions);
  if (words && places) {
    const [, width] = words;
    const inner = innerOf(lookup, "text_encoder.encoder.layer.0.intermediate.dense", width);
    const depth = lookup.depth("text_encoder.encoder.layer.#.attention.output.dense.*");
    Object.assign(text, {
      ...{ width, intermediate: inner, maxPositions: places[0], depth },
      maxLength: Math.min(Number(text.maxLength ?? 35), places[0]),
    });
    const keys = "text_encoder.encoder.layer.0.crossattention.self.key_value.weight";
    requireSizes("text", settings.text, {
      ...{ width, depth, inner, places: places[0], words: words[0], imageWidth: lookup.shape(keys)?.[1] },
      types: naming.vision ? undefined : (lookup.tokenTypes?.entry.shape[0] ?? 0),
    });
    applyEncoder(
      "text",
      text,
      settings.text,
      { epsilon: 1e-12, activation: "gelu" },
      {
        heads: textHeads ?? (naming.vision ? undefined : heads),
        option: naming.vision ? "--text-heads" : "--heads",
        sizes: { width, depth, inner },
      },
      notes,
    );
  }
  const sizing = [
    ...(naming.vision
      ? ([
          ["vision_model.embeddings.patch_embedding.weight", patches],
          [imagePositions, positions],
        ] as const)
      : []),
    ...(naming.text
      ? ([
          [wordTable, words],
          [textPositions, places],
        ] as const)
      : []),
  ];
  const lacking = sizing.flatMap(([name, shape]) => (shape ? [] : lookup.names(name)));
  const both = naming.vision && naming.text;
  if (lacking.length > 0 && !(partial && both)) {
    const hint = both ? "; --partial goes on" : "";
    throw new CheckpointError(
      `the checkpoint lacks ${lacking.join(", ")}, which tell the model's size${hint}`,
    );
  }
  const projection =
    lookup.shape("vision_proj.weight")?.[0] ?? lookup.shape("text_proj.weight")?.[0] ?? own?.projection;
  const wanted = { ...own, vision, text, ...(projection === undefined ? {} : { projection }) };
  const parsed = modelSchema.safeParse(wanted);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join(".") || "model"}: ${issue.message}`,
    );
    throw new CheckpointError(`the model's sizes don't go together: ${problems.slice(0, 3).join("; ")}`);
  }
  const model = parsed.data;
  if (model.fusion !== "early")
    throw new CheckpointError(`fusion "${model.fusion}" is no form that BLIP has`);
  const widths = [model.vision.width, model.text.width, model.text.intermediate, model.projection];
  const largest = Math.max(...widths, model.vision.imageSize, mlpWidth(model.vision) / 4);
  if (largest > mostWidth)
    throw new CheckpointError(`a size of ${largest} is beyond the ${mostWidth} that are read`);
  const grid = layout.grid || model.vision.imageSize / model.vision.patchSize;
  const typed = naming === bertNaming && settings.text.sizes.get("types")?.value !== 0;
  return { model, ...layout, grid, unbiased, typed };
}

/** Hidden width of a feed-forward part, from its first layer. */
const innerOf = (lookup: Lookup, first: string, width: number) =>
  (lookup.shape(`${first}.weight`) ?? lookup.shape(`${first}.bias`))?.[0] ?? 4 * width;

/** How pictures are prepared, for people. */
function pictureNote(vision: Record<string, unknown>, told: boolean): string {
  const { fit = "squash", zoom = 1, filter = "bicubic", mean = PICTURE_MEAN, std = PICTURE_STD } = vision;
  const by = zoom === 1 ? "" : `, the middle of ${Number(zoom).toFixed(3)} times as much`;
  const why = told ? "as told beside it" : "as for BLIP, assumed";
  return `pictures: ${fit} to ${vision.imageSize} by ${filter}${by}, mean ${mean}, deviation ${std} (${why})`;
}

/** The end of a pattern, for people. */
const lastParts = (pattern: string) => pattern.replace(".*", "").split(".").at(-1)!;

/** What parts a vision transformer has, from its tensors, and how it pools where these leave it open. */
function visionForm(lookup: Lookup, width: number, said: EncoderSettings, own: Fields | undefined) {
  const ours = (name: string) => `vision_model.${name}`;
  const either = (name: string) => lookup.has(`${ours(name)}.weight`) || lookup.has(`${ours(name)}.bias`);
  const classToken = lookup.has(ours("embeddings.class_embedding"));
  const registers = sizeOf(lookup.whole(ours("embeddings.register_embedding")) ?? [0]) / width;
  const ownVision = asObject(own?.vision);
  const [norm = ""] = lookup.names(ours("post_layernorm.weight"));
  const afterPooling = /(^|\.)fc_norm\./.test(norm);
  if (afterPooling && lookup.naming.text) {
    throw new CheckpointError(
      `${norm}: this norm is of what timm's model pools its tokens to, and nothing beside a BLIP tells how ` +
        "(their mean with or without the first ones, their maximum): not computed",
    );
  }
  const shown = lookup.hasPart(ours("head.")) ? "attention" : !classToken || afterPooling ? "mean" : "token";
  // CLIP's last norm is of the class token alone.
  const pooledNorm = afterPooling || (lookup.naming === towerNaming && classToken);
  return {
    classToken,
    registers,
    preNorm: either("pre_layernorm"),
    queryKeyNorm:
      either("encoder.layers.#.self_attn.query_norm") || either("encoder.layers.#.self_attn.key_norm"),
    pooling: said.pooling ?? ownVision?.pooling ?? shown,
    finalNorm: ownVision?.finalNorm ?? (pooledNorm ? "pooled" : "tokens"),
  };
}

/** How many tokens in front of those of the patches may have a place in the table. */
function placedTokens(
  lookup: Lookup,
  { classToken, registers }: { classToken: boolean; registers: number },
  said: EncoderSettings,
): number[] {
  const { naming } = lookup;
  const [all, first] = [Number(classToken) + registers, Number(classToken)];
  // DINOv2's registers have none, in its own names neither.
  const own = lookup.names("vision_model.embeddings.register_embedding")[0] === "register_tokens";
  if (naming === dinov2Naming || naming === towerNaming || (own && registers > 0)) return [first];
  if (naming !== timmNaming) return [all];
  if (said.patchPositionsOnly === undefined) return [...new Set([all, 0])];
  return [said.patchPositionsOnly ? 0 : all];
}

/** Side of the pictures in patches, and how many tokens in front of them have a place, from the position table. */
function placesOf(
  lookup: Lookup,
  positions: readonly number[],
  width: number,
  patchSize: number,
  form: { classToken: boolean; registers: number },
  said: EncoderSettings,
): { grid: number; placed: number } {
  const rows = sizeOf(positions) / width;
  const all = Number(form.classToken) + form.registers;
  const image = said.sizes.get("image")?.value;
  const grids = placedTokens(lookup, form, said).flatMap((placed) => {
    const grid = Math.sqrt(rows - placed);
    const fits = Number.isInteger(grid) && grid > 0 && (image === undefined || grid * patchSize === image);
    return fits ? [{ grid, placed }] : [];
  });
  if (positions.at(-1) !== width || grids.length === 0) {
    const tokens = all === 0 ? "" : all === 1 ? "a class token and " : `${all} tokens and `;
    const size = image === undefined ? "" : ` of ${image} pixels, as config.json says`;
    const token = lookup.names("vision_model.embeddings.class_embedding").join();
    const without = form.classToken ? "" : `, there being no ${token}`;
    throw new CheckpointError(
      `the position embedding [${positions}] is no ${tokens}square of patches${size}${without}`,
    );
  }
  if (grids.length > 1) {
    const ways = grids.map(({ grid, placed }) => `${placed} tokens and ${grid} x ${grid} patches`);
    throw new CheckpointError(
      `the position embedding [${positions}] may be ${ways.join(" or ")}: put a config.json with image_size beside the checkpoint`,
    );
  }
  return grids[0];
}

/** Throws CheckpointError where config.json says another size than the tensors have. */
function requireSizes(part: string, { sizes }: EncoderSettings, actual: Partial<Record<Size, number>>): void {
  for (const [size, { field, value }] of sizes) {
    const { width = 0, inner = 0 } = actual;
    const there = size === "ratio" ? inner : actual[size];
    const due = size === "ratio" ? Math.trunc(width * value) : value;
    if (size === "words" && there !== undefined && isPadded(there, value)) continue;
    if (there !== undefined && there !== due) {
      throw new CheckpointError(`${field} is ${value}, but the ${part} encoder's tensors have ${there}`);
    }
  }
}

/**
 * Whether a word table has more rows than its vocabulary for no other reason than that BLIP's tokens were added, or that
 * it was filled up to a multiple that hardware likes.
 */
function isPadded(rows: number, words: number): boolean {
  const extra = rows - words;
  const filled = [8, 16, 32, 64, 128, 256, 512].some((unit) => rows % unit === 0 && extra < unit);
  return extra >= 0 && words > rows / 2 && (filled || extra <= addedTokens.length);
}

interface Defaults {
  epsilon: number;
  /** null: there are several. */
  activation: Activation | null;
}

/** What a naming's vision transformers have where no config.json says it. */
function visionDefaults(
  naming: Naming,
  { preNorm, pooling }: { preNorm: boolean; pooling: unknown },
): Defaults {
  const other = preNorm || pooling === "attention" || naming === towerNaming;
  const epsilon = naming.title.startsWith(vitNaming.title) ? 1e-12 : preNorm ? 1e-5 : 1e-6;
  return { epsilon, activation: other ? null : "gelu" };
}

/** Where an encoder's number of heads may come from. */
interface HeadSources {
  /** What the user says. */
  heads: number | undefined;
  /** What a tensor shows. */
  shown?: number;
  /** By which option the user says it. */
  option: string;
  sizes: Parameters<typeof headsOf>[1];
}

function applyEncoder(
  part: "vision" | "text",
  sizes: Record<string, unknown>,
  said: EncoderSettings,
  defaults: Defaults,
  given: HeadSources,
  notes: string[],
): void {
  if (given.heads !== undefined && said.heads !== undefined && given.heads !== said.heads) {
    throw new CheckpointError(
      `${given.option} ${given.heads}: config.json says ${said.heads} heads of the ${part} encoder`,
    );
  }
  const sources = [
    { heads: given.heads, why: given.option },
    { heads: said.heads, why: "config.json" },
    { heads: given.shown, why: "as wide as their norms" },
    { heads: said.usualHeads, why: "as its class has where config.json is silent" },
  ];
  const { heads, why } =
    sources.find((source) => source.heads !== undefined) ?? headsOf(part, given.sizes, given.option);
  sizes.heads = heads;
  sizes.layerNormEpsilon = said.epsilon ?? defaults.epsilon;
  sizes.activation = said.activation ?? sizes.activation ?? defaults.activation;
  if (sizes.activation === null) {
    throw new CheckpointError(
      `CLIP and SigLIP come with several kinds of GELU, and the tensors don't tell which: put a config.json with ` +
        `"hidden_act" ("gelu", "quick_gelu" or "gelu_pytorch_tanh") beside the checkpoint`,
    );
  }
  const source = (value: unknown) => (value === undefined ? "assumed" : "config.json");
  notes.push(
    `${part}: ${heads} heads (${why}), layer norm epsilon ${sizes.layerNormEpsilon} ` +
      `(${source(said.epsilon)}), ${sizes.activation} (${source(said.activation)})`,
  );
}
