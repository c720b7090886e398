// What fuse makes of functions of elements: as few dispatches as it says, the same kernel whatever the numbers are, and
// on a device with room for few buffers the same results. Their values and gradients are cases of the op table.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCase } from "../cases/check.ts";
import { relativeError } from "../cases/compare.ts";
import { fuseCases } from "../cases/fuse.ts";
import {
  Engine,
  findAdapter,
  type Kernel,
  normal,
  Scalar,
  type Tensor,
  TensorError,
} from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";
import { add, less, mul, sub, where } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { fuse } from "../kernels/elementwise/fuse.ts";
import { abs, leakyRelu, scale, sigmoid, tanh } from "../kernels/elementwise/unary.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { sum } from "../kernels/reduce/reduce.ts";

const engine = await Engine.create({ poison: true });
test.after(() => engine.dispose());

const numbers = (stream: number, size: number) =>
  Float32Array.from({ length: size }, (_, i) => normal({ key: 21, stream }, i));
const shape = [37, 21];
const [x, w] = [0, 1].map((stream) => engine.tensor(numbers(stream, 37 * 21), shape)) as [Tensor, Tensor];
const row = engine.tensor(numbers(2, 21), [21]);

/** The kernels that `work` dispatches. */
function dispatched(work: () => void): Kernel[] {
  const seen: Kernel[] = [];
  const { run } = engine;
  engine.run = (kernel, how) => {
    seen.push(kernel as Kernel);
    run.call(engine, kernel as Kernel, how);
  };
  try {
    work();
  } finally {
    engine.run = run;
  }
  return seen;
}

const gated = (a: Tensor, b: Tensor, c: Tensor) => add(mul(sigmoid(a), b), mul(tanh(c), sub(1, b)));

test("a chain is one dispatch, and so are its gradients", async () => {
  for (const tensor of [x, w]) tensor.requiresGrad = true;
  const gradients = async (fn: typeof gated) => {
    const all = dispatched(() =>
      engine.scope(() => {
        const y = fn(x, w, row);
        backward(y, { grad: row.engine.tensor(numbers(3, 37 * 21), shape) });
      }),
    );
    const read = await engine.readAll([x.grad!, w.grad!]);
    clearGrad([x, w]);
    return { all, read };
  };
  const [plain, fused] = [await gradients(gated), await gradients(fuse(gated))];
  assert.ok(plain.all.length > 9, `${plain.all.length}`);
  assert.equal(
    fused.all.map(({ name }) => name),
    ["fused-sigmoid-mul-tanh-sub-1-more", "fused-sigmoid-mul-tanh-sub-1-more-gradients"],
  );
  fused.read.forEach((gradient, i) => {
    assert.ok(relativeError(gradient, Float64Array.from(plain.read[i]!)) < 1e-6);
  });
  for (const tensor of [x, w]) tensor.requiresGrad = false;
});

test("numbers and Scalars are parameters: other ones need no other kernel, and a captured step sees them change", async () => {
  const factor = new Scalar(3);
  const scaled = fuse((a: Tensor, by: number) => leakyRelu(add(scale(a, factor), by), 0.25));
  const kernels = new Set(
    dispatched(() => {
      for (const by of [1, -2, 0.5]) engine.scope(() => scaled(x, by));
    }),
  );
  assert.is(kernels.size, 1);
  const program = await engine.capture(() => scaled(x, 0.5));
  const wanted = () =>
    numbers(0, 37 * 21).map((value) => {
      const y = Math.fround(value * factor.value) + 0.5;
      return y > 0 ? y : 0.25 * y;
    });
  for (const value of [3, -1]) {
    factor.value = value;
    program.run();
    assert.ok(relativeError(await program.outputs.read(), Float64Array.from(wanted())) < 1e-6);
  }
  program.dispose();
});

test("a fused function within another one is a part of that, and tensors from outside get gradients", async () => {
  row.requiresGrad = true;
  const inner = fuse((a: Tensor) => mul(sigmoid(a), row));
  const outer = fuse((a: Tensor, b: Tensor) => sub(inner(add(a, b)), inner(b)));
  const seen = dispatched(() => engine.scope(() => backward(sum(outer(x, w)))));
  assert.is(seen.filter(({ name }) => name.startsWith("fused")).length, 2);
  const got = (await row.grad!.read()).slice();
  clearGrad([row]);
  engine.scope(() => backward(sum(sub(mul(sigmoid(add(x, w)), row), mul(sigmoid(w), row)))));
  const error = relativeError(got, Float64Array.from(await row.grad!.read()));
  assert.ok(error < 1e-5, `${error}`);
  clearGrad([row]);
  row.requiresGrad = false;
});

