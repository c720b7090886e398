// Gradient checkpointing: the bits of a run that keeps everything, in less memory, and clear errors.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { multiply } from "../cases/check.ts";
import { Engine, normal, RandomStreams, type Tensor, TensorError } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { linearSpecs, normSpecs, Parameters } from "../model/parameters.ts";

const engine = await Engine.create({ poison: true });

test.after(() => engine.dispose());

const [rows, width, depth] = [24, 16, 4];

const inputOf = (step: number) =>
  Float32Array.from({ length: rows * width }, (_, i) => normal({ key: 3, stream: step }, i));

/** How the blocks of the network run: as they are, or through checkpoints. */
type Through = (block: () => Tensor) => Tensor;

const kept: Through = (block) => block();
const checkpointed: Through = (block) => engine.checkpoint(block);
/** Each block again within a checkpoint of all its work. */
const nested: Through = (block) => engine.checkpoint(() => multiply(engine.checkpoint(block), -1));
const keptTwice: Through = (block) => multiply(block(), -1);

/**
 * A network whose blocks share a weight and a tensor from outside with each other and with what is not checkpointed:
 * the order of the sums matters.
 */
function makeNetwork(seed: number) {
  const specs = [
    ...Array.from({ length: depth }, (_, i) => [
      ...linearSpecs(`${i}`, width, width, { normal: 0.3 }),
      ...normSpecs(`${i}.norm`, width),
    ]).flat(),
    ...linearSpecs("shared", width, width, { normal: 0.3 }),
  ];
  const parameters = new Parameters(engine, specs);
  parameters.initialize(seed);
  const p = (name: string) => parameters.get(name);
  const streams = new RandomStreams(9);
  const forward = (x: Tensor, through: Through) => {
    const start = dropout(multiply(x, 0.5), 0.2, streams.stream());
    const shared = (input: Tensor) => linear(input, p("shared.weight"), { bias: p("shared.bias") });
    let y = shared(start);
    for (let i = 0; i < depth; i++) {
      const before = y;
      y = through(() => {
        const wide = linear(before, p(`${i}.weight`), { bias: p(`${i}.bias`), gelu: true });
        const mixed = layernorm(shared(wide), p(`${i}.norm.weight`), p(`${i}.norm.bias`), {
          residual: before,
          dropout: { probability: 0.3, key: streams.stream() },
        });
        return add(mixed, start);
      });
    }
    return multiply(dropout(y, 0.4, streams.stream()), 1.75);
  };
  return { parameters, streams, forward };
}

/** The result, and the gradients of the input and all parameters. */
async function run(through: Through): Promise<Record<string, ArrayLike<number>>> {
  const { parameters, forward } = makeNetwork(5);
  const x = engine.tensor(inputOf(0), [rows, width]);
  x.requiresGrad = true;
  const y = engine.scope(() => {
    parameters.clearGradients();
    const output = forward(x, through);
    backward(output, { grad: engine.tensor(inputOf(1), [rows, width]) });
    return output;
  });
  const results: Record<string, ArrayLike<number>> = { y: await y.read(), x: await x.grad!.read() };
  for (const { name } of parameters.specs) results[name] = await parameters.get(name).grad!.read();
  for (const tensor of [x, x.grad!, y]) tensor.dispose();
  parameters.dispose();
  return results;
}

test("values and gradients are the same bits as without", async () => {
  const expected = await run(kept);
  const results = await run(checkpointed);
  assert.ok(Math.abs(expected.x![7]!) > 0.01, "the gradient has come through");
  for (const name in expected) assert.equal(results[name], expected[name], name);
});

test("checkpoints in checkpoints give the same bits too", async () => {
  const expected = await run(keptTwice);
  const results = await run(nested);
  for (const name in expected) assert.equal(results[name], expected[name], name);
});

