// The command line as a user starts it, in a folder of the test's.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../cli/casement.mjs", import.meta.url));

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the command line in `dir`; `onOutput` sees standard output as it grows. */
export function runCommand(
  dir: string,
  args: string[],
  onOutput: (text: string, kill: () => void) => void = () => {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: dir });
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
