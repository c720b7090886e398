// What a command takes, and how its arguments are read. Everything typed is text until an option asks for a number, and
// what can't be understood is refused: unknown options, values that are missing, values given twice. The splitting into
// options, values and operands is Node's own `parseArgs`; it takes `--name value` and `--name=value`.
import { parseArgs } from "node:util";
import { shellWord, visible } from "./output.ts";

/** A mistake in what was typed; nothing has begun. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** An option, or an operand of a command. */
export interface Option<T> {
  /** What stands for its value in the help; null where it takes none. */
  value: string | null;
  about: string;
  /** Whether it may be given more than once. */
  many?: boolean;
  /** The values of `texts`, in order; empty where it was not given. Throws UsageError, naming `label`. */
  read(texts: readonly string[], label: string): T;
}

export type Options = Record<string, Option<unknown>>;
export type Values<O extends Options> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never };

const one = <T>(value: string, about: string, read: (text: string, label: string) => T) => ({
  ...{ value, about },
  read: ([text]: readonly string[], label: string): T | undefined =>
    text === undefined ? undefined : read(text, label),
});

/** True where it was given. */
export const flag = (about: string): Option<boolean> => ({
  ...{ value: null, about },
  read: (texts) => texts.length > 0,
});

/** Any text, the empty one included. */
export const text = (value: string, about: string) => one(value, about, (given) => given);

/** A file or folder. */
export const path = (value: string, about: string) =>
  one(value, about, (given, label) => {
    if (given === "") throw new UsageError(`${label} needs the name of a file or folder, not ""`);
    return given;
  });

/** Text of which there must be some. */
export const filled = (value: string, about: string) =>
  one(value, about, (given, label) => {
    if (given.trim() === "") throw new UsageError(`${label} needs a ${value}, not ${quoted(given)}`);
    return given;
  });

/** One of some names. */
export const choice = <T extends string>(value: string, names: readonly T[], about: string) =>
  one(value, about, (given, label) => {
    const found = names.find((name) => name === given);
    if (found === undefined) throw new UsageError(`${label} must be ${among(names)}, not ${quoted(given)}`);
    return found;
  });

/** A whole number in decimal digits. */
export const whole = (value: string, about: string, min: number, max = Number.MAX_SAFE_INTEGER) =>
  one(value, about, (given, label) => wholeNumber(given, label, min, max));

/** An option that may be given more than once: all its values. */
export const many = <T>(option: Option<T | undefined>): Option<T[]> => ({
  ...option,
  many: true,
  read: (texts, label) => texts.map((given) => option.read([given], label)!),
});

/** An option that must be given. */
export const needed = <T>(option: Option<T | undefined>): Option<T> => ({
  ...option,
  read: (texts, label) => {
    if (texts.length === 0)
      throw new UsageError(`${[...new Set([label, option.value])].join(" ")} is missing`);
    return option.read(texts, label)!;
  },
});

/** An option with a value of its own where none is given. */
export const otherwise = <T extends string | number>(
  option: Option<T | undefined>,
  fallback: T,
): Option<T> => ({
  ...option,
  about: `${option.about} (${fallback} unless told)`,
  read: (texts, label) => option.read(texts, label) ?? fallback,
});

/**
 * A number from its decimal digits: no sign, no exponent, no space, no leading zero, nothing that a double would round.
 * Throws UsageError, which says the range.
 */
export function wholeNumber(
  given: string,
  label: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const number = /^(0|[1-9]\d*)$/.test(given) ? Number(given) : Number.NaN;
  if (number >= min && number <= max) return number;
  const most = max === Number.MAX_SAFE_INTEGER ? "2^53 - 1" : `${max}`;
  throw new UsageError(`${label} must be a whole number from ${min} to ${most}, not ${quoted(given)}`);
}

/** What the user typed, as it is shown in a message. */
export const quoted = (given: string) => `"${visible(given, "line")}"`;

const among = (names: readonly string[]) =>
  names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/** `imageSize` is typed `--image-size`, and `k` is `-k`. */
const typed = (name: string) =>
  name.length === 1 ? `-${name}` : `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Reads a command's arguments. Throws UsageError. */
export function readArguments<O extends Options, P extends Options>(
  args: readonly string[],
  options: O,
  operands: P,
): Values<O> & Values<P> {
  const byLabel = new Map(Object.keys(options).map((name) => [typed(name), name]));
  const known = Object.fromEntries(
    Array.from(byLabel, ([label, name]) => {
      const type = options[name]!.value === null ? ("boolean" as const) : ("string" as const);
      return label.startsWith("--") ? [label.slice(2), { type }] : [name, { type, short: name }];
    }),
  );
  // Not strict: its messages know neither commands nor operands. What it would refuse is refused below.
  const { tokens } = parseArgs({
    args: [...args],
    options: known,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string[]>();
  const rest: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") rest.push(token.value);
    if (token.kind !== "option") continue;
    const label = token.rawName;
    const name = byLabel.get(label);
    if (name === undefined)
      throw new UsageError(
        `There is no option ${quoted(args[token.index]!.replace(/^(--[^=]+)=.*/s, "$1"))}`,
      );
    const option = options[name]!;
    if (option.value === null && token.value !== undefined) throw new UsageError(`${label} takes no value`);
    if (option.value !== null) {
      if (token.value === undefined) throw new UsageError(`${label} ${option.value} lacks its value`);
      const apart = token.inlineValue === false;
      if (apart && (token.value.startsWith("--") || byLabel.has(token.value)))
        throw new UsageError(
          `${label} ${option.value} lacks its value; one that starts with dashes is given as ${label}=${visible(token.value, "line")}`,
        );
    }
    const earlier = given.get(name) ?? [];
    if (earlier.length > 0 && !option.many) throw new UsageError(`${label} is given more than once`);
    given.set(name, [...earlier, token.value ?? ""]);
  }
  const values: Record<string, unknown> = {};
  for (const [name, operand] of Object.entries(operands)) {
    values[name] = operand.read(rest.splice(0, operand.many ? rest.length : 1), operand.value!);
  }
  if (rest.length > 0) throw new UsageError(`${quoted(rest[0]!)} is one argument too many`);
  for (const [label, name] of byLabel) values[name] = options[name]!.read(given.get(name) ?? [], label);
  return values as Values<O> & Values<P>;
}

/** Options as they are typed, those that have a value or are set. */
export function writtenOut(values: Record<string, unknown>): string {
  const words = Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    if (value === true) return [typed(name)];
    return (Array.isArray(value) ? value : [value]).flatMap((one) => {
      const given = `${one}`;
      return given.startsWith("-") ? [shellWord(`${typed(name)}=${given}`)] : [typed(name), shellWord(given)];
    });
  });
  return words.join(" ");
}

/** The lines of a help on options. */
export function helpLines(options: Options): string[] {
  const rows = Object.entries(options).map(([name, { value, about }]) => [
    `  ${typed(name)}${value === null ? "" : ` ${value}`}`,
    about,
  ]);
  const width = Math.max(...rows.map(([left]) => left!.length)) + 2;
  return rows.map(([left, about]) => `${left!.padEnd(width)}${about}`);
}
