// What the op table does not see of optimisers (cases/optimizer.ts has their steps): moments and state, the gradient norm, and what
// happens to a gradient that is not finite.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, normal } from "../engine/index.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { WeightAverage } from "../kernels/optimizer/average.ts";
import { Lion } from "../kernels/optimizer/lion.ts";
import { readState } from "../kernels/optimizer/loss-scale.ts";
import { normSquared, parameterGroup, squareSum } from "../kernels/optimizer/optimizer.ts";
import { SGD } from "../kernels/optimizer/sgd.ts";

// Grids fold as those of large parameters do.
const engine = await Engine.create({ poison: true, gridX: 2 });
const size = 5000;
const decayEnd = 1024;
const draw = (stream: number) => Float32Array.from({ length: size }, (_, i) => normal({ key: 5, stream }, i));

function makeFlat() {
  const values = engine.tensor(draw(0), [size]);
  const gradient = engine.zeros([size]);
  return { values, gradient, decayEnd };
}

function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    // A NaN must not pass.
    const difference = Math.abs(actual[i]! - expected[i]!);
    error = Math.max(error, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return error;
}

test("AdamW equals float64 over five steps without clipping, its moments too", async () => {
  const flat = makeFlat();
  const optimizer = new AdamW(engine, [flat], { weightDecay: 0.1, beta2: 0.98 });
  const p = Float64Array.from(draw(0));
  const m = new Float64Array(size);
  const v = new Float64Array(size);
  const rate = 0.01;
  for (let step = 1; step <= 5; step++) {
    const gradient = draw(step);
    engine.write(flat.gradient, gradient);
    optimizer.advance(rate);
    optimizer.update({ gradientScale: 0.5 });
    for (let i = 0; i < size; i++) {
      const g = gradient[i]! * 0.5;
      m[i] = 0.9 * m[i]! + 0.1 * g;
      v[i] = 0.98 * v[i]! + 0.02 * g * g;
      if (i < decayEnd) p[i]! *= 1 - rate * 0.1;
      p[i]! -= ((rate / (1 - 0.9 ** step)) * m[i]!) / (Math.sqrt(v[i]! / (1 - 0.98 ** step)) + 1e-8);
    }
  }
  assert.ok(worst(await flat.values.read(), p) < 2e-6);
  assert.ok(worst(await optimizer.firstMoments[0]!.read(), m) < 1e-6);
  assert.ok(worst(await optimizer.secondMoments[0]!.read(), v) < 1e-6);
});

test("in mixed precision SGD and Lion write masters and copy, and leave out what is not finite", async () => {
  if (!engine.hasF16) {
    console.log("\nskipped: SGD and Lion in mixed precision (the adapter has no f16)");
    return;
  }
  for (const Kind of [SGD, Lion]) {
    const copy = engine.zeros([size], "f16");
    const flat = { ...makeFlat(), copy };
    const plain = makeFlat();
    const optimizer = new Kind(engine, [flat], { lossScale: { initial: 256 } });
    const other = new Kind(engine, [plain]);
    const scaled = draw(1).map((value) => value * 256);
    for (const broken of [false, true]) {
      engine.write(flat.gradient, broken ? scaled.map((g, i) => (i === 99 ? Number.NaN : g)) : scaled);
      optimizer.advance(0.01);
      optimizer.update();
    }
    engine.write(plain.gradient, draw(1));
    other.advance(0.01);
    other.update();
    const masters = await flat.values.read();
    assert.ok(worst(masters, await plain.values.read()) < 1e-6);
    assert.equal(await copy.read(), await engine.tensor(masters, [size], "f16").read());
    for (const one of [optimizer, other]) one.dispose();
  }
});

