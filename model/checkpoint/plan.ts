// From somebody else's checkpoint to CASE's parameters: which naming it is, how large the model is, where each
// parameter comes from, and what is missing, mis-shaped, left out on purpose or unknown. Nothing is read before the
// plan is whole; then each parameter is read by itself.
import { sizeOf } from "../../engine/base/shape.ts";
import { caseSpecs } from "../case.ts";
import type { ModelConfig } from "../config.ts";
import { type Initial, initialValues, type ParameterSpec } from "../parameters.ts";
import { CheckpointError, isFloat } from "../safetensors.ts";
import { prefixTokens } from "../vit.ts";
import {
  type Deduced,
  deduceModel,
  type GivenSizes,
  imagePositions,
  textPositions,
  wordTable,
} from "./deduce.ts";
import { type Found, Lookup, SetAside, tokenTypes, withoutLeadingOnes } from "./lookup.ts";
import { patternOf } from "./names.ts";
import { resizePositions } from "./positions.ts";
import { requireNaming } from "./recognise.ts";
import { readPreprocessors, readSettings, requireTokenizer } from "./settings.ts";
import type { Checkpoint } from "./tensor.ts";
import { wordsOf } from "./words.ts";

export interface PlanOptions extends GivenSizes {
  /**
   * What counts as not there: names of tensors, and of fields as `config.json:FIELD`, in which * stands for any
   * characters.
   */
  ignore?: readonly string[];
  /** The parsed config.json beside the checkpoint, null where there is none. */
  config?: unknown;
  /** The parsed preprocessor_config.json beside it, null where there is none. */
  preprocessor?: unknown;
  /** The parsed processor_config.json beside it, null where there is none. */
  processor?: unknown;
  /** The parsed tokenizer_config.json beside it, null where there is none. */
  tokenizer?: unknown;
  /**
   * The tokens by id of the vocabulary beside the checkpoint, null where there is none; an error where it can't be used,
   * which is thrown where the checkpoint has texts.
   */
  tokens?: readonly string[] | CheckpointError | null;
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
  /** Whether what lacks may start afresh. */
  partial: boolean;
  parameters: PlannedParameter[];
  mapped: PlanLine[];
  ignored: PlanLine[];
  missing: PlanLine[];
  /** Of another shape or type than the parameter's. */
  misshaped: PlanLine[];
  /** Within an encoder, and not known: what it computes would be another. */
  unknown: PlanLine[];
  /** Outside of the encoders. */
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

/**
 * Plans the import of a checkpoint. Throws CheckpointError where it is no model that is known, where its sizes
 * contradict each other or what config.json says, where that says something that is not computed, and where a vocabulary
 * is needed and not there; missing, mis-shaped and unknown tensors are left to `requireWhole`, so that the table can be
 * shown first.
 */
export async function planImport(checkpoint: Checkpoint, options: PlanOptions = {}): Promise<ImportPlan> {
  const aside = new SetAside(options.ignore ?? []);
  const names = [...checkpoint.tensors.keys()];
  const leftOut = new Set(names.filter((name) => aside.has(name)));
  const kept = [...checkpoint.tensors].filter(([name]) => !leftOut.has(name));
  const rest = { ...checkpoint, tensors: new Map(kept) };
  const known = requireNaming(rest);
  const lookup = new Lookup(rest, known);
  const notes = [...(checkpoint.notes ?? [])];
  const ignores = (name: string) => aside.has(name);
  const settings = readSettings(options.config, known.naming, ignores, notes);
  if (known.naming.vision) settings.pixels = readPreprocessors(options, ignores) ?? settings.pixels;
  if (known.naming.text) requireTokenizer(options.tokenizer, ignores);
  aside.requireUsed();
  const { model, grid, ...deduced } = deduceModel(lookup, options, settings, notes);
  const rows = lookup.shape(wordTable)?.[0] ?? 0;
  if (rows === 0 && lookup.shape(wordTable))
    throw new CheckpointError("the table of word embeddings is empty");
  let { tokens = null } = options;
  if (tokens instanceof CheckpointError) {
    if (known.naming.text) throw tokens;
    notes.push("the vocabulary beside it was not used: it is no lower-case BERT's");
    tokens = null;
  }
  const words = await wordsOf(rows, tokens, known.naming.vision && known.naming.text);
  const { vocabulary } = words;
  notes.push(...words.notes);
  const plan: ImportPlan = {
    title: `${known.naming.title}, ${checkpoint.format}`,
    ...{ model, vocabulary, notes, partial: options.partial ?? false, parameters: [] },
    ...{ mapped: [], ignored: [], missing: [], misshaped: [], unknown: [], unexpected: [], fresh: [] },
  };
  const temperature = settings.casement?.temperature;
  const context: Context = { plan, lookup, grid, rows, ...deduced, ...options, temperature };
  for (const spec of caseSpecs(model, vocabulary.length)) planParameter(context, spec);
  for (const name of names) {
    if (lookup.used.has(name)) continue;
    const why = leftOut.has(name) ? "--ignore" : lookup.whyNeedless(name);
    const { shape } = checkpoint.tensors.get(name)!;
    if (why !== null) plan.ignored.push({ names: [name], note: why });
    else (lookup.isInside(name) ? plan.unknown : plan.unexpected).push({ names: [name], note: `[${shape}]` });
  }
  return plan;
}

/**
 * Throws CheckpointError where a plan has mis-shaped tensors, ones that are not known within an encoder, or missing ones
 * that may not start afresh.
 */
export function requireWhole(plan: ImportPlan): void {
  const { unknown, misshaped, missing } = plan;
  const faults: string[] = [];
  if (unknown.length > 0) {
    const most = 8;
    const names = unknown.flatMap((line) => line.names);
    const more = names.length > most ? ` and ${names.length - most} more` : "";
    faults.push(
      `the encoder has tensors that are not known, so what is computed would differ from what it was trained to: ` +
        `${names.slice(0, most).join(", ")}${more}. For what changes nothing, --ignore PATTERN.`,
    );
  }
  const [first, ...others] = [...misshaped, ...missing];
  if (first) {
    const more = others.length > 0 ? `, and ${others.length} more` : "";
    const hint =
      misshaped.length === 0 && !plan.partial ? " With --partial, CASE starts from what is there." : "";
    faults.push(
      `${missing.length} tensors are missing and ${misshaped.length} mis-shaped: ` +
        `${first.names.join(", ")} (${first.note})${more}.${hint}`,
    );
  }
  if (faults.length > 0) throw new CheckpointError(faults.join(" "));
}

/** What deciding about a parameter goes by. */
interface Context extends Pick<PlanOptions, "partial" | "seed">, Deduced {
  plan: ImportPlan;
  lookup: Lookup;
  /** Rows of the checkpoint's word table. */
  rows: number;
  /** From config.json. */
  temperature: unknown;
}

/** Decides where one parameter comes from and adds it to the plan. */
function planParameter(context: Context, spec: ParameterSpec): void {
  const { plan, lookup, rows, partial = false, seed = 1, unbiased, typed, temperature } = context;
  const { name, shape } = spec;
  const theirs = lookup.names(name);
  const found = theirs.map((source) => lookup.get(source));
  const add = (read: PlannedParameter["read"]) => plan.parameters.push({ name, shape, read });
  const fresh = (note: string) => {
    plan.fresh.push({ names: [name], note });
    add(async () => initialValues(spec, seed));
  };
  if (found.length === 0 && name === "temp") {
    if (typeof temperature === "number" && Number.isFinite(temperature)) {
      plan.mapped.push({ names: ["temperature in config.json"], note: name });
      add(async () => Float32Array.of(temperature));
    } else fresh(`${plan.model.temperature.initial}, BLIP's start`);
    return;
  }
  const types = name === textPositions ? lookup.tokenTypes : undefined;
  if (name === textPositions && !types && typed)
    plan.missing.push({ names: [tokenTypes], note: `for ${name}` });
  const { pattern, leaf } = patternOf(name);
  if (leaf === "bias" && unbiased.has(pattern)) {
    add(async () => new Float32Array(sizeOf(shape)));
    return;
  }
  if (found.length === 0 || found.some((source) => !source)) {
    const lacking = theirs.filter((_, i) => !found[i]);
    // A file of one encoder lacks the rest of CASE; what lacks in the encoder itself is a hole.
    const isRest = found.length === 0 || (/\.crossattention\./.test(name) && !lookup.hasCrossAttention);
    const { vision, text } = lookup.naming;
    if (partial && ((vision && text) || isRest))
      fresh(lacking.length > 0 ? `the checkpoint lacks ${lacking.join(", ")}` : "no such part");
    else plan.missing.push({ names: lacking.length > 0 ? lacking : [name], note: `for ${name}` });
    return;
  }
  const sources = found.map((source) => source!);
  const expected = sources.map((_, i) => expectedShape(context, spec, theirs, i));
  const wrong = sources.flatMap(({ name, entry }, i) =>
    isFloat(entry.dtype) && fits(entry.shape, expected[i]) ? [] : [{ name, entry, due: expected[i] }],
  );
  for (const { name: source, entry, due } of wrong) {
    plan.misshaped.push({
      names: [source],
      note: `${entry.dtype} [${entry.shape}] where ${name} takes floats [${due}]`,
    });
  }
  if (wrong.length > 0) return;
  const to = `${name} [${shape}]`;
  const names = sources.map((source) => source.name);
  const entries = sources.map((source) => source.entry);
  const width = shape.at(-1)!;
  if (name === imagePositions) {
    planPositions(context, spec, sources[0]);
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
  } else if (types) {
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
  } else if (lookup.scale(name)) {
    const { name: factors, found: scale } = lookup.scale(name)!;
    // One layer without its factors is a hole, not another kind of model: nothing could start afresh.
    if (!scale) plan.missing.push({ names: [factors], note: `for ${name}` });
    else if (!isFloat(scale.entry.dtype) || !fits(scale.entry.shape, [shape[0]])) {
      plan.misshaped.push({ names: [scale.name], note: `[${scale.entry.shape}] where [${shape[0]}] is due` });
    } else {
      plan.mapped.push({ names: [...names, scale.name], note: `${to}, rows times their factors` });
      add(async () => {
        const values = await entries[0].read();
        const factors = await scale.entry.read();
        const columns = values.length / factors.length;
        return values.map((value, i) => value * factors[Math.floor(i / columns)]);
      });
    }
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

/** The position table, with rows of zeros for tokens that have none, resized where the picture has another size. */
function planPositions({ plan, grid, placed }: Context, { name, shape }: ParameterSpec, source: Found): void {
  const { vision } = plan.model;
  const [width, prefix] = [vision.width, prefixTokens(vision)];
  const newGrid = vision.imageSize / vision.patchSize;
  const notes = [
    `${name} [${shape}]`,
    ...(placed < prefix ? [`zeros for ${prefix - placed} tokens that have no place`] : []),
    ...(newGrid !== grid ? [`resized from ${grid} x ${grid} to ${newGrid} x ${newGrid} patches`] : []),
  ];
  plan.mapped.push({ names: [source.name], note: notes.join(", ") });
  plan.parameters.push({
    name,
    shape,
    read: async () => {
      const values = await source.entry.read();
      const table = new Float32Array(sizeOf(shape));
      table.set(values.subarray(0, placed * width));
      const patches = values.subarray(placed * width);
      table.set(newGrid === grid ? patches : resizePositions(patches, grid, newGrid, width), prefix * width);
      return table;
    },
  });
}

/** The shape that one of a parameter's tensors must have in the checkpoint. */
function expectedShape(
  { lookup, grid, placed, rows }: Context,
  { name, shape }: ParameterSpec,
  theirs: readonly string[],
  part: number,
): readonly number[] {
  if (name === imagePositions) return [placed + grid * grid, shape[1]];
  if (name === wordTable) return [rows, shape[1]];
  // A convolution's weight is [width, 3, patch, patch] there and [width, 3 * patch * patch] here.
  const own = patternOf(name).pattern === "vision_model.embeddings.patch_embedding.*" && lookup.shape(name);
  if (own && own.length === 4 && sizeOf(own.slice(1)) === shape[1]) return [shape[0], ...own.slice(1)];
  if (theirs.length === 1) return shape;
  // Keys and values in one tensor are two parts of three.
  const shares = theirs.map((source) => (/(^|\.)kv\./.test(source) ? 2 : 1));
  const all = shares.reduce((a, b) => a + b, 0);
  return [(shape[0] * shares[part]) / all, ...shape.slice(1)];
}

function fits(shape: readonly number[], expected: readonly number[]): boolean {
  return `${withoutLeadingOnes(shape)}` === `${withoutLeadingOnes(expected)}`;
}
