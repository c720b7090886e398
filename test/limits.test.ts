// What runs on a device of WebGPU's least limits: 16 KiB of workgroup memory, 128 MiB a binding.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gelu } from "../cases/reference.ts";
import { allCases } from "../cases/table.ts";
import { type DType, Engine, findAdapter, type Tensor, TensorError } from "../engine/index.ts";
import * as kernels from "../kernels/index.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { testCases } from "./op-engines.ts";

const { adapter, instance } = await findAdapter({});
const device = await adapter.requestDevice();
const wide = await Engine.create({ device, poison: true, sharedLanes: 64 });

const narrow = /^layernorm (residual 33x100|3x1030|700x16)|wide head/;
testCases(
  "64 lanes",
  wide,
  allCases.filter(({ name, bench }) => !bench && narrow.test(name)),
);

test("a hidden layer that GELU's gradient needs may fill a buffer by itself", async () => {
  const { maxStorageBufferBindingSize } = device.limits;
  const engine = await Engine.create({ device });
  const [width, inputs] = [2048, 4];
  const rows = Math.floor((0.6 * maxStorageBufferBindingSize) / (4 * width));
  const x = engine.tensor(
    Float32Array.from({ length: rows * inputs }, (_, i) => Math.sin(i)),
    [rows, inputs],
  );
  const weight = engine.tensor(
    Float32Array.from({ length: width * inputs }, (_, i) => Math.cos(2 * i)),
    [width, inputs],
  );
  x.requiresGrad = true;
  const y = linear(x, weight, { gelu: true });
  const last = engine.slice(y, y.size - width, [width]);
  const values = await last.read();
  const dot = (column: number) =>
    [0, 1, 2, 3].reduce(
      (sum, i) => sum + Math.sin((rows - 1) * inputs + i) * Math.cos(2 * (column * inputs + i)),
      0,
    );
  for (const column of [0, 700, width - 1]) {
    const expected = gelu(dot(column));
    assert.ok(Math.abs(values[column]! - expected) < 1e-5, `${values[column]} at ${column}, not ${expected}`);
  }
  engine.dispose();
});

test("ops on numbers refuse integers, and two types in one op", async () => {
  const engine = await Engine.create();
  const of = (dtype: DType) => engine.tensor([1, 2, 3, 4], [2, 2], dtype);
  const ops: Record<string, (a: Tensor, b: Tensor) => unknown> = {
    matmul: (a, b) => kernels.matmul(a, b),
    linear: (a, b) => kernels.linear(a, b),
    feedForward: (a, b) => kernels.feedForward(a, { weight: b, bias: b }, { weight: b, bias: b }),
    add: kernels.add,
    mul: kernels.mul,
    layernorm: (a, b) => kernels.layernorm(a, b, b),
    concat: (a, b) => kernels.concat([a, b]),
    accumulateInto: (a, b) => kernels.accumulateInto(a, b),
    crossAttention: (a, b) => kernels.crossAttention(a, b, { heads: 1 }),
  };
  for (const [name, op] of Object.entries(ops)) {
    for (const [a, b] of [
      // Sums and products of whole numbers are exact, and any are moved.
      ...(["add", "mul", "concat"].includes(name)
        ? []
        : ([
            ["i32", "i32"],
            ["u32", "u32"],
          ] as const)),
      ["f32", "i32"],
      ["i32", "f32"],
      ...(engine.hasF16 && name !== "accumulateInto" ? [["f32", "f16"] as const] : []),
    ] as [DType, DType][]) {
      assert.throws(
        () => op(of(a), of(b)),
        (error: Error) => error instanceof TensorError,
        `${name} of ${a} and ${b}`,
      );
    }
  }
  const single: Record<string, (x: Tensor) => unknown> = {
    mean: (x) => kernels.mean(x),
    logSumExp: (x) => kernels.logSumExp(x, 0),
    sumTo: (x) => kernels.sumTo(x, [1, 2]),
    normSquared: (x) => kernels.normSquared(engine, [x]),
    softmax: kernels.softmax,
    normalize: (x) => kernels.normalize(x),
    relu: kernels.relu,
    topk: (x) => kernels.topk(x, 1),
  };
  for (const [name, op] of Object.entries(single)) {
    for (const dtype of ["i32", "u32"] as const) {
      assert.throws(
        () => op(of(dtype)),
        (error: Error) => error instanceof TensorError,
        `${name} of ${dtype}`,
      );
    }
  }
  await engine.idle();
  engine.dispose();
});

test.after(() => {
  wide.dispose();
  device.destroy();
  assert.ok(instance !== undefined, "the instance outlives its device");
});

test.run();
