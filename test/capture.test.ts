// Captured steps: the same bits as the same step run eagerly, nothing made while replaying, and clear errors.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { multiply } from "../cases/check.ts";
import { Engine, normal, RandomStreams, Scalar, type Tensor } from "../engine/index.ts";
import { bytesOf, coalesced, dispatchesOf, planArenas } from "../engine/run/arenas.ts";
import { type Lifetime, leastBytes, planMemory, tieBreaks } from "../engine/run/planner.ts";
import { backward } from "../kernels/backward.ts";
import { add } from "../kernels/elementwise/arithmetic.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { scale } from "../kernels/elementwise/unary.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear, matmul } from "../kernels/matmul/matmul.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { softmax } from "../kernels/softmax/softmax.ts";
import { Parameters } from "../model/parameters.ts";

const [rows, width] = [12, 20];

/** A small network with everything that a captured step has to carry: dropout, branches, an optimiser. */
function makeStep(engine: Engine) {
  const parameters = new Parameters(engine, [
    { name: "w1", shape: [width, width], initial: { normal: 0.3 } },
    { name: "w2", shape: [width, width], initial: { normal: 0.3 } },
    { name: "g", shape: [width], initial: { constant: 1 } },
    { name: "b", shape: [width], initial: { constant: 0 } },
  ]);
  parameters.initialize(5);
  const optimizer = new AdamW(engine, parameters.flats, { weightDecay: 0.1 });
  const streams = new RandomStreams(9);
  const p = (name: string) => parameters.get(name);
  const record = (x: Tensor) => {
    parameters.clearGradients();
    const hidden = dropout(linear(x, p("w1"), { gelu: true }), 0.3, streams.stream());
    const normed = layernorm(add(hidden, x), p("g"), p("b"));
    const loss = mean(matmul(normed, linear(normed, p("w2")), { transposeB: true }));
    backward(loss);
    optimizer.update({ maxNorm: 0.5 });
    return loss;
  };
  const before = (step: number) => {
    streams.seek(step);
    optimizer.advance(0.01 * (step + 1));
  };
  return { parameters, record, before };
}

const inputOf = (step: number) =>
  Float32Array.from({ length: rows * width }, (_, i) => normal({ key: 3, stream: step }, i));

test("replays give the bits of the eager step", async () => {
  const engine = await Engine.create({ poison: true });
  const eager = makeStep(engine);
  const captured = makeStep(engine);
  const x = engine.tensor(inputOf(0), [rows, width]);
  const program = await engine.capture(() => captured.record(x), { x });
  for (let step = 0; step < 6; step++) {
    eager.before(step);
    const loss = engine.scope(() => eager.record(engine.tensor(inputOf(step), [rows, width])));
    captured.before(step);
    program.run({ x: inputOf(step) });
    assert.equal(await program.outputs.read(), await loss.read(), `loss of step ${step}`);
    loss.dispose();
  }
  const [a, b] = [await eager.parameters.read(), await captured.parameters.read()];
  for (const [name, { data }] of a) assert.equal(b.get(name)!.data, data, name);
  assert.ok(program.memory.planned < program.memory.naive, "memory is shared");
  engine.dispose();
});

test("arenas are split where a binding may not be larger, with the same bits", async () => {
  // Two of the step's tensors, one to be read and one to be written.
  const maxArenaBytes = Math.ceil((4 * rows * width) / 256) * 256 * 2;
  const memories = [];
  const losses = [];
  for (const options of [{}, { maxArenaBytes }]) {
    const engine = await Engine.create({ poison: true, ...options });
    const step = makeStep(engine);
    const x = engine.tensor(inputOf(0), [rows, width]);
    const planned = engine.plan(() => step.record(x));
    const program = await engine.capture(() => step.record(x), { x });
    assert.equal(planned, program.memory, "what was planned without running it");
    for (let i = 0; i < 3; i++) {
      step.before(i);
      program.run({ x: inputOf(i) });
    }
    losses.push(await program.outputs.item());
    memories.push(program.memory);
    engine.dispose();
  }
  assert.is(losses[1], losses[0]);
  const [free, limited] = memories.map(({ planned, arenas }) => planned / arenas) as [number, number];
  assert.ok(free > maxArenaBytes && limited <= maxArenaBytes, `${free} and ${limited} bytes an arena`);
  for (const { least, planned, naive } of memories) assert.ok(least <= planned && planned < naive);
});

