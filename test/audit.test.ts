// The redundancy audit against a plain reference in double precision: ranks by text, picture and both, labels at their
// edges, the curve recomputed for every n, paraphrases by hand; and the command as people meet it, whose list `score` takes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine } from "../engine/index.ts";
import { writeSafetensors } from "../model/safetensors.ts";
import { filtered, parseFilter } from "../train/data/filter.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import type { Files, FolderData, Split } from "../train/data/types.ts";
import {
  type Audit,
  audit,
  captionsApart,
  curveOf,
  examples,
  labelsOf,
  type Removal,
  type Sort,
  spreadOf,
  type Way,
  ways,
} from "../train/eval/audit.ts";
import { type Marks, protocols, rowsAt } from "../train/eval/protocols.ts";
import type { Matrix } from "../train/eval/scores.ts";
import { percent } from "../train/report/format.ts";
import { inAuditFolder, writeAudit } from "../train/run/audit.ts";
import { readGivenWays } from "../train/run/given.ts";
import { failClearly, runCommand } from "./command.ts";
import {
  circoSample,
  cirrSample,
  fashioniqSample,
  jsonlSample,
  lascoSample,
  memoryFiles,
  realFolder,
  type Sample,
  writeSample,
} from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";
import { type Asked, cosines, embedded, figuresOf, random, randomRows, ranksOf } from "./plain-ranks.ts";

const engine = await Engine.create({ poison: true });
const dir = mkdtempSync(join(tmpdir(), "casement-audit-"));
const at = (...names: string[]) => join(dir, ...names);

/** A split with embeddings by which some queries are answered by text, some by picture, some by both, some not. */
async function mixed(files: Files, data: FolderData, name: string, width: number) {
  const { split, pictures, queries } = await embedded(files, data, name, width);
  const text = randomRows(5, split.queries.length, width);
  for (const [i, { right }] of split.queries.entries()) {
    const pull = random(6, i) ** 2;
    for (let c = 0; c < width; c++)
      text.values[i * width + c]! += pull * pictures.values[right[0]! * width + c]!;
  }
  const image = rowsAt(
    pictures,
    split.queries.map(({ reference }) => reference),
  );
  return { split, pictures, queries: { text, image, both: queries } satisfies Record<Way, Matrix> };
}

const auditOf = (split: Split, pictures: Matrix, queries: Record<Way, Matrix>, k: number, most?: number) => {
  const by = (way: Way) => ({ queries: queries[way], pictures });
  return audit(
    engine,
    split,
    // Queries of one reference share its row.
    {
      text: by("text"),
      image: { queries: pictures, rows: split.queries.map(({ reference }) => reference), pictures },
      both: by("both"),
    },
    { similarity: "cosine", captions: "as written", hash: { weights: "0123456789ab" }, k, most },
  );
};

/** Whether a query goes where the answer is among the first n of whose ranking. */
const goes: Record<Removal, (ranks: Record<Way, number>, n: number) => boolean> = {
  text: ({ text }, n) => text <= n,
  image: ({ image }, n) => image <= n,
  either: ({ text, image }, n) => text <= n || image <= n,
};

/** Fractions that are sums of many others may differ in their last digits: a curve adds up from its end. */
const same = (found: Record<string, number>, wanted: Record<string, number>, what: string) => {
  assert.equal(Object.keys(found), Object.keys(wanted));
  for (const [key, value] of Object.entries(wanted))
    if (key.startsWith("map")) assert.ok(Math.abs(found[key]! - value) < 1e-12, `${what} ${key}`);
    else assert.is(found[key], value, `${what} ${key}`);
};

