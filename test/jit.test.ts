// engine.jit: results of a function that is taken down by the shapes of its inputs, whatever comes between its calls.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor, TensorError } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { sum } from "../kernels/reduce/reduce.ts";

const engine = await Engine.create({ poison: true });
const row = (values: number[]) => ({ values, shape: [values.length] });
const read = async (tensor: Tensor) => [...(await tensor.read())];

async function fails(work: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await work.then(
    () => null,
    (error: Error) => error,
  );
  assert.instance(error, TensorError);
  assert.match(error!.message, message);
}

test("each call has results of its own, from host values and tensors, in a tree", async () => {
  let taken = 0;
  const f = engine.jit(({ a, b }: Record<"a" | "b", Tensor>) => {
    taken++;
    return {
      product: mul(a, b),
      more: [add(a, b), { name: "twice", of: add(a, a) }] as const,
      shape: a.shape,
    };
  });
  const [x, y] = [engine.tensor([1.5, -2, 7], [3]), engine.tensor([4, 5, 6.25], [3])];
  const first = await f({ a: x, b: y });
  const second = await f({ a: row([9, 8, 7]), b: y });
  assert.equal(await read(first.product), [6, -10, 43.75]);
  assert.equal(await read(first.more[0]), [5.5, 3, 13.25]);
  assert.equal(await read(first.more[1].of), [3, -4, 14]);
  assert.is(first.more[1].name, "twice");
  assert.equal(first.shape, [3]);
  assert.equal(await read(second.product), [36, 40, 43.75]);
  assert.equal(await read(x), [1.5, -2, 7]);
  assert.is(taken, 1);
  const wide = await f({ a: row([1, 2]), b: row([3, 5]) });
  assert.equal(await read(wide.product), [3, 10]);
  assert.is(taken, 2);
  f.dispose();
  assert.equal(await read(second.product), [36, 40, 43.75]);
  await fails(f({ a: x, b: y }), /disposed/);
});

test("what the function closes over is read anew, and gradients inside of it are brought to their leaves", async () => {
  const w = engine.tensor([2, 3], [2]);
  w.requiresGrad = true;
  const f = engine.jit(({ x }: { x: Tensor }) => {
    const loss = sum(mul(mul(w, w), x));
    backward(loss);
    return loss;
  });
  assert.is(await (await f({ x: row([1, 10]) })).item(), 94);
  assert.equal(await read(w.grad!), [4, 60]);
  engine.write(w, [1, -1]);
  assert.is(await (await f({ x: row([5, 7]) })).item(), 12);
  assert.equal(await read(w.grad!), [10, -14]);
  f.dispose();
});

test("a call takes its inputs as they are, whatever becomes of them before it is through, the first of a shape too", async () => {
  const f = engine.jit(({ x, y }: Record<"x" | "y", Tensor>) => mul(x, y));
  for (const turn of [1, 2]) {
    const [x, values] = [engine.tensor([3, turn], [2]), new Float32Array([5, -7])];
    const calls = [f({ x, y: { values, shape: [2] } })];
    engine.write(x, [11, 13]);
    values.fill(17);
    calls.push(engine.scope(() => f({ x: add(x, x), y: { values, shape: [2] } })));
    x.dispose();
    const [first, second] = await Promise.all(calls);
    assert.equal(await read(first!), [15, -7 * turn]);
    assert.equal(await read(second!), [374, 442]);
  }
  f.dispose();
});

test("the programs used longest ago make room, and calls at once neither mix nor take down twice", async () => {
  let taken = 0;
  const f = engine.jit(
    ({ x }: { x: Tensor }) => {
      taken++;
      return matmul(x, x, { transposeB: true });
    },
    { most: 2 },
  );
  const square = (n: number, k: number) => ({
    values: Array.from({ length: n * k }, (_, i) => (i % 7) - k),
    shape: [n, k],
  });
  const wanted = ({ values, shape: [n, k] }: ReturnType<typeof square>) =>
    Array.from({ length: n! * n! }, (_, at) => {
      const [i, j] = [Math.floor(at / n!), at % n!];
      return Array.from({ length: k! }, (_, c) => values[i * k! + c]! * values[j * k! + c]!).reduce(
        (a, b) => a + b,
      );
    });
  const shapes = [square(2, 3), square(3, 3), square(2, 5), square(4, 1), square(2, 3)];
  const results = await Promise.all([...shapes, ...shapes].map((x) => f({ x })));
  for (const [i, result] of results.entries()) assert.equal(await read(result), wanted(shapes[i % 5]!));
  assert.is(taken, 4);
  const used = engine.stats().usedBytes;
  for (let turn = 0; turn < 5; turn++)
    for (const x of shapes) {
      const result = await f({ x });
      assert.equal(await read(result), wanted(x));
      result.dispose();
    }
  assert.ok(engine.stats().usedBytes <= used + 4096, `${engine.stats().usedBytes} of ${used}`);
  f.dispose();
  for (const result of results) result.dispose();
});

test("a function that can't be taken down says so each time, and one that can afterwards works", async () => {
  let broken = true;
  const f = engine.jit(({ x }: { x: Tensor }) => {
    if (broken) throw new TensorError("not yet");
    return add(x, x);
  });
  await fails(f({ x: row([1]) }), /not yet/);
  await fails(f({ x: row([1]) }), /not yet/);
  broken = false;
  assert.equal(await read(await f({ x: row([1.25]) })), [2.5]);
  await fails(f({ x: [1] as never }), /input "x" is no tensor/);
  await fails(f({ x: { values: [1, 2], shape: [3] } }), /input "x" is .*2 values/);
  await fails(f({ x: { values: [1], shape: [1], dtype: "f64" as never } }), /no tensor/);
  assert.throws(() => engine.jit(({ x }: { x: Tensor }) => x, { most: 0 }), /0 programs/);
  f.dispose();
});

test("scopes keep what a tree holds, at any depth", async () => {
  const kept = engine.scope(() => {
    const a = engine.tensor([1, 2], [2]);
    mul(a, a);
    return { layers: [{ weight: a, also: [add(a, a)] }], name: "x" };
  });
  assert.equal(await read(kept.layers[0]!.weight), [1, 2]);
  assert.equal(await read(kept.layers[0]!.also[0]!), [2, 4]);
  const ring: { self?: unknown; of: Tensor } = { of: engine.tensor([3], [1]) };
  ring.self = ring;
  assert.is(engine.scope(() => ring).of.disposed, false);
});

test.after(() => engine.dispose());
test.run();
