// Mixed precision: what parameters are kept as, gradients in f16 beside those in f32, and training on a data set small
// enough for seconds: the loss falls as in f32, overflows are skipped, captured and resumed runs give the same bits.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { relativeError } from "../cases/compare.ts";
import { Engine, findAdapter, normal, type Tensor, uniform } from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";
import { accumulateInto } from "../kernels/elementwise/accumulate.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { castInto } from "../kernels/elementwise/cast.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { readState } from "../kernels/optimizer/loss-scale.ts";
import { sum } from "../kernels/reduce/reduce.ts";
import { Case } from "../model/case.ts";
import { Parameters, type Precision } from "../model/parameters.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import type { Batch, TrainingSet } from "../train/data/dataset.ts";
import { inMemory } from "../train/data/memory.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { DivergedError, type Trainer } from "../train/loop/trainer.ts";
import { loadCheckpoint, saveCheckpoint } from "../train/run/checkpoint.ts";
import { folderStore } from "../train/run/disk.ts";
import { requirePrecision } from "../train/run/fitting.ts";
import { makeTrainer as trainerOf } from "../train/run/trainer.ts";

const engine = await Engine.create({ poison: true });
const missing = engine.hasF16 ? null : "the adapter has no f16";

/** A test that needs f16. */
function halfTest(name: string, work: () => Promise<void>): void {
  test(name, async () => {
    if (missing) console.log(`\nskipped: ${name} (${missing})`);
    else await work();
  });
}

const colours = ["red", "green", "blue", "white", "black", "pink"];
const size = 8;

/** Pictures of each colour in two patterns; "make it blue" leads to the picture of that colour and the same pattern. */
const dataset: TrainingSet = (() => {
  const count = 2 * colours.length;
  const pixels = new Uint8Array(count * size * size * 3);
  for (let id = 0; id < count; id++) {
    const [colour, pattern] = [id % colours.length, Math.floor(id / colours.length)];
    for (let i = 0; i < size * size; i++) {
      const light = pattern === 0 ? i % 2 : Math.floor(i / size) % 2;
      for (let c = 0; c < 3; c++) {
        const shade = uniform({ key: colour, stream: 1 }, c);
        pixels[(id * size * size + i) * 3 + c] = Math.floor(255 * shade * (light ? 1 : 0.4));
      }
    }
  }
  return {
    name: "colours",
    pictures: inMemory({ size, names: Array.from({ length: count }, (_, i) => `${i}`), pixels }),
    triplets: count,
    texts: () => colours.map((colour) => `make it ${colour}`),
    sampleBatch({ pictures, triplets, seed, step }): Batch {
      const draw = (i: number, below: number) => Math.floor(uniform({ key: seed, stream: step }, i) * below);
      const reference = Int32Array.from({ length: triplets }, (_, i) => draw(2 * i, count));
      const goals = Array.from({ length: triplets }, (_, i) => draw(2 * i + 1, colours.length));
      return {
        pictures: Int32Array.from({ length: pictures }, (_, i) => i),
        reference,
        target: reference.map((id, i) => goals[i] + (id >= colours.length ? colours.length : 0)),
        text: goals.map((colour) => `make it ${colours[colour]}`),
        kind: goals.map(() => "colour"),
        ignore: new Uint8Array(triplets * pictures),
      };
    },
  };
})();
const tokenizer = new Tokenizer([...specialTokens, "make", "it", ...colours]);

const configFor = (precision: Precision, capture = true) =>
  parseConfig(
    {
      name: "colours",
      data: { kind: "emoji" },
      precision,
      model: {
        vision: { imageSize: size, patchSize: 4, width: 32, depth: 2, heads: 2 },
        text: {
          ...{ width: 32, depth: 2, heads: 2, intermediate: 64, maxPositions: 12, maxLength: 12 },
          dropout: 0.05,
        },
        projection: 32,
        initialization: "copying",
        initializerRange: 0.08,
        embeddingRange: 0.1,
      },
      training: {
        ...{ steps: 200, pictures: dataset.pictures.count, triplets: 24, warmup: 5, learningRate: 2e-3 },
        capture,
      },
    },
    "the test",
  );

