// `casement results`: what it trains and in what order, that it goes on where it stopped and does nothing twice, and that
// the page says what the runs' own figures say.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../train/config.ts";
import { type ComparedRun, compare, leadOf, type System, verdictOf } from "../train/report/comparison.ts";
import { ablations } from "../train/run/ablations.ts";
import { plan, systemNames } from "../train/run/results.ts";
import { failClearly, runCommand } from "./command.ts";

const dir = await mkdtemp(join(tmpdir(), "casement-"));
const micro = {
  name: "micro",
  seed: 5,
  data: { kind: "emoji" },
  model: {
    vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16 },
    projection: 16,
  },
  training: { steps: 3, pictures: 8, triplets: 12, warmup: 2, checkpointEvery: 1, names: { steps: 1 } },
};
await writeFile(join(dir, "micro.json"), JSON.stringify(micro));
const page = join(dir, "page.md");
const marks = ["<!-- results: begin -->", "<!-- results: end -->"];
await writeFile(page, `# Before\n${marks[0]}\nearlier\n${marks[1]}\nafter\n`);
const places = ["--config", "micro.json", "--page", "page.md", "--out", "runs"];
const results = (args: string[], onOutput?: Parameters<typeof runCommand>[2]) =>
  runCommand(dir, ["results", ...places, ...args], onOutput);

const ranksOf = async (name: string): Promise<Record<string, number[]>> =>
  JSON.parse(await readFile(join(dir, "runs", name, "ranks.json"), "utf8"));

/** The cells of the first row that begins with `name` behind a heading. */
function cells(text: string, heading: string, name: string): string[] {
  const from = text.indexOf(`### ${heading}\n`);
  assert.ok(from >= 0, heading);
  const line = text
    .slice(from)
    .split("\n")
    .find((one) => one.startsWith(`| ${name} |`))!;
  return line.split("|").map((cell) => cell.trim());
}

test("the first seed of all comes before the second, in folders of their own", () => {
  const base = parseConfig(micro, "the test");
  const runs = plan(base, 2);
  assert.equal(
    runs.map(({ system }) => system),
    [...systemNames, ...systemNames],
  );
  const [first, again] = [runs[0]!.config, runs[systemNames.length]!.config];
  assert.equal(first, { ...base, name: "micro-seed-5" });
  assert.equal(again, { ...base, name: "micro-seed-6", seed: 6 });
  assert.is(new Set(runs.map(({ config }) => config.name)).size, runs.length);
  const forms = runs.map(({ config: { name, ...config } }) => JSON.stringify(config));
  assert.is(new Set(forms).size, runs.length);
});

