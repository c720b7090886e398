// Single fields of a configuration as they are typed, `training.learningRate=1e-4`: the schema finds the field and says what
// its text stands for, so that a text "007" stays a text and "1e-4" is a number where a number is wanted, nowhere else.
// What a run that goes on may have otherwise than it began is held here too.
import type { z } from "zod";
import { ConfigError, configSchema, parseConfig, type RunConfig } from "./config.ts";
import { type Preset, withoutPreset, withPreset } from "./presets.ts";

/** A field's new value. */
export interface Setting {
  /** From the top of the configuration; entries of lists by their index. */
  path: string;
  value: unknown;
  /** As it was typed. */
  text: string;
}

/** What is read of a schema; zod's own types name each kind apart. */
interface Node {
  def: { type: string; innerType?: Node; in?: Node; items?: Node[]; options?: Node[]; values?: unknown[] };
  shape?: Record<string, Node>;
  element?: Node;
  options?: string[];
  safeParse(value: unknown): { success: boolean; error?: z.ZodError };
}

/** The kinds that a field can be: defaults and the like say nothing of it, and a union is one of several. */
function kinds(node: Node): Node[] {
  const { type, innerType, in: before, options } = node.def;
  if (type === "union") return options!.flatMap(kinds);
  const inner = innerType ?? before;
  return inner ? kinds(inner) : [node];
}

/** What lies at a key of a field. */
function inside(node: Node, key: string): Node[] {
  return kinds(node).flatMap(({ def, shape, element }) => {
    if (shape) return Object.hasOwn(shape, key) ? [shape[key]!] : [];
    if (!/^(0|[1-9]\d{0,8})$/.test(key)) return [];
    return (def.type === "tuple" ? def.items![Number(key)] : element) ?? [];
  });
}

/** Every path of a schema, lists with their first entry. */
function paths(node: Node, path = ""): string[] {
  const below = kinds(node).flatMap(({ def, shape, element }) => {
    const entries =
      shape ?? Object.fromEntries((def.items ?? [element]).flatMap((e, i) => (e ? [[i, e]] : [])));
    return Object.entries(entries).flatMap(([key, entry]) =>
      paths(entry, path === "" ? key : `${path}.${key}`),
    );
  });
  return path === "" ? [...new Set(below)] : [path, ...below];
}

/** What a text stands for; undefined where it can't be one of this kind. */
function read({ def, options }: Node, text: string): unknown {
  switch (def.type) {
    case "number":
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
    case "boolean":
      return { true: true, false: false }[text];
    case "string":
      return text;
    case "enum":
      return options!.find((option) => option === text);
    case "literal":
      return def.values!.find((value) => `${value}` === text);
    default:
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
  }
}

function describe({ def, options, shape }: Node): string {
  switch (def.type) {
    case "boolean":
      return "true or false";
    case "enum":
    case "literal":
      return `one of ${(options ?? def.values!).join(", ")}`;
    case "object":
      return `one of its fields (${Object.keys(shape!).join(", ")}), or all of them as JSON`;
    case "array":
    case "tuple":
      return "a list in JSON";
    default:
      return `a ${def.type}`;
  }
}

/**
 * Reads `PATH=VALUE`. Throws ConfigError, naming path or value, where the schema has no such field, with the nearest one
 * that it has, or where the field can't have such a value.
 */
export function readSetting(text: string): Setting {
  const at = text.indexOf("=");
  if (at < 1)
    throw new ConfigError(
      `${quote(text)} is no setting; it is written PATH=VALUE, such as training.steps=100`,
    );
  const [path, given] = [text.slice(0, at), text.slice(at + 1)];
  const root = configSchema as unknown as Node;
  const found = path.split(".").reduce((nodes, key) => nodes.flatMap((node) => inside(node, key)), [root]);
  if (found.length === 0) {
    const known = paths(root).filter((one) => !path.startsWith(`${one}.`));
    const far = new Map(known.map((one) => [one, distance(path, one)]));
    const nearest = known.reduce((a, b) => (far.get(b)! < far.get(a)! ? b : a));
    throw new ConfigError(`The configuration has no field ${quote(path)}; the nearest is ${nearest}`);
  }
  const faults: string[] = [];
  for (const node of found) {
    for (const kind of kinds(node)) {
      const value = read(kind, given);
      const { success, error } = value === undefined ? { success: false } : node.safeParse(value);
      if (success) return { path, value, text };
      faults.push(error?.issues[0]?.message ?? `it must be ${describe(kind)}`);
    }
  }
  throw new ConfigError(`${path} can't be ${quote(given)}: ${[...new Set(faults)].join("; ")}`);
}

