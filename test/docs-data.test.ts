// The commands of docs/data.md run as they stand there, on miniature copies of the data sets. The function for Python runs
// where CASEMENT_PYTHON is an interpreter with numpy and safetensors.
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import sharp from "sharp";
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
import { circoSample, cirrSample, fashioniqSample, lascoSample, writeSample } from "./data-samples.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "casement-docs-data-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const at = (...names: string[]) => join(work, ...names);
const page = readFileSync(join(root, "docs/data.md"), "utf8");
const blocksOf = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);

await writeSample(at("data/cirr"), { ...cirrSample("val"), ...cirrSample("test1", 60) });
await writeSample(at("data/fashioniq"), fashioniqSample("val"));
await writeSample(at("data/lasco"), lascoSample("val"));
await writeSample(at("data/circo"), { ...circoSample("val"), ...circoSample("test") });
const emoji = join(
  dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json")),
  "img/google/64/1f44b.png",
);
/** JPEG files of odd sizes. */
async function draw(paths: readonly string[]): Promise<void> {
  for (const [i, path] of paths.entries()) {
    mkdirSync(dirname(at(path)), { recursive: true });
    const picture = sharp(emoji)
      .resize(40 + (i % 9), 33 + (i % 5))
      .flatten({ background: "white" });
    writeFileSync(at(path), await picture.jpeg().toBuffer());
  }
}
const triplet = /"reference": "(.*?)".*"target": "(.*?)"/.exec(page)!;
await draw([...triplet.slice(1), "shoes/1.jpg", "shoes/2.jpg"].map((path) => join("data/mine", path)));
writeFileSync(
  at("data/mine/triplets.jsonl"),
  `${blocksOf("json").find((block) => block.includes('"reference": "shoes'))!}`,
);
for (const split of ["val", "test1"]) {
  const { pictures } = await readSplit("cirr", folderFiles(at("data/cirr")), split);
  await draw(pictures.map(({ path }) => join("data/cirr", path)));
}

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
    const counts = /data check --data cirr/.test(line);
    assert.is(code, counts ? 1 : 0, out + err);
    if (counts)
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
