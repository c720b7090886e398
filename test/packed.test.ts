// Weights in 8 and 4 bits: what rounding loses, what products make of them, what a model of them answers, and what is refused.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, normal } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { feedForward, linear } from "../kernels/matmul/matmul.ts";
import { type Bits, canPack, packNumbers, packWeight, unpackNumbers } from "../kernels/matmul/packed.ts";
import { Case } from "../model/case.ts";
import { modelSchema } from "../model/config.ts";

const engine = await Engine.create({ poison: true });
test.after(() => engine.dispose());

const draw = (size: number, stream: number) =>
  Float32Array.from({ length: size }, (_, i) => normal({ key: 3, stream }, i));

test("every number comes back to half a step of its block, the largest exactly, whatever the magnitude", () => {
  for (const bits of [8, 4] as const) {
    const most = 2 ** (bits - 1) - 1;
    for (const magnitude of [1, 1e-30, 1e30, 3e-42]) {
      const values = draw(96, 1).map((value) => value * magnitude);
      const { words, scales } = packNumbers(values, bits);
      assert.is(words.length, (96 * bits) / 32);
      const back = unpackNumbers(words, scales, bits);
      for (let block = 0; block < 3; block++) {
        const mine = values.subarray(32 * block, 32 * block + 32);
        const largest = mine.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        for (const [i, value] of mine.entries()) {
          const error = Math.abs(back[32 * block + i]! - value);
          const step = Math.max(largest / most, 1.5e-45);
          assert.ok(
            // A scale that is no normal number is itself rounded.
            error <= step * 0.5001 + most * 7.1e-46,
            `int${bits} of ${magnitude}: ${value} became ${back[32 * block + i]}`,
          );
          if (Math.abs(value) === largest && magnitude > 1e-40) assert.ok(error < largest * 1e-6);
        }
      }
    }
    const zeros = packNumbers(new Float32Array(32), bits);
    assert.equal(unpackNumbers(zeros.words, zeros.scales, bits), new Float32Array(32));
  }
});

test("layers of packed weights are those of the numbers that these stand for", async () => {
  for (const bits of [8, 4] as const) {
    const [w1, w2] = [draw(64 * 32, 2), draw(32 * 64, 3)];
    const [p1, p2] = [packWeight(engine, w1, [64, 32], bits), packWeight(engine, w2, [32, 64], bits)];
    const plain = [p1, p2].map(async ({ words, scales, shape }) =>
      engine.tensor(unpackNumbers(await words.read(), await scales.read(), bits), [...shape]),
    );
    const [d1, d2] = (await Promise.all(plain)) as [typeof p1.words, typeof p1.words];
    const [x, b1, b2] = [
      engine.tensor(draw(7 * 32, 4), [7, 32]),
      engine.tensor(draw(64, 5), [64]),
      engine.tensor(draw(32, 6), [32]),
    ];
    const pairs = [
      [linear(x, p1, { bias: b1, gelu: true }), linear(x, d1, { bias: b1, gelu: true })],
      [
        feedForward(x, { weight: p1, bias: b1 }, { weight: p2, bias: b2 }, { residual: x }),
        feedForward(x, { weight: d1, bias: b1 }, { weight: d2, bias: b2 }, { residual: x }),
      ],
      [
        feedForward(x, { weight: d1, bias: b1 }, { weight: p2, bias: b2 }),
        feedForward(x, { weight: d1, bias: b1 }, { weight: d2, bias: b2 }),
      ],
    ] as const;
    for (const [packed, whole] of pairs) {
      const [got, wanted] = [await packed.read(), await whole.read()];
      for (let i = 0; i < wanted.length; i++)
        assert.ok(Math.abs(got[i]! - wanted[i]!) <= 1e-5 * (1 + Math.abs(wanted[i]!)), `${i}`);
    }
  }
});

test("there is no gradient through a packed weight, and sizes that don't fit are refused", () => {
  const packed = packWeight(engine, draw(4 * 32, 7), [4, 32], 8);
  const x = engine.tensor(draw(64, 8), [2, 32]);
  x.requiresGrad = true;
  assert.throws(() => backward(linear(x, packed)), /no gradient through a packed weight/);
  const bias = engine.tensor(draw(4, 9), [4]);
  const other = engine.tensor(draw(16, 10), [4, 4]);
  other.requiresGrad = true;
  assert.throws(
    () => feedForward(engine.tensor(draw(32, 8), [1, 32]), { weight: packed, bias }, { weight: other, bias }),
    /no gradient through a packed weight/,
  );
  assert.throws(() => linear(engine.tensor(draw(8, 1), [2, 4]), packed), /does not fit the weight/);
  for (const shape of [[4, 33], [3, 32], [4], [0, 32], [2, 2, 32]]) {
    assert.not(canPack(shape));
    assert.throws(
      () => packWeight(engine, new Float32Array(shape.reduce((a, b) => a * b)), shape, 4),
      /packWeight/,
    );
  }
  assert.throws(() => packWeight(engine, new Float32Array(128), [4, 32], 3 as Bits), /3 bits/);
  assert.throws(() => packWeight(engine, new Float32Array(5), [4, 32], 4), /5 values as \[4,32\]/);
});

test("a model of packed weights takes a fraction of the memory and answers nearly the same", async () => {
  const config = modelSchema.parse({
    vision: { imageSize: 32, patchSize: 8, width: 128, depth: 2, heads: 4 },
    text: { width: 128, depth: 2, heads: 4, intermediate: 512, maxPositions: 16, maxLength: 12, dropout: 0 },
  });
  const make = (bits: Bits | null) => {
    const model = new Case(engine, config, 50, { trainable: () => false, bits });
    model.parameters.initialize(4);
    return model;
  };
  const pixels = engine.tensor(draw(2 * 3 * 32 * 32, 11), [2, 3, 32, 32]);
  const ids = engine.tensor(
    Uint32Array.from({ length: 16 }, (_, i) => (i * 7) % 50),
    [2, 8],
    "u32",
  );
  const mask = engine.tensor(new Uint32Array(16).fill(1), [2, 8], "u32");
  const packed = packSource([1, 0], 2);
  const source = engine.tensor(packed, [packed.length], "u32");
  const answer = async (model: Case) => {
    const text = { ids, mask };
    const queries = engine.inference(() => {
      const tokens = model.encodeImages(pixels);
      return model.embedQueries(text, tokens, source, null);
    });
    return (await queries.read()) as Float32Array;
  };
  const whole = make(null);
  const wanted = await answer(whole);
  for (const [bits, least, share] of [
    [8, 0.9999, 0.3],
    [4, 0.98, 0.18],
  ] as const) {
    const model = make(bits);
    const cosine = (await answer(model)).reduce((sum, value, i) => sum + (value * wanted[i]!) / 2, 0);
    assert.ok(cosine > least && cosine < 1, `int${bits}: ${cosine}`);
    const ratio = model.parameters.bytes / whole.parameters.bytes;
    assert.ok(ratio < share, `${ratio}`);
    // What is read again is what the numbers stand for, and packs to itself.
    const name = "vision_model.encoder.layers.0.mlp.fc1.weight";
    const { read } = model.parameters.entries().find((entry) => entry.name === name)!;
    const values = await read();
    const again = packNumbers(values, bits);
    assert.equal(unpackNumbers(again.words, again.scales, bits), values);
    assert.throws(() => model.parameters.get(name), /packed; only linear layers read it/);
    model.dispose();
  }
});

test.run();
