// What is left out, and why: pairs whose answers change nothing to be seen, questions that no picture answers, and texts that
// are equal both ways, too long, or there already.
import { essence, wordsOf } from "./words.ts";

/** Whether an answer says nothing of the picture. */
export function saysNothing(answer: string): boolean {
  const text = answer.toLowerCase().trim();
  return (
    !/[\p{L}\p{N}]/u.test(text) ||
    /^(unknown|not sure|unsure|not known|unclear|undetermined|can'?t (tell|see|say)|can ?not (tell|see|say|be determined)|(i )?don'?t know|not possible|no idea|maybe|possibly|n\/?a|none of the above|hard to (tell|say|see)|impossible to tell|not (visible|shown|seen|pictured|there|in picture|clear|applicable)|no one knows|question doesn'?t make sense|it depends|depends|unanswerable|unsuitable|unsuitable image|question)$/.test(
      text,
    )
  );
}

/** Whether a question is one of reasons, opinions, uses or knowledge, whose answer no picture shows. */
export function isUnseen(question: string): boolean {
  const text = question.toLowerCase().trim();
  return (
    /^(why|would|will|should|if|how (do|would|could|can|does one) (you|i|we|one|it work)|how come|how long (has|have|did|will|ago)|when (was|did|will))\b/.test(
      text,
    ) ||
    /^(do|did|have|could|can|are|were) (you|we|i) (?!(see|able to see|spot|notice)\b)/.test(text) ||
    /^(can|could|do|does) (you|we|i|one|people|someone) (think|like|know|believe|want|need|feel|eat|have|tell|drink|buy|read|sit|use)\b/.test(
      text,
    ) ||
    /\b(do you (?!see|spot|notice)|would you|you think|your|in your opinion|used for|the purpose|the reason|the relationship|what would|legally?|allowed to|supposed to|likely|going to happen|happen next|most likely|famous for)\b/.test(
      text,
    ) ||
    /\bmeans?\W*$/.test(text) ||
    /^what (will|would|should|might|could)\b/.test(text)
  );
}

const plain = (text: string) => wordsOf(text).join(" ");

/** Whether two texts say the same but for case and marks. */
export const areEqual = (a: string, b: string) => plain(a) === plain(b);

/** Whether two answers come to the same: "couch" and "a sofa", "2" and "two". */
export const changeNothing = (a: string, b: string) => essence(a) === essence(b);
