// Copies that a captured step leaves out, and gradients that are written instead of added to zeros: the bits of a step
// that clears, adds and copies everything.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addTensors } from "../cases/check.ts";
import { Engine, normal, type Program, type Tensor } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { scale } from "../kernels/elementwise/unary.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { linearSpecs, normSpecs, Parameters } from "../model/parameters.ts";

const engine = await Engine.create({ poison: true });

test.after(() => engine.dispose());

const [rows, width, odd] = [8, 16, 3];
const numbers = (stream: number, count: number) =>
  Float32Array.from({ length: count }, (_, i) => normal({ key: 2, stream }, i));

const x = engine.tensor(numbers(0, rows * width), [rows, width]);
const dy = engine.tensor(numbers(1, rows * odd), [rows, odd]);
const unit = { normal: 0.5 };

/** A network with a bias that does not fill a vec4, and a parameter that nothing reaches. */
function makeParameters() {
  const parameters = new Parameters(engine, [
    ...linearSpecs("a", width, width, unit),
    ...normSpecs("norm", width),
    ...linearSpecs("b", odd, width, unit),
    ...linearSpecs("unused", width, width, unit),
  ]);
  parameters.initialize(7);
  const p = (name: string) => parameters.get(name);
  const pass = () => {
    const hidden = layernorm(
      linear(x, p("a.weight"), { bias: p("a.bias") }),
      p("norm.weight"),
      p("norm.bias"),
    );
    backward(linear(hidden, p("b.weight"), { bias: p("b.bias") }), { grad: dy });
  };
  return { parameters, pass };
}

/** How many commands of each kind a replay sends. */
function kinds(program: Program<unknown>): Record<string, number> {
  const counts: Record<string, number> = {};
  const { commands } = program as unknown as { commands: { kind: string }[] };
  for (const { kind } of commands) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

for (const passes of [1, 2]) {
  test(`gradients of ${passes} passes are the bits of cleared ones, eagerly and captured`, async () => {
    const { parameters, pass } = makeParameters();
    const work = () => {
      for (let i = 0; i < passes; i++) pass();
    };
    const flats = async () => Promise.all(parameters.flats.map(({ gradient }) => gradient.read()));
    engine.scope(() => {
      parameters.clearGradients();
      work();
    });
    const expected = await flats();
    assert.ok(
      expected.some((flat) => flat.some((value) => Math.abs(value) > 0.1)),
      "there are gradients",
    );
    const renew = () => parameters.renewGradients(work);
    // What was there before must not show.
    const spoil = () => {
      for (const { specs } of [parameters]) {
        for (const { name } of specs) {
          const { grad } = parameters.get(name);
          engine.write(grad!, new Float32Array(grad!.size).fill(Number.NaN));
        }
      }
    };
    spoil();
    engine.scope(renew);
    assert.equal(await flats(), expected);
    const program = await engine.capture(renew);
    for (let run = 0; run < 2; run++) {
      spoil();
      program.run();
      assert.equal(await flats(), expected, `replay ${run}`);
    }
    // Left are the bias that fills no vec4 by itself, and what nothing reaches.
    assert.equal(kinds(program).copy, 1);
    assert.equal(kinds(program).clear, 2);
    program.dispose();
    parameters.dispose();
  });
}

test("one gradient for two parameters is copied once and written once", async () => {
  const parameters = new Parameters(engine, [
    { name: "u", shape: [rows, width], initial: unit },
    { name: "v", shape: [rows, width], initial: unit },
  ]);
  parameters.initialize(3);
  const [u, v] = [parameters.get("u"), parameters.get("v")];
  const program = await engine.capture(() =>
    parameters.renewGradients(() => {
      const sum = engine.record("plus", addTensors(u, v), [u, v], (grad) => [grad, grad]);
      backward(scale(sum, 3), { grad: x });
    }),
  );
  program.run();
  const expected = Float32Array.from(numbers(0, rows * width), (value) => Math.fround(3 * value));
  for (const tensor of [u, v]) assert.equal(await tensor.grad!.read(), expected);
  program.dispose();
  parameters.dispose();
});

test("results gathered by copies are written where they belong", async () => {
  const step = () => {
    const gathered = engine.empty([2 * rows * width]);
    const half = (i: number) => engine.slice(gathered, i * rows * width, [rows, width]);
    const one = scale(x, 2);
    const other = scale(one, 3);
    engine.copy(one, half(0));
    engine.copy(other, half(1));
    return gathered;
  };
  const expected = await engine.scope(step).read();
  const program = await engine.capture(step);
  program.run();
  assert.equal(await program.outputs.read(), expected);
  assert.is(kinds(program).copy ?? 0, 1, "one reads what it would lie beside");
  program.dispose();
});

test("a copy stays where its source or its target is needed otherwise", async () => {
  const target = engine.zeros([rows, width]);
  const cases: Record<string, () => Record<string, Tensor>> = {
    "the source is a result": () => {
      const y = scale(x, 2);
      engine.copy(y, target);
      return { y };
    },
    "the source is used again": () => {
      const y = scale(x, 2);
      engine.copy(y, target);
      return { z: scale(y, 5) };
    },
    "the target's old values are used in between": () => {
      const y = scale(x, 2);
      const z = scale(target, 0.5);
      engine.copy(y, target);
      return { z };
    },
    "a dispatch makes the source of the target": () => {
      const y = scale(target, 0.5);
      engine.copy(y, target);
      return {};
    },
  };
  for (const [name, step] of Object.entries(cases)) {
    const start = numbers(5, rows * width);
    const results = async (outputs: Record<string, Tensor>) => {
      const read: Record<string, ArrayLike<number>> = { target: await target.read() };
      for (const output in outputs) read[output] = await outputs[output]!.read();
      return read;
    };
    engine.write(target, start);
    const expected = await results(engine.scope(step));
    const program = await engine.capture(step);
    engine.write(target, start);
    program.run();
    assert.equal(await results(program.outputs), expected, name);
    assert.is(kinds(program).copy, 1, name);
    program.dispose();
  }
});

test.run();
