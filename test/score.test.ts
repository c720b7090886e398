// score, submit, submit check and data check as people meet them: on data sets in miniature, with embeddings, submission
// files and pictures that are right, and with every fault that people's have.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits } from "../engine/index.ts";
import { writeSafetensors } from "../model/safetensors.ts";
import { checkData } from "../train/data/check.ts";
import { readSplit } from "../train/data/read.ts";
import type { FolderData, Split } from "../train/data/types.ts";
import { judge } from "../train/eval/protocols.ts";
import { checkSubmission, submissions } from "../train/eval/submit.ts";
import { readGiven } from "../train/run/given.ts";
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

// biome-ignore lint/suspicious/noExplicitAny: what is spoilt has no type any more
type Any = any;
const engine = await Engine.create({ poison: true });
const dir = mkdtempSync(join(tmpdir(), "casement-score-"));
const at = (...names: string[]) => join(dir, ...names);
const width = 8;

const random = (stream: number, index: number) => randomBits({ key: 6, stream }, index) / 2 ** 32 - 0.5;
const rows = (stream: number, count: number, columns = width) =>
  Float32Array.from({ length: count * columns }, (_, i) => random(stream, i));

/** Writes embeddings; `ids` goes into the metadata as it is where it is a text. */
function writeEmbeddings(
  file: string,
  ids: readonly unknown[] | string,
  values: Float32Array | Float64Array,
  columns = width,
): string {
  const shape = [values.length / columns, columns];
  const dtype = values instanceof Float64Array ? "F64" : "F32";
  const metadata: Record<string, string> = { ids: typeof ids === "string" ? ids : JSON.stringify(ids) };
  writeFileSync(at(file), writeSafetensors({ embeddings: { dtype, shape, data: values } }, metadata));
  return at(file);
}

const samples: [FolderData, string, Sample][] = [
  ["cirr", "val", cirrSample("val", 70)],
  ["cirr", "test1", cirrSample("test1", 70)],
  ["fashioniq", "val", fashioniqSample("val", ["dress", "shirt"], 80)],
  ["lasco", "val", lascoSample("val", 90)],
  ["circo", "val", circoSample("val", 80, 60)],
  ["circo", "test", circoSample("test", 80, 60)],
  ["jsonl", "train", jsonlSample(40)],
];
/** Files of a data set's embeddings, by `data-split`. */
const files = new Map<string, { split: Split; queries: string; gallery: string }>();
for (const [data, name, sample] of samples) {
  await writeSample(at(data), sample);
  const split = await readSplit(data, memoryFiles(sample), name);
  // In another order than the split's, ids that are numbers as numbers.
  const ids = (list: readonly { id: string }[]) =>
    list.map(({ id }) => (/^\d+$/.test(id) ? Number(id) : id)).toReversed();
  files.set(`${data}-${name}`, {
    split,
    queries: writeEmbeddings(
      `${data}-${name}-queries.safetensors`,
      ids(split.queries),
      rows(1, split.queries.length),
    ),
    gallery: writeEmbeddings(
      `${data}-${name}-gallery.safetensors`,
      ids(split.pictures),
      rows(2, split.pictures.length),
    ),
  });
}

/** Embeddings as the files have them, in the split's order. */
function embeddedOf({ queries, pictures }: Split) {
  const flipped = (values: Float32Array) => {
    const count = values.length / width;
    return Float32Array.from(
      values,
      (_, i) => values[(count - 1 - Math.floor(i / width)) * width + (i % width)]!,
    );
  };
  return {
    queries: { values: flipped(rows(1, queries.length)), width },
    pictures: { values: flipped(rows(2, pictures.length)), width },
  };
}

