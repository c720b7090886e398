// What training never sees, and the questions about it: unseen concepts, unseen combinations of seen
// attributes, and an unseen vendor.

import { random } from "../random.ts";
import type { Query, Split } from "../types.ts";
import { TONES } from "./attributes.ts";
import type { Edits, Item } from "./edits.ts";
import { KINDS, type Kind } from "./phrases.ts";
import type { Vendor } from "./sources.ts";

/** Which pictures are kept from training, and why. Each uint8 [pictures]. */
export interface HeldOut {
  concept: Uint8Array;
  combination: Uint8Array;
  vendor: Uint8Array;
}

const SEED = 20230316; // fixed for good: another seed makes another benchmark
const SHARE_OF_CONCEPTS = 0.1;
const SHARE_OF_COMBINATIONS = 0.12;
const QUERIES = 800;
/** Training sees no picture of it. */
export const TEST_VENDOR: Vendor = "fluent";
// Chosen by hand where a family is so small that chance could take a whole kind out of the split, or where
// the name of a held-out value must still be made of words that training holds ("half past" + "four").
const CHOSEN_CONCEPTS: Partial<Record<Item["family"], string[]>> = {
  clock: ["9", "16"],
  colour: ["square"],
  moon: ["waning crescent"],
  arrow: ["down-left"],
  keycap: ["7"],
};
const ALSO_CHOSEN: Partial<Record<Item["family"], string[]>> = {
  hand: ["pushing hand"],
  person: ["1f9d1-1f9bd"], // in a manual wheelchair: one of the six roles that face both ways
};
// Hair and age exist for it alone.
const NEVER_HELD_OUT = "plain";
// Two of 15; each hair and each gender stays in training with the others.
const HAIR_BY_GENDER = ["curly|woman", "white|man"];
const COMBINATION_KINDS: Kind[] = ["tone", "gender", "hair", "role", "tone+gender", "style"];

function chooseConcepts(items: Item[]): Set<string> {
  const families = new Map<Item["family"], Set<string>>();
  for (const { family, concept, vendor } of items) {
    if (vendor === TEST_VENDOR || concept === NEVER_HELD_OUT) continue;
    // One concept may have pictures in both: couples of equal tones and of unequal tones.
    const pool = family === "toned" ? "thing" : family;
    families.set(pool, (families.get(pool) ?? new Set()).add(concept));
  }
  const stream = random(SEED, 1);
  const chosen = new Set<string>();
  for (const [family, concepts] of families) {
    const byHand = CHOSEN_CONCEPTS[family];
    const count = Math.round(concepts.size * SHARE_OF_CONCEPTS);
    const first = ALSO_CHOSEN[family] ?? [];
    const drawn = stream.shuffle([...concepts].sort()).filter((concept) => !first.includes(concept));
    for (const concept of byHand ?? [...first, ...drawn].slice(0, count))
      chosen.add(conceptKey(family, concept));
  }
  return chosen;
}

function conceptKey(family: Item["family"], concept: string): string {
  return `${family === "toned" ? "thing" : family}/${concept}`;
}

/** At most one tone a role, so that every role keeps its other tones; tones taken in turn. */
function chooseTonesOfRoles(items: Item[], concepts: Set<string>): Set<string> {
  const tones = new Map<string, Set<string>>();
  for (const { family, vendor, concept, attributes } of items) {
    if (family !== "person" || vendor === TEST_VENDOR || concept === NEVER_HELD_OUT) continue;
    if (concepts.has(conceptKey(family, concept))) continue;
    tones.set(concept, (tones.get(concept) ?? new Set()).add(attributes.tone));
  }
  const all = ["default", ...TONES];
  const roles = [...tones.keys()].filter((role) => tones.get(role)?.size === all.length).sort();
  const count = Math.round(roles.length * all.length * SHARE_OF_COMBINATIONS);
  random(SEED, 2).shuffle(roles);
  return new Set(roles.slice(0, count).map((role, i) => `${role}|${all[i % all.length]}`));
}

/**
 * Decides which pictures training never sees.
 * @param classes answer class of each picture: a picture that looks like a held-out one is held out too
 */
