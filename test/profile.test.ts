// The profile of a step: its figures add up, its files are what their readers take, and an adapter without timestamps
// gets one as well.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { profileTable } from "../cli/tables.ts";
import { Engine, findAdapter, type LaunchWork, type ReplayCommand } from "../engine/index.ts";
import { parseConfig } from "../train/config.ts";
import { profile, profileFiles } from "../train/profile/index.ts";
import {
  kernelRows,
  millisecondsOf,
  rowsBy,
  type Span,
  type StepProfile,
  shapeRows,
} from "../train/profile/measure.ts";
import { rooflinePage } from "../train/profile/roofline.ts";
import { besideChain, scheduleOf } from "../train/profile/schedule.ts";
import { chromeTrace } from "../train/profile/trace.ts";
import { runCommand } from "./command.ts";

const dir = await mkdtemp(join(tmpdir(), "casement-profile-"));
const config = {
  name: "micro",
  data: { kind: "emoji" },
  model: {
    vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16, dropout: 0.1 },
    projection: 16,
  },
  training: { steps: 6, pictures: 8, triplets: 12, warmup: 2 },
};
const file = join(dir, "micro.json");
await writeFile(file, JSON.stringify(config));

function launch(kernel: string, flops: number, bytes: number): LaunchWork {
  const bound = { name: "x", shape: [bytes / 4], dtype: "f32" as const, bytes, repeated: false };
  return { kernel, params: {}, constants: { ON: true }, grid: [1, 2, 3], bindings: [bound], flops, bytes };
}

const span = (begin: number, end: number, ...launches: LaunchWork[]): Span => ({
  ...{ kernel: launches[0]!.kernel, begin, end, launches },
});

const command = (launch: number | null, results: number[], places: number[] = []): ReplayCommand => ({
  ...{ name: launch === null ? "clear" : "one", launch, barrier: true, results, places },
});

/** At 100 GFLOP/s and 10 GB/s, ten operations a byte divide what arithmetic bounds from what memory does. */
const madeUp: StepProfile = {
  adapter: "Made-up <adapter>",
  peak: { gflops: 100, gbps: 10 },
  timing: "timestamps",
  dispatches: 5,
  stepMilliseconds: 8,
  hostMicroseconds: 5,
  memory: { planned: 1e6, arenas: 2, least: 9e5, naive: 3e6 },
  waits: {
    ...{ commands: 6, barriers: 6, needed: 2, depth: 3, depthOfResults: 2 },
    // The sum needs the first product by way of a clear, the copy the second and the sum.
    replay: [
      ...[command(0, []), command(1, [0]), command(null, [], [0]), command(2, [2]), command(3, [1], [3])],
      command(4, []),
    ],
  },
  spans: [
    span(0, 2, launch("product", 80e6, 4e6)),
    span(2, 5, launch("product", 160e6, 4e6)),
    span(5.5, 6.5, launch("sum", 2e6, 8e6)),
    span(6.5, 7, launch("copy", 0, 1e6)),
    span(7, 7, launch("tiny", 4, 16)),
  ],
};

test("rates, what bounds them and shares of that peak", () => {
  const rows = kernelRows(madeUp);
  assert.equal(
    rows.map(({ name, calls, milliseconds }) => [name, calls, milliseconds]),
    [
      ["product", 2, 5],
      ["sum", 1, 1],
      ["copy", 1, 0.5],
      ["tiny", 1, 0],
    ],
  );
  const [product, sum, copy, tiny] = rows;
  assert.equal([product!.gflops, product!.gbps, product!.bound, product!.ofPeak], [48, 1.6, "compute", 0.48]);
  assert.equal([sum!.gflops, sum!.gbps, sum!.bound, sum!.ofPeak], [2, 8, "memory", 0.8]);
  assert.equal([copy!.gflops, copy!.gbps, copy!.bound, copy!.ofPeak], [0, 2, "memory", 0.2]);
  assert.equal([tiny!.gflops, tiny!.gbps, tiny!.ofPeak], [null, null, null]);
  assert.is(
    rows.reduce((all, { milliseconds }) => all + milliseconds, 0),
    millisecondsOf(madeUp.spans),
  );
  assert.is(shapeRows(madeUp)[0]!.name, "product 1000000 (ON)");
  assert.equal(
    rowsBy(madeUp, () => "all").map(({ calls, milliseconds }) => [calls, milliseconds]),
    [[5, 6.5]],
  );
});