for (const [data, name] of samples.filter(([, name]) => !name.startsWith("test"))) {
  test(`score: ${data}`, async () => {
    const { split, queries, gallery } = files.get(`${data}-${name}`)!;
    const { code, out, err } = await runCommand(dir, [
      ...["score", "--data", data, "--root", data, "--split", name, "--queries", queries],
      ...["--gallery", gallery, "--json"],
    ]);
    assert.is(code, 0, err);
    const { protocol, metrics, results } = JSON.parse(out);
    const [first] = await judge(engine, split, embeddedOf(split), {
      ...{ similarity: "cosine", captions: "not told" },
      hash: {
        queries: createHash("sha256").update(readFileSync(queries)).digest("hex"),
        gallery: createHash("sha256").update(readFileSync(gallery)).digest("hex"),
      },
    });
    assert.equal(results[0], first);
    if (data === "fashioniq") {
      const categories = ["dress", "shirt", "mean"];
      assert.equal(
        Object.keys(metrics).toSorted(),
        categories.flatMap((one) => [`${one}-original`, `${one}-val`]).toSorted(),
      );
      assert.equal(metrics["dress-original"], first!.metrics);
      assert.is(results.length, 12);
    } else {
      assert.equal(metrics, first!.metrics);
    }
    const numbers: unknown[] = Object.values(data === "fashioniq" ? metrics["shirt-val"] : metrics);
    assert.ok(numbers.every((value) => typeof value === "number" && value >= 0 && value <= 1));
    for (const word of [data, name, "gallery: ", "reference ", "captions: not told", "cosine"]) {
      assert.ok(protocol.includes(word), `${protocol} lacks ${word}`);
    }
  });
}

test("score: the table says what its figures are of, and switches change them", async () => {
  const { queries, gallery } = files.get("fashioniq-val")!;
  const { code, out, err } = await runCommand(dir, [
    ...["score", "--data", "fashioniq", "--root", "fashioniq", "--split", "val", "--queries", queries],
    ...["--gallery", gallery, "--category", "dress", "--pictures", "val", "--reference", "removed"],
    ...["--captions", "clip4cir", "--similarity", "dot"],
  ]);
  assert.is(code, 0, err);
  assert.match(out, /without toptee/);
  assert.match(
    out,
    /queries of dress; gallery: VAL split, \d+ pictures; reference removed; captions: clip4cir; dot; queries [\da-f]{12}; gallery [\da-f]{12}/,
  );
  assert.match(out, /R@10 +R@50\n +\d+\.\d\d +\d+\.\d\d/);
  assert.not.match(out, /shirt|original|kept/);
});

/** What reading embeddings for CIRR's miniature says. */
async function complaint(changes: {
  queries?: string;
  gallery?: string;
  allowMissing?: boolean;
}): Promise<string> {
  const { queries, gallery } = files.get("cirr-val")!;
  return readGiven({ data: "cirr", root: at("cirr"), split: "val", queries, gallery, ...changes }).then(
    () => "",
    ({ name, message }) => `${name}: ${message}`,
  );
}

