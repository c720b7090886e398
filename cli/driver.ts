// The check of the driver behind `casement doctor --check`, in a process of its own, because a broken driver can end the
// process that loads it, or never answer: then the case at hand is what it broke, and another process goes on behind it.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { driverCases, type Verdict } from "../cases/driver.ts";
import { moduleBeside } from "../train/place.ts";

const loader = fileURLToPath(new URL("register.mjs", import.meta.url));
/** The process; what is built needs no loader. */
const checker = moduleBeside("./driver-process", import.meta.url);
const options = checker.pathname.endsWith(".ts") ? ["--import", loader] : [];
/** Milliseconds without an answer after which a driver counts as stuck: a cold batch of kernels takes a CPU seconds. */
const patience = 120_000;

/**
 * Checks the driver of the best adapter on the cut of the op table, case by case.
 * @param heard is told each verdict as it comes
 * @param options.names cases of the cut; all, unless told
 * @param options.limit milliseconds without an answer after which the driver counts as stuck
 * @returns all verdicts, in order
 */
export async function checkDriver(
  heard: (verdict: Verdict) => void = () => {},
  { names = driverCases.map(({ name }) => name), limit = patience } = {},
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const hear = (verdict: Verdict) => {
    verdicts.push(verdict);
    heard(verdict);
  };
  let batch = 8;
  while (true) {
    const ending = await goOn(names.slice(verdicts.length), batch, hear, limit);
    if (verdicts.length === names.length) return verdicts;
    // Of a batch that was compiled together any case may have done it: each by itself from here on.
    if (batch === 1) hear({ name: names[verdicts.length]!, failures: [ending], skipped: null, error: 0 });
    batch = 1;
  }
}

/** Checks these cases until all are done or the process is; resolves to how it ended. */
function goOn(
  names: string[],
  batch: number,
  hear: (verdict: Verdict) => void,
  limit: number,
): Promise<string> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(checker), [`${batch}`, ...names], {
      execArgv: options,
      // Numbers that are not finite pass.
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let said = "";
    let stuck = false;
    const onSilence = () => {
      stuck = true;
      child.kill("SIGKILL");
    };
    // Until the process is there it is not the driver that is waited for.
    let timer = setTimeout(onSilence, Math.max(limit, patience));
    child.on("message", (message: Verdict | "here") => {
      clearTimeout(timer);
      timer = setTimeout(onSilence, limit);
      if (message !== "here") hear(message);
    });
    child.stderr!.setEncoding("utf8").on("data", (text) => {
      said = `${said}${text}`.slice(-2000);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const how = stuck
        ? `no answer within ${limit / 1000} s`
        : `the process ended with ${signal ?? `exit status ${code}`}`;
      resolve([how, said.trim()].filter(Boolean).join(": "));
    });
  });
}
