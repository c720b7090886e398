// Fields of a configuration on the command line: values are what the schema says, whatever they look like; what can't be a
// field or a value is named, with the nearest field.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withData } from "../cli/data.ts";
import { UsageError } from "../cli/options.ts";
import { settings } from "../cli/settings.ts";
import { parseConfig } from "../train/config.ts";
import { learningOf } from "../train/loop/groups.ts";
import { overrule, readSetting } from "../train/overrule.ts";
import { presetNames, presets } from "../train/presets.ts";
import { failClearly, runCommand } from "./command.ts";
import { jsonlSample } from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";

const written = {
  name: "micro",
  seed: 3,
  data: { kind: "emoji" },
  model: {
    vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16 },
    projection: 16,
  },
  training: {
    steps: 4,
    pictures: 8,
    triplets: 12,
    warmup: 2,
    groups: [{ match: "vision_model.*", rate: 0.5 }],
  },
};
const config = parseConfig(written, "the test");
const changed = (...texts: string[]) =>
  overrule(config, { settings: texts.map((text) => readSetting(text)) });

test("a value is what its field is", () => {
  const { name, seed, training, model } = changed(
    ...["name=007", "seed=12", "training.learningRate=1e-4", "training.steps=1e2", "training.capture=false"],
    ...["training.loss=recall", "training.clip=.5", "training.decaySteps=50", "model.vision.mlpRatio=+2.50"],
  );
  assert.equal([name, seed], ["007", 12]);
  assert.equal([training.learningRate, training.steps, training.clip], [1e-4, 100, 0.5]);
  assert.equal([training.capture, training.loss, training.decaySteps], [false, "recall", 50]);
  assert.is(model.vision.mlpRatio, 2.5);
  for (const name of ["1e-4", "true", "null", "[1]", "a=b", "--x", "-5", "", "0x10"].filter(Boolean))
    assert.is(changed(`name=${name}`).name, name);
});

test("entries of lists, whole lists and groups", () => {
  const { groups } = changed("training.groups.0.rate=0.25", "training.groups.1.match=1e3").training;
  assert.equal(groups, [
    { match: "vision_model.*", rate: 0.25 },
    { match: "1e3", rate: 1 },
  ]);
  assert.equal(changed('training.groups=[{"match":"x","rate":0}]').training.groups, [
    { match: "x", rate: 0 },
  ]);
  assert.equal(changed("training.groups=[]").training.groups, []);
  assert.equal(changed("model.vision.mean.1=0.25").model.vision.mean[1], 0.25);
  assert.equal(changed('training.reverse={"weight":0}').training.reverse, { weight: 0, share: 0.25 });
  assert.throws(
    () => changed("training.groups.2.match=x"),
    /training\.groups has 1 entry, so that the next one is 1/,
  );
  // The configuration that was changed is as it was.
  assert.equal(config, parseConfig(written, "the test"));
});

