// How many: the count that there should be.
import { isPlural, large, numbers, singular, wordsOf } from "../words.ts";
import { type Change, type Rule, refer, withoutPicture } from "./phrases.ts";

/** The number that an answer says; null where it says none. */
function numberOf(answer: string): number | null {
  const text = answer.trim().toLowerCase();
  if (/^\d{1,6}$/.test(text)) return Number(text);
  if (text === "zero" || text === "none" || text === "nothing") return 0;
  const word = numbers.indexOf(text);
  return word > 0 ? word : null;
}

/** A count and what is counted: "one piece of fruit", "no cars", "14 people"; "many birds". */
function counted(answer: string, noun: string): string | null {
  const number = numberOf(answer);
  if (number === null) {
    return /^(many|several|a few|few|lots|a lot|dozens|hundreds|thousands)$/.test(answer)
      ? `${answer.replace(/^(lots|a lot|dozens|hundreds|thousands)$/, "$1 of")} ${noun}`
      : /^\d+\+$|^(over|more than|about) \d+$/.test(answer)
        ? `${answer.replace(/^(\d+)\+$/, "more than $1")} ${noun}`
        : null;
  }
  return `${numbers[number] ?? number} ${number === 1 ? oneOf(noun) : noun}`;
}

/** "pieces of fruit" in the singular: the noun before "of", or the last one. */
function oneOf(noun: string): string {
  const words = noun.split(" ");
  const of = words.indexOf("of");
  const head = of > 0 ? of - 1 : words.length - 1;
  const last = words[head]!;
  const one = last === "people" ? "person" : isPlural(last) ? singular(last) : last;
  return [...words.slice(0, head), one, ...words.slice(head + 1)].join(" ");
}

export const howMany: Rule = ({ sentence, from, to, pick }: Change) => {
  const { wh, aux, subject, kinds } = sentence;
  const noun = /^how many (?:different |total )?(.+)$/i.exec(wh)?.[1];
  if (!noun || /^(more|less|fewer) /.test(noun) || (numberOf(to) === numberOf(from) && numberOf(to) !== null))
    return null;
  const [a, b] = [numberOf(from), numberOf(to)];
  // "How many of the zebras are looking?"
  if (/^of /.test(noun)) {
    if (b === null || !/^(is|are)$/.test(aux) || subject !== "" || sentence.predicate === "") return null;
    return large(`${b === 0 ? "none" : (numbers[b] ?? b)} ${noun} should be ${sentence.predicate}`);
  }
  const many = counted(to, noun);
  if (many === null) return null;
  const predicate = withoutPicture(sentence.predicate);
  // "How many wheels does the truck have?", "how many bags is the man holding?"
  if (subject !== "" && !/^(you|we|i|one|there|this|that|it|they|these|those)$/i.test(subject)) {
    if (predicate === "") return null;
    const verb = /^(does|do|did|can|could|will)$/.test(aux) ? "" : "be ";
    if (/^(is|are|was|were|does|do)$/.test(aux)) {
      const words = predicate.split(" ");
      const at = Math.max(1, /^v+/.exec(kinds)?.[0].length ?? 1);
      if (!kinds.startsWith("v")) return null;
      return large(
        `${refer(subject)} should ${verb}${[...words.slice(0, at), many, ...words.slice(at)].join(" ")}`,
      );
    }
    return null;
  }
  const seen = /^(there|visible|see|seen|be seen|shown|present|here|in view|this|)$/i.test(predicate);
  const rest = seen ? "" : ` ${predicate.replace(/^(have|has) /, "with ")}`;
  if (/^(you|we|i|one|they)$/i.test(subject) && !seen) return null;
  if (aux === "" && predicate !== "" && !kinds.startsWith("p") && !/^(have|has) /.test(predicate))
    return null;
  if (/^(does|do|did|can|could)$/.test(aux) && !seen) return null;
  const there = `There should be ${many}${rest}`;
  if (b === 0) return pick([there, `Remove the ${noun}${rest}`]);
  if (a === null || b === null) return there;
  const steps = `Change the number of ${noun}${rest} from ${a} to ${b}`;
  // "One person wearing hats" is none.
  if (b === 1 && /^v/.test(kinds) && !seen) return steps;
  const simple = seen && b > 1 ? [`Make it ${many}`] : [];
  return pick([there, steps, ...simple, ...(a === 0 ? [`Add ${many}${rest}`] : [])]);
};

/** "How many?" alone asks for nothing. */
export const isHowMany = (question: string) => wordsOf(question).slice(0, 2).join(" ") === "how many";
