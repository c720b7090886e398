// What must not happen to those who use the engine as an app does: numbers of another program, tensors that outlive their
// memory, one mistake or one refused call that ends the engine, waits that never settle.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  DeviceError,
  DeviceLostError,
  defineKernel,
  Engine,
  findAdapter,
  KernelError,
  RandomStreams,
  type Tensor,
  TensorError,
} from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";
import { accumulateInto } from "../kernels/elementwise/accumulate.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { neg, scale } from "../kernels/elementwise/unary.ts";
import { sum as engineSum } from "../kernels/reduce/reduce.ts";
import { reshape } from "../kernels/shape/reshape.ts";
import { softmax } from "../kernels/softmax/softmax.ts";

const engine = await Engine.create({ poison: true });
test.after(() => engine.dispose());

const numbers = async (tensor: Tensor) => [...(await tensor.read())];

/** The error that a promise or a call ends with. */
async function errorOf(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("no error came");
}

async function fails(work: () => unknown, kind: new (message: string) => Error, message: RegExp) {
  const error = await errorOf(work);
  assert.instance(error, kind, `${error.stack}`);
  assert.match(error.message, message);
}

/** The engine still computes, and has no error left to tell. */
async function worksOn(e: Engine = engine) {
  const [x, y] = [e.tensor([1, 2, 3], [3]), e.tensor([10, 20, 30], [3])];
  const z = add(x, y);
  assert.equal(await numbers(z), [11, 22, 33]);
  for (const tensor of [x, y, z]) tensor.dispose();
  await e.idle();
}

// Captured steps

test("the same op on outputs of two programs reads each one's own memory", async () => {
  const x = engine.tensor([1, 2, 3, 4], [4]);
  const p1 = await engine.capture(() => mul(x, x), { x });
  const p2 = await engine.capture(() => mul(scale(x, 10), scale(x, 10)), { x });
  for (let round = 0; round < 2; round++) {
    p1.run();
    p2.run();
    const y1 = neg(p1.outputs);
    assert.equal(await numbers(y1), [-1, -4, -9, -16]);
    y1.dispose();
    const y2 = neg(p2.outputs);
    assert.equal(await numbers(y2), [-100, -400, -900, -1600]);
    y2.dispose();
  }
  p1.dispose();
  const y2 = neg(p2.outputs);
  assert.equal(await numbers(y2), [-100, -400, -900, -1600]);
  await fails(() => neg(p1.outputs), TensorError, /"x", f32\[4\], belongs to a program that was disposed/);
  await fails(() => p1.outputs.read(), TensorError, /f32\[4\] belongs to a program that was disposed/);
  await worksOn();
  for (const tensor of [x, y2]) tensor.dispose();
  p2.dispose();
});

test("captures of one shape, one after the other, never share what is cached", async () => {
  const x = engine.tensor([1, 2, 3, 4], [4]);
  const groups = engine.stats().bindGroups;
  for (let i = 1; i <= 20; i++) {
    const program = await engine.capture(() => scale(x, i), { x });
    program.run();
    const y = neg(program.outputs);
    assert.equal(await numbers(y), [-i, -2 * i, -3 * i, -4 * i]);
    y.dispose();
    program.dispose();
  }
  assert.ok(engine.stats().bindGroups > groups);
  x.dispose();
  await worksOn();
});

test("what was recorded before a program is disposed still has its memory", async () => {
  const fresh = await Engine.create({ poison: true });
  const x = fresh.tensor([1, 2, 3, 4], [4]);
  const program = await fresh.capture(() => scale(x, 3), { x });
  program.run();
  // Of a kernel that is not compiled yet, so that it waits; then of one that is.
  const y = dropout(program.outputs, 0, { key: 1, stream: 1 });
  const z = scale(program.outputs, 2);
  program.run({ x: [5, 6, 7, 8] });
  const late = scale(program.outputs, 2);
  program.dispose();
  program.dispose();
  assert.equal(await numbers(z), [6, 12, 18, 24]);
  assert.equal(await numbers(late), [30, 36, 42, 48]);
  assert.equal(await numbers(y), [3, 6, 9, 12]);
  await worksOn(fresh);
  fresh.dispose();
});

test("results of a program that has not run are an error, not zeros", async () => {
  const x = engine.tensor([1, 2], [2]);
  const program = await engine.capture(() => scale(x, 3), { x });
  const early = scale(program.outputs, 2);
  await fails(() => program.outputs.read(), TensorError, /has not run yet/);
  await fails(() => early.read(), TensorError, /has not run yet/);
  program.run();
  assert.equal(await numbers(program.outputs), [3, 6]);
  await fails(() => early.read(), TensorError, /has not run yet/);
  for (const tensor of [x, early]) tensor.dispose();
  program.dispose();
  await worksOn();
});

test("a tensor of a captured step that still compiles is an error that says so, and the step is whole", async () => {
  const used = engine.stats().usedBytes;
  const x = engine.tensor([1, 2, 4, 8], [2, 2]);
  x.requiresGrad = true;
  let y = x;
  const capturing = engine.capture(() => {
    y = mul(x, x);
    backward(y, { grad: x });
    return y;
  });
  // All at once: the step may be ready in the next turn.
  const works = [() => y.read(), () => neg(y), () => engine.clear(y), () => add(x, x.grad!)];
  await Promise.all(
    works.map((work) =>
      fails(
        () => engine.scope(work),
        TensorError,
        /f32\[2,2\],? belongs to a captured step that is not ready/,
      ),
    ),
  );
  const program = await capturing;
  program.run();
  assert.equal(await numbers(x.grad!), [2, 8, 32, 128]);
  program.dispose();
  x.dispose();
  await engine.idle();
  assert.is(engine.stats().usedBytes, used);
});

