// Reading other people's checkpoints: every container that PyTorch and Hugging Face write (made by
// reference/checkpoints.py), refusals by name, the mapping onto CASE, and the way there and back.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { importTable } from "../cli/tables.ts";
import { caseSpecs } from "../model/case.ts";
import { openCheckpoint } from "../model/checkpoint/open.ts";
import { type ImportPlan, planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { resizePositions } from "../model/checkpoint/positions.ts";
import { memorySource } from "../model/checkpoint/source.ts";
import type { Checkpoint } from "../model/checkpoint/tensor.ts";
import { modelSchema } from "../model/config.ts";
import { CheckpointError, writeSafetensors } from "../model/safetensors.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { readTensors, streamTensors } from "../train/run/checkpoint.ts";
import { fileAt } from "../train/run/disk.ts";
import { exportCheckpoint, importCheckpoint } from "../train/run/import.ts";
import { findCheckpoint } from "../train/run/sources.ts";
import {
  concat,
  namedCheckpoint,
  namedValues,
  op,
  pickle,
  tensorOps,
  tensorPickle,
  torchZip,
  zipFile,
} from "./checkpoint-files.ts";

const fixtures = fileURLToPath(new URL("fixtures/checkpoints/", import.meta.url));
const expected: {
  names: Record<"state" | "model", string[]>;
  values: Record<string, { shape: number[]; values: number[] }>;
} = JSON.parse(readFileSync(join(fixtures, "expected.json"), "utf8"));
const work = mkdtempSync(join(tmpdir(), "casement-import-"));

const open = (bytes: Uint8Array) => openCheckpoint(memorySource(bytes));

/** Opens a file and reads all of its floats; throws as they do. */
async function load(bytes: Uint8Array): Promise<Checkpoint> {
  const checkpoint = await open(bytes);
  for (const { dtype, read } of checkpoint.tensors.values()) if (/^B?F/.test(dtype)) await read();
  return checkpoint;
}

async function refuses(action: () => Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await action().then(
    () => null,
    (thrown) => thrown,
  );
  assert.instance(error, CheckpointError, `${pattern}: ${error}`);
  assert.match(error.message, pattern);
}

async function requireExpected(checkpoint: Checkpoint, names: readonly string[]): Promise<void> {
  assert.equal([...checkpoint.tensors.keys()].sort(), [...names].sort());
  let floats = 0;
  for (const [name, entry] of checkpoint.tensors) {
    const wanted = expected.values[name];
    if (!wanted) continue;
    assert.equal([...entry.shape], wanted.shape, name);
    assert.equal([...(await entry.read())], wanted.values, name);
    floats++;
  }
  assert.ok(floats >= 4);
}

const containers: [string, string, "state" | "model"][] = [
  ["new.pth", "PyTorch zip", "state"],
  ["old.pth", "PyTorch stream", "state"],
  ["wrapped-new.pth", "PyTorch zip", "model"],
  ["wrapped-old.pth", "PyTorch stream", "model"],
  ["protocol5.pth", "PyTorch zip", "state"],
  ["deflated.pth", "PyTorch zip", "state"],
  ["sharded", "safetensors in 2 files", "state"],
];
for (const [file, format, names] of containers) {
  test(`${file}: every value as PyTorch has it`, async () => {
    const { checkpoint, close } = await findCheckpoint(join(fixtures, file));
    assert.is(checkpoint.format, format);
    await requireExpected(checkpoint, expected.names[names]);
    await close();
  });
}

test("tensors are read where they lie, a few megabytes at a time", async () => {
  const count = 3 << 20;
  const data = Float32Array.from({ length: count }, (_, i) => i);
  const bytes = writeSafetensors({ a: { dtype: "F32", shape: [count], data } });
  let largest = 0;
  const { tensors } = await openCheckpoint({
    ...memorySource(bytes),
    read: async (offset, length) => {
      largest = Math.max(largest, length);
      return bytes.subarray(offset, offset + length);
    },
  });
  assert.equal(await tensors.get("a")!.read(), data);
  assert.ok(largest <= 4 << 20, `${largest}`);
});

test("a safetensors file whose length starts like a pickle is none, nor like a packed file", async () => {
  const name = "n".repeat(64);
  const packed = writeSafetensors({ w: { dtype: "U8", shape: [1], data: Uint8Array.of(1) } });
  const long = concat(new Uint8Array(8), packed.subarray(8, -1), new Uint8Array(0x8b1f).fill(0x20));
  const length = 0x8b1f;
  new DataView(long.buffer).setUint32(0, length, true);
  assert.is((await open(concat(long.subarray(0, 8 + length), [1]))).tensors.size, 1);
  for (let length = 1; length < 200; length += 8) {
    const bytes = writeSafetensors({
      [name + "n".repeat(length)]: { dtype: "U8", shape: [1], data: Uint8Array.of(1) },
    });
    assert.is((await open(bytes)).tensors.size, 1);
    if (bytes[0] === 0x80) return;
  }
  assert.unreachable("no such length was met");
});

test("zip files with long sizes, a comment, or deflated entries are read", async () => {
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const parts = [
    { name: "a/data.pkl", data: tensorPickle() },
    { name: "a/data/0", data },
  ];
  for (const file of [
    zipFile(parts),
    zipFile(parts, { comment: "PK\x05\x06 and more" }),
    zipFile(parts.map((part) => ({ ...part, long: true }))),
    zipFile(parts.map((part) => ({ ...part, deflate: true }))),
  ]) {
    assert.equal([...(await (await open(file)).tensors.get("w")!.read())], [1, 2, 3, 4]);
  }
});

test("a pickle's functions are never called, and what one would have made is told by its name", async () => {
  for (const [module, name] of [
    ["os", "system"],
    ["posix", "system"],
    ["builtins", "eval"],
    ["__builtin__", "getattr"],
    ["subprocess", "Popen"],
    ["torch", "load"],
    ["torch._utils", "_rebuild_sparse_tensor"],
    ["torch.serialization", "_get_layout"],
    ["numpy.core.multiarray", "_reconstruct"],
    ["collections", "OrderedDict.__init__"],
    ["constructor", "prototype"],
  ]) {
    const named = new RegExp(`"${module}.${name}" would make, which is never called`.replaceAll(".", "\\."));
    const call = [op.text("echo"), op.tuple1, op.reduce];
    const stacked = [op.text(module), op.text(name), [0x93]];
    for (const global of [[op.global(module, name)], stacked]) {
      await refuses(() => load(torchZip(pickle(...global, ...call))), named);
      // As the value of a name it is a tensor that can't be read.
      const { tensors } = await open(
        torchZip(
          pickle(
            op.dict,
            op.text("w"),
            ...global,
            ...call,
            op.setItem,
            op.text("v"),
            tensorOps(),
            op.setItem,
          ),
          { 0: new Uint8Array(16) },
        ),
      );
      assert.equal([...tensors.keys()], ["w", "v"]);
      assert.equal([...(await tensors.get("v")!.read())], [0, 0, 0, 0]);
      await refuses(
        () => tensors.get("w")!.read(),
        new RegExp(`"w": it is what ${module}.${name} would make`.replaceAll(".", "\\.")),
      );
    }
  }
  await refuses(
    () => load(readFileSync(join(fixtures, "module.pth"))),
    /inside of a "torch\.nn\.modules\.container\.Sequential".*state_dict\(\)/,
  );
});

test("every kind of broken pickle is refused by what is wrong", async () => {
  const floats = { 0: new Uint8Array(16) };
  assert.is((await load(torchZip(tensorPickle(), floats))).tensors.size, 1);
  const bad = (...ops: (Uint8Array | readonly number[])[]) => torchZip(pickle(...ops), floats);
  const tensor = (options: Parameters<typeof tensorOps>[0]) => torchZip(tensorPickle(options), floats);
  const cases: [Uint8Array, RegExp][] = [
    [torchZip(concat(op.proto, op.dict)), /pickle ends/],
    [torchZip(concat([0x80, 9], op.dict, op.stop)), /protocol 9/],
    [bad([0x01]), /opcode 0x01/],
    [bad(op.pop), /stack/],
    [bad(op.tuple), /mark/],
    [bad(op.dict, op.get(3)), /recalls 3/],
    [bad(op.none, op.int(1), op.append), /no list/],
    [bad(op.list, op.none, op.none, op.setItem), /no dictionary/],
    [bad(op.dict, op.mark, op.none, op.setItems), /without a value/],
    [bad([0x58, 255, 255, 255, 127]), /pickle ends/],
    [bad([0x42, 255, 255, 255, 127]), /pickle ends/],
    [bad([0x8d, 255, 255, 255, 255, 255, 255, 255, 255]), /pickle ends/],
    [bad([0x8b, 255, 255, 0, 0]), /integer of 65535 bytes/],
    [bad([0x58, 1, 0, 0, 0, 0xff]), /no dictionary of tensors/],
    [bad([0x58, 1, 0, 0, 0, 0xff], op.text("w"), [0x93]), /no name/],
    [bad(op.list), /no dictionary of tensors/],
    [bad(op.list, op.put(0), op.get(0), op.append), /no dictionary of tensors/],
    [bad(op.list, op.put(0), op.get(0), op.tuple1, op.append), /no dictionary of tensors/],
    [bad(op.int(1), op.tuple0, op.reduce), /calls what is no function/],
    [bad(op.global("a", "b"), op.none, op.reduce), /calls what is no function/],
    [bad(op.int(1), op.tuple0, [0x81]), /no class/],
    [bad(op.list, op.none, op.build), /attributes/],
    [bad(op.text("0"), op.persistent), /no storage/],
    [
      bad(op.dict, op.text("w"), tensorOps(), op.setItem, op.text("w"), tensorOps(), op.setItem),
      /"w" is there twice/,
    ],
    [tensor({ shape: [5] }), /do not fit/],
    [tensor({ offset: 1 }), /do not fit/],
    [tensor({ offset: 2 ** 53 }), /whole number/],
    [tensor({ shape: [2], strides: [4] }), /do not fit/],
    [tensor({ shape: [1e6, 1e6], strides: [0, 0] }), /do not fit/],
    [tensor({ shape: [1025, 1024], strides: [0, 0] }), /do not fit/],
    [tensor({ shape: [2 ** 40, 2 ** 40], strides: [2 ** 40, 2 ** 40] }), /do not fit|bad shape/],
    [tensor({ shape: [2, 2] }), /bad shape/],
    [tensor({ shape: new Array(70).fill(1), strides: new Array(70).fill(1) }), /70 dimensions/],
    [tensor({ key: "../../etc/passwd" }), /no storage/],
    [tensor({ key: "1" }), /lacks storage "1"/],
    [tensor({ count: 5 }), /has 16 bytes, not 20/],
    [tensor({ type: "HalfStorage" }), /has 16 bytes, not 8/],
    [tensor({ type: "Size" }), /type torch\.Size/],
  ];
  for (const [bytes, pattern] of cases) await refuses(() => load(bytes), pattern);
});

test("every kind of broken zip file is refused by what is wrong", async () => {
  const part = { name: "a/data.pkl", data: tensorPickle() };
  const storage = { name: "a/data/0", data: new Uint8Array(16) };
  const good = zipFile([part, storage]);
  const bomb = { name: "a/data/0", data: new Uint8Array(1 << 20), deflate: true };
  const cases: [Uint8Array, RegExp][] = [
    [good.subarray(0, -1), /no end record/],
    [good.subarray(0, 40), /no end record/],
    [zipFile([part, storage], { count: 3 }), /entry 2 of 3/],
    [zipFile([part, storage], { count: 1 }), /goes on/],
    [zipFile([part, storage], { count: 60_000 }), /too many/],
    [zipFile([part, { ...storage, flags: 1 }]), /encrypted/],
    [zipFile([part, { ...storage, method: 12 }]), /method 12/],
    [zipFile([part, part]), /twice/],
    [zipFile([part, { ...storage, local: 0 }]), /overlaps|not where/],
    [zipFile([part, { ...storage, local: 0, name: part.name }]), /overlaps/],
    [zipFile([part, { ...storage, localName: "a/data/1" }]), /not where/],
    [zipFile([part, { ...storage, packed: 1000, size: 1000 }]), /reaches into/],
    [zipFile([part, { ...storage, packed: 0xffffffff, size: 0xffffffff }]), /zip64/],
    [zipFile([part, { ...storage, long: true, packed: 2 ** 40, size: 2 ** 40 }]), /reaches into/],
    [zipFile([part, { ...storage, long: true, local: 2 ** 52 }]), /truncated/],
    [zipFile([part, { ...storage, size: 15 }]), /declares 15 bytes for 16/],
    [zipFile([part, { ...bomb, size: 1 << 30 }]), /refused/],
    [zipFile([part, { ...bomb, data: new Uint8Array(40 << 20) }]), /refused/],
    [zipFile([{ ...part, deflate: true, size: 10 }, storage]), /more than the declared 10/],
    [zipFile([{ ...part, deflate: true, size: 400 }, storage]), /unpacked/],
    [zipFile([{ ...part, deflate: true, crc: 1 }, storage]), /unpacked/],
    [zipFile([{ ...part, method: 8 }, storage]), /unpacked/],
    [zipFile([{ ...part, name: "../data/../data.pkl" }, storage]), /no data\.pkl/],
    [zipFile([part, { ...storage, name: "../../a/data/0" }]), /lacks storage/],
    [zipFile([part, storage, { name: "a/constants.pkl", data: storage.data }]), /TorchScript/],
    [zipFile([part, storage, { name: "a/byteorder", data: new TextEncoder().encode("big") }]), /big-endian/],
    [zipFile([part, storage, { ...part, name: "b/data.pkl" }]), /no data\.pkl/],
  ];
  for (const [bytes, pattern] of cases) await refuses(() => load(bytes), pattern);
});

test("broken streams and other files are refused by what they are", async () => {
  const old = readFileSync(join(fixtures, "old.pth"));
  const text = (words: string) => new TextEncoder().encode(words);
  const tar = new Uint8Array(1024).fill(7);
  tar.set(new TextEncoder().encode("ustar"), 257);
  const swapped = Uint8Array.from(old);
  const at = Buffer.from(old).indexOf("little_endian") + "little_endian".length + 2;
  assert.is(swapped[at], 0x88);
  swapped[at] = 0x89;
  const cases: [Uint8Array, RegExp][] = [
    [tar, /a tar file/],
    [old.subarray(0, -1), /truncated/],
    [old.subarray(0, 100), /pickle ends/],
    [swapped, /little-endian/],
    [pickle(op.int(1), op.int(2)), /none of torch\.save's/],
    [new Uint8Array(100), /nothing but zeros/],
    [new Uint8Array(100).fill(1), /neither safetensors nor/],
    [new Uint8Array(3), /truncated/],
    [text("404"), /neither safetensors .*, but text: "404"/],
    [text("Entry not found"), /, but text: "Entry not found"/],
    [new Uint8Array(0), /truncated: the file is empty/],
    [text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 895117345\n"), /git lfs pull/],
    [text("<!DOCTYPE html><html><body>Sign in</body></html>"), /web page/],
    [text("\ufeff\n<html lang=en>"), /web page/],
    [text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /web page/],
    [text('{"error": "Repository not found"}'), /JSON text/],
    [text('[{"a": 1}]'), /JSON text/],
    [gzipSync(old), /gunzip/],
    [text("BZh91AY&SY"), /bzip2/],
    [concat([0xfd], text("7zXZ"), new Uint8Array(20)), /xz/],
    [concat([0x28, 0xb5, 0x2f, 0xfd], new Uint8Array(20)), /zstd/],
    [concat([0x89], text("HDF\r\n\x1a\n"), new Uint8Array(20)), /HDF5/],
    [text("GGUF and all the rest"), /GGUF/],
  ];
  for (const [bytes, pattern] of cases) await refuses(() => load(bytes), pattern);
});

test("an index reaches no file but those beside it", async () => {
  const folder = join(work, "index");
  await mkdir(folder);
  const index = join(folder, "model.safetensors.index.json");
  for (const [text, pattern] of [
    ['{"weight_map":{"a":"../a.safetensors"}}', /no file name/],
    ['{"weight_map":{"a":"/etc/passwd"}}', /no file name/],
    ['{"weight_map":{"a":".."}}', /no file name/],
    ['{"weight_map":{"a":1}}', /no file name/],
    ['{"weight_map":{"a":"missing.safetensors"}}', /missing\.safetensors/],
    ['{"weight_map":[]}', /weight_map/],
    ["{", /JSON/],
  ] as const) {
    writeFileSync(index, text);
    await refuses(() => findCheckpoint(folder), pattern);
  }
});

// Mapping.

const sizes = { width: 64, textWidth: 128, patch: 8, grid: 3, depth: 2, projection: 16, rows: 30_524 };
type Shapes = Record<string, number[]>;

function linear(shapes: Shapes, name: string, outputs: number, inputs: number): void {
  shapes[`${name}.weight`] = [outputs, inputs];
  shapes[`${name}.bias`] = [outputs];
}

function norm(shapes: Shapes, name: string, width: number): void {
  shapes[`${name}.weight`] = [width];
  shapes[`${name}.bias`] = [width];
}

function bertShapes(prefix: string, cross: boolean, rows = sizes.rows): Shapes {
  const { textWidth: width, depth } = sizes;
  const shapes: Shapes = {
    [`${prefix}embeddings.word_embeddings.weight`]: [rows, width],
    [`${prefix}embeddings.position_embeddings.weight`]: [40, width],
    [`${prefix}embeddings.position_ids`]: [1, 40],
  };
  norm(shapes, `${prefix}embeddings.LayerNorm`, width);
  for (let i = 0; i < depth; i++) {
    const layer = `${prefix}encoder.layer.${i}`;
    for (const kind of cross ? ["attention", "crossattention"] : ["attention"]) {
      const inputs = kind === "attention" ? width : sizes.width;
      linear(shapes, `${layer}.${kind}.self.query`, width, width);
      for (const part of ["key", "value"]) linear(shapes, `${layer}.${kind}.self.${part}`, width, inputs);
      linear(shapes, `${layer}.${kind}.output.dense`, width, width);
      norm(shapes, `${layer}.${kind}.output.LayerNorm`, width);
    }
    linear(shapes, `${layer}.intermediate.dense`, 3 * width, width);
    linear(shapes, `${layer}.output.dense`, width, 3 * width);
    norm(shapes, `${layer}.output.LayerNorm`, width);
  }
  return shapes;
}

function timmShapes(prefix: string): Shapes {
  const { width, patch, grid, depth } = sizes;
  const shapes: Shapes = {
    [`${prefix}cls_token`]: [1, 1, width],
    [`${prefix}pos_embed`]: [1, 1 + grid * grid, width],
    [`${prefix}patch_embed.proj.weight`]: [width, 3, patch, patch],
    [`${prefix}patch_embed.proj.bias`]: [width],
  };
  for (let i = 0; i < depth; i++) {
    const block = `${prefix}blocks.${i}`;
    norm(shapes, `${block}.norm1`, width);
    linear(shapes, `${block}.attn.qkv`, 3 * width, width);
    linear(shapes, `${block}.attn.proj`, width, width);
    norm(shapes, `${block}.norm2`, width);
    linear(shapes, `${block}.mlp.fc1`, 4 * width, width);
    linear(shapes, `${block}.mlp.fc2`, width, 4 * width);
  }
  norm(shapes, `${prefix}norm`, width);
  return shapes;
}

/** The original BLIP retrieval checkpoint in small, with all that goes with it. */
function originalShapes(): Shapes {
  const shapes: Shapes = {
    ...timmShapes("visual_encoder."),
    ...bertShapes("text_encoder.", true),
    ...timmShapes("visual_encoder_m."),
    temp: [],
    image_queue: [16, 100],
    text_queue: [16, 100],
    idx_queue: [1, 100],
    ptr_queue: [1],
  };
  linear(shapes, "vision_proj", sizes.projection, sizes.width);
  linear(shapes, "text_proj", sizes.projection, sizes.textWidth);
  linear(shapes, "text_proj_m", sizes.projection, sizes.textWidth);
  linear(shapes, "itm_head", 2, sizes.textWidth);
  return shapes;
}

async function planned(plan: ImportPlan, name: string): Promise<number[]> {
  return [...(await plan.parameters.find((parameter) => parameter.name === name)!.read())];
}

test("the original BLIP is mapped whole; copies, queues and heads are left out on purpose", async () => {
  const plan = await planImport(namedCheckpoint(originalShapes()));
  requireWhole(plan);
  const { vision, text, projection } = plan.model;
  assert.equal(
    [vision.width, vision.depth, vision.heads, vision.patchSize, vision.imageSize],
    [64, 2, 1, 8, 24],
  );
  assert.equal(
    [text.width, text.depth, text.heads, text.intermediate, text.maxPositions],
    [128, 2, 2, 384, 40],
  );
  assert.is(projection, 16);
  assert.is(vision.layerNormEpsilon, 1e-6);
  assert.equal(plan.unexpected, []);
  assert.equal(
    plan.parameters.map(({ name, shape }) => [name, shape]),
    caseSpecs(plan.model, 30_525).map(({ name, shape }) => [name, shape]),
  );
  const left = plan.ignored.flatMap(({ names }) => names);
  assert.is(left.length, Object.keys(timmShapes("")).length + 4 + 2 + 2 + 1);
  assert.equal(await planned(plan, "temp"), [...namedValues("temp", 1)]);
  const layer = "text_encoder.encoder.layer.1.crossattention.self";
  assert.equal(await planned(plan, `${layer}.key_value.weight`), [
    ...namedValues(`${layer}.key.weight`, 128 * 64),
    ...namedValues(`${layer}.value.weight`, 128 * 64),
  ]);
  assert.equal(await planned(plan, "vision_model.encoder.layers.1.mlp.fc1.weight"), [
    ...namedValues("visual_encoder.blocks.1.mlp.fc1.weight", 256 * 64),
  ]);
  const words = await planned(plan, "text_encoder.embeddings.word_embeddings.weight");
  assert.equal(words.slice(0, 30_524 * 128), [
    ...namedValues("text_encoder.embeddings.word_embeddings.weight", 30_524 * 128),
  ]);
  const fresh = words.slice(30_524 * 128);
  assert.ok(fresh.length === 128 && fresh.every((value) => value !== 0 && Math.abs(value) <= 0.04));
  assert.equal(plan.fresh, [
    { names: ["text_encoder.embeddings.word_embeddings.weight"], note: "the rows of [REV]" },
  ]);
  const table = importTable(plan);
  for (const heading of [
    "mapped: ",
    "ignored on purpose: ",
    "missing: 0",
    "not known, within an encoder: 0",
    "not known, outside of the encoders, left out: 0",
    "[REV]",
  ])
    assert.ok(table.includes(heading), heading);
});

test("missing and mis-shaped tensors are errors; --partial starts afresh and tells", async () => {
  const shapes = originalShapes();
  delete shapes["text_encoder.encoder.layer.1.attention.self.key.bias"];
  delete shapes["vision_proj.bias"];
  const plan = await planImport(namedCheckpoint(shapes));
  assert.equal(
    plan.missing.flatMap(({ names }) => names),
    ["text_encoder.encoder.layer.1.attention.self.key.bias", "vision_proj.bias"],
  );
  await refuses(async () => requireWhole(plan), /2 tensors are missing.*key\.bias.*--partial/);
  const partial = await planImport(namedCheckpoint(shapes), { partial: true });
  requireWhole(partial);
  assert.equal(
    partial.fresh
      .slice(0, -1)
      .map(({ names }) => names[0])
      .sort(),
    [
      "text_encoder.embeddings.word_embeddings.weight",
      "text_encoder.encoder.layer.1.attention.self.qkv.bias",
    ],
  );
  assert.equal(await planned(partial, "vision_proj.bias"), new Array(16).fill(0));
  shapes["visual_encoder.norm.weight"] = [65];
  const wrong = await planImport(namedCheckpoint(shapes), { partial: true });
  await refuses(
    async () => requireWhole(wrong),
    /1 mis-shaped: visual_encoder\.norm\.weight.*\[65\].*\[64\]/,
  );
});

test("BERT alone starts CASE with --partial; its first token type goes into the positions", async () => {
  const shapes: Shapes = {
    ...bertShapes("bert.", false, 30_522),
    "bert.embeddings.token_type_embeddings.weight": [2, 128],
  };
  linear(shapes, "bert.pooler.dense", 128, 128);
  shapes["bert.embeddings.LayerNorm.gamma"] = shapes["bert.embeddings.LayerNorm.weight"];
  delete shapes["bert.embeddings.LayerNorm.weight"];
  await refuses(async () => requireWhole(await planImport(namedCheckpoint(shapes))), /missing/);
  const plan = await planImport(namedCheckpoint(shapes), { partial: true });
  requireWhole(plan);
  assert.equal(plan.unexpected, []);
  assert.is(plan.model.vision.width, 768);
  const positions = namedValues("bert.embeddings.position_embeddings.weight", 40 * 128);
  const types = namedValues("bert.embeddings.token_type_embeddings.weight", 256);
  assert.equal(await planned(plan, "text_encoder.embeddings.position_embeddings.weight"), [
    ...positions.map((value, i) => value + types[i % 128]),
  ]);
  assert.equal(await planned(plan, "text_encoder.embeddings.LayerNorm.weight"), [
    ...namedValues("bert.embeddings.LayerNorm.gamma", 128),
  ]);
  const notes = plan.fresh.map(({ note }) => note);
  assert.ok(notes.includes("the rows of [DEC], [ENC], [REV]"));
});

test("a timm ViT starts CASE with --partial, DataParallel's prefix or not", async () => {
  for (const prefix of ["", "module.", "model."]) {
    const shapes: Shapes = timmShapes(prefix);
    linear(shapes, `${prefix}head`, 10, 64);
    const plan = await planImport(namedCheckpoint(shapes), { partial: true });
    requireWhole(plan);
    assert.equal(plan.unexpected, [], prefix);
    assert.is(plan.mapped.length, Object.keys(timmShapes("")).length);
    assert.is(plan.ignored.length, 2);
  }
});

test("config.json gives heads and epsilons, another model's config.json is refused", async () => {
  const checkpoint = namedCheckpoint(originalShapes());
  const encoder = { num_attention_heads: 4, layer_norm_eps: 1e-5 };
  const config = { model_type: "blip", vision_config: encoder, text_config: {} };
  const { model } = await planImport(checkpoint, { config });
  assert.equal([model.vision.heads, model.vision.layerNormEpsilon], [4, 1e-5]);
  // What Hugging Face's classes assume where their file says nothing.
  assert.is(model.text.heads, 8);
  const silent = { ...config, vision_config: { num_attention_heads: 4 } };
  assert.is((await planImport(checkpoint, { config: silent })).model.vision.layerNormEpsilon, 1e-6);
  await refuses(() => planImport(checkpoint, { config: { model_type: "roberta" } }), /roberta/);
  const swish = { model_type: "blip", vision_config: { hidden_act: "swish" } };
  await refuses(() => planImport(checkpoint, { config: swish }), /vision_config\.hidden_act.*swish/);
  const odd = { model_type: "blip", text_config: { num_attention_heads: 5 } };
  await refuses(() => planImport(checkpoint, { config: odd }), /multiple of heads/);
});

test("what is no model, or contradicts itself, is refused", async () => {
  const change = (name: string, shape: number[]) => namedCheckpoint({ ...originalShapes(), [name]: shape });
  await refuses(() => planImport(namedCheckpoint({ a: [1] })), /neither BLIP, BERT nor ViT.*"a"/);
  await refuses(() => planImport(namedCheckpoint({})), /neither BLIP.*nothing/);
  await refuses(() => planImport(change("visual_encoder.pos_embed", [1, 9, 64])), /square/);
  await refuses(
    () => planImport(change("visual_encoder.patch_embed.proj.weight", [64, 768])),
    /patch embedding/,
  );
  await refuses(
    () => planImport(change("visual_encoder.blocks.99999999.norm1.weight", [64])),
    /too few tensors/,
  );
  await refuses(
    () => planImport(change("text_encoder.embeddings.word_embeddings.weight", [99, 128])),
    /vocab\.txt/,
  );
});

test("positions of another size equal torch.nn.functional.interpolate's", () => {
  const { cases } = JSON.parse(readFileSync(join(fixtures, "../positions.json"), "utf8")) as {
    cases: { from: number; to: number; width: number; resized: number[] }[];
  };
  assert.ok(cases.length >= 5);
  for (const { from, to, width, resized } of cases) {
    // The class token's row is the first of them, and stays out of it.
    const positions = namedValues(`positions ${from}`, (1 + from * from) * width, 1).subarray(width);
    const mine = resizePositions(positions, from, to, width);
    const worst = Math.max(...resized.map((value, i) => Math.abs(value - mine[i])));
    assert.ok(resized.length === to * to * width && worst < 1e-6, `${from} to ${to}: ${worst}`);
  }
});

test("another picture size only changes the position table", async () => {
  const plan = await planImport(namedCheckpoint(originalShapes()), { imageSize: 40 });
  requireWhole(plan);
  assert.is(plan.model.vision.imageSize, 40);
  const table = plan.parameters.find(({ name }) => name.endsWith("position_embedding"))!;
  assert.equal(table.shape, [26, 64]);
  assert.is((await table.read()).length, 26 * 64);
  await refuses(
    () => planImport(namedCheckpoint(originalShapes()), { imageSize: 41 }),
    /multiple of patchSize/,
  );
});

test("export and import give every bit back, with options, vocabulary and temperature", async () => {
  const model = modelSchema.parse({
    vision: { imageSize: 24, patchSize: 8, width: 24, depth: 2, heads: 3, layerNormEpsilon: 1e-5 },
    text: {
      width: 16,
      depth: 2,
      heads: 4,
      intermediate: 40,
      maxPositions: 20,
      maxLength: 12,
      dropout: 0.2,
      firstToken: "cls",
    },
    projection: 12,
    temperature: { initial: 0.05 },
  });
  const tokenizer = new Tokenizer([...specialTokens, "a", "b", "##c"]);
  const run = join(work, "run");
  await mkdir(run);
  const values = new Map(
    caseSpecs(model, tokenizer.size).map(({ name, shape }) => [
      name,
      {
        shape,
        data: namedValues(
          name,
          shape.reduce((a, b) => a * b, 1),
        ),
      },
    ]),
  );
  const tensors = Array.from(values, ([name, { shape, data }]) => ({ name, shape, read: async () => data }));
  await streamTensors(...fileAt(join(run, "model.safetensors")), tensors);
  writeFileSync(join(run, "tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
  const config = { name: "run", data: { kind: "emoji" }, model, training: { steps: 100 } };
  writeFileSync(join(run, "config.json"), JSON.stringify(config));

  const exported = join(work, "hf", "model.safetensors");
  await exportCheckpoint(run, exported);
  const { values: theirs, metadata } = await readTensors(...fileAt(exported));
  assert.is(metadata.format, "pt");
  assert.equal(theirs.get("vision_model.embeddings.patch_embedding.weight")!.shape, [24, 3, 8, 8]);
  assert.equal(theirs.get("text_encoder.encoder.layer.1.attention.self.value.bias")!.shape, [16]);
  const back = join(work, "back");
  let plan: ImportPlan | null = null;
  await importCheckpoint({ source: join(work, "hf"), out: back, show: (shown) => (plan = shown) });
  assert.equal(plan!.fresh, []);
  assert.equal(plan!.unexpected, []);
  assert.equal(
    await readFile(join(back, "model.safetensors")),
    await readFile(join(run, "model.safetensors")),
  );
  assert.equal(JSON.parse(await readFile(join(back, "config.json"), "utf8")).model, model);
  assert.equal(JSON.parse(await readFile(join(back, "tokenizer.json"), "utf8")), tokenizer.toJSON());
  // One that is stopped leaves nothing, whenever that is; a folder that was there before stays.
  for (const tensors of [0, 1, 30, 60]) {
    for (const out of [join(work, "stopped", "within"), join(work, "there")]) {
      await mkdir(join(work, "there"), { recursive: true });
      let read = 0;
      const stop = () => read++ >= tensors;
      assert.is(await importCheckpoint({ source: join(work, "hf"), out, show: () => {}, stop }), null);
      assert.ok(read > tensors);
      assert.is(existsSync(join(work, "stopped")), false);
      assert.equal(await readdir(join(work, "there")), []);
    }
  }
  // Neither writes over what is there.
  await exportCheckpoint(run, exported).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /already there/),
  );
  await importCheckpoint({ source: exported, out: back, show: () => {} }).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /already there/),
  );
});

test.after(() => rmSync(work, { recursive: true, force: true }));
test.run();
