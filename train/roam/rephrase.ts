// The rule-based rephraser: a question and its answer to the target make a text, such as "Is the sky cloudy? no / yes" makes
// "Make the sky cloudy".
import { randomBits, seedKey } from "../../engine/index.ts";
import { saysNothing } from "./filters.ts";
import type { Pair } from "./pairs.ts";
import type { Reason } from "./reasons.ts";
import { anyRule, type RuleName, rules, rulesOf } from "./rules/table.ts";
import { parse, type Sentence } from "./sentence.ts";

/** A text and what it is by, or why there is none. */
export type Rephrased = { text: string; by: string } | { reason: Reason };

/** From the first picture of a pair to the second, or back. */
export type Direction = 0 | 1;

/** A number of a triplet that it keeps, whatever else is left out: its pair's entry, doubled, and the direction. */
export const qidOf = (pair: Pair, direction: Direction) => 2 * pair.index + direction;

/** Question and answers of a direction. */
export const turned = ({ first, second }: Pair, direction: Direction) =>
  direction === 0 ? { reference: first, target: second } : { reference: second, target: first };

export class Rules {
  private readonly key: number;
  /** Of questions that were taken apart, as many ask the same. */
  private readonly parsed = new Map<string, Sentence | null>();

  constructor(seed: number) {
    this.key = seedKey(seed);
  }

  text(pair: Pair, direction: Direction): Rephrased {
    const { reference, target } = turned(pair, direction);
    const { question, type } = target;
    if (saysNothing(target.answer)) return { reason: "unknown" };
    const sentence = this.parse(question);
    if (sentence === null) return { reason: "rule" };
    // Wordings differ from triplet to triplet, and are the same each time.
    const bits = randomBits({ key: this.key, stream: 0x70a3 }, qidOf(pair, direction));
    const change = {
      ...{ question, sentence, from: reference.answer, to: target.answer },
      pick: <T>(wordings: readonly T[]) => wordings[bits % wordings.length]!,
    };
    for (const name of rulesOf.get(type) ?? anyRule) {
      const text = rules[name](change);
      if (text !== null) return { text, by: name satisfies RuleName };
    }
    return { reason: "rule" };
  }

  private parse(question: string): Sentence | null {
    const known = this.parsed.get(question);
    if (known !== undefined) return known;
    const sentence = parse(question);
    this.parsed.set(question, sentence);
    return sentence;
  }
}
