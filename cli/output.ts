// What the command line prints, and where: results on standard output, everything else on standard error where results
// are JSON. Names come from files, folders and users, so no control character among them reaches the terminal as such.
import { writeSync } from "node:fs";

/** Exit statuses. */
export const exit = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Control characters, and what turns or hides text: C0, DEL, C1, the marks and overrides of direction, invisible
 * joiners, line and paragraph separators, the byte order mark.
 */
const controls =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A text with its control characters written as \u001b; of a "block" line breaks stay. As JSON it stays the same. */
export function visible(text: string, kind: "line" | "block"): string {
  return text.replace(controls, (character) =>
    kind === "block" && character === "\n"
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** An argument as a shell takes it. */
export function shellWord(argument: string): string {
  if (/^[\w@%+=:,./-]+$/.test(argument)) return argument;
  if (visible(argument, "line") === argument) return `'${argument.replaceAll("'", "'\\''")}'`;
  return `$'${visible(argument.replace(/[\\']/g, "\\$&"), "line")}'`;
}

/** Writes all of a text to a file descriptor. Returns false where nobody reads any more. */
export function write(descriptor: number, text: string): boolean {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A pipe whose reader is slow, where another process made it non-blocking.
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === "EPIPE" || code === "EIO") return false;
      else throw error;
    }
  }
  return true;
}

/** Where texts go: whether somebody still reads them. */
export interface Sink {
  out(text: string): boolean;
  err(text: string): boolean;
}

export class Output {
  /** Whether nobody reads standard output any more, as behind `| head`. */
  closed = false;
  /** Is told when `closed` comes true. */
  onClose = () => {};
  private answered = false;

  constructor(
    private readonly sink: Sink,
    /** Whether standard output is for one JSON value alone. */
    readonly json = false,
  ) {}

  /** A line for people. */
  line(text: string): void {
    this.lines(visible(text, "line"));
  }

  /** Lines for people. */
  lines(text: string): void {
    const shown = `${visible(text, "block")}\n`;
    if (this.json) this.sink.err(shown);
    else this.write(shown);
  }

  /** A line for people, beside the result also where that is text. */
  aside(text: string): void {
    this.sink.err(`${visible(text, "line")}\n`);
  }

  /** The result of a command: once as JSON, or as lines for people. */
  result(value: unknown, lines: string): void {
    if (!this.json) this.lines(lines);
    else if (this.answered) throw new Error("A command has one result.");
    else {
      this.answered = true;
      // Lists of numbers take one line: no string in JSON has a line break of its own.
      const text = JSON.stringify(value, null, 2).replace(/\[\n[-\d.,\se+]*\]/g, (list) =>
        list.replace(/\s+/g, ""),
      );
      this.write(`${visible(text, "block")}\n`);
    }
  }

  /** A message on standard error, and as JSON on standard output unless that has its result. */
  fail(message: string, shown = `casement: ${message}`): void {
    this.sink.err(`${visible(shown, "block")}\n`);
    if (this.json && !this.answered) this.result({ error: message }, "");
  }

  private write(text: string): void {
    if (this.closed || this.sink.out(text)) return;
    this.closed = true;
    this.onClose();
  }
}
