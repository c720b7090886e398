// Questions that yes and no answer, or one of two: the statement, and its denial.
import { large, withArticle, wordsOf } from "../words.ts";
import { type Change, object, type Rule, refer, withoutPicture } from "./phrases.ts";

const isYes = (answer: string) => /^yes\b/i.test(answer.trim());
const isNo = (answer: string) => /^no$/i.test(answer.trim());

/** "any" and its like say something else where a thing is there. */
const positive = (text: string) =>
  text
    .replace(/\bany(one|body|thing|where)?\b/gi, (_, end = "") => `some${end}`)
    .replace(/\b(yet|ever|at all|either)\b/gi, "")
    .replace(/\s+/g, " ")
    .trim();

/** Subject and modal: "the man should be", "no one should". */
function statement({ sentence }: Change, yes: boolean, verb: string, predicate: string): string {
  const who = refer(sentence.subject);
  const rest = [verb, yes ? positive(predicate) : predicate].filter(Boolean).join(" ");
  if (yes) return large(`${positive(who)} should ${rest}`);
  const none = denied(who);
  if (none !== null) return large(`${none} should ${rest}`);
  return large(`${who} should not ${rest}`);
}

/** A subject whose denial lies in itself: "anyone" is no one, "all the lights" not all the lights; null for others. */
function denied(who: string): string | null {
  if (/^(any|some)(one|body)$/i.test(who)) return "no one";
  if (/^(any|some)thing$/i.test(who)) return "nothing";
  if (/^(any|some|one) of /i.test(who)) return who.replace(/^\w+/, "none");
  if (/^(any|some) /i.test(who)) return who.replace(/^\w+/, "no");
  if (/^(all|both|every|each|everyone|everybody|everything|most)\b/i.test(who)) return `not ${who}`;
  if (/^an? /i.test(who)) return who.replace(/^\w+/, "no");
  // "people swimming": nobody in particular.
  if (/^[a-z]+s?$/i.test(who) && !/^(it|they|he|she|we|you|this|that|her)$/i.test(who)) return `no ${who}`;
  return null;
}

/** Adds or removes what "is there" asks for. */
function existence({ sentence, pick }: Change, yes: boolean): string | null {
  const what = withoutPicture(sentence.predicate);
  if (what === "") return null;
  const counted =
    /^(more|less|fewer|only|just|at least|exactly|many|much|enough|two|three|four|five|several|multiple|lots|a lot|a few|few|both|another|one|\d+|a (?:couple|pair|bunch|group|number|variety))\b/i;
  if (counted.test(what)) return yes ? `There should be ${what}` : `There should not be ${what}`;
  const some = /^(any|some)(one|body|thing)\b/i.exec(what);
  if (some) {
    const none = some[2]!.toLowerCase() === "thing" ? "nothing" : "no one";
    return yes ? `There should be ${positive(what)}` : `There should be ${none}${what.slice(some[0].length)}`;
  }
  const bare = what.replace(/^(a|an|any|some|the)\s+/i, "");
  if (yes) return pick([`Add ${positive(what)}`, `There should be ${positive(what)}`]);
  return pick([`Remove the ${bare}`, `There should be no ${bare}`]);
}

/** One of two that the question names: "sitting or standing". */
function choice(change: Change): string | null {
  const { sentence, to } = change;
  const { subject, predicate, aux } = sentence;
  const parts = predicate.replace(/^or /, "").split(/ or /);
  if (subject === "" || aux === "could" || !/^(is|are|was|were|does|do|did)$/.test(aux)) return null;
  const verb = /^(does|do|did)$/.test(aux) ? "" : "be";
  if (parts.length === 1) {
    // "is this lunch or dinner": the first was taken for the subject.
    const [pronoun, ...first] = subject.split(" ");
    if (!/^or /.test(predicate) || !/^(this|that|these|those|it|he|she|they)$/i.test(pronoun!)) return null;
    return chosen([first.join(" "), parts[0]!], to, (option) =>
      large(`${refer(pronoun!)} should be ${option}`),
    );
  }
  if (parts.length !== 2) return null;
  let [first, second] = parts as [string, string];
  const { kinds } = sentence;
  const at = first.split(" ").length;
  const [before, behind] = [kinds.slice(0, at), kinds.slice(at + 1)];
  // "on the right or left taller": what is said of both stands behind them.
  if (/[^rca]a$/.test(behind) && /[np]/.test(before)) return null;
  // "a cloudy or sunny day", "a color or black and white photo": the noun is of both, and so is the article.
  const noun = second.split(" ").at(-1)!;
  if (
    second.includes(" ") &&
    ((before.endsWith("a") && behind.endsWith("n")) || /^(photo|picture|image|day)$/.test(noun))
  ) {
    if (!first.endsWith(noun)) first += ` ${noun}`;
  }
  if (/ handed$/.test(second) && !/handed$/.test(first)) first += " handed";
  // "wearing shorts or pants", "in a field or a zoo": so are verb and place.
  const lead = /^(v*x?p*)/.exec(before)![0].length;
  const words = first.split(" ");
  const article = /^(an?|the)$/.exec(words[lead] ?? "")?.[0];
  if (article && !/^(an?|the) /.test(second) && !/^[vp]/.test(behind)) {
    second = `${article === "the" ? "the" : withArticle(second).split(" ")[0]} ${second}`;
  }
  if (lead > 0 && !/^[vp]/.test(behind)) second = [...words.slice(0, lead), second].join(" ");
  return chosen([first, second], to, (option) =>
    large(`${refer(subject)} should ${[verb, option].filter(Boolean).join(" ")}`),
  );
}

