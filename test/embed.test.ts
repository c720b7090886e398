// import, export and embed as a user meets them, on a BLIP small enough for seconds.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine } from "../engine/index.ts";
import { joinSpecs } from "../model/case.ts";
import { initialValues } from "../model/parameters.ts";
import { ConfigError, parseConfig } from "../train/config.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { ablate } from "../train/run/ablations.ts";
import { readTensors } from "../train/run/checkpoint.ts";
import { fileAt } from "../train/run/disk.ts";
import { loadModel, requireSameModel } from "../train/run/open.ts";
import { failClearly, runCommand, sideBySide } from "./command.ts";
import { beside, safetensors } from "./small-blip.ts";

const dir = mkdtempSync(join(tmpdir(), "casement-embed-"));
const casement = (...args: string[]) => runCommand(dir, args);
const picture = join(
  dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json")),
  "img/google/64/1f44b.png",
);
/** A folder as Hugging Face writes it; `leave` are names to leave out. */
function writeBlip(name: string, leave: RegExp = /^$/): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  const files = { ...beside, "model.safetensors": safetensors({ leave }) };
  for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
  return folder;
}

async function embedding(...args: string[]): Promise<{ kind: string; embedding: number[] }> {
  const { code, out, err } = await casement("embed", "--json", ...args);
  assert.is(code, 0, err);
  return JSON.parse(out);
}

