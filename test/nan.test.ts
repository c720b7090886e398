// A NaN goes where float64 would have it: no op makes an ordinary number of one, and none reaches what it has nothing to
// do with. Inputs have a NaN whose sign bit is set, too, which orders bits the other way.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type HostArray, type RandomKey, type Tensor } from "../engine/index.ts";
import * as ops from "../kernels/index.ts";
import { contrastiveLoss, recallLoss } from "../train/objective/losses.ts";

const engine = await Engine.create({ poison: true });
const engines: [string, Engine][] = [["subgroups", engine]];
if (engine.lanes.subgroups)
  engines.push(["no subgroups", await Engine.create({ poison: true, without: ["subgroups"] })]);

/** Numbers that no two ops take alike, from -3 to 3. */
const draw = (size: number) => Float32Array.from({ length: size }, (_, i) => 3 * Math.sin(1.7 * i + 1));

/** A tensor of such numbers, with NaN at some places; f16 where told. */
function tensor(engine: Engine, shape: number[], nans: readonly number[] = [], dtype: "f32" | "f16" = "f32") {
  const values = draw(shape.reduce((a, b) => a * b, 1));
  const bits = new Uint32Array(values.buffer);
  nans.forEach((at, i) => {
    bits[at] = i % 2 === 0 ? 0x7fc00000 : 0xffc00000;
  });
  return engine.tensor(values, shape, dtype);
}

const places = (values: HostArray) => Array.from(values.keys()).filter((i) => Number.isNaN(values[i]));