function chosen(options: readonly string[], to: string, text: (option: string) => string): string | null {
  const asked = wordsOf(to).at(-1) ?? "";
  const found = options.filter((option) =>
    wordsOf(option).some((word) => word === asked || word === `${asked}time`),
  );
  if (found.length !== 1) return null;
  return text(found[0]!);
}

/** Answers "is", "are", "does", "can", "has" and their like. */
export const yesNo: Rule = (given) => {
  const { from, to, pick } = given;
  const subjectHere = withoutPicture(given.sentence.subject) || given.sentence.subject;
  const change = { ...given, sentence: { ...given.sentence, subject: subjectHere } };
  const { sentence } = change;
  const { aux, subject, predicate, kinds } = sentence;
  if (sentence.wh !== "") return null;
  if (!(isYes(to) && isNo(from)) && !(isNo(to) && isYes(from))) {
    return isYes(to) || isNo(to) || isYes(from) || isNo(from) ? null : choice(change);
  }
  if (/ or /.test(` ${predicate}`)) return null;
  const yes = isYes(to);
  if (subject.toLowerCase() === "there")
    return /^(is|are|was|were)$/.test(aux) ? existence(change, yes) : null;
  if (/^(you|we|i|one)$/i.test(subject)) return seen(change, yes);
  if (subject === "" || predicate === "") return null;
  // It is the sky that is cloudy.
  if (/^it$/i.test(subject) && /^(partly |very )?(cloudy|overcast)$/.test(predicate) && yes) {
    return pick([`Make the sky ${predicate}`, `The sky should be ${predicate}`]);
  }
  const said = /^(photo|picture|image)\b/.test(subject) ? predicate : withoutPicture(predicate) || predicate;
  const who = refer(subject);
  switch (aux) {
    case "is":
    case "are":
    case "was":
    case "were": {
      // "is he standing up", "is it sunny": the shortest is the plainest.
      const adjective =
        /^r?a(ca)?$/.test(kinds) && !/^(in|out)(doors|side)$|^(open|closed|alone|able|present)$/.test(said);
      const all = /^(all|both) (.+)$/.exec(said);
      if (all) return large(`${who} should ${yes ? "" : "not "}${all[1]} be ${all[2]}`);
      if (/^an? /i.test(subject) && withoutPicture(predicate) === "") {
        return existence({ ...change, sentence: { ...sentence, predicate: subject } }, yes);
      }
      if (/^w/.test(aux)) return statement(change, yes, "have been", said);
      const plainly = denied(who) === null;
      if (yes) {
        const short = `Make ${object(subject)} ${said}`;
        if (adjective && plainly && !/^some|^any/i.test(who))
          return pick([short, statement(change, true, "be", said)]);
        if (/^(it|they)$/.test(who) && /^[dn]/.test(kinds) && plainly)
          return pick([short, statement(change, true, "be", said)]);
        return statement(change, true, "be", said);
      }
      const longer = `${large(who)} ${aux} no longer ${said}`;
      return plainly && !/\bany\b/.test(said)
        ? pick([statement(change, false, "be", said), longer])
        : statement(change, false, "be", said);
    }
    case "does":
    case "do": {
      const has = /^have (.+)$/.exec(said)?.[1];
      if (yes && has && denied(who) === null && !/ on$|^on |^(its|his|her|their) /.test(has)) {
        return pick([`Give ${object(subject)} ${positive(has)}`, statement(change, true, "", said)]);
      }
      return statement(change, yes, "", said);
    }
    case "has":
    case "have": {
      // "has the man a beard" has no verb of its own.
      return statement(change, yes, "have", said);
    }
    case "could":
    case "should":
    case "might":
      return statement(change, yes, "", said);
    case "can":
      return statement(change, yes, "be able to", said);
    case "did":
      return statement(change, yes, "", said);
    default:
      return null;
  }
};

/** "Can you see the sky?": what is seen is there. */
function seen(change: Change, yes: boolean): string | null {
  const match = /^(?:able to )?(?:see|spot|notice)\b(.*)$/i.exec(change.sentence.predicate);
  const what = withoutPicture(match?.[1]?.trim() ?? "");
  if (!match || what === "" || /^(what|where|how|who|if|that|through|into|under|over)\b/.test(what))
    return null;
  if (/^(the|his|her|their|its|this|that|these|those)\b|'s\b/i.test(what)) {
    const whole = refer(what);
    return yes
      ? change.pick([`Show ${whole}`, large(`${whole} should be visible`)])
      : change.pick([`Do not show ${whole}`, large(`${whole} should not be visible`)]);
  }
  return existence({ ...change, sentence: { ...change.sentence, predicate: what } }, yes);
}
