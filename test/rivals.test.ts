// Every way of fusion and every rival of the comparison, on the path that training takes, against the plain float64 model
// of plain-case.ts: embeddings, the loss of a batch with its reverse queries, and the gradient of every parameter.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, normal, RandomStreams, randomBits, uniform } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { mul } from "../kernels/elementwise/arithmetic.ts";
import { packBytes } from "../kernels/patch/patch.ts";
import { sum } from "../kernels/reduce/reduce.ts";
import { Case } from "../model/case.ts";
import { exportTensors } from "../model/checkpoint/export.ts";
import { modelSchema } from "../model/config.ts";
import { CheckpointError } from "../model/safetensors.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig, type RunConfig } from "../train/config.ts";
import {
  type BatchInputs,
  flatten,
  packBatch,
  packNames,
  type Row,
  unflatten,
} from "../train/data/collate.ts";
import type { Batch } from "../train/data/dataset.ts";
import { inMemory } from "../train/data/memory.ts";
import { embedPictures, embedQueries } from "../train/eval/embed.ts";
import { type HostTensor, normalizePictures, packTexts, upload, words } from "../train/inputs.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { batchLoss } from "../train/objective/batch.ts";
import { ablate, ablations } from "../train/run/ablations.ts";
import { PlainCase, type PlainValues } from "./plain-case.ts";

const engine = await Engine.create({ poison: true });
const size = 8;
const tokenizer = new Tokenizer([...specialTokens, "make", "it", "red", "round", "smaller"]);
const below = (seed: number, index: number, limit: number) =>
  randomBits({ key: seed, stream: 0 }, index) % limit;
const pictures = inMemory({
  ...{ size, names: Array.from({ length: 7 }, (_, i) => `picture ${i}`) },
  pixels: Uint8Array.from({ length: 7 * 3 * size * size }, (_, i) => below(9, i, 256)),
});

const base = parseConfig(
  {
    name: "small",
    data: { kind: "emoji" },
    model: {
      vision: { imageSize: size, patchSize: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2 },
      text: { width: 16, depth: 2, heads: 2, intermediate: 20, maxPositions: 10, maxLength: 8, dropout: 0 },
      projection: 12,
      temperature: { initial: 0.2 },
    },
    training: { steps: 2, warmup: 0, reverse: { weight: 0.4, share: 0.5 } },
  },
  "the test",
);

/** CASE, then every rival. */
const systems: RunConfig[] = [base, ...ablations.map((name) => ablate(base, name))];

/** Two triplets lead to one target by the same kind, so that a reverse query has a second right answer. */
const batch: Batch = {
  pictures: Int32Array.of(3, 0, 6, 2, 5),
  reference: Int32Array.of(0, 2, 3, 1),
  target: Int32Array.of(1, 1, 4, 2),
  text: ["make it red", "red", "round smaller make it", "it"],
  kind: ["colour", "colour", "shape", "shape"],
  ignore: Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
};

/** A model with values that no initialisation gives: no bias is 0, no norm 1. */
function makeSystem(config: RunConfig): { model: Case; values: Map<string, Float64Array> } {
  const model = makeModel(engine, config, tokenizer.size);
  const values = new Map<string, Float64Array>();
  for (const [i, { name, shape }] of model.parameters.specs.entries()) {
    const count = shape.reduce((a, b) => a * b, 1);
    const around = /norm.*weight$|share$/i.test(name) ? 1 : name === "temp" ? 0.2 : 0;
    const spread = name === "temp" ? 0 : 0.4;
    const draw = (at: number) => Math.fround(around + spread * normal({ key: 5, stream: i }, at));
    values.set(
      name,
      Float64Array.from({ length: count }, (_, at) => draw(at)),
    );
  }
  const shapes = new Map(model.parameters.specs.map(({ name, shape }) => [name, shape]));
  model.parameters.load(
    new Map([...values].map(([name, data]) => [name, { shape: shapes.get(name)!, data }])),
  );
  return { model, values };
}

const bytesOf = (id: number) => pictures.pixels.subarray(id * 3 * size ** 2, (id + 1) * 3 * size ** 2);

/** What the text of a query is to a model: an image-only one sees none. */
function idsOf({ model, training }: RunConfig, text: string, reverse = false): number[] {
  assert.ok(!reverse || training.reverse.weight > 0);
  const { maxLength, firstToken: first } = model.text;
  return tokenizer.encode(model.fusion === "image" ? "" : text, { maxLength, first, reverse });
}

