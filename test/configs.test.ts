// The configurations that come with the repository: each is one, and what it says of its values' sources is of values that
// it has.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig, withSteps } from "../train/config.ts";

const folder = fileURLToPath(new URL("../train/configs", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));

for (const name of names) {
  test(`${name} is a configuration, and its sources are of values that it has`, () => {
    const value = read(name);
    const config = parseConfig(value, name);
    assert.is(`${config.name}.json`, name);
    for (const [path, source] of Object.entries(config.sources ?? {})) {
      const at = path.split(".").reduce((inner, key) => inner?.[key], value);
      assert.ok(at !== undefined, `${path} is not in ${name}`);
      assert.ok(source.length > 10);
    }
    // As a run writes it down, so that it goes on with the same.
    assert.equal(parseConfig(JSON.parse(JSON.stringify(config)), name), config);
  });
}

test("epochs of the published sizes are as many steps", () => {
  const steps = (name: string, triplets: number) =>
    withSteps(parseConfig(read(`${name}.json`), name), [triplets]).training.steps;
  assert.is(steps("cirr", 28_225), Math.round((6 * 28_225) / 2048));
  assert.is(steps("fashioniq", 18_000), Math.round((20 * 18_000) / 1024));
  assert.is(steps("lasco", 359_268), Math.round((10 * 359_268) / 3840));
});

test("of two data sets the last has the steps that are left", () => {
  const before = [{ data: { kind: "lasco" }, epochs: 2 }];
  const config = parseConfig({ ...read("cirr.json"), before }, "two");
  const { before: stages, training } = withSteps(config, [20_480, 4096]);
  assert.equal(
    stages.map(({ steps, epochs }) => [steps, epochs]),
    [[20, undefined]],
  );
  assert.is(training.steps, 20 + 12);
  const { epochs: _, ...few } = config.training;
  assert.throws(
    () => withSteps({ ...config, training: { ...few, steps: 20 } }, [20_480, 4096]),
    /leave none/,
  );
});

test.run();