test("import, embed, export and import again give the same embeddings", async () => {
  const { code, out, err } = await casement("import", writeBlip("hf"), "--out", "mine");
  assert.is(code, 0, err);
  for (const line of [/^mapped: \d+$/m, /^missing: 0$/m, /\[REV\]/, /^ignored on purpose: 2$/m]) {
    assert.match(out, line);
  }
  const all = [
    ["--image", picture],
    ["--text", "a b c"],
    ["--image", picture, "--text", "a b c"],
  ];
  const first = await sideBySide(all, (args) => embedding("--checkpoint", "mine", ...args));
  assert.equal(
    first.map(({ kind }) => kind),
    ["target", "text", "query"],
  );
  for (const { embedding: row } of first) {
    assert.is(row.length, 16);
    assert.ok(Math.abs(Math.hypot(...row) - 1) < 1e-6);
  }
  assert.not.equal(first[1].embedding, first[2].embedding);
  const args = ["--run", "mine", "--format", "safetensors-hf", "--out"];
  const exported = await casement("export", ...args, "out/model.safetensors");
  assert.is(exported.code, 0, exported.err);
  assert.match(exported.out, /itm_head is zeros/);
  const named = ["new/model.safetensors", "new/config.json", "new/vocab.txt"];
  const folder = await casement("export", "--json", ...args, "new/");
  const notes = ["The matching head itm_head is zeros: CASE has none."];
  assert.equal(JSON.parse(folder.out), { run: "mine", files: named, notes }, folder.err);
  const there = await casement("export", ...args, "new");
  assert.match(there.err, /new\/model\.safetensors is already there/);
  const again = await casement("import", "new", "--out", "again");
  assert.is(again.code, 0, again.err);
  assert.equal(await embedding("--checkpoint", "again", ...all[2]), first[2]);
  const long = await casement("embed", "--checkpoint", "mine", "--text", "a ".repeat(500));
  assert.match(long.err, /^The text is longer than the model's \d+ tokens and cut there: "… a a a/m);
  assert.is(long.out.trim().split(" ").length, 16);
  const plain = await casement("embed", "--checkpoint", "mine", "--text", "a b c");
  assert.not.match(plain.err, /longer than/);
  assert.equal(plain.out.trim().split(" ").map(Number), first[1].embedding);
});

test("--partial starts from what is there, --image-size resizes, and training goes on from an import", async () => {
  const source = writeBlip("part", /^vision_proj|layer\.1\.crossattention/);
  const refused = await casement("import", source, "--out", "never");
  assert.is(refused.code, 1);
  assert.match(refused.err, /missing.*--partial/);
  const { code, out, err } = await casement(
    "import",
    source,
    "--out",
    "part-mine",
    "--partial",
    "--image-size",
    "32",
  );
  assert.is(code, 0, err);
  assert.match(out, /resized from 3 x 3 to 2 x 2/);
  assert.match(out, /initialised afresh: 1[0-9]/);
  const config = JSON.parse(readFileSync(join(dir, "part-mine/config.json"), "utf8"));
  assert.is(config.model.vision.imageSize, 32);
  assert.is(config.training.freezeVision, true);
  const blind = writeBlip("blind", /^vision_model\.post_layernorm/);
  const learning = await casement("import", blind, "--out", "blind-mine", "--partial");
  assert.is(learning.code, 0, learning.err);
  const blindConfig = JSON.parse(readFileSync(join(dir, "blind-mine/config.json"), "utf8"));
  assert.is(blindConfig.training.freezeVision, false, "what starts afresh is not left as it is");
  const training = { ...config.training, steps: 500, warmup: 0, pictures: 4, triplets: 4 };
  writeFileSync(join(dir, "go-on.json"), JSON.stringify({ ...config, training }));
  const args = ["train", "--config", "go-on.json", "--init", "part-mine", "--out", "trained"];
  // Stopped at once, for the evaluation at the end would take a minute.
  let asked = false;
  const stopped = await runCommand(dir, args, (text, kill) => {
    if (!asked && /^step \d/m.test(text)) kill();
    asked ||= /^step \d/m.test(text);
  });
  assert.is(stopped.code, 130, stopped.err);
  const checkpoint = readdirSync(join(dir, "trained")).find((name) => name.startsWith("checkpoint-"))!;
  const { values: before } = await readTensors(...fileAt(join(dir, "part-mine/model.safetensors")));
  const { values: after } = await readTensors(...fileAt(join(dir, "trained", checkpoint)));
  // The picture encoder is frozen, the text encoder has taken a step from where it was.
  const frozen = "vision_model.encoder.layers.0.mlp.fc1.weight";
  assert.equal(after.get(`model.${frozen}`)!.data, before.get(frozen)!.data);
  const name = "text_encoder.encoder.layer.0.intermediate.dense.weight";
  const [from, to] = [before.get(name)!.data, after.get(`model.${name}`)!.data];
  const moved = Math.max(...from.map((value, i) => Math.abs(value - to[i])));
  assert.ok(moved > 0 && moved < 0.01, `${moved}`);
});

test("--init refuses a model whose weights would compute something else, and names its fields", async () => {
  const stored = JSON.parse(readFileSync(join(dir, "part-mine/config.json"), "utf8"));
  const other = (change: (model: typeof stored.model) => void) => {
    const model = structuredClone(stored.model);
    change(model);
    return parseConfig({ ...stored, model }, "the test");
  };
  const { vision, text } = stored.model;
  for (const [field, change] of [
    ["model.text.heads", (model) => (model.text.heads = text.heads === 1 ? 2 : 1)],
    ["model.vision.heads", (model) => (model.vision.heads = vision.heads === 1 ? 2 : 1)],
    ["model.text.layerNormEpsilon", (model) => (model.text.layerNormEpsilon = 0.125)],
    ["model.vision.layerNormEpsilon", (model) => (model.vision.layerNormEpsilon = 0.125)],
    ["model.text.firstToken", (model) => (model.text.firstToken = text.firstToken === "cls" ? "enc" : "cls")],
    ["model.text.activation", (model) => (model.text.activation = "relu")],
    ["model.vision.pooling", (model) => (model.vision.pooling = "mean")],
    ["model.vision.std", (model) => (model.vision.std = [0.1, 0.2, 0.3])],
  ] as [string, (model: typeof stored.model) => void][]) {
    await requireSameModel(join(dir, "part-mine"), other(change)).then(
      () => assert.unreachable(field),
      (error: Error) => {
        assert.instance(error, ConfigError);
        const escaped = field.replaceAll(".", "\\.");
        assert.match(
          error.message,
          new RegExp(`is another one: ${escaped} is [^,]+(,[\\d.]+)*\\]? there and`),
        );
      },
    );
  }
  // How it starts, learns and is asked is the run's own.
  await requireSameModel(
    join(dir, "part-mine"),
    other((model) => {
      model.text.dropout = 0.3;
      model.text.maxLength = 6;
      model.temperature.initial = 0.2;
      model.initializerRange = 0.5;
      model.vision.filter = "bilinear";
    }),
  );
  const heads = structuredClone(stored);
  heads.model.text.heads = text.heads === 1 ? 2 : 1;
  writeFileSync(join(dir, "heads.json"), JSON.stringify(heads));
  await failClearly(dir, [
    [
      ["train", "--config", "heads.json", "--init", "part-mine", "--out", "headed"],
      /The model in part-mine is another one: model\.text\.heads is \d there and \d here\..* take these fields from part-mine\/config\.json/,
    ],
  ]);
});

test("a rival of another fusion starts from a model that lacks what joins its two embeddings", async () => {
  const from = join(dir, "part-mine");
  const stored = JSON.parse(readFileSync(join(from, "config.json"), "utf8"));
  const config = ablate(parseConfig(stored, "the test"), "gate");
  await requireSameModel(from, config);
  const { values: theirs } = await readTensors(...fileAt(join(from, "model.safetensors")));
  const words = theirs.get("text_encoder.embeddings.word_embeddings.weight")!.shape[0]!;
  const engine = await Engine.create();
  try {
    const model = makeModel(engine, config, words);
    const lacking = await loadModel(from, model, { seed: 3 });
    assert.equal(
      lacking,
      joinSpecs(config.model).map(({ name }) => name),
    );
    assert.ok(lacking.includes("reference_proj.weight") && lacking.length > 2);
    const values = await model.parameters.read();
    for (const spec of model.parameters.specs) {
      const there = theirs.get(spec.name.replace("reference_proj.", "vision_proj."));
      assert.equal(values.get(spec.name)!.data, there?.data ?? initialValues(spec, 3), spec.name);
    }
    // What goes on as it was lacks nothing.
    await loadModel(from, model).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /lacks the parameter "reference_proj/),
    );
  } finally {
    engine.dispose();
  }
});

