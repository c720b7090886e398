// Evaluation within the device's bounds, and its yardstick of raw pixels, which has one size whatever the model sees.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits } from "../engine/index.ts";
import { Case } from "../model/case.ts";
import { modelSchema } from "../model/config.ts";
import { resizeBicubic } from "../model/picture.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { inMemory } from "../train/data/memory.ts";
import type { Split } from "../train/data/types.ts";
import { batchOf, embedPictures, embedQueries } from "../train/eval/embed.ts";
import { compareKinds } from "../train/eval/evaluate.ts";

const engine = await Engine.create();
const size = 48;
const count = 40;
const below = (index: number, limit: number) => randomBits({ key: 3, stream: 1 }, index) % limit;
const pictures = inMemory({
  ...{ size, names: Array.from({ length: count }, (_, i) => `${i}`) },
  pixels: Uint8Array.from({ length: count * 3 * size * size }, (_, i) => below(i, 256)),
});
const config = modelSchema.parse({
  vision: { imageSize: size, patchSize: 12, width: 16, depth: 1, heads: 2 },
  text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 12, maxLength: 8 },
  projection: 16,
});
const tokenizer = new Tokenizer([...specialTokens, "a", "b"]);
const model = new Case(engine, config, tokenizer.size);
model.parameters.initialize(1);
const ids = Int32Array.from({ length: count }, (_, i) => i);
const split: Split = {
  ...{ data: "emoji", name: "drawn", sources: [], notes: [] },
  pictures: Array.from(ids, (id) => ({ id: `${id}`, path: `${id}` })),
  galleries: [{ name: "drawn", pictures: ids }],
  queries: Array.from({ length: 30 }, (_, i) => ({
    ...{ id: `${i}`, reference: i, right: [(i * 7 + 3) % count], kind: "drawn" },
    texts: [i % 2 ? "a b" : "b"],
  })),
};
const asked = split.queries.map(({ reference, texts: [text] }) => ({ reference, text: text! }));

/** The model on an engine with room for so many bytes in a buffer. */
const within = (bytes: number) =>
  Object.create(model, { engine: { value: { largestStorage: bytes } } }) as Case;

test("as many pictures are encoded at a time as one buffer has room for", () => {
  // ViT-B/16 at 384 pixels: 577 tokens, 3072 wide in the middle, 7.1 MB each.
  const base = within(2 ** 27);
  Object.defineProperty(base, "config", { value: modelSchema.parse({ vision: { imageSize: 384 } }) });
  assert.is(batchOf(base, 128), Math.floor(2 ** 27 / (577 * 3072 * 4)));
  const tokens = 17;
  const widest = Math.max(tokens * 16 * 4, 3 * size * size) * 4;
  assert.is(batchOf(within(5 * widest), 128), 5);
  assert.is(batchOf(within(widest - 4), 128), 1);
  assert.is(batchOf(model, 128), 128);
});

test("small batches give the same embeddings", async () => {
  const whole = [
    await embedPictures(engine, model, pictures, ids),
    await embedQueries(engine, model, tokenizer, pictures, asked),
  ];
  const { largestStorage } = engine;
  Object.defineProperty(engine, "largestStorage", { value: 7 * 3 * size * size * 4, configurable: true });
  try {
    assert.is(batchOf(model, 128), 7);
    const parts = [
      await embedPictures(engine, model, pictures, ids),
      await embedQueries(engine, model, tokenizer, pictures, asked),
    ];
    for (const [i, part] of parts.entries())
      for (const [at, value] of part.entries()) assert.ok(Math.abs(value - whole[i]![at]!) < 1e-5);
  } finally {
    delete (engine as { largestStorage?: number }).largestStorage;
  }
  assert.is(engine.largestStorage, largestStorage);
});

test("the yardstick compares pictures of 32 pixels", async () => {
  const metrics = await compareKinds(engine, { split, pictures }, new Array(30).fill(1));
  const bytes = 3 * size * size;
  const small = Array.from(ids, (id) =>
    Float64Array.from(resizeBicubic(pictures.pixels.subarray(id * bytes, (id + 1) * bytes), size, size, 32)),
  );
  const distance = (a: number, b: number) =>
    small[a]!.reduce((sum, value, i) => sum + (value - small[b]![i]!) ** 2, 0);
  const ranks = split.queries.map(({ reference, right: [target] }) => {
    const own = distance(reference, target!);
    return ids.filter((id) => id !== reference && id !== target && distance(reference, id) <= own).length + 1;
  });
  for (const [key, k] of [
    ["r1", 1],
    ["r5", 5],
    ["r10", 10],
  ] as const)
    assert.is(metrics.pixels[key], (100 * ranks.filter((rank) => rank <= k).length) / ranks.length);
});

test.after(() => engine.dispose());

test.run();
