// Text files as people's editors and shells leave them: with a byte-order mark, in UTF-16 (PowerShell's >), or a pointer
// of Git LFS in place of the text. Read strictly: a byte that is wrong would only show as a wrong embedding.
import { readFile, stat } from "node:fs/promises";
import { lfsAdvice, lfsPointer } from "../../model/checkpoint/open.ts";
import { CheckpointError } from "../../model/safetensors.ts";
import { placeOf, scan } from "../data/json.ts";

/** Longest text that is read. */
const longestText = 16 << 20;

/**
 * A text file without its byte-order mark; null where there is no such file. Throws CheckpointError, naming it, for one
 * that can't be read, is over 16 MB, no UTF-8, or a pointer of Git LFS.
 */
export async function readText(path: string): Promise<string | null> {
  const info = await stat(path).catch(() => null);
  if (!info?.isFile()) return null;
  if (info.size > longestText) throw new CheckpointError(`${path} has ${info.size} bytes, too many`);
  const bytes = await readFile(path).catch((cause) => {
    throw new CheckpointError(`Cannot read ${path}: ${cause.message}`, { cause });
  });
  const text = decodeText(bytes);
  if (text === null) throw new CheckpointError(`${path} is no text in UTF-8 or UTF-16`);
  if (lfsPointer.test(text)) throw new CheckpointError(`${path}: ${lfsAdvice}`);
  return text;
}

/** UTF-8, or UTF-16 with a byte-order mark, which goes; null for what is neither. */
export function decodeText(bytes: Uint8Array): string | null {
  const wide = { fffe: "utf-16le", feff: "utf-16be" }[Buffer.from(bytes.subarray(0, 2)).toString("hex")];
  try {
    return new TextDecoder(wide ?? "utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Parses a JSON file; null where there is none. Throws CheckpointError, naming it. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${path}${faultOf(text) ?? `: ${(cause as Error).message}`}`, { cause });
  }
}

/** Where a text is no JSON, and why; null where that doesn't show. */
function faultOf(text: string): string | null {
  if (/^\s*</.test(text)) return ": this is a web page; fetch the file again";
  const { fault } = scan(text);
  if (!fault) return null;
  const { offset, what } = fault;
  const [field] = /"[^"\n]{1,200}"(?=\s*:[\s[]*$)/.exec(text.slice(Math.max(0, offset - 300), offset)) ?? [];
  // Python's json writes these.
  const [word] = /^-?(NaN|Infinity)\b/.exec(text.slice(offset, offset + 20)) ?? [];
  const told = word ? `${field ?? "a value"} is ${word}, which is no number of JSON's` : what;
  return `: malformed JSON (${placeOf(text, offset)}): ${told}`;
}