/**
 * Fields that change no number of a step, so that a run which goes on may have them otherwise. Its length is another
 * matter: see `overrule`.
 */
const changeable = ["checkpointEvery", "capture", "checkpointing", "validate.patience"].map(
  (name) => `training.${name}`,
);

/**
 * A configuration with other fields, another number of steps or another seed; warm-up ends before the steps do.
 * @param begun a run that goes on: the learning rates of its steps stay as they are, and only fields that change no number
 * of a step can change. Throws ConfigError.
 */
export function overrule(
  config: RunConfig,
  {
    settings = [],
    begun = false,
    ...named
  }: { settings?: readonly Setting[]; steps?: number; seed?: number; begun?: boolean },
): RunConfig {
  const settingOf = (path: string) => settings.find((setting) => setting.path === path);
  const total =
    named.steps ?? (settingOf("training.steps")?.value as number | undefined) ?? config.training.steps;
  const others = settings.filter(({ path }) => path !== "training.steps");
  const fixed = begun ? others.filter(({ path }) => !changeable.includes(path)) : [];
  if (fixed.length > 0) {
    throw new ConfigError(
      `${fixed.map(({ path }) => path).join(", ")} can't change in a run that goes on, whose steps so far are of it; ` +
        `what can is training.steps, ${changeable.join(", ")}. A run of its own that starts from the weights of this one: --init.`,
    );
  }
  const preset = settingOf("training.preset")?.value as Preset | undefined;
  // A preset that is asked for here overrules the file.
  const base = preset ? { ...config, training: withoutPreset(config.training, preset) } : config;
  const changed = withPreset(withSettings(base, others)) as RunConfig;
  const { epochs, ...training } = changed.training;
  // Steps that are told are as many as there will be.
  const passes = epochs !== undefined && total === config.training.steps && { epochs };
  const schedule =
    begun && total !== training.steps
      ? { decaySteps: training.decaySteps ?? training.steps }
      : !settingOf("training.warmup") && { warmup: Math.min(training.warmup, total - 1) };
  return parseConfig(
    {
      ...changed,
      seed: named.seed ?? changed.seed,
      training: { ...training, ...passes, steps: total, ...schedule },
    },
    "The configuration with these changes",
  );
}

/** A copy of a configuration with these fields changed. Throws ConfigError for an entry beyond a list's end. */
function withSettings(config: object, settings: readonly Setting[]): object {
  const changed = structuredClone(config);
  for (const { path, value } of settings) {
    const keys = path.split(".");
    let at = changed as Record<string, unknown>;
    for (const [i, key] of keys.entries()) {
      if (Array.isArray(at) && Number(key) > at.length) {
        const entries = at.length === 1 ? "1 entry" : `${at.length} entries`;
        throw new ConfigError(
          `${path}: ${keys.slice(0, i).join(".")} has ${entries}, so that the next one is ${at.length}`,
        );
      }
      if (i === keys.length - 1) at[key] = value;
      else {
        at[key] ??= /^\d/.test(keys[i + 1]!) ? [] : {};
        at = at[key] as Record<string, unknown>;
      }
    }
  }
  return changed;
}

const quote = (text: string) => JSON.stringify(text);

/** How far a typed path is from one that there is, whose first parts may be left out at half a letter each. */
function distance(typed: string, path: string): number {
  const keys = path.split(".");
  const ends = keys.map((_, i) => edits(typed, keys.slice(i).join(".")) + i / 2);
  return Math.min(...ends);
}

/** Levenshtein's distance. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(row[j]! + (a[i] === b[j] ? 0 : 1), row[j + 1]! + 1, next[j]! + 1));
    row = next;
  }
  return row[b.length]!;
}
