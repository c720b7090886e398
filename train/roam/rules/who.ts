// Who: somebody else.
import { isPerson, large, thing, wordsOf } from "../words.ts";
import { type Change, filled, object, type Rule, refer, withoutPicture } from "./phrases.ts";

const nobody = (answer: string) => /^(nobody|no one|none|noone|nothing)$/i.test(answer);

/** Somebody: "man" is a man, a name is as it is. */
const somebody = (answer: string) =>
  isPerson(wordsOf(answer.replace(/ (on|in|at|with|by) .*$/, "")).at(-1) ?? "") ? thing(answer) : answer;

export const who: Rule = ({ sentence, to, pick }: Change) => {
  const { wh, aux, subject, kinds } = sentence;
  if (!/^who$/i.test(wh) || !/^(is|are)$/.test(aux) || /^(yes|no)$/.test(to)) return null;
  const predicate = withoutPicture(sentence.predicate);
  if (subject !== "") {
    if (predicate !== "") {
      return nobody(to)
        ? large(`${refer(subject)} should not be ${filled(predicate, "anyone", kinds)}`)
        : large(`${refer(subject)} should be ${filled(predicate, `the ${to}`, kinds)}`);
    }
    if (nobody(to)) return null;
    return pick([
      `Make ${object(subject)} ${somebody(to)}`,
      large(`${refer(subject)} should be ${somebody(to)}`),
    ]);
  }
  if (predicate === "")
    return nobody(to)
      ? "There should be nobody"
      : pick([`Show ${somebody(to)}`, `There should be ${somebody(to)}`]);
  if (nobody(to)) return `No one should be ${predicate}`;
  // "Who is taller?"
  if (/^r?a/.test(kinds))
    return large(`${isPerson(wordsOf(to).at(-1) ?? "") ? "the " : ""}${to} should be ${predicate}`);
  const one = /^(you|me|him|her|them|it)$/.test(to) ? to : somebody(to);
  return pick([`There should be ${one} ${predicate}`, large(`${one} should be ${predicate}`)]);
};