test("tensors of any size are a group, with a learning rate and a decay of their own", async () => {
  const sizes = [[3, 5], [7], []];
  const tensors = sizes.map((shape, i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return engine.tensor(draw(i).slice(0, count), shape);
  });
  const before = await Promise.all(tensors.map((tensor) => tensor.read()));
  const groups = [
    ...parameterGroup(tensors.slice(0, 2)),
    ...parameterGroup(tensors.slice(2), { rate: 10, weightDecay: 0.5 }),
  ];
  const optimizer = new SGD(engine, groups);
  tensors.forEach((tensor, i) => {
    assert.is(tensor.grad, groups[i]!.gradient);
    engine.write(tensor.grad!, draw(10 + i).slice(0, tensor.size));
  });
  optimizer.advance(0.01);
  const norm = await optimizer.update().item();
  let squares = 0;
  for (const [i, tensor] of tensors.entries()) {
    const [rate, decay] = i === 2 ? [0.1, 0.5] : [0.01, 0];
    const expected = before[i]!.map((p, j) => p - rate * (draw(10 + i)[j]! + decay * p));
    squares += draw(10 + i)
      .slice(0, tensor.size)
      .reduce((sum, g) => sum + g * g, 0);
    assert.ok(worst(await tensor.read(), expected) < 1e-6, `tensor ${i}`);
  }
  assert.ok(Math.abs(norm / squares - 1) < 1e-5);
  optimizer.dispose();
  for (const { values, gradient } of groups) for (const tensor of [values, gradient]) tensor.dispose();
});

test("parameters that are parts of a larger tensor are stepped, and nothing behind them", async () => {
  const room = 256;
  // Rows of 1 to 5 elements, which end in the midst of a vec4, and one that fills its own.
  const sizes = [1, 2, 3, 4, 5];
  const behind = Array.from({ length: sizes.length * room }, (_, i) => 0.25 + (i % 7));
  for (const Kind of [SGD, Lion, AdamW]) {
    const [all, gradients, copies] = [0, 1, 2].map((which) =>
      engine.tensor(behind, [behind.length], which === 2 && engine.hasF16 ? "f16" : "f32"),
    );
    for (const mixed of engine.hasF16 ? [false, true] : [false]) {
      const flats = sizes.map((size, i) => ({
        values: engine.slice(all!, i * room, [size]),
        gradient: engine.slice(gradients!, i * room, [size]),
        ...(mixed ? { copy: engine.slice(copies!, i * room, [size]) } : {}),
        decayEnd: size,
      }));
      const before = await engine.readAll([all!, copies!]);
      const optimizer = new Kind(engine, flats);
      optimizer.advance(0.25);
      optimizer.update();
      (await engine.readAll([all!, copies!])).forEach((after, which) => {
        after.forEach((value, i) => {
          const moves = (which === 0 || mixed) && i % room < sizes[Math.floor(i / room)]!;
          assert.is(value !== before[which]![i], moves, `${Kind.name}, ${which}: ${i} became ${value}`);
        });
      });
      optimizer.dispose();
    }
  }
  assert.is(await normSquared(engine, []).item(), 0);
});

test("averages of weights follow them, and change places with them", async () => {
  const tensors = [engine.tensor(draw(0), [size]), engine.tensor(draw(1).slice(0, 7), [7])];
  const average = new WeightAverage(tensors, 0.75);
  engine.write(tensors[0]!, draw(2));
  engine.write(tensors[1]!, draw(3).slice(0, 7));
  average.update();
  const expected = [0, 1].map((i) =>
    draw(i)
      .slice(0, tensors[i]!.size)
      .map((value, j) => 0.75 * value + 0.25 * draw(2 + i)[j]!),
  );
  for (const i of [0, 1]) assert.ok(worst(await average.averages[i]!.read(), expected[i]!) < 1e-6);
  average.swap();
  for (const i of [0, 1]) assert.ok(worst(await tensors[i]!.read(), expected[i]!) < 1e-6);
  assert.equal(await average.averages[0]!.read(), draw(2));
  average.swap();
  assert.equal(await tensors[0]!.read(), draw(2));
  average.dispose();
  for (const tensor of tensors) tensor.dispose();
});

test("buffers have learning rates and decays of their own", async () => {
  const plain = makeFlat();
  const slow = { ...makeFlat(), rate: 0.25, weightDecay: 0.4 };
  const alike = makeFlat();
  const optimizer = new AdamW(engine, [plain, slow], { weightDecay: 0.1 });
  const other = new AdamW(engine, [alike], { weightDecay: 0.4 });
  for (let step = 1; step <= 3; step++) {
    for (const { gradient } of [plain, slow, alike]) engine.write(gradient, draw(step));
    optimizer.advance(0.02);
    optimizer.update();
    other.advance(0.005);
    other.update();
  }
  assert.equal(await slow.values.read(), await alike.values.read());
  assert.not.equal(await slow.values.read(), await plain.values.read());
});

