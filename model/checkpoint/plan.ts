// From somebody else's checkpoint to CASE's parameters: which naming it is, how large the model is, where each
// parameter comes from, and what is missing, mis-shaped, left out on purpose or unknown. Nothing is read before the
// plan is whole; then each parameter is read by itself.
import { sizeOf } from "../../engine/base/shape.ts";
import { caseSpecs } from "../case.ts";
import { type ModelConfig, modelSchema } from "../config.ts";
import { type Initial, initialValues, type ParameterSpec } from "../parameters.ts";
import { CheckpointError, isFloat, quote } from "../safetensors.ts";
import { bertNaming, blipNaming, ignored, type Naming, nameOf, patternOf, vitNaming } from "./names.ts";
import { resizePositions } from "./positions.ts";
import { bareName, requireNaming } from "./recognise.ts";
import type { Checkpoint, TensorEntry } from "./tensor.ts";
import { wordsOf } from "./words.ts";

export interface PlanOptions {
  /** Side of the pictures that the model shall take; the checkpoint's own unless told. */
  imageSize?: number;
  /** Start what the checkpoint lacks afresh instead of refusing it. */
  partial?: boolean;
  /** The parsed config.json beside the checkpoint, null where there is none. */
  config?: unknown;
  /** The tokens by id of the vocabulary beside the checkpoint, null where there is none. */
  tokens?: readonly string[] | null;
  /** Of fresh values. */
  seed?: number;
}

/** A line of the table. */
export interface PlanLine {
  /** The checkpoint's names, or casement's where the checkpoint has nothing. */
  names: string[];
  /** Where it goes, or what is wrong or done with it. */
  note: string;
}

/** What becomes of everything in a checkpoint and of every parameter. */
export interface ImportPlan {
  /** What the checkpoint was taken for, for people. */
  title: string;
  model: ModelConfig;
  vocabulary: string[];
  parameters: PlannedParameter[];
  mapped: PlanLine[];
  ignored: PlanLine[];
  missing: PlanLine[];
  /** Of another shape or type than the parameter's. */
  misshaped: PlanLine[];
  unexpected: PlanLine[];
  /** Parameters, or rows of them, that start afresh. */
  fresh: PlanLine[];
  /** Choices that the checkpoint itself doesn't settle. */
  notes: string[];
}

/** A parameter and how to get its values. */
export interface PlannedParameter {
  name: string;
  shape: readonly number[];
  /** f32, row-major. Throws CheckpointError for a cut file. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

const wordTable = "text_encoder.embeddings.word_embeddings.weight";
const textPositions = "text_encoder.embeddings.position_embeddings.weight";
const imagePositions = "vision_model.embeddings.position_embedding";
const tokenTypes = "embeddings.token_type_embeddings.weight";

/** Width of an attention head in every published BERT, ViT and BLIP of the usual sizes. */
const headWidth = 64;
/** Beyond any published size; a file must not ask for more memory than it has reason to. */
const mostWidth = 8192;

/** A checkpoint's tensors under casement's names. */
class Lookup {
  /** Tensors by the checkpoint's name without prefix, gamma and beta by their new names. */
  private readonly byName = new Map<string, { name: string; entry: TensorEntry }>();
  /** Names that have been asked for. */
  readonly used = new Set<string>();
  readonly naming: Naming;
  readonly size: number;

  constructor({ tensors }: Checkpoint, { naming, prefix }: { naming: Naming; prefix: string }) {
    this.naming = naming;
    this.size = tensors.size;
    for (const [name, entry] of tensors) {
      const bare = bareName(name, prefix);
      if (bare === null) continue;
      const { pattern, layer, leaf } = patternOf(bare);
      const theirs = nameOf(pattern, { layer, leaf });
      const other = this.byName.get(theirs);
      if (other)
        throw new CheckpointError(`${quote(other.name)} and ${quote(name)} are the same tensor twice`);
      this.byName.set(theirs, { name, entry });
    }
  }

  /** Under what names a parameter is kept; empty where the naming has no such thing. */
  names(ours: string): string[] {
    const { pattern, ...rest } = patternOf(ours);
    return (this.naming.rows.get(pattern) ?? []).map((theirs) => nameOf(theirs, rest));
  }

  get(theirs: string): { name: string; entry: TensorEntry } | undefined {
    const found = this.byName.get(theirs);
    if (found) this.used.add(found.name);
    return found;
  }

  /** The shape of the first tensor of a parameter without leading ones, undefined where it is not there. */
  shape(ours: string): readonly number[] | undefined {
    const found = this.byName.get(this.names(ours)[0] ?? "");
    return found && withoutLeadingOnes(found.entry.shape);
  }

