// How many heads an encoder has where no config.json says so: the published models' numbers, the user's word, or an error
// that asks for it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planImport } from "../model/checkpoint/plan.ts";
import { CheckpointError } from "../model/safetensors.ts";
import { namedCheckpoint } from "./checkpoint-files.ts";

type Shapes = Record<string, number[]>;

function linear(shapes: Shapes, name: string, outputs: number, inputs: number): void {
  shapes[`${name}.weight`] = [outputs, inputs];
  shapes[`${name}.bias`] = [outputs];
}

function norm(shapes: Shapes, name: string, width: number): void {
  shapes[`${name}.weight`] = [width];
  shapes[`${name}.bias`] = [width];
}

function vit(width: number, depth: number, inner: number): Shapes {
  const shapes: Shapes = {
    cls_token: [1, 1, width],
    pos_embed: [1, 5, width],
    "patch_embed.proj.weight": [width, 3, 14, 14],
    "patch_embed.proj.bias": [width],
  };
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    norm(shapes, `${block}.norm1`, width);
    linear(shapes, `${block}.attn.qkv`, 3 * width, width);
    linear(shapes, `${block}.attn.proj`, width, width);
    norm(shapes, `${block}.norm2`, width);
    linear(shapes, `${block}.mlp.fc1`, inner, width);
    linear(shapes, `${block}.mlp.fc2`, width, inner);
  }
  norm(shapes, "norm", width);
  return shapes;
}

function bert(width: number, depth: number, inner = 4 * width): Shapes {
  const shapes: Shapes = {
    "embeddings.word_embeddings.weight": [30_522, width],
    "embeddings.position_embeddings.weight": [512, width],
  };
  norm(shapes, "embeddings.LayerNorm", width);
  for (let i = 0; i < depth; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ["query", "key", "value"])
      linear(shapes, `${layer}.attention.self.${part}`, width, width);
    linear(shapes, `${layer}.attention.output.dense`, width, width);
    norm(shapes, `${layer}.attention.output.LayerNorm`, width);
    linear(shapes, `${layer}.intermediate.dense`, inner, width);
    linear(shapes, `${layer}.output.dense`, width, inner);
    norm(shapes, `${layer}.output.LayerNorm`, width);
  }
  return shapes;
}

/** The heads of an encoder by itself, and the line about it. */
async function heads(shapes: Shapes, options: { heads?: number; config?: unknown } = {}) {
  const { model, notes } = await planImport(namedCheckpoint(shapes), { partial: true, ...options });
  const part = "cls_token" in shapes ? "vision" : "text";
  return { heads: model[part].heads, note: notes.find((note) => note.startsWith(part))! };
}

test("published models have their own numbers", async () => {
  for (const [width, depth, inner, wanted, why] of [
    [192, 12, 768, 3, "assumed"],
    [384, 12, 1536, 6, "assumed"],
    [768, 12, 3072, 12, "assumed"],
    [768, 8, 2304, 8, "as timm's first ViT-S has"],
    [1024, 24, 4096, 16, "assumed"],
    [1152, 27, 4304, 16, "as SoViT-400m has"],
    [1280, 32, 5120, 16, "as ViT-H has"],
    [1408, 40, 6144, 16, "as ViT-g has"],
    [1664, 48, 8192, 16, "as ViT-G has"],
  ] as const) {
    const told = await heads(vit(width, depth, inner));
    assert.is(told.heads, wanted, `${width}`);
    assert.ok(told.note.includes(`${wanted} heads (${why}`), told.note);
  }
  for (const [width, depth, inner, wanted] of [
    [128, 2, 512, 2],
    [256, 4, 1024, 4],
    [384, 3, 1536, 12],
    [384, 6, 1536, 12],
    [384, 12, 1536, 12],
    [512, 8, 2048, 8],
    [768, 12, 3072, 12],
    [1024, 24, 4096, 16],
  ] as const) {
    assert.is((await heads(bert(width, depth, inner))).heads, wanted, `${width}`);
  }
});

test("where nothing tells, the error asks for --heads, and its word is taken", async () => {
  for (const shapes of [
    vit(1280, 2, 5120),
    vit(72, 2, 288),
    vit(2048, 2, 8192),
    bert(1280, 2),
    bert(100, 1),
  ]) {
    const width = Object.values(shapes)[0].at(-1)!;
    const error = await heads(shapes).catch((thrown) => thrown);
    assert.instance(error, CheckpointError);
    assert.match(
      error.message,
      new RegExp(`encoder is ${width} wide, .* by --heads N, or put the config\\.json`),
    );
    const told = await heads(shapes, { heads: width / 4 });
    assert.is(told.heads, width / 4);
    assert.ok(told.note.includes(`${width / 4} heads (--heads)`), told.note);
  }
  const error = await heads(vit(1280, 2, 5120), { heads: 7 }).catch((thrown) => thrown);
  assert.match(error.message, /width must be a multiple of heads/);
  const config = { model_type: "vit", num_attention_heads: 20 };
  assert.is((await heads(vit(1280, 2, 5120), { config })).heads, 20);
  assert.is((await heads(vit(1280, 2, 5120), { config, heads: 20 })).heads, 20);
  const other = await heads(vit(1280, 2, 5120), { config, heads: 10 }).catch((thrown) => thrown);
  assert.match(other.message, /--heads 10: config\.json says 20 heads/);
  // A class's own number is no word of the file.
  const silent = { config: { model_type: "vit" }, heads: 10 };
  assert.is((await heads(vit(1280, 2, 5120), silent)).heads, 10);
});

test("a BLIP has two encoders, and an option for each", async () => {
  const shapes: Shapes = {};
  for (const [name, shape] of Object.entries(vit(72, 1, 300))) shapes[`visual_encoder.${name}`] = shape;
  for (const [name, shape] of Object.entries(bert(40, 1, 100))) shapes[`text_encoder.${name}`] = shape;
  const plan = (options: { heads?: number; textHeads?: number }) =>
    planImport(namedCheckpoint(shapes), { partial: true, ...options });
  const { model } = await plan({ heads: 3, textHeads: 5 });
  assert.equal([model.vision.heads, model.text.heads], [3, 5]);
  // 300 over 72 is no whole number.
  assert.is(model.vision.mlpRatio * model.vision.width, 300);
  for (const [options, pattern] of [
    [{ textHeads: 5 }, /vision encoder is 72 wide.* by --heads N/],
    [{ heads: 3 }, /text encoder is 40 wide.* by --text-heads N/],
  ] as const) {
    const error = await plan(options).catch((thrown) => thrown);
    assert.match(error.message, pattern);
  }
});

test.run();