test("dispatches at their earliest, and what could begin later", () => {
  const { chainMilliseconds, dispatches } = scheduleOf(madeUp)!;
  assert.is(chainMilliseconds, 5.5);
  assert.equal(
    dispatches.map(({ earliest, slack, waitsFor }) => [earliest, slack, waitsFor]),
    [
      [0, 0, []],
      [2, 0, [0]],
      [2, 2, [0]],
      [5, 0, [1, 2]],
      [0, 5.5, []],
    ],
  );
  assert.equal(
    besideChain({ chainMilliseconds, dispatches }).map(({ number, neededBy }) => [number, neededBy]),
    [[2, [3]]],
  );
  // What rounding leaves is no slack: the trace tells the chain by it.
  const spans = madeUp.spans.map((span) => ({ ...span, begin: span.begin / 45, end: span.end / 45 }));
  assert.equal(
    scheduleOf({ ...madeUp, spans })!.dispatches.map(({ slack }) => slack > 0),
    [false, false, true, false, true],
  );
  assert.is(scheduleOf({ ...madeUp, timing: "wall clock" }), null);
  const table = profileTable(madeUp);
  assert.match(
    table,
    /6 of 6 dispatches, .*, 2 for one that they need\.\n.* has 3 and takes 5\.50 of 6\.50 ms/,
  );
  assert.match(
    table,
    /2 sum: 1\.00 ms, could begin 2\.00 ms later;\n +waits for 0 product, needed by 3 copy/,
  );
});

test("the trace keeps begin and end, in microseconds, and has what waits for what", () => {
  const { traceEvents } = chromeTrace(madeUp);
  const events = traceEvents.filter(({ ph, pid }) => ph === "X" && pid === 1);
  assert.equal(
    events.map(({ name, ts, dur }) => [name, ts, dur]),
    [
      ["product", 0, 2000],
      ["product", 2000, 3000],
      ["sum", 5500, 1000],
      ["copy", 6500, 500],
      ["tiny", 7000, 0],
    ],
  );
  const { shapes, grid, flops, bytes } = events[0]!.args;
  assert.equal([shapes, grid, flops, bytes], [{ x: "f32[1000000]" }, "1 x 2 x 3", 80e6, 4e6]);
  assert.is(events[3]!.args.waitsFor, "1 product, 2 sum");
  const earliest = traceEvents.filter(({ ph, pid }) => ph === "X" && pid === 2);
  assert.equal(
    earliest.map(({ tid, ts, dur, cat }) => [tid, ts, dur, cat]),
    [
      [1, 0, 2000, "chain"],
      [1, 2000, 3000, "chain"],
      [2, 2000, 1000, "beside"],
      [1, 5000, 500, "chain"],
      [2, 0, 0, "beside"],
    ],
  );
  for (const ph of ["s", "f"]) assert.is(traceEvents.filter((event) => event.ph === ph).length, 4, ph);
});

