// Each data set from files to figures, as a user types it, on a miniature in its own layout: two epochs, interrupted and
// gone on with, figures by its protocol, submission files, and a missing and a broken picture.
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Metrics } from "../train/eval/metrics.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { type Result, runCommand } from "./command.ts";
import {
  circoSample,
  cirrSample,
  fashioniqSample,
  jsonlSample,
  lascoSample,
  type Sample,
} from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";

const work = mkdtempSync(join(tmpdir(), "casement-miniatures-"));
// The folders that its pictures come from are gone after it, and so should be what was made of them.
process.env.CASEMENT_CACHE = join(work, "cache");
test.after(() => rmSync(work, { recursive: true, force: true }));

const config = {
  model: {
    vision: { imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 24 },
    projection: 16,
  },
  training: { epochs: 2, triplets: 5, warmup: 1, checkpointEvery: 2 },
};

async function run(...args: string[]): Promise<Result> {
  const result = await runCommand(work, args);
  assert.is(result.code, 0, `${args.join(" ")}\n${result.out}${result.err}`);
  return result;
}

const json = <T>(result: Result) => JSON.parse(result.out) as T;

interface Case {
  data: "cirr" | "fashioniq" | "lasco" | "jsonl";
  sample: Sample;
  /** Of the train split. */
  triplets: number;
  /** The keys of a figure. */
  keys: string[];
  figures: number;
}

const cases: Case[] = [
  {
    data: "cirr",
    sample: { ...cirrSample("train", 14), ...cirrSample("val"), ...cirrSample("test1", 60) },
    triplets: 14,
    keys: ["r1", "r5", "r10", "r50", "rs1", "rs2", "rs3", "mean"],
    figures: 1,
  },
  {
    data: "fashioniq",
    sample: { ...fashioniqSample("train"), ...fashioniqSample("val") },
    triplets: 36,
    keys: ["r10", "r50"],
    // Three categories and their mean, against two galleries.
    figures: 8,
  },
  {
    data: "lasco",
    sample: { ...lascoSample("train", 13), ...lascoSample("val") },
    triplets: 13,
    keys: ["r1", "r5", "r10", "r50", "r100", "r500", "r1000"],
    figures: 1,
  },
  { data: "jsonl", sample: jsonlSample(12), triplets: 9, keys: ["r1", "r5", "r10", "r50"], figures: 1 },
];

