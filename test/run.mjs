// Runs the type check, the lint and every test file, each test file in a process of its own, and ends with
// the line "N passed, N failed". `node test/run.mjs NAME...` runs only what has one of the names in its own.
//
// A test that can't run here prints the line "skipped: NAME (why)" and returns: it counts as skipped.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const TIME_LIMIT_MS = 12 * 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const filters = process.argv.slice(2);

/** Ends what runs now, each as one call. */
const running = new Set();
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
]) {
  process.once(signal, () => {
    for (const stop of running) stop();
    process.exit(status);
  });
}

/** Runs Node on a script, gathering its output; the whole process group goes at the time limit. */
function runNode(args) {
  return new Promise((resolve) => {
    // A group of its own, so that a browser which a test started ends with it.
    const group = process.platform !== "win32";
    const child = spawn(process.execPath, args, { cwd: root, detached: group });
    let text = "";
    let timedOut = false;
    const stop = () => {
      try {
        process.kill(group ? -child.pid : child.pid, "SIGKILL");
      } catch {
        // The group has already ended.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      stop();
    }, TIME_LIMIT_MS);
    running.add(stop);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
    }
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      running.delete(stop);
      const ending = timedOut
        ? `stopped after ${TIME_LIMIT_MS / 60_000} minutes`
        : `ended with ${signal ?? `exit status ${code}`}`;
      resolve({ ok: code === 0, ending, text: stripVTControlCharacters(text) });
    });
  });
}

/** A tool that is one test: it passes where it exits with 0. */
async function runTool(script, ...args) {
  const { ok, ending, text } = await runNode([join(root, "node_modules", script), ...args]);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: [], text: ok ? text : `${text}\n${ending}` };
}

/** A test file: the counts come from uvu's summary, and a file that ran no test to its end has failed. */
async function runTestFile(path) {
  const { ok, ending, text } = await runNode(["--import", "./cli/register.mjs", path]);
  const count = (label) => Number(new RegExp(`^\\s*${label}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  const skipped = text.match(/^skipped: .*/gm) ?? [];
  const total = count("Total");
  // A skipped test returned early, which uvu takes for a pass.
  const passed = Math.max(0, count("Passed") - skipped.length);
  const failed = Math.max(total - count("Passed"), !ok || total === 0 ? 1 : 0);
  for (let i = count("Skipped"); i > 0; i--) skipped.push("skipped: a test marked so in its file");
  return { passed, failed, skipped, text: `${text}\n${ending}, ${total} tests` };
}

const checks = [
  ["type check", () => runTool("typescript/bin/tsc", "--noEmit")],
  ["lint", () => runTool("@biomejs/biome/bin/biome", "check", ".")],
  ...readdirSync(join(root, "test"))
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => [`test/${name}`, () => runTestFile(`test/${name}`)]),
].filter(([name]) => filters.length === 0 || filters.some((filter) => name.includes(filter)));

/**
 * What takes long, measures no time and shares no folder with others runs beside them, the longest first; the first lane
 * helps when it has nothing else left.
 */
const besides =
  "deno ops-in-parts ops-without-subgroups train miniatures judge parity programs docs-training docs-data results embed audit " +
  "checkpoints score argument-lists roam-model audit-model validate settings roam";
const place = (name) => besides.split(" ").indexOf(/^test\/(.*)\.test\.ts$/.exec(name)?.[1]);
const shared = checks.filter(([name]) => place(name) >= 0).sort(([a], [b]) => place(a) - place(b));
const alone = checks.filter(([name]) => place(name) < 0);

const sum = { passed: 0, failed: 0, skipped: 0 };
async function runCheck([name, run]) {
  const start = performance.now();
  const { passed, failed, skipped, text } = await run();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${failed ? "FAIL" : "ok  "} ${name} (${seconds} s, ${passed} passed)`);
  for (const line of skipped) console.log(`     ${line}`);
  if (failed) console.log(`${text.trim().replace(/^/gm, "     ")}\n`);
  sum.passed += passed;
  sum.failed += failed;
  sum.skipped += skipped.length;
}
const lane = async (...queues) => {
  for (const queue of queues)
    for (let check = queue.shift(); check; check = queue.shift()) await runCheck(check);
};
const none = checks.length === 0;
await Promise.all([lane(alone, shared), lane(shared)]);
if (none) console.log(`no test has ${filters.join(" or ")} in its name`);

if (sum.skipped > 0) console.log(`${sum.skipped} skipped, named above`);
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 || none ? 1 : 0;
