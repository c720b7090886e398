// Phrases that several rules are made of: who or what a question is about as a text speaks of it, and answers put where the
// question has left them out.
import type { Sentence } from "../sentence.ts";
import {
  byThemselves,
  classes,
  gerund,
  isPlural,
  isPreposition,
  singular,
  sports,
  thing,
  withArticle,
  withDeterminer,
  wordsOf,
} from "../words.ts";

/** What a rule is given: a question, its answer to the first picture and to the second, which the text must lead to. */
export interface Change {
  question: string;
  sentence: Sentence;
  from: string;
  to: string;
  /** One of several wordings, the same for the same pair and direction. */
  pick<T>(wordings: readonly T[]): T;
}

/** A text; null where the rule doesn't fit. */
export type Rule = (change: Change) => string | null;

/** A noun phrase as a text about the picture says it: "this person" is the person, "this" it, "these" they. */
export function refer(phrase: string): string {
  const low = phrase.toLowerCase();
  if (low === "this" || low === "that") return "it";
  if (low === "these" || low === "those") return "they";
  return phrase
    .replace(/\bof (this|that|these|those) /gi, "of the ")
    .replace(/^(all |both |most |one |some |any |none )?(of )?(this|that|these|those) /i, "$1$2the ");
}

const objects: Record<string, string> = { they: "them", he: "him", she: "her", i: "me", we: "us" };
/** As `refer`, where it is what is acted on: they are them. */
export const object = (phrase: string) => objects[refer(phrase).toLowerCase()] ?? refer(phrase);

/** Whether an answer says that there is none. */
export const isNothing = (answer: string) => /^(nothing|none|no one|nobody|0|no)$/i.test(answer.trim());

/** Words that only say that a picture is meant: "in the picture", "shown". */
export const withoutPicture = (text: string) =>
  text
    .replace(
      /\s*\b(?:(?:(?:be|being) )?(?:shown|seen|pictured|depicted|featured|visible|displayed) )?(?:in|on) (?:the|this|that) (?:pictures?|photos?|images?|photographs?|scene|shot|frame)\b/i,
      "",
    )
    .replace(/^(?:(?:be|being) )?(?:shown|seen|pictured|depicted|featured|visible|here|there)$/i, "")
    .trim();

/** A predicate with an object where it lacks one: holding | a phone | in his hand. */
export function filled(predicate: string, object: string, kinds: string): string {
  const words = predicate.split(" ");
  if (words.length === 1 || kinds.at(-1) === "p" || kinds.at(-1) === "v" || kinds.at(-1) === "x") {
    return `${predicate} ${object}`;
  }
  const verbs = /^v+/.exec(kinds)?.[0].length ?? 0;
  const particle = verbs > 0 && kinds[verbs] === "x" ? 1 : 0;
  if (verbs === 0 || kinds[verbs + particle] !== "p") return `${predicate} ${object}`;
  return [...words.slice(0, verbs + particle), object, ...words.slice(verbs + particle)].join(" ");
}

const particles =
  /^(up|down|off|out|over|around|away|back|on|in|together|by|still|alone|outside|inside|left|right|forward)$/;

/** An answer to "doing what": "skiing", "flying kite", "tennis". Null for what is no activity. */
export function activity(answer: string): string | null {
  const words = wordsOf(answer);
  const [verb = "", ...rest] = words;
  if (sports.has(answer.trim())) return `playing ${answer.trim()}`;
  if (!gerund(verb)) return null;
  if (rest.length === 0) return answer;
  const at = rest.findIndex((word) => isPreposition(word) && !particles.test(word));
  const tail = rest.findIndex((word) => isPreposition(word));
  if (rest.length === 1 && !particles.test(rest[0]!) && !/ly$/.test(rest[0]!))
    return `${verb} ${thing(rest[0]!)}`;
  const place = at >= 0 ? at : tail;
  if (place < 0 || place === rest.length - 1) return answer;
  const end = withDeterminer(rest.slice(place).join(" "));
  const middle = rest.slice(0, place).join(" ");
  return [verb, middle && (place === 1 && !particles.test(middle) ? thing(middle) : middle), end]
    .filter(Boolean)
    .join(" ");
}

/** "chocolate" as a kind of cake is chocolate cake; "bear" as a kind of animal is a bear. */
export function kindOf(answer: string, noun: string): string {
  const [own, last] = [singular(wordsOf(noun).at(-1) ?? ""), singular(wordsOf(answer).at(-1) ?? "")];
  const plural = isPlural(wordsOf(noun).at(-1) ?? "");
  if (/['’]s? /.test(noun)) return answer;
  if (/^(left|right|top|bottom|front|back|upper|lower)$/.test(answer) && !plural)
    return `the ${answer} ${noun}`;
  if (/ of (the|a|an|his|her|their) /.test(noun)) return thing(answer);
  if (/^(hand|arm|leg|foot|side|eye|ear|wrist|shoulder|knee)$/.test(own)) {
    return `the ${answer}${own === last ? "" : ` ${noun}`}`;
  }
  if (byThemselves.has(last) || isPlural(wordsOf(answer).at(-1) ?? "")) return thing(answer);
  if (/^(cake|pizza|salad|pie)$/.test(noun))
    return withArticle(`${answer} ${noun}`.replace(`${noun} ${noun}`, noun));
  if (last.length > own.length && last.endsWith(own)) return thing(answer);
  if (classes.has(own) || own === last || wordsOf(answer).map(singular).includes(own)) return thing(answer);
  const both = `${answer} ${noun}`;
  return plural ? both : thing(both);
}

/** A noun behind a colour, with an article where it takes one. */
export const colored = (color: string, noun: string) => {
  const plain = thing(noun);
  return /^an? /.test(plain) ? withArticle(`${color} ${noun}`) : `${color} ${noun}`;
};

/** The third person of a verb: has, goes, carries. */
export function third(verb: string): string {
  if (verb === "have") return "has";
  if (verb === "be") return "is";
  if (verb === "do" || verb === "go") return `${verb}es`;
  if (/[^aeiou]y$/.test(verb)) return `${verb.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(verb) ? `${verb}es` : `${verb}s`;
}

/** The question as a part of a sentence: "what the man is holding"; null where it can't be turned. */
export function embedded({ wh, aux, subject, predicate, kinds }: Sentence): string | null {
  const who = subject === "" ? "" : refer(subject);
  if (/^(is|are|was|were|can|could|will|should|has|have)$/.test(aux)) {
    return [wh, who, aux, predicate].filter(Boolean).join(" ");
  }
  const [verb, ...more] = predicate.split(" ");
  if (aux === "does" && verb && kinds.startsWith("v"))
    return [wh, who, third(verb), ...more].filter(Boolean).join(" ");
  if (aux === "do") return [wh, who, predicate].filter(Boolean).join(" ");
  if (aux === "" && predicate) return `${wh} ${predicate}`;
  return null;
}

/** "Change what the man is holding to a phone", where nothing closer fits. */
export function changed({ sentence, from, to, pick }: Change, as = thing): string | null {
  const what = embedded(sentence);
  if (what === null) return null;
  const steps = `Change ${what} from ${as(from)} to ${as(to)}`;
  return what.endsWith(" to") ? steps : pick([`Change ${what} to ${as(to)}`, steps]);
}
