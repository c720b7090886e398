// A frozen ViT's tokens from the disk: the same training within what f16 rounds, each picture encoded once.
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits } from "../engine/index.ts";
import { packBytes } from "../kernels/patch/patch.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import type { TrainingSet } from "../train/data/dataset.ts";
import { inMemory } from "../train/data/memory.ts";
import { joinPictures } from "../train/data/sequence.ts";
import { normalizePictures, upload, words } from "../train/inputs.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { tokenBytes } from "../train/run/still.ts";
import { onDisk, TokenCache } from "../train/run/tokens.ts";
import { makeTrainer } from "../train/run/trainer.ts";

const engine = await Engine.create({ poison: true });
const scratch = mkdtempSync(join(tmpdir(), "casement-tokens-"));
test.after(() => {
  engine.dispose();
  rmSync(scratch, { recursive: true });
});
let folders = 0;
const newFolder = () => join(scratch, `${folders++}`);

const size = 8;
const count = 40;
const tokenizer = new Tokenizer([...specialTokens, "a", "b"]);
const below = (seed: number, index: number, limit: number) =>
  randomBits({ key: seed, stream: 0 }, index) % limit;
const pictures = inMemory({
  size,
  names: Array.from({ length: count }, (_, i) => `${i}`),
  pixels: Uint8Array.from({ length: count * 3 * size * size }, (_, i) => below(9, i, 256)),
});

/** Batches of ten pictures out of forty, so that steps share some. */
const set: TrainingSet = {
  name: "drawn",
  pictures,
  triplets: 100,
  texts: () => ["a b a b", "a"],
  sampleBatch: ({ pictures: many, triplets, seed, step }) => ({
    pictures: Int32Array.from({ length: many }, (_, i) => (i * 7 + 3 * step) % count),
    reference: Int32Array.from({ length: triplets }, (_, i) => below(seed + step, i, many)),
    target: Int32Array.from(
      { length: triplets },
      (_, i) => (below(seed + step, i, many) + 1 + (i % 3)) % many,
    ),
    text: Array.from({ length: triplets }, (_, i) => (i % 3 === 0 ? "a b a b" : "a")),
    kind: new Array<string>(triplets).fill("change"),
    ignore: new Uint8Array(triplets * many),
  }),
};

function configOf(training: Record<string, unknown> = {}) {
  return parseConfig(
    {
      name: "tokens",
      data: { kind: "emoji" },
      model: {
        vision: { imageSize: size, patchSize: 4, width: 16, depth: 2, heads: 2 },
        text: { width: 16, depth: 2, heads: 2, intermediate: 32, maxPositions: 12, maxLength: 8 },
        projection: 16,
      },
      training: { steps: 9, warmup: 0, pictures: 10, triplets: 14, freezeVision: true, ...training },
    },
    "the test",
  );
}

async function trained(training: Record<string, unknown>, cacheDir = newFolder(), steps = 9) {
  const config = configOf(training);
  const model = makeModel(engine, config, tokenizer.size);
  model.parameters.initialize(3);
  const trainer = makeTrainer(engine, model, tokenizer, set, config, { keep: onDisk({ cacheDir }) });
  const losses: number[] = [];
  await trainer.run(steps, ({ loss }: StepRecord) => {
    losses.push(loss);
  });
  const values = new Map<string, Float32Array>();
  for (const { name, read } of model.parameters.entries()) values.set(name, await read());
  trainer.dispose();
  model.dispose();
  return { losses, values };
}

const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((x, i) => x - b[i]!));

test("nine steps on tokens from the disk are nine steps on pictures, within what f16 rounds", async () => {
  for (const accumulation of [1, 2]) {
    const plain = await trained({ accumulation });
    const cached = await trained({ accumulation, cacheTokens: true });
    const start = await trained({}, undefined, 0);
    assert.not.equal(cached.losses, plain.losses, "tokens are rounded");
    for (const [i, loss] of plain.losses.entries())
      assert.ok(
        Math.abs(cached.losses[i]! - loss) < 2e-3 * loss,
        `step ${i}: ${cached.losses[i]} and ${loss}`,
      );
    // AdamW's steps are as long for small gradients as for large ones, so a single parameter may differ by more.
    let [apart, away] = [0, 0];
    for (const [name, values] of plain.values) {
      const found = cached.values.get(name)!;
      if (name.startsWith("vision_model.")) assert.equal(found, values, name);
      apart += distance(values, found) ** 2;
      away += distance(values, start.values.get(name)!) ** 2;
    }
    assert.ok(away > 0 && Math.sqrt(apart / away) < 0.03, `${Math.sqrt(apart)} apart, of ${Math.sqrt(away)}`);
  }
});

test("a second run encodes nothing and comes to the same bits; freezing by groups is freezing", async () => {
  const cacheDir = newFolder();
  const first = await trained({ cacheTokens: true }, cacheDir);
  const folder = join(cacheDir, readdirSync(cacheDir)[0]!);
  const files = readdirSync(folder);
  const groups = [{ match: "vision_model.*", rate: 0 }];
  const again = await trained({ cacheTokens: true, freezeVision: false, groups }, cacheDir);
  assert.equal(again, first);
  assert.equal(readdirSync(folder), files);
  assert.equal(readdirSync(cacheDir).length, 1);
});

