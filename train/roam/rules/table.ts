// VQA's 65 question types, each with the rules that are tried on it, the first that fits being used.
import { color } from "./color.ts";
import { how } from "./how.ts";
import { howMany } from "./number.ts";
import { kind, property, what, which } from "./what.ts";
import { where } from "./where.ts";
import { who } from "./who.ts";
import { yesNo } from "./yesno.ts";

/** Rules by name, which is what counts are given by. */
export const rules = {
  "yes/no": yesNo,
  number: howMany,
  color,
  what,
  kind,
  property,
  which,
  where,
  who,
  how,
};
export type RuleName = keyof typeof rules;

const families: [RuleName[], string][] = [
  [["number"], "how many|how many people are|how many people are in"],
  [
    ["yes/no"],
    "is the|is this|is this a|is this an|is that a|is this person|is it|is there|is there a|is he|is|is the man|is the woman|is the person",
  ],
  [
    ["yes/no"],
    "are the|are these|are there|are there any|are they|are|does the|does this|do|do you|has|can you|could|was",
  ],
  [["color"], "what color is the|what color are the|what color is|what color|what is the color of the"],
  [["kind"], "what kind of|what type of|what animal is|what sport is|what room is"],
  [["property"], "what number is|what time"],
  [["kind", "property"], "what brand"],
  [["color", "what", "kind", "property"], "what"],
  [
    ["what"],
    "what is the|what is|what are the|what are|what is this|what is on the|what is in the|what does the",
  ],
  [["what"], "what is the man|what is the woman|what is the person|what is the name"],
  [["where"], "where is the|where are the"],
  [["who"], "who is"],
  [["which", "kind"], "which"],
  [["how"], "how"],
  // Reasons are not to be seen: filters.ts.
  [[], "why|why is the"],
  [["yes/no", "what", "where", "who", "which", "how"], "none of the above"],
];

/** Of each question type, the rules for it in order. */
export const rulesOf: ReadonlyMap<string, readonly RuleName[]> = new Map(
  families.flatMap(([names, types]) => types.split("|").map((type) => [type, names] as const)),
);

/** A type that VQA doesn't have takes any rule. */
export const anyRule: readonly RuleName[] = [
  "yes/no",
  "number",
  "color",
  "what",
  "kind",
  "property",
  "where",
  "who",
  "which",
  "how",
];
