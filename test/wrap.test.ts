// Buffers that an app and the engine share without a copy: an app's as tensors (`wrap`), tensors' for the app (`buffer`); and
// reads that go together.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, TensorError } from "../engine/index.ts";
import { add, mul, scale, slice, sum } from "../kernels/index.ts";

const engine = await Engine.create({ poison: true });
const { device } = engine;
test.after(() => engine.dispose());

const flags = { copySource: 0x4, copyTarget: 0x8, vertex: 0x20, storage: 0x80 };
const all = flags.copySource | flags.copyTarget | flags.storage;

/** A buffer of the app's with these floats. */
function bufferOf(values: readonly number[], usage = all, label = "the app's"): GPUBuffer {
  const size = Math.ceil(values.length / 4) * 16;
  const buffer = device.createBuffer({ size, usage, label, mappedAtCreation: true });
  new Float32Array(buffer.getMappedRange()).set(values);
  buffer.unmap();
  return buffer;
}

/** What is in a buffer, read by the app's own commands. */
async function contents(buffer: GPUBuffer, count: number, offset = 0): Promise<number[]> {
  const staging = device.createBuffer({ size: 4 * count, usage: 0x9 });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const values = [...new Float32Array(staging.getMappedRange())];
  staging.destroy();
  return values;
}

test("a wrapped buffer is read and written where it lies, in the order of the work", async () => {
  const buffer = bufferOf([1, 2, 3, 4, 5]);
  const x = engine.wrap(buffer, [5]);
  assert.is(x.buffer, buffer);
  const doubled = scale(x, 2);
  // Not sent yet: what is written now must not reach the work before.
  engine.write(x, [-1, -2, -3, -4, -5]);
  const tripled = scale(x, 3);
  assert.equal([...(await doubled.read())], [2, 4, 6, 8, 10]);
  assert.equal([...(await tripled.read())], [-3, -6, -9, -12, -15]);
  assert.equal(await contents(buffer, 5), [-1, -2, -3, -4, -5]);
  engine.copy(doubled, x);
  await engine.sent();
  assert.equal(await contents(buffer, 5), [2, 4, 6, 8, 10]);
  device.queue.writeBuffer(buffer, 0, new Float32Array([7, 8]));
  assert.equal([...(await sum(x).read())], [7 + 8 + 6 + 8 + 10]);
  buffer.destroy();
});

test("two tensors on one buffer keep the order of their work", async () => {
  const values = Array.from({ length: 68 }, (_, i) => i + 1);
  const buffer = bufferOf(values);
  const whole = engine.wrap(buffer, [68]);
  const end = engine.wrap(buffer, [4], "f32", 256);
  assert.is(end.byteOffset, 256);
  const before = add(whole, whole);
  engine.write(end, [-1, -2, -3, -4]);
  assert.equal(
    [...(await before.read())],
    values.map((value) => 2 * value),
  );
  assert.equal([...(await whole.read())].slice(62), [63, 64, -1, -2, -3, -4]);
  buffer.destroy();
});

test("the buffer stays the app's: scopes, dispose and the engine's end leave it", async () => {
  const buffer = bufferOf([1, 2, 3]);
  const total = engine.scope(() => sum(mul(engine.wrap(buffer, [3]), engine.wrap(buffer, [3]))));
  assert.is(await total.item(), 14);
  const before = engine.stats();
  for (let i = 0; i < 3; i++) engine.wrap(buffer, [3]).dispose();
  assert.equal(engine.stats(), before);
  const own = await Engine.create({ device });
  const x = own.wrap(buffer, [3]);
  assert.is(await sum(x).item(), 6);
  own.dispose();
  assert.equal(await contents(buffer, 3), [1, 2, 3]);
  buffer.destroy();
});

