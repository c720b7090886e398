// The entries of a list in a large JSON file, one after the other: VQA2.0's annotations are one object of 378 MB with ten
// answers to each of 443,757 questions. The bytes are cut into entries here, JSON.parse reads each, and what is wrong is
// told by file, entry and place.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { quote, scan } from "../data/json.ts";
import { DataError } from "../data/types.ts";

/** What there is beside the list. */
export interface Beside {
  /** Texts, numbers and the like at the top of the file, by their keys. */
  values: Record<string, unknown>;
  /** Keys of lists and objects at the top. */
  keys: string[];
  bytes: number;
  /** Of the file as it is, in hexadecimal. */
  sha256: string;
}

/** No entry of an annotation file comes near: past it a quote or a bracket is missing. */
const longestEntry = 4 << 20;

const utf8Text = new TextDecoder("utf-8", { fatal: true });
const [quotes, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const opens = (byte: number) => byte === 0x7b || byte === 0x5b;
const closes = (byte: number) => byte === 0x7d || byte === 0x5d;

/** The bytes of a file in UTF-8, whatever it is in. */
async function* utf8(file: string, hash: (bytes: Uint8Array) => void): AsyncGenerator<Buffer> {
  let decoder: TextDecoder | null = null;
  let first = true;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash(chunk);
    let part = chunk;
    if (first) {
      first = false;
      if (chunk[0] === 0xff && chunk[1] === 0xfe) decoder = new TextDecoder("utf-16le");
      else if (chunk[0] === 0xfe && chunk[1] === 0xff) decoder = new TextDecoder("utf-16be");
      else if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) part = chunk.subarray(3);
    }
    yield decoder === null ? part : Buffer.from(decoder.decode(chunk, { stream: true }));
  }
}

/**
 * Reads the list under `key` of the object in a file, or the list that the file is where `key` is null, and calls `each`
 * with every entry. What else is at the top is returned. `stop` is asked now and then; where it says so the rest is left
 * unread and null comes back. Throws DataError, which names file, entry and place.
 */
export async function readList(
  file: string,
  key: string | null,
  each: (value: unknown, index: number) => void,
  stop: () => boolean = () => false,
): Promise<Beside | null> {
  const name = basename(file);
  const hash = createHash("sha256");
  const cutter = new Cutter(name, key, each);
  try {
    for await (const chunk of utf8(file, (bytes) => hash.update(bytes))) {
      cutter.take(chunk);
      if (stop()) return null;
    }
    return { ...cutter.end(), sha256: hash.digest("hex") };
  } catch (error) {
    if (error instanceof Misplaced) {
      throw new DataError(
        `${name}: malformed JSON${error.within} (${await placeIn(file, error.offset)}): ${error.message}`,
      );
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined)
      throw new DataError(`${file} can't be read: ${(error as Error).message}`, { cause: error });
    throw error;
  }
}

/** Where in the file it is no JSON, as an offset into its UTF-8. */
class Misplaced extends Error {
  constructor(
    readonly offset: number,
    readonly within: string,
    message: string,
  ) {
    super(message);
  }
}

/** Line and column of an offset, from 1; columns are bytes. */
async function placeIn(file: string, offset: number): Promise<string> {
  let [line, start, at] = [1, 0, 0];
  for await (const chunk of utf8(file, () => {})) {
    const end = Math.min(chunk.length, offset - at);
    for (let i = chunk.indexOf(0x0a); i >= 0 && i < end; i = chunk.indexOf(0x0a, i + 1)) {
      line++;
      start = at + i + 1;
    }
    at += chunk.length;
    if (at >= offset) break;
  }
  return `line ${line}, column ${offset - start + 1}`;
}

/** Cuts bytes into a key, a value or an entry, as they come. */
export class Cutter {
  private readonly beside: { values: Record<string, unknown>; keys: string[] } = { values: {}, keys: [] };
  private bytes: Buffer = Buffer.alloc(0);
  /** Offset of `bytes` in the file. */
  private base = 0;
  private state:
    | "start"
    | "key or }"
    | "key"
    | "colon"
    | "value"
    | "comma"
    | "entry or ]"
    | "entry"
    | "entry comma"
    | "end" = "start";
  private key = "";
  private found = false;
  private index = 0;
  /** What is being cut: how deep, whether within quotes, and how far it was looked through. */
  private depth = 0;
  private quoted = false;
  private looked = 0;

