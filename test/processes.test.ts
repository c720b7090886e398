// Two hundred short processes that give their engine up at awkward moments (test/processes/life.mjs), and none stays.
import { spawn } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "vite";
import { sideBySide } from "./command.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const life = join(root, "test/processes/life.mjs");
const modules = await mkdtemp(join(tmpdir(), "casement-processes-"));
test.after(() => rm(modules, { recursive: true }));

/** Milliseconds that a process may take; a fiftieth of them would do on an idle machine. */
const patience = 60_000;

/** When the moment comes: at once, while work is being sent, while kernels compile, while work is done, afterwards. */
const delays = [
  "0 turns",
  "1 turns",
  "2 turns",
  "4 turns",
  "9 turns",
  "25 turns",
  "100 turns",
  "15 ms",
  "60 ms",
  "200 ms",
];

/** How a process has to end whose moment is not its engine's end alone: its exit status, or the signal. */
const endings: [moment: RegExp, ending: number | string, ends: boolean][] = [
  [/^an exception|^a rejection/, 1, false],
  [/^exit/, 3, false],
  [/^terminated/, "SIGTERM", false],
  [/./, 0, true],
];

function start(...args: string[]): Promise<{ ending: number | string; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [life, modules, ...args]);
    let [out, err] = ["", ""];
    child.stdout.on("data", (data) => {
      out += data;
    });
    child.stderr.on("data", (data) => {
      err += data;
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, patience);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ ending: late ? "it stayed" : (signal ?? code ?? "nothing"), out, err });
    });
  });
}

test("processes that dispose, fail or exit at awkward moments end by themselves, as they should", async () => {
  await build({
    ...{ configFile: false, logLevel: "error", root },
    build: {
      lib: { entry: { engine: "engine/index.ts", kernels: "kernels/index.ts" }, formats: ["es"] },
      ...{ target: "esnext", minify: false, outDir: modules, emptyOutDir: true },
    },
  });
  await symlink(join(root, "node_modules"), join(modules, "node_modules"));
  const moments: string[] = JSON.parse((await start()).out);
  const runs = delays.flatMap((delay) => moments.map((moment) => [moment, delay] as const));
  assert.is(runs.length, 200);
  const results = await sideBySide(runs, ([moment, delay]) => start(moment, ...delay.split(" ")));
  const wrong = results.flatMap(({ ending, out, err }, i) => {
    const [moment, delay] = runs[i]!;
    const [, expected, ends] = endings.find(([pattern]) => pattern.test(moment))!;
    if (ending === expected && (!ends || out.includes("end\n"))) return [];
    const said = err.replace(/^Warning: max.*\n/gm, "").slice(-1500);
    return [`${moment}, after ${delay}: ended with ${ending}, not ${expected}\n${out}${said}`];
  });
  assert.equal(wrong, []);
});

test.run();
