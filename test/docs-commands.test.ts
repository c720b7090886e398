// The commands of docs/checkpoints.md run as they stand there, on stand-ins of the files that they name. The lines for
// Python run where CASEMENT_PYTHON is an interpreter with torch, transformers, safetensors and Pillow.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readTensors } from "../train/run/checkpoint.ts";
import { digested } from "../train/run/digest.ts";
import { fileAt } from "../train/run/disk.ts";
import { exportCheckpoint, importCheckpoint } from "../train/run/import.ts";
import { findCheckpoint } from "../train/run/sources.ts";
import { Stored, torchFile } from "./checkpoint-files.ts";
import { config, safetensors, shapes, valuesOf } from "./small-blip.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "casement-commands-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

const words =
  "[PAD] [UNK] [CLS] [SEP] [MASK] [DEC] [ENC] two dogs on the beach a b c d e f g h i j k l".split(" ");
const state = new Map(
  Object.entries(shapes).map(([name, shape]) => [name, new Stored(valuesOf(name), shape)]),
);
writeFileSync(at("model_base_retrieval_coco.pth"), torchFile({ epoch: 5, model: state }));
writeFileSync(at("config.json"), config);
writeFileSync(at("vocab.txt"), `${words.join("\n")}\n`);
// Hugging Face's form, with all that its own classes ask for.
mkdirSync(at("source"));
for (const [name, content] of Object.entries({
  "config.json": config,
  "vocab.txt": words.join("\n"),
  "model.safetensors": safetensors(),
}))
  writeFileSync(join(at("source"), name), content);
await importCheckpoint({ source: at("source"), out: at("first"), show: () => {} });
await exportCheckpoint(at("first"), join(at("hf"), "model.safetensors"));
const { vision } = JSON.parse(readFileSync(join(at("first"), "config.json"), "utf8")).model as {
  vision: { imageSize: number };
};
const size = { height: vision.imageSize, width: vision.imageSize };
const processor = { processor_class: "BlipProcessor", image_processor_type: "BlipImageProcessor", size };
writeFileSync(join(at("hf"), "preprocessor_config.json"), JSON.stringify(processor));
const tokenizer = { tokenizer_class: "BertTokenizer", do_lower_case: true, processor_class: "BlipProcessor" };
writeFileSync(join(at("hf"), "tokenizer_config.json"), JSON.stringify(tokenizer));
symlinkSync(join(root, "docs"), at("docs"));
mkdirSync(at("bin"));
const script = (name: string, command: string) => {
  writeFileSync(join(at("bin"), name), `#!/bin/sh\n${command}\n`);
  chmodSync(join(at("bin"), name), 0o755);
};
script("npx", `shift; exec "${process.execPath}" "${join(root, "cli/casement.mjs")}" "$@"`);
const python = process.env.CASEMENT_PYTHON;
if (python) script("python", `exec "${python}" "$@"`);

/** Runs a line in a shell; returns what it prints. */
async function run(line: string): Promise<string> {
  const env = { ...process.env, PATH: `${at("bin")}${delimiter}${process.env.PATH}` };
  const done = promisify(execFile)("sh", ["-c", line], { cwd: work, env });
  const { stdout } = await done.catch((error) => {
    throw new Error(`${line}\n${error.stderr}`);
  });
  return stdout;
}

const page = readFileSync(join(root, "docs/checkpoints.md"), "utf8");
const lines = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap((match) => match[1]!.trim().split("\n"));

/** What PyTorch's line computes, from values that have not gone through the readers. */
function digestOf(tensors: Iterable<[name: string, values: Float32Array]>): string {
  const whole = createHash("sha256");
  for (const [, values] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)))
    whole.update(createHash("sha256").update(values).digest());
  return whole.digest("hex");
}

const printed: Record<string, string> = {};
test("every command of the page runs", async () => {
  const ours = lines.filter((line) => line.startsWith("npx casement "));
  assert.is(ours.length, 5);
  for (const line of ours) printed[line] = await run(line);
  for (const line of lines) assert.match(line, /^(npx casement|python -c) /);
});

test("the digest is that of the values themselves", async () => {
  const digestIn = (line: string) =>
    /^digest of the (\d+) tensors of floats: (\w{64})$/m.exec(printed[line]!)!.slice(1);
  const own = Object.keys(shapes).map((name): [string, Float32Array] => [name, valuesOf(name)]);
  assert.equal(digestIn("npx casement import model_base_retrieval_coco.pth --out blip"), [
    `${own.length}`,
    digestOf(own),
  ]);
  const { values } = await readTensors(...fileAt(join(at("hf"), "model.safetensors")));
  const exported = Array.from(values, ([name, { data }]): [string, Float32Array] => [name, data]);
  assert.equal(digestIn("npx casement import hf --out blip-hf"), [`${exported.length}`, digestOf(exported)]);
  for (const file of ["picture.json", "text.json"]) {
    const { embedding } = JSON.parse(readFileSync(at(file), "utf8")) as { embedding: number[] };
    assert.ok(embedding.length === 16 && Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  }
  assert.is((await readTensors(...fileAt(at("exported/model.safetensors")))).values.size, exported.length);
});

test("the digest is the one that PyTorch has", async () => {
  // By the page's line, PyTorch 2.15, on reference/checkpoints.py's and foreign.py's files.
  for (const [file, tensors, sha256] of [
    ["new.pth", 11, "c1ac462d74617a972673e58f8cdd1da203a20a4c4980f6983bb63c91bf9a4a26"],
    ["old.pth", 11, "c1ac462d74617a972673e58f8cdd1da203a20a4c4980f6983bb63c91bf9a4a26"],
    ["sharded", 11, "c1ac462d74617a972673e58f8cdd1da203a20a4c4980f6983bb63c91bf9a4a26"],
    ["wrapped-old.pth", 4, "bb0b7b4df45959d87eb94feab9556b59864691b41cad29f6cdd7c7f1304424a0"],
  ] as const) {
    const { checkpoint, close } = await findCheckpoint(join(root, "test/fixtures/checkpoints", file));
    assert.equal(await digested(checkpoint).digest(), { tensors, sha256 }, file);
    await close();
  }
});

test("PyTorch's lines agree", async () => {
  if (!python) {
    console.log("\nskipped: the page's lines for PyTorch (CASEMENT_PYTHON names no interpreter)");
    return;
  }
  const theirs = lines.filter((line) => line.startsWith("python "));
  assert.is(theirs.length, 3);
  const [original, exported, cosines] = await Promise.all(theirs.map(run));
  assert.ok(
    printed["npx casement import model_base_retrieval_coco.pth --out blip"]!.includes(original!.trim()),
  );
  assert.ok(printed["npx casement import hf --out blip-hf"]!.includes(exported!.trim()));
  const both = cosines!.trim().split(" ").map(Number);
  assert.ok(both.length === 2 && both.every((cosine) => Math.abs(cosine - 1) < 2e-6), cosines);
});

test.run();