/** A model whose ViT has the values of a seed. */
function modelOf(seed: number) {
  const model = makeModel(engine, configOf({ cacheTokens: true }), tokenizer.size);
  model.parameters.initialize(seed);
  return model;
}
const length = tokenBytes(configOf().model.vision);

test("tokens are the encoder's, rounded; each picture is encoded once, whoever asks for it", async () => {
  const model = modelOf(3);
  const cacheDir = newFolder();
  const cache = new TokenCache(engine, model, pictures, { cacheDir, shardBytes: 5 * length });
  const asked = [[5, 1, 1, 39], [39, 2, 5], [7]];
  const read = await Promise.all(asked.map((ids) => cache.read(ids)));
  assert.is(cache.encoded, 5);
  const { vision } = model.config;
  for (const [i, ids] of asked.entries()) {
    const { bytes } = upload(engine, { bytes: words(packBytes(await pictures.read(ids))) });
    const exact = (await engine
      .inference(() => model.encodeImages(normalizePictures(bytes!, ids.length, size, vision)))
      .read()) as Float32Array;
    const halves = engine.tensor(new Uint32Array(read[i]!.buffer), [read[i]!.length / 4], "u32");
    assert.is(read[i]!.length, ids.length * length);
    const { unpackHalves } = await import("../kernels/elementwise/halves.ts");
    const found = (await unpackHalves(halves, [exact.length]).read()) as Float32Array;
    for (const [at, value] of exact.entries())
      assert.ok(Math.abs(found[at]! - value) < 2 ** -10 * Math.abs(value) + 1e-4, `${value}, ${found[at]}`);
    bytes!.dispose();
    halves.dispose();
  }
  await cache.close();

  const second = new TokenCache(engine, model, pictures, { cacheDir, shardBytes: 5 * length });
  assert.equal(await second.read(asked[0]!), read[0]);
  assert.is(second.encoded, 0);
  // Beside others a picture has the same tokens, to the last bit.
  const rest = Array.from({ length: count }, (_, id) => id);
  assert.equal((await second.read(rest)).slice(5 * length, 6 * length), read[0]!.slice(0, length));
  assert.is(second.encoded, count - 5);
  await second.close();
  model.dispose();
});

test("other weights have tokens of their own, and a flipped byte is not trained on", async () => {
  const cacheDir = newFolder();
  const results: Uint8Array[] = [];
  for (const seed of [3, 4]) {
    const model = modelOf(seed);
    const cache = new TokenCache(engine, model, pictures, { cacheDir });
    results.push(await cache.read([8]));
    await cache.close();
    model.dispose();
  }
  assert.not.equal(results[0], results[1]);
  assert.is(readdirSync(cacheDir).length, 2);
  for (const folder of readdirSync(cacheDir)) {
    const file = openSync(join(cacheDir, folder, "shard-0000"), "r+");
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, 8 * length + 5);
    byte[0]! ^= 16;
    writeSync(file, byte, 0, 1, 8 * length + 5);
    closeSync(file);
  }
  const model = modelOf(4);
  const cache = new TokenCache(engine, model, pictures, { cacheDir });
  assert.equal(await cache.read([8]), results[1]);
  await cache.close();
  model.dispose();
});

test("pictures that know their digests are not read for them, also when joined", async () => {
  let reads = 0;
  const known = {
    ...pictures,
    read: async (ids: ArrayLike<number>) => {
      reads += ids.length;
      return pictures.read(ids);
    },
    digest: (id: number) => Uint8Array.of(id, 1, 2),
  };
  const joined = joinPictures([known, known]);
  assert.equal(joined.digest!(count + 3), Uint8Array.of(3, 1, 2));
  assert.is(joinPictures([known, pictures]).digest, undefined);
  const model = modelOf(3);
  const cache = new TokenCache(engine, model, joined, { cacheDir: newFolder() });
  await cache.read([count + 3]);
  assert.is(reads, 16, "the pictures of one encoding");
  await cache.close();
  model.dispose();
});

test("a ViT that learns, or pictures that move, are refused", () => {
  for (const [training, message] of [
    [
      { freezeVision: false },
      /cacheTokens keeps what the ViT makes .*vision_model\S+ learns; training\.freezeVision/,
    ],
    [{ groups: [{ match: "*norm*", rate: 0.1 }] }, /vision_model\S*norm\S* learns/],
    [{ augment: { shift: 1 } }, /training\.augment changes pictures/],
  ] as const) {
    const config = configOf({ ...training, cacheTokens: true });
    const model = makeModel(engine, config, tokenizer.size);
    assert.throws(() => makeTrainer(engine, model, tokenizer, set, config), message);
    model.dispose();
  }
});

test.run();