test("a result takes the place of an operand that nobody needs any more, and is the same bits", async () => {
  const step = () => ({ y: fuse(gated)(scale(x, 0.5), fuse(gated)(scale(w, 2), x, row), row) });
  const expected = engine.scope(step);
  const program = await engine.capture(step);
  for (let run = 0; run < 2; run++) {
    program.run();
    assert.equal(await program.outputs.y.read(), await expected.y.read());
  }
  assert.is(program.memory.planned, 2 * Math.ceil((4 * 37 * 21) / 256) * 256);
  program.dispose();
  expected.y.dispose();
  // Numbers of other types, and one for all elements, lie in as many bytes.
  const others = () => ({
    mask: fuse((a: Tensor) => less(a, 0))(scale(x, 2)),
    small: fuse(mul)(engine.slice(row, 0, [3]), scale(engine.slice(row, 0, [1]), 2)),
  });
  const apart = engine.scope(others);
  const captured = await engine.capture(others);
  captured.run();
  for (const name of ["mask", "small"] as const)
    assert.equal(await captured.outputs[name].read(), await apart[name].read(), name);
  captured.dispose();
  for (const tensor of Object.values(apart)) tensor.dispose();
});

test("what is no function of elements is refused, and so are integers where that takes more than an operator", () => {
  const refused = (fn: (a: Tensor) => unknown, message: RegExp, a = x) =>
    assert.throws(
      () => fuse(fn as (a: Tensor) => Tensor)(a),
      (error: Error) => error instanceof TensorError && message.test(error.message),
      `${message}`,
    );
  refused((a) => sum(a), /stands for elements inside of fuse/);
  refused((a) => matmul(a, w, { transposeB: true }), /stands for elements inside of fuse/);
  refused((a) => a.engine.view(a, [-1]), /stands for elements inside of fuse/);
  refused(() => x, /fuse: the function must return/);
  refused((a) => [a], /fuse: the function must return/);
  const whole = engine.tensor([1, 2, 3], [3], "i32");
  refused((a) => abs(a), /fuse: abs of i32 is no operator/, whole);
  refused((a) => less(a, 2), /fuse: less of i32 is no operator/, whole);
});

test("what inference keeps out of the graph has no gradient within it either, and more than eight dimensions run one by one", async () => {
  const gate = (a: Tensor) =>
    mul(
      a,
      a.engine.inference(() => tanh(a)),
    );
  // No two of the nine dimensions can be joined for all three.
  const shapes = [
    [1, 2, 2, 2, 2, 1, 2, 2, 2],
    [2, 1, 2, 1, 1, 2, 1, 2, 1],
    [2, 2, 1, 1, 2, 1, 1, 2, 2],
  ];
  const apart = shapes.map((shape, i) =>
    engine.tensor(
      numbers(
        5 + i,
        shape.reduce((a, b) => a * b),
      ),
      shape,
    ),
  );
  const joined = (a: Tensor, b: Tensor, c: Tensor) => add(mul(a, b), c);
  x.requiresGrad = true;
  const read = async (ofOne: typeof gate, ofThree: typeof joined) => {
    engine.scope(() => backward(sum(ofOne(x))));
    const read = await engine.readAll([x.grad!, ofThree(apart[0]!, apart[1]!, apart[2]!)]);
    clearGrad([x]);
    return read;
  };
  const plain = await read(gate, joined);
  (await read(fuse(gate), fuse(joined))).forEach((values, i) => {
    assert.ok(relativeError(values, Float64Array.from(plain[i]!)) < 1e-6);
  });
  x.requiresGrad = false;
  for (const tensor of apart) tensor.dispose();
});

test("gradients of what a cast made wider are f16 only once they are summed", async () => {
  if (!engine.hasF16) return console.log("skipped: gradients beyond f16 (the adapter has no f16)");
  const a = engine.tensor([1.5], [1], "f16");
  a.requiresGrad = true;
  const b = engine.tensor(new Float32Array(1024).fill(2), [1024]);
  const wider = fuse((a: Tensor, b: Tensor) => mul(cast(a, "f32"), b));
  for (const [even, odd, wanted] of [
    [1e-8, 1e-8, 2048e-8],
    [2 ** 17, 8 - 2 ** 17, 8192],
  ] as const) {
    const grad = engine.tensor(
      Float32Array.from({ length: 1024 }, (_, i) => (i % 2 === 0 ? even : odd)),
      [1024],
    );
    engine.scope(() => backward(wider(a, b), { grad }));
    assert.ok(relativeError(await a.grad!.read(), Float64Array.of(wanted)) < 2e-3);
    clearGrad([a]);
    grad.dispose();
  }
  for (const tensor of [a, b]) tensor.dispose();
});

test("integers by WGSL's operators", async () => {
  const a = engine.tensor([1, -5, 2 ** 31 - 1], [3], "i32");
  const flags = engine.tensor([1, 0, 1], [3], "u32");
  const y = fuse((a: Tensor, flags: Tensor) => where(flags, mul(add(a, 2), a), sub(7, a)))(a, flags);
  assert.equal([...(await y.read())], [3, 12, Math.imul(-(2 ** 31) + 1, 2 ** 31 - 1)]);
  for (const tensor of [a, flags, y]) tensor.dispose();
});

test("a device with room for eight buffers gives the same, with more kernels", async () => {
  const { adapter, instance } = await findAdapter({});
  const device = await adapter.requestDevice();
  const bare = await Engine.create({ device, poison: true });
  assert.is(device.limits.maxStorageBuffersPerShaderStage, 8);
  for (const opCase of fuseCases) assert.equal((await runCase(bare, opCase)).failures, []);
  bare.dispose();
  device.destroy();
  assert.ok(instance !== undefined, "the instance outlives its device");
});

test.run();
