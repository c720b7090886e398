// Grids: every kernel that finds its workgroup in a folded one is run in one by the op table, none has a workgroup too
// many, and indices are divided exactly.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase, testedCases } from "../cases/check.ts";
import { allKernels } from "../cases/kernels.ts";
import { defineKernel, Engine, type Kernel } from "../engine/index.ts";
import { divisions, divisorTypes, divisorValues } from "../kernels/lib/division.ts";
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

test("indices below 2^31 are divided by any divisor, exactly", async () => {
  const kernel = defineKernel({
    name: "divide",
    source: `@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  if (id < params.count) {
    let divided = byDivisor(n[id]);
    y[2u * id] = divided.x;
    y[2u * id + 1u] = divided.y;
  }
}`,
    includes: [divisions("divisor")],
    bindings: ["n: u32", "+y: u32"],
    params: { count: "u32", ...divisorTypes("divisor") },
  });
  const most = 2 ** 31 - 1;
  const nearPowers = Array.from({ length: 31 }, (_, bits) => [-1, 0, 1].map((step) => 2 ** bits + step));
  const divisors = [...nearPowers.flat(), 3 * 5 * 7, 577, 641, 10 ** 9, most - 1].filter(
    (d) => d > 0 && d <= most,
  );
  const engine = await Engine.create();
  const reads = divisors.map(async (d) => {
    const multiples = [1, 2, 3, Math.floor(most / d / 2), Math.floor(most / d)].flatMap((k) => [
      k * d - 1,
      k * d,
      k * d + 1,
    ]);
    const numbers = [0, most, most - 1, 123456789, ...multiples].filter((n) => n >= 0 && n <= most);
    const y = engine.empty([numbers.length, 2], "u32");
    engine.run(kernel, {
      bind: [engine.tensor(numbers, [numbers.length], "u32"), y],
      params: { count: numbers.length, ...divisorValues({ divisor: d }) },
      grid: 1,
    });
    const expected = numbers.flatMap((n) => [Math.floor(n / d), n % d]);
    assert.equal(Array.from(await y.read()), expected, `by ${d}`);
  });
  await Promise.all(reads);
  engine.dispose();
});

test.run();
