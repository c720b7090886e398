// The engine apart from kernels and gradients: memory, order of work, errors, the passage of numbers, random numbers.
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addTensors, multiply } from "../cases/check.ts";
import { fromBytes, fromHalfBits, toBytes, toHalfBits } from "../engine/base/dtype.ts";
import randomSource from "../engine/base/random.wgsl?raw";
import { BufferPool, sizeClass } from "../engine/gpu/pool.ts";
import type { Session } from "../engine/gpu/session.ts";
import {
  DeviceError,
  DeviceLostError,
  defineKernel,
  Engine,
  findAdapter,
  KernelError,
  normal,
  RandomStreams,
  randomBits,
  type Tensor,
  TensorError,
  uniform,
} from "../engine/index.ts";

const engine = await Engine.create();

test.after(() => engine.dispose());

/** Whether an error has this class and says this. */
function says(kind: new (message: string) => Error, pattern: RegExp) {
  return (error: Error) => {
    assert.instance(error, kind);
    assert.match(error.message, pattern);
    return true;
  };
}

async function rejects(work: Promise<unknown>, expected: (error: Error) => boolean): Promise<void> {
  let error: Error | null = null;
  await work.catch((cause: Error) => {
    error = cause;
  });
  assert.ok(error, "no error came");
  expected(error!);
}

/** A device that the engine did not open, with what keeps Dawn's instance alive. */
async function callersDevice() {
  const { adapter, instance } = await findAdapter();
  return { device: await adapter.requestDevice(), instance };
}

async function numbers(tensor: Tensor): Promise<number[]> {
  return [...(await tensor.read())];
}

// Memory

test("a size class pads by an eighth at most and keeps whole vec4s", () => {
  for (let bytes = 1; bytes < 1e7; bytes = Math.ceil(bytes * 1.01)) {
    const size = sizeClass(bytes);
    assert.ok(size >= bytes && size % 256 === 0);
    assert.ok(size <= Math.max(bytes * 1.125 + 256, 256), `${bytes} became ${size}`);
    assert.is(sizeClass(size), size);
  }
});

test("no buffer is larger than the device allows, where that is no size class", () => {
  const made: number[] = [];
  const largestStorage = 999_424;
  const makeBuffer = ({ size }: { size: number }) => {
    made.push(size);
    return {} as GPUBuffer;
  };
  const pool = new BufferPool({ largestStorage, makeBuffer } as unknown as Session);
  assert.ok(sizeClass(990_000) > largestStorage);
  const largest = pool.take(990_000, "the largest");
  assert.equal(made, [largest.size]);
  assert.is(largest.size, largestStorage);
  pool.give(largest);
  assert.is(pool.take(985_000, "as large"), largest);
});

test("a buffer is used again, for any shape of its size class", () => {
  const first = engine.empty([1000]);
  const { storage } = first;
  first.dispose();
  first.dispose();
  const second = engine.empty([10, 99]);
  assert.is(second.storage, storage);
  const third = engine.empty([1000]);
  assert.is.not(third.storage, storage);
  second.dispose();
  third.dispose();
});

test("memory comes back when the last tensor on it is disposed", () => {
  const before = engine.stats().usedBytes;
  const whole = engine.empty([128]);
  const part = engine.slice(whole, 64, [4, 16]);
  const view = engine.view(part, [64]);
  whole.dispose();
  part.dispose();
  assert.ok(engine.stats().usedBytes > before);
  view.dispose();
  assert.is(engine.stats().usedBytes, before);
});

test("a scope gives back what was made in it, except what it returns", async () => {
  const before = engine.stats().usedBytes;
  const { kept, list, inner, lost, gone } = engine.scope(() => {
    const lost = engine.tensor([1], [1]);
    const inner = engine.scope(() => multiply(lost, 2));
    const gone = multiply(inner, 3);
    return { kept: multiply(inner, 2), list: null, inner, lost: [lost], gone: () => gone };
  });
  assert.is(list, null);
  assert.ok(gone().disposed);
  assert.equal(await numbers(kept), [4]);
  assert.equal(await numbers(inner), [2]);
  assert.equal(await numbers(lost[0]!), [1]);
  lost[0]!.dispose();
  kept.dispose();
  inner.dispose();
  assert.is(engine.stats().usedBytes, before);
});