const lines = async (dir: string) =>
  (await readFile(join(work, dir, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as StepRecord);

for (const { data, sample, triplets, keys, figures } of cases) {
  test(`${data}: two epochs, stopped and gone on with, to figures by its protocol`, async () => {
    const [root, file] = [`data/${data}`, `${data}.json`];
    const paths = await writeMiniature(data, join(work, root), sample);
    const vocabulary = { kind: data, vocabulary: "subset" };
    await writeFile(join(work, file), JSON.stringify({ ...config, name: data, data: vocabulary }));
    const out = `runs/${data}`;
    const train = ["train", "--config", file, "--root", root];
    await run(...train, "--out", out);
    const steps = Math.max(1, Math.round((2 * triplets) / 5));
    const record = await lines(out);
    assert.is(record.length, steps);
    assert.ok(record.every(({ loss }) => Number.isFinite(loss) && loss > 0));
    const metrics = JSON.parse(await readFile(join(work, out, "metrics.json"), "utf8")) as Metrics;
    assert.is(metrics.steps, steps);
    assert.is(metrics.results.length, figures);
    for (const result of metrics.results) {
      assert.equal(Object.keys(result.metrics), keys);
      assert.ok(Object.values(result.metrics).every((value) => value >= 0 && value <= 1));
      assert.match(result.hash.weights!, /^[\da-f]{64}$/);
      assert.equal([result.data, result.split], [data, "val"]);
    }
    const html = await readFile(join(work, out, "report.html"), "utf8");
    assert.match(html, /reference (removed|kept)/);

    // Another process, stopped by a signal after its second step, comes to the same numbers.
    const other = `${out}-stopped`;
    let asked = false;
    const stopped = await runCommand(work, [...train, "--out", other], (text, kill) => {
      if (!asked && /step \d/.test(text)) kill();
      asked ||= /step \d/.test(text);
    });
    assert.ok([0, 130].includes(stopped.code!), stopped.err);
    if (stopped.code === 130) await run("train", "--resume", other);
    assert.equal(
      (await lines(other)).map(({ loss, gradient_norm }) => [loss, gradient_norm]),
      record.map(({ loss, gradient_norm }) => [loss, gradient_norm]),
    );
    const again = json<Metrics>(await run("eval", "--run", other, "--json"));
    assert.equal(
      again.results.map((result) => result.metrics),
      metrics.results.map((result) => result.metrics),
    );

    // The command line's own folder and split in place of the run's.
    const typed = await run("eval", "--run", out, "--data", data, "--root", root, "--split", "val", "--json");
    assert.equal(json<Metrics>(typed).results, metrics.results);
    const kept = await run("eval", "--run", out, "--reference", "kept", "--json");
    assert.ok(json<Metrics>(kept).results.every(({ reference }) => reference === "kept"));

    const found = json<{ answers: { name: string; score: number }[] }>(
      await run(
        "search",
        "--run",
        out,
        "--image",
        join(root, paths[0]!),
        "--text",
        "another one",
        "-k",
        "4",
        "--json",
      ),
    );
    assert.is(found.answers.length, 4);

    // A picture is missing and another broken: an error that names one and counts both, or going on without them. Of
    // one's own folder a picture that is gone is missing only where a line names it.
    await rm(join(work, root, paths[1]!));
    await writeFile(join(work, root, paths[2]!), "no picture");
    const refused = await runCommand(work, [...train, "--out", `${out}-less`]);
    assert.is(refused.code, 1, refused.out);
    assert.match(
      refused.err,
      new RegExp(
        `${data === "jsonl" ? 1 : 2} of the \\d+ pictures of ${data} \\w+ are missing or broken, such as`,
      ),
    );
    assert.match(refused.err, /--allow-missing/);
    const less = await run(...train, "--out", `${out}-less`, "--allow-missing");
    assert.match(less.out, /going on without them and the \d+ of \d+ queries/);
    assert.ok((await lines(`${out}-less`)).length <= steps);
  });
}

test("cirr: the files for its server, by the model", async () => {
  const args = [
    "submit",
    "--data",
    "cirr",
    "--root",
    "data/cirr",
    "--run",
    "runs/cirr",
    "--out",
    "submission",
  ];
  const { files } = json<{ files: { file: string; problems: string[] }[] }>(
    await run(...args, "--allow-missing", "--json"),
  );
  assert.equal(
    files.map(({ problems }) => problems),
    [[], []],
  );
  for (const { file } of files) await run("submit", "check", file, "--root", "data/cirr");
});

test("circo: figures and its server's file by a model that was trained on another data set", async () => {
  await writeMiniature("circo", join(work, "data/circo"), { ...circoSample("val"), ...circoSample("test") });
  const circo = ["--data", "circo", "--root", "data/circo", "--run", "runs/lasco"];
  const { results } = json<Metrics>(await run("eval", ...circo, "--captions", "with concept", "--json"));
  assert.equal(
    results.map(({ data, split, captions }) => [data, split, captions]),
    [["circo", "val", "with concept"]],
  );
  assert.ok("map5" in results[0]!.metrics);
  await run("submit", ...circo, "--out", "submission");
  await run("submit", "check", "submission/circo-test.json", "--root", "data/circo");
  const secret = await runCommand(work, ["eval", ...circo, "--split", "test"]);
  assert.is(secret.code, 1);
  assert.match(secret.err, /kept by its server/);
});

test("a folder of pictures is a gallery to search", async () => {
  const args = ["search", "--run", "runs/lasco", "--data", "folder", "--root", "data/circo", "--text", "red"];
  await mkdir(join(work, "empty"), { recursive: true });
  const image = "data/lasco/val2014/COCO_val2014_000000000012.jpg";
  const { answers } = json<{ answers: { name: string }[] }>(await run(...args, "--image", image, "--json"));
  assert.is(answers.length, 10);
  assert.match(answers[0]!.name, /^COCO2017_unlabeled\/unlabeled2017\/.*\.jpg$/);
  const empty = await runCommand(work, [...args, "--image", image, "--root=empty"]);
  assert.is(empty.code, 2);
});

test("LaSCo, then CIRR: one run, the steps of each as many as its epochs have", async () => {
  await writeFile(
    join(work, "both.json"),
    JSON.stringify({
      ...config,
      name: "both",
      data: { kind: "jsonl", root: "data/jsonl", vocabulary: "bert" },
    }),
  );
  await run(
    ...["train", "--config", "both.json", "--out", "runs/both", "--allow-missing"],
    ...["--data", "lasco", "--root", "data/lasco", "--data", "jsonl", "--root", "data/jsonl"],
  );
  const written = JSON.parse(await readFile(join(work, "runs/both/config.json"), "utf8"));
  assert.is(written.before.length, 1);
  assert.equal([written.before[0].data.kind, written.data.kind], ["lasco", "jsonl"]);
  assert.is((await lines("runs/both")).length, written.training.steps);
  assert.ok(written.before[0].steps < written.training.steps);
  const metrics = JSON.parse(await readFile(join(work, "runs/both/metrics.json"), "utf8")) as Metrics;
  assert.is(metrics.results[0]!.data, "jsonl");
});

test.run();
