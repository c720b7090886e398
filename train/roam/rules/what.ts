// What, which and what kind of: the answer in the place that the question has left open.
import { classes, gerund, large, properties, singular, sports, thing, wordsOf } from "../words.ts";
import {
  activity,
  type Change,
  changed,
  embedded,
  filled,
  isNothing,
  kindOf,
  object,
  type Rule,
  refer,
  withoutPicture,
} from "./phrases.ts";

/** Whether the verbs of a predicate say that something is done, so that the answer must too. */
const isDoing = (predicate: string) => /\bdoing\b/.test(predicate);

/** "The man should be holding a phone", by the auxiliary; null where that is another one. */
function should({ sentence }: Change, predicate: string, not = false): string | null {
  const { aux, subject } = sentence;
  const no = not ? " not" : "";
  if (/^(is|are|was|were)$/.test(aux)) return large(`${refer(subject)} should${no} be ${predicate}`);
  if (/^(does|do)$/.test(aux)) return large(`${refer(subject)} should${no} ${predicate}`);
  return null;
}

/** What somebody does, or does something with: there is a subject and a verb. */
function acted(change: Change, answer: string): string | null {
  const { sentence, to } = change;
  const { predicate, kinds } = sentence;
  if (isDoing(predicate)) {
    const doing = activity(to);
    if (isNothing(to)) return null;
    return doing === null
      ? changed(change, (text) => text)
      : should(change, predicate.replace(/\bdoing\b/, doing));
  }
  if (isNothing(to)) return should(change, filled(predicate, "anything", kinds), true);
  // "What is the man trying to do?"
  const doing = /^(.*\bto) do$/.exec(predicate);
  if (doing) {
    const [verb, ...rest] = to.split(" ");
    return gerund(verb!) || rest.length > 1
      ? changed(change)
      : should(change, [doing[1], verb, ...rest.map(thing)].join(" "));
  }
  if (predicate === "playing" && sports.has(to)) return should(change, `playing ${to}`);
  // "What does the sign say?" is answered by words.
  if (/^(say|read|spell)\b/.test(predicate)) return should(change, filled(predicate, `"${to}"`, kinds));
  if (/^(like|looking like|look like)$/.test(predicate)) {
    return predicate === "like"
      ? `Make ${object(sentence.subject)} ${to}`
      : should(change, `look like ${answer}`);
  }
  return should(change, filled(predicate, answer, kinds));
}

/** What is somewhere, or does something: there is no subject. */
function found(change: Change, answer: string): string | null {
  const { sentence, to, pick } = change;
  const { kinds } = sentence;
  const predicate = withoutPicture(sentence.predicate);
  if (predicate === "") return pick([`Show ${answer}`, `There should be ${answer}`]);
  if (isNothing(to) && /^(wrong|different|special|unusual|missing)\b/.test(predicate))
    return `There should be nothing ${predicate}`;
  if (/^(wrong|different|special|unusual|missing|happening|going on|being|taking place)\b/.test(predicate))
    return changed(change);
  if (kinds[0] === "v" || kinds[0] === "p" || kinds[0] === "x" || kinds[0] === "a") {
    if (isNothing(to)) return `There should be nothing ${predicate}`;
    const put = /^(in|on|under|behind|beside|next to|near|above|below)\b/.test(predicate);
    return pick([`There should be ${answer} ${predicate}`, ...(put ? [`Put ${answer} ${predicate}`] : [])]);
  }
  return null;
}

/** What something is: nothing is said of it. */
function identity(change: Change, what: string): string | null {
  const { from, to, pick } = change;
  if (isNothing(to)) return null;
  const who = refer(what);
  if (who === "it" || who === "they") {
    const answer = thing(to);
    const own = [`Make ${object(what)} ${answer}`, large(`${who} should be ${answer}`)];
    return pick(
      who === "it" && !/\d/.test(from + to) ? [...own, `Replace the ${bare(from)} with ${answer}`] : own,
    );
  }
  if (/^(he|she|you|i|we)$/i.test(who)) return large(`${who} should be ${thing(to)}`);
  // Names, shapes and numbers are changed to words, things to things.
  const head = wordsOf(who.replace(/ (of|on|in|at|for|with|behind|next) .*$/, "")).at(-1) ?? "";
  const as = properties.has(singular(head)) ? (text: string) => text : thing;
  if (/ like$/.test(who)) return `Make ${who.replace(/ like$/, "")} ${to}`;
  return pick([`Change ${who} to ${as(to)}`, `Change ${who} from ${as(from)} to ${as(to)}`]);
}

