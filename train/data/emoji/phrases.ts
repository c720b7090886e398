// How people ask for each kind of change: several phrasings a kind, all short, each true of exactly one
// answer. Relative phrasings ("one shade darker", "an hour later") appear only where they name one answer.
import { ARROWS, directedPose, MOON_PHASES, TONES } from "./attributes.ts";

/** The kinds of change. */
export const KINDS = [
  "tone",
  "gender",
  "tone+gender",
  "hair",
  "age",
  "facing",
  "role",
  "gesture",
  "direction",
  "clock",
  "colour",
  "moon",
  "arrow",
  "keycap",
  "expression",
  "style",
] as const;
/** One kind of change. */
export type Kind = (typeof KINDS)[number];

const NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split(" ");
const ROTATIONS = [
  [],
  ["turn it 45 degrees clockwise", "rotate an eighth turn clockwise"],
  ["turn it 90 degrees clockwise", "a quarter turn clockwise"],
  [],
  ["point the opposite way", "turn it around"],
  [],
  ["turn it 90 degrees counterclockwise", "a quarter turn counterclockwise"],
  ["turn it 45 degrees counterclockwise", "rotate an eighth turn counterclockwise"],
];
const DELAYS: Record<number, string> = {
  1: "half an hour",
  2: "one hour",
  4: "two hours",
  6: "three hours",
};

// Labels of emojibase that read badly inside a sentence.
const ROLE_NAMES: Record<string, { noun?: string; doing?: string }> = {
  "1fac5": { doing: "wearing a crown" },
  "1f9d1-1f384": { doing: "dressed as santa claus" },
  "1f9d4": { doing: "with a beard" },
  "1f931": { doing: "breast-feeding" },
  "1f3c7": { doing: "horse racing" },
  "1f574": { doing: "levitating in a suit" },
  "1f9d5": { doing: "with headscarf" },
  "1f47c": { noun: "baby angel" },
  dancing: { doing: "dancing" },
};

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

function tonePhrases(from: string, to: string): string[] {
  if (to === "default") {
    return [
      "change the skin to default yellow",
      "make the skin yellow",
      "yellow skin instead",
      "with the plain yellow skin",
      "remove the skin tone, plain yellow",
      "give it yellow skin",
    ];
  }
  const phrases = [
    `change the skin tone to ${to}`,
    `make the skin ${to}`,
    `give it ${to} skin`,
    `with ${to} skin`,
    `${to} skin tone instead`,
    `same but with ${to} skin`,
    `the ${to} skin version`,
  ];
  if (to === TONES[0]) phrases.push("the lightest skin tone", "make the skin as light as possible");
  if (to === TONES.at(-1)) phrases.push("the darkest skin tone", "make the skin as dark as possible");
  if (from === "default") return phrases;
  const steps = TONES.indexOf(to) - TONES.indexOf(from);
  if (steps === 1) phrases.push("one shade darker", "make the skin one shade darker");
  if (steps === 2) phrases.push("two shades darker");
  if (steps === -1) phrases.push("one shade lighter", "make the skin one shade lighter");
  if (steps === -2) phrases.push("two shades lighter");
  return phrases;
}

const GENDER_NOUNS: Record<string, Record<string, string>> = {
  man: { adult: "man", child: "boy", old: "man", group: "men" },
  woman: { adult: "woman", child: "girl", old: "woman", group: "women" },
  person: { adult: "gender-neutral person", child: "gender-neutral child", old: "gender-neutral person" },
};

function genderPhrases(to: string, age: string): string[] {
  if (to === "person") {
    return [
      "make it gender neutral",
      "gender-neutral version",
      "change to a neutral gender",
      "neither male nor female",
      "remove the gender",
      "same but gender neutral",
    ];
  }
  const adjective = to === "man" ? "male" : "female";
  const noun = GENDER_NOUNS[to][age];
  const subject = age === "group" ? noun : `a ${noun}`;
  return [
    `${adjective} version`,
    `change the gender to ${adjective}`,
    `make it ${adjective}`,
    `${subject} instead`,
    `turn into ${subject}`,
    `same but ${subject}`,
    `now ${subject}`,
  ];
}

function toneGenderPhrases(tone: string, gender: string, age: string): string[] {
  const skin = tone === "default" ? "yellow" : tone;
  const noun = GENDER_NOUNS[gender][age];
  const adjective = { man: "male", woman: "female", person: "gender neutral" }[gender];
  return [
    `make it a ${noun} with ${skin} skin`,
    `a ${noun} with ${skin} skin instead`,
    `${adjective} with ${skin} skin`,
    `change to ${adjective} and ${skin} skin`,
    `${skin} skin tone and ${adjective}`,
    `now a ${noun}, ${skin} skin`,
  ];
}

