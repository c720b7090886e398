// The bench: a run of two small cases writes what its schema says, results that differ are caught on either side, and the
// sums over a file count what they should.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gpuResultsSchema, isGpuResults } from "../bench/gpu/results.ts";
import { growthSchema } from "../bench/growth.ts";
import { type Outputs, type Side, sideOf } from "../bench/protocol.ts";
import { drawReport } from "../bench/report.ts";
import {
  type CaseResult,
  geomean,
  ratioCounted,
  ratioOf,
  resultsSchema,
  together,
} from "../bench/results.ts";
import { MismatchError, measure } from "../bench/run.ts";
import { type Measured, ofCase, subjects } from "../bench/subjects.ts";
import { benched } from "../cases/benched.ts";
import { namesAsked } from "../cases/filter.ts";
import { allCases } from "../cases/table.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "casement-bench-"));

test("two small cases: a time, a rate and a share of the peak for each, in valid JSON", async () => {
  const file = join(folder, "results.json");
  const args = ["--import", "./cli/register.mjs", "bench/main.ts"];
  await promisify(execFile)(process.execPath, [...args, "--filter", "64x64x64,384x96x640", "--json", file], {
    cwd: root,
  });
  const { cases, geomean_ratio } = resultsSchema.parse(JSON.parse(await readFile(file, "utf8")));
  assert.equal(
    cases.map(({ name }) => name),
    ["matmul bench nn 64x64x64 f32", "matmul bench tn 384x96x640 f32"],
  );
  for (const { ours_ms, gflops, fraction_of_peak, peers } of cases) {
    assert.ok(ours_ms > 0 && gflops! > 0 && fraction_of_peak! > 0);
    assert.equal(peers, {});
  }
  assert.is(geomean_ratio, null);
});

/** What the bench says of arguments that it refuses, and how it ends. */
async function refusal(...args: string[]): Promise<[string, number]> {
  const program = ["--import", "./cli/register.mjs", "bench/main.ts", ...args];
  const error = await promisify(execFile)(process.execPath, program, { cwd: root, timeout: 60_000 }).then(
    () => assert.unreachable(`${args}`),
    (error) => error,
  );
  assert.is(error.stdout, "", "before anything is measured");
  return [error.stderr.trim(), error.code];
}

test("what can't be measured, recorded or written is refused first, in one line", async () => {
  const refusals: [string[], RegExp, number][] = [
    [["--filter", "no such,none"], /^No case has no such,none in its name\.$/, 2],
    [["--filter", " "], /^--filter needs a text\.$/, 2],
    [["--record", "--filter", "gelu"], /^--record keeps a whole run, without --quick and --filter/, 2],
    [["--report", "--quick"], /^--report measures nothing/, 2],
    [["--filter", "gelu", "--json", folder], /^EISDIR: .*$/, 1],
  ];
  const said = await Promise.all(refusals.map(([args]) => refusal(...args)));
  for (const [i, [, words, status]] of refusals.entries()) {
    assert.match(said[i]![0], words);
    assert.is(said[i]![1], status);
  }
});

test("a filter asks for names that contain it, commas and all, or else one of its parts", () => {
  const names = ["gelu 7x9 f32", "gelu 7x9 f16", "add 7x9,9 f32", "softmax 9 f32"];
  const asked = (filter: string) => [...namesAsked(names, filter)].map((name) => names.indexOf(name));
  assert.equal(asked("GELU 7x9 f32"), [0]);
  assert.equal(asked("gelu, softmax,"), [0, 1, 3]);
  assert.equal(asked("7x9,9"), [2]);
  assert.equal(asked("none"), []);
  assert.equal(asked(" "), [0, 1, 2, 3]);
});

/** An engine that answers with `outputs` and takes `milliseconds` a run. */
function fake(outputs: Outputs | null, milliseconds: number): Side {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
  const subject = { run: pause, wait: async () => {}, dispose: () => {} };
  return sideOf(
    async () => null,
    async () => outputs && { subject, outputs },
  );
}

const gelu: Measured = {
  ...ofCase(benched(allCases.find(({ name }) => name === "gelu 7x13 f32")!)),
  peers: true,
};

/** What float64 says of the case, as an engine would give it; `change` spoils it. */
function outputsOf(subject: Measured, change: (result: Float32Array) => void = () => {}): Outputs {
  const job = subject.job();
  assert.ok(job.kind === "op");
  const erf = (x: number) => {
    // Abramowitz and Stegun 7.1.26, right to 1.5e-7.
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
    const sum = series.reduceRight((total, factor) => (total + factor) * t, 0);
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  };
  const result = job.inputs[0]!.values.map((x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)));
  change(result);
  return { result };
}

const plan = (ours: Side, peers: Record<string, Side>, eager: Side = fake(null, 1)) => ({
  ...{ ours, eager },
  peers: Object.entries(peers).map(([name, side]) => ({ name, side })),
  peak: { gflops: 10, gbps: 1 },
  ...{ rounds: 3, batch: 5, message: () => {} },
});

