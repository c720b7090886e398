// Batches in parts: nothing is lost or doubled when a batch is divided, and parts cost the memory of one.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits, type Tensor } from "../engine/index.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { concat } from "../kernels/shape/slice.ts";
import { Case } from "../model/case.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig, type RunConfig } from "../train/config.ts";
import { packBatch, unflatten } from "../train/data/collate.ts";
import type { Batch } from "../train/data/dataset.ts";
import { divide } from "../train/data/divide.ts";
import { inMemory } from "../train/data/memory.ts";
import type { Sync } from "../train/loop/sync.ts";
import { type Task, Trainer } from "../train/loop/trainer.ts";
import { type BatchLoss, batchLoss } from "../train/objective/batch.ts";
import { makeTrainer, packerOf } from "../train/run/trainer.ts";

const below = (seed: number, index: number, limit: number) =>
  randomBits({ key: seed, stream: 0 }, index) % limit;

test("one part is the batch as it is", () => {
  assert.equal(divide([2, 0, 0], 3, 1), { pictures: [[0, 1, 2]], queries: [[0, 1, 2]] });
});

test("each picture is in one part, each query with its picture, all parts alike", () => {
  for (let seed = 0; seed < 200; seed++) {
    const pictures = 2 + below(seed, 0, 40);
    const parts = 2 + below(seed, 1, Math.min(7, pictures - 1));
    const source = Array.from({ length: 1 + below(seed, 2, 90) }, (_, i) => below(seed, 3 + i, pictures));
    const division = divide(source, pictures, parts);
    const there = (list: number[][]) =>
      list
        .flat()
        .filter((i) => i >= 0)
        .sort((a, b) => a - b);
    assert.equal(there(division.pictures), [...Array(pictures).keys()]);
    assert.equal(there(division.queries), [...source.keys()]);
    assert.is(new Set(division.pictures.map(({ length }) => length)).size, 1);
    assert.is(new Set(division.queries.map(({ length }) => length)).size, 1);
    assert.is(division.pictures[0]!.length, Math.ceil(pictures / parts));
    division.queries.forEach((queries, part) => {
      for (const query of queries)
        if (query >= 0) assert.ok(division.pictures[part]!.includes(source[query]!), `seed ${seed}`);
    });
  }
});

const size = 8;
const tokenizer = new Tokenizer([...specialTokens, "a", "b"]);
const pictureSet = inMemory({
  size,
  names: Array.from({ length: 40 }, (_, i) => `${i}`),
  pixels: Uint8Array.from({ length: 40 * 3 * size * size }, (_, i) => below(9, i, 256)),
});

function drawBatch(pictures: number, triplets: number, seed: number): Batch {
  const reference = Int32Array.from({ length: triplets }, (_, i) => below(seed, 2 * i, pictures));
  const target = reference.map((at, i) => (at + 1 + below(seed, 2 * i + 1, pictures - 1)) % pictures);
  const ignore = new Uint8Array(triplets * pictures);
  for (let i = 0; i < triplets; i++) {
    const other = below(seed + 1, i, pictures);
    if (other !== target[i]) ignore[i * pictures + other] = 1;
  }
  return {
    pictures: Int32Array.from({ length: pictures }, (_, i) => (i * 7) % 40),
    ...{ reference, target, ignore },
    text: Array.from({ length: triplets }, (_, i) => (i % 3 === 0 ? "a b a b" : "a")),
    kind: Array.from({ length: triplets }, (_, i) => (i % 2 ? "colour" : "shape")),
  };
}

function configOf(
  training: Record<string, unknown>,
  { text = {}, ...model }: { text?: object; fusion?: unknown } = {},
) {
  return parseConfig(
    {
      name: "parts",
      data: { kind: "emoji" },
      model: {
        vision: { imageSize: size, patchSize: 4, width: 16, depth: 2, heads: 2 },
        text: { width: 16, depth: 2, heads: 2, intermediate: 32, maxPositions: 12, maxLength: 8, ...text },
        projection: 16,
        ...model,
      },
      training: { steps: 9, warmup: 0, ...training },
    },
    "the test",
  );
}

/** Of each row, the columns that it ignores. */
async function ignoredBy(batch: Batch, training: Record<string, unknown>): Promise<number[][]> {
  const config = configOf({ reverse: { weight: 0.5, share: 0.5 }, ...training });
  const pixels = await pictureSet.read(batch.pictures);
  const { inputs, rows } = packBatch(config, tokenizer, batch, pixels);
  const columns = inputs.ignored.shape[1]!;
  return rows.map((_, row) =>
    [...Array(columns).keys()].filter((column) => inputs.ignored.values[row * columns + column]),
  );
}

