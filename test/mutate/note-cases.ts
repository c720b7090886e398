// Records every case of the op table on every engine of op-engines.ts, on reporting copies, and writes what each saw.
import { writeFileSync } from "node:fs";
import { recordCase } from "../../cases/check.ts";
import { Engine } from "../../engine/index.ts";
import { opEngines } from "../op-engines.ts";
import type { SeenCase } from "./seen.ts";

const notes = (
  globalThis as unknown as {
    casementNotes: { functions: Set<number>; written: boolean; filesOf(code: string): string[] };
  }
).casementNotes;

const { engines } = await opEngines();
const cases: SeenCase[] = [];
for (const { label, options, cases: theirs } of engines) {
  const engine = await Engine.create({ ...options, poison: false });
  let pipelines = new Map<string, string[]>();
  let work = 0;
  engine.run = (kernel, { bind, dtype = "f32", constants = {} }) => {
    const included = kernel.includes.map((include) =>
      typeof include === "string" ? include : engine.lanes.subgroups ? include.subgroups : include.shared,
    );
    const texts = [kernel.source, ...included].flatMap(notes.filesOf);
    pipelines.set(`${kernel.name},${dtype},${Object.entries(constants)}`, texts);
    for (const { size } of bind) work += size;
  };
  for (const opCase of theirs) {
    notes.functions.clear();
    pipelines = new Map();
    work = 0;
    recordCase(engine, opCase);
    if (pipelines.size === 0) continue;
    const { name, flops = 0 } = opCase;
    cases.push({
      ...{ engine: label, name },
      // About a millisecond each: kernels to compile, elements on the host, and operations here and there.
      cost: 100 * pipelines.size + work / 1e3 + flops / 1e5,
      functions: [...notes.functions],
      texts: [...new Set([...pipelines.values()].flat())],
      pipelines: Array.from(pipelines, ([key, texts]) => ({ key, texts })),
    });
  }
  engine.dispose();
}
notes.written = true;
const options = Object.fromEntries(engines.map((one) => [one.label, one.options]));
writeFileSync(`${process.env.CASEMENT_SEEN_OUT}/cases.json`, JSON.stringify({ cases, engines: options }));
