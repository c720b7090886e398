// The audit by a run's model: its rows are those that embedding gives, also after the process was killed, and `eval` takes
// the list of redundant queries as `score` does.
import { spawn } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { textOf } from "../train/data/captions.ts";
import { audit, captionsApart } from "../train/eval/audit.ts";
import { embedPictures, embedQueries } from "../train/eval/embed.ts";
import { rowsAt } from "../train/eval/protocols.ts";
import { embedWays } from "../train/run/audit-model.ts";
import { embed } from "../train/run/embed.ts";
import { openModel } from "../train/run/open.ts";
import { RowStore } from "../train/run/rows.ts";
import { failClearly, runCommand } from "./command.ts";
import { cirrSample, fashioniqSample } from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";
import { tokenizer, writeRun } from "./small-run.ts";

const dir = mkdtempSync(join(tmpdir(), "casement-audit-model-"));
const at = (...names: string[]) => join(dir, ...names);
await writeMiniature("cirr", at("cirr"), cirrSample("val", 40));
await writeMiniature("fashioniq", at("fashioniq"), fashioniqSample("val", ["dress"], 20));

const root = at("cirr");
await writeRun(at("run"), { seed: 1, root });
await writeRun(at("texts"), { seed: 2, root, fusion: "text" });

const quiet = { message: () => {}, step: () => {}, progress: () => {} };
const waysOf = (folder: string, more: object = {}) =>
  embedWays({
    ...{ run: at("run"), split: "val", folder: at(folder), events: quiet },
    sourceOf: () => ({ kind: "cirr", root: at("cirr") }),
    cutOf: () => ({}),
    ...more,
  });

test("rows are those of the model's own ways: text encoder alone, picture as a target, both", async () => {
  const ready = await waysOf("rows");
  const { split, embedded, engine, pictures } = ready;
  const found = await audit(engine, split, embedded, { ...ready, similarity: "cosine", k: 5 });
  const loaded = await openModel(at("run"));
  const { model } = loaded;
  const targets = await embedPictures(loaded.engine, model, pictures, [...split.pictures.keys()]);
  const asked = split.queries.map((query) => ({
    reference: query.reference,
    text: textOf(query, "as written"),
  }));
  const both = await embedQueries(loaded.engine, model, tokenizer, pictures, asked);
  const near = (rows: Float32Array, wanted: Float32Array, what: string) => {
    assert.is(rows.length, wanted.length);
    for (const [i, value] of wanted.entries()) assert.ok(Math.abs(rows[i]! - value) < 2e-6, what);
  };
  near(embedded.both.queries.values, both, "both");
  near(embedded.both.pictures.values, targets, "targets");
  const references = rowsAt(
    { values: targets, width: 16 },
    asked.map(({ reference }) => reference),
  );
  near(rowsAt(embedded.image.queries, embedded.image.rows!).values, references.values, "image");
  for (const i of [0, 7, 39]) {
    const { embedding } = await embed(loaded, { text: asked[i]!.text });
    near(embedded.text.queries.values.slice(i * 16, (i + 1) * 16), embedding, `text ${i}`);
  }
  loaded.engine.dispose();
  assert.is(found.queries.length, 40);
  assert.equal(Object.keys(found.hash), ["weights"]);
  await ready.close();
});

test("what was embedded is read, what is broken or another's is made anew", async () => {
  const counted = async (more: object = {}) => {
    const before = new Map(readdirSync(at("kept")).map((name) => [name, statSync(at("kept", name)).mtimeMs]));
    const ready = await waysOf("kept", more);
    await ready.close();
    const after = readdirSync(at("kept"));
    const made = after.filter((name) => before.get(name) !== statSync(at("kept", name)).mtimeMs);
    return { rows: ready.embedded, made: made.length, files: after.length };
  };
  const first = await (await waysOf("kept")).close();
  assert.is(first, undefined);
  const again = await counted();
  assert.equal([again.made, again.files], [0, 3]);
  const [one] = readdirSync(at("kept"));
  truncateSync(at("kept", one!), 100);
  assert.equal((await counted()).made, 1);
  const bytes = readFileSync(at("kept", one!));
  bytes.writeFloatLE(Number.NaN, 8);
  writeFileSync(at("kept", one!), bytes);
  const mended = await counted();
  assert.is(mended.made, 1);
  assert.equal(mended.rows.both.queries, again.rows.both.queries);
  // Another model in the place of the text: its pictures and queries; its own text rows go.
  const other = await counted({ textRun: at("texts") });
  assert.equal([other.made, other.files], [2, 4]);
  assert.not.equal(other.rows.text.pictures, other.rows.both.pictures);
  assert.equal(other.rows.both.queries, again.rows.both.queries);
});