const bare = (answer: string) => answer.replace(/^(a|an|the|some) /i, "");

export const what: Rule = (change) => {
  const { sentence, to } = change;
  const { wh, aux, subject, predicate, kinds, rest } = sentence;
  if (!/^what( else)?$/i.test(wh) || /^(yes|no)$/.test(to)) return null;
  const answer = thing(to);
  if (aux === "") {
    if (isNothing(to)) return `Nothing should ${rest.replace(/^(\w+?)(e?)s\b/, "$1$2")}`;
    return changed(change);
  }
  if (subject === "") return found(change, answer);
  // "What is that in the sky?"
  if (/^(this|that|these|those)$/i.test(subject) && kinds.startsWith("p")) return found(change, answer);
  if (/\b(called|named)$/.test(predicate) || predicate === "like") {
    return predicate === "like" ? acted(change, answer) : identity(change, subject);
  }
  const picture = /^(a )?(picture|photo|image) of$/.exec(predicate);
  if (picture) return identity(change, "this");
  const named = /^(this|that|these|those)$/i.test(subject) && /^[na]+$/.test(kinds);
  if (/^(is|are|was|were)$/.test(aux) && (predicate === "" || named))
    return identity(change, named ? `${subject} ${predicate}` : subject);
  if (/^(is|are)$/.test(aux) && kinds === "p") return should(change, `${predicate} ${answer}`);
  if (/^(is|are|was|were)$/.test(aux) && /^p/.test(kinds))
    return identity(change, withoutPicture(rest) || subject);
  if (kinds.startsWith("v") || kinds.startsWith("rv")) return acted(change, answer);
  return changed(change);
};

/** The name of what is asked for: "what kind of cake", "what animal", "which room". */
const asked =
  /^(?:what|which)(?: (?:other|different|main))? (?:(?:(kind|type|sort|style|breed|variety)s? (?:of )?|(brand)s? of )(?:an? )?)?(.+)$/i;

/** What kind of, what animal, what sport: a thing that is more closely told. */
export const kind: Rule = (change) => {
  const { sentence, from, to, pick } = change;
  const match = asked.exec(sentence.wh);
  if (!match || /^(yes|no)$/.test(to) || isNothing(to)) return null;
  const noun = match[3]!;
  const head = singular(wordsOf(noun).at(-1) ?? "");
  if (!match[1] && !match[2] && properties.has(head) && !/^(sport|material|season)$/.test(head))
    return property(change);
  const answer = kindOf(to, noun);
  const { aux, subject, predicate, kinds } = sentence;
  const seen = withoutPicture(predicate);
  if (/^there$/i.test(subject)) return `There should be ${[answer, seen].filter(Boolean).join(" ")}`;
  if (subject !== "") {
    const bareSubject = /^(this|that|these|those|it|they|he|she)$/i.test(subject);
    if (predicate === "" || seen === "") {
      if (!bareSubject)
        return pick([`Make ${object(subject)} ${answer}`, `Change ${refer(subject)} to ${answer}`]);
      if (head === "sport" || head === "room")
        return pick([
          `Change the ${noun} to ${plainKind(to, noun)}`,
          `Change the ${noun} from ${plainKind(from, noun)} to ${plainKind(to, noun)}`,
        ]);
      return pick([`Make ${object(subject)} ${answer}`, large(`${refer(subject)} should be ${answer}`)]);
    }
    if (head === "sport") {
      const done = activity(to) ?? to;
      const doing = /^(playing|doing)$/.test(predicate) && gerund(wordsOf(done)[0] ?? "") ? done : null;
      return pick([`Change the sport to ${to}`, ...(doing === null ? [] : [should(change, doing)])]);
    }
    const within =
      kinds === "p" || kinds.endsWith("p")
        ? filled(predicate, head === "room" ? `the ${to}` : answer, kinds)
        : filled(predicate, answer, kinds);
    return kinds.startsWith("v") || kinds === "p" ? should(change, within) : changed(change);
  }
  if (seen === "" || /^(being )?(played|served|eaten|prepared|grown)\b/.test(predicate)) {
    return pick([
      `Change the ${noun} to ${plainKind(to, noun)}`,
      `Change the ${noun} from ${plainKind(from, noun)} to ${plainKind(to, noun)}`,
    ]);
  }
  if (aux === "") return changed(change, (text) => kindOf(text, noun));
  if (/^[vpxa]/.test(kinds))
    return pick([`There should be ${answer} ${seen}`, `Change the ${noun} ${seen} to ${answer}`]);
  return changed(change);
};

