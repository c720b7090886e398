// Grids: every kernel that finds its workgroup in a folded one is run in one by the op table, and none has a workgroup too
// many.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase, testedCases } from "../cases/check.ts";
import { allKernels } from "../cases/kernels.ts";
import { Engine, type Kernel } from "../engine/index.ts";
import { foldingTexts, opEngines } from "./op-engines.ts";

test("every kernel of the table that finds its workgroup in a folded grid has folded ones", async () => {
  const { folded } = await opEngines();
  // test/peak.test.ts folds its own.
  const others = /^peak/;
  const missing = allKernels.filter(
    (kernel) => !others.test(kernel.name) && foldingTexts(kernel).some((text) => !folded.has(text)),
  );
  assert.equal(
    missing.map(({ name }) => name),
    [],
  );
});

test("no linear grid has a workgroup too many", async () => {
  const engine = await Engine.create({ poison: true });
  const run = engine.run;
  /** For each kernel the first case that gives it several workgroups. */
  const firsts = new Map<Kernel, OpCase>();
  for (const opCase of testedCases.filter(({ bench, lacks }) => !bench && !lacks)) {
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
  engine.dispose();
  assert.ok(firsts.size > 30, `${firsts.size} kernels`);
  assert.equal(idle, []);
});

test.run();