function hairPhrases(to: string): string[] {
  if (to === "bald") {
    return [
      "make the head bald",
      "remove the hair",
      "without any hair",
      "bald instead",
      "now bald",
      "shave the head",
    ];
  }
  return [
    `change the hair to ${to}`,
    `give ${to} hair`,
    `with ${to} hair`,
    `${to} hair instead`,
    `make the hair ${to}`,
    `same but with ${to} hair`,
    `now with ${to} hair`,
  ];
}

function agePhrases(from: string, to: string): string[] {
  if (to === "adult") {
    return [
      "make it a grown-up",
      "change the age to adult",
      "an adult instead",
      "now an adult",
      "as an adult",
      "adult version",
    ];
  }
  const phrases =
    to === "child"
      ? [
          "make it a child",
          "change the age to child",
          "a child instead",
          "now a kid",
          "as a young child",
          "childhood version",
        ]
      : [
          "make it elderly",
          "change the age to old",
          "a senior instead",
          "now an old one",
          "as an elderly one",
          "in old age",
        ];
  if (from === "adult") phrases.push(to === "child" ? "make it younger" : "make it older");
  return phrases;
}

function facingPhrases(to: string): string[] {
  return [
    `facing ${to}`,
    `turn to face ${to}`,
    `make it face ${to}`,
    `change the direction to ${to}`,
    `same but heading ${to}`,
    "facing the other way",
    "turn around",
    "flip the direction",
  ];
}

/** How a role is named, from the label of its neutral form. */
function roleName(role: string, labels: Map<string, string>): { noun?: string; doing?: string } {
  if (ROLE_NAMES[role]) return ROLE_NAMES[role];
  const code = role.startsWith("1f9d1-") ? role.replace("-", "-200d-") : role;
  const label = labels.get(code)?.toLowerCase();
  if (!label) throw new Error(`emojibase-data has no label for the role ${role} (${code})`);
  const doing = /^(?:person|people|man|woman) (.+)$/.exec(label)?.[1];
  return doing ? { doing } : { noun: label };
}

function rolePhrases(role: string, labels: Map<string, string>): string[] {
  if (role === "plain") {
    return [
      "just a plain face",
      "a plain portrait instead",
      "make it a plain portrait",
      "remove the job and activity",
      "no job, just the face",
      "now an ordinary portrait",
    ];
  }
  const { noun, doing } = roleName(role, labels);
  if (noun) {
    const one = withArticle(noun);
    return [
      `make it ${one}`,
      `turn into ${one}`,
      `change the role to ${noun}`,
      `${one} instead`,
      `now ${one}`,
      `same but as ${one}`,
      `${noun} version`,
    ];
  }
  return [
    `now ${doing}`,
    `${doing} instead`,
    `change to someone ${doing}`,
    `the same one ${doing}`,
    `show them ${doing}`,
    `should be ${doing}`,
  ];
}

function gesturePhrases(pose: string, labels: Map<string, string>): string[] {
  const directed = directedPose(pose);
  const name = directed
    ? `${directed.gesture} to the ${directed.direction}`.replace(/to the (up|down)$/, "$1")
    : (labels.get(pose) ?? pose).toLowerCase();
  return [
    `change the gesture to ${name}`,
    `make it ${name}`,
    `${name} instead`,
    `now ${name}`,
    `show ${name}`,
    `same skin but ${name}`,
  ];
}

function directionPhrases(from: string, to: string): string[] {
  const direction = directedPose(to)!.direction;
  const phrases = [
    `point it ${direction}`,
    `turn the hand ${direction}`,
    `same gesture but ${direction}`,
    `change the direction to ${direction}`,
    `facing ${direction} instead`,
    `aim it ${direction}`,
  ];
  const pair = [directedPose(from)!.direction, direction].sort().join();
  if (pair === "down,up" || pair === "left,right") phrases.push("the opposite direction", "the other way");
  return phrases;
}

function clockPhrases(from: number, to: number): string[] {
  const hour = to >> 1 || 12;
  const half = to % 2 === 1;
  const name = half ? `half past ${NUMBERS[hour]}` : `${NUMBERS[hour]} o'clock`;
  const phrases = [
    `set the clock to ${name}`,
    `change the time to ${name}`,
    `make it ${name}`,
    `${name} instead`,
    `now showing ${name}`,
    `move the hands to ${name}`,
    `set it to ${hour}:${half ? "30" : "00"}`,
  ];
  const later = (to - from + 24) % 24;
  if (DELAYS[later]) phrases.push(`${DELAYS[later]} later`, `move it ${DELAYS[later]} forward`);
  if (DELAYS[24 - later]) phrases.push(`${DELAYS[24 - later]} earlier`, `move it ${DELAYS[24 - later]} back`);
  if (later === 12) phrases.push("six hours later");
  return phrases;
}