test("a query's own picture is a wrong answer or none, as the configuration has it", async () => {
  const batch = drawBatch(12, 20, 12);
  const negative = await ignoredBy(batch, {});
  const ignored = await ignoredBy(batch, { reference: "ignored" });
  assert.is(negative.length, 30);
  for (const [row, columns] of ignored.entries()) {
    const own = row < 20 ? batch.reference[row]! : batch.target[row - 20]!;
    const others = negative[row]!.filter((column) => column !== own);
    assert.equal(
      columns.filter((column) => column !== own),
      others,
    );
    assert.ok(columns.includes(own), `row ${row}`);
  }
  assert.ok(negative.some((columns, row) => row < 20 && !columns.includes(batch.reference[row]!)));
});

test("reversed queries ignore the references that the data set names, or those of equal triplets", async () => {
  const batch = drawBatch(12, 20, 12);
  const told = new Uint8Array(20 * 12);
  for (let i = 0; i < 20; i++) told[i * 12 + ((batch.reference[i]! + 1 + (i % 5)) % 12)] = 1;
  const byData = await ignoredBy({ ...batch, ignoreReversed: told }, {});
  const byKind = await ignoredBy(batch, {});
  assert.equal(byData.slice(0, 20), byKind.slice(0, 20));
  for (let i = 0; i < 10; i++) {
    assert.equal(byData[20 + i], [(batch.reference[i]! + 1 + (i % 5)) % 12]);
    const twins = [...Array(20).keys()].filter(
      (j) => batch.target[i] === batch.target[j] && batch.kind[i] === batch.kind[j],
    );
    const others = new Set(twins.map((j) => batch.reference[j]!).filter((p) => p !== batch.reference[i]));
    assert.equal(
      byKind[20 + i],
      [...others].sort((a, b) => a - b),
    );
  }
});

test("packed in parts every query keeps its picture, its answer and what it ignores", async () => {
  for (const [pictures, triplets, accumulation] of [
    [12, 20, 3],
    [13, 31, 4],
    [40, 7, 6],
  ] as const) {
    const batch = drawBatch(pictures, triplets, pictures);
    const pixels = await pictureSet.read(batch.pictures);
    const pack = (parts: number) => {
      const config = configOf({ accumulation: parts, reverse: { weight: 0.5, share: 0.5 } });
      const { inputs, rows } = packBatch(config, tokenizer, batch, pixels);
      const columns = inputs.ignored.shape[1]!;
      const perPart = columns / inputs.parts.length;
      const bytes = 3 * size * size;
      // A picture is known by its bytes, a query by all that is asked of it.
      const pictureAt = (column: number) => {
        const { values } = inputs.parts[Math.floor(column / perPart)]!.pictures;
        const from = (column % perPart) * bytes;
        return `${new Uint8Array(values.buffer, values.byteOffset, values.byteLength).subarray(from, from + bytes)}`;
      };
      const queriesPerPart = rows.length / inputs.parts.length;
      return rows
        .flatMap((row, i) => {
          if (row === "filler") {
            assert.is(inputs.weights.values[i], 0);
            return [];
          }
          const part = Math.floor(i / queriesPerPart);
          const { ids, source } = inputs.parts[part]!;
          const length = ids.shape[1]!;
          const at = i % queriesPerPart;
          const ignored = Array.from({ length: columns }, (_, column) => column).filter(
            (column) => inputs.ignored.values[i * columns + column],
          );
          return `${row} ${inputs.weights.values[i]} ${ids.values.slice(at * length, (at + 1) * length)} of ${pictureAt(part * perPart + source!.values[at]!)} is ${pictureAt(inputs.goals.values[i]!)} not ${[...new Set(ignored.map(pictureAt))].sort()}`;
        })
        .sort();
    };
    const whole = pack(1);
    const parts = pack(accumulation);
    // A part's fillers are ignored by all; where the division leaves room they repeat the batch's first picture.
    if (pictures % accumulation === 0) assert.equal(parts, whole);
    else
      assert.equal(
        parts.map((query) => query.split(" not ")[0]),
        whole.map((query) => query.split(" not ")[0]),
      );
  }
});