function makeTrainer(precision: Precision, capture = true): Trainer {
  const config = configFor(precision, capture);
  const model = new Case(engine, config.model, tokenizer.size, { precision });
  model.parameters.initialize(config.seed);
  const trainer = trainerOf(engine, model, tokenizer, dataset, config);
  // So that no step is left out but where a test wants it.
  if (precision === "f16") setScale(trainer, firstScale);
  return trainer;
}

const firstScale = 1024;
/** With this scale the gradients overflow. */
const hugeScale = 2 ** 40;

function setScale({ optimizer }: Trainer, scale: number): void {
  engine.copy(engine.tensor([scale], [1]), engine.slice(optimizer.scaler!.state, 0, [1]));
}

/** Trains up to a step; returns each step's record. */
async function train(trainer: Trainer, until: number): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  await trainer.run(until, (record) => {
    records.push(record);
  });
  return records;
}

async function scalerOf({ optimizer }: Trainer) {
  return readState(await optimizer.scaler!.state.read());
}

/** Everything that training changes. */
async function everything({ model, optimizer }: Trainer): Promise<ArrayLike<number>[]> {
  const { flats } = model.parameters;
  const tensors = [
    ...flats.flatMap(({ values, copy }) => [values, ...(copy ? [copy] : [])]),
    ...optimizer.firstMoments,
    ...optimizer.secondMoments,
  ];
  return Promise.all(tensors.map((tensor) => tensor.read()));
}

function dispose(trainer: Trainer): void {
  trainer.dispose();
  trainer.model.dispose();
}

halfTest("masters are f32, the network gets f16 copies, and what does not learn is f16 only", async () => {
  const used = engine.stats().usedBytes;
  const spec = (name: string, shape: number[], exact = false) => ({
    ...{ name, shape, exact },
    initial: { normal: 1 },
  });
  const specs = [
    spec("learnt", [33, 7]),
    spec("bias", [7]),
    spec("frozen", [130, 5]),
    spec("frozen bias", [5]),
    spec("temperature", [1], true),
    spec("frozen temperature", [1], true),
  ];
  const parameters = new Parameters(engine, specs, (name) => !name.startsWith("frozen"), "f16");
  parameters.initialize(4);
  const values = await parameters.read();
  assert.equal([...values.keys()].sort(), specs.map(({ name }) => name).sort());
  for (const { name, exact } of specs) {
    const seen = parameters.get(name);
    assert.is(seen.dtype, exact ? "f32" : "f16", name);
    assert.is(seen.grad?.dtype, name.startsWith("frozen") ? undefined : "f32", name);
    const halves = await seen.read();
    const { data } = values.get(name)!;
    const error = relativeError(halves, Float64Array.from(data));
    // Half of the last of 11 bits; and a master is no rounded number.
    assert.ok(error <= 2 ** -11, `${name}: ${error}`);
    assert.is(error > 0, !exact && !name.startsWith("frozen"), name);
  }
  const [learnt, frozen] = [values.get("learnt")!, values.get("frozen")!];
  const moved = new Map(values).set("learnt", { ...learnt, data: learnt.data.map((value) => value + 1) });
  parameters.load(moved);
  assert.equal((await parameters.read()).get("learnt")!.data, moved.get("learnt")!.data);
  const error = relativeError(
    await parameters.get("learnt").read(),
    Float64Array.from(moved.get("learnt")!.data),
  );
  assert.ok(error <= 2 ** -11, "load refreshes the copy");
  assert.equal(await parameters.get("frozen").read(), frozen.data);
  const huge = new Map(values).set("frozen", { ...frozen, data: frozen.data.map(() => 65520) });
  assert.throws(() => parameters.load(huge), /"frozen" holds 65520, which is too large for f16/);
  parameters.dispose();
  assert.is(engine.stats().usedBytes, used);
});

