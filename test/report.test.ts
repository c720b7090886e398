// The run report: what it shows, what it must not let through, and runs that have little to show.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMemory } from "../train/data/memory.ts";
import type { KindMetrics, Metrics, SheetRow } from "../train/eval/metrics.ts";
import type { Result } from "../train/eval/protocols.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { type ReportOptions, writeReport } from "../train/report/index.ts";

const SIZE = 8;
const pictures = inMemory({
  size: SIZE,
  names: Array.from({ length: 20 }, (_, i) => `picture-${i}`),
  pixels: Uint8Array.from({ length: 20 * SIZE * SIZE * 3 }, (_, i) => (i * 37) % 256),
});

function step(i: number, reverse: number | null): StepRecord {
  return {
    step: i,
    loss: 5 / i,
    forward: 4 / i,
    reverse,
    temperature: 0.07,
    learning_rate: 1e-4,
    gradient_norm: i === 30 ? 500 : 1,
    samples_per_second: 1234,
    seconds: i,
  };
}

const kind: KindMetrics = {
  queries: 40,
  r1: 12.3,
  r5: 34.5,
  r10: 56.7,
  r50: 78.9,
  pixels: { r1: 1.1, r5: 2.2, r10: 3.3, r50: 4.4 },
};
const metrics: Metrics = {
  results: [],
  notes: [],
  splits: { concepts: { ...kind, gallery: 20, chance_r10: 0.13, kinds: { "tone & <age>": kind } } },
  seconds: 200,
  adapter: "Made-up adapter",
  steps: 60,
};

function row(text: string, right: number[], rank: number): SheetRow {
  const answers = Array.from({ length: 10 }, (_, i) => ({
    picture: i + 2,
    score: 1 - i / 10,
    right: right.includes(i),
  }));
  return { split: "concepts", kind: "tone", text, reference: 0, target: 1, rank, answers };
}

const full: Omit<ReportOptions, "file"> = {
  title: "Made-up run",
  command: 'casement train --config "a & b.json"',
  steps: Array.from({ length: 60 }, (_, i) => step(i + 1, 5 / (i + 1))),
  metrics,
  sheet: [row("darker skin", [0, 3], 1), row("<script>alert('x')</script> \" & \u0001", [], 214)],
  pictures,
};

async function write(changes: Partial<ReportOptions> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "casement-report-"));
  try {
    const file = join(folder, "report.html");
    await writeReport({ file, ...full, ...changes });
    return await readFile(file, "utf8");
  } finally {
    await rm(folder, { recursive: true });
  }
}

const times = (page: string, part: RegExp) => page.match(new RegExp(part, "g"))?.length ?? 0;

