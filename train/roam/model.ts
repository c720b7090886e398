// The rephraser by a language model: pairs that ask the same are asked once, several to a request and several requests at a
// time; what fails is asked again after a while, what can't be read in smaller parts; every answer is kept (kept.ts), so that
// a run that was ended goes on where it stood.
import { join } from "node:path";
import { type Chat, ChatError, Unavailable } from "./chat.ts";
import { saysNothing } from "./filters.ts";
import { KeptAnswers } from "./kept.ts";
import type { Pair } from "./pairs.ts";
import { type Item, messagesFor, readAnswer, setupOf, type Texts } from "./prompt.ts";
import type { Direction, Rephrased } from "./rephrase.ts";

export interface AskOptions {
  /** Pairs to a request. */
  batch: number;
  /** Requests at a time. */
  atOnce: number;
  /** Times that a request may fail in a row. */
  attempts: number;
  /** Milliseconds before a request is made again for the first time; twice as many each further time. */
  pause: number;
  /** Milliseconds that answers under way are waited for when it is to stop. */
  grace: number;
  events: { message(text: string): void; progress(what: string, done: number, total: number): void };
  stop: () => boolean;
}

/** What a CLI or a script gets unless it says otherwise. */
export const askDefaults = { batch: 10, atOnce: 4, attempts: 6, pause: 1000, grace: 10_000 };

/** Name of the file with the answers. */
export const answersFile = "roam_answers.jsonl";

/** So many answers without a usable text for a pair, and it goes without. */
const tries = 3;
/** So many answers in a row that nothing can be read of, and it is not worth going on. */
const hopeless = 10;
const longestPause = 60_000;
/** A server that wants to be left alone for longer is not waited for. */
const longestWait = 3_600_000;

const keyOf = ({ question, answers }: Item) => JSON.stringify([question.toLowerCase(), ...answers]);
const itemOf = ({ first, second }: Pair): Item => ({
  question: first.question,
  answers: [first.answer, second.answer],
});

/**
 * Asks for the texts of pairs; the answers are kept in `out`. Null where `stop` said so. Throws ChatError where the endpoint
 * refuses or keeps failing, DataError for a file of answers that is broken.
 */
export async function askModel(
  chat: Chat,
  pairs: readonly Pair[],
  out: string,
  options: AskOptions,
): Promise<((pair: Pair, direction: Direction) => Rephrased) | null> {
  const asking = new Asking(chat, options);
  const done = await asking.run(pairs.map(itemOf), join(out, answersFile));
  if (!done) return null;
  return (pair, direction) => {
    const target = direction === 0 ? pair.second : pair.first;
    if (saysNothing(target.answer)) return { reason: "unknown" };
    const texts = asking.texts.get(keyOf(itemOf(pair)));
    if (texts === undefined) return { reason: "unusable" };
    const text = texts[direction];
    return text === null ? { reason: "refused" } : { text: text!, by: chat.model };
  };
}

/** It failed as often as it may: the endpoint is down, unless others are answered. */
class FailedOften extends ChatError {}

class Asking {
  readonly texts = new Map<string, Texts>();
  private readonly setup: string;
  private readonly tried = new Map<string, number>();
  private queue: Item[][] = [];
  private total = 0;
  private unread = 0;
  /** A pair that was answered. */
  private good: Item | null = null;
  /** Requests that were answered. */
  private answered = 0;
  private told = 0;
  private readonly ending = new AbortController();
  /** When the endpoint may be asked again, as it said; of all requests. */
  private notBefore = 0;

  constructor(
    private readonly chat: Chat,
    private readonly options: AskOptions,
  ) {
    this.setup = setupOf(chat.model);
  }

  /** False where it was stopped. */
  async run(items: readonly Item[], file: string): Promise<boolean> {
    const { batch, atOnce, events, stop } = this.options;
    const unique = new Map(items.map((item) => [keyOf(item), item]));
    let others = 0;
    const kept = await KeptAnswers.open(file, ({ setup, items, answer }) => {
      if (setup === this.setup) this.take(answer, items);
      else others++;
    });
    try {
      const known = [...unique.keys()].filter((key) => this.texts.has(key)).length;
      this.total = unique.size;
      // Parts are the same each time, whatever was answered before.
      const all = [...unique.values()];
      for (let i = 0; i < all.length; i += batch) {
        const part = all.slice(i, i + batch).filter((item) => !this.texts.has(keyOf(item)));
        if (part.length > 0) this.queue.push(part);
      }
      const missing = unique.size - known;
      events.message(
        `${unique.size} different questions with their answers, ${known} of them answered before${others > 0 ? `; ${others} answers of another model or prompt are not used` : ""}`,
      );
      if (missing > 0) {
        events.message(
          `Asking ${this.chat.endpoint}, model ${this.chat.model}; requests: ${this.queue.length}`,
        );
      }
      this.unasked = missing;
      const watch = setInterval(() => this.endWhereStopped(), 100);
      try {
        await Promise.all(Array.from({ length: atOnce }, () => this.work(kept)));
      } finally {
        clearInterval(watch);
      }
    } finally {
      await kept.close();
    }
    if (this.failure instanceof ChatError && this.texts.size > 0) {
      throw new ChatError(
        `${this.failure.message}. What was answered is kept: the same command goes on from there`,
      );
    }
    if (this.failure) throw this.failure;
    return !stop() || this.unasked === 0;
  }

  /** Pairs that have neither texts nor been given up. */
  private unasked = 0;
  private failure: Error | null = null;
  private stoppedAt: number | null = null;