test("a scope gives memory back where its work throws", () => {
  const before = engine.stats().usedBytes;
  assert.throws(
    () =>
      engine.scope(() => {
        engine.zeros([100]);
        throw new Error("on purpose");
      }),
    /on purpose/,
  );
  assert.is(engine.stats().usedBytes, before);
});

test("keep() takes a tensor out of all scopes", () => {
  let kept: Tensor | null = null;
  engine.scope(() => {
    engine.scope(() => {
      kept = engine.keep(engine.zeros([3]));
      return kept;
    });
  });
  assert.not(kept!.disposed);
  kept!.dispose();
});

test("trim() destroys what waits in the pool, and work goes on", async () => {
  engine.zeros([5000]).dispose();
  assert.ok(engine.stats().freeBytes > 0);
  await engine.trim();
  assert.is(engine.stats().freeBytes, 0);
  assert.equal(await numbers(multiply(engine.tensor([1, 2], [2]), 3)), [3, 6]);
});

test("a repeated step makes no pipelines, no bind groups and no buffers", async () => {
  const state = engine.tensor([1, 2, 3], [3]);
  const step = () => {
    engine.write(state, [1, 2, 3]);
    engine.scope(() => engine.copy(addTensors(multiply(state, 2), state), state));
  };
  for (let i = 0; i < 3; i++) step();
  await engine.idle();
  const before = engine.stats();
  for (let i = 0; i < 20; i++) step();
  assert.equal(await numbers(state), [3, 6, 9]);
  const after = engine.stats();
  for (const name of ["pipelines", "bindGroups", "buffers", "usedBytes", "freeBytes"] as const) {
    assert.is(after[name], before[name], name);
  }
  assert.is(after.dispatches, before.dispatches + 40);
  state.dispose();
});

test("poison fills new memory with NaN", async () => {
  const poisoned = await Engine.create({ poison: true });
  assert.ok((await poisoned.empty([70]).read()).every(Number.isNaN));
  // Also memory that was used before, and behind work that still uses it.
  const x = poisoned.tensor([1, 2, 3], [3]);
  const y = multiply(x, 2);
  x.dispose();
  const again = poisoned.empty([3]);
  assert.is(again.storage, x.storage);
  assert.equal(await numbers(y), [2, 4, 6]);
  assert.ok((await again.read()).every(Number.isNaN));
  poisoned.dispose();
});

// Engines and devices

test("two engines work in one process, and one outlives the other", async () => {
  const other = await Engine.create();
  const mine = multiply(engine.tensor([1, 2], [2]), 2);
  const theirs = multiply(other.tensor([1, 2], [2]), 3);
  assert.equal(await Promise.all([numbers(mine), numbers(theirs)]), [
    [2, 4],
    [3, 6],
  ]);
  other.dispose();
  assert.throws(() => other.zeros([1]), says(DeviceError, /disposed/));
  assert.equal(await numbers(multiply(mine, 2)), [4, 8]);
});

test("a caller's device is used and not destroyed", async () => {
  const { device, instance } = await callersDevice();
  let lost = false;
  device.lost.then(() => {
    lost = true;
  });
  const guest = await Engine.create({ device });
  assert.is(guest.device, device);
  assert.equal(await numbers(multiply(guest.tensor([1, 2], [2]), 5)), [5, 10]);
  guest.dispose();
  await device.queue.onSubmittedWorkDone();
  assert.not(lost);
  const second = await Engine.create({ device });
  assert.equal(await numbers(multiply(second.tensor([1, 2], [2]), 7)), [7, 14]);
  second.dispose();
  device.destroy();
  assert.is.not(instance, undefined);
});

