// The bench for GPUs without a GPU: its time, its processes, and what is left where they fail.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { endings, reserve, totalSeconds } from "../bench/gpu/budget.ts";
import { type Context, type Part, parts, verdictIn } from "../bench/gpu/parts.ts";
import type { StepSpec, Timing } from "../bench/gpu/protocol.ts";
import { besideTorch, gpuLines, noGpu } from "../bench/gpu/report.ts";
import {
  type GpuCase,
  type GpuResults,
  type GpuStep,
  gpuResultsSchema,
  type TorchTiming,
} from "../bench/gpu/results.ts";
import { runParts } from "../bench/gpu/run.ts";
import { Side } from "../bench/gpu/side.ts";
import { bigSteps, compiledSubjects, stepFlops, subjects } from "../bench/gpu/subjects.ts";
import { gpuTargets } from "../bench/gpu/targets.ts";
import { runLines, Worker, WorkerError } from "../bench/gpu/worker.ts";
import { plotRatios } from "../bench/plots.ts";
import { isMet } from "../bench/targets.ts";
import { driverCases } from "../cases/driver.ts";
import { verdictLines } from "../cli/doctor.ts";
import { caseSpecs } from "../model/case.ts";
import { modelSchema } from "../model/config.ts";
import type { ParameterSpec } from "../model/parameters.ts";
import { vitSpecs } from "../model/vit.ts";

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

