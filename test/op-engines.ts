// The engines that the op table runs on where there is one adapter, and the cases for each: with subgroups where the
// adapter has them and without; row kernels also with several subgroups a row, which only adapters of wide subgroups choose
// by themselves; and all of it in parts, as where everything takes the device long. What else no case would come to on a small machine, workgroups of 64 lanes and grids of more than GRID_X
// workgroups, a cut of the table comes to on an engine of that kind.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, runCase, testedCases } from "../cases/check.ts";
import { Engine, type EngineOptions, type Kernel } from "../engine/index.ts";

/** A test for each case on an engine, which `label` names. */
export function testCases(label: string, engine: Engine, cases: readonly OpCase[]): void {
  for (const opCase of cases) {
    const name = `${opCase.name} (${label})`;
    test(name, async () => {
      const result = await runCase(engine, opCase);
      if (result.skipped) console.log(`\nskipped: ${name} (${result.skipped})`);
      assert.equal(result.failures, []);
    });
  }
}

export interface OpEngine {
  label: string;
  options: EngineOptions;
  cases: readonly OpCase[];
}

const textsOf = ({ source, includes }: Kernel) => [
  source,
  ...includes.flatMap((include) => (typeof include === "string" ? include : Object.values(include))),
];

/** The texts of a kernel that find their workgroup in a folded grid. */
export const foldingTexts = (kernel: Kernel) => textsOf(kernel).filter((text) => text.includes("GRID_X"));

/** The engines on this machine's adapter, and the texts of kernels that the last of them runs in folded grids. */
export async function opEngines(): Promise<{ engines: OpEngine[]; folded: ReadonlySet<string> }> {
  const engine = await Engine.create();
  const { lanes, rowGroups } = engine;
  engine.dispose();
  const label = lanes.subgroups ? "subgroups" : "no subgroups here";
  const engines: OpEngine[] = [{ label, options: { poison: true }, cases: testedCases }];
  // What asks for something of the engine by itself is tested, or skipped, on the first.
  const rest = testedCases.filter(({ lacks }) => !lacks);
  if (lanes.subgroups) {
    const options = { poison: true, without: ["subgroups"] };
    engines.push({ label: "without subgroups", options, cases: await lanesCut(options, rest) });
  }
  if (rowGroups === 1) {
    const rows =
      /softmax|layernorm|normalize|sum|max|contrastive|recall|embedding|scatter|attention (head|len|no keys|shared|causal|added|drop|half)/i;
    const cases = rest.filter(({ name, bench }) => rows.test(name) && !bench);
    engines.push({ label: "wide rows", options: { poison: true, wideRows: true }, cases });
  }
  const small = rest.filter(({ bench }) => !bench);
  engines.push({ label: "in parts", options: { poison: true, longestSeconds: 1e-12 }, cases: small });
  const unusual = { poison: true, without: ["subgroups"], sharedLanes: 64, gridX: 2 };
  const { cases, folded } = await foldingCut(unusual, small);
  engines.push({ label: "64 lanes, folded grids", options: unusual, cases });
  return { engines, folded };
}

/** The cases that run other kernels than with subgroups, or texts that say something of lanes: the rest is the same as there. */
async function lanesCut(options: EngineOptions, cases: readonly OpCase[]) {
  const [usual, without] = [await Engine.create(), await Engine.create(options)];
  const ranBy = (engine: Engine, opCase: OpCase) => {
    const ran: Kernel[] = [];
    engine.run = (kernel) => void ran.push(kernel);
    recordCase(engine, opCase);
    return ran;
  };
  const names = (kernels: readonly Kernel[]) => kernels.map(({ name }) => name).join();
  const cut = cases.filter((opCase) => {
    const ran = ranBy(without, opCase);
    const ofLanes = ran.some((kernel) => textsOf(kernel).some((text) => /\b(LANES|WORKERS)\b/.test(text)));
    return ofLanes || names(ran) !== names(ranBy(usual, opCase));
  });
  for (const engine of [usual, without]) engine.dispose();
  return cut;
}

/** The first case for each text of a kernel that is run in a folded grid, and the embeddings, which count in lanes. */
async function foldingCut(options: EngineOptions, cases: readonly OpCase[]) {
  const engine = await Engine.create(options);
  let seen: Kernel[] = [];
  engine.run = (kernel, { grid }) => {
    if ((typeof grid === "number" ? engine.fold(grid) : grid)[1] > 1) seen.push(kernel);
  };
  const folded = new Set<string>();
  const cut = cases.filter((opCase) => {
    seen = [];
    recordCase(engine, opCase);
    const fresh = seen.flatMap(foldingTexts).filter((text) => !folded.has(text));
    for (const text of fresh) folded.add(text);
    return fresh.length > 0 || opCase.name.startsWith("embedding");
  });
  engine.dispose();
  return { cases: cut, folded };
}

/**
 * Tests the op table on the engines of some kinds. A process has few of them: llvmpipe maps memory for every pipeline that it
 * compiles, and Linux ends a process with a fault in the driver beyond 65,530 mappings.
 */
export async function testEngines(wanted: (label: string) => boolean): Promise<void> {
  const { engines: kinds } = await opEngines();
  for (const { label, options, cases } of kinds.filter(({ label }) => wanted(label))) {
    const engine = await Engine.create(options);
    test(`all pipelines compile (${label})`, async () => {
      for (const opCase of cases) {
        if (!opCase.bench) recordCase(engine, opCase);
      }
      await engine.idle();
      assert.is(engine.stats().usedBytes, 0, "a scope did not give its memory back");
    });
    testCases(label, engine, cases);
    test.after(() => engine.dispose());
  }
}
