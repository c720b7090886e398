// How: the state that something is in, or how it does what it does.
import { large, withDeterminer } from "../words.ts";
import { howMany, isHowMany } from "./number.ts";
import { activity, type Change, changed, isNothing, object, type Rule, refer } from "./phrases.ts";

export const how: Rule = (change: Change) => {
  const { question, sentence, to, pick } = change;
  if (isHowMany(question)) return howMany(change);
  if (!/^how\b/i.test(change.sentence.wh) || /^(yes|no)$/.test(to) || isNothing(to)) return null;
  const { wh, aux, subject, predicate } = sentence;
  if (subject === "" || /^(you|we|i|one)$/i.test(subject)) return null;
  if (!/^how$/i.test(wh)) return changed(change, withDeterminer);
  if (/^(is|are)$/.test(aux)) {
    if (predicate === "")
      return pick([`Make ${object(subject)} ${to}`, large(`${refer(subject)} should be ${to}`)]);
    return changed(change, withDeterminer);
  }
  // "How does the woman look?"
  if (/^(does|do)$/.test(aux) && /^(look|feel|appear|seem)$/.test(predicate)) {
    return activity(to) === null
      ? pick([`Make ${object(subject)} look ${to}`, large(`${refer(subject)} should look ${to}`)])
      : null;
  }
  return changed(change, withDeterminer);
};