test("Dawn's instance is one, and stays when nobody holds it: the process would die where it goes", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // Of switches that nothing else here asks for.
  const open = async () => new WeakRef((await findAdapter({ exactTimestamps: true })).instance!);
  const instance = await open();
  for (let i = 0; i < 5; i++) {
    await turn();
    collect();
  }
  assert.ok(instance.deref());
  assert.is((await open()).deref(), instance.deref());
});

test("a lost device is a DeviceLostError, from then on", async () => {
  const { device, instance } = await callersDevice();
  const guest = await Engine.create({ device });
  const x = guest.tensor([1, 2], [2]);
  const y = multiply(x, 2);
  assert.equal(await numbers(y), [2, 4]);
  device.destroy();
  await rejects(y.read(), says(DeviceLostError, /lost|failed/));
  await device.lost;
  await rejects(y.read(), says(DeviceLostError, /destroyed/));
  assert.throws(() => guest.zeros([1]), says(DeviceLostError, /lost/));
  assert.throws(() => multiply(x, 2), says(DeviceLostError, /lost/));
  guest.dispose();
  assert.is.not(instance, undefined);
});

// Errors

test("more than a binding holds is a DeviceError that says how much", () => {
  const { maxBufferSize, maxStorageBufferBindingSize } = engine.device.limits;
  const elements = Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4 + 1;
  const before = engine.stats();
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1).replace(".", "\\.");
  const amounts = `${mebibytes(4 * 2 * elements)} MiB.*at most ${mebibytes(4 * elements)} MiB.*smaller batch`;
  assert.throws(() => engine.empty([2 * Math.floor(elements)]), says(DeviceError, new RegExp(amounts)));
  assert.equal(engine.stats(), before);
});

test("shapes that do not fit are TensorErrors", async () => {
  const x = engine.tensor([1, 2, 3], [3]);
  assert.throws(() => engine.tensor([1, 2], [3]), says(TensorError, /2 values.*\[3\]/));
  for (const shape of [[-1], [1.5], [2, Number.NaN], [0, -2]]) {
    assert.throws(() => engine.empty(shape), says(TensorError, /whole numbers from 0 on/));
  }
  assert.throws(() => engine.view(x, [2]), says(TensorError, /\[3\].*\[2\]/));
  assert.throws(() => engine.write(x, [1]), says(TensorError, /1 values/));
  assert.throws(() => engine.copy(x, engine.zeros([4])), says(TensorError, /copy/));
  assert.throws(() => engine.copy(x, engine.zeros([3], "u32")), says(TensorError, /copy/));
  assert.throws(() => engine.slice(x, 1, [2]), says(TensorError, /multiple of 256/));
  assert.throws(() => engine.slice(engine.zeros([100]), 64, [37]), says(TensorError, /past the end/));
  await rejects(x.item(), says(TensorError, /one element/));
});

test("tensors without elements are made, written, copied and read, in a captured step, too", async () => {
  const x = engine.tensor([], [2, 0]);
  assert.equal([x.size, x.bytes, `${x}`], [0, 0, "f32[2,0]"]);
  engine.write(x, []);
  engine.clear(x);
  const y = engine.empty([0, 3], "u32");
  assert.equal(await y.read(), new Uint32Array(0));
  const z = engine.view(x, [0]);
  engine.copy(z, engine.zeros([0, 7]));
  assert.equal(await engine.slice(engine.zeros([64]), 64, [0]).read(), new Float32Array(0));
  const program = await engine.capture(() => addTensors(multiply(x, 2), x), { x });
  program.run({ x: [] });
  assert.equal([program.outputs.shape, await program.outputs.read()], [[2, 0], new Float32Array(0)]);
  program.dispose();
  x.dispose();
  await rejects(
    z.read().then(() => x.read()),
    says(TensorError, /was disposed/),
  );
});

test("a disposed tensor is a TensorError that names the kernel and the binding", () => {
  const [x, w] = [engine.zeros([4]), engine.zeros([4])];
  w.dispose();
  assert.throws(() => multiply(x, w), says(TensorError, /test-multiply.*"w".*disposed/));
});