/** Rooms have an article, sports and weather none. */
const plainKind = (answer: string, noun: string) => {
  const head = singular(wordsOf(noun).at(-1) ?? "");
  return /^(sport|weather|season|material|game|meal)$/.test(head) ? answer : kindOf(answer, noun);
};

/** What number, what brand, what time: a property that is changed. */
export const property: Rule = (change) => {
  const { sentence, from, to, pick } = change;
  const match = /^(?:what|which) (.+)$/i.exec(sentence.wh);
  if (!match || /^(yes|no)$/.test(to) || isNothing(to)) return null;
  const noun = match[1]!;
  const { aux, subject, predicate, kinds } = sentence;
  const seen = withoutPicture(predicate);
  const to2 = (of: string) =>
    pick([`Change the ${noun}${of} to ${to}`, `Change the ${noun}${of} from ${from} to ${to}`]);
  if (subject === "")
    return /^[pva]/.test(kinds) || kinds === ""
      ? to2(seen === "" ? "" : ` ${seen}`)
      : changed(change, (text) => text);
  const nobody = /^(it|this|that|these|those|they|there)$/i.test(subject);
  if (predicate === "" || seen === "") {
    if (!/^(is|are|was|were)$/.test(aux)) return null;
    return nobody ? to2("") : to2(` of ${refer(subject)}`);
  }
  if (/^(does|do)$/.test(aux) && /^(say|show|read|display|have)$/.test(predicate))
    return should(change, `${predicate} ${to}`);
  if (/^(made|painted)/.test(predicate)) return should(change, `${predicate} ${to}`);
  return changed(change, (text) => text);
};

/** Which of those that are there: nothing closer than the question itself. */
export const which: Rule = (change) => {
  const { to } = change;
  if (/^(yes|no)$/.test(to) || isNothing(to)) return null;
  const { sentence, pick } = change;
  // "Which is closer, the bus or the car?", "which of these is a vegetable?"
  if (/ or /.test(sentence.rest) || (/^an? /i.test(sentence.subject) && sentence.predicate === ""))
    return null;
  const direction = /^(?:in )?(?:what|which) (direction|way)\b/i.exec(sentence.wh);
  if (direction && sentence.subject !== "" && /^(is|are)$/.test(sentence.aux) && sentence.predicate !== "") {
    const way = /^(left|right|north|south|east|west)$/.test(to)
      ? /^(going|moving|heading|walking|turning)/.test(sentence.predicate)
        ? `to the ${to}`
        : to
      : to;
    return should(change, `${sentence.predicate} ${way}`);
  }
  const match = asked.exec(sentence.wh);
  const head = singular(wordsOf(match?.[3] ?? "").at(-1) ?? "");
  if (
    match &&
    classes.has(head) &&
    embedded(sentence) !== null &&
    (sentence.subject === "" ? false : sentence.predicate === "")
  )
    return kind(change);
  return changed(change, (text) => text) ?? pick([null]);
};
