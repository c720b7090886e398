// The bench for GPUs without a GPU: its time, its processes, and what is left where they fail.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { endings, reserve, totalSeconds } from "../bench/gpu/budget.ts";
import { type Context, type Part, parts } from "../bench/gpu/parts.ts";
import { type GpuResults, gpuResultsSchema } from "../bench/gpu/results.ts";
import { runParts } from "../bench/gpu/run.ts";
import { Side } from "../bench/gpu/side.ts";
import { bigSteps, compiledSubjects, stepFlops, subjects } from "../bench/gpu/subjects.ts";
import { runLines, Worker, WorkerError } from "../bench/gpu/worker.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "casement-gpu-"));
const seconds = () => performance.now() / 1000;

test("parts end within the time, in order, each after at least its share", () => {
  for (const quick of [false, true]) {
    const total = (quick ? totalSeconds.quick : totalSeconds.full) - reserve;
    const ends = endings(parts, quick);
    const shares = parts.filter((part) => (quick ? part.quick : part.full) > 0);
    assert.equal(
      [...ends.keys()],
      shares.map(({ name }) => name),
    );
    let before = 0;
    for (const [name, end] of ends) {
      assert.ok(end > before, name);
      before = end;
    }
    assert.ok(Math.abs(before - total) < 1e-9);
    // The shares are meant as seconds: scaling them to the time must not take much from any.
    const sum = shares.reduce((all, part) => all + (quick ? part.quick : part.full), 0);
    assert.ok(sum <= total * 1.05, `${sum} of ${total} s`);
  }
  const [only] = endings(parts, true, ["compiled"]).values();
  assert.is(only, totalSeconds.quick - reserve, "what is asked for by name runs, and has all the time");
});

/** A worker in plain JavaScript, with `questions` and `say(object)` at hand. */
const scripted = (code: string) =>
  new Worker("worker", [
    process.execPath,
    "-e",
    `const say = (line) => require("fs").writeSync(3, JSON.stringify(line) + "\\n");
     require("readline").createInterface({ input: process.stdin }).on("line", (text) => {
       const { id, method, args } = JSON.parse(text);
       ${code}
     });`,
  ]);