/** What the queries of a batch are, said by its triplets alone: kind, weight, tokens, picture, answer, what is left out. */
function queriesOf(batch: Batch, config: RunConfig): string[] {
  const { reverse } = config.training;
  const { maxLength, firstToken: first } = config.model.text;
  const triplets = batch.text.length;
  const back = reverse.weight > 0 ? Math.ceil(triplets * reverse.share) : 0;
  const columns = batch.pictures.length;
  const say = (i: number, isReverse: boolean) => {
    const text = config.model.fusion === "image" ? "" : batch.text[i]!;
    const ids = tokenizer.encode(text, { maxLength, first, reverse: isReverse });
    const [from, to] = isReverse ? [batch.target, batch.reference] : [batch.reference, batch.target];
    const left = Array.from({ length: columns }, (_, column) => column).filter((column) => {
      if (!isReverse) return batch.ignore[i * columns + column] === 1;
      // References from which the same change leads to the same target.
      return batch.text.some(
        (_, j) =>
          batch.reference[j] === column &&
          column !== batch.reference[i] &&
          batch.target[j] === batch.target[i] &&
          batch.kind[j] === batch.kind[i],
      );
    });
    const weight = Math.fround(isReverse ? reverse.weight / back : 1 / triplets);
    const name = (at: number) => batch.pictures[at];
    return `${isReverse ? "reverse" : "forward"} ${weight} ${ids} of ${name(from[i]!)} is ${name(to[i]!)} not ${left.map(name).sort()}`;
  };
  const all = Array.from({ length: triplets }, (_, i) => say(i, false));
  return [...all, ...Array.from({ length: back }, (_, i) => say(i, true))].sort();
}

test("whatever the options, the packed queries are those of the triplets", async () => {
  const bytes = 3 * size * size;
  const idOf = new Map<string, number>();
  for (let id = 0; id < 40; id++) idOf.set((await pictureSet.read([id])).join(), id);
  assert.is(idOf.size, 40);
  let tried = 0;
  for (const accumulation of [1, 2, 5]) {
    for (const reverse of [
      { weight: 0 },
      { weight: 0.3, share: 0 },
      { weight: 0.3, share: 0.4 },
      { weight: 2, share: 1 },
    ]) {
      for (const [fusion, firstToken, maxLength] of [
        ["early", "enc", 8],
        ["late", "cls", 5],
        ["image", "enc", 4],
      ] as const) {
        for (const room of [undefined, 20]) {
          const options = { accumulation, reverse };
          const config = configOf(options, { fusion, text: { firstToken, maxLength } });
          const seed = 100 + tried++;
          const batch = { ...drawBatch(11 + (seed % 5), 9 + (seed % 17), seed), ...(room && { room }) };
          const pixels = await pictureSet.read(batch.pictures);
          const { inputs, rows } = packBatch(config, tokenizer, batch, pixels);
          const what = JSON.stringify({ ...options, fusion, room });
          assert.is(inputs.parts.length, accumulation, what);
          const columns = inputs.ignored.shape[1]!;
          const [perPart, queries] = [columns / accumulation, rows.length / accumulation];
          assert.ok(perPart * accumulation >= Math.max(batch.pictures.length, room ?? 0), what);
          const shown = inputs.parts.flatMap(({ pictures: { values } }) => {
            const own = new Uint8Array(values.buffer, values.byteOffset, perPart * bytes);
            return Array.from(
              { length: perPart },
              (_, i) => idOf.get(own.subarray(i * bytes, (i + 1) * bytes).join())!,
            );
          });
          const found = rows.flatMap((row, i) => {
            const { ids, mask, source } = inputs.parts[Math.floor(i / queries)]!;
            const length = ids.shape[1]!;
            const at = (i % queries) * length;
            const tokens = [...ids.values.subarray(at, at + length)].filter(
              (_, j) => mask.values[at + j] === 1,
            );
            assert.ok(length <= maxLength && (length % 4 === 0 || length === maxLength), what);
            if (row === "filler") {
              assert.equal([inputs.weights.values[i], tokens.length], [0, 2], what);
              return [];
            }
            const isIgnored = (column: number) => inputs.ignored.values[i * columns + column] === 1;
            assert.not(isIgnored(inputs.goals.values[i]!), what);
            const left = shown.flatMap((id, column) => (isIgnored(column) ? [id] : []));
            // Each picture of the batch is in one column that counts, but for those that are left out; the rest fills up.
            const counted = shown.filter((_, column) => !isIgnored(column));
            assert.is(new Set(counted).size, counted.length, what);
            const not = [...new Set(left)].filter((id) => !counted.includes(id)).sort();
            const picture = shown[Math.floor(i / queries) * perPart + source!.values[i % queries]!];
            return `${row} ${inputs.weights.values[i]} ${tokens} of ${picture} is ${shown[inputs.goals.values[i]!]} not ${not}`;
          });
          assert.equal(found.sort(), queriesOf(batch, config), what);
        }
      }
    }
  }
  assert.is(tried, 72);
});