test("what a checkpoint starts from waits for all its gradients, also those of earlier nodes", async () => {
  let times = 0;
  const gradients = [kept, checkpointed].map((through) => {
    const x = engine.tensor(inputOf(2), [rows, width]);
    x.requiresGrad = true;
    times = 0;
    const sum = engine.scope(() => {
      const tripled = multiply(x, 3.1);
      const start = engine.record("counted", multiply(tripled, 1), [tripled], (dy) => {
        times++;
        return [dy];
      });
      const beside = multiply(start, 1.7);
      backward(
        mean(
          add(
            through(() => mul(start, start)),
            beside,
          ),
        ),
      );
      return x.grad!;
    });
    assert.is(times, 1);
    return sum.read();
  });
  assert.equal(await gradients[1], await gradients[0]);
});

test("a captured step is checkpointed: same numbers over several steps, less memory", async () => {
  const capture = async (through: Through) => {
    const network = makeNetwork(5);
    const optimizer = new AdamW(engine, network.parameters.flats);
    const x = engine.tensor(inputOf(0), [rows, width]);
    const program = await engine.capture(
      () => {
        network.parameters.clearGradients();
        const y = network.forward(x, through);
        const loss = mean(mul(y, y));
        backward(loss);
        optimizer.update({ maxNorm: 0.5 });
        return loss;
      },
      { x },
    );
    const step = async (number: number) => {
      network.streams.seek(number);
      optimizer.advance(0.01);
      program.run({ x: inputOf(number) });
      return program.outputs.item();
    };
    return { step, program };
  };
  const [plain, less] = [await capture(kept), await capture(checkpointed)];
  for (let number = 0; number < 5; number++) {
    assert.is(await less.step(number), await plain.step(number), `loss of step ${number}`);
  }
  const [before, after] = [plain.program.memory.planned, less.program.memory.planned];
  assert.ok(after < 0.8 * before, `${before} to ${after} bytes`);
});

test("between forward and backward only the results of the blocks are held", () => {
  const held = (through: Through) => {
    const { parameters, forward } = makeNetwork(5);
    const x = engine.tensor(inputOf(0), [rows, width]);
    const before = engine.stats().usedBytes;
    const bytes = engine.scope(() => {
      forward(x, through);
      return engine.stats().usedBytes - before;
    });
    x.dispose();
    parameters.dispose();
    return bytes;
  };
  const [plain, less] = [held(kept), held(checkpointed)];
  // A block keeps its result instead of the wide layer, its values before GELU, the mix, the sum and the norm.
  assert.ok(less < 0.5 * plain, `${less} of ${plain} bytes`);
});

test("without gradients a checkpoint is a scope", () => {
  const { parameters, forward } = makeNetwork(5);
  const x = engine.tensor(inputOf(0), [rows, width]);
  const before = engine.stats().usedBytes;
  const y = engine.inference(() => forward(x, checkpointed));
  assert.is(y.node, null);
  assert.is(engine.stats().usedBytes - before, y.storage.size);
  for (const tensor of [x, y]) tensor.dispose();
  parameters.dispose();
});

test("what a checkpointed function can't do is an error", async () => {
  const x = engine.tensor([1, 2], [2]);
  x.requiresGrad = true;
  const fails = (work: () => unknown, message: RegExp) =>
    assert.throws(
      () => engine.checkpoint(work as () => Tensor),
      (error: Error) => error instanceof TensorError && message.test(error.message),
    );
  fails(async () => multiply(x, 2), /checkpoint: .* must not be async/);
  fails(async () => multiply(x, await x.item()), /checkpoint: .* must not be async/);
  fails(() => {
    const y = multiply(x, 2);
    y.read();
    return y;
  }, /checkpoint: .* must not read/);
  fails(() => undefined, /checkpoint: .* must return a tensor/);
  assert.equal([...(await multiply(x, 3).read())], [3, 6], "reading works again afterwards");

  const streams = new RandomStreams(1);
  let draws = 0;
  const fickle = engine.checkpoint(() => {
    draws++;
    for (let i = 0; i < draws; i++) streams.stream();
    return multiply(x, 2);
  });
  assert.throws(
    () => backward(fickle, { grad: engine.tensor([1, 1], [2]) }),
    /drew 1 random streams at first, then 2/,
  );
});

test.run();
