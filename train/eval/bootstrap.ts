// How sure a mean over queries is: the percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife",
// Annals of Statistics 7, 1979). Queries are drawn with replacement; systems that answered the same queries are compared by
// their differences on each, so that what makes a query easy for both falls out.
import { type RandomKey, randomBits } from "../../engine/index.ts";

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

export interface BootstrapOptions {
  /** Share of the drawn means that lie between `low` and `high`; 0.95 unless told. */
  level?: number;
  /** 10,000 unless told. */
  resamples?: number;
  /** Equal keys draw equal queries. */
  key?: RandomKey;
}

/**
 * The mean of a value over queries, with its interval. Of the differences of two systems query by query it is the paired
 * interval. Throws where there is no query.
 */
export function bootstrap(
  values: ArrayLike<number>,
  { level = 0.95, resamples = 10_000, key = { key: 1, stream: 0 } }: BootstrapOptions = {},
): Interval {
  const count = values.length;
  if (count === 0) throw new Error("bootstrap: there is no query to draw");
  const means = new Float64Array(resamples);
  for (let sample = 0, at = 0; sample < resamples; sample++) {
    let sum = 0;
    // 32 bits times the count, shifted down: uniform but for count / 2^32.
    for (let i = 0; i < count; i++) sum += values[Math.floor((randomBits(key, at++) * count) / 2 ** 32)]!;
    means[sample] = sum / count;
  }
  means.sort();
  const tail = (1 - level) / 2;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += values[i]!;
  return { mean: sum / count, low: quantile(means, tail), high: quantile(means, 1 - tail) };
}

/** The smallest of the sorted values that has at least this share of them at or below it. */
function quantile(sorted: Float64Array, share: number): number {
  const at = Math.ceil(share * sorted.length - 1e-9) - 1;
  return sorted[Math.min(sorted.length - 1, Math.max(0, at))]!;
}

/** Of each query, the share of runs that rank its answer within the first `k`. `runs`: ranks by run, the same queries. */
export function hits(runs: readonly ArrayLike<number>[], k: number): Float64Array {
  const [first] = runs;
  if (!first || runs.some(({ length }) => length !== first.length)) {
    throw new Error(`hits: runs of ${runs.map(({ length }) => length).join(", ")} queries can't be compared`);
  }
  return Float64Array.from(first, (_, query) => {
    const found = runs.filter((ranks) => ranks[query]! <= k).length;
    return found / runs.length;
  });
}