  constructor(
    private readonly name: string,
    private readonly wanted: string | null,
    private readonly each: (value: unknown, index: number) => void,
  ) {}

  take(chunk: Buffer): void {
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    this.cut(false);
  }

  end(): { values: Record<string, unknown>; keys: string[]; bytes: number } {
    this.cut(true);
    const length = this.base + this.bytes.length;
    if (length === 0) throw new DataError(`${this.name} is empty`);
    if (this.state !== "end") this.fail(this.bytes.length, "the file ends early");
    if (!this.found) {
      const keys = [...this.beside.keys, ...Object.keys(this.beside.values)];
      throw new DataError(
        `${this.name} has no list ${quote(this.wanted)}; what it has: ${keys.map(quote).join(", ") || "nothing"}`,
      );
    }
    return { ...this.beside, bytes: length };
  }

  private fail(at: number, what: string): never {
    const inList = this.state.startsWith("entry") && this.listed;
    const entry = this.state === "entry comma" ? this.index - 1 : this.index;
    const within = inList
      ? ` in ${this.wanted === null ? "" : `${this.wanted}, `}entry ${Math.max(0, entry)}`
      : this.key
        ? ` at ${quote(this.key)}`
        : "";
    throw new Misplaced(this.base + at, within, what);
  }

  /** Whether the list at hand is the wanted one. */
  private get listed(): boolean {
    return this.wanted === null || this.key === this.wanted;
  }

  private cut(last: boolean): void {
    const { bytes } = this;
    let at = 0;
    for (;;) {
      while (at < bytes.length && isSpace(bytes[at]!)) at++;
      if (at >= bytes.length) break;
      const byte = bytes[at]!;
      const here = () => JSON.stringify(bytes.toString("utf8", at, at + 20).split("\n")[0]);
      if (this.state === "start") {
        if (byte === 0x5b && this.wanted === null) [this.state, this.found] = ["entry or ]", true];
        else if (byte === 0x7b && this.wanted !== null) this.state = "key or }";
        else this.refuse(bytes.subarray(at, at + 60).toString("utf8"), at);
        at++;
      } else if (this.state === "end") {
        this.fail(at, `the end expected, not ${here()}`);
      } else if (this.state === "colon") {
        if (byte !== colon) this.fail(at, `colon expected, not ${here()}`);
        this.state = "value";
        at++;
      } else if (this.state === "comma") {
        if (byte !== comma && byte !== 0x7d) this.fail(at, `a comma or } expected, not ${here()}`);
        this.state = byte === comma ? "key" : "end";
        at++;
      } else if (this.state === "entry comma") {
        if (byte !== comma && byte !== 0x5d) this.fail(at, `a comma or ] expected, not ${here()}`);
        this.state = byte === comma ? "entry" : this.afterList();
        at++;
      } else if (this.state === "entry or ]" && byte === 0x5d) {
        this.state = this.afterList();
        at++;
      } else if (this.state === "key or }" && byte === 0x7d) {
        this.state = "end";
        at++;
      } else if (this.state === "value" && byte === 0x5b && this.key === this.wanted) {
        if (this.found) this.fail(at, `${quote(this.key)} is there twice`);
        [this.state, this.found, this.index] = ["entry or ]", true, 0];
        at++;
      } else {
        const isKey = this.state === "key" || this.state === "key or }";
        if (isKey && byte !== quotes) this.fail(at, `key expected, not ${here()}`);
        if (closes(byte) || byte === comma || byte === colon)
          this.fail(at, `${this.state} expected, not ${here()}`);
        const end = this.endOf(at, last);
        if (end < 0) {
          const isList = this.state === "value" && opens(byte);
          if (!isList && bytes.length - at > longestEntry) this.parse(bytes.toString("utf8", at), at, true);
          if (last) this.parse(bytes.toString("utf8", at), at, true);
          // What is passed over needn't be kept.
          if (isList && this.depth > 0) this.skip(at);
          else this.keep(at);
          return;
        }
        this.whole(at, end);
        at = end;
      }
    }
    this.keep(bytes.length);
  }