test("a captured step that can't be placed holds nothing", async () => {
  const x = engine.tensor([1, 2], [2]);
  const used = engine.stats().usedBytes;
  const capture = () =>
    engine.capture(() => {
      const constant = engine.tensor([3, 4], [2]);
      engine.copy(x, constant);
      return constant;
    });
  await fails(capture, TensorError, /changes a tensor that it filled from the host/);
  x.dispose();
  assert.ok(engine.stats().usedBytes < used, "x went back");
});

test("results of one program can be target and source of a call, and of another step", async () => {
  const x = engine.tensor([1, 2, 4, 8], [4]);
  const program = await engine.capture(() => ({ a: scale(x, 2), b: scale(x, 3), c: scale(x, 5) }));
  const { a, b, c } = program.outputs;
  program.run();
  accumulateInto(a, b);
  engine.copy(a, c);
  assert.equal(await numbers(c), [5, 10, 20, 40]);
  const second = await engine.capture(() => {
    engine.copy(neg(a), b);
  });
  second.run();
  assert.equal(await numbers(b), [-5, -10, -20, -40]);
  program.dispose();
  second.dispose();
  x.dispose();
});

test("a program that uses another's memory says so once that is gone", async () => {
  const x = engine.tensor([1, 2], [2]);
  const first = await engine.capture(() => scale(x, 3), { x });
  const second = await engine.capture(() => scale(first.outputs, 2));
  first.run();
  second.run();
  assert.equal(await numbers(second.outputs), [6, 12]);
  first.dispose();
  await fails(() => second.run(), TensorError, /belongs to a program that was disposed.*capture it anew/);
  assert.equal(await numbers(second.outputs), [6, 12]);
  second.dispose();
  x.dispose();
  await worksOn();
});

// Gradients

function learner(e: Engine) {
  const w = e.tensor([2, 3], [2]);
  w.requiresGrad = true;
  return { w, step: () => backward(engineSum(mul(w, w))) };
}

test("what a rehearsal brings to leaves is taken back", async () => {
  for (const rehearse of ["tune", "prepare", "plan"] as const) {
    const { w, step } = learner(engine);
    const streams = new RandomStreams(5);
    const stepWithNoise = () => {
      dropout(w, 0.5, streams.stream());
      step();
    };
    await engine[rehearse](stepWithNoise);
    assert.is(w.grad, null, rehearse);
    assert.equal(streams.stream(), new RandomStreams(5).stream(), "no stream was drawn");
    engine.scope(step);
    assert.equal(await numbers(w.grad!), [4, 6]);
    const grad = w.grad!;
    await engine[rehearse](step);
    assert.is(w.grad, grad);
    assert.equal(await numbers(grad), [4, 6]);
    engine.scope(step);
    assert.equal(await numbers(w.grad!), [8, 12], "gradients add up as without a rehearsal");
    grad.dispose();
    w.dispose();
  }
  await worksOn();
});

test("a rehearsed tensor that got out holds nothing and says so", async () => {
  let lost: Tensor | null = null;
  const x = engine.tensor([1, 2], [2]);
  for (const rehearse of ["tune", "prepare", "plan"] as const) {
    await engine[rehearse](() => {
      lost = engine.keep(scale(x, 2));
    });
    await fails(() => lost!.read(), TensorError, /f32\[2\] was made by a step that was only rehearsed/);
    await fails(() => neg(lost!), TensorError, /only rehearsed/);
  }
  await errorOf(() =>
    engine.capture(() => {
      lost = engine.keep(scale(x, 2));
      throw new Error("on purpose");
    }),
  );
  await fails(() => lost!.read(), TensorError, /captured step that failed/);
  x.dispose();
  await worksOn();
});

test("a rehearsal leaves no memory behind, whatever its step returns or keeps", async () => {
  const w = engine.tensor([1, 2, 3, 4], [2, 2]);
  for (const rehearse of ["tune", "prepare", "plan"] as const) {
    await engine[rehearse](() => [engine.keep(reshape(w, [4])), reshape(w, [4, 1])]);
  }
  const program = await engine.capture(() => [reshape(w, [4]), scale(w, 2)]);
  program.run();
  assert.equal(await numbers(program.outputs[0]!), [1, 2, 3, 4]);
  program.dispose();
  assert.ok(program.outputs.every(({ disposed }) => disposed));
  const { usedBytes } = engine.stats();
  w.dispose();
  assert.is(engine.stats().usedBytes, usedBytes - 256);
});

