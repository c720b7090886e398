// Validation while training: the figures are those of the evaluation, the best state is kept, training ends where nothing
// better comes, and a run that was interrupted anywhere comes to the same bits.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { StepRecord, ValidationRecord } from "../train/loop/record.ts";
import { readTensors } from "../train/run/checkpoint.ts";
import { fileAt } from "../train/run/disk.ts";
import { bestOf, isExhausted } from "../train/run/validate.ts";
import { failClearly, runCommand } from "./command.ts";
import { jsonlSample } from "./data-samples.ts";
import { readEvents } from "./events.ts";
import { writeMiniature } from "./miniatures.ts";

const dir = mkdtempSync(join(tmpdir(), "casement-validate-"));
test.after(() => rmSync(dir, { recursive: true, force: true }));
const at = (...names: string[]) => join(dir, ...names);
await writeMiniature("jsonl", at("data"), jsonlSample(14));
const config = {
  name: "validated",
  seed: 4,
  data: { kind: "jsonl", root: "data", vocabulary: "subset" },
  model: {
    vision: { imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 24 },
    projection: 16,
  },
  training: {
    ...{ steps: 8, triplets: 5, warmup: 1, checkpointEvery: 3, learningRate: 0.02 },
    validate: { every: 2, metric: "r1" },
  },
};
writeFileSync(at("config.json"), JSON.stringify(config));

async function train(...args: string[]): Promise<string> {
  const { code, out, err } = await runCommand(dir, ["train", ...args]);
  assert.is(code, 0, out + err);
  return out;
}
const text = (...names: string[]) => readFileSync(at(...names), "utf8");
const json = (...names: string[]) => JSON.parse(text(...names));
const lines = (run: string) =>
  text(run, "metrics.jsonl")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as StepRecord | ValidationRecord);
const validations = (run: string) => lines(run).flatMap((line) => ("validation" in line ? [line] : []));
/** All but how long it took. */
const timeless = (run: string) =>
  lines(run).map(({ seconds: _, ...line }) => ({ ...line, samples_per_second: 0 }));
const weights = async (...names: string[]) => {
  const { values, metadata } = await readTensors(...fileAt(at(...names)));
  return { step: metadata.step, values: Array.from(values, ([name, { data }]) => [name, [...data]]) };
};

const record = (step: number, value: number): ValidationRecord => ({
  ...{ step, seconds: step },
  validation: { split: "val", queries: 3, metric: "r1", value, best: false, metrics: { r1: value } },
});
const records = (...values: number[]) => values.map((value, i) => record(10 * (i + 1), value));

test("the best is the first of equals, and patience counts from it", () => {
  assert.is(bestOf([]), null);
  assert.not(isExhausted([], 1));
  for (const [values, best, stale] of [
    [[0], 10, 0],
    [[0.2, 0.4, 0.4, 0.1], 20, 2],
    [[0.5, 0.4, 0.3], 10, 2],
    [[0.1, 0.2, 0.3], 30, 0],
    [[0.3, 0.1, 0.3, 0.4, 0.2], 40, 1],
  ] as const) {
    const all = records(...values);
    assert.is(bestOf(all)!.step, best);
    for (let patience = 1; patience < 5; patience++)
      assert.is(isExhausted(all, patience), stale >= patience, `${values}, patience ${patience}`);
  }
});

test("a validation is the evaluation, and the best state is kept", async () => {
  const out = await train("--config", "config.json", "--out", "whole");
  const found = validations("whole");
  assert.equal(
    found.map(({ step }) => step),
    [2, 4, 6, 8],
  );
  // The line is behind that of its step.
  assert.equal(
    lines("whole").map(({ step }) => step),
    [1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8],
  );
  const { results, steps } = json("whole/metrics.json");
  assert.is(steps, 8);
  assert.equal(found.at(-1)!.validation.metrics, results[0].metrics);
  assert.is(found.at(-1)!.validation.queries, results[0].queries);
  const best = bestOf(found)!;
  assert.equal(
    found.map(({ validation }) => validation.best),
    found.map((one, i) => bestOf(found.slice(0, i + 1)) === one),
  );
  assert.match(
    out,
    new RegExp(`Validation at step ${best.step}: R@1 .* % of 3 queries of val, the best so far\\.`),
  );
  const kept = await weights("whole/best.safetensors");
  assert.is(kept.step, `${best.step}`);
  const judged = await runCommand(dir, [
    ...["eval", "--run", "whole", "--checkpoint", "whole/best.safetensors", "--json"],
  ]);
  assert.is(judged.code, 0, judged.err);
  const evaluated = JSON.parse(judged.out);
  assert.equal([evaluated.steps, evaluated.results[0].metrics], [best.step, best.validation.metrics]);
  const [events] = readdirSync(at("whole")).filter((name) => name.includes("tfevents"));
  const said = readEvents(readFileSync(at("whole", events!))).flatMap(({ step, scalars }) =>
    "validate/val/r1" in scalars ? [[step, scalars["validate/val/r1"]]] : [],
  );
  assert.equal(
    said,
    found.map(({ step, validation }) => [step, Math.fround(validation.value)]),
  );
  assert.match(
    text("whole/report.html"),
    new RegExp(`R@1 on val, percent of 3 queries; best .* at step ${best.step}`),
  );
});

