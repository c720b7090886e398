// Results in place of inputs: the same bits as with memory of their own, less memory, and only where nothing is lost.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allKernels } from "../cases/kernels.ts";
import { composeWgsl, Engine, normal, type Tensor } from "../engine/index.ts";
import { throughOutput } from "../engine/run/in-place.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { exp, gelu, multiplyByGeluSlope, scale, tanh } from "../kernels/elementwise/unary.ts";

const engine = await Engine.create({ poison: true });

test.after(() => engine.dispose());

const shape = [37, 21];
const size = 37 * 21;
const bytes = Math.ceil((4 * size) / 256) * 256;
const key = { key: 5, stream: 2 };
const numbers = (stream: number) =>
  Float32Array.from({ length: size }, (_, i) => normal({ key: 1, stream }, i));
const x = engine.tensor(numbers(0), shape);
const w = engine.tensor(numbers(1), shape);

/** The results of a step, run eagerly and replayed twice, and what memory its plan takes. */
async function both(step: () => Record<string, Tensor>): Promise<number> {
  const expected = engine.scope(step);
  const program = await engine.capture(step);
  for (let run = 0; run < 2; run++) {
    program.run();
    for (const name in expected) {
      assert.equal(await program.outputs[name]!.read(), await expected[name]!.read(), `${name}, run ${run}`);
    }
  }
  const { planned } = program.memory;
  program.dispose();
  return planned;
}

test("a chain of elementwise operations takes the memory of one tensor", async () => {
  const planned = await both(() => ({ y: tanh(dropout(gelu(scale(exp(x), 0.25)), 0.3, key)) }));
  assert.is(planned, bytes);
});

test("either input of a slope gives its place, the gradient first", async () => {
  const planned = await both(() => {
    const [dy, pre] = [scale(x, 2), scale(w, 3)];
    return { dx: multiplyByGeluSlope(dy, pre) };
  });
  assert.is(planned, 2 * bytes);
  const kept = await both(() => {
    const [dy, pre] = [scale(x, 2), scale(w, 3)];
    return { dy, dx: multiplyByGeluSlope(dy, pre) };
  });
  assert.is(kept, 2 * bytes, "the saved values give theirs where the gradient is still needed");
});

test("an input that appears twice is replaced in both places", async () => {
  const planned = await both(() => {
    const y = scale(x, 2);
    return { z: multiplyByGeluSlope(y, y) };
  });
  assert.is(planned, bytes);
});

test("what is used later, returned, constant or from outside keeps its place", async () => {
  const planned = await both(() => {
    const y = scale(x, 2);
    const z = exp(y);
    return { y, z, later: multiplyByGeluSlope(y, z) };
  });
  assert.is(planned, 3 * bytes);
  const inner = await both(() => {
    const y = scale(x, 2);
    return { later: multiplyByGeluSlope(exp(y), y) };
  });
  assert.is(inner, 2 * bytes);
  await both(() => ({ y: exp(x) }));
  assert.equal(await x.read(), numbers(0), "the tensor from outside is as it was");
  await both(() => ({ y: exp(engine.tensor(numbers(3), shape)) }));
  await both(() => {
    const y = scale(x, 2);
    return { part: scale(engine.slice(y, 0, [64]), 3) };
  });
});

for (const kernel of allKernels.filter(({ inPlace }) => inPlace.length > 0)) {
  test(`${kernel.name}: read through its output, its WGSL has the other bindings`, () => {
    const outputs = kernel.bindings.filter(({ access }) => access === "read_write");
    assert.is(outputs.length, 1);
    for (const inputs of [...kernel.inPlace.map((name) => [name]), kernel.inPlace]) {
      const form = throughOutput(kernel, inputs);
      const text = composeWgsl(form, "f32", {}, { subgroups: true, count: 8 });
      for (const name of inputs) assert.not.match(text, new RegExp(`[^.\\w]${name}\\[`));
      const others = kernel.bindings.filter(({ name }) => !inputs.includes(name));
      assert.equal(form.bindings, others);
    }
  });
}

test.run();