halfTest("a model that only answers takes half the memory in f16", async () => {
  const { model } = configFor("f16");
  const bytes = (precision: Precision) => {
    const before = engine.stats().usedBytes;
    const made = new Case(engine, model, tokenizer.size, { trainable: () => false, precision });
    const taken = engine.stats().usedBytes - before;
    made.dispose();
    return taken;
  };
  assert.ok(bytes("f16") < 0.55 * bytes("f32"), `${bytes("f16")} and ${bytes("f32")}`);
});

halfTest("f16 gradients add up in f32, and what lies behind stays", async () => {
  const draw = (stream: number, count: number) =>
    Float64Array.from({ length: count }, (_, i) => normal({ key: 8, stream }, i));
  const whole = engine.tensor(draw(0, 256), [256]);
  const before = (await whole.read()).slice();
  const halves = engine.tensor(draw(1, 67), [67], "f16");
  const added = await halves.read();
  const part = engine.slice(whole, 64, [67]);
  const inside = (i: number) => i >= 64 && i < 64 + 67;
  accumulateInto(part, halves);
  const wanted = before.map((value, i) => value + (inside(i) ? added[i - 64] : 0));
  assert.equal(await whole.read(), Float32Array.from(wanted));
  castInto(halves, part);
  assert.equal(
    await whole.read(),
    Float32Array.from(wanted, (value, i) => (inside(i) ? added[i - 64] : value)),
  );
});

halfTest("a step casts nothing: gradients are made in f32 where masters take them", async () => {
  const trainer = makeTrainer("f16");
  const { program } = await trainer.prepare();
  const kernels = program.launches().map(({ kernel }) => kernel);
  assert.ok(kernels.includes("adamw-mixed"));
  assert.equal(
    kernels.filter((name) => name.startsWith("cast")),
    [],
  );
  dispose(trainer);
});

halfTest(
  "a parameter's gradients from rules that make them in f32 and from others add up, and checkpoints see the same",
  async () => {
    const draw = (stream: number, shape: number[]) =>
      Float64Array.from({ length: shape[0]! * shape[1]! }, (_, i) => normal({ key: 9, stream }, i));
    const [x, w] = (
      [
        [20, 8],
        [8, 8],
      ] as const
    ).map((shape, stream) => engine.tensor(draw(stream, [...shape]), shape, "f16")) as [Tensor, Tensor];
    w.requiresGrad = true;
    // As a layer's weight, as its input, and element by element.
    const work = () => {
      const [tied, first] = [linear(w, w), sum(mul(linear(w, x), 0.5))];
      return add(add(first, sum(mul(linear(x, mul(w, w)), 0.25))), add(sum(mul(tied, w)), sum(linear(x, w))));
    };
    const gradientOf = async (grad: Tensor | null, whole: () => Tensor) => {
      w.grad = grad;
      engine.scope(() => backward(whole()));
      const values = (await w.grad!.read()).slice();
      assert.is(w.grad!.dtype, grad?.dtype ?? "f16");
      clearGrad([w]);
      return values;
    };
    const halves = await gradientOf(null, work);
    const wide = await gradientOf(engine.zeros([8, 8]), work);
    assert.ok(relativeError(halves, Float64Array.from(wide)) < 2e-3);
    assert.ok(relativeError(halves, Float64Array.from(wide)) > 0, "f32 is not rounded to f16");
    const again = await gradientOf(engine.zeros([8, 8]), () => engine.checkpoint(work));
    assert.equal(again, wide);
    for (const tensor of [x, w]) tensor.dispose();
  },
);

