// Training on a device without optional features and with WebGPU's default limits, as the least adapter has them: no
// subgroups, no f16, no timestamps. The same steps come to the same losses as with everything, up to rounding.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DeviceError, Engine, findAdapter, uniform } from "../engine/index.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import type { TrainingSet } from "../train/data/dataset.ts";
import { inMemory } from "../train/data/memory.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { makeTrainer } from "../train/run/trainer.ts";

const [pictures, triplets, imageSize] = [10, 12, 32];

const config = parseConfig(
  {
    name: "bare",
    data: { kind: "emoji" },
    model: {
      vision: { imageSize, patchSize: 16, width: 24, depth: 2, heads: 3 },
      text: {
        width: 24,
        depth: 2,
        heads: 3,
        intermediate: 48,
        maxPositions: 16,
        maxLength: 12,
        dropout: 0.1,
      },
      projection: 16,
    },
    training: { steps: 4, pictures, triplets, warmup: 0, learningRate: 0.01, accumulation: 2 },
  },
  "the test",
);

const words = ["red", "blue", "a", "darker", "smile"];
const draw = (stream: number, i: number, below: number) => Math.floor(uniform({ key: 4, stream }, i) * below);

/** Random pictures and texts; the target is the picture after the reference. */
const randomSet: TrainingSet = {
  name: "random",
  pictures: inMemory({
    size: imageSize,
    names: Array.from({ length: 20 }, (_, i) => `${i}`),
    pixels: Uint8Array.from({ length: 20 * 3 * imageSize ** 2 }, (_, i) => draw(1, i, 256)),
  }),
  triplets: 20,
  texts: () => words,
  sampleBatch: ({ step }) => {
    const reference = Int32Array.from({ length: triplets }, (_, i) => draw(10 + step, i, pictures));
    return {
      pictures: Int32Array.from({ length: pictures }, (_, i) => (2 * i + step) % 20),
      reference,
      target: reference.map((id) => (id + 1) % pictures),
      text: Array.from(reference, (id) => `${words[id % 5]} ${words[id % 3]}`),
      kind: new Array<string>(triplets).fill("random"),
      ignore: new Uint8Array(triplets * pictures),
    };
  },
};

async function train(engine: Engine): Promise<StepRecord[]> {
  const tokenizer = new Tokenizer([...specialTokens, ...words]);
  const model = makeModel(engine, config, tokenizer.size);
  model.parameters.initialize(3);
  const trainer = makeTrainer(engine, model, tokenizer, randomSet, config);
  const records: StepRecord[] = [];
  await trainer.run(config.training.steps, (record) => {
    records.push(record);
  });
  trainer.dispose();
  model.dispose();
  return records;
}

test("a training step needs no optional feature and no more than the default limits", async () => {
  const { adapter, instance } = await findAdapter({});
  const device = await adapter.requestDevice();
  for (const feature of ["shader-f16", "subgroups", "timestamp-query"])
    assert.not.ok(device.features.has(feature), feature);
  const bare = await Engine.create({ device, poison: true });
  assert.not.ok(bare.lanes.subgroups);
  const full = await Engine.create({ poison: true });
  const [records, expected] = [await train(bare), await train(full)];
  assert.is(records.length, config.training.steps);
  records.forEach((record, i) => {
    for (const name of ["loss", "gradient_norm"] as const) {
      const error = Math.abs(record[name] / expected[i]![name] - 1);
      assert.ok(error < 1e-3, `${name} of step ${record.step}: ${record[name]}, not ${expected[i]![name]}`);
    }
  });
  assert.ok(records[0]!.loss !== records[3]!.loss, "it learns");

  assert.throws(
    () => bare.zeros([4], "f16"),
    (error: Error) => error instanceof DeviceError && /no f16/.test(error.message),
  );
  const refused = await bare.profile(() => {}).catch((error: Error) => error);
  assert.instance(refused, DeviceError);
  bare.dispose();
  full.dispose();
  device.destroy();
  assert.ok(instance !== undefined, "the instance outlives its device");
});

test.run();
