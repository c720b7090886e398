// Which of a pickle's dictionaries is the state dict. Trainers keep it under any key and at any depth, beside the
// optimiser's state, averages and copies; so the one is taken whose names a naming knows best.
import { CheckpointError, quote } from "../safetensors.ts";
import { Opaque, PickledDict, PickledList, PickledTensor, PickledTuple, type Value } from "./pickle.ts";
import { bareName, recognise } from "./recognise.ts";

/** A named value of the state dict: a tensor, or what can't be one. */
export type Held = readonly [name: string, value: PickledTensor | Opaque];

/** The state dict of a pickle. */
export interface StateDict {
  held: readonly Held[];
  /** The keys of the pickle's own dictionary. */
  keys: string[];
  notes: string[];
}

/** A dictionary that holds tensors, or whose dictionaries do. */
interface Candidate {
  /** Keys from the pickle's own dictionary down. */
  path: readonly string[];
  held: Held[];
  /** Whether the tensors are its dictionaries', one for each part of a model. */
  joined: boolean;
  /** How many of its names a naming knows. */
  known: number;
}

/** What a state dict is called where there is also a copy of it, the best first; averages and teachers come last. */
const usual = ["model", "state_dict", "module", "model_state_dict", "net", "student"];
const copies = /(^|[^a-z])(ema|swa)([^a-z]|$)|averag|teacher|momentum/i;

/** Dictionaries within dictionaries; a deeper one is no trainer's. */
const mostDeep = 12;
/** A second dictionary rivals the first where so much of what the first has is known of it, too. */
const rivalShare = 0.9;

/**
 * Finds the state dict. Throws CheckpointError where the pickle is no dictionary, where all tensors are inside of what
 * is opaque, and where two dictionaries have an equal claim.
 */
export function findStateDict(root: Value): StateDict {
  const all = candidatesIn(root);
  const keys = root instanceof PickledDict ? root.keys.map(labelOf) : [];
  const mostOf = (some: readonly Candidate[]) => some.reduce((most, { known }) => Math.max(most, known), 0);
  // Parts are joined only where that is more than any of them is by itself.
  const alone = mostOf(all.filter(({ joined }) => !joined));
  const whole = all.filter(({ joined, known }) => joined && known > alone);
  const candidates = whole.length > 0 ? whole : all.filter(({ joined }) => !joined);
  const most = mostOf(candidates);
  const largest = candidates.reduce((most, { held }) => Math.max(most, held.length), 0);
  const foreign = most === 0 ? mostOpaque(root) : null;
  if (foreign && foreign.tensors > largest) {
    throw new CheckpointError(
      `its tensors are inside of a ${quote(foreign.name)}, which is never built; save the model's state_dict() instead`,
    );
  }
  if (candidates.length === 0) {
    if (root instanceof PickledDict) return { held: [], keys, notes: [] };
    const found =
      root instanceof Opaque ? `, but what ${quote(root.name)} would make, which is never called` : "";
    throw new CheckpointError(`the file holds no dictionary of tensors${found}`);
  }
  if (most === 0) {
    return { held: candidates.find(({ held }) => held.length === largest)!.held, keys, notes: [] };
  }
  const rivals = candidates.filter(({ known }) => known >= rivalShare * most);
  const [first, second] = rivals.sort((a, b) => rank(a) - rank(b) || b.known - a.known);
  if (second && rank(first) === rank(second) && !sameTensors(first, second)) {
    throw new CheckpointError(
      `which dictionary is meant? ${rivals.map(nameOf).slice(0, 8).join(", ")} hold the same names; save one by itself`,
    );
  }
  const others = candidates.filter(
    (one) => one !== first && 2 * one.known >= first.known && !sameTensors(first, one),
  );
  const notes: string[] = [];
  if (first.path.length > 0) notes.push(`the tensors are those of ${nameOf(first)}`);
  if (others.length > 0) notes.push(`not taken: ${others.slice(0, 8).map(nameOf).join(", ")}`);
  return { held: first.held, keys, notes };
}

function nameOf({ path }: Candidate): string {
  return path.length === 0 ? "the file itself" : quote(path.join("."));
}

/** The lower, the sooner taken. */
function rank({ path }: Candidate): number {
  if (path.some((key) => copies.test(key))) return usual.length + 1;
  const at = usual.indexOf(path.at(-1) ?? "");
  return at < 0 ? usual.length : at;
}

