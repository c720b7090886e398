// The op table in another home of WebGPU than Node: each case right against float64 there, and equal to Node within 1e-5.
// What differs between homes (a page, Deno) is only how the cases get there; test/browser/ops.ts runs them in all.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type CaseResult, runCase, testedCases, thinOut } from "../cases/check.ts";
import { relativeError } from "../cases/compare.ts";
import { Engine } from "../engine/index.ts";

/** A home whose pipelines are compiled. */
export interface Home {
  /** Runs a case of the table by name, its outputs thinned out. */
  run(name: string): Promise<CaseResult>;
  close(): Promise<void>;
}

/**
 * How far results of another home and of Node may lie apart: f16 results are rounded after sums of another order,
 * and a case whose last digits are lost by its nature allows for them itself.
 */
const apart = { f32: 1e-5, f16: 5e-3 };

/** Declares the tests of a home, or of why it can't be had here. */
export async function testHome(
  label: string,
  home: Home | { skipped: string },
  cases = testedCases,
): Promise<void> {
  const engine = await Engine.create({ poison: true });
  for (const opCase of cases) {
    const title = `${opCase.name} (${label})`;
    test(title, async () => {
      const skip = (why: string) => console.log(`\nskipped: ${title} (${why})`);
      if ("skipped" in home) return skip(home.skipped);
      const there = await home.run(opCase.name);
      assert.equal(there.failures, []);
      if (there.skipped) return skip(there.skipped);
      const here = thinOut(await runCase(engine, opCase));
      assert.equal(Object.keys(there.outputs), Object.keys(here.outputs));
      const half = opCase.inputs.some((input) => input.dtype === "f16");
      for (const [label, values] of Object.entries(here.outputs)) {
        const error = relativeError(there.outputs[label]!, Float64Array.from(values));
        const allowed = Math.max(apart[half ? "f16" : "f32"], opCase.tolerance ?? 0);
        assert.ok(error <= allowed, `${label}: ${error} apart from Node`);
      }
    });
  }
  test.after(async () => {
    engine.dispose();
    if ("close" in home) await home.close();
  });
}