test("in a captured step", async () => {
  const buffer = bufferOf([1, 2, 3, 4, 5, 6]);
  const result = bufferOf([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
  const [x, y] = [engine.wrap(buffer, [6]), engine.wrap(result, [6])];
  const program = await engine.capture(() => {
    const made = scale(x, 2);
    assert.throws(() => made.buffer, /no buffer before that is ready/);
    const inside = engine.wrap(buffer, [2, 3]);
    engine.copy(add(made, engine.view(inside, [6])), y);
    return made;
  });
  x.dispose(); // the program goes on
  program.run();
  await engine.sent();
  assert.equal(await contents(result, 6), [3, 6, 9, 12, 15, 18]);
  const { buffer: ours, byteOffset } = program.outputs;
  assert.equal(await contents(ours, 6, byteOffset), [2, 4, 6, 8, 10, 12]);
  device.queue.writeBuffer(buffer, 0, new Float32Array([10]));
  program.run();
  await engine.sent();
  assert.equal((await contents(result, 6))[0], 30);
  assert.equal((await contents(ours, 6, byteOffset))[0], 20);
  program.dispose();
  assert.throws(() => program.outputs.buffer, /disposed/);
  for (const one of [buffer, result]) one.destroy();
});

test("what can't be wrapped is refused at once, and says why", async () => {
  const buffer = bufferOf([1, 2, 3, 4, 5]); // 32 bytes
  assert.equal(engine.wrap(buffer, [8]).shape, [8]);
  assert.throws(() => engine.wrap(buffer, [9]), /f32\[9\] needs 48 bytes, the buffer has 32/);
  assert.throws(() => engine.wrap(buffer, [1], "f32", 256), /needs 272 bytes with what is before it/);
  assert.throws(() => engine.wrap(buffer, [1], "f32", 4), /4 is no multiple of 256/);
  assert.throws(() => engine.wrap(buffer, [1.5]), /whole numbers/);
  assert.throws(() => engine.wrap({} as GPUBuffer, [1]), /needs a GPUBuffer/);
  const made = engine.tensor([1, 2], [2]);
  assert.throws(() => engine.wrap(made.buffer, [2]), /is this engine's own/);
  made.dispose();
  assert.throws(() => made.buffer, /was disposed/);

  const vertices = bufferOf([1, 2], flags.vertex, "vertices");
  assert.throws(
    () => engine.wrap(vertices, [2]),
    /"vertices" of 16 bytes was made without GPUBufferUsage.STORAGE/,
  );
  const bare = engine.wrap(bufferOf([1, 2, 3], flags.storage), [3]);
  assert.is(await sum(bare).item(), 6);
  assert.throws(() => engine.write(bare, [1, 2, 3]), /f32\[3\].*without GPUBufferUsage.COPY_DST/);
  const error = await bare.read().catch((error) => error);
  assert.match(error.message, /f32\[3\].*without GPUBufferUsage.COPY_SRC/);
  assert.instance(error, TensorError);

  const mapped = device.createBuffer({ size: 16, usage: all, mappedAtCreation: true });
  assert.throws(() => engine.wrap(mapped, [2]), /is mapped/);
});

test("a buffer that was destroyed is told of where it is used, and nothing else is lost", async () => {
  const buffer = bufferOf([1, 2, 3], all, "gone");
  const x = engine.wrap(buffer, [3]);
  const other = engine.tensor([4, 5, 6], [3]);
  await engine.idle();
  buffer.destroy();
  const y = scale(x, 2);
  const error = await y.read().catch((error) => error);
  assert.match(error.message, /gone.*destroyed/);
  assert.equal([...(await scale(other, 2).read())], [8, 10, 12]);
  await engine.idle();
});

test("tensors of any kind are read together", async () => {
  const tensors = [
    engine.tensor([1, 2, 3], [3]),
    engine.tensor([7], [1], "u32"),
    engine.zeros([0, 4]),
    engine.tensor([-5, 6], [2], "i32"),
    slice(engine.tensor([1, 2, 3, 4, 5], [5]), [[1, 4]]),
    ...(engine.hasF16 ? [engine.tensor([0.5, 1.5, -2.5], [3], "f16")] : []),
  ];
  const before = engine.stats().submits;
  const values = await engine.readAll(tensors);
  assert.is(engine.stats().submits - before, 1);
  const expected = [[1, 2, 3], [7], [], [-5, 6], [2, 3, 4], [0.5, 1.5, -2.5]];
  assert.equal(
    values.map((one) => [...one]),
    expected.slice(0, tensors.length),
  );
  const each = await Promise.all(tensors.map((tensor) => tensor.read()));
  assert.equal(values, each);
  assert.equal(await engine.readAll([]), []);
  await engine.capture(() => {
    assert.throws(() => engine.readAll(tensors), /captured/);
    return sum(tensors[0]!);
  });
});

test.run();
