// What an emoji shows, read from its codepoints: a family of comparable pictures, the concept it belongs to,
// and attributes with values. Two pictures of a family that differ in one attribute make one edit.
// Source: Unicode emoji ZWJ sequences (UTS #51) and the subcategories of emoji-datasource.

/** What one emoji shows. Two codes with equal family and attributes show the same. */
export interface Description {
  family: "person" | "hand" | "face" | "clock" | "colour" | "moon" | "arrow" | "keycap" | "toned" | "thing";
  /** The unit that is held out whole: a role, a gesture, an expression, a shape, one clock time, ... */
  concept: string;
  attributes: Record<string, string>;
}

/** Skin tones from light to dark; the emoji without one is drawn in "default" yellow. */
export const TONES = ["light", "medium-light", "medium", "medium-dark", "dark"];
const TONE_POINTS = ["1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"];

const HAIR: Record<string, string> = { "1f9b0": "red", "1f9b1": "curly", "1f9b2": "bald", "1f9b3": "white" };
const ADULTS: Record<string, string> = { "1f468": "man", "1f469": "woman", "1f9d1": "person" };
const SIGNS: Record<string, string> = { "2642": "man", "2640": "woman" };

// Emoji whose gender is in their one codepoint: role (named by the neutral form), gender, and age or hair.
const SINGLE: Record<string, { role: string; gender: string; age?: string }> = {
  "1f466": { role: "plain", gender: "man", age: "child" },
  "1f467": { role: "plain", gender: "woman", age: "child" },
  "1f9d2": { role: "plain", gender: "person", age: "child" },
  "1f474": { role: "plain", gender: "man", age: "old" },
  "1f475": { role: "plain", gender: "woman", age: "old" },
  "1f9d3": { role: "plain", gender: "person", age: "old" },
  "1f385": { role: "1f9d1-1f384", gender: "man" },
  "1f936": { role: "1f9d1-1f384", gender: "woman" },
  "1f934": { role: "1fac5", gender: "man" },
  "1f478": { role: "1fac5", gender: "woman" },
  "1f57a": { role: "dancing", gender: "man" },
  "1f483": { role: "dancing", gender: "woman" },
  "1fac3": { role: "1fac4", gender: "man" },
  "1f930": { role: "1fac4", gender: "woman" },
};

// Pictures of several people: never compared with those of one.
const GROUPS = new Set(["1f93c", "1f46f"]);

const COUPLES: Record<string, string> = {
  "1f9d1-2764-1f9d1": "1f491",
  "1f9d1-2764-1f48b-1f9d1": "1f48f",
  "1f468-1f91d-1f468": "1f46c",
  "1f469-1f91d-1f469": "1f46d",
  "1f469-1f91d-1f468": "1f46b",
  "1faf1-1faf2": "1f91d",
};

/** Poses that differ from another pose in direction only. */
const DIRECTED: Record<string, { gesture: string; direction: string }> = {
  "1f446": { gesture: "pointing finger", direction: "up" },
  "1f447": { gesture: "pointing finger", direction: "down" },
  "1f448": { gesture: "pointing finger", direction: "left" },
  "1f449": { gesture: "pointing finger", direction: "right" },
  "1f91b": { gesture: "sideways fist", direction: "left" },
  "1f91c": { gesture: "sideways fist", direction: "right" },
  "1faf2": { gesture: "sideways open hand", direction: "left" },
  "1faf1": { gesture: "sideways open hand", direction: "right" },
  "1faf7": { gesture: "pushing hand", direction: "left" },
  "1faf8": { gesture: "pushing hand", direction: "right" },
};

const COLOURED: Record<string, Record<string, string>> = {
  heart: {
    "2764": "red",
    "1fa77": "pink",
    "1f9e1": "orange",
    "1f49b": "yellow",
    "1f49a": "green",
    "1f499": "blue",
    "1fa75": "light blue",
    "1f49c": "purple",
    "1f90e": "brown",
    "1f5a4": "black",
    "1fa76": "grey",
    "1f90d": "white",
  },
  circle: {
    "1f534": "red",
    "1f7e0": "orange",
    "1f7e1": "yellow",
    "1f7e2": "green",
    "1f535": "blue",
    "1f7e3": "purple",
    "1f7e4": "brown",
    "26ab": "black",
    "26aa": "white",
  },
  square: {
    "1f7e5": "red",
    "1f7e7": "orange",
    "1f7e8": "yellow",
    "1f7e9": "green",
    "1f7e6": "blue",
    "1f7ea": "purple",
    "1f7eb": "brown",
    "2b1b": "black",
    "2b1c": "white",
  },
  book: { "1f4d5": "red", "1f4d9": "orange", "1f4d7": "green", "1f4d8": "blue" },
};

/** Moon phases in their order in time. */
export const MOON_PHASES = [
  "new moon",
  "waxing crescent",
  "first quarter",
  "waxing gibbous",
  "full moon",
  "waning gibbous",
  "last quarter",
  "waning crescent",
];