/** Counts the calls that a device and its queue get from now on. */
function countCalls(device: GPUDevice): Record<string, number> {
  const counts: Record<string, number> = {};
  const watch = (object: GPUDevice | GPUQueue, names: readonly string[]) => {
    const methods = object as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) {
      const method = methods[name]!.bind(object);
      methods[name] = (...args) => {
        counts[name] = (counts[name] ?? 0) + 1;
        return method(...args);
      };
    }
  };
  const made = [
    "Buffer",
    "BindGroup",
    "BindGroupLayout",
    "PipelineLayout",
    "ShaderModule",
    "ComputePipeline",
  ];
  watch(device, [
    ...made.map((name) => `create${name}`),
    "createComputePipelineAsync",
    "createCommandEncoder",
  ]);
  watch(device.queue, ["submit", "writeBuffer"]);
  return counts;
}

test("a replay makes an encoder, one submit, and a write for its scalars and for each input", async () => {
  const engine = await Engine.create();
  const step = makeStep(engine);
  const x = engine.tensor(inputOf(0), [rows, width]);
  const program = await engine.capture(() => step.record(x), { x });
  await engine.idle();
  const counts = countCalls(engine.device);
  for (let i = 0; i < 10; i++) {
    step.before(i);
    program.run({ x: inputOf(i) });
  }
  assert.equal(counts, { createCommandEncoder: 10, submit: 10, writeBuffer: 20 });
  await engine.idle();
  engine.dispose();
});

test("a replay changes no counter but the submits", async () => {
  const engine = await Engine.create();
  const step = makeStep(engine);
  const x = engine.tensor(inputOf(0), [rows, width]);
  const program = await engine.capture(() => step.record(x), { x });
  step.before(0);
  program.run();
  await engine.idle();
  const before = engine.stats();
  for (let i = 1; i < 20; i++) {
    step.before(i);
    program.run({ x: inputOf(i) });
  }
  await engine.idle();
  assert.equal(engine.stats(), { ...before, submits: before.submits + 19 });
  engine.dispose();
});

test("runs queue behind work that still compiles, each with its own values", async () => {
  const engine = await Engine.create();
  const factor = new Scalar(2);
  const x = engine.tensor([1, 2, 3], [3]);
  const total = engine.zeros([3]);
  const program = await engine.capture(
    () => {
      engine.copy(add(total, multiply(x, factor)), total);
    },
    { x },
  );
  // A kernel that nothing has compiled yet holds the queue.
  const other = layernorm(
    engine.tensor(inputOf(0), [rows, width]),
    engine.zeros([width]),
    engine.zeros([width]),
  );
  engine.flush();
  for (const value of [2, 5, 7]) {
    factor.value = value;
    program.run({ x: [value, 1, 0] });
  }
  engine.write(x, [9, 9, 9]);
  assert.equal([...(await total.read())], [4 + 25 + 49, 14, 0]);
  assert.equal([...(await x.read())], [9, 9, 9]);
  other.dispose();
  engine.dispose();
});