halfTest("gradients of one step are those of f32", async () => {
  const gradients = async (precision: Precision) => {
    const trainer = makeTrainer(precision);
    await train(trainer, 1);
    const { flats, specs } = trainer.model.parameters;
    const scale = trainer.optimizer.scaler ? (await scalerOf(trainer)).used : 1;
    const read = await Promise.all(flats.map(({ gradient }) => gradient.read()));
    const named = specs.map(({ name, shape }) => {
      const { flat, offset } = trainer.model.parameters.place(name)!;
      const length = shape.reduce((a, b) => a * b, 1);
      return [name, Float64Array.from(read[flat].slice(offset, offset + length), (g) => g / scale)] as const;
    });
    dispose(trainer);
    return new Map(named);
  };
  const [wanted, got] = [await gradients("f32"), await gradients("f16")];
  const norm = (values: Float64Array) => Math.hypot(...values);
  const whole = Math.hypot(...[...wanted.values()].map(norm));
  let worst = 0;
  for (const [name, gradient] of wanted) {
    const difference = norm(gradient.map((value, i) => value - got.get(name)![i]));
    // A key's bias has no gradient but rounding errors, so a small part of the whole gradient counts as well.
    const error = difference / (norm(gradient) + 1e-3 * whole);
    worst = Math.max(worst, error);
    assert.ok(error < 2e-2, `${name}: ${error}`);
  }
  console.log(`\nlargest relative error of a parameter's f16 gradient: ${worst.toExponential(1)}`);
});

halfTest("the loss falls as in f32", async () => {
  const steps = 120;
  const curves: number[][] = [];
  for (const precision of ["f32", "f16"] as const) {
    const trainer = makeTrainer(precision);
    const records = await train(trainer, steps);
    curves.push(records.map(({ loss }) => loss));
    if (precision === "f16") {
      assert.is(records.at(-1)!.skipped, 0);
      assert.is(records.at(-1)!.loss_scale, firstScale);
    }
    dispose(trainer);
  }
  const [wanted, got] = curves;
  const mean = (curve: number[], from: number) =>
    curve.slice(from, from + 20).reduce((a, b) => a + b, 0) / 20;
  assert.ok(Math.abs(wanted[0] - got[0]) < 1e-2 * wanted[0], `${wanted[0]} and ${got[0]}`);
  assert.ok(mean(wanted, steps - 20) < 0.5 * mean(wanted, 0), "f32 learns");
  for (let from = 0; from < steps; from += 20) {
    const [a, b] = [mean(wanted, from), mean(got, from)];
    assert.ok(Math.abs(a - b) < 0.1 * a + 0.02, `steps ${from} to ${from + 20}: ${a} in f32, ${b} in f16`);
  }
});

halfTest("a step that overflows changes nothing and halves the scale, then training goes on", async () => {
  const trainer = makeTrainer("f16");
  await train(trainer, 3);
  const [before, start] = [await everything(trainer), await scalerOf(trainer)];
  assert.is(start.good, 3);
  setScale(trainer, hugeScale);
  const [record] = await train(trainer, 4);
  const after = await scalerOf(trainer);
  assert.equal(await everything(trainer), before, "the same bits");
  assert.is(after.scale, hugeScale / 2);
  assert.is(after.good, 0);
  assert.is(after.correction1, start.correction1, "bias correction counts updates only");
  assert.equal([record.loss_scale, record.skipped, record.step], [hugeScale, 1, 4]);
  assert.ok(Number.isFinite(record.loss), "the loss itself is fine");
  assert.not.ok(Number.isFinite(record.gradient_norm));
  const rest = await train(trainer, 40);
  const { skipped, loss_scale } = rest.at(-1)!;
  assert.ok(skipped! > 1 && skipped! < 30, `${skipped} skipped`);
  assert.is(loss_scale, hugeScale * 0.5 ** skipped!);
  assert.not.equal(await everything(trainer), before);
  dispose(trainer);
});