test("a program can't run inside of another step, whose replay would not run it", async () => {
  const w = engine.tensor([1, 2], [2]);
  w.requiresGrad = true;
  const program = await engine.capture(() => scale(w, 2));
  const nested = () => {
    program.run();
    return scale(w, 3);
  };
  for (const work of [
    () => engine.capture(nested),
    () => engine.prepare(nested),
    () => engine.tune(nested),
    () => engine.checkpoint(nested),
  ]) {
    await fails(work, TensorError, /(can't|must not) run a program/);
  }
  await fails(() => program.outputs.read(), TensorError, /has not run yet/);
  program.dispose();
  w.dispose();
  await worksOn();
});

test("what the host writes to a result comes after a run that waits for another kernel", async () => {
  const fresh = await Engine.create({ poison: true });
  const x = fresh.tensor([1, 2, 3, 4], [4]);
  const program = await fresh.capture(() => scale(x, 2));
  softmax(x);
  program.run();
  fresh.write(program.outputs, [9, 8, 7, 6]);
  assert.equal(await numbers(program.outputs), [9, 8, 7, 6]);
  fresh.dispose();
});

test("a gradient beside that of a program that has not run is one of its own", async () => {
  const w = engine.tensor([1, 2], [2]);
  w.requiresGrad = true;
  const ones = engine.tensor([1, 1], [2]);
  const bring = (factor: number) => engine.scope(() => backward(scale(w, factor), { grad: ones }));
  const capturing = engine.capture(() => bring(3));
  bring(2);
  const early = w.grad!;
  const program = await capturing;
  bring(4);
  assert.is(w.grad, early);
  assert.equal(await numbers(early), [6, 6]);
  program.run();
  assert.equal(await numbers(w.grad!), [3, 3]);
  const second = await engine.capture(() => bring(5));
  bring(7);
  assert.equal(await numbers(w.grad!), [7, 7]);
  program.dispose();
  second.dispose();
  for (const tensor of [w.grad!, early, w, ones]) tensor.dispose();
});

test("a gradient that a program makes is a program's memory", async () => {
  const { w, step } = learner(engine);
  const program = await engine.capture(step);
  const grad = w.grad!;
  program.run();
  assert.equal(await numbers(grad), [4, 6]);
  program.dispose();
  await fails(() => grad.read(), TensorError, /f32\[2\] belongs to a program that was disposed/);
  await fails(() => w.grad!.read(), TensorError, /program that was disposed/);
  engine.scope(step);
  assert.equal(await numbers(w.grad!), [4, 6], "a gradient that is gone is none");
  w.grad!.dispose();
  engine.scope(step);
  assert.equal(await numbers(w.grad!), [4, 6]);
  w.grad!.dispose();
  w.dispose();
  await worksOn();
});

test("a captured step that fails leaves gradients as they were", async () => {
  const { w, step } = learner(engine);
  await fails(
    () =>
      engine.capture(() => {
        step();
        throw new Error("on purpose");
      }),
    Error,
    /on purpose/,
  );
  assert.is(w.grad, null);
  engine.scope(step);
  assert.equal(await numbers(w.grad!), [4, 6]);
  w.grad!.dispose();
  w.dispose();
});

// What is refused

const tooWide = defineKernel({
  name: "too-wide",
  bindings: ["x: f32", "+y: array<f32, 1000>"],
  source: "@compute @workgroup_size(1) fn main() { y[0][0] = x[0]; }",
});
const crooked = defineKernel({
  name: "crooked",
  bindings: ["x: f32", "+y: f32"],
  source: "@compute @workgroup_size(1) fn main() { y[0] = undeclared; }",
});

for (const [what, kernel, message] of [
  ["a dispatch that the device refuses", tooWide, /"too-wide" was refused by the device.*bytes/s],
  ["a kernel that does not compile", crooked, /"crooked" does not compile/],
] as const) {
  test(`${what} is the fate of its results, not of the engine`, async () => {
    const x = engine.tensor([1, 2], [2]);
    const before = scale(x, 2);
    await engine.idle();
    const y = engine.empty([2]);
    engine.run(kernel, { bind: [x, y], params: {}, grid: 1 });
    const made = scale(y, 2);
    const copied = engine.empty([2]);
    engine.copy(made, copied);
    const reading = made.read();
    await fails(() => reading, KernelError, message);
    await fails(() => y.read(), KernelError, message);
    await fails(() => copied.read(), KernelError, message);
    const later = scale(copied, 2);
    await fails(() => later.read(), KernelError, message);
    assert.equal(await numbers(before), [2, 4]);
    engine.write(y, [3, 4]);
    assert.equal(await numbers(y), [3, 4], "what is written anew is whole again");
    engine.copy(before, made);
    assert.equal(await numbers(made), [2, 4], "so is what is copied over");
    for (const tensor of [x, before, y, made, copied, later]) tensor.dispose();
    const again = [0, 1, 2, 3, 4, 5].map(() => engine.zeros([2]));
    for (const tensor of again)
      assert.equal(await numbers(tensor), [0, 0], "its memory is clean for the next");
    for (const tensor of again) tensor.dispose();
    await worksOn();
  });

  test(`${what} is told by idle(), once`, async () => {
    const [x, y] = [engine.tensor([1], [1]), engine.empty([1])];
    engine.run(kernel, { bind: [x, y], params: {}, grid: 1 });
    await fails(() => engine.idle(), KernelError, message);
    await worksOn();
    for (const tensor of [x, y]) tensor.dispose();
  });
}

test("a program whose input is faulty has faulty results until that is written anew", async () => {
  const x = engine.tensor([1, 2], [2]);
  const program = await engine.capture(() => scale(x, 3), { x });
  engine.run(crooked, { bind: [engine.scope(() => engine.zeros([1])), x], params: {}, grid: 1 });
  program.run();
  await fails(() => program.outputs.read(), KernelError, /crooked/);
  program.run();
  await fails(() => program.outputs.read(), KernelError, /crooked/);
  program.run({ x: [5, 6] });
  assert.equal(await numbers(program.outputs), [15, 18]);
  program.dispose();
  x.dispose();
  await worksOn();
});

test("a grid beyond the device is an error that names the kernel, at once", async () => {
  const [x, y] = [engine.zeros([1]), engine.zeros([1])];
  const grid = [1, 1, engine.device.limits.maxComputeWorkgroupsPerDimension + 1] as const;
  await fails(
    () => engine.run(tooWide, { bind: [x, y], params: {}, grid }),
    KernelError,
    /"too-wide" needs a grid of 1 x 1 x 65536/,
  );
  for (const tensor of [x, y]) tensor.dispose();
  await worksOn();
});

const alias = defineKernel({
  name: "alias",
  bindings: ["x: f32", "+y: f32"],
  source: "@compute @workgroup_size(1) fn main() { y[0] = x[0]; }",
});

test("a tensor that is read in a refused submit is no zeros", async () => {
  const [x, y] = [engine.tensor([1, 2], [2]), engine.empty([2])];
  await engine.idle();
  engine.run(tooWide, { bind: [x, y], params: {}, grid: 1 });
  await fails(() => x.read(), KernelError, /"too-wide" was refused/);
  assert.equal(await numbers(x), [1, 2]);
  await engine.idle();
  for (const tensor of [x, y]) tensor.dispose();
});

test("a kernel that would read and write one tensor is refused at once", async () => {
  const z = engine.tensor([9, 9], [2]);
  await fails(
    () => engine.run(alias, { bind: [z, z], params: {}, grid: 1 }),
    TensorError,
    /alias: "x" is read and "y" written in one buffer/,
  );
  assert.equal(await numbers(z), [9, 9]);
  z.dispose();
});

test("a grid that is none and a parameter that is missing are errors at once", async () => {
  const [x, y] = [engine.tensor([1, 2], [2]), engine.empty([2])];
  const before = scale(x, 7);
  for (const grid of [Number.NaN, -1, 0.5, [1, -1, 1], ["a", 1, 1]] as (
    | number
    | [number, number, number]
  )[]) {
    await fails(
      () => engine.run(alias, { bind: [x, y], params: {}, grid }),
      KernelError,
      /"alias" needs a grid/,
    );
  }
  const needy = defineKernel({
    ...alias,
    name: "needy",
    bindings: ["x: f32", "+y: f32"],
    params: { k: "u32" },
  });
  await fails(
    () => engine.run(needy, { bind: [x, y], params: {} as { k: number }, grid: 1 }),
    TensorError,
    /needy: the parameter "k" is missing/,
  );
  assert.equal(await numbers(before), [7, 14]);
  for (const tensor of [x, y, before]) tensor.dispose();
  await worksOn();
});

test("an exception of the device's own calls is the fate of the submit, not of the engine", async () => {
  const { device } = await callersDevice();
  const guest = await Engine.create({ device });
  await worksOn(guest);
  const { createCommandEncoder } = device;
  const x = guest.tensor([1, 2], [2]);
  device.createCommandEncoder = () => {
    device.createCommandEncoder = createCommandEncoder;
    throw new Error("on purpose");
  };
  const y = scale(x, 2);
  await fails(() => y.read(), KernelError, /on purpose/);
  await worksOn(guest);
  guest.dispose();
  device.destroy();
});

test("a program with a faulty input marks what it writes outside of its memory", async () => {
  const x = engine.tensor([1, 2], [2]);
  const bad = engine.empty([2]);
  const [sum, copied] = [engine.tensor([1, 1], [2]), engine.tensor([9, 9], [2])];
  const w = engine.tensor([2, 3], [2]);
  w.requiresGrad = true;
  w.grad = engine.keep(engine.tensor([1, 1], [2]));
  engine.run(crooked, { bind: [x, bad], params: {}, grid: 1 });
  const program = await engine.capture(
    () => {
      accumulateInto(sum, bad);
      engine.copy(scale(bad, 2), copied);
      backward(engineSum(mul(w, bad)));
    },
    { bad },
  );
  program.run();
  for (const tensor of [sum, copied, w.grad!]) await fails(() => tensor.read(), KernelError, /crooked/);
  for (const tensor of [sum, copied, w.grad!]) engine.write(tensor, [5, 5]);
  program.run({ bad: [10, 20] });
  assert.equal(await numbers(sum), [15, 25]);
  assert.equal(await numbers(copied), [20, 40]);
  assert.equal(await numbers(w.grad!), [15, 25]);
  program.dispose();
  for (const tensor of [x, bad, sum, copied, w.grad!, w]) tensor.dispose();
  await engine.idle().catch(() => {});
  await worksOn();
});

test("each run tells anew whether results can be trusted", async () => {
  const [x, bad] = [engine.tensor([1, 2], [2]), engine.empty([2])];
  engine.run(crooked, { bind: [x, bad], params: {}, grid: 1 });
  const program = await engine.capture(() => scale(bad, 2), { bad });
  program.run();
  await fails(() => program.outputs.read(), KernelError, /crooked/);
  engine.write(program.outputs, [5, 5]);
  program.run();
  await fails(() => program.outputs.read(), KernelError, /crooked/);
  program.run({ bad: [1, 2] });
  assert.equal(await numbers(program.outputs), [2, 4]);
  // Something refused was written into the result; the next run makes it whole.
  engine.run(crooked, { bind: [x, program.outputs], params: {}, grid: 1 });
  await fails(() => program.outputs.read(), KernelError, /crooked/);
  program.run();
  assert.equal(await numbers(program.outputs), [2, 4]);
  program.dispose();
  for (const tensor of [x, bad]) tensor.dispose();
  await engine.idle().catch(() => {});
  await worksOn();
});

test("what is written anew before the refusal is known is whole", async () => {
  const [x, y] = [engine.tensor([1, 2], [2]), engine.empty([2])];
  engine.run(tooWide, { bind: [x, y], params: {}, grid: 1 });
  engine.flush();
  const made = scale(y, 2);
  engine.write(y, [3, 4]);
  const fresh = scale(y, 2);
  await engine.idle().catch(() => {});
  assert.equal(await numbers(y), [3, 4]);
  await fails(() => made.read(), KernelError, /too-wide/);
  assert.ok(fresh); // sent together with what was refused, or not: it is right or says so
  await fresh.read().then(
    (values) => assert.equal([...values], [6, 8]),
    (error) => assert.instance(error, KernelError),
  );
  for (const tensor of [x, y, made, fresh]) tensor.dispose();
});

test("the error names what was refused, not what was faulty before", async () => {
  const [x, y, z] = [engine.tensor([1, 2], [2]), engine.empty([2]), engine.empty([2])];
  engine.run(crooked, { bind: [x, y], params: {}, grid: 1 });
  await fails(() => engine.idle(), KernelError, /crooked/);
  const made = scale(y, 2);
  engine.run(tooWide, { bind: [x, z], params: {}, grid: 1 });
  await fails(() => z.read(), KernelError, /too-wide/);
  await fails(() => made.read(), KernelError, /crooked/);
  for (const tensor of [x, y, z, made]) tensor.dispose();
  await worksOn();
});

test("constants of a captured step can't be changed from outside", async () => {
  const x = engine.tensor([1, 2], [2]);
  const program = await engine.capture(
    () => {
      const c = engine.tensor([5, 6], [2]);
      return { c, y: mul(c, x) };
    },
    { x },
  );
  const { c, y } = program.outputs;
  program.run();
  await fails(() => engine.write(c, [0, 0]), TensorError, /constant of a captured step/);
  await fails(() => engine.clear(c), TensorError, /constant of a captured step/);
  await fails(() => engine.copy(x, c), TensorError, /constant of a captured step/);
  await fails(() => engine.run(alias, { bind: [x, c], params: {}, grid: 1 }), TensorError, /"y".*constant/);
  program.run();
  assert.equal(await numbers(c), [5, 6]);
  assert.equal(await numbers(y), [5, 12]);
  program.dispose();
  x.dispose();
});

// One step, several programs

test("two programs of one training step each bring their own gradient", async () => {
  const w = engine.tensor([2, 3], [2]);
  w.requiresGrad = true;
  const [xa, xb] = [engine.tensor([1, 1], [2]), engine.tensor([10, 10], [2])];
  const step = (x: Tensor) => () => {
    clearGrad([w]);
    const loss = engineSum(mul(mul(w, w), x));
    backward(loss);
    return loss;
  };
  const captureA = engine.capture(step(xa), { xa });
  // One more while the first still compiles, and the step itself.
  const captureB = engine.capture(step(xb), { xb });
  engine.scope(step(xa));
  assert.equal(await numbers(w.grad!), [4, 6]);
  const [a, b] = [await captureA, await captureB];
  b.run();
  assert.is(await b.outputs.item(), 130);
  assert.equal(await numbers(w.grad!), [40, 60]);
  a.run();
  assert.equal(await numbers(w.grad!), [4, 6]);
  b.run();
  clearGrad([w]);
  a.run();
  assert.equal(await numbers(w.grad!), [4, 6], "a gradient that was cleared comes back with the next run");
  a.dispose();
  b.run();
  assert.equal(await numbers(w.grad!), [40, 60]);
  b.dispose();
  for (const tensor of [w, xa, xb]) tensor.dispose();
  await worksOn();
});

test("what a rehearsed or failed step disposes is there afterwards", async () => {
  const { w, step } = learner(engine);
  const x = engine.tensor([1, 2], [2]);
  engine.scope(step);
  const { usedBytes } = engine.stats();
  const disposing = () => {
    clearGrad([w]);
    x.dispose();
    step();
  };
  await engine.tune(disposing);
  await engine.prepare(disposing);
  await fails(
    () =>
      engine.capture(() => {
        disposing();
        throw new Error("on purpose");
      }),
    Error,
    /on purpose/,
  );
  assert.equal(await numbers(w.grad!), [4, 6]);
  assert.equal(await numbers(x), [1, 2]);
  assert.is(engine.stats().usedBytes, usedBytes);
  const program = await engine.capture(disposing);
  assert.ok(x.disposed);
  program.run();
  assert.equal(await numbers(w.grad!), [4, 6]);
  program.dispose();
  w.dispose();
  assert.ok(engine.stats().usedBytes < usedBytes);
  await worksOn();
});

test("a program disposes of its outputs those that its step made", async () => {
  const [w, x] = [engine.tensor([2, 3], [2]), engine.tensor([1, 2], [2])];
  const program = await engine.capture(() => ({ y: mul(w, x), w }), { x });
  program.run();
  assert.equal(await numbers(program.outputs.y), [2, 6]);
  program.dispose();
  assert.ok(program.outputs.y.disposed);
  assert.equal(await numbers(w), [2, 3]);
  for (const tensor of [w, x]) tensor.dispose();
});

test("a program that is captured inside of a scope keeps its outputs", async () => {
  const x = engine.tensor([1, 2], [2]);
  const program = await engine.scope(() => engine.capture(() => scale(x, 2), { x }));
  program.run();
  assert.equal(await numbers(program.outputs), [2, 4]);
  program.dispose();
  x.dispose();
});

test("what is no values of an input is an error that says what is", async () => {
  const x = engine.tensor([1, 2], [2]);
  const program = await engine.capture(() => scale(x, 2), { x });
  const run = (values: unknown) => program.run(values as { x: number[] });
  await fails(() => run({ x }), TensorError, /"x" is f32\[2\]; it got a tensor.*engine\.copy/);
  await fails(() => run({ x: null }), TensorError, /it got null for its values/);
  await fails(() => run({ x: 7 }), TensorError, /it got 7? ?for|it got undefined for|it got false for/);
  await fails(() => run({ toString: [1, 2] }), TensorError, /no input "toString"/);
  const other = await Engine.create();
  await fails(() => other.capture(() => 1, { x }), TensorError, /input "x" belongs to another engine/);
  await fails(
    () => engine.capture(() => scale(x, 2), { x: 5 as unknown as Tensor }),
    TensorError,
    /input "x" is no tensor/,
  );
  other.dispose();
  program.dispose();
  x.dispose();
  await worksOn();
});

// The device

/** A device of the caller's, that counts buffers and has no memory for those of `refuse` bytes. */
async function callersDevice() {
  const { adapter, instance } = await findAdapter();
  const device = await adapter.requestDevice();
  const state = { live: 0, made: 0, listeners: 0, refuse: -1, instance };
  const { createBuffer, popErrorScope, addEventListener, removeEventListener } = device;
  let refused = false;
  device.createBuffer = (descriptor) => {
    refused = descriptor.size === state.refuse;
    const buffer = createBuffer.call(device, descriptor);
    if (refused) buffer.destroy();
    state.live++;
    state.made++;
    const destroy = buffer.destroy.bind(buffer);
    let gone = false;
    buffer.destroy = () => {
      if (!gone) state.live--;
      gone = true;
      return destroy();
    };
    return buffer;
  };
  device.popErrorScope = () => {
    const refusal = refused ? ({ message: "none is left" } as GPUError) : null;
    refused = false;
    return popErrorScope.call(device).then((error) => error ?? refusal);
  };
  device.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    state.listeners++;
    return addEventListener.apply(device, args);
  };
  device.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    state.listeners--;
    return removeEventListener.apply(device, args);
  };
  return { device, state };
}

