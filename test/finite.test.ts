// Numbers that are none: a weight that is NaN or infinite is told by its name and place, and an embedding that is, as
// one that overflows in f16 becomes, is an error wherever embeddings go: embed, search, evaluation.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { firstNotFinite, notFinite } from "../model/finite.ts";
import {
  CheckpointError,
  readSafetensors,
  type TensorToStore,
  writeSafetensors,
} from "../model/safetensors.ts";
import { inMemory } from "../train/data/memory.ts";
import type { Split } from "../train/data/types.ts";
import { embedPictures, embedQueries, NotFiniteError } from "../train/eval/embed.ts";
import { embedSplit } from "../train/eval/evaluate.ts";
import { embed } from "../train/run/embed.ts";
import type { RunEvents } from "../train/run/events.ts";
import { exportCheckpoint, importCheckpoint } from "../train/run/import.ts";
import { openModel } from "../train/run/open.ts";
import { search } from "../train/run/search.ts";
import { beside, folders, safetensors } from "./small-blip.ts";

const work = mkdtempSync(join(tmpdir(), "casement-finite-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const folder = folders(work);

let outs = 0;
/** Imports weights, changed; returns the new folder. */
async function imported(alter: (name: string, values: Float32Array) => void): Promise<string> {
  const source = folder({ ...beside, "model.safetensors": safetensors({ alter }) });
  const out = join(work, `out-${outs++}`, "deep");
  await importCheckpoint({ source, out, show: () => {} });
  return out;
}

async function fails(
  action: () => Promise<unknown>,
  type: abstract new (...given: never[]) => Error,
  pattern: RegExp,
): Promise<void> {
  const error = await action().then(
    () => null,
    (thrown) => thrown,
  );
  assert.instance(error, type, `${pattern}: ${error?.stack}`);
  assert.match(error.message, pattern);
}

test("the first number that is none is found, wherever it is", () => {
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const at of [0, 7, 23]) {
      const values = Float32Array.from({ length: 24 }, (_, i) => (i - 12) * 1e37);
      assert.is(firstNotFinite(values), -1);
      assert.is(notFinite(values, [2, 3, 4]), null);
      values[at] = odd;
      assert.is(firstNotFinite(values), at);
      const place = [Math.floor(at / 12), Math.floor(at / 4) % 3, at % 4].join(", ");
      assert.is(notFinite(values, [2, 3, 4]), `${odd} at [${place}]`);
      values.fill(Number.NaN, at + 1);
      if (at < 23) assert.match(notFinite(values, [24])!, new RegExp(`the first of ${24 - at} numbers`));
    }
  }
});

const query = "text_encoder.encoder.layer.0.attention.self.query.weight";

test("import names the tensor and the place, and leaves nothing behind", async () => {
  for (const [name, at, odd, told] of [
    [query, 0, Number.NaN, "NaN at [0, 0]"],
    ["vision_model.embeddings.class_embedding", 5, Number.POSITIVE_INFINITY, "Infinity at [0, 0, 5]"],
    ["vision_model.encoder.layers.1.mlp.fc2.bias", 3, Number.NEGATIVE_INFINITY, "-Infinity at [3]"],
    ["text_encoder.embeddings.word_embeddings.weight", 13 * 24 + 2, Number.NaN, "NaN at [13, 2]"],
    ["text_proj.weight", 30, Number.NaN, "NaN at [1, 6]"],
  ] as const) {
    await fails(
      () =>
        imported((other, values) => {
          if (other === name) values[at] = odd;
        }),
      CheckpointError,
      new RegExp(`tensor "${name}" is ${told}$`.replaceAll(/[[\].]/g, "\\$&")),
    );
    assert.not.ok(existsSync(join(work, `out-${outs - 1}`)));
  }
  // What float64 holds and float32 does not.
  const bytes = safetensors();
  const { tensors } = readSafetensors(bytes);
  const wide = Float64Array.from({ length: 16 }, (_, i) => (i === 9 ? 1e39 : i));
  const source = folder({
    ...beside,
    "model.safetensors": writeSafetensors(
      new Map<string, TensorToStore>([
        ...tensors,
        ["vision_proj.bias", { dtype: "F64", shape: [16], data: wide }],
      ]),
    ),
  });
  await fails(
    () => importCheckpoint({ source, out: join(work, "wide"), show: () => {} }),
    CheckpointError,
    /"vision_proj\.bias" is Infinity at \[9\], as float32/,
  );
  // Nobody needs the matching head.
  await imported((name, values) => {
    if (name === "itm_head.weight") values.fill(Number.NaN);
  });
});