test("what a captured step can't do is an error", async () => {
  const engine = await Engine.create();
  const x = engine.tensor([1, 2], [2]);
  const fails = async (work: () => unknown, message: RegExp) => {
    let error: Error | null = null;
    await engine.capture(work).catch((cause: Error) => {
      error = cause;
    });
    assert.match(`${error}`, message);
  };
  await fails(() => engine.write(x, [3, 4]), /from outside/);
  const program = await engine.capture(() => scale(x, 3), { x });
  assert.throws(() => program.run({ y: [1] }), /no input "y"/);
  assert.throws(() => program.run({ x: [1, 2, 3] }), /"x" is f32\[2\], of 2 values; it got 3/);
  program.run({ x: [5, 6] });
  assert.equal([...(await program.outputs.read())], [15, 18], "errors left the program whole");
  await fails(async () => scale(x, 2), /must not be async/);
  await fails(() => scale(x, 2).read(), /can't read/);
  program.dispose();
  assert.throws(() => program.run(), /disposed/);
  engine.dispose();
});

test("shapes that change after capture are an error that names the tensor", async () => {
  const engine = await Engine.create();
  const a = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const ids = engine.tensor([1, 2], [2], "u32");
  const program = await engine.capture(() => scale(a, 3), { a, ids });
  const six = [2, 2, 2, 2, 2, 2];
  assert.throws(() => program.run({ a: { values: six, shape: [3, 2] } }), /"a" is f32\[2,3\]; .* \[3,2\]/);
  assert.throws(
    () => program.run({ a: six, ids: { values: [1, 2, 3], shape: [3] } }),
    /"ids" is u32\[2\]; it got the shape \[3\]/,
  );
  assert.throws(() => program.run({ ids: { values: [1, 2], shape: [2], dtype: "f32" } }), /"ids" .* got f32/);
  assert.throws(() => program.run({ ids: { values: [1], shape: [2] } }), /"ids" .* got 1 values/);
  program.run();
  assert.equal([...(await program.outputs.read())], [3, 6, 9, 12, 15, 18], "nothing was written");
  program.run({ a: { values: six, shape: [2, 3], dtype: "f32" } });
  assert.equal([...(await program.outputs.read())], [6, 6, 6, 6, 6, 6]);
  ids.dispose();
  assert.throws(() => program.run({ ids: [1, 2] }), /"ids" is u32\[2\], which was disposed/);
  program.outputs.dispose();
  const refused = await program.outputs.read().catch((error: Error) => error.message);
  assert.match(`${refused}`, /f32\[2,3\] was disposed/);
  program.run();
  await engine.idle();
  engine.dispose();
});

test("memory held by a program goes back when it is disposed", async () => {
  const engine = await Engine.create();
  const x = engine.tensor([1, 2], [2]);
  const used = engine.stats().usedBytes;
  const program = await engine.capture(() => scale(x, 3));
  x.dispose();
  assert.is(engine.stats().usedBytes, used, "the program still reads it");
  program.run();
  assert.equal([...(await program.outputs.read())], [3, 6]);
  program.dispose();
  assert.is(engine.stats().usedBytes, 0);
  engine.dispose();
});

test("plans keep apart what lives at the same time and what one command reads and writes", () => {
  const random = (i: number, below: number) =>
    Math.floor(Math.abs(normal({ key: 1, stream: 1 }, i)) * 1e6) % below;
  const count = 300;
  const lifetimes = Array.from({ length: count }, (_, i): Lifetime & { apart: Set<number> } => {
    const first = random(3 * i, 500);
    return {
      ...{ bytes: 1 + random(3 * i + 1, 5000), first, last: first + random(3 * i + 2, 40), apart: new Set() },
    };
  });
  lifetimes.forEach(({ first, apart }, i) => {
    lifetimes.forEach((other, j) => {
      if (i === j || other.last !== first) return;
      apart.add(j);
      other.apart.add(i);
    });
  });
  const limit = 20_000;
  const sum = (values: number[]) => values.reduce((x, y) => x + y, 0);
  // Twenty bundles of five members, each of which binds two of them and one from outside.
  const bundles = Array.from({ length: 20 }, (_, g) =>
    [0, 1, 2, 3, 4].map((i) => [15 * g + 3 * i, null, 15 * g + 3 * i + 1]),
  );
  const classes = coalesced(lifetimes, bundles);
  const options = tieBreaks.flatMap((tieBreak) => [{ tieBreak }, { tieBreak, classes }]);
  for (const one of options) {
    const { arenas, places } = planMemory(lifetimes, limit, one);
    for (const [i, a] of lifetimes.entries()) {
      const from = places[i]!;
      assert.is(from.offset % 256, 0);
      assert.ok(from.offset + a.bytes <= arenas[from.arena]!);
      for (const j of a.apart) assert.is.not(places[j]!.arena, from.arena);
      for (let j = 0; j < i; j++) {
        const [b, to] = [lifetimes[j]!, places[j]!];
        const together = a.first <= b.last && b.first <= a.last && from.arena === to.arena;
        const overlap = from.offset < to.offset + b.bytes && to.offset < from.offset + a.bytes;
        assert.not.ok(together && overlap, `${i} and ${j}`);
      }
    }
    assert.ok(arenas.every((size) => size <= limit));
    const most = "classes" in one ? 1 / 2 : 1 / 4;
    assert.ok(sum(arenas) < sum(lifetimes.map(({ bytes }) => bytes)) * most, `${sum(arenas)} bytes`);
  }
  // Where no arena is ever full, a class has one.
  const { places } = planMemory(lifetimes, Number.POSITIVE_INFINITY, { classes });
  lifetimes.forEach(({ apart }, i) => {
    for (let j = 0; j < i; j++) if (classes[i] === classes[j]) assert.is(places[i]!.arena, places[j]!.arena);
    for (const j of apart) assert.is.not(classes[i], classes[j]);
  });
  // What is joined in one place may keep apart what is bound in the next.
  const few = [[], [], [], [0]].map((apart) => ({ ...lifetimes[0]!, apart: new Set<number>(apart) }));
  few[0]!.apart.add(3);
  const joined = coalesced(few, [
    [
      [0, 2],
      [2, 3],
    ],
  ]);
  assert.ok(joined[0] === joined[2] && joined[3] !== joined[0], `${joined}`);
  // Bytes that it may cost bring them together.
  const plans = [0, 9000, 1e9].map((room) => planArenas(lifetimes, limit, bundles, room));
  const [least, near, most] = plans.map(bytesOf) as [number, number, number];
  assert.ok(least < near && near <= least + 9000 && near < most, `${[least, near, most]} bytes`);
  const dispatches = plans.map((plan) => dispatchesOf(plan, bundles)) as [number, number, number];
  assert.ok(dispatches[0] > dispatches[1] && dispatches[1] > dispatches[2], `${dispatches} dispatches`);
  assert.ok(dispatches[2] < 50, `${dispatches[2]} dispatches of 100`);
});

test("one kernel of a program runs alone, and the rest keeps what it had", async () => {
  const engine = await Engine.create({ poison: true });
  const x = engine.tensor([1, 2, 3, 4], [1, 4]);
  const program = await engine.capture(() => ({ doubled: scale(x, 2), shares: softmax(x) }));
  program.run();
  const shares = await program.outputs.shares.read();
  const [first] = program.launches();
  engine.write(x, [7, 5, 3, 1]);
  program.runAlone(first!.kernel);
  assert.equal([...(await program.outputs.doubled.read())], [14, 10, 6, 2]);
  assert.equal(await program.outputs.shares.read(), shares);
  program.run();
  assert.not.equal(await program.outputs.shares.read(), shares);
  engine.dispose();
});

test("the most bytes at one time: what ends is gone before what begins, and what nothing touches never was", () => {
  const life = (bytes: number, first: number, last: number): Lifetime => ({
    ...{ bytes, first, last },
    apart: new Set(),
  });
  assert.is(leastBytes([]), 0);
  assert.is(leastBytes([life(5, 0, 3), life(7, 4, 6)]), 7);
  assert.is(leastBytes([life(5, 0, 4), life(7, 4, 6), life(1, 2, 2)]), 12);
  assert.is(leastBytes([life(5, 2, 2), life(3, 0, 9), life(90, 7, 4)]), 8);
});

test.run();
