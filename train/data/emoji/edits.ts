// All edits: ordered pairs of pictures that differ in one attribute (or in tone and gender), each with its
// phrasings. Pictures that look the same are gathered in one answer class (classes.ts), and no edit stays inside a class.
import { type Description, describe, directedPose } from "./attributes.ts";
import { KINDS, type Kind, phrasings } from "./phrases.ts";
import type { Source, Vendor } from "./sources.ts";

/** A picture with what it shows. Its picture id is its index. */
export interface Item extends Description {
  vendor: Vendor;
  code: string;
}

/** Edits as columns; equal positions belong together. */
export interface Edits {
  count: number;
  /** int32 [count], picture ids. */
  reference: Int32Array;
  /** int32 [count], picture ids. */
  target: Int32Array;
  /** uint8 [count], index into KINDS. */
  kind: Uint8Array;
  /** int32 [count], index into `texts`: which change it is, so equal numbers mean the same change. */
  change: Int32Array;
  /** The phrasings of each change. */
  texts: string[][];
}

const KIND_BY_ATTRIBUTE: Record<string, Kind> = {
  tone: "tone",
  gender: "gender",
  hair: "hair",
  age: "age",
  facing: "facing",
  role: "role",
  pose: "gesture",
  time: "clock",
  colour: "colour",
  phase: "moon",
  arrow: "arrow",
  digit: "keycap",
  expression: "expression",
};
// Between these two vendors style edits are made; the third is kept for the split of an unseen vendor.
const STYLE_VENDORS: Vendor[] = ["google", "twitter"];

/** Words of the packages about emoji, by canonical code without skin tones. */
export interface Words {
  /** English names. */
  labels: Map<string, string>;
  /** "face-smiling", "hand-fingers-open", and so on. */
  subcategories: Map<string, string>;
}

/** What every source shows, in the order of the sources. */
export function describeSources(
  sources: readonly Pick<Source, "vendor" | "code">[],
  { subcategories }: Words,
): Item[] {
  return sources.map(({ vendor, code }) => ({ vendor, code, ...describe(code, subcategories) }));
}

/** Groups picture ids by everything but the attributes named in `varying`. */
function groupsVarying(items: Item[], varying: string[]): number[][] {
  const groups = new Map<string, number[]>();
  items.forEach(({ vendor, family, attributes }, id) => {
    if (!varying.every((name) => name in attributes)) return;
    const fixed = Object.entries(attributes).filter(([name]) => !varying.includes(name));
    const key = JSON.stringify([vendor, family, fixed]);
    const group = groups.get(key);
    if (group) group.push(id);
    else groups.set(key, [id]);
  });
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Calls `found` for each ordered pair that one text can turn into each other, with the change as [from, to]. */
export function forEachPair(
  items: Item[],
  found: (kind: Kind, reference: number, target: number, from: string, to: string) => void,
): void {
  const forEachOrdered = (group: number[], pair: (a: number, b: number) => void) => {
    for (const a of group) for (const b of group) if (a !== b) pair(a, b);
  };
  for (const [name, attributeKind] of Object.entries(KIND_BY_ATTRIBUTE)) {
    for (const group of groupsVarying(items, [name])) {
      forEachOrdered(group, (a, b) => {
        const [from, to] = [items[a].attributes, items[b].attributes];
        if (from[name] === to[name]) return;
        if (name === "hair" && to[name] === "default") return; // its colour differs from vendor to vendor
        const turned =
          name === "pose" &&
          directedPose(from.pose) !== undefined &&
          directedPose(from.pose)?.gesture === directedPose(to.pose)?.gesture;
        const kind = turned ? "direction" : attributeKind;
        const value = kind === "gender" ? `${to.gender}|${to.age}` : to[name];
        found(kind, a, b, from[name], value);
      });
    }
  }
  for (const group of groupsVarying(items, ["tone", "gender"])) {
    forEachOrdered(group, (a, b) => {
      const [from, to] = [items[a].attributes, items[b].attributes];
      if (from.tone === to.tone || from.gender === to.gender) return;
      found("tone+gender", a, b, "", `${to.tone}|${to.gender}|${to.age}`);
    });
  }
  const twins = new Map<string, number[]>();
  items.forEach(({ vendor, code }, id) => {
    if (STYLE_VENDORS.includes(vendor)) twins.set(code, [...(twins.get(code) ?? []), id]);
  });
  for (const group of twins.values()) {
    forEachOrdered(group, (a, b) => {
      found("style", a, b, items[a].vendor, items[b].vendor);
    });
  }
}

/**
 * Drops edits whose text has several answers because nobody can tell their reference from a look-alike: of a
 * snowboarder whose skin is hidden, "make it a ninja" leaves the skin tone open.
 */
function dropAmbiguous(edits: Edits, classes: Int32Array): Edits {
  const sizes = new Int32Array(classes.length);
  for (const answer of classes) sizes[answer]++;
  const answers = new Map<string, number>();
  const key = (edit: number, text: string) => `${classes[edits.reference[edit]]} ${text}`;
  const AMBIGUOUS = -1;
  const all = edits.reference.map((_, edit) => edit);
  const doubtful = all.filter((edit) => sizes[classes[edits.reference[edit]]] > 1);
  for (const edit of doubtful) {
    const answer = classes[edits.target[edit]];
    for (const text of edits.texts[edits.change[edit]]) {
      const known = answers.get(key(edit, text)) ?? answer;
      answers.set(key(edit, text), known === answer ? answer : AMBIGUOUS);
    }
  }
  const dropped = new Set(
    doubtful.filter((edit) =>
      edits.texts[edits.change[edit]].some((text) => answers.get(key(edit, text)) === AMBIGUOUS),
    ),
  );
  const kept = all.filter((edit) => !dropped.has(edit));
  return {
    count: kept.length,
    reference: kept.map((edit) => edits.reference[edit]),
    target: kept.map((edit) => edits.target[edit]),
    kind: Uint8Array.from(kept, (edit) => edits.kind[edit]),
    change: kept.map((edit) => edits.change[edit]),
    texts: edits.texts,
  };
}

/**
 * Lists all edits of all vendors that can be seen and have one answer; style edits between google and twitter
 * only.
 * @param classes answer class of each picture; edits within a class are dropped, for nobody could see them
 */
export function listEdits(items: Item[], classes: Int32Array, { labels }: Words): Edits {
  const reference: number[] = [];
  const target: number[] = [];
  const kinds: number[] = [];
  const change: number[] = [];
  const texts: string[][] = [];
  const known = new Map<string, number>();
  forEachPair(items, (kind, a, b, from, to) => {
    if (classes[a] === classes[b]) return;
    const key = `${kind}\n${from}\n${to}`;
    let index = known.get(key);
    if (index === undefined) {
      index = texts.length;
      known.set(key, index);
      texts.push(phrasings(kind, from, to, labels));
    }
    reference.push(a);
    target.push(b);
    kinds.push(KINDS.indexOf(kind));
    change.push(index);
  });
  const visible: Edits = {
    count: reference.length,
    reference: Int32Array.from(reference),
    target: Int32Array.from(target),
    kind: Uint8Array.from(kinds),
    change: Int32Array.from(change),
    texts,
  };
  return dropAmbiguous(visible, classes);
}