test("a run that is interrupted between any two steps, or before its validation, comes to the same bits", async () => {
  const whole = { lines: timeless("whole"), best: await weights("whole/best.safetensors") };
  const last = await weights("whole/model.safetensors");
  for (const until of ["step 1/", "step 5/", "Validation at step 4"]) {
    const run = `parted ${until.replace(/\W+/g, "-")}`;
    let killed = false;
    const set = ["--set", "training.capture=true"];
    // A line of every step, so that there is one to stop behind.
    const parted = await runCommand(
      dir,
      ["train", "--config", "config.json", "--out", run, ...set],
      (out, kill) => {
        if (killed || !out.includes(until)) return;
        killed = true;
        kill();
      },
    );
    if (parted.code === 130) await train("--resume", run);
    else assert.is(parted.code, 0, parted.err);
    assert.equal(timeless(run), whole.lines, until);
    assert.equal(await weights(run, "best.safetensors"), whole.best);
    assert.equal(await weights(run, "model.safetensors"), last);
  }
  // Killed after the last checkpoint, before what follows on it was written.
  const cut = lines("whole").slice(0, -1);
  writeFileSync(
    at("whole/metrics.jsonl"),
    `${cut.map((line) => JSON.stringify(line)).join("\n")}\n{"step":8,"va`,
  );
  await train("--resume", "whole");
  assert.equal(timeless("whole"), whole.lines);
  assert.equal(await weights("whole/best.safetensors"), whole.best);
});

test("training ends where nothing better comes, and goes on with more patience", async () => {
  // All pictures are among the first 50, so that the first validation is the best.
  const set = ["training.steps=20", 'training.validate={"every":2,"metric":"r50","patience":2,"queries":2}'];
  const out = await train(
    "--config",
    "config.json",
    "--out",
    "early",
    ...set.flatMap((one) => ["--set", one]),
  );
  assert.match(out, /Nothing better since step 2: training ends at step 6\./);
  assert.equal(
    validations("early").map(({ step, validation }) => [step, validation.value, validation.queries]),
    [
      [2, 1, 2],
      [4, 1, 2],
      [6, 1, 2],
    ],
  );
  assert.is(json("early/metrics.json").steps, 6);
  assert.is((await weights("early/best.safetensors")).step, "2");
  const judged = await runCommand(dir, ["eval", "--run", "early", "--json"]);
  assert.is(JSON.parse(judged.out).steps, 6);
  const before = timeless("early");
  await train("--resume", "early");
  assert.equal(timeless("early"), before, "it has ended");
  await train("--resume", "early", "--set", "training.validate.patience=3");
  assert.equal(timeless("early").slice(0, before.length), before);
  assert.is(lines("early").at(-1)!.step, 8);
});

test("what can't be validated is refused before the first step", async () => {
  const asked = (set: string): [string[], RegExp] => [
    ["train", "--config", "config.json", "--out", `none ${set}`, "--set", set],
    {
      "training.validate.split=test": /there is no split "test"; there are .*val/,
      "training.validate.metric=map5": /no figure "map5"; it has r1, r5, r10, r50/,
      'training.validate={"split":"val"}': /training\.validate can't be/,
      "training.validate.patience=0": /training\.validate\.patience can't be "0"/,
    }[set]!,
  ];
  const [split, metric] = [asked("training.validate.split=test"), asked("training.validate.metric=map5")];
  await failClearly(dir, [
    split,
    metric,
    [...asked('training.validate={"split":"val"}'), 2],
    [...asked("training.validate.patience=0"), 2],
    [
      ["train", "--resume", "early", "--set", "training.validate.every=5"],
      /can't change in a run that goes on/,
    ],
  ]);
  assert.not(readdirSync(dir).some((name) => name.startsWith("none")));
});

test.run();