test("a faulty tensor that is read in a refused submit tells its own fault", async () => {
  const [x, y, z] = [engine.tensor([1, 2], [2]), engine.empty([2]), engine.empty([2])];
  engine.run(crooked, { bind: [x, y], params: {}, grid: 1 });
  await fails(() => engine.idle(), KernelError, /crooked/);
  engine.run(tooWide, { bind: [x, z], params: {}, grid: 1 });
  await fails(() => y.read(), KernelError, /crooked/);
  await fails(() => z.read(), KernelError, /too-wide/);
  for (const tensor of [x, y, z]) tensor.dispose();
  await engine.idle().catch(() => {});
  await worksOn();
});

test("memory that the device has not is the fate of the tensor, not of the engine", async () => {
  const { device, state } = await callersDevice();
  const guest = await Engine.create({ device });
  await worksOn(guest);
  state.refuse = 40960;
  const big = guest.zeros([10240]);
  state.refuse = -1;
  const made = scale(big, 2);
  await fails(() => made.read(), DeviceError, /no memory for f32\[10240\], 0\.0 MiB: none is left/);
  await fails(() => big.read(), DeviceError, /no memory/);
  for (const tensor of [big, made]) tensor.dispose();
  await worksOn(guest);
  const again = guest.zeros([10240]);
  assert.equal(new Set(await again.read()), new Set([0]), "the refused buffer is not handed out again");
  const wide = guest.tensor(new Array(10240).fill(1), [10240]);
  state.refuse = 40960;
  await fails(
    () => guest.capture(() => [scale(wide, 2), scale(wide, 3), scale(wide, 4)]),
    DeviceError,
    /no memory for arena 0/,
  );
  state.refuse = -1;
  await worksOn(guest);
  guest.dispose();
  assert.is(state.live, 0);
  device.destroy();
});