function colourPhrases(to: string): string[] {
  return [
    `make it ${to}`,
    `change the color to ${to}`,
    `the same in ${to}`,
    `${to} instead`,
    `paint it ${to}`,
    `turn it ${to}`,
    `a ${to} one`,
  ];
}

function moonPhrases(from: string, to: string): string[] {
  const phrases = [
    `change the phase to ${to}`,
    `make it a ${to}`,
    `${to} instead`,
    `now a ${to}`,
    `show the ${to}`,
    `moon phase: ${to}`,
  ];
  const later = (MOON_PHASES.indexOf(to) - MOON_PHASES.indexOf(from) + 8) % 8;
  if (later === 1) phrases.push("the next moon phase", "one phase later");
  if (later === 7) phrases.push("the previous moon phase", "one phase earlier");
  if (later === 4) phrases.push("the opposite moon phase");
  return phrases;
}

function arrowPhrases(from: string, to: string): string[] {
  const direction = to.replace("-", " and ");
  return [
    `point the arrow ${direction}`,
    `make it point ${direction}`,
    `turn the arrow ${direction}`,
    `${direction} instead`,
    `change the direction to ${direction}`,
    `now pointing ${direction}`,
    ...ROTATIONS[(ARROWS.indexOf(to) - ARROWS.indexOf(from) + 8) % 8],
  ];
}

function keycapPhrases(from: number, to: number): string[] {
  const phrases = [
    `change the digit to ${NUMBERS[to]}`,
    `make it a ${to}`,
    `number ${NUMBERS[to]} instead`,
    `show the number ${to}`,
    `replace it with ${NUMBERS[to]}`,
    `now a ${NUMBERS[to]}`,
  ];
  if (to - from === 1) phrases.push("the next number", "one higher");
  if (to - from === -1) phrases.push("the previous number", "one lower");
  if (to - from === 2) phrases.push("two higher");
  if (to - from === -2) phrases.push("two lower");
  return phrases;
}

function expressionPhrases(expression: string, labels: Map<string, string>): string[] {
  const label = labels.get(expression)?.toLowerCase();
  if (!label) throw new Error(`emojibase-data has no label for the face ${expression}`);
  return [
    `change it to ${label}`,
    `${label} instead`,
    `now ${label}`,
    `show ${label}`,
    `swap for ${label}`,
    `should be ${label}`,
  ];
}

function stylePhrases(vendor: string): string[] {
  return [
    `in the ${vendor} style`,
    `as drawn by ${vendor}`,
    `the ${vendor} version`,
    `redraw it like ${vendor}`,
    `same thing, ${vendor} look`,
    `change the style to ${vendor}`,
  ];
}

/**
 * All phrasings of one change. `from` and `to` are values of the attribute that the kind changes; for
 * "gender" they are [gender, age] and for "tone+gender" [tone, gender, age], joined by "|".
 * @param labels English labels by canonical code
 * @returns at least five distinct texts
 * @throws when a role or an expression has no label
 */
export function phrasings(kind: Kind, from: string, to: string, labels: Map<string, string>): string[] {
  switch (kind) {
    case "tone":
      return tonePhrases(from, to);
    case "gender": {
      const [gender, age] = to.split("|");
      return genderPhrases(gender, age);
    }
    case "tone+gender": {
      const [tone, gender, age] = to.split("|");
      return toneGenderPhrases(tone, gender, age);
    }
    case "hair":
      return hairPhrases(to);
    case "age":
      return agePhrases(from, to);
    case "facing":
      return facingPhrases(to);
    case "role":
      return rolePhrases(to, labels);
    case "gesture":
      return gesturePhrases(to, labels);
    case "direction":
      return directionPhrases(from, to);
    case "clock":
      return clockPhrases(Number(from), Number(to));
    case "colour":
      return colourPhrases(to);
    case "moon":
      return moonPhrases(from, to);
    case "arrow":
      return arrowPhrases(from, to);
    case "keycap":
      return keycapPhrases(Number(from), Number(to));
    case "expression":
      return expressionPhrases(to, labels);
    case "style":
      return stylePhrases(to);
  }
}
