// Every case of the op table on the engines of op-engines.ts, against float64.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase } from "../cases/check.ts";
import { allKernels } from "../cases/kernels.ts";
import { allCases } from "../cases/table.ts";
import { Engine, type Kernel } from "../engine/index.ts";
import { foldingTexts, opEngines } from "./op-engines.ts";

const { engines: kinds, folded } = await opEngines();
const engines = await Promise.all(
  kinds.map(async ({ options, ...kind }) => ({ ...kind, engine: await Engine.create(options) })),
);

test("every kernel of the table that finds its workgroup in a folded grid has folded ones", () => {
  // test/optimizer.test.ts and test/peak.test.ts fold their own.
  const others = /^(adamw|peak)/;
  const missing = allKernels.filter(
    (kernel) => !others.test(kernel.name) && foldingTexts(kernel).some((text) => !folded.has(text)),
  );
  assert.equal(
    missing.map(({ name }) => name),
    [],
  );
});

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
  for (const opCase of cases) {
    const name = `${opCase.name} (${label})`;
    test(name, async () => {
      const result = await runCase(engine, opCase);
      if (result.skipped) console.log(`\nskipped: ${name} (${result.skipped})`);
      assert.equal(result.failures, []);
    });
  }
}

test("no linear grid has a workgroup too many", async () => {
  const { engine, cases } = engines[0]!;
  const run = engine.run;
  /** For each kernel the first case that gives it several workgroups. */
  const firsts = new Map<Kernel, OpCase>();
  for (const opCase of cases.filter(({ bench, lacks }) => !bench && !lacks)) {
    engine.run = (kernel, { grid }) => {
      if (typeof grid === "number" && grid > 1 && !firsts.has(kernel)) firsts.set(kernel, opCase);
    };
    recordCase(engine, opCase);
  }
  const idle: string[] = [];
  for (const [kernel, opCase] of firsts) {
    engine.run = (one, work) => {
      const { grid } = work;
      const short = one === kernel && typeof grid === "number" && grid > 1;
      run.call(engine, one, short ? { ...work, grid: grid - 1 } : work);
    };
    if ((await runCase(engine, opCase)).failures.length === 0) idle.push(`${kernel.name} in ${opCase.name}`);
  }
  engine.run = run;
  assert.ok(firsts.size > 30, `${firsts.size} kernels`);
  assert.equal(idle, []);
});

test.after(() => {
  for (const { engine } of engines) engine.dispose();
});

test.run();
