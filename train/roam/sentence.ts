// What a question is made of: the words it asks with, its auxiliary, who or what it is about, and what it says of that.
// "What is the man holding in his hand?" is what | is | the man | holding in his hand. Kinds of words come from compromise's
// tagger; where a subject ends is worked out here, from what VQA's questions look like.
import nlp from "compromise/two";
import { gerund, isPlural, isPreposition } from "./words.ts";

/** d: determiner, n: noun, a: adjective, p: preposition, v: verb, r: adverb, o: pronoun, c: and/or, x: particle, m: number. */
type Kind = "d" | "n" | "a" | "p" | "v" | "r" | "o" | "c" | "x" | "m";

interface Word {
  text: string;
  low: string;
  kind: Kind;
  /** Whether it is a verb that nothing says is past or done: behind is and are it must be a noun. */
  base: boolean;
}

/** A question in its parts; each is empty where there is none. */
export interface Sentence {
  /** With what it asks: "what", "how many people", "in which hand"; empty where it is answered by yes or no. */
  wh: string;
  /** is, are, does, can; empty where there is none, as in "what covers the ground". */
  aux: string;
  /** The words it is about: "the man". */
  subject: string;
  /** What is said of it: "holding in his hand". */
  predicate: string;
  /** The kinds of the predicate's words, a letter each. */
  kinds: string;
  /** Subject and predicate, as they stand. */
  rest: string;
}

const auxiliaries = new Set(
  "is are was were am does do did has have had can could will would should might may must".split(" "),
);
const pronouns = new Set(
  "he she it they you we i him her them one everyone someone anyone everybody anybody somebody anything something everything nothing nobody there".split(
    " ",
  ),
);
const demonstratives = new Set("this that these those".split(" "));
const determiners = new Set(
  "the a an his her their its my your our this that these those both all some any each every no".split(" "),
);
const adverbs = new Set(
  "very too so also still just now really about only more most less not currently yet ever recently".split(
    " ",
  ),
);
const adjectives = new Set(
  "able asleep awake alone alive open closed left-handed right-handed male female blonde ready full empty calm ripe wet dry indoors outdoors outside inside gray grey tan beige missing black white red blue green yellow orange brown pink purple clean dirty lit bald present visible sunny cloudy rainy overcast healthy old young overweight similar real fake vegetarian vegan homemade messy".split(
    " ",
  ),
);
const nouns = new Set(
  "light lights left right seat train lot fire stop park watch plants plate color skate board ski bat ball hat hand hands people man men woman women animal animals sign signs counter meal door doors mouth bed shed sled seed daytime boats bench trunk".split(
    " ",
  ),
);
/** Behind a subject and does, do, did or will these are verbs, though the tagger has most of them for nouns. */
const infinitives = new Set(
  "have look appear seem like want wear see eat carry need fit cut say match mean turn hit fall fly work run walk sleep play lead pull contain open close drive stand sit hang drink smile use hold show face move stop go come take get make ride reach touch cover cross feel lie read point swim jump throw catch wave leave park grow belong stay need end own bite rest".split(
    " ",
  ),
);
const verbs = new Set(
  "have look looks appear appears seem seems like want wear see eat carry need fit cut say match mean".split(
    " ",
  ),
);