halfTest("a network that overflows at any scale ends in a DivergedError", async () => {
  const trainer = makeTrainer("f16");
  const values = await trainer.model.parameters.read();
  const name = "vision_proj.weight";
  const { shape, data } = values.get(name)!;
  // Finite in f32, not in f16.
  trainer.model.parameters.load(values.set(name, { shape, data: data.fill(1e6) }));
  const records: StepRecord[] = [];
  try {
    await trainer.run(30, (record) => {
      records.push(record);
    });
    assert.unreachable("it should have stopped");
  } catch (error) {
    assert.instance(error, DivergedError);
    assert.match((error as Error).message, /multiplied by 1\./);
  }
  assert.is(records.length, 10, "1024 can be halved 10 times");
  dispose(trainer);
});

const numbers = (records: StepRecord[]) =>
  records.map((record) => [record.step, record.loss, record.gradient_norm, record.loss_scale]);

halfTest(
  "captured, eager and resumed training give the same bits, skipped steps and growth included",
  async () => {
    // An overflow after 2 steps; then the scale is about to grow.
    const disturb = (trainer: Trainer) => {
      setScale(trainer, hugeScale);
      return train(trainer, 3);
    };
    const nearGrowth = async (trainer: Trainer) => {
      const { state } = trainer.optimizer.scaler!;
      const values = (await state.read()).slice();
      // scale and good
      values.set([4096, 1997]);
      engine.write(state, values);
    };
    const whole = makeTrainer("f16");
    const records = [...(await train(whole, 2)), ...(await disturb(whole))];
    await nearGrowth(whole);
    records.push(...(await train(whole, 10)));
    assert.equal(
      records.map(({ loss_scale }) => loss_scale),
      [firstScale, firstScale, hugeScale, 4096, 4096, 4096, 8192, 8192, 8192, 8192],
    );

    const eager = makeTrainer("f16", false);
    const again = [...(await train(eager, 2)), ...(await disturb(eager))];
    await nearGrowth(eager);
    again.push(...(await train(eager, 10)));
    assert.equal(numbers(again), numbers(records), "eager");
    assert.equal(await everything(eager), await everything(whole));
    dispose(eager);

    const dir = await mkdtemp(join(tmpdir(), "casement-precision-"));
    const store = folderStore(dir);
    const first = makeTrainer("f16");
    await train(first, 2);
    await disturb(first);
    await nearGrowth(first);
    await train(first, 5);
    await saveCheckpoint(store, first.model.parameters, first.optimizer, first.seconds);
    dispose(first);
    const second = makeTrainer("f16");
    await loadCheckpoint(store, second.model.parameters, second.optimizer, assert.unreachable);
    assert.equal(numbers(await train(second, 10)), numbers(records.slice(5)), "resumed");
    assert.equal(await everything(second), await everything(whole));

    // A run that was in f32 so far goes on in f16, and the other way round.
    const plain = makeTrainer("f32");
    await loadCheckpoint(store, plain.model.parameters, plain.optimizer, assert.unreachable);
    assert.is((await train(plain, 6)).length, 1);
    await saveCheckpoint(store, plain.model.parameters, plain.optimizer, 0);
    dispose(plain);
    await loadCheckpoint(store, second.model.parameters, second.optimizer, assert.unreachable);
    const { scale, correction1 } = await scalerOf(second);
    assert.is(scale, 65536);
    assert.ok(Math.abs(correction1 - (1 - 0.9 ** 6)) < 1e-7);
    for (const trainer of [second, whole]) dispose(trainer);
    await rm(dir, { recursive: true });
  },
);

test("without shader-f16 the error says so", async () => {
  const found = await findAdapter();
  const device = await found.adapter.requestDevice();
  const bare = await Engine.create({ device });
  assert.throws(() => requirePrecision(bare, "f16"), /shader-f16.*lacks; choose f32/);
  requirePrecision(bare, "f32");
  bare.dispose();
  device.destroy();
  // Dawn's instance has to outlive the device.
  assert.ok(found);
});

test.after(() => engine.dispose());
test.run();