/** Whether two dictionaries name the same bytes, as a state dict under two keys does. */
function sameTensors(a: Candidate, b: Candidate): boolean {
  const places = new Map(a.held.map(([name, value]) => [name, placeOf(value)]));
  return (
    b.held.length === a.held.length && b.held.every(([name, value]) => places.get(name) === placeOf(value))
  );
}

function placeOf(value: PickledTensor | Opaque): string | null {
  return value instanceof Opaque ? null : `${value.storage.key} ${value.view.offset} ${value.view.shape}`;
}

/** All dictionaries with tensors, and those whose dictionaries have them: a state dict for each part of a model. */
function candidatesIn(root: Value): Candidate[] {
  const candidates: Candidate[] = [];
  const seen = new Set<Value>();
  let level: { value: Value; path: readonly string[] }[] = [{ value: root, path: [] }];
  for (let depth = 0; depth < mostDeep && level.length > 0; depth++) {
    const next: typeof level = [];
    for (const { value, path } of level) {
      if (seen.has(value)) continue;
      if (value instanceof PickledDict) {
        seen.add(value);
        const own = heldBy(value);
        const parts: Held[] = own.filter(isTensor);
        const whole: Held[] = [...parts];
        const entered = new Set<Value>();
        value.values.forEach((item, i) => {
          if (!mayHold(item) || entered.has(item)) return;
          entered.add(item);
          const key = value.keys[i];
          if (!seen.has(item)) next.push({ value: item, path: [...path, labelOf(key)] });
          if (!(item instanceof PickledDict && typeof key === "string")) return;
          for (const [name, held] of heldBy(item)) {
            parts.push([`${key}.${name}`, held]);
            whole.push([name, held]);
          }
        });
        // Tensors that can't be read count by their names, so that these are told.
        const alone = candidate(path, own, false);
        if (alone.known > 0 || own.some(isTensor)) candidates.push(alone);
        if (parts.some(isTensor)) candidates.push(candidate(path, parts, true));
        // Parts may have the model's names already, each tensor in one of them.
        const apart = new Set(whole.map(([name]) => bareName(name, ""))).size === whole.length;
        if (apart && whole.length > own.length && whole.some(isTensor))
          candidates.push(candidate(path, whole, true));
      } else if (value instanceof PickledList || value instanceof PickledTuple) {
        seen.add(value);
        const entered = new Set<Value>();
        value.items.forEach((item, i) => {
          if (mayHold(item) && !entered.has(item) && !seen.has(item))
            next.push({ value: item, path: [...path, `${i}`] });
          entered.add(item);
        });
      }
    }
    level = next;
  }
  return candidates;
}

/** Whether a dictionary may be within a value. */
function mayHold(value: Value): boolean {
  return value instanceof PickledDict || value instanceof PickledList || value instanceof PickledTuple;
}

function heldBy({ keys, values }: PickledDict): Held[] {
  return values.flatMap((value, i) => {
    const key = keys[i];
    const held = value instanceof PickledTensor || value instanceof Opaque;
    return held && typeof key === "string" ? [[key, value] as const] : [];
  });
}

/** A key as messages show it. */
function labelOf(key: Value): string {
  return typeof key === "string" || typeof key === "number" ? `${key}` : "a key that is no text";
}

function isTensor([, value]: Held): boolean {
  return value instanceof PickledTensor;
}

function candidate(path: readonly string[], held: Held[], joined: boolean): Candidate {
  return { path, held, joined, known: recognise(held.map(([name]) => name))?.known ?? 0 };
}

/** What is opaque and holds most tensors, null where there is no such thing. */
function mostOpaque(root: Value): { name: string; tensors: number } | null {
  const counts = new Map<Opaque, number>();
  const seen = new Set<Value>();
  const waiting: { value: Value; within: Opaque | null }[] = [{ value: root, within: null }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, within } = next;
    if (value === null || typeof value !== "object" || seen.has(value)) continue;
    seen.add(value);
    if (value instanceof PickledTensor && within) counts.set(within, (counts.get(within) ?? 0) + 1);
    const inner = value instanceof Opaque ? (within ?? value) : within;
    for (const item of heldIn(value))
      if (typeof item === "object") waiting.push({ value: item, within: inner });
  }
  const [first] = [...counts].sort(([, a], [, b]) => b - a);
  return first ? { name: first[0].name, tensors: first[1] } : null;
}

/** What a value of a pickle holds. */
export function heldIn(value: Value): readonly Value[] {
  if (value instanceof PickledDict) return value.values;
  if (value instanceof PickledList || value instanceof PickledTuple) return value.items;
  return value instanceof Opaque ? value.given : [];
}