async function wherever(result: Tensor): Promise<number[]> {
  const values = await result.read();
  result.dispose();
  return places(values);
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

interface Case {
  run(engine: Engine): Tensor;
  nans: number[];
}

const { exp, sigmoid, tanh, relu, gelu, square, reciprocal, neg, expm1, log1p, rsqrt, abs, sign } = ops;
const { floor, ceil, round, sin, cos, erf, softplus, silu, leakyRelu, elu, pow, clamp } = ops;
const { minimum, maximum, atan2, tan, atan, sinh, cosh, asinh, mish } = ops;
const unary: Record<string, (x: Tensor) => Tensor> = {
  ...{ exp, sigmoid, tanh, relu, gelu, square, reciprocal, neg, expm1, abs, sign, floor, ceil, round },
  ...{ tan, atan, sinh, cosh, asinh, mish },
  // Of numbers outside of [-1, 1], and below 1, these are.
  asin: (x) => ops.asin(ops.scale(x, 0.25)),
  acos: (x) => ops.acos(ops.scale(x, 0.25)),
  atanh: (x) => ops.atanh(ops.scale(x, 0.25)),
  acosh: (x) => ops.acosh(ops.addScalar(x, 5)),
  ...{ sin, cos, erf, softplus, silu, leakyRelu, elu },
  // Of negative numbers these are NaN by themselves.
  log1p: (x) => log1p(square(x)),
  rsqrt: (x) => rsqrt(square(x)),
  "pow 3": (x) => pow(x, 3),
  clamp: (x) => clamp(x, -1, 1),
  "minimum with a number": (x) => minimum(x, 1),
  "maximum with a number": (x) => maximum(x, 1),
};
const binary: Record<string, (a: Tensor, b: Tensor) => Tensor> = {
  ...{ add: ops.add, minimum, maximum, atan2, squaredDifference: ops.squaredDifference },
};
const key: RandomKey = { key: 5, stream: 1 };
/** Rows of both widths, aligned and not. */
const lengths = [8, 37, 1028];

const cases: Record<string, Case> = {
  ...Object.fromEntries(
    Object.entries(unary).flatMap(([name, op]) =>
      (["f32", "f16"] as const).map((dtype): [string, Case] => [
        `${name} ${dtype}`,
        { run: (engine) => op(tensor(engine, [3, 5], [4, 11], dtype)), nans: [4, 11] },
      ]),
    ),
  ),
  ...Object.fromEntries(
    Object.entries(binary).map(([name, op]): [string, Case] => [
      name,
      {
        run: (engine) => op(tensor(engine, [3, 5], [4]), tensor(engine, [5], [1])),
        nans: [1, 4, 6, 11],
      },
    ]),
  ),
  "where, of what is chosen": {
    run: (engine) =>
      ops.where(
        engine.tensor([1, 0, 1], [3, 1], "u32"),
        tensor(engine, [3, 5], [1, 6]),
        tensor(engine, [5], [3]),
      ),
    nans: [1, 8],
  },
  "clamp in place": {
    run(engine) {
      const x = tensor(engine, [9], [2, 6]);
      ops.clampInPlace(x, -1, 1);
      return x;
    },
    nans: [2, 6],
  },
  ...Object.fromEntries(
    lengths.flatMap((length) => {
      const input = (engine: Engine) => tensor(engine, [5, length], [length + 3, 3 * length + 7]);
      const rows = [...range(length, 2 * length), ...range(3 * length, 4 * length)];
      const whole = { softmax: ops.softmax, logSoftmax: ops.logSoftmax, normalize: ops.normalize };
      const each = {
        sum: (x: Tensor) => ops.sum(x, 1),
        max: (x: Tensor) => ops.max(x, 1),
        mean: (x: Tensor) => ops.mean(x, 1),
      };
      const columns = {
        "columns' sum": (x: Tensor) => ops.sum(x, 0),
        "columns' max": (x: Tensor) => ops.max(x, 0),
        "columns' logSumExp": (x: Tensor) => ops.logSumExp(x, 0),
      };
      const list: [string, Case][] = [];
      for (const [name, op] of Object.entries(whole))
        list.push([`${name} of ${length}`, { run: (engine) => op(input(engine)), nans: rows }]);
      for (const [name, op] of Object.entries(each))
        list.push([`${name} of ${length}`, { run: (engine) => op(input(engine)), nans: [1, 3] }]);
      const down = { run: (engine: Engine) => ops.softmax(input(engine), 0) };
      const both = range(0, 5).flatMap((row) => [row * length + 3, row * length + 7]);
      list.push([`columns' softmax of ${length}`, { ...down, nans: both }]);
      for (const [name, op] of Object.entries(columns))
        list.push([`${name} of ${length}`, { run: (engine) => op(input(engine)), nans: [3, 7] }]);
      list.push([
        `layernorm of ${length}`,
        {
          run: (engine) => ops.layernorm(input(engine), tensor(engine, [length]), tensor(engine, [length])),
          nans: rows,
        },
      ]);
      return list;
    }),
  ),
  "max of all in two stages": {
    run: (engine) => ops.reshape(ops.max(tensor(engine, [1, 50001], [40000]), 1), [1]),
    nans: [0],
  },
  dropout: {
    run: (engine) => ops.dropout(tensor(engine, [64], range(0, 64)), 0.5, key),
    nans: range(0, 64),
  },
  matmul: {
    run: (engine) => ops.matmul(tensor(engine, [4, 9], [10]), tensor(engine, [9, 6])),
    nans: range(6, 12),
  },
  "attention, a query": {
    // Columns q | k | v of two heads of 4: a NaN in the first head's query of token 5.
    run: (engine) => ops.selfAttention(tensor(engine, [1, 11, 24], [5 * 24 + 2]), { heads: 2 }),
    nans: range(5 * 8, 5 * 8 + 4),
  },
  "attention, a key": {
    run: (engine) => ops.selfAttention(tensor(engine, [1, 11, 24], [5 * 24 + 8 + 2]), { heads: 2 }),
    nans: range(0, 88).filter((i) => i % 8 < 4),
  },
  "attention, a key that nobody sees": {
    run: (engine) =>
      ops.selfAttention(tensor(engine, [1, 11, 24], [5 * 24 + 8 + 2]), {
        heads: 2,
        mask: engine.tensor(
          range(0, 11).map((i) => Number(i !== 5)),
          [1, 11],
          "u32",
        ),
      }),
    nans: [],
  },
  "attention to a row that isn't there": {
    run(engine) {
      const source = ops.packSource([1, 0, 1], 2);
      source[2] = 2;
      return ops.crossAttention(tensor(engine, [3, 2, 4]), tensor(engine, [2, 5, 8]), {
        heads: 1,
        source: engine.tensor(source, [source.length], "u32"),
      });
    },
    nans: range(16, 24),
  },
  "contrastive loss, a similarity": {
    run: (engine) =>
      contrastiveLoss(
        tensor(engine, [3, 7], [9]),
        engine.tensor([0.1], [1]),
        engine.tensor([0, 1, 2], [3], "u32"),
      ),
    nans: [1],
  },
  "contrastive loss, a target": {
    run: (engine) =>
      contrastiveLoss(
        tensor(engine, [3, 7]),
        engine.tensor([0.1], [1]),
        engine.tensor([0, 7, 2], [3], "u32"),
      ),
    nans: [1],
  },
  "recall loss, a similarity": {
    run: (engine) => recallLoss(tensor(engine, [3, 7], [9]), engine.tensor([0, 1, 2], [3], "u32")),
    nans: [1],
  },
  "recall loss, a target": {
    run: (engine) => recallLoss(tensor(engine, [3, 7]), engine.tensor([0, 7, 2], [3], "u32")),
    nans: [1],
  },
  ...Object.fromEntries(
    [8, 5].map((width): [string, Case] => [
      `embedding of ${width}`,
      {
        run: (engine) => ops.embedding(tensor(engine, [4, width]), engine.tensor([3, 4, 0], [3], "u32")),
        nans: range(width, 2 * width),
      },
    ]),
  ),
};

for (const [label, engine] of engines) {
  for (const [name, { run, nans }] of Object.entries(cases)) {
    test(`${name} (${label})`, async () => {
      if (name.endsWith("f16") && !engine.hasF16) {
        console.log(`\nskipped: ${name} (the adapter has no f16)`);
        return;
      }
      assert.equal(await wherever(engine.inference(() => run(engine))), nans);
    });
  }

  test(`gradients (${label})`, async () => {
    const gradient = async (x: Tensor, op: (x: Tensor) => Tensor) => {
      x.requiresGrad = true;
      engine.scope(() => {
        const y = op(x);
        ops.backward(y, {
          grad: engine.tensor(
            draw(y.size).map((value) => 4 + value),
            y.shape,
          ),
        });
      });
      const values = await x.grad!.read();
      ops.clearGrad([x]);
      x.dispose();
      return values;
    };
    // All of it to the first NaN, as to the first of equal maxima.
    const ofMax = await gradient(tensor(engine, [2, 6], [8, 10]), (x) => ops.max(x, 1));
    assert.equal(
      Array.from(ofMax.keys()).filter((i) => i > 5 && ofMax[i] !== 0),
      [8],
    );
    const ofNormalize = await gradient(tensor(engine, [3, 6], [8]), (x) => ops.normalize(x));
    assert.equal(places(ofNormalize), range(6, 12));
    const ofAttention = await gradient(tensor(engine, [1, 6, 12], [2 * 12 + 1]), (x) =>
      ops.selfAttention(x, { heads: 1 }),
    );
    // Query 2 alone is wrong, and with it the gradients of all keys and values.
    assert.equal(
      places(ofAttention),
      range(0, 72).filter((i) => i % 12 >= 4 || Math.floor(i / 12) === 2),
    );
    const temperature = engine.tensor([0.5], [1]);
    for (const wrong of [7, 9, 2 ** 32 - 1]) {
      const goals = engine.tensor([0, wrong, 2], [3], "u32");
      for (const loss of [
        (x: Tensor) => recallLoss(x, goals),
        (x: Tensor) => contrastiveLoss(x, temperature, goals),
      ]) {
        const found = await gradient(tensor(engine, [3, 7]), loss);
        assert.equal(places(found), range(7, 14), `goal ${wrong}: no other row is written`);
      }
    }
  });
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
/** What formulas go wrong at. */
const special = [0, -0, 1, -1, 0.5, -0.5, 2, -2.5, 3, -3, 1e30, -1e30, infinity, -infinity, nan, nan];
/** Numbers as a tensor, the last of the special ones as a NaN whose sign bit is set. */
function withSign(engine: Engine, values: readonly number[], isLast: (i: number) => boolean) {
  const floats = Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer);
  for (const i of bits.keys()) if (isLast(i)) bits[i] = 0xffc00000;
  return engine.tensor(floats, [floats.length]);
}
const same = (a: HostArray, b: readonly number[]) =>
  b.flatMap((value, i) => (Object.is(a[i], Math.fround(value)) ? [] : [`${i}: ${a[i]}, not ${value}`]));

/** As C has it where JavaScript doesn't. */
const power = (a: number, b: number) => (a === 1 || (a === -1 && Math.abs(b) === infinity) ? 1 : a ** b);
const share = (first: boolean, tie: boolean) => (tie ? 0.5 : Number(first));
const last = special.length - 1;
const pairs = special.flatMap((a) => special.map((b): [number, number] => [a, b]));
const left = pairs.map(([a]) => a);
const right = pairs.map(([, b]) => b);
const ofPairs: Record<string, [(a: Tensor, b: Tensor) => Tensor, (a: number, b: number) => number]> = {
  minimum: [minimum, Math.min],
  maximum: [maximum, Math.max],
  less: [ops.less, (a, b) => Number(a < b)],
  lessEqual: [ops.lessEqual, (a, b) => Number(a <= b)],
  greater: [ops.greater, (a, b) => Number(a > b)],
  greaterEqual: [ops.greaterEqual, (a, b) => Number(a >= b)],
  equal: [ops.equal, (a, b) => Number(a === b)],
  notEqual: [ops.notEqual, (a, b) => Number(a !== b)],
};
/** Of what C says a whole number, zero, infinity or NaN. */
const exactly: Record<string, [(x: Tensor) => Tensor, (x: number) => number]> = {
  abs: [abs, Math.abs],
  sign: [sign, Math.sign],
  floor: [floor, Math.floor],
  ceil: [ceil, Math.ceil],
  relu: [relu, (x) => (x > 0 || Number.isNaN(x) ? x : 0)],
  clamp: [(x) => clamp(x, -1, 1), (x) => Math.min(Math.max(x, -1), 1)],
  "clamp below": [(x) => clamp(x, undefined, 0), (x) => Math.min(x, 0)],
  "minimum with a number": [(x) => minimum(x, 0.5), (x) => Math.min(x, 0.5)],
};

for (const [label, engine] of engines) {
  const run = async (work: () => Tensor) => {
    const y = engine.inference(work);
    const values = await y.read();
    y.dispose();
    return values;
  };
  const inputs = () =>
    [
      withSign(engine, left, (i) => i >= last * special.length),
      withSign(engine, right, (i) => i % special.length === last),
    ] as const;

  for (const [name, [op, value]] of Object.entries(ofPairs)) {
    test(`${name} of zeros, infinities and NaN (${label})`, async () => {
      const values = await run(() => op(...inputs()));
      assert.equal(
        same(
          values,
          pairs.map(([a, b]) => value(a, b)),
        ),
        [],
      );
    });
  }
  for (const [name, [op, value]] of Object.entries(exactly)) {
    test(`${name} of zeros, infinities and NaN (${label})`, async () => {
      const values = await run(() => op(withSign(engine, special, (i) => i === last)));
      assert.equal(same(values, special.map(value)), []);
    });
  }

  for (const [dtype, low, high] of [
    ["u32", 0, 2 ** 32 - 1],
    ["i32", -(2 ** 31), 2 ** 31 - 1],
  ] as const) {
    test(`cast to ${dtype} of zeros, infinities and NaN (${label})`, async () => {
      const values = await run(() =>
        ops.cast(
          withSign(engine, special, (i) => i === last),
          dtype,
        ),
      );
      const wanted = special.map((x) => Math.min(Math.max(Math.trunc(x) || 0, low), high));
      assert.equal([...values], wanted);
    });
  }

  for (const [name, op, value] of [
    ["pow", pow, power],
    ["atan2", atan2, Math.atan2],
  ] as const) {
    test(`${name} of zeros, infinities and NaN (${label})`, async () => {
      const values = await run(() => op(...inputs()));
      const wrong = pairs.flatMap(([a, b], i) => {
        const wanted = Math.fround(value(a, b));
        // A device may take what is below f32's ordinary numbers for zero.
        const near =
          Number.isFinite(wanted) && Math.abs(values[i]! - wanted) <= 1e-5 * Math.abs(wanted) + 2 ** -126;
        const sign = wanted !== 0 || Object.is(values[i], wanted);
        return Object.is(values[i], wanted) || (near && sign)
          ? []
          : [`${a}, ${b}: ${values[i]}, not ${wanted}`];
      });
      assert.equal(wrong, []);
    });
  }

  test(`gradients at ties, zeros and NaN (${label})`, async () => {
    const gradients = async (op: (a: Tensor, b: Tensor) => Tensor) => {
      const [a, b] = inputs();
      a.requiresGrad = b.requiresGrad = true;
      engine.scope(() => {
        const y = op(a, b);
        ops.backward(y, { grad: engine.tensor(new Float32Array(y.size).fill(1), y.shape) });
      });
      const values = [await a.grad!.read(), await b.grad!.read()] as const;
      ops.clearGrad([a, b]);
      a.dispose();
      b.dispose();
      return values;
    };
    const whole = (a: number, b: number) => Number.isNaN(a) || Number.isNaN(b);
    const [ofLess] = await gradients(minimum);
    assert.equal(
      same(
        ofLess,
        pairs.map(([a, b]) => share(a < b || whole(a, b), a === b)),
      ),
      [],
    );
    const [, ofMore] = await gradients(maximum);
    assert.equal(
      same(
        ofMore,
        pairs.map(([a, b]) => share(b > a || whole(a, b), a === b)),
      ),
      [],
    );
    const [ofBase, ofExponent] = await gradients(pow);
    pairs.forEach(([a, b], i) => {
      if (b === 0) assert.is(ofBase[i], 0, `pow by its base at ${a}, ${b}`);
      if (a === 0 && b >= 0) assert.is(ofExponent[i], 0, `pow by its exponent at ${a}, ${b}`);
      if (a < 0 && b === 2)
        assert.is(places([ofExponent[i]!] as unknown as HostArray).length, 1, `${a}, ${b}`);
    });
  });
}

test("hosts are told", () => {
  const q = engine.zeros([2, 1, 4]);
  const kv = engine.zeros([3, 1, 8]);
  for (const source of [
    [0, 3],
    [0, -1],
    [0.5, 1],
  ])
    assert.throws(() => ops.packSource(source, 3), /source\[\d\] is/);
  assert.throws(() => ops.crossAttention(q, kv, { heads: 1, source: Uint32Array.of(0, 3) }), /kv has 3 rows/);
});

test.after(() => {
  for (const [, engine] of engines) engine.dispose();
});

test.run();