test("errors of the host app are none of the engine's, and its own don't reach the host app", async () => {
  const { device, state } = await callersDevice();
  const seen: string[] = [];
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    seen.push(event.error.message);
  });
  const listeners = state.listeners;
  const guest = await Engine.create({ device });
  device.createBuffer({ size: 4, usage: 0x1 | 0x80 }); // mappable storage is not allowed
  await device.queue.onSubmittedWorkDone();
  await worksOn(guest);
  const [x, y] = [guest.tensor([1], [1]), guest.empty([1])];
  for (const kernel of [tooWide, crooked]) {
    guest.run(kernel, { bind: [x, y], params: {}, grid: 1 });
    await fails(() => y.read(), KernelError, /too-wide|crooked/);
    await guest.idle().catch(() => {});
    guest.write(y, [1]);
  }
  assert.is(seen.length, 1, seen.join("\n"));
  guest.dispose();
  assert.is(state.listeners, listeners);
  device.destroy();
});

test("an error that no call of the engine's made comes out where all work is waited for, once", async () => {
  const owner = await Engine.create();
  owner.device.createBuffer({ size: 4, usage: 0x1 | 0x80 }); // mappable storage is not allowed
  await owner.device.queue.onSubmittedWorkDone();
  await fails(() => owner.idle(), DeviceError, /usage/i);
  await worksOn(owner);
  owner.dispose();
});