test("stopped in a run it goes on there, and what is finished is left alone", async () => {
  const args = ["--only", "CASE", "--seeds", "2"];
  let told = 0;
  const first = await results(args, (said, kill) => {
    // In the second run.
    const begun = said.split("M parameters").length - 1;
    if (begun === 2 && told++ === 0) kill();
  });
  assert.is(first.code, 130, first.err);
  const ranks = join(dir, "runs/micro-seed-5/ranks.json");
  const before = await stat(ranks);
  const halfway = await readFile(page, "utf8");
  assert.match(halfway, /^# Before\n/);
  assert.match(halfway, /after\n$/);
  assert.not.match(halfway, /earlier/);
  assert.match(halfway, /\| gate \|[^|]*\| none yet \|/);
  const second = await results(args);
  assert.is(second.code, 0, second.err);
  assert.equal((await readdir(join(dir, "runs"))).sort(), ["micro-seed-5", "micro-seed-6"]);
  assert.is((await stat(ranks)).mtimeMs, before.mtimeMs);
  const third = await results(args);
  assert.is(third.code, 0);
  assert.not.match(third.out, /M parameters/);
});

test("the page's figures are those of the ranks", async () => {
  const text = await readFile(page, "utf8");
  for (const split of ["concepts", "combinations", "vendor"]) {
    const each = await Promise.all(
      [5, 6].map(async (seed) => {
        const ranks = (await ranksOf(`micro-seed-${seed}`))[split]!;
        return (100 * ranks.filter((rank) => rank <= 1).length) / ranks.length;
      }),
    );
    const found = cells(text, split, "CASE");
    assert.is(found[2], ((each[0]! + each[1]!) / 2).toFixed(1));
    assert.is(found[4], each.map((value) => value.toFixed(1)).join(", "));
  }
});

/** A system whose runs rank each query as `rank` says. */
function system(name: string, seeds: number[], rank: (query: number, seed: number) => number): System {
  const queries = 200;
  const runs = seeds.map((seed): ComparedRun => {
    const ranks = Array.from({ length: queries }, (_, i) => rank(i, seed));
    const at = (k: number) => (100 * ranks.filter((one) => one <= k).length) / queries;
    const recall = { r1: at(1), r5: at(5), r10: at(10), r50: at(50) };
    const kind = { queries, ...recall, pixels: recall };
    const split = { ...kind, gallery: 300, chance_r10: 1, kinds: { tone: kind } };
    return {
      seed,
      ranks: { one: ranks },
      metrics: { results: [], notes: [], splits: { one: split }, seconds: 60, adapter: "a", steps: 1 },
    };
  });
  return { name, about: "", runs };
}

test("a lead counts where all seeds and the interval say so", () => {
  const even = system("even", [1, 2], (i) => (i % 2 ? 1 : 7));
  const better = system("better", [1, 2], (i) => (i % 2 || i % 10 === 0 ? 1 : 7));
  const lead = leadOf(better, even, "one")!;
  assert.ok(Math.abs(lead.mean - 0.1) < 1e-12 && lead.low > 0, JSON.stringify(lead));
  assert.is(verdictOf(lead), "holds");
  assert.is(verdictOf(leadOf(even, better, "one")!), "fails");
  // As often right, of other queries: nothing is shown, and the interval is wide.
  const other = system("other", [1, 2], (i) => (i % 2 ? 7 : 1));
  const none = leadOf(other, even, "one")!;
  assert.is(none.mean, 0);
  assert.ok(none.low < -0.1 && none.high > 0.1);
  assert.is(verdictOf(none), "open");
  // One seed of two against it, by a little.
  const mixed = system("mixed", [1, 2], (i, seed) => (seed === 1 ? (i % 4 ? 1 : 7) : i % 2 && i > 1 ? 1 : 7));
  const unsure = leadOf(mixed, even, "one")!;
  assert.ok(unsure.low > 0 && unsure.each[1]! < 0);
  assert.is(verdictOf(unsure), "open");
});

test("only seeds that both have are compared, and what was not measured is said", () => {
  const first = system("first", [1, 2, 3], (i, seed) => (i % (seed + 1) ? 1 : 7));
  const second = system("second", [2], (i) => (i % 4 ? 1 : 7));
  const lead = leadOf(first, second, "one")!;
  const share = (n: number) =>
    Array.from({ length: 200 }, (_, i) => Number(i % n !== 0)).reduce((a, b) => a + b) / 200;
  assert.ok(Math.abs(lead.mean - (share(3) - share(4))) < 1e-12);
  assert.is(lead.each.length, 1);
  const empty = { ...second, name: "empty", runs: [] };
  assert.is(leadOf(first, empty, "one"), null);
  const text = compare(
    [first, second, empty],
    [{ says: "it leads", against: ["second", "empty"] }],
    "Budget",
  );
  assert.match(text, /\| it leads \| second \| not shown \(−8\.5, 1 seed\) \|/);
  assert.not.match(text, /it leads \| empty/);
  assert.throws(() => compare([empty, first], [], "Budget"), /empty has no finished run/);
});

test("all rivals are among the systems, and a page without its marks is refused before training", async () => {
  assert.equal([...systemNames].slice(1), ablations);
  await writeFile(join(dir, "bare.md"), "# nothing\n");
  await failClearly(dir, [
    [["results", "--config", "micro.json", "--out", "none", "--page", "bare.md"], /bare\.md.*results: begin/],
    [["results", "--only", "colour"], /late-fusion/, 2],
    [["results", "--seeds", "0"], /--seeds/, 2],
  ]);
  assert.equal((await readdir(dir)).includes("none"), false);
});

test.after(() => rm(dir, { recursive: true }));

test.run();
