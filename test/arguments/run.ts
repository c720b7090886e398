// Runs argument lists on the real command line, in this process or as processes of their own, and says what is wrong with
// what came of it.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { main } from "../../cli/main.ts";
import { visible } from "../../cli/output.ts";
import { importCheckpoint } from "../../train/run/import.ts";
import { type Result, runCommand } from "../command.ts";
import { beside, safetensors } from "../small-blip.ts";
import { type ArgumentList, pictures } from "./lists.ts";

/** A folder with what the lists name. */
export async function makeScene(): Promise<{ dir: string; remove(): void }> {
  const dir = mkdtempSync(join(tmpdir(), "casement-lists-"));
  mkdirSync(join(dir, "hf"));
  const files = { ...beside, "model.safetensors": safetensors() };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, "hf", name), content);
  await importCheckpoint({ source: join(dir, "hf"), out: join(dir, "tiny"), show: () => {} });
  symlinkSync("tiny", join(dir, "007"));
  symlinkSync("hf", join(dir, "7"));
  writeFileSync(join(dir, "broken.json"), "{ no");
  const emoji = dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json"));
  for (const name of pictures) copyFileSync(join(emoji, "img/google/64/1f44b.png"), join(dir, name));
  return { dir, remove: () => rmSync(dir, { recursive: true }) };
}

/** Runs a list in this process. */
export async function runHere(dir: string, args: readonly string[]): Promise<Result> {
  const said = { out: "", err: "" };
  const keep = (stream: "out" | "err") => (part: string) => {
    said[stream] += part;
    return true;
  };
  const before = process.cwd();
  process.chdir(dir);
  try {
    return { code: await main(args, { out: keep("out"), err: keep("err") }), ...said };
  } finally {
    process.chdir(before);
  }
}

/** Runs a list as a process. */
export const runApart = (dir: string, args: readonly string[]) => runCommand(dir, [...args]);

/** What is wrong with the result of a list. */
export function complaints(
  { args, status, json, echo, named }: ArgumentList,
  { code, out, err }: Result,
): string[] {
  const found: string[] = [];
  const must = (right: boolean, what: string) => {
    if (!right) found.push(what);
  };
  must(code === status, `exit status ${code}, not ${status}`);
  const all = `${out}${err}`;
  must(!/^\s+at .*[:(]/m.test(all), "a stack trace");
  must(visible(out, "block") === out && visible(err, "block") === err, "a control character");
  const message = /^casement: (.*)\n$/ms.exec(err)?.[1] ?? "";
  if (code !== 0) must(message !== "", "no message");
  if (json) {
    const value = parsed(out);
    must(typeof value === "object" && value !== null, "standard output is no JSON object");
    const { error, ...rest } = (value ?? {}) as Record<string, unknown>;
    if (code === 0) {
      for (const [name, wanted] of Object.entries(echo))
        must(
          JSON.stringify(rest[name]) === JSON.stringify(wanted),
          `${name} is ${JSON.stringify(rest[name])}`,
        );
    } else must(typeof error === "string" && Object.keys(rest).length === 0, "an error of another form");
  } else if (code !== 0) must(out === "", "an error on standard output");
  if (code === 1) must(message.includes(visible(named, "line")), `the message does not name ${named}`);
  const quoted = /"(.*)"/s.exec(message)?.[1];
  if (code === 2 && quoted !== undefined) {
    const given = args.flatMap((arg) => [
      arg,
      arg.slice(2),
      arg.replace(/=.*/s, ""),
      arg.replace(/^[^=]*=/, ""),
    ]);
    must(given.map((part) => visible(part, "line")).includes(quoted), `"${quoted}" was not given`);
  }
  return found;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A list and what is wrong with what came of it. */
export const report = ({ seed, args }: ArgumentList, { out, err }: Result, found: readonly string[]) =>
  `seed ${seed}: ${found.join("; ")}\n  ${JSON.stringify(args)}\n  ${JSON.stringify({ out, err }).slice(0, 600)}`;