test("a batch in parts takes the memory of one part, and captured steps of other shapes make room", async () => {
  const engine = await Engine.create();
  let shape = 0;
  const planned = async (pictures: number, triplets: number, accumulation: number) => {
    const config = configOf({ pictures, triplets, accumulation, reverse: { weight: 0 } });
    const model = new Case(engine, config.model, tokenizer.size);
    model.parameters.initialize(1);
    const dataset = {
      ...{ name: "drawn", pictures: pictureSet, triplets: 1, texts: () => [] },
      sampleBatch: ({ pictures, triplets }: { pictures: number; triplets: number }) =>
        drawBatch(pictures, triplets + shape, 3),
    };
    const trainer = makeTrainer(engine, model, tokenizer, dataset, config);
    const { program } = await trainer.prepare();
    return { trainer, model, bytes: program.memory.planned };
  };
  const whole = await planned(40, 320, 1);
  const parts = await planned(5, 40, 8);
  assert.ok(parts.bytes < whole.bytes / 3, `${parts.bytes} of ${whole.bytes} bytes`);
  const used: number[] = [];
  for (shape = 1; shape <= 24; shape++) {
    await whole.trainer.run(whole.trainer.optimizer.step + 1, () => {});
    used.push(engine.stats().usedBytes);
  }
  // Kept are eight; the next take their place, a little larger.
  assert.ok(used[23]! < used[7]! * 1.1, `${used}`);
  for (const { trainer, model } of [whole, parts]) {
    trainer.dispose();
    model.dispose();
  }
  assert.is(engine.stats().usedBytes, 0);
  engine.dispose();
});

test("two processes that take the mean of their gradients learn what one learns of both batches", async () => {
  const engine = await Engine.create();
  const config = configOf({ pictures: 12, triplets: 9, clip: 0.01 }, { text: { dropout: 0 } });
  const set = {
    ...{ name: "drawn", pictures: pictureSet, triplets: 1, texts: () => [] },
    sampleBatch: ({ pictures, triplets, step }: { pictures: number; triplets: number; step: number }) =>
      drawBatch(pictures, triplets, 11 + step),
  };
  const modelOf = () => {
    const model = new Case(engine, config.model, tokenizer.size);
    model.parameters.initialize(5);
    return model;
  };
  let held: Tensor[] = [];
  const mean: Sync = {
    ...{ rank: 0, ranks: 2 },
    gradients: (gradients) => {
      for (const [i, mine] of gradients.entries()) engine.copy(mul(add(mine, held[i]!), 0.5), mine);
    },
  };
  const holding: Sync = {
    ...{ rank: 1, ranks: 2 },
    gradients: (gradients) => {
      for (const [i, mine] of gradients.entries()) engine.copy(mine, held[i]!);
    },
  };
  const [first, second] = [mean, holding].map((sync) => {
    const model = modelOf();
    if (sync === mean) held = model.parameters.flats.map(({ gradient }) => engine.empty(gradient.shape));
    return makeTrainer(engine, model, tokenizer, set, config, { sync });
  }) as [Trainer, Trainer];

  const model = modelOf();
  const pack = packerOf(tokenizer, set, config);
  const both: Task = {
    async pack(step) {
      const packed = await Promise.all([0, 1].map((rank) => pack(2 * step + rank)));
      const named = packed.flatMap(({ inputs }, rank) =>
        Object.entries(inputs).map(([name, input]) => [`${rank} ${name}`, input] as const),
      );
      return { inputs: Object.fromEntries(named), rows: packed.flatMap(({ rows }) => rows) };
    },
    loss(inputs, streams) {
      const [one, other] = [0, 1].map((rank) => {
        const mine = Object.entries(inputs).filter(([name]) => name.startsWith(`${rank} `));
        const plain = Object.fromEntries(mine.map(([name, input]) => [name.slice(2), input]));
        return batchLoss(model, config.training, unflatten(plain, 1), streams);
      }) as [BatchLoss, BatchLoss];
      return { loss: mul(add(one.loss, other.loss), 0.5), losses: concat([one.losses, other.losses]) };
    },
  };
  const whole = new Trainer(engine, model, both, config);
  const norms = { apart: [] as number[], whole: [] as number[] };
  for (let step = 1; step <= 3; step++) {
    await second.run(step, () => {});
    await first.run(step, ({ gradient_norm }) => void norms.apart.push(gradient_norm));
    await whole.run(step, ({ gradient_norm }) => void norms.whole.push(gradient_norm));
    // The second's update took its own gradients: it goes on with what the first has learnt.
    const learnt = first.model.parameters.entries().map((entry) => [entry.name, entry] as const);
    await second.model.parameters.stream(new Map(learnt));
  }
  for (const [i, norm] of norms.apart.entries())
    assert.ok(Math.abs(norm / norms.whole[i]! - 1) < 1e-4, JSON.stringify(norms));
  for (const trainer of [first, second, whole]) {
    trainer.dispose();
    trainer.model.dispose();
  }
  for (const tensor of held) tensor.dispose();
  engine.dispose();
});

test.run();
