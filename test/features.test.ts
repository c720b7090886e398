// The op table in Node with each feature switched off that the engine asks for, and on plain WebGPU: no feature and the
// default limits. A case runs in such a home where any of its launches (the WGSL to the byte, parameters, grid, shapes)
// differs from those of all homes before it, of which test/ops.test.ts and test/ops-without-subgroups.test.ts run the first two, everything and no subgroups;
// the same launches on the same adapter give the same numbers. Immediates need no home, as no kernel has any.
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase, testedCases } from "../cases/check.ts";
import { wantedFeatures } from "../engine/gpu/device.ts";
import { composeWgsl, Engine, type EngineOptions, findAdapter } from "../engine/index.ts";
import { testCases } from "./op-engines.ts";

/** A digest of what an engine would launch for a case, empty where that is nothing; nothing is run. */
function launchesOf(engine: Engine, opCase: OpCase): string {
  const launches: string[] = [];
  engine.run = (kernel, { bind, params, grid, dtype = "f32", constants = {} }) => {
    launches.push(composeWgsl(kernel, dtype, constants, engine.lanes));
    launches.push(
      JSON.stringify([kernel.name, params, grid, bind.map((tensor) => `${tensor.dtype} ${tensor.shape}`)]),
    );
  };
  recordCase(engine, opCase);
  // The method of the class again.
  delete (engine as Partial<Engine>).run;
  const text = launches.join("\n");
  assert.not.match(text, /<immediate>/);
  return text && createHash("sha256").update(text).digest("hex");
}

/** Run in every home, so that each is seen to work. */
const always = [
  "linear bias+gelu+residual 70x72x40 f32",
  "softmax 7x577 f32",
  "layernorm residual 33x100 f32",
];

const { adapter, instance } = await findAdapter();
const plain = await adapter.requestDevice();
const homes: { label: string; without: string[]; options: EngineOptions }[] = [
  { label: "everything", without: [], options: {} },
  ...["subgroups", ...Object.keys(wantedFeatures).filter((name) => name !== "subgroups")].map((name) => ({
    label: `without ${name}`,
    without: [name],
    options: { without: [name] },
  })),
  { label: "plain WebGPU", without: Object.keys(wantedFeatures), options: { device: plain } },
];

const known = new Set<string>();
const engines: Engine[] = [];
for (const [at, { label, without, options }] of homes.entries()) {
  const engine = await Engine.create({ poison: true, ...options });
  engines.push(engine);
  const all = new Map(testedCases.map((opCase) => [opCase, launchesOf(engine, opCase)]));
  const cases = testedCases.filter(
    (opCase) => always.includes(opCase.name) || (at > 1 && all.get(opCase) && !known.has(all.get(opCase)!)),
  );
  const alike = [...all.values()].filter((launches) => launches && known.has(launches)).length;
  for (const launches of all.values()) known.add(launches);

  test(`${label}: ${cases.length} cases are run, ${alike} launch what an earlier home does`, async () => {
    for (const name of without) assert.not.ok(engine.device.features.has(name as GPUFeatureName), name);
    // Lanes are in every kernel's text: a comparison that finds those of other homes in this one compares nothing.
    if (at === 1 && engines[0]!.lanes.subgroups) assert.is(alike, 0);
    for (const opCase of cases) if (!opCase.bench) recordCase(engine, opCase);
    await engine.idle();
  });
  testCases(label, engine, cases);
}

test.after(() => {
  for (const engine of engines) engine.dispose();
  plain.destroy();
  assert.ok(instance, "held as long as its devices");
});

test.run();