  /** Answers under way are paid for: they are waited for, for a while. */
  private endWhereStopped(): void {
    if (!this.options.stop()) return;
    this.stoppedAt ??= performance.now();
    if (performance.now() - this.stoppedAt >= this.options.grace) this.ending.abort(new Error("stopped"));
  }

  private get over(): boolean {
    return this.failure !== null || this.options.stop() || this.unasked === 0;
  }

  /** One request after the other, until none is left. */
  private async work(kept: KeptAnswers): Promise<void> {
    while (!this.over) {
      const items = this.queue.shift();
      if (items === undefined) {
        // Another one's answer may come back in parts.
        await sleep(20);
        continue;
      }
      try {
        const messages = messagesFor(items);
        const before = this.answered;
        const answer = await this.answerTo(messages).catch(async (error) => {
          if (await this.isAlone(error, items, before)) return error as ChatError;
          throw error;
        });
        if (answer === null) return;
        if (answer instanceof ChatError) {
          this.options.events.message(
            `${answer.message}${items.length > 1 ? "; in halves then" : "; that pair goes without"}`,
          );
          this.again(items, items, items.length === 1);
          continue;
        }
        this.answered++;
        const { endpoint, model } = this.chat;
        await kept.add({
          ...{ setup: this.setup, model, endpoint, items, messages },
          ...{ answer: answer.content, finish: answer.finish },
        });
        this.took(items, this.take(answer.content, items));
      } catch (error) {
        this.failure ??= error as Error;
        this.ending.abort(error);
        return;
      }
    }
  }

  /** Whether an endpoint that failed can't do with these pairs alone: it answers others. */
  private async isAlone(error: unknown, items: readonly Item[], before: number): Promise<boolean> {
    if (!(error instanceof ChatError)) return false;
    if (error.ofMessages) return items.length > 1 || this.texts.size > 0;
    if (!(error instanceof FailedOften) || this.texts.size === 0) return false;
    if (this.answered > before) return true;
    // None was asked meanwhile: one that was answered before tells.
    return this.chat.ask(messagesFor([this.good!]), this.ending.signal).then(
      () => true,
      () => false,
    );
  }

  /** The texts of an answer. Returns the items that it has none for. */
  private take(answer: string, items: readonly Item[]): Item[] {
    const found = readAnswer(answer, items);
    return items.filter((item, i) => {
      const texts = found.get(i);
      if (texts) this.texts.set(keyOf(item), texts);
      if (texts) this.good = item;
      return !texts;
    });
  }

  private took(items: readonly Item[], missing: readonly Item[]): void {
    this.unread = missing.length === items.length ? this.unread + 1 : 0;
    if (this.unread >= hopeless && this.texts.size === 0) {
      throw new ChatError(
        `nothing can be read of ${hopeless} answers of ${this.chat.model}; they are in ${answersFile}`,
      );
    }
    this.unasked -= items.length - missing.length;
    this.again(items, missing);
    const { events } = this.options;
    const done = this.total - this.unasked;
    events.progress("asking", done, this.total);
    if (performance.now() - this.told > 30_000) {
      this.told = performance.now();
      events.message(`${done} of ${this.total} answered`);
    }
  }

  /** Puts what is missing of a request back into the queue, but what was tried often enough, or is `hopeless`. */
  private again(items: readonly Item[], missing: readonly Item[], hopeless = false): void {
    const left = missing.filter((item) => {
      const times = (this.tried.get(keyOf(item)) ?? 0) + 1;
      this.tried.set(keyOf(item), times);
      const over = hopeless || (times >= tries && missing.length === 1);
      if (over) this.unasked--;
      return !over;
    });
    // What a whole request was in vain for is asked in halves.
    const half = left.length === items.length && left.length > 1 ? Math.ceil(left.length / 2) : left.length;
    for (let i = 0; i < left.length; i += half) this.queue.push(left.slice(i, i + half));
  }

  /** Asks until there is an answer; null where it is to stop. Throws ChatError. */
  private async answerTo(messages: ReturnType<typeof messagesFor>) {
    const { attempts, pause, events } = this.options;
    for (let attempt = 1; ; attempt++) {
      await this.until(() => this.notBefore);
      if (this.over) return null;
      try {
        return await this.chat.ask(messages, this.ending.signal);
      } catch (error) {
        if (this.ending.signal.aborted) return null;
        if (!(error instanceof Unavailable)) throw error;
        const { message, after } = error;
        if (attempt >= attempts) {
          throw new FailedOften(`${this.chat.endpoint} failed ${attempts} times in a row: ${message}`);
        }
        if (after !== null && after > longestWait) {
          throw new ChatError(
            `${this.chat.endpoint} asks to be left alone for ${Math.round(after / 60_000)} minutes: ${message}`,
          );
        }
        // Requests that failed together should not come back together.
        const own = Math.min(longestPause, pause * 2 ** (attempt - 1)) * (0.75 + Math.random() / 2);
        const wait = after ?? own;
        if (after !== null) this.notBefore = Math.max(this.notBefore, performance.now() + after);
        events.message(`${message}; once more in ${(wait / 1000).toFixed(1)} s`);
        const then = performance.now() + wait;
        await this.until(() => then);
      }
    }
  }

  /** Waits for a time that may still change, or for the end. */
  private async until(time: () => number): Promise<void> {
    for (let left = time() - performance.now(); left > 0 && !this.over; left = time() - performance.now()) {
      await sleep(Math.min(left, 100));
    }
  }
}

const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