test("a disposed tensor can't be read, written, copied, cleared, viewed or sliced", async () => {
  const [x, y] = [engine.zeros([4]), engine.zeros([4])];
  x.dispose();
  await rejects(x.read(), says(TensorError, /disposed/));
  assert.throws(() => engine.write(x, [1, 2, 3, 4]), says(TensorError, /disposed/));
  assert.throws(() => engine.copy(x, y), says(TensorError, /disposed/));
  assert.throws(() => engine.copy(y, x), says(TensorError, /disposed/));
  assert.throws(() => engine.clear(x), says(TensorError, /disposed/));
  assert.throws(() => engine.view(x, [2, 2]), says(TensorError, /disposed/));
  assert.throws(() => engine.slice(x, 0, [2]), says(TensorError, /disposed/));
});

test("a wrong number of bindings is a TensorError", () => {
  const kernel = defineKernel({ name: "lonely", source: "", bindings: ["x: f32", "+y: f32"] });
  assert.throws(
    () => engine.run(kernel, { bind: [engine.zeros([1])], params: {}, grid: 1 }),
    says(TensorError, /lonely: 1 tensors for 2/),
  );
});

test("a WGSL error shows the kernel's name and the numbered line", async () => {
  const broken = await Engine.create();
  const kernel = defineKernel({
    name: "crooked",
    bindings: ["+y: f32"],
    source: `@compute @workgroup_size(1)
fn main() {
  y[0] = undeclared;
}`,
  });
  const y = broken.zeros([1]);
  broken.run(kernel, { bind: [y], params: {}, grid: 1 });
  await rejects(
    y.read(),
    says(KernelError, /"crooked"[\s\S]*line 3[\s\S]*undeclared[\s\S]*> +3 \| {3}y\[0\] = undeclared;/),
  );
  assert.equal(await numbers(broken.zeros([1])), [0], "the engine goes on");
  broken.dispose();
});

test("a WGSL error says in which of a kernel's texts it is, with the lines around it", async () => {
  const broken = await Engine.create();
  const fine = "fn fine() -> f32 {\n  return 1.0;\n}";
  const main = "@compute @workgroup_size(1)\nfn main() { y[0] = fine() + wrong(); }";
  const wrong = "\n\n\n\nfn wrong() -> f32 {\n  return nothing;\n}\n// one\n// two\n// three";
  const kernel = (includes: string[], source: string) =>
    defineKernel({ name: "crooked", bindings: ["+y: f32"], includes, source });
  for (const [includes, source, place, text, line] of [
    [[fine, wrong], main, "line 6 of include 2", 2, 6],
    [[wrong, fine], main, "line 6 of include 1", 1, 6],
    [[fine], `${main}${wrong}`, "line 7", 2, 7],
  ] as const) {
    const y = broken.zeros([1]);
    broken.run(kernel([...includes], source), { bind: [y], params: {}, grid: 1 });
    await rejects(y.read(), (error) => {
      assert.match(error.message, `${place}: `);
      const excerpt = error.message.split("\n").filter((line) => / \| /.test(line));
      assert.is(excerpt.length, 5, error.message);
      assert.match(excerpt[2]!, /^> +\d+ \| {3}return nothing;/);
      const [fault] = (error as KernelError).faults;
      assert.equal([fault!.text, fault!.line, fault!.column], [text, line, 10]);
      return true;
    });
  }
  broken.dispose();
});