const alive = (pid: number) => {
  try {
    // A process that has ended and that nobody has waited for counts as ended.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};

async function refused(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.instance(error, WorkerError);
    return (error as Error).message;
  }
  throw new Error("it went well");
}

test("a worker that hangs goes with all that it started, and the next question finds a fresh one", async () => {
  const worker = scripted(`
    if (method === "hang") {
      // In a session of its own, as compilers' pools are.
      const child = require("child_process").spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
      say({ id, note: child.pid });
      while (true);
    } else say({ id, value: args * 2 });`);
  let grandchild = 0;
  const start = seconds();
  const hang = worker.ask("hang", null, 1.5, (pid) => {
    grandchild = pid as number;
  });
  assert.match(await refused(hang), "hang took more than");
  assert.ok(seconds() - start < 4);
  assert.ok(grandchild > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (process.platform === "linux") assert.not.ok(alive(grandchild));
  assert.is(await worker.ask("double", 21, 5), 42);
  worker.end();
});

test("a worker that dies, errs, or does not exist fails the question and says why", async () => {
  const worker = scripted(`
    if (method === "die") { console.error("last words"); process.exit(3); }
    say({ id, error: "no such thing" });`);
  assert.match(await refused(worker.ask("die", 1, 5)), /exit status 3\n.*last words/s);
  assert.is(await refused(worker.ask("err", 1, 5)), "no such thing");
  assert.match(await refused(worker.ask("err", 1, 0)), "no time left");
  worker.end();
  assert.match(await refused(new Worker("none", ["/no/such/program"]).ask("open", {}, 5)), "ENOENT");
});

test("a side opens again behind a death, and not for ever", async () => {
  const worker = scripted(`
    if (method === "die") process.exit(1);
    say({ id, value: method });`);
  const side = new Side<string>(worker, {}, 5, 2);
  assert.is(await side.ask("one", {}, 5), "one");
  await refused(side.ask("die", {}, 5));
  assert.is(await side.ask("two", {}, 5), "two");
  await refused(side.ask("die", {}, 5));
  assert.match(await refused(side.ask("three", {}, 5)), "died too often");
});

test("a command's lines are told as they come, and it ends at its limit", async () => {
  const lines: string[] = [];
  const tell = (line: string) => lines.push(line);
  assert.is(await runLines(["sh", "-c", "echo a; exit 1"], root, 5, tell), "");
  assert.match(await runLines(["sh", "-c", "exit 1"], root, 5, tell), "exit status 1");
  assert.match(await runLines(["sh", "-c", "echo b; sleep 100"], root, 0.3, tell), "took more than");
  assert.equal(lines, ["a", "b"]);
});

function empty(): GpuResults {
  return {
    ...{
      kind: "gpu",
      date: new Date().toISOString(),
      quick: true,
      budget_seconds: 1,
      seconds: 0,
      commit: null,
    },
    machine: { node: process.version, cpu: "", card: null, adapter: null, torch: null },
    ...{ parts: [], peak: null, torch_copy_gbps: null, check: null, matrix: null, ops: null },
    ...{ cases: [], steps: [], profiles: [] },
  };
}

const adapter: NonNullable<GpuResults["machine"]["adapter"]> = {
  ...{ adapter: "made up", vendor: "", architecture: "", software: false, lanes: "" },
  ...{ features: [], limits: {}, matrix_shapes: [], dawn: [] },
};

test("a part that hangs, throws or comes late costs no other its time, and each leaves valid results", async () => {
  const results = empty();
  const saved: number[] = [];
  let ended = 0;
  const start = seconds();
  const clock = () => seconds() - start;
  const part = (name: string, run: (context: Context) => Promise<void>): Part => ({
    name,
    full: 1,
    quick: 1,
    run,
  });
  const list = [
    part("first", async ({ results }) => {
      results.machine.adapter = adapter;
    }),
    part("throws", async () => {
      throw new Error("broken");
    }),
    part("hangs", ({ note }) => {
      note("about to hang");
      return new Promise(() => {});
    }),
    part("left out", async () => {
      throw new Error("left out: no such units");
    }),
    part("last", async ({ results }) => {
      results.torch_copy_gbps = 7;
    }),
    part("not chosen", async () => assert.unreachable()),
  ];
  const ends = new Map([
    ["first", 0.2],
    ["throws", 3],
    ["hangs", 0.6],
    ["left out", 5],
    ["last", 5],
  ]);
  const unasked = {} as Side<never>;
  await runParts(list, {
    ...{ quick: true, results, ours: unasked, checking: unasked, torch: unasked, ends, clock, say() {} },
    end: () => ended++,
    save() {
      gpuResultsSchema.parse(JSON.parse(JSON.stringify(results)));
      saved.push(results.parts.length);
    },
  });
  assert.ok(clock() < 4, `${clock()} s`);
  assert.equal(
    results.parts.map(({ name, status }) => `${name} ${status}`),
    ["first done", "throws failed", "hangs cut", "left out left out", "last done"],
  );
  assert.equal(results.parts[2]!.notes, ["about to hang", "its time is over"]);
  assert.is(results.torch_copy_gbps, 7);
  assert.equal(saved, [1, 2, 3, 4, 5]);
  assert.ok(ended >= 2, "the sides of a part that failed are ended");
});

test("without an adapter or PyTorch the script ends by itself, with a file that says so", async () => {
  const out = join(folder, "none.json");
  const child = spawn(
    process.execPath,
    ["bench/gpu.mjs", "--quick", "--out", out, "--python", "/no/such/python"],
    {
      cwd: root,
      stdio: "ignore",
      // No driver: Vulkan's loader takes these names only.
      env: { ...process.env, VK_DRIVER_FILES: "/no/such/driver", VK_ICD_FILENAMES: "/no/such/driver" },
    },
  );
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.is(code, 0);
  const results = gpuResultsSchema.parse(JSON.parse(readFileSync(out, "utf8")));
  assert.is(results.machine.adapter, null);
  assert.is(results.parts[0]!.status, "failed");
  assert.match(results.parts[0]!.notes.join(), /adapter/);
  assert.ok(results.parts.slice(1).every(({ status }) => status === "left out"));
  assert.not.ok(existsSync(`${out}.part`));
});

test("subjects have names of their own, a rival, and what their speed is counted by", () => {
  const all = Object.values(subjects).flat();
  assert.is(new Set(all.map(({ name }) => name)).size, all.length);
  for (const { name, torch, flops, bytes, modes } of all) {
    if (!torch) continue;
    assert.ok((flops ?? 0) > 0 || (bytes ?? 0) > 0, name);
    assert.ok(modes.length > 0, name);
  }
  for (const wanted of ["matmul large nn 4096x4096x4096 f32", "matmul large nn 4096x4096x4096 f16"])
    assert.ok(
      subjects.products.slice(0, 4).some(({ name }) => name === wanted),
      wanted,
    );
  assert.is(subjects.products.find(({ name }) => name.includes("4096x4096x4096 f32"))!.flops, 2 * 4096 ** 3);
  assert.ok(compiledSubjects.length > 4);
});

test("a step's operations are those of BLIP-base", () => {
  assert.is(new Set(bigSteps.map(({ name }) => name)).size, bigSteps.length);
  const [blip] = bigSteps;
  // ViT-Base at 224 takes 17.6 G multiply-adds for a picture (Touvron et al., arXiv 2012.12877), twice as many operations.
  const vit = stepFlops({ ...blip!, model: "vit", batch: 1 }) / 3 / 2e9;
  assert.ok(Math.abs(vit - 17.6) < 0.3, `${vit}`);
  assert.ok(stepFlops({ ...blip!, batch: 1 }) / 3 / 2e9 > vit + 5);
});

test.after(() => rm(folder, { recursive: true }));

test.run();
