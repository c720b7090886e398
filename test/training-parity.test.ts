// Training in PyTorch and here, from the same weights on the same batches, by the trainer that runs use: the gradient of
// every parameter after one batch, and 20 steps of AdamW. Fixture: reference/training.py.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, findAdapter } from "../engine/index.ts";
import { blipNaming, nameOf, patternOf } from "../model/checkpoint/names.ts";
import { planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import type { Batch, TrainingSet } from "../train/data/dataset.ts";
import { inMemory } from "../train/data/memory.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { loadCheckpoint, saveCheckpoint } from "../train/run/checkpoint.ts";
import { folderStore } from "../train/run/disk.ts";
import { makeTrainer } from "../train/run/trainer.ts";
import { namedCheckpoint, namedValues } from "./checkpoint-files.ts";
import { floats } from "./digest.ts";

type Loss = "contrastive" | "recall";
type Numbers = number[];

const fixture: {
  scale: number;
  tokens: string[];
  pictures: number;
  config: unknown;
  training: { steps: number; clip: number };
  shapes: Record<string, number[]>;
  batches: {
    pictures: Numbers;
    reference: Numbers;
    target: Numbers;
    text: string[];
    kind: string[];
    ignore: Numbers[];
  }[];
  gradients: Record<Loss, { loss: number; gradients: Record<string, string> }>;
  steps: { loss: number; norm: number; temperature: number }[];
  /** Parameters behind the last step. */
  after: Record<string, string>;
} = JSON.parse(readFileSync(new URL("fixtures/training.json", import.meta.url), "utf8"));

/** What the issue asks of gradients, relative to the largest element, and of losses. */
const tolerance = 1e-3;

const engine = await Engine.create({ poison: true });
const tokenizer = new Tokenizer(fixture.tokens);

function batchOf(step: number): Batch {
  const { pictures, reference, target, text, kind, ignore } = fixture.batches[step % fixture.batches.length];
  return {
    pictures: Int32Array.from(pictures),
    reference: Int32Array.from(reference),
    target: Int32Array.from(target),
    ...{ text, kind, ignore: Uint8Array.from(ignore.flat()) },
  };
}

/** A trainer on the fixture's weights and batches, or on one of those again and again. */
async function prepare(training: Record<string, unknown>, { dropout = 0, always = -1, on = engine } = {}) {
  const plan = await planImport(namedCheckpoint(fixture.shapes, fixture.scale), {
    config: fixture.config,
    tokens: fixture.tokens,
  });
  requireWhole(plan);
  assert.equal(plan.fresh, []);
  const text = { ...plan.model.text, dropout };
  const config = parseConfig(
    {
      name: "parity",
      data: { kind: "emoji" },
      model: { ...plan.model, text },
      training: { ...fixture.training, ...training },
    },
    "the fixture",
  );
  const size = config.model.vision.imageSize;
  const values = namedValues("pictures", fixture.pictures * 3 * size * size, 1);
  const dataset: TrainingSet = {
    name: "fixture",
    pictures: inMemory({
      ...{ size, names: Array.from({ length: fixture.pictures }, (_, i) => `${i}`) },
      pixels: Uint8Array.from(values, (value) => Math.floor((value + 1) * 128)),
    }),
    triplets: 1,
    ...{ texts: () => [], sampleBatch: ({ step }) => batchOf(always < 0 ? step : always) },
  };
  const model = makeModel(on, config, tokenizer.size);
  await model.parameters.stream(new Map(plan.parameters.map((parameter) => [parameter.name, parameter])));
  const trainer = makeTrainer(on, model, tokenizer, dataset, config);
  return { model, trainer };
}

/** PyTorch's values of a parameter of casement's, or its gradient's, which may be several of BLIP's one after the other. */
function wantedValues(gradients: Record<string, string>, name: string): Float32Array {
  if (name === "temp") return gradients.temp === undefined ? new Float32Array(1) : floats(gradients.temp);
  const { pattern, ...rest } = patternOf(name);
  const theirs = blipNaming.rows.get(pattern)!;
  return Float32Array.from(theirs.flatMap((one) => [...floats(gradients[nameOf(one, rest)])]));
}

for (const [loss, { loss: wantedLoss, gradients }] of Object.entries(fixture.gradients)) {
  for (const [capture, parts] of [
    [true, 1],
    [false, 1],
    [true, 2],
    [false, 5],
    [true, 3],
  ] as const) {
    const title = `${loss} loss, ${capture ? "captured" : "eager"}, in ${parts}: every parameter's gradient equals PyTorch's`;
    test(title, async () => {
      const { model, trainer } = await prepare({ loss, capture, accumulation: parts });
      let record: StepRecord | null = null;
      await trainer.run(1, (one) => {
        record = one;
      });
      const found = record!.loss;
      assert.ok(Math.abs(found - wantedLoss) < tolerance * wantedLoss, `loss ${found}, not ${wantedLoss}`);
      let worst = 0;
      let silent = 0;
      for (const { name } of model.parameters.specs) {
        const wanted = wantedValues(gradients, name);
        const mine = (await model.parameters.get(name).grad!.read()) as Float32Array;
        assert.is(mine.length, wanted.length, name);
        const largest = Math.max(...wanted.map(Math.abs));
        const difference = Math.max(...mine.map((value, i) => Math.abs(value - wanted[i])));
        if (largest === 0) {
          assert.is(difference, 0, name);
          silent++;
          continue;
        }
        assert.ok(difference < tolerance * largest, `${name}: ${difference / largest}`);
        worst = Math.max(worst, difference / largest);
      }
      // Only the recall loss knows no temperature.
      assert.is(silent, loss === "recall" ? 1 : 0);
      console.log(`${title}, within ${worst.toExponential(1)}`);
      trainer.dispose();
      model.dispose();
    });
  }
}

/** The gradients of all parameters after one step. */
async function gradientsOf(training: Record<string, unknown>, dropout = 0): Promise<Float32Array[]> {
  const { model, trainer } = await prepare({ ...training, clip: 0 }, { dropout });
  await trainer.run(1, () => {});
  const gradients: Float32Array[] = [];
  for (const { name } of model.parameters.specs)
    gradients.push((await model.parameters.get(name).grad!.read()) as Float32Array);
  trainer.dispose();
  model.dispose();
  return gradients;
}

for (const loss of ["contrastive", "recall"]) {
  test(`${loss} loss: in parts every gradient is that of the whole batch within 1e-5`, async () => {
    const whole = await gradientsOf({ loss, accumulation: 1 });
    let worst = 0;
    for (const accumulation of [2, 3, 5, 10]) {
      const parts = await gradientsOf({ loss, accumulation, capture: accumulation % 2 === 0 });
      parts.forEach((gradient, i) => {
        const largest = Math.max(...whole[i]!.map(Math.abs));
        const difference = Math.max(...gradient.map((value, at) => Math.abs(value - whole[i]![at]!)));
        assert.ok(
          difference <= 1e-5 * largest,
          `${accumulation} parts, parameter ${i}: ${difference} of ${largest}`,
        );
        if (largest > 0) worst = Math.max(worst, difference / largest);
      });
    }
    console.log(`${loss}: parts differ from the whole by ${worst.toExponential(1)}`);
  });
}

test("encoding a part once more for backward draws the same dropout: the bits are those of one pass", async () => {
  const parts = await gradientsOf({ accumulation: 5, capture: false }, 0.3);
  const { checkpoint } = engine;
  engine.checkpoint = (work) => work();
  try {
    assert.equal(parts, await gradientsOf({ accumulation: 5, capture: false }, 0.3));
  } finally {
    engine.checkpoint = checkpoint;
  }
  assert.not.equal(parts, await gradientsOf({ accumulation: 5, capture: false }, 0));
});

/** Throws where 20 steps of a trainer, or its parameters behind them, are not PyTorch's. */
async function follow({ model, trainer }: Awaited<ReturnType<typeof prepare>>, what: string): Promise<void> {
  const before = await model.parameters.read();
  const records: StepRecord[] = [];
  await trainer.run(fixture.steps.length, (record) => {
    records.push(record);
  });
  assert.is(records.length, 20);
  const apart = { loss: 0, norm: 0, temperature: 0 };
  for (const [i, wanted] of fixture.steps.entries()) {
    const { loss, gradient_norm: norm, temperature } = records[i];
    for (const [name, mine] of Object.entries({ loss, norm, temperature }) as [
      keyof typeof wanted,
      number,
    ][]) {
      const error = Math.abs(mine / wanted[name] - 1);
      assert.ok(error < tolerance, `step ${i + 1}: ${name} ${mine}, not ${wanted[name]}`);
      apart[name] = Math.max(apart[name], error);
    }
  }
  // It learns, and the clipping has something to do.
  assert.ok(fixture.steps[19].loss < 0.9 * fixture.steps[0].loss);
  assert.ok(fixture.steps.some(({ norm }) => norm > fixture.training.clip));
  let worst = 0;
  for (const [name, { data }] of await model.parameters.read()) {
    const wanted = wantedValues(fixture.after, name);
    const start = before.get(name)!.data;
    assert.is(data.length, wanted.length, name);
    // A key's bias shifts all scores of a query by as much, which softmax undoes: its gradient is rounding alone, of which
    // AdamW makes steps of full length. Of queries, keys and values in one it is the second, of keys and values the first.
    const part = /\bqkv\.bias$/.test(name) ? 3 : /key_value\.bias$/.test(name) ? 2 : 0;
    const isKey = (i: number) => part > 0 && Math.floor((i * part) / data.length) === part - 2;
    const moved = Math.max(...wanted.map((value, i) => Math.abs(value - start[i]!)));
    assert.ok(moved > 0.01, `${name} moved by ${moved}`);
    data.forEach((value, i) => {
      const error = isKey(i) ? 0 : Math.abs(value - wanted[i]!) / moved;
      worst = Math.max(worst, error);
      assert.ok(error < 2e-3, `${name}, ${i}: ${value}, not ${wanted[i]}; it moved by up to ${moved}`);
    });
  }
  console.log(`20 steps, ${what}: ${JSON.stringify({ ...apart, parameters: worst })}`);
}

test("20 steps of AdamW have PyTorch's losses, norms, temperatures and parameters", async () => {
  const prepared = await prepare({});
  assert.is(prepared.model.parameters.flats.length, 1);
  await follow(prepared, "one buffer of parameters");
  prepared.trainer.dispose();
  prepared.model.dispose();
});

test("the same where a device binds so little that parameters take several buffers, also from a checkpoint on", async () => {
  const { adapter, instance } = await findAdapter();
  const device = await adapter.requestDevice();
  const limits = new Proxy(device.limits, {
    get: (target, name: keyof GPUSupportedLimits) =>
      name === "maxStorageBufferBindingSize" ? 40960 : target[name],
  });
  Object.defineProperty(device, "limits", { value: limits });
  const on = await Engine.create({ device, poison: true });
  const folder = await mkdtemp(join(tmpdir(), "casement-flats-"));
  const prepared = await prepare({}, { on });
  const { flats } = prepared.model.parameters;
  assert.ok(flats.length >= 3, `${flats.length} buffers`);
  assert.ok(flats.every(({ values }) => 4 * values.size <= 40960));
  await follow(prepared, `${flats.length} buffers of parameters`);
  const half = await prepare({}, { on });
  await half.trainer.run(10, () => {});
  const store = folderStore(folder);
  await saveCheckpoint(store, half.model.parameters, half.trainer.optimizer, 1);
  const rest = await prepare({}, { on });
  await loadCheckpoint(store, rest.model.parameters, rest.trainer.optimizer, assert.unreachable);
  await rest.trainer.run(20, () => {});
  const [whole, resumed] = [await prepared.model.parameters.read(), await rest.model.parameters.read()];
  for (const [name, { data }] of whole) assert.equal(resumed.get(name)!.data, data, name);
  await rm(folder, { recursive: true });
  for (const { trainer, model } of [prepared, half, rest]) {
    trainer.dispose();
    model.dispose();
  }
  on.dispose();
  device.destroy();
  assert.is.not(instance, undefined);
});

test("groups of parameters learn at their own rates, or not at all", async () => {
  const training = { learningRate: 1e-3, warmup: 0, decay: "constant", clip: 0, weightDecay: 0 };
  const moved = async (groups: unknown[]) => {
    const { model, trainer } = await prepare({ ...training, groups });
    const before = await model.parameters.read();
    await trainer.run(1, () => {});
    const after = await model.parameters.read();
    const flats = model.parameters.flats.length;
    trainer.dispose();
    model.dispose();
    const moves = new Map(
      Array.from(after, ([name, { data }]) => [
        name,
        data.map((value, i) => value - before.get(name)!.data[i]!),
      ]),
    );
    return { moves, flats };
  };
  const all = await moved([]);
  const grouped = await moved([
    { match: "vision_model.*.1.*", rate: 0 },
    { match: "text_*", rate: 0.5 },
    { match: "vision_model.*", rate: 2, weightDecay: 0 },
  ]);
  assert.is(all.flats, 1);
  assert.is(grouped.flats, 3);
  const kinds = { still: 0, half: 0, double: 0, same: 0 };
  for (const [name, move] of grouped.moves) {
    const still = /^vision_model\..*\.1\./.test(name);
    const half = name.startsWith("text_");
    const double = name.startsWith("vision_model.") && !still;
    kinds[still ? "still" : half ? "half" : double ? "double" : "same"]++;
    const factor = still ? 0 : half ? 0.5 : double ? 2 : 1;
    const whole = all.moves.get(name)!;
    move.forEach((by, i) => {
      // What is left of a difference of two weights.
      assert.ok(Math.abs(by - factor * whole[i]!) < 3e-7, `${name}: ${by} of ${whole[i]}`);
    });
  }
  for (const count of Object.values(kinds)) assert.ok(count > 0, JSON.stringify(kinds));
  await moved([{ match: "visual.*", rate: 0 }]).then(
    () => assert.unreachable(),
    ({ message }: Error) => assert.match(message, /training\.groups: no parameter is called "visual\.\*"/),
  );
});

/** Hardly learns, so that all that changes from step to step is what is drawn or set. */
const still = { learningRate: 1e-12, finalLearningRate: 1e-12, warmup: 0, decay: "constant" };

test("dropout draws another mask at each step, the same ones captured and eager", async () => {
  const runs: number[][] = [];
  for (const capture of [true, false]) {
    const { model, trainer } = await prepare({ ...still, capture }, { dropout: 0.3, always: 0 });
    const losses: number[] = [];
    await trainer.run(4, ({ loss }) => {
      losses.push(loss);
    });
    trainer.dispose();
    model.dispose();
    runs.push(losses);
  }
  assert.equal(runs[0], runs[1]);
  assert.is(new Set(runs[0]).size, 4, `${runs[0]}`);
  const without = await prepare(still, { always: 0 });
  const losses = new Set<number>();
  await without.trainer.run(2, ({ loss }) => {
    losses.add(loss);
  });
  assert.is(losses.size, 1, "what differs is the mask");
  without.trainer.dispose();
  without.model.dispose();
});

test("the temperature is brought into its range before each step", async () => {
  for (const capture of [true, false]) {
    const { model, trainer } = await prepare({ ...still, capture });
    const { low, high } = model.config.temperature;
    for (const [from, to] of [
      [10 * high, high],
      [low / 10, low],
      [(low + high) / 2, (low + high) / 2],
    ] as const) {
      engine.write(model.temperature, [from]);
      let found = 0;
      await trainer.run(trainer.optimizer.step + 1, ({ temperature }) => {
        found = temperature;
      });
      assert.ok(Math.abs(found / to - 1) < 1e-6, `${from} became ${found}, not ${to}`);
    }
    trainer.dispose();
    model.dispose();
  }
});

test.after(() => engine.dispose());
test.run();
