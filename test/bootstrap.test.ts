// The bootstrap against distributions that can be worked out: the exact one of a resampled mean, by convolution, and the
// share of intervals that hold the truth.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../engine/index.ts";
import { bootstrap, hits } from "../train/eval/bootstrap.ts";

/** The exact quantile of the mean of as many draws from `values`, which are multiples of 1 / unit. */
function exactQuantile(values: number[], unit: number, share: number): number {
  let sums = new Map([[0, 1]]);
  for (let draw = 0; draw < values.length; draw++) {
    const next = new Map<number, number>();
    for (const [sum, probability] of sums)
      for (const value of values) {
        const key = sum + Math.round(value * unit);
        next.set(key, (next.get(key) ?? 0) + probability / values.length);
      }
    sums = next;
  }
  let below = 0;
  for (const [sum, probability] of [...sums].sort(([a], [b]) => a - b)) {
    below += probability;
    if (below >= share) return sum / unit / values.length;
  }
  throw new Error("a distribution that does not sum to 1");
}

test("an interval ends where the exact distribution of the resampled mean does", () => {
  // Hits of one run, of three, and differences of two systems.
  const lists: [number[], number][] = [
    [Array.from({ length: 40 }, (_, i) => Number(i % 4 === 0)), 1],
    [Array.from({ length: 31 }, (_, i) => ((i * 7) % 4) / 3), 3],
    [Array.from({ length: 36 }, (_, i) => (((i * 5) % 7) - 2) / 3), 3],
  ];
  for (const [values, unit] of lists) {
    for (const level of [0.95, 0.8]) {
      const { mean, low, high } = bootstrap(values, { level, resamples: 40_000 });
      assert.ok(Math.abs(mean - values.reduce((a, b) => a + b, 0) / values.length) < 1e-12);
      // One step of the mean: its probabilities are near the share in question.
      const step = 1 / unit / values.length + 1e-9;
      const tail = (1 - level) / 2;
      assert.ok(Math.abs(low - exactQuantile(values, unit, tail)) <= step, `${low}`);
      assert.ok(Math.abs(high - exactQuantile(values, unit, 1 - tail)) <= step, `${high}`);
    }
  }
});

test("19 of 20 intervals hold what the queries were drawn from", () => {
  const truth = 0.3;
  const trials = 300;
  let held = 0;
  for (let trial = 0; trial < trials; trial++) {
    const values = Array.from({ length: 200 }, (_, i) =>
      Number(uniform({ key: 77, stream: trial }, i) < truth),
    );
    const { low, high } = bootstrap(values, { resamples: 1000, key: { key: 3, stream: trial } });
    if (low <= truth && truth <= high) held++;
  }
  // 285 wanted; three deviations are 11.
  assert.ok(held >= 272 && held <= 298, `${held} of ${trials}`);
});

test("pairing counts: what two systems share falls out of their difference", () => {
  // Half of the queries are easy for both; of the rest the second finds a few more.
  const first = Float64Array.from({ length: 400 }, (_, i) => Number(i < 200));
  const second = Float64Array.from({ length: 400 }, (_, i) => Number(i < 212));
  const width = ({ low, high }: { low: number; high: number }) => high - low;
  const difference = bootstrap(second.map((value, i) => value - first[i]!));
  assert.ok(Math.abs(difference.mean - 0.03) < 1e-12);
  assert.ok(difference.low > 0, `${difference.low}`);
  assert.ok(width(difference) < width(bootstrap(first)) / 2);
  // The same queries in another order say nothing about each other.
  const apart = bootstrap(second.map((value, i) => value - first[399 - i]!));
  assert.ok(apart.low < 0 && width(apart) > width(bootstrap(first)));
});

test("equal keys draw equally, others do not; no query is an error", () => {
  const values = Array.from({ length: 50 }, (_, i) => Math.sin(i));
  const draw = (stream: number) => bootstrap(values, { resamples: 200, key: { key: 1, stream } });
  assert.equal(draw(0), draw(0));
  assert.not.equal(draw(0), draw(1));
  assert.throws(() => bootstrap([]), /no query/);
});

test("hits are counted over runs, rank k included", () => {
  const runs = [
    [1, 5, 6, 2],
    [2, 6, 5, 1],
    [1, 1, 9, 3],
  ];
  assert.equal([...hits(runs, 1)], [2 / 3, 1 / 3, 0, 1 / 3]);
  assert.equal([...hits(runs, 5)], [1, 2 / 3, 1 / 3, 1]);
  assert.throws(() => hits([[1], [1, 2]], 1), /1, 2 queries/);
  assert.throws(() => hits([], 1), /can't be compared/);
});

test.run();