export function holdOut(items: Item[], classes: Int32Array): HeldOut {
  const concepts = chooseConcepts(items);
  const tonesOfRoles = chooseTonesOfRoles(items, concepts);
  const concept = new Uint8Array(items.length);
  const combination = new Uint8Array(items.length);
  const vendor = new Uint8Array(items.length);
  items.forEach((item, id) => {
    const { role, tone, hair, gender } = item.attributes;
    if (concepts.has(conceptKey(item.family, item.concept))) concept[id] = 1;
    else if (item.family === "person") {
      if (tonesOfRoles.has(`${role}|${tone}`) || HAIR_BY_GENDER.includes(`${hair}|${gender}`))
        combination[id] = 1;
    }
    if (item.vendor === TEST_VENDOR) vendor[id] = 1;
  });
  for (const flags of [concept, combination, vendor]) {
    const held = new Set<number>();
    flags.forEach((flag, id) => {
      if (flag) held.add(classes[id]);
    });
    flags.forEach((_, id) => {
      if (held.has(classes[id])) flags[id] = 1;
    });
  }
  return { concept, combination, vendor };
}

/** Draws queries so that the kinds are as even as their supply allows. */
function drawQueries(
  edits: Edits,
  eligible: (edit: number) => boolean,
  gallery: Int32Array,
  classes: Int32Array,
  salt: number,
): Query[] {
  const stream = random(SEED, salt);
  const pools = KINDS.map(() => [] as number[]);
  for (let edit = 0; edit < edits.count; edit++) if (eligible(edit)) pools[edits.kind[edit]].push(edit);
  const byClass = new Map<number, number[]>();
  for (const id of gallery) byClass.set(classes[id], [...(byClass.get(classes[id]) ?? []), id]);
  const queries: Query[] = [];
  // Smallest supply first: what it leaves unused is shared among the others.
  const order = pools.map((_, kind) => kind).sort((a, b) => pools[a].length - pools[b].length);
  order.forEach((kind, done) => {
    const pool = stream.shuffle(pools[kind]);
    const share = Math.floor((QUERIES - queries.length) / (order.length - done));
    for (const edit of pool.slice(0, share)) {
      const target = edits.target[edit];
      const texts = edits.texts[edits.change[edit]];
      queries.push({
        id: `${queries.length}`,
        reference: edits.reference[edit],
        texts: [texts[stream.below(texts.length)]],
        right: [target, ...byClass.get(classes[target])!.filter((id) => id !== target)],
        kind: KINDS[kind],
      });
    }
  });
  return queries;
}

/** The held-out splits. */
export const splitNames = ["concepts", "combinations", "vendor"] as const;

/**
 * Makes the three held-out splits:
 * "concepts" (target of an unseen concept; reference too where the edit keeps the concept), "combinations"
 * (target of an unseen pair tone x role or hair x gender, of seen concepts) and "vendor" (unseen drawing
 * style; concepts and combinations all seen, so that this one difference is measured).
 * @param names of the pictures
 */
export function makeSplits(
  edits: Edits,
  classes: Int32Array,
  { concept, combination, vendor }: HeldOut,
  names: readonly string[],
): Record<string, Split> {
  const ids = Int32Array.from(classes, (_, id) => id);
  const known = ids.filter((id) => !vendor[id]);
  const unknown = ids.filter((id) => vendor[id]);
  const { reference, target, kind } = edits;
  const inConcepts = (edit: number) => !vendor[target[edit]] && !!concept[target[edit]];
  const inCombinations = (edit: number) =>
    !vendor[target[edit]] &&
    !!combination[target[edit]] &&
    !concept[target[edit]] &&
    !concept[reference[edit]] &&
    COMBINATION_KINDS.includes(KINDS[kind[edit]]);
  const inVendor = (edit: number) =>
    [reference[edit], target[edit]].every((id) => vendor[id] && !concept[id] && !combination[id]);
  const pictures = names.map((name) => ({ id: name, path: name }));
  const made = {
    concepts: [known, "known vendors", inConcepts, 3],
    combinations: [known, "known vendors", inCombinations, 4],
    vendor: [unknown, "unseen vendor", inVendor, 5],
  } as const;
  const splits = splitNames.map((name): [string, Split] => {
    const [gallery, word, eligible, salt] = made[name];
    const split = {
      ...{ data: "emoji" as const, name, pictures, sources: [], notes: [] },
      queries: drawQueries(edits, eligible, gallery, classes, salt),
      galleries: [{ name: word, pictures: gallery }],
    };
    return [name, split];
  });
  return Object.fromEntries(splits);
}
