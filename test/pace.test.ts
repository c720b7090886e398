// Long work is divided: submits, and dispatches whose kernels then begin at a later workgroup, with the same bits. The op
// table runs in parts as well (op-engines.ts).
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allKernels } from "../cases/kernels.ts";
import { isDivisible } from "../engine/gpu/kernel.ts";
import { Pace } from "../engine/gpu/pace.ts";
import { Engine, type Tensor } from "../engine/index.ts";
import { scale } from "../kernels/elementwise/unary.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { softmax } from "../kernels/softmax/softmax.ts";

/** Everything is long to this engine: each dispatch goes in as many parts as it may, and each of them in a submit. */
const hasty = await Engine.create({ poison: true, longestSeconds: 1e-12 });
const engine = await Engine.create({ poison: true });
test.after(() => {
  hasty.dispose();
  engine.dispose();
});

test("every kernel can run in parts, but for the one that has a single invocation", () => {
  assert.equal(
    allKernels.filter((kernel) => !isDivisible(kernel)).map(({ name }) => name),
    ["loss-scale"],
  );
});

const values = Float32Array.from({ length: 300 * 260 }, (_, i) => Math.sin(i));
const step = (x: Tensor, w: Tensor) => scale(softmax(linear(x, w)), 3);
const tensorsOf = (e: Engine) =>
  [e.tensor(values, [300, 260]), e.tensor(values.subarray(0, 130 * 260), [130, 260])] as const;

test("parts give the bits of the whole, eager and replayed", async () => {
  const expected = await step(...tensorsOf(engine)).read();
  const before = hasty.stats();
  assert.equal(await step(...tensorsOf(hasty)).read(), expected);
  const { dispatches, submits } = hasty.stats();
  assert.ok(dispatches - before.dispatches > 60, `${dispatches - before.dispatches} dispatches`);
  assert.ok(submits - before.submits >= dispatches - before.dispatches, "each in a submit of its own");
  const inputs = tensorsOf(hasty);
  const program = await hasty.capture(() => step(...inputs));
  program.run();
  assert.equal(await program.outputs.read(), expected);
  assert.ok(program.dispatches > 60, `${program.dispatches} dispatches`);
  const submitsBefore = hasty.stats().submits;
  program.run();
  await hasty.idle();
  assert.is(hasty.stats().submits - submitsBefore, program.dispatches);
  const whole = await engine.capture(() => step(...tensorsOf(engine)));
  const sum = (works: { flops: number | null; bytes: number }[], key: "flops" | "bytes") =>
    works.reduce((total, work) => total + (work[key] ?? 0), 0);
  for (const key of ["flops", "bytes"] as const) {
    const [a, b] = [sum(program.launches(), key), sum(whole.launches(), key)];
    assert.ok(Math.abs(a - b) <= 1e-9 * b, `${a} ${key} in parts, ${b} in one`);
  }
});

test("a step of ordinary size is one submit", async () => {
  const inputs = tensorsOf(engine);
  const program = await engine.capture(() => step(...inputs));
  await engine.idle();
  const { submits } = engine.stats();
  program.run();
  assert.is(engine.stats().submits, submits + 1);
  assert.is(program.dispatches, 3);
});

test("a submit holds what is not long together, and the next one as much again", async () => {
  const chain = (x: Tensor) => [1, 2, 3, 4, 5, 6, 7].reduce((y, factor) => scale(y, factor), x);
  const x = engine.tensor(values, [300, 260]);
  const one = (await engine.capture(() => chain(x))).launches()[0]!;
  const longestSeconds = 2.5 * new Pace(engine.isSoftware, 1).estimate(one);
  const slow = await Engine.create({ poison: true, longestSeconds });
  const [mine] = tensorsOf(slow);
  const program = await slow.capture(() => chain(mine));
  await slow.idle();
  const { submits } = slow.stats();
  program.run();
  assert.is(program.dispatches, 7);
  assert.is(slow.stats().submits - submits, 4, "two, two, two and one");
  slow.dispose();
});

const kernel = allKernels.find(({ name }) => name === "softmax")!;
const total = (parts: { grid: readonly number[] }[], axis: number) =>
  parts.reduce((sum, { grid }) => sum + grid[axis]!, 0);

test("what is estimated as long is divided along the longest side, without gaps", () => {
  const pace = new Pace(false, 0.5);
  // 100 GFLOP a second are assumed of a graphics card.
  const estimate = pace.estimate({ flops: 170e9, bytes: 1 });
  assert.is(estimate, 1.7);
  assert.not(pace.isLong(0.5));
  const parts = pace.divide(kernel, [7, 1001, 3], estimate);
  assert.is(parts.length, 4);
  let at = 0;
  for (const { grid, start } of parts) {
    assert.equal(start, [0, at, 0]);
    assert.equal([grid[0], grid[2]], [7, 3]);
    at += grid[1];
  }
  assert.is(total(parts, 1), 1001);
  assert.is(pace.divide(kernel, [2, 1, 1], 1000).length, 2, "no part is empty");
  assert.equal(pace.divide({ ...kernel, includes: [], source: "@compute fn main() {}" }, [9, 1, 1], 1000), [
    { grid: [9, 1, 1], start: [0, 0, 0] },
  ]);
});

test("the device's own speed takes the place of the estimate", () => {
  const pace = new Pace(true, 0.5);
  let now = 1000;
  const measure = (estimate: number, seconds: number) => {
    pace.observe(estimate, now, now + 1000 * seconds);
    now += 1000 * seconds;
  };
  assert.ok(pace.measures(0.1));
  assert.not(pace.measures(0.001), "too short to tell");
  measure(0.1, 3); // the driver compiled
  for (let i = 0; i < 4; i++) measure(0.1, 0.01);
  assert.not(pace.isLong(4.9), "ten times as fast as estimated");
  assert.ok(pace.isLong(5.1));
  for (let i = 0; i < 3; i++) measure(0.1, 0.4);
  assert.ok(pace.isLong(0.13), "other programs came");
  // Two submits that wait for one another: the second began when the first ended.
  const fresh = new Pace(true, 0.5);
  fresh.observe(0.1, 0, 100);
  fresh.observe(0.1, 0, 200);
  assert.not(fresh.isLong(0.49));
  const measured = Array.from({ length: 300 }, (_, i) => (fresh.measures(1) ? [i + 1] : [])).flat();
  assert.equal(measured, [1, 2, 3, 4, 5, 6, 7, 8, 64, 128, 192, 256], "waiting costs");
});

test.run();
