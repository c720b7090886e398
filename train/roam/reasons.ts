// What becomes of what is no triplet.

/** Why a triplet is left out. */
export const reasons = {
  picture: "both questions are on one picture",
  questions: "the two questions differ",
  answers: "the answers change nothing to be seen",
  unknown: "the answer says nothing",
  unseen: "the question asks for what is not to be seen",
  rule: "no rule fits",
  unusable: "the language model gave no usable text",
  refused: "the language model saw no change",
  equal: "equal texts both ways",
  long: "too long",
  twice: "the same triplet is there already",
} as const;
export type Reason = keyof typeof reasons;