test("in mixed precision AdamW equals float64, and a step left out counts as none", async () => {
  if (!engine.hasF16) {
    console.log("\nskipped: AdamW in mixed precision (the adapter has no f16)");
    return;
  }
  const copy = engine.zeros([size], "f16");
  const flat = { ...makeFlat(), copy };
  const optimizer = new AdamW(engine, [flat], {
    ...{ weightDecay: 0.1, beta2: 0.98 },
    lossScale: { initial: 256, interval: 2 },
  });
  const p = Float64Array.from(draw(0));
  const m = new Float64Array(size);
  const v = new Float64Array(size);
  const rate = 0.01;
  let updates = 0;
  const scales: number[] = [];
  for (let step = 1; step <= 6; step++) {
    const gradient = draw(step);
    const scale = await optimizer.scaler!.scale.item();
    scales.push(scale);
    const scaled = gradient.map((value) => value * scale);
    if (step === 3) scaled[2345] = Number.POSITIVE_INFINITY;
    engine.write(flat.gradient, scaled);
    optimizer.advance(rate);
    optimizer.update({ gradientScale: 0.5, maxNorm: 10 });
    const state = readState(await optimizer.scaler!.state.read());
    assert.is(state.skipped, step < 3 ? 0 : 1);
    if (step === 3) continue;
    updates++;
    const norm = 0.5 * Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    assert.ok(Math.abs(state.norm - norm) < 1e-5 * norm);
    for (let i = 0; i < size; i++) {
      const g = gradient[i]! * 0.5 * Math.min(1, 10 / (norm + 1e-6));
      m[i] = 0.9 * m[i]! + 0.1 * g;
      v[i] = 0.98 * v[i]! + 0.02 * g * g;
      if (i < decayEnd) p[i]! *= 1 - rate * 0.1;
      p[i]! -= ((rate / (1 - 0.9 ** updates)) * m[i]!) / (Math.sqrt(v[i]! / (1 - 0.98 ** updates)) + 1e-8);
    }
  }
  assert.equal(scales, [256, 256, 512, 256, 256, 512]);
  assert.ok(worst(await flat.values.read(), p) < 2e-6);
  assert.ok(worst(await optimizer.firstMoments[0]!.read(), m) < 1e-6);
  assert.ok(worst(await optimizer.secondMoments[0]!.read(), v) < 1e-6);
  const masters = await flat.values.read();
  assert.equal(await copy.read(), await engine.tensor(masters, [size], "f16").read());
  optimizer.dispose();
});

test("a gradient that is not finite changes nothing", async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const flat = makeFlat();
    const optimizer = new AdamW(engine, [flat]);
    engine.write(flat.gradient, draw(1));
    optimizer.advance(0.01);
    optimizer.update();
    const before = (await flat.values.read()).slice();
    const broken = draw(2);
    broken[4321] = bad;
    engine.write(flat.gradient, broken);
    optimizer.advance(0.01);
    const norm = optimizer.update({ maxNorm: 1 });
    assert.not.ok(Number.isFinite((await norm.read())[0]!));
    assert.equal(await flat.values.read(), before);
  }
});

test("the norm adds up over several buffers", async () => {
  const sizes = [4, 1000, 70_001];
  let expected = 0;
  const gradients = sizes.map((count, stream) => {
    const values = Float32Array.from({ length: count }, (_, i) => normal({ key: 9, stream }, i));
    expected += values.reduce((sum, value) => sum + value * value, 0);
    return engine.tensor(values, [count]);
  });
  const actual = (await normSquared(engine, gradients).read())[0]!;
  assert.is(await normSquared(engine, []).item(), 0, "of nothing");
  assert.ok(Math.abs(actual - expected) < 1e-5 * expected, `${actual} instead of ${expected}`);
});

test("a sum of squares keeps what is small beside it", async () => {
  // One workgroup's lanes have 400 terms each: 2^24, then ones, which f32 can't add to it one by one.
  const count = 64 * 4 * 400;
  const values = Float32Array.from({ length: count }, (_, i) => (i < 256 ? 4096 : 1));
  const total = engine.empty([1]);
  engine.run(squareSum, {
    bind: [engine.tensor(values, [count]), total],
    params: { count, groups: 1 },
    grid: [1, 1, 1],
    constants: { SQUARE: true, ACCUMULATE: false },
  });
  const expected = 256 * 2 ** 24 + (count - 256);
  const found = await total.item();
  assert.ok(Math.abs(found / expected - 1) < 5e-6, `${found} instead of ${expected}`);
});

test.after(() => engine.dispose());
test.run();
