// The op table in headless Chromium: each case right against float64 there, and equal to Node within 1e-5.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCase, testedCases, thinOut } from "../cases/check.ts";
import { relativeError } from "../cases/compare.ts";
import { Engine } from "../engine/index.ts";
import { openPage } from "./browser/harness.ts";
import type { OpsPage } from "./browser/ops.ts";

declare const opsPage: OpsPage;

/** How far results of browser and Node may lie apart: f16 results are rounded after sums of another order. */
const apart = { f32: 1e-5, f16: 5e-3 };

const opened = await openPage("ops.ts");
const engine = await Engine.create({ poison: true });
if ("page" in opened) await opened.page.evaluate(() => opsPage.open());

for (const opCase of testedCases) {
  const title = `${opCase.name} (browser)`;
  test(title, async () => {
    if ("skipped" in opened) {
      console.log(`\nskipped: ${title} (${opened.skipped})`);
      return;
    }
    const there = await opened.page.evaluate((name) => opsPage.run(name), opCase.name);
    assert.equal(there.failures, []);
    if (there.skipped) {
      console.log(`\nskipped: ${title} (${there.skipped})`);
      return;
    }
    const here = thinOut(await runCase(engine, opCase));
    assert.equal(Object.keys(there.outputs), Object.keys(here.outputs));
    const half = opCase.inputs.some((input) => input.dtype === "f16");
    for (const [label, values] of Object.entries(here.outputs)) {
      const error = relativeError(there.outputs[label]!, Float64Array.from(values));
      assert.ok(error <= apart[half ? "f16" : "f32"], `${label}: ${error} apart from Node`);
    }
  });
}

test("the driver's check in a page", async () => {
  if ("skipped" in opened) {
    console.log(`\nskipped: the driver's check in a page (${opened.skipped})`);
    return;
  }
  const names = ["softmax 7x577 f32", "topk drawn indices 3x1000 k 10 f32"];
  const verdicts = await opened.page.evaluate((names) => opsPage.checkOps(names), names);
  assert.equal(
    verdicts.map(({ name, failures, skipped }) => ({ name, failures, skipped })),
    names.map((name) => ({ name, failures: [], skipped: null })),
  );
});

test.after(async () => {
  engine.dispose();
  if ("page" in opened) await opened.close();
});

test.run();