test("engines come and go on one device, also two at a time, and leave nothing", async () => {
  const { device, state } = await callersDevice();
  const neighbour = await Engine.create({ device });
  const theirs = neighbour.tensor([7, 8], [2]);
  await neighbour.idle();
  const { live } = state;
  for (let i = 0; i < 100; i++) {
    const guest = await Engine.create({ device });
    const x = guest.tensor([i, i + 1], [2]);
    const program = await guest.capture(() => scale(x, 2), { x });
    program.run();
    if (i % 3 === 0) assert.equal(await numbers(program.outputs), [2 * i, 2 * i + 2]);
    // Some go with work recorded, a read under way or a program alive.
    if (i % 3 === 1) program.outputs.read().catch(() => {});
    guest.dispose();
    assert.is(state.live, live);
  }
  assert.equal(await numbers(scale(theirs, 2)), [14, 16]);
  neighbour.dispose();
  assert.is(state.live, 0);
  device.destroy();
});

test("a tensor of another engine is refused", async () => {
  const other = await Engine.create();
  const [mine, theirs] = [engine.tensor([1], [1]), other.tensor([2], [1])];
  await fails(() => add(mine, theirs), TensorError, /belongs to another engine/);
  await fails(() => engine.copy(theirs, mine), TensorError, /belongs to another engine/);
  // Which would have computed there, once, and here nothing.
  await fails(
    () => engine.capture(() => [add(theirs, theirs)]),
    TensorError,
    /capture: the result f32\[1\].* belongs to another engine/,
  );
  await fails(() => engine.read(theirs), TensorError, /belongs to another engine/);
  await fails(() => engine.view(theirs, [1, 1]), TensorError, /belongs to another engine/);
  await fails(() => engine.slice(theirs, 0, [1]), TensorError, /belongs to another engine/);
  other.dispose();
  mine.dispose();
  await worksOn();
});

