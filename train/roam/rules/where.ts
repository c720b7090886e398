// Where: somebody or something in another place.
import { large, place, thing } from "../words.ts";
import { type Change, changed, isNothing, object, type Rule, refer, withoutPicture } from "./phrases.ts";

export const where: Rule = (change: Change) => {
  const { sentence, to, pick } = change;
  if (!/^where$/i.test(sentence.wh) || /^(yes|no)$/.test(to) || isNothing(to)) return null;
  const { aux, subject } = sentence;
  const predicate = withoutPicture(sentence.predicate);
  if (!/^(is|are|was|were)$/.test(aux) || subject === "") return changed(change, place);
  const direction = /^(looking|facing|pointing|going|heading|headed|turned)\b/.test(sentence.predicate);
  const there = direction && /^(left|right)$/.test(to) ? `to the ${to}` : place(to);
  // Of the picture itself: the whole scene is another one.
  if (
    /^(this|that|it|they)$/i.test(subject) ||
    /^(this|the|that) (photo|picture|image|scene)\b/i.test(subject)
  ) {
    return /^(this|that|it)$/i.test(subject) || predicate.startsWith("taken")
      ? pick([`Change the place to ${thing(to.replace(/^(in|at|on) (the )?/, ""))}`, `It should be ${there}`])
      : changed(change, place);
  }
  if (/^(was|were)$/.test(aux)) return changed(change, place);
  const kept = predicate === "located" || predicate === "placed" ? "" : predicate;
  // "the person in the red jacket": which one, not where.
  const who = /^p/.test(sentence.kinds) ? `${refer(subject)} ${kept}` : refer(subject);
  if (kept === "" || who !== refer(subject)) {
    return pick([
      large(`${who} should be ${there}`),
      ...(/^(he|she|you|i|we)$/i.test(who)
        ? []
        : [`Put ${/^they$/.test(who) ? object(subject) : who} ${there}`]),
    ]);
  }
  if (/^v/.test(sentence.kinds))
    return large(
      `${who} should be ${kept} ${kept.startsWith("looking") && /^(camera|ball)$/.test(to) ? `at the ${to}` : there}`,
    );
  return changed(change, place);
};