test("a wrong path is named with the nearest, a wrong value with what it can be", () => {
  for (const [text, message] of [
    ["training.learningrate=1", /no field "training\.learningrate"; the nearest is training\.learningRate$/],
    ["learningRate=1", /the nearest is training\.learningRate$/],
    ["training.lr=1", /the nearest is training\./],
    ["model.vison.width=8", /the nearest is model\.vision\.width$/],
    ["training.groups.0.rte=1", /the nearest is training\.groups\.0\.rate$/],
    ["training.groups.x.rate=1", /the nearest is training\.groups\.0\.rate$/],
    ["training.steps.0=1", /no field "training\.steps\.0"/],
    ["training.__proto__.steps=1", /no field "training\.__proto__\.steps"/],
    ["model.vision.mean.3=1", /no field "model\.vision\.mean\.3"/],
    ["training.learningRate=fast", /training\.learningRate can't be "fast": it must be a number/],
    ["training.learningRate=0x10", /can't be "0x10"/],
    ["training.learningRate=", /can't be ""/],
    ["training.learningRate=1e999", /can't be "1e999"/],
    ["training.learningRate=-1", /can't be "-1": .*>0/],
    ["training.steps=1.5", /training\.steps can't be "1\.5": .*int/],
    ["training.capture=yes", /true or false/],
    ["training.capture=1", /true or false/],
    ["training.loss=hinge", /one of contrastive, recall/],
    ["training.groups=x", /a list in JSON/],
    ["training.reverse=0.2", /training\.reverse can't be "0\.2"/],
    ["training.reverse=x", /one of its fields \(weight, share\)/],
    ["training.steps", /is no setting; it is written PATH=VALUE/],
    ["=3", /is no setting/],
  ] as const) {
    assert.throws(() => readSetting(text), message, text);
    assert.throws(
      () => settings.read([text], "--set"),
      (error: Error) => error instanceof UsageError,
    );
  }
  assert.throws(
    () => settings.read(["seed=1", "name=x", "seed=2"], "--set"),
    /--set seed is given more than once/,
  );
  assert.throws(() => changed("model.vision.patchSize=5"), /multiple of patchSize/);
  assert.throws(() => changed("training.warmup=9"), /warmup must be shorter than steps/);
  assert.is(changed("training.steps=2").training.warmup, 1);
});

test("a run that goes on changes what changes no number of its steps, and its length", () => {
  const goOn = (...texts: string[]) =>
    overrule(config, { settings: texts.map((text) => readSetting(text)), begun: true }).training;
  const { steps, decaySteps, capture, checkpointEvery } = goOn(
    ...["training.steps=9", "training.capture=false", "training.checkpointEvery=3"],
  );
  assert.equal([steps, decaySteps, capture, checkpointEvery], [9, 4, false, 3]);
  for (const text of [
    "training.learningRate=1",
    "seed=4",
    "model.projection=8",
    'training.reverse={"weight":0}',
  ])
    assert.throws(
      () => goOn(text),
      new RegExp(`^.*${text.split("=")[0]} can't change in a run that goes on`),
    );
});

test("a preset gives what is left out, and more where it is asked for by itself", () => {
  const { groups: _, warmup, ...training } = written.training;
  const parsed = (more: object) =>
    parseConfig({ ...written, training: { ...training, steps: 40, ...more } }, "the test");
  for (const name of presetNames) {
    const given = parsed({ preset: name }).training;
    for (const [field, value] of Object.entries(presets[name])) {
      assert.is(given[field as keyof typeof given], value, `${name}: ${field}`);
    }
    // What a run has stored is what it is read as, whatever the preset may be one day.
    assert.equal(
      parseConfig(JSON.parse(JSON.stringify(parsed({ preset: name }))), "stored"),
      parsed({ preset: name }),
    );
    // Fusion and reverse query are what --ablate changes.
    assert.not("reverse" in presets[name]);
  }
  const own = parsed({ preset: "chatir", learningRate: 0.25, warmup }).training;
  assert.equal([own.learningRate, own.warmup, own.loss, own.freezeVision], [0.25, 2, "recall", true]);
  const asked = overrule(parsed({ learningRate: 0.25, clip: 3, beta2: 0.5 }), {
    settings: ["training.clip=2", "training.preset=blip"].map((text) => readSetting(text)),
  }).training;
  assert.equal([asked.learningRate, asked.clip, asked.beta2, asked.warmup], [1e-5, 2, 0.999, 0]);
  assert.throws(() => parsed({ preset: "clip" }), /training\.preset.*chatir.*blip/);
  assert.throws(() => readSetting("training.preset=clip"), /one of chatir, blip/);
  assert.throws(
    () => changed("training.decay=exponential", "training.finalLearningRate=0"),
    /never comes to/,
  );
});

const dir = mkdtempSync(join(tmpdir(), "casement-settings-"));
test.after(() => rmSync(dir, { recursive: true, force: true }));
const kept = (file: string) => readFileSync(join(dir, file), "utf8");
writeFileSync(
  join(dir, "micro.json"),
  JSON.stringify({ ...written, training: { ...written.training, triplets: 5 } }),
);
await writeMiniature("jsonl", join(dir, "data"), jsonlSample(12));
const mine = ["--data", "jsonl", "--root", "data"];

test("train and profile take them; the report's command has them", async () => {
  const set = [
    "--set",
    "training.learningRate=1e-4",
    "--set=training.groups.0.match=text_encoder.*",
    "--set",
    "name=7 e",
  ];
  const train = await runCommand(dir, [
    "train",
    "--config",
    "micro.json",
    "--out",
    "run",
    "--steps",
    "2",
    ...mine,
    ...set,
  ]);
  assert.is(train.code, 0, train.err);
  const stored = JSON.parse(kept("run/config.json"));
  assert.equal([stored.name, stored.training.learningRate], ["7 e", 1e-4]);
  const command =
    "--data jsonl --root data --steps 2 --set training.learningRate=1e-4 --set &#39;training.groups.0.match=text_encoder.*&#39; --set &#39;name=7 e&#39;";
  assert.ok(kept("run/report.html").includes(command));
  const profile = await runCommand(dir, [
    "profile",
    "--config",
    "micro.json",
    "--set",
    "model.text.depth=2",
    "--steps",
    "1",
    "--out",
    "p",
    "--json",
  ]);
  assert.is(profile.code, 0, profile.err);
  await failClearly(dir, [
    [
      ["train", "--config", "micro.json", "--set", "training.stepz=3"],
      /--set: .*"training\.stepz"; the nearest is training\.steps; see/,
      2,
    ],
    [["profile", "--config", "micro.json", "--set", "training.steps=x"], /training\.steps can't be "x"/, 2],
    [
      ["train", "--config", "micro.json", "--steps", "3", "--set", "training.steps=4"],
      /--steps and --set training\.steps/,
      2,
    ],
    [["train", "--resume", "run", "--set", "training.learningRate=1"], /can't change in a run that goes on/],
  ]);
});

test("epochs on the command line are those of every data set that is typed", () => {
  const typed = { data: ["lasco", "cirr"], root: ["one", "two"], allowMissing: false } as const;
  const { before } = withData(config, { ...typed, set: [readSetting("training.epochs=3")] });
  assert.equal(
    before.map(({ epochs }) => epochs),
    [3],
  );
  assert.throws(
    () => withData(config, { ...typed, set: [] }),
    /--data given more than once needs training\.epochs/,
  );
});

test("groups that leave nothing to learn are refused", () => {
  const groups = [{ match: "*", rate: 0 }];
  assert.throws(
    () => learningOf({ ...config.training, groups }, ["vision_model.a", "temp"]),
    /training\.groups leaves nothing that learns/,
  );
  const own = { match: "vision_model.*", rate: 0, weightDecay: undefined };
  assert.is(learningOf({ ...config.training, groups: [own] }, ["vision_model.a", "temp"])("temp"), true);
});

test.run();