/** Arrow directions, clockwise from up, in steps of 45 degrees. */
export const ARROWS = ["up", "up-right", "right", "down-right", "down", "down-left", "left", "up-left"];
const ARROW_CODES = ["2b06", "2197", "27a1", "2198", "2b07", "2199", "2b05", "2196"];

// The moons, and the clocks at the full and at the half hour, are consecutive codepoints.
const MOON_START = 0x1f311;
const HOUR_START = 0x1f550;
const HALF_HOUR_START = 0x1f55c;

const OBJECTS = buildObjects();

function buildObjects(): Map<string, Description> {
  const objects = new Map<string, Description>();
  const add = (code: string, family: Description["family"], concept: string, attributes: object) =>
    objects.set(code, { family, concept, attributes: { ...attributes } });
  for (const [shape, colours] of Object.entries(COLOURED)) {
    for (const [code, colour] of Object.entries(colours)) add(code, "colour", shape, { shape, colour });
  }
  MOON_PHASES.forEach((phase, i) => {
    add((MOON_START + i).toString(16), "moon", phase, { phase });
  });
  ARROWS.forEach((arrow, i) => {
    add(ARROW_CODES[i], "arrow", arrow, { arrow });
  });
  for (let i = 0; i < 12; i++) {
    const halfHours = 2 * ((i + 1) % 12); // counted from 12:00, so that differences are times
    const [full, half] = [String(halfHours), String(halfHours + 1)];
    add((HOUR_START + i).toString(16), "clock", full, { time: full });
    add((HALF_HOUR_START + i).toString(16), "clock", half, { time: half });
  }
  for (let digit = 0; digit < 10; digit++) {
    add(`${(0x30 + digit).toString(16)}-20e3`, "keycap", String(digit), { digit: String(digit) });
  }
  return objects;
}

function isExpression(subcategory: string): boolean {
  return subcategory.startsWith("face-") && !/costume|negative/.test(subcategory);
}

/** A person with the skin tone already read; nothing when the points don't show one person or one group. */
function describePerson(points: string[], tone: string, subcategory: string): Description | undefined {
  if (subcategory === "family" || subcategory === "person-symbol") return undefined;
  if (!subcategory.startsWith("person")) return undefined;
  const attributes = { role: "", tone, gender: "person", hair: "default", age: "adult", facing: "left" };
  const rest = points.filter((point) => {
    if (point === "27a1") attributes.facing = "right";
    else if (SIGNS[point]) attributes.gender = SIGNS[point];
    else if (HAIR[point]) attributes.hair = HAIR[point];
    else return true;
    return false;
  });
  const single = SINGLE[rest.join("-")];
  if (single) Object.assign(attributes, single);
  else if (ADULTS[rest[0]]) {
    attributes.gender = ADULTS[rest[0]];
    attributes.role = rest.length === 1 ? "plain" : ["1f9d1", ...rest.slice(1)].join("-");
  } else if (rest[0] === "1f471") Object.assign(attributes, { role: "plain", hair: "blond" });
  else {
    attributes.role = rest.join("-");
    if (GROUPS.has(rest[0])) attributes.age = "group";
  }
  return { family: "person", concept: attributes.role, attributes };
}

/**
 * Reads what an emoji shows from its code.
 * @param code canonical code, see sources.ts
 * @param subcategories subcategory by canonical code without skin tone
 */
export function describe(code: string, subcategories: Map<string, string>): Description {
  const object = OBJECTS.get(code);
  if (object) return object;
  const all = code.split("-");
  const tones = all.filter((point) => TONE_POINTS.includes(point));
  const untoned = all.filter((point) => !TONE_POINTS.includes(point));
  const points = untoned.filter((point) => point !== "200d");
  const base = COUPLES[points.join("-")] ?? untoned.join("-");
  const subcategory = subcategories.get(base) ?? "";
  // Two people of different tones: no text here says which is which.
  if (new Set(tones).size > 1) return { family: "thing", concept: base, attributes: { code } };
  const tone = tones.length > 0 ? TONES[TONE_POINTS.indexOf(tones[0])] : "default";
  const person = describePerson(points, tone, subcategory);
  if (person) return person;
  if (subcategory.startsWith("hand-") || (subcategory === "hands" && base !== "1f91d")) {
    return { family: "hand", concept: DIRECTED[base]?.gesture ?? base, attributes: { pose: base, tone } };
  }
  if (isExpression(subcategory)) {
    return { family: "face", concept: base, attributes: { expression: base } };
  }
  return { family: "toned", concept: base, attributes: { thing: base, tone } };
}

/** The gesture and direction of a hand pose that has twins in other directions. */
export function directedPose(pose: string): { gesture: string; direction: string } | undefined {
  return DIRECTED[pose];
}