test("embeddings in f16 point where those in f32 do", async () => {
  for (const args of [
    ["--image", picture],
    ["--text", "a b c"],
    ["--image", picture, "--text", "a b c"],
  ]) {
    const whole = await embedding("--checkpoint", "mine", ...args);
    const { code, out, err } = await casement(
      ...["embed", "--json", "--checkpoint", "mine", "--precision", "f16", ...args],
    );
    if (/lacks; choose f32/.test(err)) {
      console.log("\nskipped: embeddings in f16 (the adapter has no f16)");
      return;
    }
    assert.is(code, 0, err);
    const half: number[] = JSON.parse(out).embedding;
    assert.ok(Math.abs(Math.hypot(...half) - 1) < 1e-6);
    const cosine = half.reduce((sum, value, i) => sum + value * whole.embedding[i], 0);
    assert.ok(cosine > 0.999, `${args}: ${cosine}`);
    assert.not.equal(half, whole.embedding);
  }
  const config = JSON.parse(readFileSync(join(dir, "part-mine/config.json"), "utf8"));
  const training = { ...config.training, steps: 500, warmup: 0, pictures: 4, triplets: 4 };
  writeFileSync(join(dir, "half.json"), JSON.stringify({ ...config, precision: "f16", training }));
  const args = ["train", "--config", "half.json", "--init", "part-mine", "--out", "half"];
  let asked = false;
  const stopped = await runCommand(dir, args, (text, kill) => {
    if (!asked && /^step \d/m.test(text)) kill();
    asked ||= /^step \d/m.test(text);
  });
  assert.is(stopped.code, 130, stopped.err);
  assert.match(stopped.out, /in f16/);
  const [first] = readFileSync(join(dir, "half/metrics.jsonl"), "utf8").split("\n");
  assert.is(JSON.parse(first).loss_scale, 65536);
});

test("mistakes end in one clear line", async () => {
  writeFileSync(join(dir, "broken.pth"), "this is no checkpoint, but long enough to be one");
  const cases: [string[], RegExp, number?][] = [
    [["import", "broken.pth", "--out", "x"], /broken\.pth: neither safetensors/],
    [["import", "nowhere.pth", "--out", "x"], /Cannot open nowhere\.pth: ENOENT/],
    [["import", ".", "--out", "x"], /^casement: broken\.pth: neither safetensors nor/m],
    [["import", "hf"], /--out DIR/, 2],
    [["import", "hf", "--out", "mine"], /already there/],
    [["import", "hf", "--out", "x", "--image-size", "big"], /--image-size/, 2],
    [["import", "hf", "--out", "x", "--image-size", "40"], /multiple of patchSize/],
    [["export", "--run", "mine", "--format", "onnx", "--out", "x"], /safetensors-hf/, 2],
    [["export", "--run", "mine", "--format", "safetensors-hf", "--out", "mine/x"], /already there/],
    [["embed", "--checkpoint", "mine"], /--image FILE/, 2],
    [
      ["embed", "--checkpoint", "mine", "--text", "a", "--precision", "f8"],
      /--precision must be f32, f16, int8 or int4/,
      2,
    ],
    [
      ["embed", "--checkpoint", "nowhere", "--text", "a"],
      /Cannot read the configuration nowhere\/config\.json: ENOENT/,
    ],
    [["embed", "--checkpoint", "mine", "--image", "broken.pth"], /cannot decode picture broken\.pth: /],
  ];
  await failClearly(dir, cases);
});

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.run();
