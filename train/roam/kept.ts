// Every answer of a language model, with the prompt that it answers: a line of JSON each, on the disk before the next question
// is asked. A process that was killed while it wrote leaves a line without its end, which is cut off.
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { checked, parseJson } from "../data/json.ts";
import { DataError } from "../data/types.ts";
import type { Message } from "./chat.ts";
import type { Item } from "./prompt.ts";

export interface KeptAnswer {
  /** Model and prompt (prompt.ts). */
  setup: string;
  model: string;
  /** The address without query or key. */
  endpoint: string;
  items: readonly Item[];
  messages: readonly Message[];
  answer: string;
  finish: string | null;
}

const line = z.object({
  setup: z.string(),
  items: z.array(z.object({ question: z.string(), answers: z.tuple([z.string(), z.string()]) })),
  answer: z.string(),
});

export class KeptAnswers {
  /** The append at hand. */
  private last: Promise<void> = Promise.resolve();

  private constructor(private readonly handle: FileHandle) {}

  /**
   * Opens the file, which may not be there yet, and calls `each` with every answer in it. Throws DataError, which names file and
   * line, for a line that is whole and not such an answer.
   */
  static async open(
    file: string,
    each: (answer: Pick<KeptAnswer, "setup" | "items" | "answer">) => void,
  ): Promise<KeptAnswers> {
    const handle = await open(file, "a+");
    try {
      let [rest, whole, number] = [Buffer.alloc(0) as Buffer, 0, 0];
      for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let from = 0;
        for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, from)) {
          const where = `${basename(file)}, line ${++number}`;
          each(checked(where, line, parseJson(where, rest.toString("utf8", from, end))));
          whole += end + 1 - from;
          from = end + 1;
        }
        rest = rest.subarray(from);
      }
      if (rest.length > 0) await handle.truncate(whole);
      return new KeptAnswers(handle);
    } catch (error) {
      await handle.close();
      if (error instanceof DataError) {
        throw new DataError(`${error.message}; take that line out, and it is asked for again`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** Puts an answer on the disk. One that can't be put there whole ends all further ones. */
  add(answer: KeptAnswer): Promise<void> {
    this.last = this.last.then(async () => {
      await this.handle.appendFile(`${JSON.stringify(answer)}\n`);
      await this.handle.datasync();
    });
    return this.last;
  }

  async close(): Promise<void> {
    await this.last.catch(() => {});
    await this.handle.close();
  }
}