/** One page that fetches nothing, runs nothing and shows no broken number. */
function checkPage(page: string): void {
  assert.match(page, /^<!doctype html>/);
  assert.match(page, /<svg viewBox="[\d. -]+" role="img" aria-label="Roofline: [^"]+"/);
  assert.not.match(page, /https?:|<(script|link|iframe|img)\b|NaN|undefined|Infinity|\[object/);
}

test("the page has a point for each kernel that computes, under the roof", async () => {
  const page = await rooflinePage("Step of <micro>", madeUp);
  checkPage(page);
  assert.ok(page.includes("Step of &lt;micro&gt;") && page.includes("Made-up &lt;adapter&gt;"));
  assert.ok(page.includes("have no point: copy."));
  const names = [...page.matchAll(/<text[^>]*>([a-z]+)<\/text>/g)].map((match) => match[1]);
  assert.ok(names.includes("product") && names.includes("sum") && !names.includes("copy"), `${names}`);
  assert.is(page.match(/<tr><th scope="row">/g)!.length, 4 + 4 + 1, "kernels, shapes, beside the chain");
});

test("names of kernels that lie close together stand beside the dots, on none and on no other name, or a line leads to them", async () => {
  const kernels = ["first", "second", "third", "fourth"];
  const spans = kernels.map((name, i) => span(i, i + 1, launch(name, 4e7 + i * 4e6, 4e6)));
  const page = await rooflinePage("Close", { ...madeUp, timing: "wall clock", spans });
  const dots = [...page.matchAll(/translate\(([\d.]+),([\d.]+)\)" d="M([\d.]+),0A/g)].map((match) => {
    const [x, y, radius] = match.slice(1).map(Number) as [number, number, number];
    return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
  });
  const boxes = [
    ...page.matchAll(/<text([^>]*)translate\(([\d.]+),([\d.]+)\)"[^>]*>(first|second|third|fourth)</g),
  ].map(([, before, x, y, name]) => {
    const length = 6 * name!.length;
    const left = Number(x) - (before!.includes('"end"') ? length : 0);
    // The text's baseline.
    return { left, right: left + length, top: Number(y) - 9, bottom: Number(y) };
  });
  assert.equal([dots.length, boxes.length], [4, 4]);
  for (const [i, box] of boxes.entries())
    for (const other of [...dots, ...boxes.slice(0, i)])
      assert.ok(
        box.right <= other.left ||
          other.right <= box.left ||
          box.bottom <= other.top ||
          other.bottom <= box.top,
        `${kernels[i]}: ${JSON.stringify([box, other])}`,
      );
  // At most two dots of a heap have a name beside them.
  assert.ok(page.match(/<line[^>]*stroke="currentColor" opacity="0.5"/g)!.length >= 2);
});

test("the command prints a table and writes its three files", async () => {
  const { code, out, err } = await runCommand(dir, [
    "profile",
    "--config",
    file,
    "--out",
    "p",
    "--steps",
    "1",
  ]);
  assert.is(code, 0, err);
  const read = async (name: string) => readFile(join(dir, "p", name), "utf8");
  const figures = JSON.parse(await read(profileFiles.figures));
  const { traceEvents } = JSON.parse(await read(profileFiles.trace));
  const events = traceEvents.filter(({ ph, pid }: { ph: string; pid: number }) => ph === "X" && pid === 1);
  checkPage(await read(profileFiles.roofline));
  assert.match(out, /peaks of \d+\.\d GFLOP\/s and \d+\.\d GB\/s/);
  assert.match(
    out,
    /A step: \d+ dispatches, .* µs a dispatch on the host; memory .* planned, .* without a plan/,
  );
  assert.match(out, /matmul\S* +\d+ +\d+\.\d\d +[\d.]+ % +\d+\.\d\d +\d+\.\d\d +(compute|memory) +[\d.]+ %/);
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  for (const rows of [figures.kernels, figures.shapes]) {
    assert.is(sum(rows.map((row: { calls: number }) => row.calls)), figures.dispatches);
  }
  const whole = sum(figures.kernels.map((row: { milliseconds: number }) => row.milliseconds));
  assert.ok(Math.abs(whole - sum(events.map(({ dur }: { dur: number }) => dur)) / 1000) < 1e-6 * whole);
  assert.match(out, new RegExp(`together +${figures.dispatches} +${whole.toFixed(2)} +100.0 %`));
  if (figures.timing === "timestamps") {
    assert.is(events.length, figures.dispatches);
    for (const [i, { ts, dur }] of events.entries()) {
      assert.ok(dur >= 0 && (i === 0 || ts >= events[i - 1].ts), `event ${i}`);
    }
  }
});

test("--json prints the figures alone", async () => {
  const { code, out, err } = await runCommand(dir, [
    ...["profile", "--config", file, "--out", "q", "--steps", "1", "--json"],
  ]);
  assert.is(code, 0, err);
  const figures = JSON.parse(out);
  assert.is(figures.name, "micro");
  assert.ok(figures.kernels.length > 5 && figures.hostMicroseconds > 0);
  const { commands, barriers, depth, depthOfResults } = figures.waits;
  assert.ok(
    commands >= figures.dispatches && barriers === commands && depth <= commands,
    JSON.stringify(figures.waits),
  );
  assert.ok(depthOfResults <= depth && !("replay" in figures.waits));
});

test("an unknown configuration, none at all and a bad number of steps get a line each", async () => {
  const lines: [string[], RegExp, number][] = [
    [["--config", "nowhere.json"], /Cannot read the configuration nowhere\.json/, 1],
    [[], /--config FILE is missing/, 2],
    [
      ["--config", file, "--steps", "none"],
      /--steps must be a whole number from 1 to 2\^53 - 1, not "none"/,
      2,
    ],
  ];
  for (const [args, message, status] of lines) {
    const { code, out, err } = await runCommand(dir, ["profile", ...args]);
    assert.is(code, status);
    assert.is(out, "");
    assert.match(err, message);
    assert.is(
      err
        .trim()
        .split("\n")
        .filter((line) => !line.startsWith("Warning:")).length,
      1,
      err,
    );
  }
});

test("a folder that can't be made is told before an engine is asked for anything", async () => {
  const events = { message() {}, step() {}, progress() {} };
  const options = { out: join(file, "in"), steps: 1, events };
  await profile({} as Engine, parseConfig(config, "micro"), options).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, "ENOTDIR"),
  );
});

test("an adapter without timestamps, subgroups and f16 is profiled by the wall clock", async () => {
  const { adapter, instance } = await findAdapter();
  const device = await adapter.requestDevice();
  const engine = await Engine.create({ device });
  const events = { message() {}, step() {}, progress() {} };
  const measured = await profile(engine, parseConfig(config, "micro"), {
    ...{ out: join(dir, "wall"), steps: 2, events },
  });
  assert.is(measured.timing, "wall clock");
  const rows = kernelRows(measured);
  assert.is(measured.spans.length, rows.length);
  assert.ok(rows.every(({ milliseconds }) => milliseconds > 0));
  assert.is(
    rows.reduce((calls, row) => calls + row.calls, 0),
    measured.dispatches,
  );
  assert.match(profileTable(measured), /by the wall clock, because the adapter has no timestamp-query/);
  checkPage(await readFile(join(dir, "wall", profileFiles.roofline), "utf8"));
  engine.dispose();
  device.destroy();
  assert.ok(instance, "held until here, as Dawn needs it");
});

test.after(() => rm(dir, { recursive: true, force: true }));

test.run();