test("embeddings that do not fit are told by file, id and row", async () => {
  const { split } = files.get("cirr-val")!;
  const asked = split.queries.map(({ id }) => id);
  const names = split.pictures.map(({ id }) => id);
  const count = asked.length;
  const broken = (value: number) => {
    const values = rows(1, count);
    values[5 * width + 3] = value;
    return values;
  };
  const wide = Float64Array.from(rows(1, count));
  wide[4 * width] = 1e200;
  const zeros = rows(1, count);
  zeros.fill(0, 7 * width, 8 * width);
  const put = (
    ids: readonly unknown[] | string,
    values: Float32Array | Float64Array = rows(1, count),
    columns = width,
  ) => writeEmbeddings("bad.safetensors", ids, values, columns);
  const cases: [() => string, RegExp][] = [
    [
      () => put(asked, broken(Number.NaN)),
      /bad\.safetensors: the embedding of 135 \(row 5\) has NaN at column 3/,
    ],
    [() => put(asked, broken(Number.NEGATIVE_INFINITY)), /135 \(row 5\) has -Infinity at column 3/],
    [() => put(asked, wide), /\(row 4\) has Infinity as f32 at column 0/],
    [() => put(asked, zeros), /149 \(row 7\) is all zeros/],
    [
      () => put(asked, rows(1, count, 9), 9),
      /bad\.safetensors has embeddings of 9 numbers, .*gallery\.safetensors of 8/,
    ],
    [
      () => put(asked.slice(1), rows(1, count - 1)),
      /bad\.safetensors lacks 1 of the 70 queries of cirr val: 100$/,
    ],
    [() => put(asked.with(3, "100")), /"ids": 100 is there twice, for rows 0 and 3/],
    [() => put(asked.with(3, "99")), /bad\.safetensors has 1 ids that are no queries of cirr val: 99/],
    [() => put(asked.slice(1)), /69 ids for 70 rows/],
    [() => put(asked.map(Number).with(2, 1.5)), /"ids", 2: a text or a whole number was expected, not 1\.5/],
    [() => put("{}"), /"ids": a JSON list was expected/],
    [() => put("[1,"), /"ids": no JSON/],
    [
      () => {
        writeFileSync(
          at("bad.safetensors"),
          writeSafetensors({ embeddings: { dtype: "F32", shape: [2, 2], data: rows(1, 1, 4) } }),
        );
        return at("bad.safetensors");
      },
      /its metadata has no "ids"/,
    ],
    [
      () => {
        writeFileSync(
          at("bad.safetensors"),
          writeSafetensors({ other: { dtype: "F32", shape: [2, 2], data: rows(1, 1, 4) } }),
        );
        return at("bad.safetensors");
      },
      /no tensor "embeddings", but other/,
    ],
    [
      () => {
        writeFileSync(
          at("bad.safetensors"),
          writeSafetensors(
            { embeddings: { dtype: "I32", shape: [1, 2], data: Int32Array.of(1, 2) } },
            { ids: "[1]" },
          ),
        );
        return at("bad.safetensors");
      },
      /f32, f16, bf16 or f64 was expected, not I32/,
    ],
    [
      () => {
        writeFileSync(
          at("bad.safetensors"),
          writeSafetensors({ embeddings: { dtype: "F32", shape: [4], data: rows(1, 1, 4) } }, { ids: "[1]" }),
        );
        return at("bad.safetensors");
      },
      /shape \[n, d\] was expected, not \[4\]/,
    ],
    [
      () => {
        writeFileSync(at("bad.safetensors"), readFileSync(files.get("cirr-val")!.queries).subarray(0, -4));
        return at("bad.safetensors");
      },
      /bad\.safetensors: .*truncated/,
    ],
  ];
  for (const [make, message] of cases) assert.match(await complaint({ queries: make() }), message);
  const lacking = writeEmbeddings("lacking.safetensors", names.slice(2), rows(2, count - 2));
  assert.match(
    await complaint({ gallery: lacking }),
    /lacking\.safetensors lacks 2 of the pictures of cirr val: .*--allow-missing/,
  );
  const { split: left } = await readGiven({
    ...{ data: "cirr", root: at("cirr"), split: "val", allowMissing: true },
    ...{ queries: files.get("cirr-val")!.queries, gallery: lacking },
  });
  assert.is(left.galleries[0]!.pictures.length, 68);
  // The two pictures are in the subsets of these.
  assert.is(left.queries.length, 70 - 7);
  assert.match(left.notes[0]!, /without 2 missing pictures and the 7 queries/);
});

