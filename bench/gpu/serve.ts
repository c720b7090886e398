// The answering end of worker.ts, in Node.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

/** What a method is given: the question's arguments, and a way to say something before the answer. */
type Method = (args: never, note: (value: unknown) => void) => unknown;

/** Answers questions by calling `methods`, one at a time, until standard input ends. */
export function serve(methods: Readonly<Record<string, Method>>): void {
  const say = (line: object) => {
    writeSync(3, `${JSON.stringify(line)}\n`);
  };
  let before: Promise<void> = Promise.resolve();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (text) => {
    const { id, method, args } = JSON.parse(text) as { id: number; method: string; args: never };
    before = before.then(async () => {
      try {
        say({ id, value: (await methods[method]!(args, (note) => say({ id, note }))) ?? null });
      } catch (error) {
        say({ id, error: `${error}`.slice(0, 2000) });
      }
    });
  });
  lines.on("close", () => process.exit(0));
}
