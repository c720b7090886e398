// Every case of the op table on the engines of op-engines.ts, against float64.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recordCase } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import { Engine } from "../engine/index.ts";
import { opEngines, testCases } from "./op-engines.ts";

const { engines: kinds } = await opEngines();
const engines = await Promise.all(
  kinds.map(async ({ options, ...kind }) => ({ ...kind, engine: await Engine.create(options) })),
);

test("names are unique", () => {
  assert.equal(new Set(allCases.map((opCase) => opCase.name)).size, allCases.length);
});

for (const { label, engine, cases } of engines) {
  test(`all pipelines compile (${label})`, async () => {
    for (const opCase of cases) {
      if (!opCase.bench) recordCase(engine, opCase);
    }
    await engine.idle();
    assert.is(engine.stats().usedBytes, 0, "a scope did not give its memory back");
  });
  testCases(label, engine, cases);
}

test.after(() => {
  for (const { engine } of engines) engine.dispose();
});

test.run();