async function compare(
  files: Files,
  data: FolderData,
  name: string,
  {
    width,
    k,
    most,
    steps,
    each = 1,
  }: Record<"width" | "k" | "most", number> & { steps: number[]; each?: number },
): Promise<void> {
  const { split: whole, pictures, queries: all } = await mixed(files, data, name, width);
  const kept = [...whole.queries.keys()].filter((i) => i % each === 0);
  const split = { ...whole, queries: kept.map((i) => whole.queries[i]!) };
  const queries = {
    ...{ text: rowsAt(all.text, kept), image: rowsAt(all.image, kept), both: rowsAt(all.both, kept) },
  };
  const found = await auditOf(split, pictures, queries, k, most);
  const keep = Number(found.reference === "kept");
  assert.is(found.reference, protocols[data as "cirr"].references);
  // The first gallery of each category.
  const own = split.galleries.flatMap((one, g) => (one.name === split.galleries[0]!.name ? [g] : []));
  const asked = {} as Record<Way, Asked[][]>;
  for (const way of ways) {
    const all = ranksOf(split, queries[way], pictures);
    asked[way] = own.map((g) => all[2 * g + keep]!);
  }
  const parts = own.length > 1 ? own.map((_, p) => [p]) : [];
  const groups = [own.map((_, p) => p), ...parts];
  assert.is(found.groups.length, groups.length);
  for (const [g, members] of groups.entries()) {
    const group = found.groups[g]!;
    assert.is(group.category, g === 0 ? undefined : split.galleries[own[members[0]!]!]!.category);
    const mine = (way: Way) => members.flatMap((p) => asked[way][p]!);
    const [text, image, both] = [mine("text"), mine("image"), mine("both")];
    assert.is(group.queries, both.length);
    for (const way of ways) same(group.metrics[way], figuresOf(data, mine(way)), `${way} of ${g}`);
    for (const counts of group.labels) {
      const is = both.map((_, i) => [text, image, both].map((one) => one[i]!.rank <= counts.k));
      const share = (pick: (one: boolean[]) => boolean) => is.filter(pick).length;
      assert.is(
        counts.text,
        share(([t]) => t!),
      );
      assert.is(
        counts.image,
        share(([, i]) => i!),
      );
      assert.is(
        counts.each,
        share(([t, i]) => t! && i!),
      );
      assert.is(
        counts["shortcut-solvable"],
        share(([t, i]) => t! || i!),
      );
      assert.is(
        counts["shortcut-free"],
        share(([t, i]) => !(t! || i!)),
      );
      assert.is(
        counts["composition-required"],
        share(([t, i, b]) => !(t! || i!) && b!),
      );
      assert.is(
        counts.unresolved,
        share(([t, i, b]) => !(t! || i! || b!)),
      );
    }
    for (const [removal, curve] of Object.entries(group.curves) as [
      Removal,
      Audit["groups"][0]["curves"]["text"],
    ][]) {
      for (const n of steps) {
        const left = both.filter(
          (_, i) => !goes[removal]({ text: text[i]!.rank, image: image[i]!.rank, both: 0 }, n),
        );
        assert.is(curve.left[n] ?? 0, left.length, `${removal} ${n}`);
        if (left.length === 0) continue;
        const point = Object.fromEntries(Object.entries(curve.metrics).map(([key, list]) => [key, list[n]!]));
        same(point, figuresOf(data, left), `${removal} at ${n}`);
      }
      assert.ok(curve.left.length <= most + 1 && curve.left.at(-1)! > 0);
    }
  }
  const at = found.groups[0]!.labels.find((one) => one.k === k)!;
  for (const label of ["shortcut-solvable", "composition-required", "unresolved"] as const)
    assert.ok(at[label] > 0, `no query is ${label}`);
  // Every query has its own ranks, in the split's order.
  assert.equal(
    found.queries.map(({ query }) => query),
    [...split.queries.keys()],
  );
  for (const [p, g] of own.entries()) {
    const { category } = split.galleries[g]!;
    const mine = found.queries.filter(
      ({ query }) => (category ?? split.queries[query]!.category) === split.queries[query]!.category,
    );
    for (const way of ways)
      assert.equal(
        mine.map(({ ranks }) => ranks[way]),
        asked[way][p]!.map(({ rank }) => rank),
      );
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
for (const [data, name, sample] of [
  ["cirr", "val", cirrSample("val", 90)],
  ["fashioniq", "val", fashioniqSample("val", undefined, 120)],
  ["lasco", "val", lascoSample("val", 130)],
  ["circo", "val", circoSample("val", 150, 120)],
  ["jsonl", "train", jsonlSample(110)],
] as [FolderData, string, Sample][]) {
  test(`${data}: a small one's audit is the reference's, at every n`, () =>
    compare(memoryFiles(sample), data, name, { width: 6, k: 3, most: 100, steps: range(0, 100) }));
}

for (const data of ["cirr", "fashioniq"] as const) {
  test(`${data}: the audit of the data set's own files is the reference's`, async () => {
    const folder = realFolder(data);
    if (folder === null) return console.log(`\nskipped: ${data} (no annotation files beside the repository)`);
    const steps = [0, 1, 2, 7, 50, 333, 999, 1000];
    await compare(folderFiles(folder), data, "val", { width: 8, k: 10, most: 1000, steps, each: 3 });
  });
}

test("a query has the labels of its ranks, at their edges", () => {
  const labels = (text: number, image: number, both: number) => labelsOf({ text, image, both }, 10).join(" ");
  assert.is(labels(10, 11, 11), "shortcut-solvable");
  assert.is(labels(11, 10, 11), "shortcut-solvable");
  assert.is(labels(1, 1, 1), "shortcut-solvable");
  assert.is(labels(11, 11, 10), "shortcut-free composition-required");
  assert.is(labels(11, 11, 11), "shortcut-free unresolved");
  assert.is(labels(Number.POSITIVE_INFINITY, 11, 1), "shortcut-free composition-required");
});

test("a query goes where n reaches its rank, and one whose rank is infinite stays", () => {
  const { jsonl } = protocols;
  const marks: Marks[] = [1, 0, 1, 1].map((r1) => ({ r1, r5: 1, r10: 1, r50: 1 }));
  const { left, metrics } = curveOf(jsonl, marks, [1, 3, 4, Number.POSITIVE_INFINITY], 5);
  assert.equal(left, [4, 3, 3, 2, 1, 1]);
  assert.equal(metrics.r1, [3 / 4, 2 / 3, 2 / 3, 1, 1, 1]);
  // Nothing is left from n = 4 on: the curve ends before.
  const short = curveOf(jsonl, marks, [1, 3, 4, 2], 5);
  assert.equal(short.left, [4, 3, 2, 1]);
  assert.equal(short.metrics.r1, [3 / 4, 2 / 3, 1 / 2, 1]);
  assert.equal(curveOf(jsonl, [], [], 5).left, []);
});

test("embeddings that are all the same answer nothing, by any way", async () => {
  const split = await readSplit("cirr", memoryFiles(cirrSample("val", 30)), "val");
  const equal = { values: new Float32Array(30 * 4).fill(0.5), width: 4 };
  const found = await auditOf(split, equal, { text: equal, image: equal, both: equal }, 10);
  for (const { ranks } of found.queries) assert.equal(ranks, { text: 29, image: 29, both: 29 });
  assert.is(found.groups[0]!.labels.at(-1)!.unresolved, 0);
  assert.is(found.groups[0]!.labels[2]!.unresolved, 30);
});

test("queries that share a row are ranked as each by itself", async () => {
  const {
    split: whole,
    pictures,
    queries,
  } = await mixed(memoryFiles(lascoSample("val", 90)), "lasco", "val", 6);
  const asked = whole.queries.map((query, i) => ({ ...query, reference: (i * i) % 7 }));
  const split = { ...whole, queries: asked };
  const rows = asked.map(({ reference }) => reference);
  const ranksBy = async (image: { queries: Matrix; rows?: number[] }) => {
    const both = { queries: queries.both, pictures };
    const done: number[] = [];
    const found = await audit(
      engine,
      split,
      { text: both, image: { ...image, pictures }, both },
      {
        ...{ similarity: "cosine", captions: "", hash: {}, k: 5 },
        onProgress: (count) => done.push(count),
      },
    );
    assert.is(done.at(-1), 3 * 90);
    return found.queries.map(({ ranks }) => ranks.image);
  };
  const ranks = await ranksBy({ queries: pictures, rows });
  assert.equal(ranks, await ranksBy({ queries: rowsAt(pictures, rows) }));
  assert.ok(new Set(ranks).size > 20);
});

test("the spread over several texts is that of their ranks", async () => {
  // Three texts for the way from 0 to 1, two from 0 to 2, one from 3 to 1.
  const way = (reference: number, target: number, text: string) =>
    JSON.stringify({ reference: `${reference}.png`, target: `${target}.png`, text });
  const lines = [
    way(0, 1, "a"),
    way(0, 2, "b"),
    way(0, 1, "c"),
    way(3, 1, "d"),
    way(0, 2, "e"),
    way(0, 1, "f"),
  ];
  const pictures = Object.fromEntries([0, 1, 2, 3, 4, 5].map((i) => [`${i}.png`, ""]));
  const split = await readSplit("jsonl", memoryFiles({ "val.jsonl": lines.join("\n"), ...pictures }), "val");
  // Each picture has an axis of its own; a text's numbers say in which order they come.
  const axes = Float32Array.from({ length: 36 }, (_, i) => Number(i % 7 === 0));
  const texts = Float32Array.from(
    [
      [0, 6, 5, 4, 3, 2],
      [0, 6, 5, 4, 3, 2],
      [0, 3, 6, 5, 4, 2],
      [0, 6, 5, 4, 3, 2],
      [0, 5, 2, 4, 3, 1],
      [9, 1, 5, 4, 3, 2],
    ].flat(),
  );
  const both = { values: texts, width: 6 };
  const found = await auditOf(split, { values: axes, width: 6 }, { text: both, image: both, both }, 2);
  assert.equal(
    found.queries.map(({ ranks }) => ranks.both),
    [1, 2, 4, 1, 4, 5],
  );
  assert.equal(
    found.paraphrases.map(({ reference, target, texts }) => [
      reference,
      target,
      ...texts.map(({ text, rank }) => `${text}${rank}`),
    ]),
    [
      ["0.png", "1.png", "a1", "c4", "f5"],
      ["0.png", "2.png", "b2", "e4"],
    ],
  );
  const { flips, ...spread } = found.groups[0]!.paraphrases!;
  assert.equal(spread, { pairs: 2, texts: 5, best: 1.5, worst: 4.5, factor: 3.5 });
  assert.equal(flips, [
    { k: 1, pairs: 1 },
    { k: 2, pairs: 2 },
    { k: 5, pairs: 0 },
    { k: 10, pairs: 0 },
    { k: 50, pairs: 0 },
  ]);
  assert.is(spreadOf([], [1]), null);
});

/** Writes embeddings in another order than the split's. */
function writeEmbeddings(file: string, list: readonly { id: string }[], matrix: Matrix): string {
  const order = [...list.keys()].toReversed();
  const shape = [list.length, matrix.width];
  const data = rowsAt(matrix, order).values;
  const ids = JSON.stringify(order.map((i) => list[i]!.id));
  writeFileSync(at(file), writeSafetensors({ embeddings: { dtype: "F32", shape, data } }, { ids }));
  return file;
}

/** A data set in a folder, with the files of its embeddings. */
async function prepare(data: FolderData, name: string, sample: Sample) {
  await writeSample(at(data), sample);
  const { split, pictures, queries } = await mixed(memoryFiles(sample), data, name, 6);
  const embeddings = [
    ...["--data", data, "--root", data, "--split", name],
    ...["--queries", writeEmbeddings(`${data}-q.safetensors`, split.queries, queries.both)],
    ...["--gallery", writeEmbeddings(`${data}-g.safetensors`, split.pictures, pictures)],
  ];
  const text = writeEmbeddings(`${data}-t.safetensors`, split.queries, queries.text);
  return { split, pictures, queries, embeddings, text };
}
const cirr = await prepare("cirr", "val", cirrSample("val", 90));
const fashioniq = await prepare("fashioniq", "val", fashioniqSample("val", ["dress", "shirt"], 80));

test("the command writes what it found, and score takes its list", async () => {
  const { split, pictures, queries, embeddings, text } = cirr;
  const args = ["audit", ...embeddings, "--text-queries", text, "--out", "cirr-audit", "-k", "3"];
  const { code, out, err } = await runCommand(dir, [...args, "--json"]);
  assert.is(code, 0, err);
  const found = JSON.parse(out);
  const wanted = await auditOf(split, pictures, queries, 3);
  assert.equal(found.groups, JSON.parse(JSON.stringify(wanted.groups)));
  assert.equal(Object.keys(found.hash), ["queries", "text", "gallery"]);
  const read = (name: string) =>
    readFileSync(at("cirr-audit", name), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  const all = read("queries.jsonl");
  assert.equal(
    all.map(({ id, ranks }) => [id, ranks]),
    wanted.queries.map(({ query, ranks }) => [split.queries[query]!.id, ranks]),
  );
  const redundant = read("redundant.jsonl");
  assert.equal(
    redundant.map(({ id }) => id),
    all.filter(({ ranks }) => Math.min(ranks.text, ranks.image) <= 3).map(({ id }) => id),
  );
  assert.ok(redundant.length > 3 && redundant.length < 87);
  const { files, notes, ...summary } = found;
  assert.equal(JSON.parse(readFileSync(at("cirr-audit/audit.json"), "utf8")), summary);
  assert.is(files.length, 5);

  // What is left without the list is the curve's point at n = 3.
  const list = "cirr-audit/redundant.jsonl";
  const curve = found.groups[0].curves.either;
  const without = await runCommand(dir, ["score", ...embeddings, "--without", list, "--json"]);
  assert.is(without.code, 0, without.err);
  const scored = JSON.parse(without.out);
  assert.is(scored.results[0].queries, curve.left[3]);
  for (const [key, value] of Object.entries(scored.metrics)) assert.is(value, curve.metrics[key][3], key);
  assert.match(
    scored.protocol,
    new RegExp(`without the ${redundant.length} of its 90 queries that a list names`),
  );
  assert.equal(scored.results[0].filter, { kind: "without", listed: redundant.length, of: 90 });
  const only = await runCommand(dir, ["score", ...embeddings, "--only", list]);
  assert.match(
    only.out,
    new RegExp(
      `cirr val; ${redundant.length} queries; gallery: split file, 90 pictures; only the ${redundant.length} of its 90 queries that a list names; .*; list [\\da-f]{12}\\n`,
    ),
  );

  const table = await runCommand(dir, args);
  assert.is(table.code, 0, table.err);
  assert.match(
    table.out,
    /cirr val; 90 queries; gallery: split file, 90 pictures; reference removed;.*text [\da-f]{12}/,
  );
  assert.match(table.out, new RegExp(`text alone +${(100 * found.groups[0].metrics.text.r1).toFixed(2)}`));
  assert.match(table.out, new RegExp(`${redundant.length} redundant queries at rank 3`));
});

test("FashionIQ is audited in one gallery, each category in its own, and each caption by itself", async () => {
  const { split, pictures, embeddings, text } = fashioniq;
  const apart = captionsApart(split);
  assert.equal(
    apart.queries.slice(0, 2).map(({ id }) => id),
    ["dress:0/0", "dress:0/1"],
  );
  const captions = randomRows(8, apart.queries.length, 6);
  const file = writeEmbeddings("captions.safetensors", apart.queries, captions);
  const args = [
    "audit",
    ...embeddings,
    "--text-queries",
    text,
    "--caption-queries",
    file,
    "--out",
    "fiq",
    "--json",
  ];
  const { code, out, err } = await runCommand(dir, [...args, "--pictures", "val", "--reference", "removed"]);
  assert.is(code, 0, err);
  const found = JSON.parse(out);
  assert.is(found.gallery, "VAL split");
  assert.is(found.reference, "removed");
  assert.equal(
    found.groups.map(({ category }: { category?: string }) => category),
    [undefined, "dress", "shirt"],
  );
  assert.equal(Object.keys(found.hash), ["queries", "text", "captions", "gallery"]);
  // Galleries 1 and 3 are the VAL splits, with the reference removed.
  const ranks = ranksOf(apart, captions, pictures);
  const wanted = [...ranks[2]!, ...ranks[6]!].map(({ rank }) => rank);
  const pairs = readFileSync(at("fiq/paraphrases.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.is(pairs.length, split.queries.length);
  const rankOf = new Map(
    pairs.flatMap(({ texts }) => texts.map(({ id, rank }: { id: string; rank: number }) => [id, rank])),
  );
  assert.equal(
    apart.queries.map(({ id }) => rankOf.get(id)),
    wanted,
  );
  const { paraphrases } = found.groups[0];
  assert.is(paraphrases.texts, 2 * split.queries.length);
  const flipped = pairs.filter(
    ({ texts }) => new Set(texts.map(({ rank }: { rank: number }) => rank <= 10)).size === 2,
  );
  assert.is(paraphrases.flips[0].pairs, flipped.length);
  // One category alone, its pictures alone.
  const one = await runCommand(dir, [
    "audit",
    ...embeddings,
    "--text-queries",
    text,
    "--out",
    "dress",
    "--category",
    "dress",
  ]);
  assert.is(one.code, 0, one.err);
  assert.match(
    one.out,
    /fashioniq val; 60 queries of dress; gallery: original split, 80 pictures; reference kept/,
  );
  assert.not.match(one.out, /shirt|all together/);
});

test("the picture alone is the reference's row of the gallery, unless its embeddings are given", async () => {
  const { split, queries, pictures } = cirr;
  const given = {
    data: "cirr",
    root: at("cirr"),
    split: "val",
    queries: at("cirr-q.safetensors"),
    gallery: at("cirr-g.safetensors"),
    textQueries: at("cirr-t.safetensors"),
  } as const;
  const { embedded, hash } = await readGivenWays(given);
  assert.equal(rowsAt(embedded.image.queries, embedded.image.rows!), queries.image);
  assert.equal(embedded.text.queries, queries.text);
  assert.equal(embedded.both, { queries: queries.both, pictures });
  assert.not.ok("image" in hash);
  const other = randomRows(9, split.queries.length, 6);
  const imageQueries = at(writeEmbeddings("image.safetensors", split.queries, other));
  const own = await readGivenWays({ ...given, imageQueries });
  assert.equal(own.embedded.image.queries, other);
  assert.match(own.hash.image!, /^[\da-f]{64}$/);
});

test("the page shows what was found, pictures that there are, and no markup of texts", async () => {
  const root = at("pages");
  const evil = "</title><script>alert('x')</script> & \u0001";
  const sample = jsonlSample(60);
  const lines = (sample["train.jsonl"] as string).trim().split("\n");
  sample["train.jsonl"] = lines.map((line) => JSON.stringify({ ...JSON.parse(line), text: evil })).join("\n");
  const paths = await writeMiniature("jsonl", root, sample);
  for (const path of paths.slice(0, 20)) rmSync(join(root, path));
  const { split, pictures, queries } = await mixed(memoryFiles(sample), "jsonl", "train", 6);
  const found = await auditOf(split, pictures, queries, 3);
  const by = (way: Way) => ({ queries: queries[way], pictures });
  const embedded = { text: by("text"), image: by("image"), both: by("both") };
  const parts = { split, embedded, pictures: { root }, what: protocols.jsonl.what };
  await writeAudit(engine, at("page"), found, parts);
  const page = readFileSync(at("page/audit.html"), "utf8");
  assert.match(page, /^<!doctype html>.*Content-Security-Policy/s);
  assert.not.match(page, /<(script|link|iframe|img)\b/);
  assert.not.match(page, /https?:/);
  assert.not.match(page, /NaN|undefined|\[object/);
  assert.ok(page.includes("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; \ufffd"));
  const at3 = found.groups[0]!.labels.find(({ k }) => k === 3)!;
  const shown = ((100 * at3["shortcut-solvable"]) / split.queries.length).toFixed(1);
  assert.ok(page.includes(`shortcut-solvable at K = 3</small><b>${shown}<small> %`));
  // A figure of labels, the queries left, and one of each of the protocol's figures.
  assert.is(page.match(/<figure>/g)!.length, 2 + protocols.jsonl.recall.length);
  const { either } = found.groups[0]!.curves;
  assert.ok(page.includes(`by either ${percent(100 * either.metrics.r1![0]!)} at n = 0`));
  assert.match(page, /data:image\/png;base64,iVBOR/);
  const named = page.match(/class="pic named"/g)!.length;
  const drawn = page.match(/class="pic s\d+"/g)!.length;
  assert.ok(named > 0 && drawn > named, `${drawn} drawn, ${named} named`);
  assert.match(page, /of their pictures can&#39;t be read here|of their pictures can't be read here/);

  // The answers of an example are a sort's.
  for (const { query, answers, ranks, sort } of await examples(engine, split, embedded, found)) {
    const { reference, right } = split.queries[query]!;
    const is = [ranks.text <= 3, ranks.image <= 3, ranks.both <= 3].join();
    const wanted: Record<Sort, RegExp> = {
      text: /^true,false/,
      image: /^false,true/,
      "composition-required": /^false,false,true$/,
      unresolved: /^false,false,false$/,
    };
    assert.match(is, wanted[sort]);
    for (const way of ways) {
      const scores = cosines(queries[way], query, pictures);
      const best = [...scores.keys()]
        .filter((picture) => picture !== reference)
        .toSorted((a, b) => scores[b]! - scores[a]! || a - b)
        .slice(0, 5);
      assert.equal(
        answers[way],
        best.map((picture) => ({ picture, right: right.includes(picture) })),
      );
    }
  }
});

test("one process at a time writes to an audit's folder", async () => {
  await inAuditFolder(at("locked"), assert.unreachable, async () => {
    const { embeddings, text } = cirr;
    const args = ["audit", ...embeddings, "--text-queries", text, "--out", "locked"];
    await failClearly(dir, [[args, /locked is in use by process \d+/]]);
  });
});

test("a list that does not fit is told by file and line", () => {
  const { split } = cirr;
  const complaint = (content: string, kind: "only" | "without" = "only") => {
    try {
      const { split: left } = filtered(split, parseFilter(content, "list.jsonl", kind, split));
      return left.queries.map(({ id }) => id).join();
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.is(
    complaint('{"id": "107"}\n\n{"id": 100, "data": "cirr", "split": "val", "more": []}\n'),
    "100,107",
  );
  assert.is(complaint('{"id": 107}', "without").split(",").length, 89);
  assert.is(complaint("", "without").split(",").length, 90);
  for (const [content, message] of [
    ['{"id": 107}\n{"id": 107', /^list\.jsonl, line 2: malformed JSON/],
    ['{"id": 107}\n{"ids": 107}', /^list\.jsonl, line 2: field id/],
    ["[107]", /^list\.jsonl, line 1: /],
    ['{"id": 1.5}', /^list\.jsonl, line 1: field id/],
    ['{"id": 107}\n{"id": "107"}', /^list\.jsonl, line 2: query 107 is that of list\.jsonl, line 1 already/],
    ['{"id": 107}\n{"id": 108}', /^list\.jsonl, line 2: cirr val has no query 108/],
    ['{"id": 107, "data": "lasco"}', /^list\.jsonl, line 1: it is of lasco val, not cirr val/],
    ['{"id": 107, "split": "test1"}', /^list\.jsonl, line 1: it is of cirr test1, not cirr val/],
    ["", /^list\.jsonl leaves no query of cirr val/],
  ] as const)
    assert.match(complaint(content), message);
});

test("mistakes end in one clear line", async () => {
  const { split, embeddings, text, queries } = cirr;
  const few = writeEmbeddings("few.safetensors", split.queries.slice(1), rowsAt(queries.text, range(1, 89)));
  const wide = writeEmbeddings("wide.safetensors", split.queries, randomRows(9, 90, 7));
  writeFileSync(at("list.jsonl"), '{"id": "107"}\n{"id": "7"}\n');
  const whole = ["audit", ...embeddings, "--text-queries", text];
  const cases: [args: string[], message: RegExp, status?: number][] = [
    [
      ["audit", ...embeddings],
      /--run DIR, or .*--text-queries FILE and --gallery FILE are missing; see npx casement audit --help/,
      2,
    ],
    [[...whole, "-k", "0"], /-k must be a whole number from 1/, 2],
    [[...whole, "--category", "dress"], /for fashioniq, not cirr/, 2],
    [[...whole, "--only", "a", "--without", "b"], /--only and --without exclude each other/, 2],
    [[...whole, "--only", "none.jsonl"], /none\.jsonl can't be read/],
    [[...whole, "--without", "./list.jsonl"], /\.\/list\.jsonl, line 2: cirr val has no query 7/],
    [["score", ...embeddings, "--without", "list.jsonl"], /list\.jsonl, line 2: cirr val has no query 7/],
    [
      ["audit", ...embeddings, "--text-queries", few],
      /few\.safetensors lacks 1 of the 90 queries of cirr val: 100/,
    ],
    [
      ["audit", ...embeddings, "--text-queries", wide],
      /wide\.safetensors has embeddings of 7 numbers, cirr-g\.safetensors of 6/,
    ],
    [[...whole, "--image-queries", wide], /wide\.safetensors has embeddings of 7 numbers/],
    [
      [...whole, "--caption-queries", text],
      /cirr val has one caption a query: cirr-t\.safetensors is for none/,
    ],
    [
      [
        "audit",
        ...fashioniq.embeddings,
        "--text-queries",
        fashioniq.text,
        "--caption-queries",
        fashioniq.text,
      ],
      /has 120 ids that are no queries of fashioniq val: shirt:59/,
    ],
  ];
  // Each in a folder of its own: they run side by side.
  await failClearly(
    dir,
    cases.map(([args, ...rest], i) => [args[0] === "audit" ? [...args, "--out", `bad/${i}`] : args, ...rest]),
  );
});

test.after(() => {
  engine.dispose();
  rmSync(dir, { recursive: true, force: true });
});
test.run();
