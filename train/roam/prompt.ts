// What a language model is asked, and how its answers are read: pairs by their numbers, a few examples first, JSON back. What
// it says around the JSON, or where it breaks off, does no harm to the entries that are whole.
import { createHash } from "node:crypto";
import type { Message } from "./chat.ts";

/** A question with its answers to a pair's two pictures. */
export interface Item {
  question: string;
  answers: readonly [first: string, second: string];
}

/** Texts to the second picture and back to the first; null where the model sees no change. */
export type Texts = readonly [string | null, string | null];

const system = `You write short texts for composed image retrieval. Somebody looks at a picture and says in a few words what should be different; the picture that they look for is that one.

You are given questions that were asked of two similar pictures, with the answer to the first and to the second. For each, write two texts: "to_second", which leads from the first picture to the second, and "to_first", which leads back.

- One instruction or statement of at most 12 words, such as a person would type. No question, no explanation.
- Say what the other picture shows. Don't say "answer", "question", "first" or "second".
- The two texts must differ, in words of their own.
- Where the answers make no difference that can be seen in a picture, write null.

Answer with a JSON list alone, an object for each number: [{"n": 1, "to_second": "...", "to_first": "..."}]`;

const examples: readonly (Item & { texts: Texts })[] = [
  {
    question: "Is it cloudy?",
    answers: ["no", "yes"],
    texts: ["Make the sky cloudy", "Clear the sky of clouds"],
  },
  {
    question: "What color is the umbrella?",
    answers: ["red", "black"],
    texts: ["Change the umbrella to black", "It has a red umbrella instead"],
  },
  {
    question: "How many people are on the bench?",
    answers: ["1", "3"],
    texts: ["Have three people sit on the bench", "Leave only one person on the bench"],
  },
  {
    question: "What is the man holding?",
    answers: ["phone", "nothing"],
    texts: ["Take the phone out of the man's hand", "The man should be holding a phone"],
  },
  {
    question: "Where is the cat?",
    answers: ["on bed", "floor"],
    texts: ["The cat lies on the floor", "Put the cat on a bed"],
  },
  {
    question: "Who is riding the horse?",
    answers: ["man", "girl"],
    texts: ["A girl rides the horse", "I want a man on the horse"],
  },
  {
    question: "What kind of cake is this?",
    answers: ["chocolate", "carrot"],
    texts: ["Make it a carrot cake", "A cake of chocolate instead"],
  },
  {
    question: "Does the bus have two levels?",
    answers: ["yes", "no"],
    texts: ["Show a single-decker bus", "Make it a double-decker"],
  },
  { question: "Why is she smiling?", answers: ["happy", "posing"], texts: [null, null] },
];

const asked = (items: readonly Item[]) =>
  items
    .map(({ question, answers: [first, second] }, i) => JSON.stringify({ n: i + 1, question, first, second }))
    .join("\n");

const shots: readonly Message[] = [
  { role: "system", content: system },
  { role: "user", content: asked(examples) },
  {
    role: "assistant",
    content: JSON.stringify(
      examples.map(({ texts: [to_second, to_first] }, i) => ({ n: i + 1, to_second, to_first })),
    ),
  },
];

/** The messages that ask for some pairs. */
export const messagesFor = (items: readonly Item[]): Message[] => [
  ...shots,
  { role: "user", content: asked(items) },
];

/** Names the model and what it is told beside the pairs: answers to other words are not these. */
export const setupOf = (model: string) =>
  createHash("sha256")
    .update(JSON.stringify([model, shots]))
    .digest("hex")
    .slice(0, 16);

/** The usable texts in an answer, by the place of their item. */
export function readAnswer(content: string, items: readonly Item[]): Map<number, Texts> {
  const found = new Map<number, Texts>();
  // What a model thinks aloud is no answer, even where it tries one.
  const said = content.replace(/<think>.*?<\/think>/gs, "");
  for (const [part] of said.matchAll(/\{[^{}]*\}/g)) {
    let entry: Record<string, unknown>;
    try {
      entry = JSON.parse(part);
    } catch {
      continue;
    }
    const place = Number(entry.n) - 1;
    const item = items[place];
    if (!item) continue;
    const texts = [entry.to_second, entry.to_first].map((text) => usable(text, item));
    if (texts.every((text) => text !== undefined)) found.set(place, texts as unknown as Texts);
  }
  return found;
}

/** A text as it is kept: one line, without quotes around it or a full stop; undefined for what is none. */
function usable(text: unknown, { question }: Item): string | null | undefined {
  if (text === null) return null;
  if (typeof text !== "string") return undefined;
  const plain = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim()
    .replace(/^(["'“])(.*)(["'”])$/u, "$2")
    .replace(/\s*\.$/, "");
  if (!/\p{L}/u.test(plain) || plain.length > 300 || /[?<>{}]|^\.+$/.test(plain)) return undefined;
  return plain.toLowerCase() === question.toLowerCase().replace(/\?$/, "") ? undefined : plain;
}
