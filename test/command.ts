// The command line as a user starts it, in a folder of the test's.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";

const script = fileURLToPath(new URL("../cli/casement.mjs", import.meta.url));

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the command line in `dir`; `onOutput` sees standard output as it grows, `env` goes on top of this process's. */
export function runCommand(
  dir: string,
  args: string[],
  onOutput: (text: string, kill: () => void) => void = () => {},
  env: Record<string, string> = {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: dir, env: { ...process.env, ...env } });
    let [out, err] = ["", ""];
    child.stdout.on("data", (data) => {
      out += data;
      onOutput(out, () => child.kill("SIGINT"));
    });
    child.stderr.on("data", (data) => {
      err += data;
    });
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Does `work` for every item, as many at a time as there are cores. Returns the results in the items' order. */
export async function sideBySide<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** Runs commands that must fail, each with a message that matches, its exit status (1 unless told) and no stack trace. */
export async function failClearly(
  dir: string,
  cases: readonly (readonly [args: string[], message: RegExp, status?: number])[],
): Promise<void> {
  const results = await sideBySide(cases, ([args]) => runCommand(dir, args));
  results.forEach(({ code, err }, i) => {
    const [args, message, status = 1] = cases[i];
    assert.is(code, status, `${args.join(" ")} should fail`);
    assert.match(err, message);
    assert.not.match(err, /\n\s+at /, `${args.join(" ")} shows a stack trace`);
  });
}