test("one page holds header, plots, tables and pictures, and refers to nothing outside", async () => {
  const page = await write();
  assert.match(page, /^<!doctype html>/);
  for (const part of ["Made-up run", "Made-up adapter", "3 min 20 s", "1,234 triplets/s"])
    assert.ok(page.includes(part), part);
  assert.ok(page.includes("casement train --config &quot;a &amp; b.json&quot;"));
  assert.is(times(page, /<figure>/), 6, "four of training, one of recall, one of kinds");
  assert.is(times(page, /<svg viewBox="[\d. ]+" role="img" aria-label="[^"]+"/), 6);
  assert.is(times(page, /<table>/), 2);
  assert.ok(page.includes("data:image/png;base64,iVBOR"));
  assert.not.match(page, /https?:/);
  assert.not.match(page, /<(script|link|iframe|img)\b/);
  assert.not.match(page, /NaN|undefined|\[object/);
});

test("every table has the raw-pixel row on each block", async () => {
  const page = await write();
  const tables = page.split("<table>").slice(1);
  for (const table of tables) {
    const blocks = times(table, /<tbody>/);
    assert.ok(blocks > 0);
    assert.is(
      times(table, /<th scope="row">raw pixels<\/th><td>1\.1<\/td><td>2\.2<\/td><td>3\.3<\/td>/),
      blocks,
    );
  }
});

test("texts cannot inject markup", async () => {
  const page = await write({ title: "</title><script>1</script>" });
  assert.not.match(page, /<script/);
  assert.ok(page.includes("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot; &amp; \ufffd"));
  assert.ok(page.includes("tone &amp; &lt;age&gt;"));
});

test("right answers are marked in words and shape, failures show what was wanted", async () => {
  const page = await write();
  assert.is(times(page, /<li class="right">/), 2);
  assert.is(times(page, /class="check"/), 2);
  assert.ok(page.includes('aria-label="1. picture-2, score 1.000, right answer"'));
  assert.ok(page.includes('aria-label="2. picture-3, score 0.900"'));
  assert.is(times(page, /class="row hit"/), 1);
  assert.is(times(page, /class="row miss"/), 1);
  assert.ok(page.includes("✗ rank 214"));
  assert.is(times(page, /aria-label="wanted: picture-1"/), 1);
  assert.ok(page.includes("among the first 10 in 1 of these 2 queries"));
});

test("one step without reverse loss, no splits and no sheet", async () => {
  const page = await write({
    steps: [step(1, null)],
    metrics: { ...metrics, splits: {}, steps: 1 },
    sheet: [],
  });
  assert.is(times(page, /<figure>/), 4);
  assert.not.match(page, /class="dashed"|class="row|NaN|undefined/);
});

test("no steps at all, and losses that are not numbers", async () => {
  assert.is(times(await write({ steps: [] }), /<figure>/), 2);
  const broken = Array.from({ length: 5 }, (_, i) => ({ ...step(i + 1, null), forward: Number.NaN }));
  const page = await write({ steps: broken });
  assert.is(times(page, /<figure>/), 5);
  assert.not.match(page, /NaN/);
});

test("a long run with many queries stays below 3 MB and says what it left out", async () => {
  const count = 2400;
  const side = 40;
  let state = 1;
  const noise = Uint8Array.from({ length: count * side * side * 3 }, () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state >>> 24;
  });
  const sheet = Array.from({ length: 200 }, (_, i) => {
    const made = row("any", [0], 1);
    return { ...made, answers: made.answers.map((answer, j) => ({ ...answer, picture: i * 12 + j })) };
  });
  const steps = Array.from({ length: 20_000 }, (_, i) => step(i + 1, 1 / (i + 1)));
  const page = await write({
    steps,
    sheet,
    pictures: inMemory({
      size: side,
      names: Array.from({ length: count }, (_, i) => `picture ${i}`),
      pixels: noise,
    }),
  });
  assert.ok(page.length < 3e6, `${page.length} bytes`);
  assert.ok(page.includes("150 of 200 recorded queries are shown"));
  assert.ok(page.includes("picture 2"));
});

test("figures by a protocol stand with all that they are of, the means first of all", async () => {
  const result: Result = {
    ...{
      data: "fashioniq",
      split: "val",
      gallery: "VAL <split>",
      pictures: 12,
      queries: 9,
      category: "dress",
    },
    ...{
      reference: "kept",
      captions: "clip4cir",
      similarity: "cosine",
      hash: { weights: "0123456789abcdef" },
    },
    metrics: { r10: 0.125, r50: 0.5 },
  };
  const mean: Result = { ...result, category: "mean", of: ["dress"], metrics: { r10: 0.25, r50: 0.75 } };
  const notes = ["without 2 missing pictures & more"];
  const page = await write({
    metrics: { ...metrics, splits: {}, results: [result, mean], notes },
    sheet: [],
  });
  assert.match(
    page,
    /val, dress, VAL &lt;split&gt;<small>fashioniq val; 9 queries of dress; gallery: VAL &lt;split&gt;, 12/,
  );
  assert.match(page, /reference kept; captions: clip4cir; cosine; weights 0123456789ab</);
  assert.match(page, /without 2 missing pictures &amp; more/);
  assert.match(page, /class="tile"><small>R@10, val, mean, VAL &lt;split&gt;<\/small><b>25\.0/);
  assert.not.match(page, /class="tile"><small>R@10, val, dress/);
  assert.not.match(page, /<split>/);
});

test.run();
