// The commands of docs/training.md, and of the guides that train, run as they stand there, on a model that is small enough to
// train in seconds.
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Preset, presetNames, presets } from "../train/presets.ts";
import { jsonlSample } from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "casement-docs-training-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const at = (...names: string[]) => join(work, ...names);

const page = readFileSync(join(root, "docs/training.md"), "utf8");
const guides = ["docs/guides/train.md", "docs/guides/profile.md"];
const lines = [page, ...guides.map((guide) => readFileSync(join(root, guide), "utf8"))].flatMap((text) =>
  [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap((match) => match[1]!.trim().split("\n")),
);

const real = JSON.parse(readFileSync(join(root, "train/configs/emoji-tiny.json"), "utf8"));
const model = {
  vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
  text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16 },
  projection: 16,
};
mkdirSync(at("train/configs"), { recursive: true });
const training = { ...real.training, pictures: 8, triplets: 5 };
await writeMiniature("jsonl", at("data/mine"), jsonlSample(12));
writeFileSync(at("train/configs/emoji-tiny.json"), JSON.stringify({ ...real, model, training }));
mkdirSync(at("bin"));
writeFileSync(
  at("bin/npx"),
  `#!/bin/sh\nshift; exec "${process.execPath}" "${join(root, "cli/casement.mjs")}" "$@"\n`,
);
chmodSync(at("bin/npx"), 0o755);

const configOf = (run: string) => JSON.parse(readFileSync(at("runs", run, "config.json"), "utf8"));

for (const line of lines) {
  test(line, async () => {
    const env = { ...process.env, PATH: `${at("bin")}${delimiter}${process.env.PATH}` };
    const run = promisify(execFile)("sh", ["-c", line], { cwd: work, env });
    await run.catch((error) => assert.unreachable(error.stderr));
  });
}

test("the page's presets are those that there are", () => {
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (contrastive|Recall@K surrogate)/gm)];
  assert.equal(
    rows.map(([, name]) => name),
    presetNames,
  );
  for (const [, name, loss] of rows)
    assert.is(presets[name as Preset].loss, loss!.startsWith("R") ? "recall" : loss);
});

test("what the page's fields did is in the runs' configurations", () => {
  const slow = configOf("slow").training;
  assert.equal([slow.learningRate, slow.loss, slow.steps, slow.decaySteps], [1e-4, "recall", 25, 20]);
  assert.equal(configOf("frozen").training.groups, [
    { match: "vision_model.*", rate: 0 },
    { match: "text_encoder.*", rate: 0.5 },
  ]);
  const { augment } = configOf("augmented").training;
  assert.equal([augment.crop.scale, augment.flip], [[0.5, 1], 0.5]);
  assert.equal(augment.jitter, { brightness: 0.4, contrast: 0, saturation: 0, hue: 0.1 });
  const { preset, learningRate, clip, warmup } = configOf("blip").training;
  assert.equal([preset, learningRate, clip, warmup], ["blip", 1e-3, 0, 0]);
});

test.run();
