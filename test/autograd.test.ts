// The engine's differentiation over the graph, apart from the kernels' own rules: those have the op table.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addTensors, multiply } from "../cases/check.ts";
import { type Backward, Engine, propagate, Tensor, TensorError } from "../engine/index.ts";
import { backward, clearGrad } from "../kernels/backward.ts";
import { matmul } from "../kernels/matmul/matmul.ts";

const engine = await Engine.create({ poison: true });

test.after(() => engine.dispose());

function leaf(values: number[], shape = [values.length]): Tensor {
  const tensor = engine.tensor(values, shape);
  tensor.requiresGrad = true;
  return tensor;
}

async function gradOf(tensor: Tensor): Promise<number[]> {
  assert.instance(tensor.grad, Tensor);
  return [...(await tensor.grad!.read())];
}

/** a + b, recorded, with the incoming gradient itself for both: what a rule may hand on. */
function plus(a: Tensor, b: Tensor): Tensor {
  return engine.record("plus", addTensors(a, b), [a, b], (dy) => [dy, dy]);
}

test("a tensor used twice gets the sum of both gradients", async () => {
  const x = leaf([1, 2, 3]);
  backward(plus(multiply(x, 2), multiply(x, 5)), { grad: engine.tensor([1, 10, 100], [3]) });
  assert.equal(await gradOf(x), [7, 70, 700]);
});

test("a tensor used twice by one operation gets the sum of both gradients", async () => {
  // d/dA tr(G' A A) = G A' + A' G
  const a = leaf([1, 2, 3, 4], [2, 2]);
  backward(matmul(a, a), { grad: engine.tensor([1, 0, 0, 1], [2, 2]) });
  assert.equal(await gradOf(a), [2, 6, 4, 8]);
});

test("an inner tensor used twice is differentiated once, with the whole gradient", async () => {
  const x = leaf([1, 2]);
  let calls = 0;
  const y = multiply(x, 3);
  const rule = y.node!.backward as Backward;
  y.node!.backward = (grad, needs, earlier) => {
    calls++;
    return rule(grad, needs, earlier);
  };
  const z = plus(plus(y, multiply(y, 2)), y);
  backward(z, { grad: engine.tensor([1, 2], [2]) });
  assert.equal(await gradOf(x), [12, 24]);
  assert.is(calls, 1);
});

test("a factor in the middle of a graph reaches the leaf", async () => {
  const x = leaf([1, -2, 3]);
  backward(multiply(multiply(multiply(x, 3), -0.5), 4), { grad: engine.tensor([1, 2, 3], [3]) });
  assert.equal(await gradOf(x), [-6, -12, -18]);
});

test("a long chain does not exhaust the stack", async () => {
  const x = leaf([1]);
  let y: Tensor = x;
  for (let i = 0; i < 5000; i++) y = multiply(y, i % 2 ? 2 : 0.5);
  backward(y);
  assert.equal(await gradOf(x), [1]);
});

test("untracked inputs get no gradient and are not asked for", async () => {
  const x = leaf([1, 2, 3, 4], [2, 2]);
  const fixed = engine.tensor([5, 6, 7, 8], [2, 2]);
  const y = matmul(x, fixed);
  const rule = y.node!.backward as Backward;
  let asked: readonly boolean[] = [];
  y.node!.backward = (grad, needs, earlier) => {
    asked = needs;
    return rule(grad, needs, earlier);
  };
  backward(y, { grad: engine.tensor([1, 0, 0, 1], [2, 2]) });
  assert.equal(asked, [true, false]);
  assert.is(fixed.grad, null);
  assert.equal(await gradOf(x), [5, 7, 6, 8]);
});

test("no graph is kept where nothing requires a gradient", () => {
  assert.is(multiply(engine.tensor([1], [1]), 2).node, null);
});

test("no graph is kept inside inference()", () => {
  const x = leaf([1]);
  assert.is(engine.inference(() => multiply(x, 2)).node, null);
  assert.is.not(multiply(x, 2).node, null);
});

test("backward on an untracked tensor is a TensorError", () => {
  const isTensorError = (error: Error) =>
    error instanceof TensorError && /requires a gradient/.test(error.message);
  assert.throws(() => backward(multiply(engine.tensor([1], [1]), 2)), isTensorError);
});

