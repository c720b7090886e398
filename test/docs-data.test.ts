// The commands of docs/data.md run as they stand there, on miniature copies of the data sets. The function for Python runs
// where CASEMENT_PYTHON is an interpreter with numpy and safetensors.
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { randomBits } from "../engine/index.ts";
import { writeSafetensors } from "../model/safetensors.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import type { FolderData } from "../train/data/types.ts";
import { captionsApart } from "../train/eval/audit.ts";
import { readEmbeddings } from "../train/eval/embeddings.ts";
import { openFile } from "../train/run/sources.ts";
import { circoSample, cirrSample, fashioniqSample, lascoSample, type Sample } from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "casement-docs-data-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const at = (...names: string[]) => join(work, ...names);
const page = readFileSync(join(root, "docs/data.md"), "utf8");
const blocksOf = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);

for (const [data, sample] of Object.entries({
  cirr: { ...cirrSample("train"), ...cirrSample("val"), ...cirrSample("test1", 60) },
  fashioniq: { ...fashioniqSample("train"), ...fashioniqSample("val") },
  lasco: { ...lascoSample("train"), ...lascoSample("val") },
  circo: { ...circoSample("val"), ...circoSample("test") },
  jsonl: { "train.jsonl": blocksOf("json").find((block) => block.includes('"reference": "shoes'))! },
}) as [FolderData, Sample][]) {
  await writeMiniature(data, at("data", data === "jsonl" ? "mine" : data), sample);
}

// The page's configurations, of a model that this machine trains in seconds.
const small = {
  vision: { imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 },
  text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 24 },
  projection: 16,
};
const quick = { epochs: 2, triplets: 3, accumulation: 1, checkpointEvery: 50 };
function writeSmall(path: string, { model: _, training, ...config }: Record<string, object>): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), JSON.stringify({ ...config, model: small, training: { ...training, ...quick } }));
}
const mine = JSON.parse(blocksOf("json").find((block) => block.includes('"name": "mine"'))!);
writeSmall("mine.json", mine);
for (const name of ["cirr", "fashioniq", "lasco"]) {
  const file = `train/configs/${name}.json`;
  writeSmall(file, JSON.parse(readFileSync(join(root, file), "utf8")));
}
writeSmall("blip.json", { ...mine, name: "blip" });

const width = 4;
let streams = 0;
const rows = (count: number) => {
  const stream = streams++;
  return Float32Array.from(
    { length: count * width },
    (_, i) => randomBits({ key: 2, stream }, i) / 2 ** 32 - 0.5,
  );
};
for (const [name, data, split] of [
  ["cirr", "cirr", "val"],
  ["test1", "cirr", "test1"],
  ["fiq", "fashioniq", "val"],
  ["lasco", "lasco", "val"],
  ["circo", "circo", "val"],
  ["test", "circo", "test"],
  ["mine", "jsonl", "val"],
] as [string, FolderData, string][]) {
  const folder = at("data", name === "mine" ? "mine" : data);
  const read = await readSplit(data, folderFiles(folder), split);
  const { queries, pictures } = read;
  const lists = { queries, gallery: pictures, text: queries, captions: captionsApart(read).queries };
  for (const [what, list] of Object.entries(lists)) {
    if (list.length === 0) continue;
    const tensor = { dtype: "F32" as const, shape: [list.length, width], data: rows(list.length) };
    const ids = JSON.stringify(list.map(({ id }) => id));
    writeFileSync(at(`${name}-${what}.safetensors`), writeSafetensors({ embeddings: tensor }, { ids }));
  }
}
mkdirSync(at("bin"));
const npx = `#!/bin/sh\nshift; exec "${process.execPath}" "${join(root, "cli/casement.mjs")}" "$@"\n`;
writeFileSync(at("bin/npx"), npx);
chmodSync(at("bin/npx"), 0o755);

/** Runs a line in a shell; returns what it prints, whatever its exit status. */
async function shell(line: string): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, PATH: `${at("bin")}${delimiter}${process.env.PATH}` };
  return promisify(execFile)("sh", ["-c", line], { cwd: work, env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
  );
}

test("a model to start from", async () => {
  const { code, out, err } = await shell("npx casement train --config blip.json --out runs/blip");
  assert.is(code, 0, out + err);
});

const lines = blocksOf("sh").flatMap((block) => block.trim().split("\n"));
test("docs/data.md has commands of every kind", () => {
  for (const command of ["data check", "score", "audit", "submit ", "submit check"]) {
    assert.ok(
      lines.some((line) => line.startsWith(`npx casement ${command}`)),
      command,
    );
  }
});
for (const line of lines) {
  test(line, async () => {
    const { code, out, err } = await shell(line);
    // Miniature copies have other counts than the data sets; nothing else is wrong with them.
    const counts = /data check --data (cirr|lasco)/.test(line);
    assert.is(code, counts ? 1 : 0, out + err);
    if (counts && line.includes("cirr"))
      assert.match(out, /queries, published: 4181.*0 missing, 0 broken of 12; queries lost: 0 of 12/s);
    if (line.includes(" score ") && line.includes("--json")) {
      assert.equal(Object.keys(JSON.parse(out).metrics), ["r1", "r5", "r10", "r50", "r100", "r500", "r1000"]);
    } else if (line.includes(" audit ")) {
      assert.match(out, /ranked by +R@1.*labels at rank.*redundant queries at rank \d+: audit/s);
    } else if (line.includes(" score ")) {
      assert.is(
        /12 queries that a list names; .*; list [\da-f]{12}\n/.test(out),
        /--(only|without)/.test(line),
      );
      assert.match(
        out,
        /reference (kept|removed); captions: .*; queries [\da-f]{12}; gallery [\da-f]{12}(; list [\da-f]{12})?\n/,
      );
    }
  });
}

test("the figures that the page shows have the keys that score gives", async () => {
  const shown = JSON.parse(blocksOf("json").find((block) => block.includes('"protocol"'))!);
  const { out } = await shell(`${lines.find((line) => line.includes("score --data cirr"))} --json`);
  const given = JSON.parse(out);
  assert.equal(Object.keys(given), Object.keys(shown));
  assert.equal(Object.keys(given.metrics), Object.keys(shown.metrics));
  for (const key of Object.keys(shown.results[0])) if (key !== "...") assert.ok(key in given.results[0], key);
});

test("what the page's Python writes is read", async () => {
  const python = process.env.CASEMENT_PYTHON;
  if (!python) return console.log("\nskipped: the page's Python (CASEMENT_PYTHON is not set)");
  const script = `${blocksOf("python")[0]}
import numpy
save("python.safetensors", [7, "b"], numpy.array([[1, 2, 3], [4, 5, 6.5]], dtype="float32"))
`;
  await promisify(execFile)(python, ["-c", script], { cwd: work });
  const source = await openFile(at("python.safetensors"));
  const { matrix, rows } = await readEmbeddings(source);
  await source.close();
  assert.equal(
    [...rows],
    [
      ["7", 0],
      ["b", 1],
    ],
  );
  assert.equal([...matrix.values], [1, 2, 3, 4, 5, 6.5]);
});

test.run();