test("a kernel stands in for the one of its name, with tensors of its own, until that ends", async () => {
  const host = await Engine.create();
  const kernel = (source: string, besides: readonly `${string}: ${string}`[] = []) =>
    defineKernel({
      name: "shift",
      bindings: ["x: f32", "+y: f32", ...besides],
      params: { by: "f32" },
      source: `@compute @workgroup_size(1) fn main() { ${source} }`,
    });
  const shift = kernel("y[0] = x[0] + params.by;");
  const x = host.tensor([5], [1]);
  const run = () => {
    const y = host.empty([1]);
    host.run(shift, { bind: [x, y], params: { by: 2 }, grid: 1 });
    return y;
  };
  const seen = host.zeros([1]);
  const before = run();
  host.standIn(kernel("y[0] = x[0] - params.by; seen[0] = 9.0;", ["+seen: f32"]), [seen]);
  const changed = run();
  const { program, y } = await host.capture(run).then((program) => ({ program, y: program.outputs }));
  host.endStandIns();
  const after = run();
  program.run();
  assert.equal(await Promise.all([before, changed, after, y, seen].map(numbers)), [[7], [3], [7], [3], [9]]);
  host.standIn(kernel("y[0] = x[0];", ["+seen: f32"]));
  assert.throws(run, says(TensorError, /^shift: 2 tensors for 3 bindings/));
  host.dispose();
});

// Order

test("a tensor overwritten between two dispatches gives each its own values", async () => {
  const fresh = await Engine.create();
  const x = fresh.tensor([1, 2], [2]);
  // The first flush waits for the pipeline; all that follows has to wait behind it.
  const first = multiply(x, 10);
  fresh.flush();
  fresh.write(x, [3, 4]);
  const second = multiply(x, 10);
  fresh.write(x, [5, 6]);
  const third = multiply(x, 10);
  const read = numbers(x);
  fresh.clear(x);
  const fourth = multiply(x, 10);
  fresh.copy(first, x);
  assert.equal(await numbers(fourth), [0, 0]);
  assert.equal(await numbers(third), [50, 60]);
  assert.equal(await numbers(second), [30, 40]);
  assert.equal(await numbers(first), [10, 20]);
  assert.equal(await read, [5, 6]);
  assert.equal(await numbers(x), [10, 20]);
  // Once more with every pipeline ready.
  const fifth = multiply(x, 10);
  fresh.write(x, [7, 8]);
  const sixth = multiply(x, 10);
  assert.equal(await numbers(fifth), [100, 200]);
  assert.equal(await numbers(sixth), [70, 80]);
  fresh.dispose();
});

test("memory that is given back and used again is written in order", async () => {
  const read: Promise<number[]>[] = [];
  for (let i = 0; i < 10; i++) {
    engine.scope(() => {
      read.push(numbers(multiply(engine.tensor([i, i + 1], [2]), 2)));
    });
  }
  for (const [i, promise] of read.entries()) assert.equal(await promise, [2 * i, 2 * i + 2]);
});

test("more dispatches than a batch holds keep their order and their parameters", async () => {
  let x = engine.tensor([1, -1], [2]);
  for (let i = 0; i < 1000; i++) {
    const y = multiply(x, i % 3 === 0 ? 4 : 0.5);
    x.dispose();
    x = y;
  }
  assert.equal(await numbers(x), [4, -4]);
});

test("writing, clearing and copying a part leaves the rest alone", async () => {
  const ones = () => engine.tensor(new Array(140).fill(1), [140]);
  const expected = (values: number[]) => [...new Array(64).fill(1), ...values, ...new Array(73).fill(1)];
  const [a, b, c] = [ones(), ones(), ones()];
  engine.write(engine.slice(a, 64, [3]), [2, 3, 4]);
  engine.clear(engine.slice(b, 64, [3]));
  engine.copy(engine.tensor([2, 3, 4], [3]), engine.slice(c, 64, [3]));
  assert.equal(await numbers(a), expected([2, 3, 4]));
  assert.equal(await numbers(b), expected([0, 0, 0]));
  assert.equal(await numbers(c), expected([2, 3, 4]));
});