test("every wait settles when the engine is disposed", async () => {
  const guest = await Engine.create();
  const x = guest.tensor([1, 2], [2]);
  const waits = [
    () => scale(x, 2).read(),
    () => guest.idle(),
    () => guest.capture(() => neg(scale(x, 2))),
    () => guest.prepare(() => engineSum(x)),
    () => guest.tune(() => engineSum(x)),
    () => guest.trim(),
    () => guest.profile(() => void scale(x, 3)),
  ].map((start) => errorOf(start));
  guest.dispose();
  for (const error of await Promise.all(waits)) {
    assert.instance(error, DeviceError, `${error.stack}`);
    assert.match(error.message, /disposed/);
  }
  await fails(() => x.read(), DeviceError, /disposed/);
  await fails(() => guest.idle(), DeviceError, /disposed/);
  await fails(() => guest.capture(() => scale(x, 2)), DeviceError, /disposed/);
  const calls = [
    () => guest.write(x, [1, 2]),
    () => guest.clear(x),
    () => guest.copy(x, x),
    () => guest.view(x, [2, 1]),
    () => guest.slice(x, 0, [1]),
    () => guest.checkpoint(() => scale(x, 2)),
    () => guest.flush(),
    () => guest.zeros([1]),
  ];
  for (const call of calls) await fails(call, DeviceError, /disposed/);
  guest.dispose();
});

test("a disposal that overtakes a capture leaves no buffer behind", async () => {
  const { device } = engine;
  const create = device.createBuffer;
  const live = new Set<GPUBuffer>();
  device.createBuffer = (descriptor) => {
    const buffer = create.call(device, descriptor);
    const { destroy } = buffer;
    live.add(buffer);
    buffer.destroy = () => {
      live.delete(buffer);
      destroy.call(buffer);
    };
    return buffer;
  };
  try {
    for (let turns = 0; turns < 8; turns++) {
      const guest = await Engine.create({ device });
      const capture = guest.capture(() => []).catch(() => {});
      for (let i = 0; i < turns; i++) await null;
      guest.dispose();
      await capture;
      assert.is(live.size, 0, `after ${turns} turns`);
    }
  } finally {
    device.createBuffer = create;
  }
});

