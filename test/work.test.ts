// What the kernels say of their work is what the formulas of the field say, on launches as the ops make them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recordCase } from "../cases/check.ts";
import { allKernels } from "../cases/kernels.ts";
import { allCases } from "../cases/table.ts";
import { Engine, type LaunchWork, sizeOf, type Tensor } from "../engine/index.ts";
import { crossAttention, selfAttention } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { gelu } from "../kernels/elementwise/unary.ts";
import { embedding } from "../kernels/embedding/embedding.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear, matmul } from "../kernels/matmul/matmul.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { slice } from "../kernels/shape/slice.ts";

const engine = await Engine.create();

/** The launches of a step. */
async function launchesOf(step: () => Tensor | undefined): Promise<LaunchWork[]> {
  const program = await engine.capture(step);
  const launches = program.launches();
  assert.is(launches.length, program.dispatches);
  program.dispose();
  return launches;
}

const named = (launches: LaunchWork[], name: string) =>
  launches.filter(({ kernel }) => kernel.startsWith(name));
const flopsOf = (launches: LaunchWork[]) => launches.reduce((sum, { flops }) => sum + flops!, 0);
const bytesOf = (launches: LaunchWork[]) => launches.reduce((sum, { bytes }) => sum + bytes, 0);

function parameter(...shape: number[]): Tensor {
  const tensor = engine.keep(engine.zeros(shape));
  tensor.requiresGrad = true;
  return tensor;
}

test("every kernel says its operations", () => {
  assert.equal(
    allKernels.filter(({ flops }) => !flops).map(({ name }) => name),
    [],
  );
});

test("every launch of the op table has finite counts, and no more bytes than twice what is bound", async () => {
  const launches = await launchesOf(() => {
    // A loss's scale begins on the host, which no captured step may.
    const captured = allCases.filter(({ bench, name }) => !bench && !/ mixed f16$/.test(name));
    for (const opCase of captured) recordCase(engine, opCase);
    return undefined;
  });
  for (const { kernel, flops, bytes, bindings } of launches) {
    if (kernel.startsWith("test-")) continue;
    assert.ok(Number.isInteger(flops) && flops! >= 0, `${kernel}: ${flops} operations`);
    const bound = bindings.reduce((sum, tensor) => sum + tensor.bytes, 0);
    // Of tensors without elements nothing is moved.
    const some = bound === 0 || bytes > 0;
    assert.ok(Number.isInteger(bytes) && some && bytes <= 2 * bound, `${kernel}: ${bytes} bytes`);
  }
});

test("matmul: 2 m n k, whatever is transposed, batched or shared", async () => {
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      const [m, n, k, batch] = [20, 12, 8, 3];
      const a = engine.zeros([batch, ...(transposeA ? [k, m] : [m, k])]);
      const b = engine.zeros([batch, ...(transposeB ? [n, k] : [k, n])]);
      const launches = await launchesOf(() => matmul(a, b, { transposeA, transposeB }));
      assert.is(flopsOf(named(launches, "matmul")), 2 * batch * m * n * k);
      assert.is(bytesOf(launches), 4 * batch * (m * k + k * n + m * n));
    }
  }
  const shared = await launchesOf(() => matmul(engine.zeros([3, 5, 7]), engine.zeros([7, 9])));
  assert.is(flopsOf(named(shared, "matmul")), 2 * 3 * 5 * 7 * 9);
});

test("linear: forward and backward are three products, the epilogue is free", async () => {
  const [m, n, k] = [40, 24, 16];
  const [x, weight, bias] = [parameter(m, k), parameter(n, k), parameter(n)];
  const launches = await launchesOf(() => {
    backward(mean(linear(x, weight, { bias, gelu: true })));
    return undefined;
  });
  assert.is(flopsOf(named(launches, "matmul")), 3 * 2 * m * n * k);
});

test("attention: two products forward, seven backward", async () => {
  const [batch, tokens, heads, head] = [2, 19, 3, 8];
  const qkv = parameter(batch, tokens, 3 * heads * head);
  const product = 2 * batch * heads * tokens * tokens * head;
  const forward = await launchesOf(() => selfAttention(qkv, { heads }));
  assert.is(flopsOf(named(forward, "attention")), 2 * product);
  const both = named(
    await launchesOf(() => {
      backward(mean(selfAttention(qkv, { heads })));
      return undefined;
    }),
    "attention",
  );
  const rowSums = 2 * batch * tokens * heads * head;
  assert.is(flopsOf(both), (2 + 7) * product + rowSums);
  // Forward reads q, k, v and writes y; each query has two statistics a head.
  const [width, statistics] = [heads * head, 2 * heads];
  const bytes = (numbers: number) => 4 * batch * tokens * numbers;
  assert.is(bytesOf(both.slice(0, 1)), bytes(4 * width + statistics));
  // Backward reads q, k, v and dy twice and y once; its gradient is written once, by two kernels.
  const [dq, dkv] = [named(both, "attention-dq"), named(both, "attention-dkv")];
  assert.is(bytesOf([...dq, ...dkv]), bytes((5 + 4 + 3) * width + 2 * statistics));
});

