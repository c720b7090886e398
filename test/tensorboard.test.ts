// TensorBoard's event files: every field of every step, read by a decoder of the test's own, and by TensorBoard itself where
// CASEMENT_PYTHON is an interpreter that has it.
import { execFile } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Metrics } from "../train/eval/metrics.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { folderStore } from "../train/run/disk.ts";
import { Journal } from "../train/run/journal.ts";
import { eventsHeader, scalarEvent, scalarsOf } from "../train/run/tensorboard.ts";
import { crc32c, readEvents } from "./events.ts";

const folder = mkdtempSync(join(tmpdir(), "casement-events-"));
test.after(() => rmSync(folder, { recursive: true }));

test("records are framed, summed and numbered as the formats say", () => {
  // The check value of CRC-32C, and the bytes of RFC 3720, B.4.
  assert.is(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assert.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  const scalars = { "train/loss": 0.1, "é/ü": -Infinity, nan: Number.NaN, "": 1e300, tiny: 1.5e-40 };
  for (const step of [0, 1, 127, 128, 300, 2 ** 31, 2 ** 40 + 5]) {
    const [version, start, event] = readEvents(
      Buffer.concat([eventsHeader(12.5), scalarEvent({ time: 1.7e9, step, scalars })]),
    );
    assert.equal([version!.version, version!.time, start!.session], ["brain.Event:2", 12.5, 1]);
    assert.is(event!.step, step);
    const rounded = Object.entries(scalars).map(([tag, value]): [string, number] => [
      tag,
      Math.fround(value),
    ]);
    assert.equal(event!.scalars, Object.fromEntries(rounded));
  }
  const bytes = scalarEvent({ time: 1, step: 2, scalars: { a: 3 } });
  for (const at of [0, 9, 14, bytes.length - 1]) {
    const broken = bytes.slice();
    broken[at]! ^= 4;
    let whole = true;
    try {
      readEvents(broken);
    } catch {
      whole = false;
    }
    assert.not(whole, `byte ${at}`);
  }
  assert.equal(scalarsOf("x", { a: 1, b: { c: 2, d: null, e: "3" }, f: [4, 5] }), {
    "x/a": 1,
    "x/b/c": 2,
    "x/f/0": 4,
    "x/f/1": 5,
  });
});

const record = (step: number, part: number): StepRecord => ({
  step,
  loss: part + 1 / step,
  forward: part + 1 / step,
  reverse: null,
  temperature: 0.07,
  learning_rate: 1e-4 * step,
  gradient_norm: step,
  samples_per_second: 100,
  seconds: step * 2,
});
const metrics: Metrics = {
  results: [],
  notes: [],
  splits: {
    vendor: {
      ...{ queries: 5, gallery: 9, chance_r10: 1, r1: 10, r5: 20, r10: 30, r50: 40 },
      pixels: { r1: 1, r5: 2, r10: 3, r50: 4 },
      kinds: {},
    },
  },
  ...{ seconds: 9, adapter: "none", steps: 6 },
};
const eventFiles = () => readdirSync(folder).filter((name) => name.includes("tfevents"));

test("a run that goes on says each step once, whatever a kill left", async () => {
  const journal = new Journal(folderStore(folder));
  await journal.open();
  for (let step = 1; step <= 5; step++) await journal.step(record(step, 0));
  await journal.evaluated({ ...metrics, steps: 5 });
  const [first] = eventFiles();
  // Half a line, and half an event.
  appendFileSync(join(folder, "metrics.jsonl"), '{"step":6,"lo');
  truncateSync(join(folder, first!), readFileSync(join(folder, first!)).length - 7);
  const resumed = new Journal(folderStore(folder));
  await resumed.open(3);
  for (let step = 4; step <= 6; step++) await resumed.step(record(step, 10));
  await resumed.evaluated(metrics);
  const names = eventFiles();
  assert.is(names.length, 1);
  assert.ok(names[0]! > first!, "a reader of the first file finds the next one behind it");
  const [version, start, ...events] = readEvents(readFileSync(join(folder, names[0]!)));
  assert.equal([version!.version, start!.session, start!.step], ["brain.Event:2", 1, 0]);
  assert.equal(
    await resumed.steps(),
    [1, 2, 3, 4, 5, 6].map((step) => record(step, step < 4 ? 0 : 10)),
  );
  const said = (await resumed.steps()).map(({ step, reverse: _, ...fields }) => {
    const scalars = Object.entries(fields).map(([name, value]): [string, number] => [
      `train/${name}`,
      Math.fround(value),
    ]);
    return [step, Object.fromEntries(scalars)];
  });
  assert.equal(
    events.slice(0, -1).map(({ step, scalars }) => [step, scalars]),
    said,
  );
  const last = events.at(-1)!;
  assert.is(last.step, 6);
  assert.equal([last.scalars["eval/vendor/r10"], last.scalars["eval/vendor/pixels/r50"]], [30, 4]);
  const times = events.map(({ time }) => time);
  assert.equal(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.ok(Math.abs(times[2]! - times[0]! - 4) < 1e-3, "earlier steps lie back by their seconds");
});

test("TensorBoard reads the same", async () => {
  const python = process.env.CASEMENT_PYTHON;
  const run = (code: string) => promisify(execFile)(python!, ["-c", code, folder]);
  if (
    !python ||
    !(await run("import tensorboard").then(
      () => true,
      () => false,
    ))
  )
    return console.log("\nskipped: TensorBoard (CASEMENT_PYTHON is no interpreter with tensorboard)");
  const { stdout } = await run(`
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))
`);
  const wanted: Record<string, [number, number][]> = {};
  for (const { step, scalars } of readEvents(readFileSync(join(folder, eventFiles()[0]!))))
    for (const [tag, value] of Object.entries(scalars)) wanted[tag] = [...(wanted[tag] ?? []), [step, value]];
  assert.equal(JSON.parse(stdout), wanted);
});

test.run();
