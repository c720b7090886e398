// Progress where there is no terminal: lines with the time that is left, few of them however long it takes, on standard error
// where standard output is JSON.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Output } from "../cli/output.ts";
import { consoleEvents } from "../cli/progress.ts";
import type { StepRecord } from "../train/loop/record.ts";

/** Events by a clock of the test's, and the lines that come of them. */
function follow(json = false) {
  let time = 5_000;
  const lines: { at: number; text: string; error: boolean }[] = [];
  const said = (error: boolean) => (text: string) =>
    lines.push({ at: time, text: text.trimEnd(), error }) > 0;
  const output = new Output({ out: said(false), err: said(true) }, json);
  const events = consoleEvents(output, { interactive: false, now: () => time });
  return { lines, events, pass: (ms: number) => (time += ms) };
}

const record = (step: number, seconds: number): StepRecord => ({
  ...{ step, seconds, loss: 1 / step, forward: 1, reverse: null, temperature: 0.07, learning_rate: 1e-4 },
  ...{ gradient_norm: 1, samples_per_second: 64 },
});

test("what is done within ten seconds is not told of", () => {
  const { lines, events, pass } = follow();
  for (const what of ["decoding pictures", "embedding the gallery", "ranking"])
    for (let done = 1; done <= 9; done++) {
      pass(1000);
      events.progress(what, done, 9);
    }
  assert.equal(lines, []);
});

test("decoding, embedding and ranking tell how far they are and what is left", () => {
  const { lines, events, pass } = follow();
  events.progress("decoding pictures", 0, 400);
  for (let done = 1; done <= 400; done++) {
    pass(100);
    events.progress("decoding pictures", done, 400);
  }
  assert.equal(
    lines.map(({ text }) => text),
    [
      "decoding pictures 100/400  25 %  30 s left",
      "decoding pictures 200/400  50 %  20 s left",
      "decoding pictures 300/400  75 %  10 s left",
      "decoding pictures 400/400  done in 40 s",
    ],
  );
  // Work that goes on where an earlier part left off is not taken for fast.
  pass(60_000);
  lines.length = 0;
  events.progress("ranking", 900, 1000);
  pass(20_000);
  events.progress("ranking", 950, 1000);
  assert.equal(
    lines.map(({ text }) => text),
    ["ranking 950/1000  95 %  20 s left"],
  );
});

test("however long it takes, lines are at most one in ten seconds and at least one a minute", () => {
  const { lines, events, pass } = follow();
  for (let step = 1; step <= 36_000; step++) {
    events.step(record(step, step), 36_000);
    pass(1000);
    // What is told in between does not begin it anew.
    if (step === 20_000) events.message("The earlier checkpoint was removed.");
  }
  const steps = lines.filter(({ text }) => text.startsWith("step "));
  const gaps = steps.slice(1).map(({ at }, i) => at - steps[i]!.at);
  assert.ok(Math.min(...gaps.slice(0, -1)) >= 10_000 && Math.max(...gaps) <= 61_000, `${gaps}`);
  assert.ok(steps.length < 650, `${steps.length} lines in ten hours`);
  assert.match(steps[0]!.text, /^step 1\/36000 {2}loss 1\.000 {2}64 samples\/s {2}10 h 0 min left$/);
  assert.match(steps.at(-1)!.text, /^step 36000\/36000 .* 0 s left$/);
  const slow = follow();
  for (let done = 1; done < 2000; done++) {
    slow.events.progress("embedding the gallery", done, 2000);
    slow.pass(30_000);
  }
  assert.ok(slow.lines.length > 990 && slow.lines.length < 1010, `${slow.lines.length}`);
});

test("with JSON every line is on standard error, and none has a carriage return or an escape", () => {
  const { lines, events, pass } = follow(true);
  events.step(record(1, 1), 3);
  pass(11_000);
  events.step(record(2, 12), 3);
  events.progress("ranking", 1, 3);
  pass(11_000);
  events.progress("ranking", 2, 3);
  assert.is(lines.length, 3);
  for (const { text, error } of lines) {
    assert.ok(error);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
    assert.not.match(text, /[\r\u001b]/);
  }
});

test.run();