test("backward on many elements needs a gradient that fits", () => {
  const y = multiply(leaf([1, 2]), 2);
  assert.throws(
    () => backward(y),
    (error: Error) => error instanceof TensorError && /\[2\]/.test(error.message),
  );
  assert.throws(
    () => backward(y, { grad: engine.tensor([1, 2, 3], [3]) }),
    (error: Error) => error instanceof TensorError,
  );
});

test("a rule that returns a gradient of another size is a TensorError that names the operation", () => {
  const x = leaf([1, 2]);
  const y = engine.record("crooked", addTensors(x, x), [x], () => [engine.zeros([3])]);
  assert.throws(
    () => backward(y, { grad: engine.zeros([2]) }),
    (error: Error) => error instanceof TensorError && /crooked/.test(error.message),
  );
});

test("gradients add up over calls until they are cleared", async () => {
  const x = leaf([1, 2]);
  for (let i = 0; i < 3; i++) {
    engine.scope(() => backward(multiply(x, 2), { grad: engine.tensor([1, 10], [2]) }));
  }
  assert.equal(await gradOf(x), [6, 60]);
  clearGrad([x]);
  assert.is(x.grad, null);
  engine.scope(() => backward(multiply(x, 2), { grad: engine.tensor([1, 10], [2]) }));
  assert.equal(await gradOf(x), [2, 20]);
});

test("leaves that receive one and the same gradient have memory of their own", async () => {
  const [a, b] = [leaf([1, 2]), leaf([3, 4])];
  for (let i = 0; i < 2; i++) backward(plus(a, b), { grad: engine.tensor([1, 2], [2]) });
  assert.equal(await gradOf(a), [2, 4]);
  assert.equal(await gradOf(b), [2, 4]);
});

test("the gradient that the caller gave is left as it was", async () => {
  const x = leaf([1, 2]);
  const grad = engine.tensor([3, 4], [2]);
  for (let i = 0; i < 2; i++) backward(plus(x, multiply(x, 2)), { grad });
  assert.equal([...(await grad.read())], [3, 4]);
  assert.equal(await gradOf(x), [18, 24]);
});

test("a leaf that is its own result gets the gradient", async () => {
  const x = leaf([1]);
  backward(x);
  assert.equal(await gradOf(x), [1]);
});

test("a graph that lost its tensors is an error, not a gradient of other memory, and none of any leaf", () => {
  const x = leaf([1, 2, 3, 4], [2, 2]);
  const inner = multiply(x, 2);
  const late = leaf([1, 2, 3, 4], [2, 2]);
  const y = plus(matmul(inner, inner), late);
  inner.dispose();
  assert.throws(
    () => backward(y, { grad: engine.zeros([2, 2]) }),
    (error: Error) => error instanceof TensorError && /disposed/.test(error.message),
  );
  assert.is(late.grad, null);
});

test("backward on a disposed result is an error", () => {
  const y = multiply(leaf([1]), 2);
  y.dispose();
  assert.throws(
    () => backward(y),
    (error: Error) => error instanceof TensorError,
  );
});

test("backward gives back all memory but the gradients", () => {
  const x = leaf([1, 2]);
  const before = engine.stats().usedBytes;
  engine.scope(() => backward(plus(multiply(x, 2), x), { grad: engine.zeros([2]) }));
  x.grad!.dispose();
  assert.is(engine.stats().usedBytes, before);
});

test("a rule may add the earlier gradient itself, and is told of none where there is none", async () => {
  const x = leaf([1, 2]);
  const seen: boolean[] = [];
  /** 3 x, whose rule sums up. */
  const tripled = (from: Tensor) =>
    engine.record("tripled", multiply(from, 3), [from], (dy, _, earlierOf) => {
      const earlier = earlierOf(0);
      seen.push(earlier !== null);
      const own = multiply(dy, 3);
      return [earlier ? addTensors(earlier, own) : own];
    });
  const inner = multiply(x, 2);
  backward(plus(tripled(tripled(inner)), inner), { grad: engine.tensor([1, 10], [2]) });
  assert.equal(await gradOf(x), [20, 200]);
  assert.equal(seen, [false, true]);
});

test("propagate hands each leaf its gradient once", () => {
  const x = leaf([1, 2]);
  const seen: Tensor[] = [];
  propagate(plus(x, multiply(plus(x, x), 2)), engine.zeros([2]), {
    add: addTensors,
    leaf: (tensor) => seen.push(tensor),
  });
  assert.equal(seen.length, 1);
  assert.is(seen[0], x);
});

test.run();