/** The loss of the batch in float64, from its triplets rather than from what `packBatch` made of them. */
function plainLoss(config: RunConfig, values: PlainValues): number {
  const plain = new PlainCase(config.model, values);
  const tokens = Array.from(batch.pictures, (id) => plain.tokens(bytesOf(id)));
  const targets = tokens.map((rows) => plain.target(rows));
  const { weight, share } = config.training.reverse;
  const triplets = batch.text.length;
  const rowLoss = (i: number, reverse: boolean) => {
    const [from, to] = reverse ? [batch.target, batch.reference] : [batch.reference, batch.target];
    const query = plain.query(idsOf(config, batch.text[i]!, reverse), tokens[from[i]!]!);
    const temperature = values.get("temp")![0]!;
    const logits = targets.map(
      (target) => target.reduce((sum, value, j) => sum + value * query[j]!, 0) / temperature,
    );
    const other = (column: number) =>
      batch.text.some(
        (_, j) =>
          batch.reference[j] === column &&
          batch.target[j] === batch.target[i] &&
          batch.kind[j] === batch.kind[i],
      );
    const counted = logits.filter((_, column) => {
      if (column === to[i]) return true;
      return reverse ? !other(column) : !batch.ignore[i * targets.length + column];
    });
    return Math.log(counted.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[to[i]!]!;
  };
  const mean = (count: number, reverse: boolean) =>
    Array.from({ length: count }, (_, i) => rowLoss(i, reverse) / count).reduce((a, b) => a + b, 0);
  const back = Math.ceil(triplets * share);
  return mean(triplets, false) + (weight > 0 ? weight * mean(back, true) : 0);
}

/** Throws where the loss of packed inputs, or a parameter's gradient along a drawn direction, is not the plain one. */
async function compareGradients(
  model: Case,
  values: ReadonlyMap<string, Float64Array>,
  inputs: BatchInputs<HostTensor>,
  plain: (values: PlainValues) => number,
): Promise<void> {
  const streams = new RandomStreams(1);
  const { loss } = model.parameters.renewGradients(() => {
    const uploaded = unflatten(upload(engine, flatten(inputs)), inputs.parts.length);
    const result = batchLoss(model, { loss: "contrastive", cacheTokens: false }, uploaded, streams);
    backward(result.loss);
    return result;
  });
  const found = (await loss.read())[0]!;
  const wanted = plain(values);
  assert.ok(Math.abs(found - wanted) < 1e-5 * wanted, `loss ${found}, not ${wanted}`);
  const step = 1e-5;
  for (const [i, { name }] of model.parameters.specs.entries()) {
    const gradient = (await model.parameters.get(name).grad!.read()) as Float32Array;
    const own = values.get(name)!;
    const direction = own.map((_, at) => normal({ key: 6, stream: i }, at));
    const at = (factor: number) => {
      const moved = own.map((value, j) => value + factor * step * direction[j]!);
      return plain(new Map(values).set(name, moved));
    };
    const slope = (at(1) - at(-1)) / (2 * step);
    const mine = gradient.reduce((sum, value, j) => sum + value * direction[j]!, 0);
    const scale = Math.max(1e-4, Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0)));
    assert.ok(Math.abs(mine - slope) < 2e-4 * scale, `${name}: slope ${mine}, not ${slope}`);
  }
}

test("attention to the picture, word by word, is that of the plain model", async () => {
  const { model, values } = makeSystem(base);
  const plain = new PlainCase(base.model, values);
  const picked = [6, 3];
  const texts = ["make it red", "round"];
  const { packed, ...text } = upload(engine, {
    packed: words(packBytes(await pictures.read(picked))),
    ...packTexts(tokenizer, base.model, texts),
  });
  const maps = engine.inference(() => {
    const pixels = normalizePictures(packed, picked.length, size, base.model.vision);
    return model.attentionMaps(text, model.encodeImages(pixels));
  });
  assert.is(maps.length, base.model.text.depth);
  for (const [layer, map] of maps.entries()) {
    const [, heads, length, keys] = map.shape as [number, number, number, number];
    const found = await map.read();
    for (const [i, one] of texts.entries()) {
      const wanted = plain.attentionMaps(idsOf(base, one), plain.tokens(bytesOf(picked[i]!)))[layer]!;
      for (const [head, rows] of wanted.entries()) {
        for (const [token, shares] of rows.entries()) {
          assert.is(shares.length, keys);
          for (const [key, share] of shares.entries()) {
            const mine = found[((i * heads + head) * length + token) * keys + key]!;
            assert.ok(
              Math.abs(mine - share) < 3e-6,
              `layer ${layer}, head ${head}, token ${token}: ${mine}, not ${share}`,
            );
          }
        }
      }
    }
  }
});