  /** Keeps what is not cut yet, from `at` on. */
  private keep(at: number): void {
    this.base += at;
    this.looked = Math.max(0, this.looked - at);
    this.bytes = this.bytes.subarray(at);
  }

  /** Of a value that nobody wants, only what opened it is kept. */
  private skip(at: number): void {
    const { bytes, looked } = this;
    // Behind a backslash that is not looked at yet comes what it escapes.
    this.bytes = Buffer.concat([bytes.subarray(at, at + 1), bytes.subarray(looked)]);
    this.base += bytes.length - this.bytes.length;
    this.looked = 1;
  }

  private afterList(): "end" | "comma" {
    return this.wanted === null ? "end" : "comma";
  }

  /** Where what begins at `at` ends; below 0 where that is not there yet. */
  private endOf(at: number, last: boolean): number {
    const { bytes } = this;
    let i = Math.max(at, this.looked);
    if (this.looked <= at) [this.depth, this.quoted] = [0, false];
    for (; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (this.quoted) {
        if (byte === backslash) {
          // What it escapes may not be there yet.
          if (i + 1 >= bytes.length) break;
          i++;
        } else if (byte === quotes) {
          this.quoted = false;
          if (this.depth === 0) return this.cutAt(i + 1);
        }
      } else if (byte === quotes) this.quoted = true;
      else if (opens(byte)) this.depth++;
      else if (closes(byte)) {
        if (this.depth === 0) return this.cutAt(i);
        if (--this.depth === 0) return this.cutAt(i + 1);
      } else if (this.depth === 0 && (byte === comma || isSpace(byte))) return this.cutAt(i);
    }
    this.looked = i;
    return last && this.depth === 0 && !this.quoted ? this.cutAt(bytes.length) : -1;
  }

  private cutAt(end: number): number {
    this.looked = 0;
    return end;
  }

  private whole(at: number, end: number): void {
    if (this.state === "key" || this.state === "key or }") {
      this.key = this.parse(this.text(at, end), at) as string;
      this.state = "colon";
    } else if (this.state === "value") {
      if (opens(this.bytes[at]!)) this.beside.keys.push(this.key);
      else this.beside.values[this.key] = this.parse(this.text(at, end), at);
      this.state = "comma";
    } else {
      this.each(this.parse(this.text(at, end), at), this.index++);
      this.state = "entry comma";
    }
  }

  private text(at: number, end: number): string {
    try {
      return utf8Text.decode(this.bytes.subarray(at, end));
    } catch {
      return this.fail(at, "no text in UTF-8");
    }
  }

  private parse(text: string, at: number, early = false): unknown {
    try {
      if (!early) return JSON.parse(text);
    } catch {
      // Told below.
    }
    const { offset, what } = scan(text).fault ?? { offset: text.length, what: "" };
    // Quotes that are not closed are no value; all before them is right.
    if (early && (offset === text.length || text[offset] === '"')) {
      const whole = text.length > longestEntry;
      this.fail(
        whole ? at : this.bytes.length,
        whole ? "an entry of more than 4 MB, where a quote or a bracket is missing" : "the file ends early",
      );
    }
    return this.fail(at + Buffer.byteLength(text.slice(0, offset)), what);
  }

  /** Says what a file is that is not of the form. */
  private refuse(beginning: string, at: number): never {
    const { name } = this;
    if (/^PK/.test(beginning)) throw new DataError(`${name} is a zip archive; unpack it first`);
    if (/^version https:\/\/git-lfs/.test(beginning)) {
      throw new DataError(`${name} is a Git LFS pointer; run \`git lfs pull\` where it comes from`);
    }
    if (/^</.test(beginning)) throw new DataError(`${name} is a web page; fetch the file again`);
    if (/^[[{]/.test(beginning)) {
      const form = this.wanted === null ? "a list" : `an object with the list ${quote(this.wanted)}`;
      throw new DataError(`${name}: ${form} was expected, not ${quote(beginning.slice(0, 40))}`);
    }
    return this.fail(at, `value expected, not ${JSON.stringify(beginning.slice(0, 20))}`);
  }
}
