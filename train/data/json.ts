// JSON files of people's: what is wrong with one is told by file, entry and place. JSON.parse reads them; it neither says
// where a fault is (V8 leaves the place out of some messages) nor that a key came twice, so a second pass looks there.
import type { z } from "zod";
import { DataError, type Files } from "./types.ts";

/** What a second pass over a JSON text finds. */
export interface Scan {
  /** Where the text stops being JSON; null for a whole one. */
  fault: { offset: number; what: string } | null;
  /** Elements of the list at the top that were begun: the fault is in the last. */
  entries: number;
  /** Keys of the object at the top, in their order, as often as they are there. */
  keys: string[];
}

const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings
  /[ \t\r\n]*(?:([{}[\],:])|("[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\u0000-\u001f]*)*")|((?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])))/y;

/** Reads a text token by token, as far as it is JSON. */
export function scan(text: string): Scan {
  const open: string[] = [];
  const keys: string[] = [];
  let entries = 0;
  // "value or ]" and "key or }" stand behind an opening bracket alone: no comma may come last.
  let expected: "value" | "value or ]" | "key" | "key or }" | "colon" | "comma" | "end" = "value";
  let at = 0;
  const found = (fault: Scan["fault"]) => ({ fault, entries, keys });
  for (;;) {
    token.lastIndex = at;
    const match = token.exec(text);
    const start = /[^ \t\r\n]|$/g;
    start.lastIndex = at;
    const offset = start.exec(text)!.index;
    if (offset === text.length) {
      return found(expected === "end" ? null : { offset, what: "the file ends early" });
    }
    const wanted = { comma: `a comma or ${open.at(-1) === "[" ? "]" : "}"}`, end: "the end" };
    const here = text.slice(offset, offset + 20).split("\n")[0];
    const what = `${wanted[expected as "comma"] ?? expected} expected, not ${JSON.stringify(here)}`;
    if (match === null) return found({ offset, what });
    const [, mark, string, atom] = match;
    const opens = mark === "[" || mark === "{";
    if (expected.startsWith("value") && (opens || string !== undefined || atom !== undefined)) {
      if (open.length === 1 && open[0] === "[") entries++;
      expected = opens ? (mark === "[" ? "value or ]" : "key or }") : open.length > 0 ? "comma" : "end";
      if (opens) open.push(mark!);
    } else if (expected.startsWith("key") && string !== undefined) {
      if (open.length === 1) keys.push(JSON.parse(string));
      expected = "colon";
    } else if (expected === "colon" && mark === ":") {
      expected = "value";
    } else if (expected === "comma" && mark === ",") {
      expected = open.at(-1) === "[" ? "value" : "key";
    } else if (
      (mark === "]" && open.at(-1) === "[" && (expected === "comma" || expected === "value or ]")) ||
      (mark === "}" && open.at(-1) === "{" && (expected === "comma" || expected === "key or }"))
    ) {
      open.pop();
      expected = open.length > 0 ? "comma" : "end";
    } else {
      return found({ offset, what });
    }
    at = token.lastIndex;
  }
}

/** Line and column of a place in a text, from 1. */
export function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}, column ${before.at(-1)!.length + 1}`;
}

/** Longest text that an engine's strings hold, about. */
const longestText = 500e6;

/** A file's text, in UTF-8 or, as PowerShell writes it, UTF-16. Throws DataError where there is none. */
export async function readText(files: Files, file: string): Promise<string> {
  const bytes = await files.read(file).catch((cause: Error) => {
    throw new DataError(`${file} can't be read in ${files.name}: ${cause.message}`, { cause });
  });
  if (bytes.length > longestText) throw new DataError(`${file} has ${bytes.length} bytes, over 500 MB`);
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(`${file} is no text in UTF-8 or UTF-16`, { cause });
  }
}

/** Parses a text. Throws DataError, which names `file`, the entry and the place. */
export function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (/^version https:\/\/git-lfs\.github\.com\/spec/.test(text)) {
      throw new DataError(`${file} is a Git LFS pointer; run \`git lfs pull\` where it comes from`, {
        cause,
      });
    }
    if (/^\s*</.test(text)) throw new DataError(`${file} is a web page; fetch the file again`, { cause });
    const { fault, entries, keys } = scan(text);
    const within =
      entries > 0 ? ` in entry ${entries - 1}` : keys.length > 0 ? ` at ${quote(keys.at(-1))}` : "";
    const where = fault
      ? ` (${placeOf(text, fault.offset)}): ${fault.what}`
      : `: ${(cause as Error).message}`;
    throw new DataError(`${file}: malformed JSON${within}${where}`, { cause });
  }
}

/** Reads and parses a file; `keys` are those at its top where it is an object. Throws DataError. */
export async function readJson(files: Files, file: string): Promise<unknown> {
  return parseJson(file, await readText(files, file));
}

/** As it is shown in a message, cut short. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? `${value}`;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The entry of a file, as messages call it: entries count from 0, as programs that index the list do. */
export const entryName = (file: string, index: number) => `${file}, entry ${index}`;

/** An entry by its form. Throws DataError, which names `where` and the field. */
export function checked<T>(where: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  const given = path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown>)?.[key], value);
  const field = path.length > 0 ? `field ${path.map(String).join(".")}: ` : "";
  throw new DataError(`${where}: ${field}${message}${given === undefined ? "" : ` (${quote(given)})`}`);
}

/** The entries of a file that is a list. Throws DataError, which names the file and the entry. */
export async function readEntries<T>(files: Files, file: string, schema: z.ZodType<T>): Promise<T[]> {
  const list = await readJson(files, file);
  if (!Array.isArray(list)) throw new DataError(`${file}: a list was expected, not ${quote(list)}`);
  return list.map((entry, i) => checked(entryName(file, i), schema, entry));
}