test("f16, bf16 and f64 embeddings are read as f32 is", async () => {
  const { queries, gallery } = files.get("jsonl-train")!;
  const given = { data: "jsonl", root: at("jsonl"), split: "train", queries } as const;
  const whole = await readGiven({ ...given, gallery });
  const { pictures } = whole.embedded;
  const ids = whole.split.pictures.map(({ id }) => id);
  const shape = [ids.length, width];
  const stored = {
    F64: Float64Array.from(pictures.values),
    BF16: Uint16Array.from(
      pictures.values,
      (value) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16,
    ),
  };
  for (const [dtype, data] of Object.entries(stored) as ["F64", Float64Array][]) {
    writeFileSync(
      at("typed.safetensors"),
      writeSafetensors({ embeddings: { dtype, shape, data } }, { ids: JSON.stringify(ids) }),
    );
    const { embedded } = await readGiven({ ...given, gallery: at("typed.safetensors") });
    for (const [i, value] of embedded.pictures.values.entries()) {
      const wanted = pictures.values[i]!;
      assert.ok(
        Math.abs(value - wanted) <= (dtype === "F64" ? 0 : 0.008 * Math.abs(wanted)),
        `${dtype} ${value} ${wanted}`,
      );
    }
  }
});

/** The submission files that a plain sort gives. */
function expectedLists(split: Split, kind: string): Record<string, unknown> {
  const { queries, pictures } = embeddedOf(split);
  const dot = (a: number, b: number) => {
    let sum = 0;
    let square = 0;
    for (let c = 0; c < width; c++) {
      sum += queries.values[a * width + c]! * pictures.values[b * width + c]!;
      square += pictures.values[b * width + c]! ** 2;
    }
    return sum / Math.sqrt(square);
  };
  const lists = split.queries.map(({ id, reference, members }, i) => {
    const competing = kind === "recall_subset" ? members! : [...split.pictures.keys()];
    const order = competing
      .filter((picture) => kind === "circo" || picture !== reference)
      .toSorted((a, b) => dot(i, b) - dot(i, a));
    const names = order
      .slice(0, kind === "recall_subset" ? 3 : 50)
      .map((picture) => split.pictures[picture]!.id);
    return [id, kind === "circo" ? names.map(Number) : names];
  });
  return Object.fromEntries([
    ...lists,
    ...(kind === "circo"
      ? []
      : [
          ["version", "rc2"],
          ["metric", kind],
        ]),
  ]);
}

test("submit: the files are a plain sort's, and pass their own check", async () => {
  for (const [data, name] of [
    ["cirr", "test1"],
    ["circo", "test"],
  ] as const) {
    const { split, queries, gallery } = files.get(`${data}-${name}`)!;
    const { code, out, err } = await runCommand(dir, [
      ...["submit", "--data", data, "--root", data, "--queries", queries, "--gallery", gallery],
      ...["--out", "submissions", "--json"],
    ]);
    assert.is(code, 0, err);
    const written = JSON.parse(out).files as { file: string; problems: string[] }[];
    assert.is(written.length, data === "cirr" ? 2 : 1);
    for (const { file, problems } of written) {
      assert.equal(problems, []);
      const content = JSON.parse(readFileSync(at(file), "utf8"));
      assert.equal(content, expectedLists(split, content.metric ?? "circo"));
      const check = await runCommand(dir, ["submit", "check", file, "--root", data]);
      assert.is(check.code, 0, check.out + check.err);
      assert.match(check.out, /Nothing that the server would refuse/);
    }
  }
});

