// With --json standard output holds one JSON value and nothing else. Native code (Dawn, graphics drivers) writes to file
// descriptor 1 as it likes, which no JavaScript can keep it from; so the command runs in a child whose descriptor 1 is
// this process's standard error, and whose descriptor 3 is its standard output.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const results = 3;

/** Runs the command line in such a child, signals included, and ends as it ends. */
export function relay(script, args) {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(script), ...args], {
    stdio: ["inherit", 2, 2, 1, "ipc"],
    env: { ...process.env, CASEMENT_RESULTS: `${results}` },
    // A group of its own: a Ctrl-C comes to it once, from here.
    detached: true,
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Whether this process is such a child. */
export const relayed = () => process.env.CASEMENT_RESULTS !== undefined && process.connected === true;

/** In such a child: ends with its parent, however that ends. */
export function endWithParent() {
  if (!relayed()) return;
  process.on("disconnect", () => process.exit(1));
  process.channel.unref();
}