test("engines that agree are timed, and one that can't is left out", async () => {
  const right = outputsOf(gelu);
  const peers = { slow: fake(right, 30), "onnxruntime-cpu": fake(right, 1), none: fake(null, 1) };
  const result = await measure(gelu, plan(fake(right, 10), peers));
  assert.ok(result.ours_ms > 9, `${result.ours_ms} ms`);
  assert.equal(Object.keys(result.peers).sort(), ["onnxruntime-cpu", "slow"]);
  assert.ok(result.ratio_best_peer! > 1.3, "the CPU's kernels must not count");
  const bytes = 2 * 4 * 7 * 13;
  assert.is(result.fraction_of_peak, bytes / result.ours_ms / 1e6);
  assert.is(result.gflops, null);
  assert.is(result.eager_ms, null);
  const [least, most] = result.ratio_range!;
  assert.ok(
    1 < least && least <= result.ratio_best_peer! && result.ratio_best_peer! <= most,
    `${least} ${most}`,
  );
});

test("what is captured races itself without capture, which counts as no peer and must agree", async () => {
  const right = outputsOf(gelu);
  const subject = { ...gelu, eager: gelu.job };
  const peers = { slow: fake(right, 40) };
  const result = await measure(subject, plan(fake(right, 5), peers, fake(right, 20)));
  assert.ok(result.eager_ms! > result.ours_ms * 1.5, `${result.eager_ms} ms`);
  assert.equal(Object.keys(result.peers), ["slow"]);
  assert.ok(result.ratio_best_peer! > 4, "without capture is no peer");
  const wrong = outputsOf(gelu, (result) => (result[3]! += 0.01));
  const error = await measure(subject, plan(fake(right, 1), {}, fake(wrong, 1))).catch((thrown) => thrown);
  assert.instance(error, MismatchError);
  assert.match((error as Error).message, /eager differs/);
});

test("of two runs that differ by over 15 % both are kept, and the worse counts", () => {
  const run = (ours_ms: number, tfjs: number, eager_ms: number | null = null): CaseResult => ({
    ...{ name: "one", ours_ms, eager_ms, peers: { tfjs }, ratio_best_peer: ratioOf(ours_ms, { tfjs }) },
    ...{ ratio_range: null, gflops: 1, fraction_of_peak: null },
  });
  const first = run(10, 40, 12);
  assert.equal(together(first, run(11.4, 45.6, 11)), first);
  const { name: _, ...slow } = run(12, 46, 12);
  assert.equal(together(first, run(12, 46, 12)), { ...first, again: slow });
  assert.equal(together(first, run(10, 33, 12)).again!.peers, { tfjs: 33 });
  assert.equal(together(first, run(10, 40, 15)).again!.eager_ms, 15);
  assert.is(ratioCounted(together(first, run(10, 33, 12))), 3.3);
  assert.is(ratioCounted(together(first, run(10, 60, 12))), 4);
  assert.is(ratioCounted(first), 4);
  assert.is(ratioCounted({ ...first, ratio_best_peer: null }), null);
});

for (const [what, change] of [
  ["one wrong element", (result: Float32Array) => (result[result.length - 1]! += 0.01)],
  ["one that is not a number", (result: Float32Array) => (result[5] = Number.NaN)],
  ["a result of zeros", (result: Float32Array) => result.fill(0)],
] as [string, (result: Float32Array) => void][]) {
  test(`${what} is caught, in a peer and in ours`, async () => {
    const [right, wrong] = [outputsOf(gelu), outputsOf(gelu, change)];
    for (const [ours, peer] of [
      [right, wrong],
      [wrong, wrong],
    ] as const) {
      try {
        await measure(gelu, plan(fake(ours, 1), { peer: fake(peer, 1) }));
        assert.unreachable("it was timed");
      } catch (error) {
        assert.instance(error, MismatchError);
        assert.match((error as Error).message, ours === right ? "peer differs" : "float64");
      }
    }
  });
}

test("ratios count the fastest WebGPU peer, and the mean is geometric", () => {
  assert.is(ratioOf(2, { tfjs: 12, "jax-js": 8, "onnxruntime-cpu": 1 }), 4);
  assert.is(ratioOf(2, { "onnxruntime-cpu": 1 }), null);
  assert.ok(Math.abs(geomean([2, null, 8])! - 4) < 1e-12);
  assert.is(geomean([null]), null);
});

test("names of cases are unique, and every result that is committed has the schema's form", async () => {
  assert.is(new Set(subjects.map(({ name }) => name)).size, subjects.length);
  const results = join(root, "bench/results");
  for (const name of (await readdir(results)).filter((name) => name.endsWith(".json"))) {
    const value = JSON.parse(await readFile(join(results, name), "utf8"));
    const schema = isGpuResults(value) ? gpuResultsSchema : resultsSchema;
    (name.endsWith("-growth.json") ? growthSchema : schema).parse(value);
  }
});

test("the page of figures and its pictures are what is drawn from the committed results, byte for byte", async () => {
  const files = await drawReport();
  assert.ok(files.size > 1);
  for (const [path, text] of files) {
    const committed = await readFile(join(root, "docs", path), "utf8");
    const line = text.split("\n").findIndex((line, i) => line !== committed.split("\n")[i]);
    assert.ok(committed === text, `docs/${path} differs in line ${line + 1}: npm run bench -- --report`);
  }
});

test.after(() => rm(folder, { recursive: true }));

test.run();
