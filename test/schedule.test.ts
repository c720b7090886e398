// Learning rates: each form at its edges, and what stays where a run is made longer or shorter.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../train/config.ts";
import { learningRate } from "../train/loop/schedule.ts";
import { overrule } from "../train/overrule.ts";

const configOf = (training: object) =>
  parseConfig(
    {
      name: "rates",
      data: { kind: "emoji" },
      model: {
        vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
        text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16 },
        projection: 16,
      },
      training: { learningRate: 0.5, finalLearningRate: 0.125, warmup: 4, steps: 14, ...training },
    },
    "the test",
  );
const rates = (config: ReturnType<typeof configOf>, count = config.training.steps) =>
  Array.from({ length: count }, (_, step) => learningRate(config.training, step));
const near = (found: number, wanted: number) =>
  assert.ok(Math.abs(found - wanted) < 1e-12, `${found}, not ${wanted}`);

test("warm-up rises in equal steps, its last one is the peak", () => {
  for (const decay of ["cosine", "exponential", "constant"])
    assert.equal(rates(configOf({ decay })).slice(0, 4), [0.125, 0.25, 0.375, 0.5]);
  assert.is(rates(configOf({ warmup: 0 }))[0], 0.5);
});

test("decay goes from the peak to the final value at the last step, and stays there", () => {
  const cosine = rates(configOf({ decay: "cosine" }), 20);
  near(cosine[4]!, 0.5);
  // A third and two thirds of the way, of nine steps.
  near(cosine[7]!, 0.125 + 0.375 * 0.75);
  near(cosine[10]!, 0.125 + 0.375 * 0.25);
  for (const rate of cosine.slice(13)) near(rate, 0.125);
  const exponential = rates(configOf({ decay: "exponential" }), 20);
  near(exponential[4]!, 0.5);
  near(exponential[7]!, 0.5 * 0.25 ** (1 / 3));
  for (const rate of exponential.slice(13)) near(rate, 0.125);
  assert.equal(new Set(rates(configOf({ decay: "constant" }), 20).slice(4)), new Set([0.5]));
});

test("one step, and warm-up to the last but one, are schedules", () => {
  assert.equal(rates(configOf({ steps: 1, warmup: 0 })), [0.5]);
  assert.equal(rates(configOf({ steps: 5, warmup: 4 })), [0.125, 0.25, 0.375, 0.5, 0.5]);
});

test("every form at its edges: the peak behind warm-up, the end at the last step of decay, never up in between", () => {
  let tried = 0;
  for (const decay of ["cosine", "exponential", "constant"] as const) {
    for (const steps of [1, 2, 3, 10]) {
      for (const warmup of [0, 1, steps - 1]) {
        for (const decaySteps of [undefined, warmup + 1, warmup + 2, 2 * steps]) {
          if (warmup >= (decaySteps ?? steps)) continue;
          const config = configOf({ decay, steps, warmup, ...(decaySteps && { decaySteps }) });
          const end = decaySteps ?? steps;
          const all = rates(config, Math.max(steps, end) + 5);
          const what = JSON.stringify({ decay, steps, warmup, decaySteps });
          tried++;
          all.slice(0, warmup).forEach((rate, step) => {
            assert.ok(Math.abs(rate - (0.5 * (step + 1)) / warmup) < 1e-12, what);
          });
          assert.is(all[warmup], 0.5, what);
          // A decay of one step has no room to come down but behind it.
          const last = decay === "constant" || end === warmup + 1 ? 0.5 : 0.125;
          assert.ok(Math.abs(all[end - 1]! - last) < 1e-12, `${what}: ${all[end - 1]}`);
          for (const rate of all.slice(end)) near(rate, decay === "constant" ? 0.5 : 0.125);
          for (let i = warmup + 1; i < all.length; i++) assert.ok(all[i]! <= all[i - 1]!, what);
        }
      }
    }
  }
  assert.ok(tried > 80, `${tried}`);
  assert.is(rates(configOf({ finalLearningRate: 0 })).at(-1), 0);
  assert.throws(() => configOf({ finalLearningRate: 0, decay: "exponential" }), /never comes to/);
  assert.throws(() => configOf({ warmup: 14 }), /warmup must be shorter/);
  assert.throws(() => configOf({ decaySteps: 4 }), /warmup must be shorter/);
});

test("a run that goes on for longer, or shorter, keeps the rates of its steps", () => {
  const config = configOf({ decay: "cosine" });
  const longer = overrule(config, { steps: 30, begun: true });
  assert.equal(rates(longer).slice(0, 14), rates(config));
  for (const rate of rates(longer).slice(14)) near(rate, 0.125);
  const shorter = overrule(longer, { steps: 9, begun: true });
  assert.equal(rates(shorter), rates(config).slice(0, 9));
  assert.equal(rates(overrule(config, { steps: 2, begun: true })), [0.125, 0.25]);
  assert.equal(overrule(config, { steps: 14, begun: true }), config);
  // A fresh run's schedule is as long as the run.
  near(rates(overrule(config, { steps: 30 }))[29]!, 0.125);
  assert.ok(rates(overrule(config, { steps: 30 }))[14]! > 0.25);
  assert.is(overrule(config, { steps: 3 }).training.warmup, 2);
});

test.run();