test("layernorm: 12 an element forward, 15 backward, 3 more for gamma and beta, one where a gradient is there", async () => {
  const [rows, length] = [7, 12];
  const x = parameter(rows, length);
  const steps = async (gamma: Tensor, residual: Tensor | null) =>
    named(
      await launchesOf(() => {
        const y = layernorm(x, gamma, gamma, { residual });
        backward(mean(residual ? mul(y, x) : y));
        return undefined;
      }),
      "layernorm",
    ).map(({ flops }) => flops! / (rows * length));
  const fixed = engine.keep(engine.zeros([length]));
  assert.equal(await steps(fixed, null), [12, 15]);
  const [forward, back, ...affine] = await steps(parameter(length), null);
  assert.equal([forward, back, affine.length], [12, 18, 1]);
  assert.equal((await steps(fixed, x)).slice(0, 1), [13]);
});

test("cross-attention counts each query row against its own keys", async () => {
  const [batch, rows, queries, keys, heads, head] = [4, 2, 5, 9, 2, 8];
  const q = engine.zeros([batch, queries, heads * head]);
  const kv = engine.zeros([rows, keys, 2 * heads * head]);
  const source = Uint32Array.of(0, 1, 1, 0);
  const launches = await launchesOf(() => crossAttention(q, kv, { heads, source }));
  assert.is(flopsOf(named(launches, "attention")), 4 * batch * heads * queries * keys * head);
});

test("elementwise: operations by element, memory that is bound twice counts once", async () => {
  const [x, y] = [engine.zeros([30, 4]), engine.zeros([30, 4])];
  const [sum] = await launchesOf(() => add(x, y));
  assert.equal([sum!.flops, sum!.bytes], [120, 4 * 3 * 120]);
  const [square] = await launchesOf(() => mul(x, x));
  assert.equal([square!.flops, square!.bytes], [120, 4 * 2 * 120]);
  const [wide] = await launchesOf(() => add(x, engine.zeros([4])));
  assert.equal([wide!.flops, wide!.bytes], [120, 4 * (2 * 120 + 4)]);
  const [activated] = await launchesOf(() => gelu(x));
  assert.ok(activated!.flops! > 20 * 120, "erf is not one operation");
});

test("what is updated in place is read and written, what is copied in part is read in part", async () => {
  const n = 256;
  const flat = { values: engine.zeros([n]), gradient: engine.zeros([n]), decayEnd: 0 };
  const optimizer = new AdamW(engine, [flat]);
  const launches = await launchesOf(() => optimizer.update());
  const [update] = named(launches, "adamw");
  // The gradient and the norm are read, parameters and two moments read and written.
  assert.is(update!.bytes, 4 * (n + 1 + 2 * 3 * n));
  const [part] = await launchesOf(() => slice(engine.zeros([1000, 8]), [[10, 13]]));
  assert.equal([part!.flops, part!.bytes], [0, 2 * 4 * 3 * 8]);
  const [rows] = await launchesOf(() => embedding(engine.zeros([1000, 8]), engine.zeros([3], "u32")));
  assert.equal([rows!.flops, rows!.bytes], [0, 2 * 4 * 3 * 8]);
  optimizer.dispose();
});

test("a launch says what it ran on", async () => {
  const [x, y] = [engine.zeros([6, 8]), engine.zeros([8, 4])];
  const [launch] = named(await launchesOf(() => matmul(x, y)), "matmul");
  assert.is(launch!.params.m, 6);
  assert.ok(launch!.grid.every((groups) => groups >= 1));
  const [a, b] = launch!.bindings;
  assert.equal([a!.name, a!.shape, a!.dtype, a!.bytes], ["a", [6, 8], "f32", 4 * sizeOf([6, 8])]);
  assert.equal([b!.name, b!.shape], ["b", [8, 4]]);
});

test.after(() => engine.dispose());

test.run();
