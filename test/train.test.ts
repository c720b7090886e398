// The command line as a user meets it, on a model small enough to train in seconds: training, resuming to the same
// numbers, interrupting, evaluation, search, and what each kind of bad input gets.
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { failClearly, runCommand } from "./command.ts";
import { readEvents } from "./events.ts";

const dir = await mkdtemp(join(tmpdir(), "casement-"));
const picture = join(
  dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json")),
  "img/google/64/1f44b.png",
);

const config = {
  name: "micro",
  seed: 3,
  data: { kind: "emoji" },
  model: {
    vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16, dropout: 0.1 },
    projection: 16,
  },
  training: { steps: 6, pictures: 8, triplets: 12, warmup: 2, accumulation: 2, checkpointEvery: 2 },
};

const casement = (args: string[], onOutput?: Parameters<typeof runCommand>[2]) =>
  runCommand(dir, args, onOutput);

async function writeConfig(
  name: string,
  change: (copy: typeof config) => unknown = (copy) => copy,
): Promise<string> {
  const file = join(dir, `${name}.json`);
  await writeFile(file, JSON.stringify(change(structuredClone(config))));
  return file;
}

async function lines(run: string): Promise<{ step: number; loss: number; gradient_norm: number }[]> {
  const text = await readFile(join(dir, run, "metrics.jsonl"), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const numbers = (rows: Awaited<ReturnType<typeof lines>>) =>
  rows.map((row) => [row.step, row.loss, row.gradient_norm]);

test("train writes the whole run", async () => {
  const { code, out, err } = await casement([
    "train",
    "--config",
    await writeConfig("micro"),
    "--out",
    "whole",
  ]);
  assert.is(code, 0, err);
  assert.match(out, /R@10/);
  const names = await readdir(join(dir, "whole"));
  for (const name of [
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "metrics.json",
    "metrics.jsonl",
    "report.html",
  ]) {
    assert.ok(names.includes(name), name);
  }
  assert.is(names.filter((name) => name.startsWith("checkpoint-")).length, 2, "two checkpoints are kept");
  assert.not.ok(names.some((name) => name.endsWith(".draft")));
  const rows = await lines("whole");
  assert.equal(
    rows.map((row) => row.step),
    [1, 2, 3, 4, 5, 6],
  );
  const metrics = JSON.parse(await readFile(join(dir, "whole/metrics.json"), "utf8"));
  assert.is(metrics.steps, 6);
  assert.equal(Object.keys(metrics.splits), ["concepts", "combinations", "vendor"]);
  for (const split of Object.values<Record<string, number>>(metrics.splits)) {
    assert.ok(split.queries > 100 && split.gallery > 1000);
    assert.ok(split.r1 <= split.r5 && split.r5 <= split.r10 && split.r10 <= split.r50);
    assert.ok(split.chance_r10 > 0 && split.chance_r10 < 5);
  }
});

for (const change of [{ capture: false }, { checkpointing: true }]) {
  const name = Object.keys(change)[0]!;
  test(`with ${JSON.stringify(change)} the numbers are the same`, async () => {
    const file = await writeConfig(name, (copy) => ({ ...copy, training: { ...copy.training, ...change } }));
    const { code, err } = await casement(["train", "--config", file, "--out", name]);
    assert.is(code, 0, err);
    assert.equal(numbers(await lines(name)), numbers(await lines("whole")));
  });
}

test("an interrupted run resumes to the same numbers", async () => {
  const args = ["train", "--config", await writeConfig("micro"), "--out", "parted"];
  let killed = false;
  const first = await casement(args, (text, kill) => {
    if (killed || !/step 1\//.test(text)) return;
    killed = true;
    kill();
  });
  assert.is(first.code, 130, first.err);
  assert.match(first.out, /casement train --resume parted/);
  const done = (await lines("parted")).length;
  assert.ok(done < 6, "stopped before the end");
  const early = await casement(["eval", "--run", "parted"]);
  assert.is(early.code, 1);
  const checkpoint = /--checkpoint (\S+?)\.?$/m.exec(early.err)![1]!;
  const state = await casement([
    "eval",
    "--run",
    "parted",
    "--checkpoint",
    checkpoint,
    "--split",
    "vendor",
    "--json",
  ]);
  assert.is(state.code, 0, state.err);
  const { steps, splits } = JSON.parse(state.out);
  assert.equal([steps, Object.keys(splits)], [done, ["vendor"]]);
  const other = await casement(["eval", "--run", "parted", "--checkpoint", "micro.json"]);
  assert.match(other.err, /micro\.json: /);
  const second = await casement(["train", "--resume", "parted"]);
  assert.is(second.code, 0, second.err);
  assert.equal(numbers(await lines("parted")), numbers(await lines("whole")));
  const weights = (run: string) => readFile(join(dir, run, "model.safetensors"));
  assert.ok((await weights("parted")).equals(await weights("whole")), "the same weights, bit for bit");
  const [events, ...more] = (await readdir(join(dir, "parted"))).filter((name) => name.includes("tfevents"));
  assert.equal(more, []);
  const said = readEvents(await readFile(join(dir, "parted", events!))).slice(2);
  const of = (tag: string) =>
    said.flatMap(({ step: at, scalars }) => (tag in scalars ? [[at, scalars[tag]]] : []));
  assert.equal(
    of("train/loss"),
    (await lines("parted")).map((row) => [row.step, Math.fround(row.loss)]),
  );
  const { splits: final } = JSON.parse(await readFile(join(dir, "parted/metrics.json"), "utf8"));
  assert.equal(of("eval/vendor/r10"), [[6, Math.fround(final.vendor.r10)]]);
});

test("the evaluation stops when it is asked to, and is made up for", async () => {
  const args = ["train", "--config", await writeConfig("micro"), "--out", "evaluated"];
  let killed = false;
  const first = await casement(args, (text, kill) => {
    if (killed || !/step 6\/6/.test(text)) return;
    killed = true;
    kill();
  });
  assert.is(first.code, 130, first.err);
  assert.match(first.out, /Stopped after step 6\. To go on: .*--resume evaluated/);
  assert.not.ok((await readdir(join(dir, "evaluated"))).includes("metrics.json"));
  const second = await casement(["train", "--resume", "evaluated"]);
  assert.is(second.code, 0, second.err);
  const [one, other] = await Promise.all(
    ["evaluated", "whole"].map(async (run) =>
      JSON.parse(await readFile(join(dir, run, "metrics.json"), "utf8")),
    ),
  );
  assert.equal(one.splits, other.splits);
});

test("a truncated checkpoint is named and the one before is used", async () => {
  const run = join(dir, "whole");
  const newest = (await readdir(run))
    .filter((name) => name.startsWith("checkpoint-"))
    .sort()
    .at(-1)!;
  await truncate(join(run, newest), 5000);
  const before = numbers(await lines("whole"));
  const { code, out, err } = await casement(["train", "--resume", "whole"]);
  assert.is(code, 0, err);
  assert.match(out, new RegExp(`${newest}.*truncated`));
  assert.equal(numbers(await lines("whole")), before);
});

test("eval prints JSON of one split", async () => {
  const { code, out, err } = await casement(["eval", "--run", "whole", "--split", "vendor", "--json"]);
  assert.is(code, 0, err);
  const all = JSON.parse(await readFile(join(dir, "whole/metrics.json"), "utf8"));
  assert.equal(JSON.parse(out).splits, { vendor: all.splits.vendor });
});

test("search ranks the gallery", async () => {
  const args = [
    "search",
    "--run",
    "whole",
    "--image",
    picture,
    "--text",
    "make the skin dark",
    "-k",
    "7",
    "--json",
  ];
  const { code, out, err } = await casement(args);
  assert.is(code, 0, err);
  const { answers } = JSON.parse(out);
  assert.is(answers.length, 7);
  // Which these must be is search.test.ts's to say.
  assert.is(new Set(answers.map(({ name }: { name: string }) => name)).size, 7);
});

test("a loss that is not finite stops the run and keeps the last good checkpoint", async () => {
  const file = await writeConfig("diverging", (copy) => ({
    ...copy,
    training: { ...copy.training, learningRate: 1e30, warmup: 4, clip: 0, checkpointEvery: 1 },
  }));
  const { code, err } = await casement(["train", "--config", file, "--out", "diverging"]);
  assert.is(code, 1);
  assert.match(
    err,
    /The loss is .* at step \d.*Training stopped\. The checkpoint of step \d in diverging is kept\./,
  );
  const resumed = await readdir(join(dir, "diverging"));
  assert.ok(resumed.some((name) => name.startsWith("checkpoint-")));
});

test("bad input gets one clear line", async () => {
  const broken = join(dir, "broken.png");
  await writeFile(broken, "this is no picture");
  const empty = join(dir, "empty.png");
  await writeFile(empty, "");
  const unknown = await writeConfig("unknown", (copy) => ({ ...copy, trainning: {} }));
  const huge = await writeConfig("huge", (copy) => ({
    ...copy,
    training: { ...copy.training, pictures: 6000, triplets: 9000 },
  }));
  const wrong = await writeConfig("wrong", (copy) => ({
    ...copy,
    model: { ...copy.model, vision: { patchSize: 5 } },
  }));
  const expected: [string[], RegExp, number?][] = [
    [["search", "--run", "whole", "--image", broken, "--text", "x"], /cannot decode picture .*broken\.png: /],
    [["search", "--run", "whole", "--image", empty, "--text", "x"], /cannot decode picture .*empty\.png: /],
    [
      ["search", "--run", "whole", "--image", "missing.png", "--text", "x"],
      /cannot decode picture missing\.png: .*missing/,
    ],
    [["train", "--config", unknown, "--out", "u"], /Unrecognized key: "trainning"/],
    [["train", "--config", wrong, "--out", "w"], /multiple of patchSize/],
    [
      ["train", "--config", huge, "--out", "h"],
      /training: triplets, and half of pictures, times accumulation are 8192 at most/,
    ],
    [
      ["train", "--config", await writeConfig("micro"), "--out", "whole"],
      /whole already holds a run: go on with --resume whole/,
    ],
    [["train", "--config", "nowhere.json"], /Cannot read the configuration nowhere\.json: ENOENT/],
    [["train", "--resume", "nowhere"], /Cannot read the configuration nowhere\/config\.json: ENOENT/],
    [
      ["train", "--config", await writeConfig("micro"), "--ablate", "colour"],
      /--ablate must be .*text-only.*, not "colour"/,
      2,
    ],
    [
      ["eval", "--run", "whole", "--split", "moon"],
      /There is no split "moon"; there are concepts, combinations, vendor/,
    ],
    [["flatten"], /There is no command "flatten"/, 2],
  ];
  await failClearly(dir, expected);
});

test("without an adapter the error says what to do", async () => {
  const before = process.env.VK_DRIVER_FILES;
  process.env.VK_DRIVER_FILES = "/nonexistent.json";
  process.env.VK_ICD_FILENAMES = "/nonexistent.json";
  const { code, err } = await casement(["train", "--config", await writeConfig("micro"), "--out", "none"]);
  delete process.env.VK_ICD_FILENAMES;
  if (before === undefined) delete process.env.VK_DRIVER_FILES;
  else process.env.VK_DRIVER_FILES = before;
  assert.is(code, 1);
  assert.match(err, /casement doctor/);
});

test.after(() => rm(dir, { recursive: true, force: true }));
test.run();
