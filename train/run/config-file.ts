// A configuration in a JSON file.
import { readFile } from "node:fs/promises";
import { ConfigError, parseConfig, type RunConfig } from "../config.ts";
import { decodeText } from "./text.ts";

/** Reads and checks a configuration file. Throws ConfigError. */
export async function loadConfig(file: string): Promise<RunConfig> {
  let value: unknown;
  try {
    const text = decodeText(await readFile(file));
    if (text === null) throw new Error("it is no text in UTF-8 or UTF-16");
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`Cannot read the configuration ${file}: ${(cause as Error).message}`, { cause });
  }
  return parseConfig(value, file);
}
