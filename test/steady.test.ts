// Ten thousand small training steps: GPU memory and heap stay flat, and nothing is compiled or allocated after warm-up.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, RandomStreams } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { contrastiveLoss } from "../kernels/contrastive/contrastive.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { Case } from "../model/case.ts";
import { modelSchema } from "../model/config.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const config = modelSchema.parse({
  vision: { imageSize: 8, patchSize: 4, width: 8, depth: 1, heads: 1 },
  text: { width: 8, depth: 1, heads: 1, intermediate: 16, maxPositions: 8, maxLength: 8 },
  projection: 8,
});

test("ten thousand steps in flat memory", async () => {
  const engine = await Engine.create();
  const model = new Case(engine, config, 20);
  model.parameters.initialize(1);
  const optimizer = new AdamW(engine, model.parameters.flats);
  const pixels = engine.tensor(
    Float32Array.from({ length: 4 * 3 * 64 }, (_, i) => Math.sin(i)),
    [4, 3, 8, 8],
  );
  const source = engine.tensor(packSource([0, 1, 2, 3], 4), [13], "u32");
  const step = (number: number) =>
    engine.scope(() => {
      model.parameters.clearGradients();
      const ids = engine.tensor(
        Uint32Array.from({ length: 12 }, (_, i) => (i * 7 + number) % 20),
        [4, 3],
        "u32",
      );
      const mask = engine.tensor(new Uint32Array(12).fill(1), [4, 3], "u32");
      const tokens = model.encodeImages(pixels);
      const streams = new RandomStreams(1, number);
      const queries = model.embedQueries({ ids, mask }, tokens, source, streams);
      const scores = matmul(queries, model.embedTargets(tokens), { transposeB: true });
      const goal = engine.tensor(Uint32Array.of(1, 2, 3, 0), [4], "u32");
      const loss = mean(contrastiveLoss(scores, model.temperature, goal));
      backward(loss);
      optimizer.advance(1e-4);
      optimizer.update({ maxNorm: 1 });
      return engine.view(loss, [1]);
    });
  const heap = () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const watch: { stats: ReturnType<Engine["stats"]>; heap: number }[] = [];
  for (let number = 0; number < 10_000; number++) {
    const loss = step(number);
    if (number % 100 === 99) {
      assert.ok(Number.isFinite(await loss.item()));
    }
    loss.dispose();
    if (number === 999 || number === 9_999) {
      await engine.idle();
      watch.push({ stats: engine.stats(), heap: heap() });
    }
  }
  const [early, late] = [watch[0]!, watch[1]!];
  assert.is(late.stats.pipelines, early.stats.pipelines, "no pipeline after warm-up");
  assert.is(late.stats.buffers, early.stats.buffers, "no buffer after warm-up");
  assert.is(late.stats.bindGroups, early.stats.bindGroups, "no bind group after warm-up");
  assert.is(late.stats.usedBytes, early.stats.usedBytes, "memory in use is the same");
  assert.ok(late.heap - early.heap < 4 * 2 ** 20, `the heap grew by ${late.heap - early.heap} bytes`);
  engine.dispose();
});

test.run();