  /** How many layers there are under a name of casement's with #. Throws CheckpointError for an absurd number. */
  depth(ours: string): number {
    const theirs = (this.naming.rows.get(ours) ?? [])[0];
    let depth = 0;
    for (const name of this.byName.keys()) {
      const { pattern, layer } = patternOf(name);
      if (pattern === theirs) depth = Math.max(depth, Number(layer) + 1);
    }
    if (depth > this.size)
      throw new CheckpointError(`there is a layer ${depth - 1}, but too few tensors for it`);
    return depth;
  }
}

/**
 * Plans the import of a checkpoint. Throws CheckpointError where it is no model that is known, where its sizes
 * contradict each other or a vocabulary is needed and not there; missing and mis-shaped tensors are left to
 * `requireWhole`, so that the table can be shown first.
 */
export async function planImport(checkpoint: Checkpoint, options: PlanOptions = {}): Promise<ImportPlan> {
  const known = requireNaming(checkpoint);
  const lookup = new Lookup(checkpoint, known);
  const notes: string[] = [...(checkpoint.notes ?? [])];
  const config = usableConfig(options.config, known.naming, notes);
  const { model, grid } = deduceModel(lookup, { ...options, config }, notes);
  const rows = lookup.shape(wordTable)?.[0] ?? 0;
  const words = await wordsOf(rows, options.tokens ?? null, known.naming.vision && known.naming.text);
  const { vocabulary } = words;
  notes.push(...words.notes);
  const plan: ImportPlan = {
    title: `${known.naming.title}, ${checkpoint.format}`,
    ...{ model, vocabulary, notes },
    ...{ parameters: [], mapped: [], ignored: [], missing: [], misshaped: [], unexpected: [], fresh: [] },
  };
  for (const spec of caseSpecs(model, vocabulary.length)) {
    planParameter(plan, lookup, spec, { ...options, config }, grid, rows);
  }
  for (const name of checkpoint.tensors.keys()) {
    if (lookup.used.has(name)) continue;
    const why = ignored.find(([pattern]) => pattern.test(name))?.[1];
    if (why) plan.ignored.push({ names: [name], note: why });
    else plan.unexpected.push({ names: [name], note: `[${checkpoint.tensors.get(name)!.shape}]` });
  }
  return plan;
}

/** Throws CheckpointError where a plan has mis-shaped tensors, or missing ones that may not start afresh. */
export function requireWhole(plan: ImportPlan): void {
  const faults = [...plan.misshaped, ...plan.missing];
  if (faults.length === 0) return;
  const [{ names, note }] = faults;
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : "";
  const hint = plan.misshaped.length === 0 ? " With --partial, CASE starts from what is there." : "";
  throw new CheckpointError(
    `${plan.missing.length} tensors are missing and ${plan.misshaped.length} mis-shaped: ` +
      `${names.join(", ")} (${note})${more}.${hint}`,
  );
}

/** Decides where one parameter comes from and adds it to the plan. */
function planParameter(
  plan: ImportPlan,
  lookup: Lookup,
  spec: ParameterSpec,
  { partial = false, seed = 1, config }: PlanOptions,
  grid: number,
  rows: number,
): void {
  const { name, shape } = spec;
  const theirs = lookup.names(name);
  const found = theirs.map((source) => lookup.get(source));
  const add = (read: PlannedParameter["read"]) => plan.parameters.push({ name, shape, read });
  const fresh = (note: string) => {
    plan.fresh.push({ names: [name], note });
    add(async () => initialValues(spec, seed));
  };
  if (found.length === 0 && name === "temp") {
    const stated = asObject(asObject(config)?.casement)?.temperature;
    if (typeof stated === "number" && Number.isFinite(stated)) {
      plan.mapped.push({ names: ["temperature in config.json"], note: name });
      add(async () => Float32Array.of(stated));
    } else fresh(`${plan.model.temperature.initial}, BLIP's start`);
    return;
  }
  if (found.length === 0 || found.some((source) => !source)) {
    const lacking = theirs.filter((_, i) => !found[i]);
    if (partial) fresh(lacking.length > 0 ? `the checkpoint lacks ${lacking.join(", ")}` : "no such part");
    else plan.missing.push({ names: lacking.length > 0 ? lacking : [name], note: `for ${name}` });
    return;
  }
  const sources = found.map((source) => source!);
  const expected = expectedShape(spec, sources.length, lookup, grid, rows);
  const wrong = sources.filter(({ entry }) => !isFloat(entry.dtype) || !fits(entry.shape, expected));
  for (const { name: source, entry } of wrong) {
    plan.misshaped.push({
      names: [source],
      note: `${entry.dtype} [${entry.shape}] where ${name} takes floats [${expected}]`,
    });
  }
  if (wrong.length > 0) return;
  const to = `${name} [${shape}]`;
  const names = sources.map((source) => source.name);
  const entries = sources.map((source) => source.entry);
  const width = shape.at(-1)!;
  const newGrid = plan.model.vision.imageSize / plan.model.vision.patchSize;
  if (name === imagePositions && newGrid !== grid) {
    plan.mapped.push({
      names,
      note: `${to}, resized from ${grid} x ${grid} to ${newGrid} x ${newGrid} patches`,
    });
    add(async () => resizePositions(await entries[0].read(), grid, newGrid, width));
  } else if (name === wordTable && rows < shape[0]) {
    const lacking = plan.vocabulary.slice(rows);
    plan.mapped.push({ names, note: `${to}, with fresh rows` });
    plan.fresh.push({ names: [name], note: `the rows of ${lacking.join(", ")}` });
    add(async () => {
      const table = new Float32Array(sizeOf(shape));
      table.set(await entries[0].read());
      lacking.forEach((token, i) => {
        const row = { name: `${name}.${token}`, shape: [1, width], initial: spec.initial as Initial };
        table.set(initialValues(row, seed), (rows + i) * width);
      });
      return table;
    });
  } else if (name === textPositions && lookup.get(tokenTypes)) {
    const types = lookup.get(tokenTypes)!;
    if (!isFloat(types.entry.dtype) || types.entry.shape.length !== 2 || types.entry.shape[1] !== width) {
      plan.misshaped.push({
        names: [types.name],
        note: `[${types.entry.shape}] where ${width} columns are due`,
      });
      return;
    }
    plan.mapped.push({ names: [...names, types.name], note: `${to}, the first token type added` });
    add(async () => {
      const positions = await entries[0].read();
      const type = await types.entry.read();
      return positions.map((value, i) => value + type[i % width]);
    });
  } else {
    plan.mapped.push({ names, note: sources.length > 1 ? `${to}, one after the other` : to });
    add(async () => {
      if (entries.length === 1) return entries[0].read();
      const whole = new Float32Array(sizeOf(shape));
      let at = 0;
      for (const entry of entries) {
        const part = await entry.read();
        whole.set(part, at);
        at += part.length;
      }
      return whole;
    });
  }
}

/** The shape that each of a parameter's tensors must have in the checkpoint. */
function expectedShape(
  { name, shape }: ParameterSpec,
  parts: number,
  lookup: Lookup,
  grid: number,
  rows: number,
): readonly number[] {
  if (name === imagePositions) return [1 + grid * grid, shape[1]];
  if (name === wordTable) return [rows, shape[1]];
  // A convolution's weight is [width, 3, patch, patch] there and [width, 3 * patch * patch] here.
  const own = patternOf(name).pattern === "vision_model.embeddings.patch_embedding.*" && lookup.shape(name);
  if (own && own.length === 4 && sizeOf(own.slice(1)) === shape[1]) return [shape[0], ...own.slice(1)];
  return parts > 1 ? [shape[0] / parts, ...shape.slice(1)] : shape;
}

function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((extent) => extent !== 1);
  return first < 0 ? [] : shape.slice(first);
}