test("a folder whose weights are not finite is refused by name", async () => {
  const out = await imported(() => {});
  const file = join(out, "model.safetensors");
  const { tensors } = readSafetensors(readFileSync(file));
  const fused = "text_encoder.encoder.layer.0.attention.self.qkv.weight";
  const { shape, data } = tensors.get(fused)!;
  const values = new Float32Array(new Uint8Array(data).buffer);
  values[25] = Number.NaN;
  writeFileSync(
    file,
    writeSafetensors(
      new Map<string, TensorToStore>([...tensors, [fused, { dtype: "F32", shape, data: values }]]),
    ),
  );
  await fails(
    () => exportCheckpoint(out, join(work, "export/model.safetensors")),
    CheckpointError,
    /qkv\.weight" is NaN at \[1, 1\]/,
  );
  assert.not.ok(existsSync(join(work, "export/model.safetensors")));
  await fails(
    () => openModel(out),
    Error,
    /"text_encoder\.encoder\.layer\.0\.attention\.self\.qkv\.weight" is NaN at \[1, 1\]/,
  );
});

const quiet: RunEvents = { message: () => {}, step: () => {}, progress: () => {} };

/** A picture file. */
async function pictureFile(): Promise<string> {
  const file = join(work, "picture.png");
  await sharp({ create: { width: 9, height: 9, channels: 3, background: "#123456" } }).toFile(file);
  return file;
}

/** Everything that makes embeddings, on a model whose numbers overflow in its precision. */
async function refusedEverywhere(dir: string, precision: "f32" | "f16", why: RegExp): Promise<void> {
  const model = await openModel(dir, { precision });
  const size = model.config.model.vision.imageSize;
  const count = 4;
  const names = Array.from({ length: count }, (_, i) => `picture ${i}`);
  const pixels = Uint8Array.from({ length: count * 3 * size * size }, (_, i) => (i * 37) % 251);
  const pictures = inMemory({ size, names, pixels });
  const file = await pictureFile();
  const split: Split = {
    ...{ data: "emoji", name: "all", sources: [], notes: [] },
    pictures: names.map((name) => ({ id: name, path: name })),
    queries: [{ id: "0", reference: 1, texts: ["a b"], right: [2] }],
    galleries: [{ name: "all", pictures: Int32Array.of(0, 1, 2, 3) }],
  };
  const { engine, model: net, tokenizer } = model;
  const expect = (action: () => Promise<unknown>, of: string) =>
    fails(action, NotFiniteError, new RegExp(`The embedding of ${of} is not finite: .*${why.source}`));
  await expect(() => embed(model, { image: file }), ".*picture\\.png");
  await expect(() => embed(model, { text: "a b" }), '"a b"');
  await expect(() => embed(model, { image: file, text: "a b" }), '.*picture\\.png with "a b"');
  await expect(() => embedPictures(engine, net, pictures, [2, 3]), "picture 2");
  await expect(
    () => embedQueries(engine, net, tokenizer, pictures, [{ reference: 1, text: "a b" }]),
    'picture 1 with "a b"',
  );
  await expect(() => search(model, { pictures, ids: [0, 1, 2, 3] }, file, "a b", 2, quiet), "picture 0");
  await expect(
    () => embedSplit(engine, net, tokenizer, { split, pictures }, new Float32Array(4 * 16), "as written"),
    'picture 1 with "a b"',
  );
  engine.dispose();
}

/** Both encoders' first layers make numbers of about `size`. */
const inflated = (size: number) => (name: string, values: Float32Array) => {
  if (/layers?\.0\.(mlp\.fc1|intermediate\.dense)\.bias$/.test(name)) values.fill(size);
};

test("an embedding that overflows is an error in embed, search and evaluation; f16's says that f32 works", async () => {
  await refusedEverywhere(await imported(inflated(3e38)), "f32", /pass what f32 holds/);
  const dir = await imported(inflated(5e4));
  const whole = await openModel(dir, { precision: "f32" });
  const { embedding } = await embed(whole, { text: "a b" });
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  const { hasF16 } = whole.engine;
  whole.engine.dispose();
  if (!hasF16) {
    console.log("\nskipped: embeddings that overflow in f16 (the adapter has no f16)");
    return;
  }
  await refusedEverywhere(dir, "f16", /65504.*--precision f32/);
});

const hard = fileURLToPath(new URL("../../shared/data/hard-cases/", import.meta.url));
test("files that failed once", async () => {
  if (!existsSync(hard)) {
    console.log(
      "\nskipped: files that failed once (they are not beside this checkout; their kinds are tested above)",
    );
    return;
  }
  const importing = (name: string) =>
    importCheckpoint({ source: join(hard, name), out: join(work, name), show: () => {} });
  await fails(() => importing("I16-nan-query"), CheckpointError, new RegExp(`"${query}" is NaN at`));
  await importing("I31-large-activations");
  const [dir, image] = [join(work, "I31-large-activations"), await pictureFile()];
  const whole = await openModel(dir, { precision: "f32" });
  const { embedding } = await embed(whole, { image });
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  const { hasF16 } = whole.engine;
  whole.engine.dispose();
  if (!hasF16) return;
  const half = await openModel(dir, { precision: "f16" });
  await fails(() => embed(half, { image }), NotFiniteError, /65504.*--precision f32/);
  half.engine.dispose();
});

test.run();
