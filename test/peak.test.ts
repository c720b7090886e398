// The peak's kernels do the work that their figures count.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { relativeError } from "../cases/compare.ts";
import { Engine } from "../engine/index.ts";
import { measurePeak, runCopy, runFma } from "../train/profile/peak/peak.ts";

const engine = await Engine.create({ poison: true, gridX: 2 });

test("multiply-adds: every step is 8 rounds of x = 0.75 x + 0.25 in all four chains", async () => {
  const y = engine.zeros([4 * 64 * 3]);
  runFma(y, 2);
  const rounds = 16;
  // From x towards 1: 1 + 0.75^rounds (x - 1).
  const after = (x: number) => 1 + 0.75 ** rounds * (x - 1);
  const wanted = Float64Array.from({ length: y.size }, (_, i) => {
    const x = (i % 4) / 8 + (Math.floor(i / 4) % 64) / 64;
    return after(x) + after(x + 0.5) + after(x + 1) + after(x + 1.5);
  });
  assert.ok(relativeError(await y.read(), wanted) < 1e-6);
  y.dispose();
});

test("copy: every element, at sizes beside its workgroup's", async () => {
  for (const size of [4, 4092, 4096, 4100, 16384, 99996]) {
    const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
    const [x, y] = [engine.tensor(values, [size]), engine.empty([size])];
    runCopy(x, y);
    assert.equal([...(await y.read())], [...values]);
    x.dispose();
    y.dispose();
  }
});

test("peaks are finite and give their memory back", async () => {
  const before = engine.stats().usedBytes;
  const { gflops, gbps } = await measurePeak(engine);
  assert.ok(gflops > 0.1 && gflops < 1e7, `${gflops} GFLOP/s`);
  assert.ok(gbps > 0.1 && gbps < 1e5, `${gbps} GB/s`);
  assert.is(engine.stats().usedBytes, before);
});

test.after(() => engine.dispose());

test.run();
