// What colour: what the question is about, in the other colour.
import { isPlural, large, wordsOf } from "../words.ts";
import {
  type Change,
  colored,
  filled,
  isNothing,
  object,
  type Rule,
  refer,
  withoutPicture,
} from "./phrases.ts";

export const color: Rule = (change: Change) => {
  const { sentence, from, to, pick } = change;
  const asks = `${sentence.wh} ${sentence.aux} ${sentence.rest}`;
  if (!/^what colou?r|^(what|which) (is|are) the (main )?colou?rs? of/i.test(asks)) return null;
  if (isNothing(to) || wordsOf(to).length > 5) return null;
  const { wh, aux, subject, kinds } = sentence;
  const predicate = withoutPicture(sentence.predicate);
  const noun = /^what colou?rs? (?:of )?(.+)$/i.exec(wh)?.[1];
  if (noun) {
    const it = colored(to, noun);
    if (subject !== "" && predicate !== "") {
      if (/^(is|are|was|were)$/.test(aux))
        return large(`${refer(subject)} should be ${filled(predicate, it, kinds)}`);
      if (/^(does|do)$/.test(aux)) return large(`${refer(subject)} should ${filled(predicate, it, kinds)}`);
      return null;
    }
    if (!/^(is|are|)$/.test(aux)) return null;
    if (subject !== "")
      return pick([`Make ${object(subject)} ${it}`, large(`${refer(subject)} should be ${it}`)]);
    return predicate === ""
      ? pick([`Make the ${noun} ${to}`, `Change the ${noun} to ${it}`])
      : `There should be ${it} ${predicate}`;
  }
  if (/^(does|do)$/.test(aux) && predicate === "have") return large(`${refer(subject)} should be ${to}`);
  if (predicate === "wearing" && /^(is|are)$/.test(aux))
    return large(`${refer(subject)} should be wearing ${to}`);
  // All behind the auxiliary is what has the colour, "the shirt the boy is wearing" included.
  const of = /^(?:what|which) (?:is|are) the (?:main )?colou?rs? of (.+)$/i.exec(
    `${wh} ${aux} ${sentence.rest}`,
  )?.[1];
  let what = withoutPicture(of ?? sentence.rest).replace(/ (painted|colored|made|dyed|in color)$/i, "");
  if (what === "" || !/^(is|are|was|were)$/.test(aux)) return null;
  if (/^(in|on|under|behind|around|at|next)\b/i.test(what)) what = `what is ${what}`;
  const who = refer(what);
  const be = large(`${who} should be ${to}`);
  if (/^(it|they|he|she)$/.test(who)) return pick([`Make ${object(what)} ${to}`, be]);
  if (who.startsWith("what ")) return be;
  const simple = wordsOf(who).length <= 6;
  return pick([
    `Make ${who} ${to}`,
    be,
    ...(simple && !isPlural(wordsOf(from).at(-1) ?? "") && !isNothing(from)
      ? [`Change the color of ${who} from ${from} to ${to}`]
      : []),
  ]);
};