test("each line of the driver's check is read, however long the case's name is", () => {
  for (const { name } of driverCases) {
    const read = (failures: string[], skipped: string | null) =>
      verdictLines({ name, failures, skipped, error: 1.5e-7 }).map(verdictIn);
    assert.equal(read([], null), [{ name, verdict: "right, error" }]);
    assert.equal(read([], "no f16"), [{ name, verdict: "skipped: " }]);
    assert.equal(read(["element 3: 1 instead of 2"], null), [
      { name, verdict: "WRONG" },
      { name: undefined, verdict: undefined },
    ]);
  }
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

test("PyTorch's side times ops and steps, and its models have as many parameters as ours", async () => {
  if (spawnSync("python3", ["-c", "import torch"]).status !== 0) {
    console.log("\nskipped: PyTorch's side (python3 has no torch here)");
    return;
  }
  const script = fileURLToPath(new URL("../bench/gpu/pytorch.py", import.meta.url));
  const side = new Side<Record<string, unknown>>(new Worker("PyTorch", ["python3", script]), {}, 120);
  // A process that is left over would keep this one.
  try {
    assert.match(`${(await side.open()).version}`, /^\d/);
    // Every op that the bench asks for, at the sizes of small cases.
    const small = [...subjects.products, ...subjects.attention, ...subjects.memory].flatMap(({ torch }) =>
      torch ? [{ ...torch, shapes: shrunk(torch.op, torch.shapes) }] : [],
    );
    const seen = new Set<string>();
    for (const subject of small) {
      const key = JSON.stringify([subject.op, subject.weighted]);
      if (seen.has(key)) continue;
      seen.add(key);
      const { ms } = await side.ask<Timing>("op", { ...subject, mode: "f32", seconds: 0.01 }, 30);
      assert.ok(ms > 0, key);
    }
    assert.ok(seen.size > 15, `${seen.size} ops`);
    const config = modelSchema.parse({
      vision: { imageSize: 32, width: 24, depth: 2, heads: 3 },
      text: { width: 36, depth: 2, heads: 3, intermediate: 40, maxPositions: 40 },
      projection: 12,
    });
    const spec: StepSpec = {
      ...{ name: "tiny", model: "case", config, precision: "f32", batch: 4, vocabulary: 60, length: 12 },
    };
    const count = (specs: readonly ParameterSpec[]) =>
      specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    for (const [model, mode, wanted] of [
      ["case", "f32", count(caseSpecs(config, 60))],
      ["case", "bf16", count(caseSpecs(config, 60))],
      ["vit", "f32", count(vitSpecs(config))],
    ] as const) {
      const asked = { spec: { ...spec, model }, mode, seconds: 0.02 };
      const { parameters, loss, ms } = await side.ask<TorchTiming>("step", asked, 60);
      assert.is(parameters, wanted);
      assert.ok(ms > 0 && loss! > 0, `${ms} ms, a loss of ${loss}`);
    }
  } finally {
    side.end();
  }
});

/** Shapes of the same kind with fewer elements: what must agree still does. */
function shrunk({ op }: { op: string }, shapes: number[][]): number[][] {
  // Heads must divide an attention's widths.
  const most = (at: number, rank: number) => (op === "attention" && at === rank - 1 ? 1e9 : 24);
  return shapes.map((shape) => shape.map((extent, at) => Math.min(extent, most(at, shape.length))));
}

/** A run on a made-up card that reaches these speeds. */
function sample(): GpuResults {
  const timing = (ms: number) => ({ ms, least: ms, most: ms, runs: 10, gpu_ms: ms * 0.9, dispatches: 1 });
  const made = (
    name: string,
    group: GpuCase["group"],
    ms: number,
    torch: GpuCase["torch"],
    counts: Partial<GpuCase> = {},
  ): GpuCase => ({
    ...{ name, group, weighted: false, flops: null, bytes: null, error: 1e-7, tolerance: 1e-5 },
    ...{ untuned: timing(2 * ms), ours: timing(ms), variants: [], torch, failure: null, ...counts },
  });
  const step = (
    name: string,
    precision: "f32" | "f16",
    ms: number,
    bytes: number,
    torch: GpuStep["torch"],
  ): GpuStep => ({
    ...{ name, model: "case", image: 224, batch: 32, precision, flops: 1e12, parameters: 1, dispatches: 300 },
    ...{
      bytes,
      planned_bytes: bytes,
      loss: 3,
      untuned: timing(2 * ms),
      ours: timing(ms),
      torch,
      failure: null,
    },
  });
  const flops = 2 * 4096 ** 3;
  return {
    ...empty(),
    machine: {
      ...{ node: "v20", cpu: "", adapter, torch: { version: "2.11", device: "Made up", cuda: "13" } },
      card: {
        ...{ name: "Made-up Card", driver_version: "580", "clocks.max.sm": "1980 MHz" },
        ...{ "clocks.max.memory": "2619 MHz", "power.limit": "700 W" },
      },
    },
    parts: [{ name: "compiled", status: "cut", seconds: 3, notes: ["short | of time"], card: null }],
    peak: { gflops: 50_000, gbps: 3000, copy_gbps: 2000, copy_bytes: 2 ** 28 },
    matrix: {
      ...{ cases: 3, passed: 1, failed: [{ name: "product matrix", failures: ["off by 2"] }] },
      ...{ skipped: { "no f16": 1 }, unreached: 0, worst: 1e-4 },
    },
    cases: [
      made(
        "matmul large nn 4096x4096x4096 f32",
        "products",
        3,
        { f32: timing(2.7), tf32: timing(0.4) },
        { flops },
      ),
      made(
        "matmul large nn 4096x4096x4096 f16",
        "products",
        0.5,
        { bf16: timing(0.2), f16: timing(0.25) },
        { flops },
      ),
      made("matmul large nt 4096x4096x4096 f16", "products", 0.25, { bf16: timing(0.2) }, { flops }),
      // Too small to count, and one without a time of PyTorch's.
      made("matmul bench nn 512x512x512 f16", "products", 9, { bf16: timing(1) }, { flops: 2 * 512 ** 3 }),
      made("linear bias 9x9x9 f16", "products", 9, { bf16: "out of memory" }, { flops }),
      made(
        "selfAttention large 1 f16",
        "attention",
        1,
        { bf16: timing(0.8), f16: timing(0.3) },
        { flops: 1e12 },
      ),
      made("layernorm 2x2 f32", "memory", 0.5, { f32: timing(0.4) }, { bytes: 9e8 }),
      made("gelu 2x2 f32", "memory", 0.5, { f32: timing(0.4) }, { bytes: 8.6e8 }),
    ],
    steps: [
      step("emoji-tiny, batch 128, f32", "f32", 3.5, 1e9, {}),
      step("BLIP-base CASE at 224, batch 32, f32", "f32", 100, 3e9, {
        f32: { ...timing(90), peak_bytes: 4e9 },
      }),
      step("BLIP-base CASE at 224, batch 32, f16", "f16", 50, 3e9, {
        bf16: { ...timing(60), peak_bytes: 2e9 },
      }),
    ],
  };
}

test("targets count what they say, by the worst case", () => {
  const results = gpuResultsSchema.parse(sample());
  const found = gpuTargets.map((target) => {
    const value = target.value(results)!;
    return [Number(value.at.toFixed(6)), isMet(target, value.at), value.where];
  });
  assert.equal(found, [
    [0.9, true, "matmul large nn 4096x4096x4096 f32"],
    [0.4, false, "matmul large nn 4096x4096x4096 f16"],
    [0.8, true, "selfAttention large 1 f16"],
    [0.86, true, "gelu 2x2 f32"],
    [0.9, false, "BLIP-base CASE at 224, batch 32, f32"],
    [1.5, false, "BLIP-base CASE at 224, batch 32, f16"],
    [3.5, true, "emoji-tiny, batch 128, f32"],
  ]);
  assert.ok(gpuTargets.every((target) => target.value(empty()) === null));
});

test("wrong numbers reach no target, however fast they came", () => {
  const results = sample();
  results.cases[0]!.failure = "relative error 0.3, allowed 0.00001";
  const value = gpuTargets[0]!.value(results)!;
  assert.is(value.at, 0);
  assert.match(value.where!, "relative error 0.3");
});

test("the page shows a card's figures, what is wrong and what is missing", async () => {
  const results = gpuResultsSchema.parse(sample());
  const lines = gpuLines(results);
  // Without the spaces that bring columns under one another.
  const close = lines.map((line) => line.replace(/ +/g, " "));
  const text = close.join("\n");
  const line = (start: string) => close.find((line) => line.startsWith(start)) ?? "";
  assert.is(lines[0], "## Made-up Card");
  assert.match(text, "| missed by a factor of 1.50 |");
  assert.match(text, "**1 failed**");
  assert.match(text, "product matrix: off by 2");
  assert.match(text, "compiled: cut");
  const tflops = Math.round((2 * 4096 ** 3) / 3e6).toLocaleString("en");
  assert.match(
    line("| matmul large nn 4096x4096x4096 f32"),
    `| 3 | 6 | 2.7 | ${tflops} | 92 % | 2.7 | 0.4 | | | **0.90** |`,
  );
  assert.match(line("| BLIP-base CASE at 224, batch 32, f16"), "| 50 | 100 | 45 | 300 | 2.79 |");
  assert.not.match(text, /NaN|undefined|\[object|null/);
  // A table is as wide in every line.
  for (const [i, line] of lines.entries())
    if (line.startsWith("|") && lines[i - 1]!.startsWith("|"))
      assert.is(line.length, lines[i - 1]!.length, line);
  for (const few of [empty(), { ...empty(), machine: { ...empty().machine, adapter } }])
    assert.not.match(gpuLines(few).join("\n"), /NaN|undefined|\[object|null/);
  assert.match(noGpu.join("\n"), "No GPU has been measured");
  const compared = besideTorch(results);
  assert.equal(compared[0]!.peers, { "PyTorch f32": 2.7, "PyTorch TF32": 0.4 });
  assert.match(await plotRatios(compared, []), /^<svg/);
});

test.after(() => rm(folder, { recursive: true }));

test.run();