test("profile() says when each dispatch ran, however many they are", async () => {
  if (!engine.device.features.has("timestamp-query")) {
    console.log("\nskipped: profile() (the adapter has no timestamp-query)");
    return;
  }
  const x = engine.tensor(new Array(100000).fill(1), [100000]);
  const times = await engine.profile(() => {
    engine.scope(() => {
      for (let i = 0; i < 3; i++) multiply(x, 2);
      addTensors(x, x);
    });
  });
  assert.equal(
    times.map(({ name }) => name),
    ["test-multiply", "test-multiply", "test-multiply", "test-add"],
  );
  assert.is(times[0]!.begin, 0);
  for (const { name, begin, end } of times) {
    assert.ok(end >= begin && end < 10000, `${name} ran from ${begin} to ${end} ms`);
  }
  assert.ok(times[3]!.end > 0);
  assert.is((await engine.profile(() => {})).length, 0);
  const small = engine.tensor([1, 2, 3], [3]);
  const many = await engine.profile(() => {
    for (let i = 0; i < 5000; i++) engine.scope(() => multiply(small, 2));
  });
  assert.is(many.length, 5000);
  assert.ok(many.every(({ begin }, i) => i === 0 || begin >= many[i - 1]!.begin));
});

// Numbers

test("every dtype is read as it was written", async () => {
  const values = {
    f32: [0, -1.5, Math.fround(Math.PI), 3.4028234663852886e38, Number.POSITIVE_INFINITY],
    u32: [0, 1, 0xffffffff, 0x80000000, 7],
    i32: [0, -1, 0x7fffffff, -0x80000000, 7],
  };
  for (const dtype of ["f32", "u32", "i32"] as const) {
    assert.equal(await numbers(engine.tensor(values[dtype], [5], dtype)), values[dtype], dtype);
  }
  if (!engine.hasF16) {
    assert.throws(() => engine.zeros([1], "f16"), says(DeviceError, /shader-f16/));
    console.log("\nskipped: reading f16 (the adapter has no f16)");
    return;
  }
  const halves = [0, -1.5, 65504, 2 ** -24, Number.NEGATIVE_INFINITY];
  assert.equal(await numbers(engine.tensor(halves, [5], "f16")), halves);
  assert.equal(await numbers(multiply(engine.tensor([1, -3, 0.1], [3], "f16"), 2)), [
    2,
    -6,
    2 * 0.0999755859375,
  ]);
});

test("f16 has the bits that IEEE 754 says", () => {
  const known: [number, number][] = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [0.1, 0x2e66],
    [1 / 3, 0x3555],
    [65504, 0x7bff],
    // Halfway to what would come after the largest number, and just below.
    [65520, 0x7c00],
    [65519.99, 0x7bff],
    [1e10, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    // The smallest normal number, the largest and smallest without a leading one.
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -24, 0x03ff],
    [2 ** -24, 0x0001],
    // Ties go to the even neighbour.
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.001, 0x0001],
    [3 * 2 ** -25, 0x0002],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 - 2 ** -11, 0x4000],
  ];
  for (const [value, bits] of known) assert.is(toHalfBits(value), bits, `${value}`);
  assert.ok(Number.isNaN(fromHalfBits(toHalfBits(Number.NaN))));
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromHalfBits(bits);
    if (!Number.isNaN(value)) assert.is(toHalfBits(value), bits);
  }
});

test("bytes are padded to whole words", () => {
  assert.equal([...toBytes([1, -2, 0.1], "f16")], [0x00, 0x3c, 0x00, 0xc0, 0x66, 0x2e, 0, 0]);
  assert.equal([...fromBytes(toBytes([1, -2, 0.5], "f16").buffer, "f16", 3)], [1, -2, 0.5]);
});

// Random numbers

test("random bits are Philox-2x32-10 (known answers of Random123)", () => {
  assert.is(randomBits({ key: 0, stream: 0 }, 0), 0xff1dae59);
  assert.is(randomBits({ key: 0xffffffff, stream: 0xffffffff }, 0xffffffff), 0x2c3f628b);
  assert.is(randomBits({ key: 0x13198a2e, stream: 0x85a308d3 }, 0x243f6a88), 0xdd7ce038);
});