for (const config of systems) {
  test(`${config.name}: queries and targets are those of the plain model`, async () => {
    const { model, values } = makeSystem(config);
    const plain = new PlainCase(config.model, values);
    const queries = batch.text.map((text, i) => ({ reference: batch.reference[i]!, text }));
    const found = await embedQueries(engine, model, tokenizer, pictures, queries);
    const wanted = queries.flatMap(({ reference, text }) =>
      plain.query(idsOf(config, text), plain.tokens(bytesOf(reference))),
    );
    const gallery = await embedPictures(engine, model, pictures, [4, 1]);
    const targets = [4, 1].flatMap((id) => plain.target(plain.tokens(bytesOf(id))));
    for (const [mine, theirs] of [
      [found, wanted],
      [gallery, targets],
    ] as const) {
      assert.is(mine.length, theirs.length);
      mine.forEach((value, i) => {
        assert.ok(Math.abs(value - theirs[i]!) < 3e-6, `${i}: ${value}, not ${theirs[i]}`);
      });
    }
    // What a rival can't see must not show, and what it can see must.
    const other = queries.map(({ reference }) => ({ reference, text: "smaller" }));
    const moved = await embedQueries(engine, model, tokenizer, pictures, other);
    const elsewhere = queries.map(({ reference, text }) => ({ reference: (reference + 1) % 7, text }));
    const shifted = await embedQueries(engine, model, tokenizer, pictures, elsewhere);
    const same = (a: Float32Array) => a.every((value, i) => Math.abs(value - found[i]!) < 1e-6);
    assert.is(same(moved), config.model.fusion === "image");
    assert.is(same(shifted), config.model.fusion === "text");
    model.dispose();
  });

  test(`${config.name}: the loss and every parameter's gradient are those of the plain model`, async () => {
    const { model, values } = makeSystem(config);
    const { inputs, rows } = packBatch(config, tokenizer, batch, await pictures.read(batch.pictures));
    const reversed = config.training.reverse.weight > 0 ? 2 : 0;
    const kinds = (kind: Row) => rows.filter((row) => row === kind).length;
    assert.equal([kinds("forward"), kinds("reverse")], [4, reversed]);
    await compareGradients(model, values, inputs, (changed) => plainLoss(config, changed));
    model.dispose();
  });
}