test("an engine that is disposed while a refusal is looked into leaves no rejection behind", async () => {
  const rejections: unknown[] = [];
  const note = (error: unknown) => rejections.push(error);
  process.on("unhandledRejection", note);
  for (let turns = 0; turns < 6; turns++) {
    const guest = await Engine.create();
    const [x, y] = [guest.tensor([1, 2], [2]), guest.empty([2])];
    await scale(x, 2).read();
    guest.run(tooWide, { bind: [x, y], params: {}, grid: 1 });
    await guest.idle().catch(() => {});
    guest.run(tooWide, { bind: [x, y], params: {}, grid: 1 });
    guest.flush();
    for (let i = 0; i < turns; i++) await new Promise(setImmediate);
    guest.dispose();
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off("unhandledRejection", note);
  assert.equal(rejections, []);
});

test("options that are no seconds, types that are none and profiles in profiles are errors", async () => {
  const device = Object.getPrototypeOf(engine.device) as GPUDevice;
  const { destroy } = device;
  const destroyed = new Set<GPUDevice>();
  device.destroy = function () {
    destroyed.add(this);
    destroy.call(this);
  };
  const read = () => Promise.reject(new Error("no store"));
  try {
    for (const longestSeconds of [-1, 0, Number.NaN]) {
      await fails(() => Engine.create({ longestSeconds }), DeviceError, /longestSeconds must be a positive/);
    }
    assert.is(destroyed.size, 3, "the devices that were opened for them are gone");
    await fails(() => Engine.create({ choices: { read, write: read } }), Error, /no store/);
    assert.is(destroyed.size, 4);
  } finally {
    device.destroy = destroy;
  }
  await fails(() => engine.empty([1], "f64" as "f32"), TensorError, /can't be of f64/);
  const shape = [2];
  const x = engine.tensor([1, 2], shape);
  shape[0] = 7;
  assert.equal(x.shape, [2]);
  x.dispose();
  if (!engine.hasTimestamps) return;
  await fails(
    () => engine.profile(async () => void (await engine.profile(() => {}))),
    TensorError,
    /under way/,
  );
  assert.equal(await engine.profile(() => {}), []);
});

test("every wait settles when the device is lost", async () => {
  const { device } = await callersDevice();
  const guest = await Engine.create({ device });
  const x = guest.tensor([1, 2], [2]);
  const waits = [
    () => scale(x, 2).read(),
    () => guest.idle(),
    () => guest.capture(() => neg(scale(x, 2))),
    () => guest.prepare(() => engineSum(x)),
  ].map((start) => errorOf(start));
  device.destroy();
  for (const error of await Promise.all(waits)) assert.instance(error, DeviceLostError, `${error.stack}`);
  await fails(() => x.read(), DeviceLostError, /lost/);
  guest.dispose();
});

// Places in memory

test("parts of one tensor are copied, also where they overlap", async () => {
  const values = Array.from({ length: 256 }, (_, i) => i + 1);
  const copyOf = async (from: number, to: number, captured: boolean) => {
    const whole = engine.tensor(values, [256]);
    const [a, b] = [engine.slice(whole, from, [130]), engine.slice(whole, to, [130])];
    if (captured) {
      const program = await engine.capture(() => engine.copy(a, b));
      program.run();
      program.dispose();
    } else engine.copy(a, b);
    const result = await numbers(whole);
    for (const tensor of [whole, a, b]) tensor.dispose();
    return result;
  };
  for (const [from, to] of [
    [0, 64],
    [64, 0],
    [64, 64],
  ] as const) {
    const expected = [...values];
    expected.splice(to, 130, ...values.slice(from, from + 130));
    assert.equal(await copyOf(from, to, false), expected);
    assert.equal(await copyOf(from, to, true), expected);
  }
  await worksOn();
});

test("slices and views outside of a tensor are errors", async () => {
  const x = engine.zeros([256]);
  await fails(() => engine.slice(x, -64, [64]), TensorError, /start.*-64/);
  await fails(() => engine.slice(x, 0.5, [1]), TensorError, /start.*0\.5/);
  await fails(() => engine.slice(x, Number.NaN, [1]), TensorError, /start.*NaN/);
  await fails(() => engine.slice(x, 0, [-1, -4]), TensorError, /whole numbers from 0 on/);
  await fails(() => engine.view(x, [-16, -16]), TensorError, /whole numbers from 0 on/);
  await fails(() => engine.view(x, [512, 0.5]), TensorError, /whole numbers from 0 on/);
  x.dispose();
});

test("a tensor as large as a binding is computed to its last element", async () => {
  const { adapter, instance } = await findAdapter();
  // A limit that is no multiple of a vec4, as many devices have it.
  const real = await adapter.requestDevice();
  const most = 65536 - 4;
  const limits = new Proxy(real.limits, {
    get: (target, name: keyof GPUSupportedLimits) =>
      name === "maxStorageBufferBindingSize" ? most : target[name],
  });
  Object.defineProperty(real, "limits", { value: limits });
  const guest = await Engine.create({ device: real, poison: true });
  const largest = 65536 / 4 - 64;
  const x = guest.tensor(
    Float32Array.from({ length: largest }, (_, i) => i),
    [largest],
  );
  const y = scale(x, 2);
  assert.is((await y.read())[largest - 1], 2 * (largest - 1));
  await fails(() => guest.zeros([most / 4]), DeviceError, /binds at most/);
  await fails(() => guest.capture(() => guest.zeros([most / 4])), DeviceError, /binds at most/);
  guest.dispose();
  real.destroy();
  assert.is.not(instance, undefined);
});

test.run();