test("the GPU draws the same bits as the host", async () => {
  const kernel = defineKernel({
    name: "test-random",
    includes: [randomSource],
    bindings: ["+bits: u32", "+numbers: f32"],
    params: { key: "u32", stream: "u32", start: "u32" },
    source: `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  bits[id.x] = randomBits(params.key, params.stream, params.start + id.x);
  numbers[id.x] = uniformAt(params.key, params.stream, params.start + id.x);
}`,
  });
  const size = 6400;
  for (const [key, stream, start] of [
    [0, 0, 0],
    [0xffffffff, 0xffffffff, 0xffffffff - size + 1],
    [0x13198a2e, 0x85a308d3, 0x243f6a88],
  ] as const) {
    const [bits, drawn] = [engine.empty([size], "u32"), engine.empty([size])];
    engine.run(kernel, { bind: [bits, drawn], params: { key, stream, start }, grid: size / 64 });
    const indices = Array.from({ length: size }, (_, i) => start + i);
    assert.equal(
      await numbers(bits),
      indices.map((index) => randomBits({ key, stream }, index)),
    );
    assert.equal(
      await numbers(drawn),
      indices.map((index) => uniform({ key, stream }, index)),
    );
  }
});

test("uniform numbers fill their range evenly, in every direction of the counter", () => {
  const count = 51200;
  const walks: [string, (i: number) => number][] = [
    ["index", (i) => uniform({ key: 5, stream: 3 }, i)],
    ["stream", (i) => uniform({ key: 5, stream: i }, 3)],
    ["key", (i) => uniform({ key: i, stream: 5 }, 3)],
  ];
  for (const [name, draw] of walks) {
    const bins = new Array<number>(256).fill(0);
    let lag = 0;
    let before = draw(count);
    for (let i = 0; i < count; i++) {
      const value = draw(i);
      assert.ok(value >= 0 && value < 1);
      bins[Math.floor(value * 256)]!++;
      lag += (value - 0.5) * (before - 0.5);
      before = value;
    }
    // 255 degrees of freedom: mean 255, standard deviation 22.6; six of them either way.
    const square = bins.reduce((sum, bin) => sum + (bin - count / 256) ** 2 / (count / 256), 0);
    assert.ok(square > 120 && square < 390, `${name}: chi-square ${square}`);
    // The correlation of neighbours, 12 times the mean product, is 0 give or take 1/sqrt(count).
    assert.ok(
      Math.abs((12 * lag) / count) < 6 / Math.sqrt(count),
      `${name}: correlation ${(12 * lag) / count}`,
    );
  }
});

test("normal numbers have mean 0, variance 1 and kurtosis 3", () => {
  const count = 100000;
  const moments = [0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const value = normal({ key: 1, stream: 2 }, i);
    moments.forEach((_, power) => {
      moments[power]! += value ** power / count;
    });
  }
  assert.ok(Math.abs(moments[1]!) < 0.02, `mean ${moments[1]}`);
  assert.ok(Math.abs(moments[2]! - 1) < 0.03, `variance ${moments[2]}`);
  assert.ok(Math.abs(moments[3]!) < 0.06, `skewness ${moments[3]}`);
  assert.ok(Math.abs(moments[4]! - 3) < 0.2, `kurtosis ${moments[4]}`);
});

test("a normal number comes of two uniform ones of its own (Box and Muller, 1958)", () => {
  const key = { key: 7, stream: 5 };
  for (const i of [0, 1, 2, 3, 1000]) {
    const [radius, angle] = [
      Math.sqrt(-2 * Math.log(1 - uniform(key, 2 * i))),
      2 * Math.PI * uniform(key, 2 * i + 1),
    ];
    assert.is(normal(key, i), radius * Math.cos(angle));
  }
});

test("streams depend on seed and step alone, and differ", () => {
  const draw = (seed: number, step: number) => {
    const streams = new RandomStreams(seed, step);
    return [0, 1, 2].map(() => randomBits(streams.stream(), 0));
  };
  assert.equal(draw(1, 2), draw(1, 2));
  const all = [draw(1, 2), draw(1, 3), draw(2, 2)].flat();
  assert.is(new Set(all).size, all.length);
});

test.run();