test("dropout is where BERT has it: with known masks queries and gradients are those of the plain model", async () => {
  const probability = 0.3;
  const config = parseConfig(
    { ...base, model: { ...base.model, text: { ...base.model.text, dropout: probability } } },
    "the test",
  );
  const { model, values } = makeSystem(config);
  const texts = ["make it red", "it red round", "smaller smaller it"];
  const ids = texts.map((text) => idsOf(config, text));
  const references = [2, 0, 2];
  const seen = [0, 2].map((id) => bytesOf(id));
  const rowOf = references.map((id) => [0, 2].indexOf(id));
  const width = config.model.projection;
  // A number that all elements of the queries change.
  const weights = Float64Array.from({ length: texts.length * width }, (_, i) =>
    normal({ key: 8, stream: 0 }, i),
  );
  const keys = (() => {
    const streams = new RandomStreams(11, 3);
    return Array.from({ length: 1 + 5 * config.model.text.depth }, () => streams.stream());
  })();
  const factor = (dropout: number, element: number) =>
    uniform(keys[dropout]!, element) >= probability ? 1 / (1 - probability) : 0;
  const plain = (changed: PlainValues) => {
    const own = new PlainCase(config.model, changed);
    const tokens = seen.map((bytes) => own.tokens(bytes));
    return ids.flatMap((one, text) => own.query(one, tokens[rowOf[text]!]!, { factor, text }));
  };
  const score = (changed: PlainValues) =>
    plain(changed).reduce((sum, value, i) => sum + value * weights[i]!, 0);
  for (const checkpointing of [false, true]) {
    const streams = new RandomStreams(11, 3);
    const inputs = upload(engine, {
      pixels: words(packBytes(Uint8Array.from(seen.flatMap((bytes) => [...bytes])))),
      ids: words(Uint32Array.from(ids.flat()), [texts.length, ids[0]!.length]),
      mask: words(new Uint32Array(ids.flat().length).fill(1), [texts.length, ids[0]!.length]),
      source: words(packSource(rowOf, 2)),
      weights: { values: Float32Array.from(weights), shape: [texts.length, width], dtype: "f32" as const },
    });
    const own = checkpointing ? new Case(engine, config.model, tokenizer.size, { checkpointing }) : model;
    if (checkpointing) own.parameters.load(await model.parameters.read());
    const queries = own.parameters.renewGradients(() => {
      const pixels = normalizePictures(inputs.pixels, 2, size, config.model.vision);
      const found = own.embedQueries(inputs, own.encodeImages(pixels), inputs.source, streams);
      backward(sum(mul(found, inputs.weights)));
      return engine.keep(found);
    });
    const found = await queries.read();
    plain(values).forEach((value, i) => {
      assert.ok(Math.abs(found[i]! - value) < 3e-6, `${i}: ${found[i]}, not ${value}`);
    });
    const step = 1e-5;
    for (const [i, { name }] of own.parameters.specs.entries()) {
      const gradient = (await own.parameters.get(name).grad!.read()) as Float32Array;
      const before = values.get(name)!;
      const direction = before.map((_, at) => normal({ key: 7, stream: i }, at));
      const at = (by: number) =>
        score(
          new Map(values).set(
            name,
            before.map((value, j) => value + by * step * direction[j]!),
          ),
        );
      const slope = (at(1) - at(-1)) / (2 * step);
      const mine = gradient.reduce((sum, value, j) => sum + value * direction[j]!, 0);
      const scale = Math.max(1e-4, Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0)));
      assert.ok(Math.abs(mine - slope) < 2e-4 * scale, `${name}: slope ${mine}, not ${slope}`);
    }
    queries.dispose();
    if (checkpointing) own.dispose();
  }
  model.dispose();
});

test("names are texts by themselves: their loss and its gradients are those of the plain model", async () => {
  // One name is that of two pictures.
  const own = Int32Array.of(0, 1, 2, 3);
  const ignore = new Uint8Array(16);
  ignore[2] = 1;
  ignore[8] = 1;
  const named: Batch = {
    pictures: Int32Array.of(4, 1, 0, 6),
    ...{ reference: own, target: own, text: ["red", "make it", "red", "smaller round"] },
    ...{ kind: ["name", "name", "name", "name"], ignore },
  };
  const { model, values } = makeSystem(base);
  for (const accumulation of [1, 2]) {
    const config = { ...base, training: { ...base.training, accumulation } };
    const { inputs, rows } = packNames(config, tokenizer, named, await pictures.read(named.pictures));
    assert.is(rows.filter((row) => row === "forward").length, 4);
    assert.not.ok(rows.includes("reverse"));
    await compareGradients(model, values, inputs, (changed) => {
      const plain = new PlainCase(base.model, changed);
      const targets = Array.from(named.pictures, (id) => plain.target(plain.tokens(bytesOf(id))));
      const losses = named.text.map((text, i) => {
        const query = plain.name(idsOf(base, text));
        const powers = targets.map((target) =>
          Math.exp(target.reduce((sum, value, j) => sum + value * query[j]!, 0) / changed.get("temp")![0]!),
        );
        const counted = powers.filter((_, j) => !ignore[4 * i + j]);
        return Math.log(counted.reduce((a, b) => a + b, 0) / powers[i]!);
      });
      return losses.reduce((a, b) => a + b, 0) / losses.length;
    });
  }
  model.dispose();
});

test("every value of fusion is compared, and each rival differs from CASE", () => {
  const fusions = new Set(systems.map(({ model }) => model.fusion));
  assert.equal([...fusions].sort(), ["combiner", "early", "gate", "image", "late", "text"]);
  const { fusion } = modelSchema.shape;
  assert.equal([...fusion.unwrap().options].sort(), [...fusions].sort());
  const forms = systems.map(({ model, training }) => `${model.fusion} ${training.reverse.weight}`);
  assert.is(new Set(forms).size, systems.length);
});

test("no rival without cross-attention is exported as a BLIP", () => {
  for (const { model } of systems) {
    if (model.fusion === "early") continue;
    assert.throws(
      () => exportTensors(model, tokenizer.size, new Map()),
      (error: Error) => error instanceof CheckpointError && error.message.includes(`"${model.fusion}"`),
    );
  }
});

test.after(() => engine.dispose());

test.run();