test("rows come in parts of which each has its own key", async () => {
  const made: [number, number][] = [];
  const make = async (from: number, to: number) => {
    made.push([from, to]);
    return Float32Array.from({ length: 2 * (to - from) }, (_, i) => 2 * from + i);
  };
  const rows = (keyOf: (i: number) => string) => new RowStore(at("parts"), 4).rows(["a"], 10, 2, keyOf, make);
  const wanted = Float32Array.from({ length: 20 }, (_, i) => i);
  assert.equal(await rows((i) => `${i}`), wanted);
  assert.equal(made.splice(0), [
    [0, 4],
    [4, 8],
    [8, 10],
  ]);
  assert.equal(await rows((i) => (i === 5 ? "other" : `${i}`)), wanted);
  assert.equal(made.splice(0), [[4, 8]]);
  assert.equal(await rows((i) => `${i}`), wanted);
  assert.equal(made, []);
});

const script = fileURLToPath(new URL("../cli/casement.mjs", import.meta.url));
const command = ["audit", "--run", "run", "--split", "val", "-k", "5", "--json"];

test("an audit that was killed goes on, and gives what it would have given", async () => {
  const child = spawn(process.execPath, [script, ...command, "--out", "killed"], {
    cwd: dir,
    stdio: "ignore",
  });
  const files = () => {
    try {
      return readdirSync(at("killed/embeddings")).filter((name) => name.endsWith(".f32"));
    } catch {
      return [];
    }
  };
  const ended = new Promise((resolve) => child.on("exit", resolve));
  while (files().length === 0 && child.exitCode === null) await sleep(2);
  child.kill("SIGKILL");
  await ended;
  assert.not.ok(readdirSync(at("killed")).includes("audit.json"), "it was to be killed before its end");
  const before = files().map((name) => [name, statSync(at("killed/embeddings", name)).mtimeMs]);
  const second = await runCommand(dir, [...command, "--out", "killed"]);
  assert.is(second.code, 0, second.err);
  for (const [name, time] of before) assert.is(statSync(at(`killed/embeddings/${name}`)).mtimeMs, time);
  const whole = await runCommand(dir, [...command, "--out", "whole"]);
  const [found, wanted] = [JSON.parse(second.out), JSON.parse(whole.out)];
  assert.equal(found.groups, wanted.groups);
  assert.is(found.captions, "as written");
  assert.match(readFileSync(at("whole/audit.html"), "utf8"), /data:image\/png;base64,iVBOR/);

  // What is left without its list is the curve's point at n = 5.
  const list = ["--without", "whole/redundant.jsonl", "--json"];
  const left = await runCommand(dir, ["eval", "--run", "run", ...list]);
  assert.is(left.code, 0, left.err);
  const [result] = JSON.parse(left.out).results;
  const { either } = wanted.groups[0].curves;
  assert.is(result.queries, either.left[5]);
  for (const [key, value] of Object.entries(result.metrics)) assert.is(value, either.metrics[key][5], key);
  assert.equal(result.filter, { kind: "without", listed: 40 - either.left[5], of: 40 });
  assert.match(result.hash.list, /^[\da-f]{64}$/);
});

test("FashionIQ's captions are told apart by the model", async () => {
  const args = ["audit", "--run", "run", "--data", "fashioniq", "--root", "fashioniq", "--split", "val"];
  const { code, out, err } = await runCommand(dir, [
    ...args,
    "--out",
    "fiq",
    "--captions",
    "clip4cir",
    "--json",
  ]);
  assert.is(code, 0, err);
  const { groups, captions, data } = JSON.parse(out);
  assert.equal([data, captions, groups.length], ["fashioniq", "clip4cir", 1]);
  const ready = await waysOf("fiq-rows", { sourceOf: () => ({ kind: "fashioniq", root: at("fashioniq") }) });
  const queries = captionsApart(ready.split).queries.length;
  assert.is(groups[0].paraphrases.texts, queries);
  assert.is(ready.apart!.queries.values.length, 16 * queries);
  await ready.close();
});

test("mistakes end in one clear line", async () => {
  // Each in a folder of its own: they run side by side.
  const cases: [args: string[], message: RegExp, status?: number][] = [
    [["audit", "--split", "val"], /--run DIR, or --queries FILE, .* are missing; see/, 2],
    [[...command, "--queries", "x"], /--run has its own embeddings/, 2],
    [[...command, "--similarity", "dot"], /--run has its own embeddings/, 2],
    [[...command, "--root", "nowhere"], /nowhere is no folder, or an empty one/],
    [["audit", "--run", "run", "--split", "dev"], /no split "dev" of cirr, but val/],
    [[...command, "--category", "dress"], /for fashioniq, not cirr/, 2],
    [[...command, "--text-run", "none"], /none/],
  ];
  await failClearly(dir, [
    ...cases.map(([args, ...rest], i) => [[...args, "--out", `bad/${i}`], ...rest] as (typeof cases)[number]),
    [
      ["eval", "--run", "run", "--split", "val", "--split", "dev", "--without", "list.jsonl"],
      /for one split, not for val and dev: --split NAME/,
      2,
    ],
    [["eval", "--run", "run", "--split", "val", "--only", "none.jsonl"], /none\.jsonl can't be read/],
  ]);
  const left = readdirSync(at("bad"));
  assert.equal(left, ["6"], "only the one that had begun to embed has something to keep");
});

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.run();