test("submit check says in words what a server would refuse", async () => {
  const { split } = files.get("cirr-test1")!;
  const texts = await submissions(engine, split, embeddedOf(split), "cosine");
  const spoil = (
    kind: "recall" | "recall_subset",
    edit: (content: Any) => unknown,
    own: Split | null = split,
  ) => {
    const content = JSON.parse(texts[kind]!);
    const changed = edit(content) ?? content;
    const text = typeof changed === "string" ? changed : JSON.stringify(changed);
    return checkSubmission(text, own ?? undefined).problems.join("\n");
  };
  const reference = split.pictures[split.queries[1]!.reference]!.id;
  const cases: [string, RegExp][] = [
    [spoil("recall", () => {}), /^$/],
    [
      spoil("recall", (c) => {
        c.version = "rc1";
      }),
      /^"version" must be "rc2", not "rc1"\.$/,
    ],
    [
      spoil("recall", (c) => {
        delete c.version;
      }),
      /^"version" must be "rc2", but is missing\.$/,
    ],
    [
      spoil("recall", (c) => {
        c.metric = "r50";
      }),
      /^"metric" must be "recall" or "recall_subset", not "r50"\.$/,
    ],
    [
      spoil("recall", (c) => {
        delete c.metric;
      }),
      /"metric" must be .* but is missing/,
    ],
    [
      spoil("recall", (c) => {
        c["107"].pop();
      }),
      /^1 query has another number of names than 50: 107 \(49\)\.$/,
    ],
    [
      spoil("recall_subset", (c) => {
        c["107"].push("x");
        c["114"] = [];
      }),
      /2 queries have another number of names than 3: 107 \(4\), 114 \(0\)/,
    ],
    [
      spoil("recall", (c) => {
        c["107"][9] = reference;
      }),
      /^1 query has the reference picture among the answers: 107\.$/,
    ],
    [
      spoil("recall", (c) => {
        c["107"][9] = "dev-1-1-img1";
      }),
      /^1 query has names that are no pictures of the split: 107 \(dev-1-1-img1\)\.$/,
    ],
    [
      spoil("recall", (c) => {
        c["107"][9] = c["107"][8];
      }),
      /^1 query has an answer twice: 107/,
    ],
    [
      spoil("recall_subset", (c) => {
        c["107"][0] = "test1-40-0-img1";
      }),
      /^1 query has names outside of the subset: 107 \(test1-40-0-img1\)\.$/,
    ],
    [
      spoil("recall", (c) => {
        delete c["107"];
        delete c["114"];
      }),
      /^2 queries of cirr test1's 70 are missing: 107, 114\.$/,
    ],
    [
      spoil("recall", (c) => {
        c["9999"] = c["107"];
      }),
      /^1 key is no query of cirr test1: 9999\.$/,
    ],
    [
      spoil("recall", (c) => {
        c["107"] = "none";
      }),
      /^1 query has no list: 107\.$/,
    ],
    [
      spoil("recall", (c) => {
        c["107"][3] = 12;
      }),
      /answers that are no names: 107 \(12\)/,
    ],
    [
      spoil("recall", (c) => JSON.stringify(c).replace('"114":', '"107":[],"114":')),
      /1 key is there more than once, and only the last would count: 107\.\n1 query has another/,
    ],
    [spoil("recall", (c) => JSON.stringify(c).slice(0, -9)), /^It is no JSON: line 1: the file ends early/],
    [spoil("recall", () => []), /^It is no JSON object/],
    [
      spoil("recall", (c) => {
        c["100"][0] = "x".repeat(5e6);
      }),
      /^It has 5\.\d MB; the server takes 5 MB at most\./,
    ],
    [spoil("recall", () => {}, null), /^It has 70 queries; CIRR's test1 has 4148\.$/],
  ];
  for (const [found, message] of cases) assert.match(found, message);

  const own = files.get("circo-test")!.split;
  const { circo } = await submissions(engine, own, embeddedOf(own), "cosine");
  const content = JSON.parse(circo!);
  const problems = (changed: unknown, split: Split | null = own) =>
    checkSubmission(JSON.stringify(changed), split ?? undefined).problems.join("\n");
  const [head, ...tail] = content["3"];
  assert.is(problems(content), "");
  assert.match(problems({ ...content, 3: tail }), /another number of ids than 50: 3 \(49\)/);
  assert.match(problems({ ...content, 3: [...tail, `${head}`] }), /no whole numbers: 3 \("\d+"\)/);
  assert.match(problems({ ...content, 3: [...tail, 1] }), /ids that are no pictures of the split: 3 \(1\)/);
  assert.match(problems({ ...content, 3: [...tail, tail[0]] }), /an answer twice: 3/);
  assert.match(problems({ ...content, version: "rc2" }), /"version" is no query/);
  assert.match(problems({ ...content, 60: content[3] }), /1 key is no query of circo test: 60/);
  assert.match(
    problems({ ...content, 1000: content[3] }, null),
    /has 61 queries; CIRCO's test has 800.*\n.*not from 0 to 799: 1000/,
  );
});

test("CIRR's own names pass, with a real split", async () => {
  const folder = realFolder("cirr");
  if (folder === null)
    return console.log("\nskipped: CIRR's own names (no annotation files beside the repository)");
  const captions = JSON.parse(readFileSync(join(folder, "captions/cap.rc2.val.json"), "utf8"));
  const names = Object.keys(
    JSON.parse(readFileSync(join(folder, "image_splits/split.rc2.val.json"), "utf8")),
  );
  const lists = captions.map(({ pairid, reference }: { pairid: number; reference: string }) => [
    pairid,
    names.filter((name) => name !== reference).slice(pairid % 1000, (pairid % 1000) + 50),
  ]);
  writeFileSync(
    at("real.json"),
    JSON.stringify({ version: "rc2", metric: "recall", ...Object.fromEntries(lists) }),
  );
  const args = ["submit", "check", "real.json", "--root", folder, "--split", "val", "--json"];
  const { code, out, err } = await runCommand(dir, args);
  assert.is(code, 0, out + err);
  assert.equal(JSON.parse(out).problems, []);
});

const emoji = dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json"));
/** A JPEG of an emoji, of a side that changes. */
const jpeg = (i: number) =>
  sharp(join(emoji, "img/google/64", ["1f44b.png", "1f600.png", "2600-fe0f.png"][i % 3]!))
    .resize(17 + (i % 23), 31 + (i % 7))
    .flatten({ background: "white" })
    .jpeg()
    .toBuffer();

test("data check names missing and broken pictures, and counts the queries that are lost", async () => {
  const root = at("pictures");
  await writeSample(root, cirrSample("val", 20));
  mkdirSync(join(root, "img_raw/dev"), { recursive: true });
  const { pictures, queries } = await readSplit("cirr", memoryFiles(cirrSample("val", 20)), "val");
  for (const [i, { path }] of pictures.entries()) {
    const bytes = await jpeg(i);
    if (i !== 4)
      writeFileSync(join(root, path), i === 11 ? bytes.subarray(0, bytes.length / 2) : i === 12 ? "" : bytes);
  }
  const { code, out } = await runCommand(dir, [
    "data",
    "check",
    "--data",
    "cirr",
    "--root",
    "pictures",
    "--json",
  ]);
  assert.is(code, 1);
  const check = JSON.parse(out);
  assert.equal(check.missing, [pictures[4]!.path]);
  assert.equal(
    check.undecodable.map(({ path }: { path: string }) => path),
    [pictures[11]!.path, pictures[12]!.path].toSorted(),
  );
  const gone = new Set([4, 11, 12]);
  const lost = queries.filter(({ members }) => members!.some((one) => gone.has(one)));
  assert.ok(lost.length > 5 && lost.length < 20);
  const [split] = check.splits;
  assert.equal(
    [split.pictures, split.missing, split.undecodable, split.queries, split.lost],
    [20, 1, 2, 20, lost.length],
  );
  assert.equal(split.counts, [
    { what: "queries", found: 20, published: 4181 },
    { what: "pictures", found: 20, published: 2297 },
  ]);
  const text = await runCommand(dir, ["data", "check", "--data", "cirr", "--root", "pictures"]);
  assert.match(text.out, new RegExp(`1 missing, 2 broken of 20; queries lost: ${lost.length} of 20`));
  assert.match(text.out, /20 queries, published: 4181/);
  assert.match(text.out, /is not whole/);
});

test("data check says what is wrong with one split, and checks the others", async () => {
  const root = at("halves");
  const test1 = cirrSample("test1");
  await writeSample(root, { ...cirrSample("val"), ...test1, "captions/cap.rc2.val.json": '[{"pairid": 1}]' });
  const { ok, splits } = await checkData("cirr", root);
  assert.is(ok, false);
  assert.match(splits[0]!.error!, /cap\.rc2\.val\.json, entry 0: field reference/);
  assert.is(splits[1]!.error, null);
  assert.is(splits[1]!.lost, 12);
});

test("a twentieth of 120,000 small pictures is checked in a twentieth of two minutes", async () => {
  const root = at("folder");
  mkdirSync(root);
  const bytes = await Promise.all([0, 1, 2, 3, 4, 5].map(jpeg));
  for (let i = 0; i < 6000; i++) writeFileSync(join(root, `${i}.jpg`), bytes[i % 6]!);
  writeFileSync(join(root, "77.jpg"), bytes[0]!.subarray(0, 300));
  const before = process.cpuUsage();
  const { splits, undecodable } = await checkData("folder", root);
  const { user, system } = process.cpuUsage(before);
  assert.is(splits[0]!.pictures, 6000);
  assert.equal(
    undecodable.map(({ path }) => path),
    ["77.jpg"],
  );
  // Of the processors' time, of which two minutes on two cores have four: others may be at work on the machine.
  assert.ok((user + system) / 1e6 < 240 / 20, `${(user + system) / 1e6} s`);
});

test("mistakes end in one clear line", async () => {
  const { queries, gallery } = files.get("cirr-val")!;
  const embeddings = ["--queries", queries, "--gallery", gallery];
  const secret = files.get("cirr-test1")!;
  await failClearly(dir, [
    [
      ["score", "--data", "mnist", "--root", "cirr", "--split", "val", ...embeddings],
      /--data must be cirr, .* or jsonl/,
      2,
    ],
    [
      ["score", "--data", "cirr", "--split", "val", ...embeddings],
      /--root DIR is missing; see npx casement score --help/,
      2,
    ],
    [
      ["score", "--data", "cirr", "--root", "cirr", "--split", "val", "--category", "dress", ...embeddings],
      /for fashioniq, not cirr/,
      2,
    ],
    [
      ["score", "--data", "cirr", "--root", "cirr", "--split", "dev", ...embeddings],
      /no split "dev" of cirr, but val, test1/,
    ],
    [
      ["score", "--data", "lasco", "--root", "cirr", "--split", "val", ...embeddings],
      /cirr holds no annotations of lasco/,
    ],
    [
      [
        "score",
        "--data",
        "cirr",
        "--root",
        "cirr",
        "--split",
        "test1",
        "--queries",
        secret.queries,
        "--gallery",
        secret.gallery,
      ],
      /kept by its server.*casement submit/,
    ],
    [
      [
        "score",
        "--data",
        "cirr",
        "--root",
        "cirr",
        "--split",
        "val",
        "--queries",
        "none.safetensors",
        "--gallery",
        gallery,
      ],
      /none\.safetensors/,
    ],
    [["submit", "check"], /FILE is missing; see npx casement submit check --help/, 2],
    [["submit", "check", "none.json"], /none\.json can't be read/],
    [
      ["submit", "--data", "lasco", "--root", "lasco", ...embeddings, "--out", "x"],
      /--data must be cirr or circo/,
      2,
    ],
    [["data"], /There is no command "data"/, 2],
    [["data", "check", "--data", "cirr"], /--root DIR is missing; see npx casement data check --help/, 2],
    [["data", "check", "--data", "circo", "--root", "cirr"], /holds no annotations of circo/],
  ]);
});

test.after(() => {
  engine.dispose();
  rmSync(dir, { recursive: true, force: true });
});
test.run();
