// Thousands of small training steps: GPU memory and heap stay flat, and nothing is compiled or allocated after warm-up.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, RandomStreams, type Tensor } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { Case } from "../model/case.ts";
import { modelSchema } from "../model/config.ts";
import { contrastiveLoss } from "../train/objective/losses.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const config = modelSchema.parse({
  vision: { imageSize: 8, patchSize: 4, width: 8, depth: 1, heads: 1 },
  text: { width: 8, depth: 1, heads: 1, intermediate: 16, maxPositions: 8, maxLength: 8 },
  projection: 8,
});

const heap = () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Texts of one step, other ones in each. */
const idsOf = (number: number) => Uint32Array.from({ length: 12 }, (_, i) => (i * 7 + number) % 20);

/** A model small enough that a step is all overhead. */
async function prepare() {
  const engine = await Engine.create();
  const model = new Case(engine, config, 20);
  model.parameters.initialize(1);
  const optimizer = new AdamW(engine, model.parameters.flats);
  const streams = new RandomStreams(1);
  const pixels = engine.tensor(
    Float32Array.from({ length: 4 * 3 * 64 }, (_, i) => Math.sin(i)),
    [4, 3, 8, 8],
  );
  const source = engine.tensor(packSource([0, 1, 2, 3], 4), [13], "u32");
  const record = (ids: Tensor) => {
    model.clampTemperature();
    model.parameters.clearGradients();
    const mask = engine.tensor(new Uint32Array(12).fill(1), [4, 3], "u32");
    const tokens = model.encodeImages(pixels);
    const queries = model.embedQueries({ ids, mask }, tokens, source, streams);
    const scores = matmul(queries, model.embedTargets(tokens), { transposeB: true });
    const goal = engine.tensor(Uint32Array.of(1, 2, 3, 0), [4], "u32");
    const loss = mean(contrastiveLoss(scores, model.temperature, goal));
    backward(loss);
    optimizer.update({ maxNorm: 1 });
    return loss;
  };
  const advance = (number: number) => {
    streams.seek(number);
    optimizer.advance(1e-4);
  };
  return { engine, record, advance };
}

/** Runs steps, each of which gives its loss, and holds the end against a time after warm-up. */
async function watch(
  engine: Engine,
  steps: number,
  step: (number: number) => Promise<number> | null,
): Promise<void> {
  const seen: { stats: ReturnType<Engine["stats"]>; heap: number }[] = [];
  for (let number = 0; number < steps; number++) {
    const loss = step(number);
    if (loss) assert.ok(Number.isFinite(await loss));
    if (number === 999 || number === steps - 1) {
      await engine.idle();
      seen.push({ stats: engine.stats(), heap: heap() });
    }
  }
  const [early, late] = [seen[0]!, seen[1]!];
  for (const count of ["pipelines", "buffers", "bindGroups", "usedBytes", "freeBytes"] as const)
    assert.is(late.stats[count], early.stats[count], `${count} after warm-up`);
  const grown = late.heap - early.heap;
  assert.ok(grown < 4 * 2 ** 20, `the heap grew by ${grown} bytes`);
}

const isRead = (number: number) => number % 100 === 99;

test("ten thousand replayed steps in flat memory", async () => {
  const { engine, record, advance } = await prepare();
  const ids = engine.tensor(idsOf(0), [4, 3], "u32");
  const program = await engine.capture(() => record(ids), { ids });
  await watch(engine, 10_000, (number) => {
    advance(number);
    program.run({ ids: idsOf(number) });
    return isRead(number) ? program.outputs.item() : null;
  });
  engine.dispose();
});

test("three thousand eager steps in flat memory", async () => {
  const { engine, record, advance } = await prepare();
  await watch(engine, 3_000, (number) => {
    advance(number);
    const loss = engine.scope(() => record(engine.tensor(idsOf(number), [4, 3], "u32")));
    const value = isRead(number) ? loss.item() : null;
    loss.dispose();
    return value;
  });
  engine.dispose();
});

test.run();