function fits(shape: readonly number[], expected: readonly number[]): boolean {
  return `${withoutLeadingOnes(shape)}` === `${withoutLeadingOnes(expected)}`;
}

/**
 * A config.json that belongs to the model. One without a model_type is somebody else's and does not count; one of
 * another type would mean another computation on tensors of the same names (RoBERTa's positions start at 2), so it
 * ends in a CheckpointError.
 */
function usableConfig(config: unknown, naming: Naming, notes: string[]): unknown {
  const type = asObject(config)?.model_type;
  if (typeof type !== "string") {
    if (config) notes.push("config.json names no model_type and was not used");
    return null;
  }
  const own = naming.vision && naming.text ? "blip" : naming.text ? "bert" : "vit";
  if (type !== own) {
    throw new CheckpointError(
      `config.json says model_type ${quote(type)}, the tensors are named as "${own}" has them`,
    );
  }
  return config;
}

/** What a config.json says of one of the two encoders; anything may be missing or of another type. */
interface EncoderConfig {
  num_attention_heads?: unknown;
  layer_norm_eps?: unknown;
  hidden_act?: unknown;
}

/** The sizes of the model, from the shapes; heads and epsilons from config.json or as the naming's models have them. */
function deduceModel(
  lookup: Lookup,
  { imageSize, partial, config }: PlanOptions,
  notes: string[],
): { model: ModelConfig; grid: number } {
  const { naming } = lookup;
  const top = asObject(config);
  const own = asObject(asObject(top?.casement)?.model);
  const vision: Record<string, unknown> = { ...asObject(own?.vision) };
  const text: Record<string, unknown> = { ...asObject(own?.text) };
  let grid = 0;
  const patches = lookup.shape("vision_model.embeddings.patch_embedding.weight");
  const positions = lookup.shape(imagePositions);
  if (patches && positions) {
    const [width, channels, patchSize, wide] = patches;
    if (patches.length !== 4 || channels !== 3 || patchSize !== wide) {
      throw new CheckpointError(`the patch embedding is [${patches}], not [width, 3, patch, patch]`);
    }
    grid = Math.round(Math.sqrt(positions[0] - 1));
    if (positions.length !== 2 || grid < 1 || grid * grid + 1 !== positions[0]) {
      throw new CheckpointError(
        `the position embedding [${positions}] is no class token and a square of patches`,
      );
    }
    const inner = lookup.shape("vision_model.encoder.layers.0.mlp.fc1.weight")?.[0] ?? 4 * width;
    Object.assign(vision, {
      ...{ width, patchSize, imageSize: imageSize ?? grid * patchSize, mlpRatio: inner / width },
      depth: lookup.depth("vision_model.encoder.layers.#.layer_norm1.*"),
    });
    const said = asObject(top?.vision_config) ?? (naming.text ? undefined : top);
    applyEncoder("vision", vision, said, visionDefaults(naming, said !== undefined), notes);
  } else if (imageSize !== undefined) vision.imageSize = imageSize;
  const words = lookup.shape(wordTable);
  const places = lookup.shape(textPositions);
  if (words && places) {
    const [, width] = words;
    const inner = lookup.shape("text_encoder.encoder.layer.0.intermediate.dense.weight")?.[0] ?? 4 * width;
    Object.assign(text, {
      ...{ width, intermediate: inner, maxPositions: places[0] },
      ...{ depth: lookup.depth("text_encoder.encoder.layer.#.attention.output.dense.*") },
      maxLength: Math.min(Number(text.maxLength ?? 35), places[0]),
    });
    const said = asObject(top?.text_config) ?? (naming.vision ? undefined : top);
    applyEncoder("text", text, said, textDefaults(naming, said !== undefined), notes);
  }
  if (!partial && naming.vision && naming.text && !(patches && positions && words && places)) {
    throw new CheckpointError(
      "the checkpoint lacks embeddings that tell the model's size; --partial goes on",
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
  const largest = Math.max(
    ...widths,
    model.vision.imageSize,
    (model.vision.mlpRatio * model.vision.width) / 4,
  );
  if (largest > mostWidth)
    throw new CheckpointError(`a size of ${largest} is beyond the ${mostWidth} that are read`);
  return { model, grid: grid || model.vision.imageSize / model.vision.patchSize };
}

/** Heads (null: from the width) and epsilon of a naming's vision transformer, where config.json leaves them out. */
function visionDefaults(naming: Naming, configured: boolean): { heads: number | null; epsilon: number } {
  if (naming === blipNaming && configured) return { heads: 12, epsilon: 1e-5 };
  if (naming.title.startsWith(vitNaming.title)) return { heads: configured ? 12 : null, epsilon: 1e-12 };
  return { heads: null, epsilon: 1e-6 };
}

/** The same for the text encoder. Hugging Face's BlipTextConfig has 8 heads unless told, whatever the width. */
function textDefaults(naming: Naming, configured: boolean): { heads: number | null; epsilon: number } {
  if (!configured) return { heads: null, epsilon: 1e-12 };
  return { heads: naming === bertNaming ? 12 : 8, epsilon: 1e-12 };
}

function applyEncoder(
  part: string,
  sizes: Record<string, unknown>,
  said: EncoderConfig | undefined,
  { heads, epsilon }: { heads: number | null; epsilon: number },
  notes: string[],
): void {
  const { num_attention_heads: saidHeads, layer_norm_eps: saidEpsilon, hidden_act: activation } = said ?? {};
  if (activation !== undefined && activation !== "gelu") {
    throw new CheckpointError(
      `config.json: the ${part} encoder's hidden_act is ${quote(activation)}; only "gelu" is computed`,
    );
  }
  const width = sizes.width as number;
  if (saidHeads === undefined && heads === null && width % headWidth !== 0) {
    throw new CheckpointError(
      `the ${part} encoder is ${width} wide, no multiple of ${headWidth}: ` +
        "put a config.json with its num_attention_heads beside the checkpoint",
    );
  }
  sizes.heads = saidHeads ?? heads ?? width / headWidth;
  sizes.layerNormEpsilon = saidEpsilon ?? epsilon;
  const source = (value: unknown) => (value === undefined ? "assumed" : "config.json");
  notes.push(
    `${part}: ${sizes.heads} heads (${source(saidHeads)}), layer norm epsilon ${sizes.layerNormEpsilon} (${source(saidEpsilon)})`,
  );
}

/** A value as an object, undefined for anything else. */
function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
