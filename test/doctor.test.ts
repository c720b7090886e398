// What the doctor says of an adapter that lacks features, and that the engine does so.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AdapterReport } from "../cli/advice.mjs";
import { adapterLines } from "../cli/doctor.ts";
import { Engine, findAdapter } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { mean } from "../kernels/reduce/reduce.ts";

const report = (features: string[]): AdapterReport => ({
  vendor: "made up",
  architecture: "none",
  device: "",
  description: "A made-up adapter",
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
  subgroupMatrixConfigs: [],
  features,
  limits: {},
});
const lineOf = (features: string[], name: string) =>
  adapterLines(report(features)).find((line) => line.trim().startsWith(name));

test("a missing feature shows the fallback that is in force", () => {
  const fallbacks = {
    "shader-f16": /no: .*f32/,
    subgroups: /no: .*workgroup memory/,
    "timestamp-query": /no: .*wall clock/,
  };
  for (const [name, text] of Object.entries(fallbacks)) {
    assert.match(lineOf([], name)!, text);
    assert.match(lineOf([name], name)!, /yes/);
  }
});

test("the engine takes these fallbacks on a device without the features", async () => {
  const { adapter, instance } = await findAdapter();
  const device = await adapter.requestDevice();
  const engine = await Engine.create({ device, poison: true });
  assert.not(engine.lanes.subgroups);
  assert.not(engine.hasF16);
  assert.not(engine.hasTimestamps);
  const weight = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  weight.requiresGrad = true;
  backward(mean(linear(engine.tensor([1, 0, 2], [1, 3]), weight)));
  assert.equal([...(await weight.grad!.read())], [0.5, 0, 1, 0.5, 0, 1]);
  assert.throws(() => engine.empty([2], "f16"), /shader-f16/);
  let message = "";
  await engine
    .profile(() => {})
    .catch((error: Error) => {
      message = error.message;
    });
  assert.match(message, /timestamp-query/);
  engine.dispose();
  device.destroy();
  assert.ok(instance);
});

test.run();