/** The words of a question with their kinds; null where the tagger cut them otherwise. */
function tagged(question: string): Word[] | null {
  const texts = question
    .replace(/^(\w+) it['’]s\b/i, "$1 its")
    .replace(/\b(what|who|where|how|that|it|he|she|there)['’]s\b/gi, "$1 is")
    .replace(/[?!.,;"()]+(?=\s|$)/g, " ")
    .replace(/(^|\s)["(]+/g, " ")
    .trim()
    .split(/\s+/)
    .filter((text) => /[\p{L}\p{N}]/u.test(text));
  // Fed without apostrophes and hyphens, which the tagger makes words of their own of.
  const fed = texts.map((text) => text.replace(/['’]s?$/, "").replace(/[^\p{L}\p{N}]/gu, "") || "x");
  const terms = nlp(fed.join(" "))
    .docs.flat()
    .filter(({ text }) => text !== "");
  if (terms.length !== texts.length) return null;
  return texts.map((text, i) => {
    const low = text.toLowerCase();
    const tags = terms[i]!.tags as Set<string>;
    const base =
      tags.has("Verb") && !/(ing|ed|en)$|^(cut|set|put|hit|shut|split|lit|made|worn|spread)$/.test(low);
    return {
      text,
      low,
      kind: kindOf(low, tags),
      base: base && !tags.has("PastTense") && !tags.has("Participle"),
    };
  });
}

function kindOf(low: string, tags: Set<string>): Kind {
  if (/['’]s?$/.test(low)) return "d";
  if (low === "and" || low === "or") return "c";
  if (/^\d/.test(low) || tags.has("Value")) return "m";
  if (adverbs.has(low)) return "r";
  if (determiners.has(low)) return "d";
  if (pronouns.has(low)) return "o";
  if (adjectives.has(low)) return "a";
  if (isPreposition(low) || low === "of") return "p";
  if (gerund(low)) return "v";
  if (nouns.has(low)) return "n";
  if (verbs.has(low)) return "v";
  if (low.includes("-")) return /(ed|ing)$/.test(low) ? "a" : "n";
  if (tags.has("Adjective") || tags.has("Comparative")) return "a";
  if (tags.has("Adverb")) return /ly$/.test(low) ? "r" : "n";
  if (tags.has("Particle")) return "x";
  if (tags.has("Preposition")) return "p";
  if (tags.has("PastTense") || tags.has("Participle") || /ed$/.test(low)) return "v";
  if (tags.has("Verb")) return "v";
  return "n";
}

/** A noun phrase from `from`: where it ends; `from` where there is none. */
function nounPhrase(words: readonly Word[], from: number, does = false): number {
  const kind = (i: number) => words[i]?.kind;
  const low = (i: number) => words[i]?.low ?? "";
  let i = from;
  // "all of the", "both", "one of the", "any of the"
  if (/^(all|both|some|any|one|most|each|none|two|three|\d+)$/.test(low(i)) && low(i + 1) === "of") i += 2;
  if (kind(i) === "o" && low(i) !== "her") return i + 1;
  const start = i;
  // "the man's", "all the", "this"
  while (
    kind(i) === "d" ||
    kind(i) === "m" ||
    (kind(i) === "n" && kind(i) !== undefined && kind(i + 1) === "d" && /['’]s?$/.test(low(i + 1)))
  )
    i++;
  const determined = i > start;
  // Adjectives, participles and nouns up to the last noun before anything else. A verb behind a determiner with no
  // noun yet is one in this place: "the lights on", "the covered plate".
  let last = start;
  for (; i < words.length; i++) {
    const k = kind(i);
    if (does && last > start && infinitives.has(low(i))) break;
    if (k === "n" || (k === "v" && words[i]!.base && !does && last > start && determined)) last = i + 1;
    else if (k === "d" && /['’]s?$/.test(low(i))) last = i + 1;
    else if (k === "v" && last === start && determined) {
      if (gerund(low(i)) || /ed$/.test(low(i))) {
        if (kind(i + 1) !== "n") break;
      } else last = i + 1;
    } else if (
      k === "a" ||
      (k === "r" && kind(i + 1) === "a") ||
      (k === "c" && kind(i - 1) === "a" && kind(i + 1) === "a")
    ) {
      // Behind a noun it is said of it, unless another noun follows: "the cat black", but "the fire old hydrant" isn't said.
      if (last > start) break;
    } else break;
  }
  return last === start && determined && demonstratives.has(low(start)) ? start + 1 : last;
}

/** Where the subject ends among the words behind the auxiliary; 0 where there is none. */
function subjectEnd(words: readonly Word[], does: boolean): number {
  const kind = (i: number) => words[i]?.kind;
  const low = (i: number) => words[i]?.low ?? "";
  if (words.length === 0 || kind(0) === "p" || kind(0) === "x") return 0;
  if (low(0) === "there") return 1;
  if (
    demonstratives.has(low(0)) &&
    (words.length === 1 ||
      !(/[na]/.test(kind(1) ?? "") || (words[1]!.base && !does) || /['’]s?$/.test(low(1))))
  ) {
    // "this a kitchen", "these in a zoo", "these two women sitting"
    if (kind(1) !== "m") return 1;
  }
  let end = nounPhrase(words, 0, does);
  if (end === 0) return 0;
  const more = (from: number) => {
    const next = nounPhrase(words, from, does);
    return next > from ? next : -1;
  };
  // "the man and woman", "the men and the dogs"
  if (low(end) === "and") {
    const next = more(end + 1);
    if (next > 0) end = next;
  }
  if (low(end) === "of") {
    const next = more(end + 1);
    if (next > 0) end = next;
  }
  // "the man on the left wearing", "the cat on the bed asleep": only where something is said behind it.
  for (;;) {
    if (kind(end) !== "p") break;
    const inner =
      /^(front|top|back|middle|next|side)$/.test(low(end + 1)) && low(end + 2) === "of"
        ? end + 3
        : low(end) === "next" && low(end + 1) === "to"
          ? end + 2
          : end + 1;
    const next = more(inner);
    // "the animals in a field or a zoo" says where they are.
    if (next < 0 || next >= words.length || low(next) === "or") break;
    end = next;
  }
  if (end < words.length) return end;
  // Nothing is left to be said: "these people friends", "this indoors", "these zebras".
  if (demonstratives.has(low(0)) && words.length > 1 && !/['’]s?$/.test(low(1))) {
    return words.length === 3 && isPlural(low(1)) && isPlural(low(2)) ? 2 : 1;
  }
  return end;
}

/** Takes a question apart; null where that can't be done. */
export function parse(question: string): Sentence | null {
  const words = tagged(question);
  if (words === null || words.length < 2) return null;
  const join = (part: readonly Word[]) =>
    part.map(({ text, low }, i) => (i === 0 && part === words ? low : text)).join(" ");
  words[0]!.text = words[0]!.low;
  const asks = words.findIndex(({ low }) => /^(what|which|who|whose|whom|where|when|why|how)$/.test(low));
  const first = words.findIndex(({ low }) => auxiliaries.has(low));
  let [wh, aux, rest]: [Word[], string, Word[]] = [[], "", []];
  if (first === 0) [aux, rest] = [words[0]!.low, words.slice(1)];
  else if (asks >= 0 && asks <= 2 && first > asks) {
    [wh, aux, rest] = [words.slice(0, first), words[first]!.low, words.slice(first + 1)];
  } else if (asks === 0) {
    const verb = words.findIndex(
      ({ kind }, i) =>
        i > 0 &&
        (kind === "v" || kind === "p") &&
        words[i]!.low !== "of" &&
        !/^(kind|type|color|sort|brand)$/.test(words[i - 1]!.low),
    );
    const cut = verb < 0 ? words.length : verb;
    return {
      ...{ wh: join(words.slice(0, cut)), aux: "", subject: "", predicate: join(words.slice(cut)) },
      ...{
        kinds: words
          .slice(cut)
          .map(({ kind }) => kind)
          .join(""),
        rest: join(words.slice(cut)),
      },
    };
  } else return null;
  // "In which hand is the racket?" asks which hand it is in.
  if (asks > 0) rest.push(...wh.splice(0, asks));
  // "Which arm has a watch?": has is no auxiliary unless a participle follows.
  if (
    wh.length > 0 &&
    /^(has|have|had)$/.test(aux) &&
    !rest.some(({ kind, low }) => low === "been" || (kind === "v" && !gerund(low)))
  ) {
    const whole = [words[first]!, ...rest];
    return {
      wh: join(wh),
      aux: "",
      subject: "",
      predicate: join(whole),
      kinds: whole.map(({ kind }) => kind).join(""),
      rest: join(whole),
    };
  }
  const does = !/^(is|are|was|were|am|has|had)$/.test(aux);
  const found = subjectEnd(rest, does);
  if (does && found > 0 && rest[found] && infinitives.has(rest[found]!.low)) rest[found]!.kind = "v";
  const end = wh.length === 0 ? splitOr(rest, found) : found;
  return {
    ...{ wh: join(wh), aux, subject: join(rest.slice(0, end)), predicate: join(rest.slice(end)) },
    ...{
      kinds: rest
        .slice(end)
        .map(({ kind }) => kind)
        .join(""),
      rest: join(rest),
    },
  };
}

/** A question of yes and no always says something of its subject: the last word, where nothing else is left. */
function splitOr(rest: readonly Word[], end: number): number {
  if (end < rest.length || rest.length < 2) return end;
  if (rest[0]!.kind === "o") return 1;
  return rest.length > 2 || !determiners.has(rest[0]!.low) ? rest.length - 1 : end;
}
