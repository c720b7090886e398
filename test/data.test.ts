// Annotation files of the data sets: what is read is what they hold, and what is wrong with one is told by file and entry.
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseJson, scan } from "../train/data/json.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit, splitsOf } from "../train/data/read.ts";
import type { FolderData, Query, Split } from "../train/data/types.ts";
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

/** A query with its pictures' ids in place of their indices. */
function named({ pictures }: Split, { id, reference, texts, right, members, category, concept }: Query) {
  const name = (i: number) => pictures[i]!.id;
  return {
    ...{ id, reference: name(reference), texts, right: right.map(name) },
    ...(members && { members: members.map(name) }),
    ...(category && { category }),
    ...(concept && { concept }),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: files as they are, read without the readers
const plain = (value: unknown) => value as any;

/** What a split should hold, from its files without the readers: queries, and ids and paths by gallery. */
const expected: Record<string, (sample: Sample, split: string) => { queries: unknown[]; galleries: Sample }> =
  {
    cirr(sample, split) {
      const paths = plain(sample[`image_splits/split.rc2.${split}.json`]);
      return {
        queries: plain(sample[`captions/cap.rc2.${split}.json`]).map((one: Sample) => ({
          ...{ id: `${one.pairid}`, reference: one.reference, texts: [one.caption] },
          ...{ right: split === "test1" ? [] : [one.target_hard], members: plain(one.img_set).members },
        })),
        galleries: {
          "split file": Object.entries(paths).map(([id, path]) => [id, `img_raw/${plain(path).slice(2)}`]),
        },
      };
    },
    fashioniq(sample, split) {
      const galleries: Sample = {};
      const queries = ["dress", "shirt", "toptee"].flatMap((category) => {
        const list = plain(sample[`captions/cap.${category}.${split}.json`]);
        if (!list) return [];
        const all = plain(sample[`image_splits/split.${category}.${split}.json`]);
        const used = new Set(list.flatMap((one: Sample) => [one.candidate, one.target]));
        const file = (id: string) => [id, `images/${id}.jpg`];
        galleries[`original split of ${category}`] = all.map(file);
        galleries[`${split === "val" ? "VAL split" : "pictures in queries"} of ${category}`] = all
          .filter((id: string) => used.has(id))
          .map(file);
        return list.map(({ candidate, target, captions }: Sample, i: number) => ({
          ...{ id: `${category}:${i}`, reference: candidate, texts: captions },
          ...{ right: target === undefined ? [] : [target], category },
        }));
      });
      return { queries, galleries };
    },
    lasco(sample, split) {
      const corpus = plain(sample[`lasco_${split}_corpus.json`]);
      const list = Array.isArray(corpus)
        ? corpus
        : Object.entries(corpus).map(([id, path]) => ({ id: Number(id), path }));
      return {
        queries: plain(sample[`lasco_${split}.json`]).map((one: Sample) => ({
          ...{ id: `${one.qid}`, reference: `${plain(one["query-image"])[0]}`, texts: [one["query-text"]] },
          right: [`${plain(one["target-image"])[0]}`],
        })),
        galleries: {
          "whole corpus": list.map(({ id, path }) => [`${id}`, plain(path).replace(/^\w+\//, "")]),
        },
      };
    },
    circo(sample, split) {
      const { images } = plain(sample["COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"]);
      return {
        queries: plain(sample[`annotations/${split}.json`]).map((one: Sample) => ({
          ...{ id: `${one.id}`, reference: `${one.reference_img_id}`, texts: [one.relative_caption] },
          ...{ right: plain(one.gt_img_ids ?? []).map(String), concept: one.shared_concept },
        })),
        galleries: {
          "COCO 2017 unlabeled": images.map(({ id, file_name }: Sample) => [
            `${id}`,
            `COCO2017_unlabeled/unlabeled2017/${file_name}`,
          ]),
        },
      };
    },
  };

function compare(split: Split, { queries, galleries }: { queries: unknown[]; galleries: Sample }): void {
  assert.is(split.queries.length, queries.length);
  for (const [i, query] of split.queries.entries()) assert.equal(named(split, query), queries[i], `${i}`);
  const found = split.galleries.map(({ name, category, pictures }) => [
    category ? `${name} of ${category}` : name,
    Array.from(pictures, (i) => [split.pictures[i]!.id, split.pictures[i]!.path]),
  ]);
  assert.equal(Object.fromEntries(found), galleries);
}

const samples: [FolderData, string, Sample][] = [
  ["cirr", "train", cirrSample("train")],
  ["cirr", "val", cirrSample("val")],
  ["cirr", "test1", cirrSample("test1")],
  ["fashioniq", "val", fashioniqSample("val")],
  ["fashioniq", "train", fashioniqSample("train", ["shirt"])],
  ["fashioniq", "test", fashioniqSample("test")],
  ["lasco", "val", lascoSample("val")],
  ["lasco", "train", lascoSample("train")],
  ["circo", "val", circoSample("val")],
  ["circo", "test", circoSample("test")],
];
for (const [data, split, sample] of samples) {
  test(`${data} ${split}: what is read is what the files hold`, async () => {
    const files = memoryFiles(sample);
    assert.equal(await splitsOf(data, files), [split]);
    compare(await readSplit(data, files, split), expected[data]!(sample, split));
  });
}

/** The real files of a split, by their paths. */
function realSample(folder: string, paths: readonly string[]): Sample {
  return Object.fromEntries(
    paths.map((path) => [path, JSON.parse(readFileSync(join(folder, path), "utf8"))]),
  );
}

const realSplits: [FolderData, string, string[], string][] = [
  [
    ...["cirr", "val", ["captions/cap.rc2.val.json", "image_splits/split.rc2.val.json"]],
    "4181 queries, 2297 pictures",
  ],
  ...["train", "val"].map((split) => [
    ...["fashioniq", split],
    ["dress", "shirt"].flatMap((one) => [
      `captions/cap.${one}.${split}.json`,
      `image_splits/split.${one}.${split}.json`,
    ]),
    split === "val" ? "4055 queries, 10163 pictures" : "11973 queries, 30488 pictures",
  ]),
] as [FolderData, string, string[], string][];
for (const [data, split, paths, counts] of realSplits) {
  test(`${data} ${split}: the data set's own files`, async () => {
    const folder = realFolder(data);
    if (folder === null)
      return console.log(`\nskipped: ${data} ${split} (no annotation files beside the repository)`);
    const read = await readSplit(data, folderFiles(folder), split);
    assert.is(`${read.queries.length} queries, ${read.pictures.length} pictures`, counts);
    compare(read, expected[data]!(realSample(folder, paths), split));
  });
}

test("FashionIQ's VAL split galleries have the sizes that are published", async () => {
  const folder = realFolder("fashioniq");
  if (folder === null)
    return console.log("\nskipped: FashionIQ's galleries (no annotation files beside the repository)");
  const { galleries, notes } = await readSplit("fashioniq", folderFiles(folder), "val");
  assert.equal(
    galleries.map(({ name, category, pictures }) => `${name} ${category} ${pictures.length}`),
    [
      "original split dress 3817",
      "VAL split dress 2628",
      "original split shirt 6346",
      "VAL split shirt 3089",
    ],
  );
  assert.match(notes[0]!, /without toptee/);
});

test("FashionIQ's pictures are found by their ids, whatever their endings and folders", async () => {
  const { pictures } = await readSplit(
    "fashioniq",
    memoryFiles({
      ...fashioniqSample("val"),
      "images/B00D1000.png": "",
      "images/shirt/B00S1001.jpeg": "",
      "images/B00T1002.txt": "",
    }),
    "val",
  );
  const path = (wanted: string) => pictures.find(({ id }) => id === wanted)!.path;
  assert.is(path("B00D1000"), "images/B00D1000.png");
  assert.is(path("B00S1001"), "images/shirt/B00S1001.jpeg");
  assert.is(path("B00T1002"), "images/B00T1002.jpg");
});

test("CIRR's and LaSCo's pictures are found in the layouts that people have", async () => {
  const cirr = async (prefix: string, picture: string) => {
    const entries = Object.entries(cirrSample("val")).map(([path, content]) => [prefix + path, content]);
    const files = memoryFiles({ ...Object.fromEntries(entries), [picture]: "" });
    return (await readSplit("cirr", files, "val")).pictures[0]!.path;
  };
  const [name] = Object.keys(plain(cirrSample("val")["image_splits/split.rc2.val.json"]));
  for (const [prefix, folder] of [
    ["", "img_raw/dev/"],
    ["", "dev/"],
    ["cirr/", "dev/"],
    ["cirr/", "cirr/img_raw/dev/"],
  ] as const) {
    assert.is(await cirr(prefix, `${folder}x.png`), `${folder}${name}.png`);
  }
  const lasco = async (folder: string) =>
    (await readSplit("lasco", memoryFiles({ ...lascoSample("val"), [`${folder}val2014/x.jpg`]: "" }), "val"))
      .pictures[0]!.path;
  for (const folder of ["", "val/", "images/", "coco/"]) {
    assert.is(await lasco(folder), `${folder}val2014/COCO_val2014_000000000010.jpg`);
  }
});

test("a LaSCo without the list of its training pictures has those of its triplets", async () => {
  const sample = lascoSample("train");
  const whole = await readSplit("lasco", memoryFiles(sample), "train");
  const { "lasco_train.json": triplets } = sample;
  const alone = await readSplit("lasco", memoryFiles({ "lasco_train.json": triplets }), "train");
  assert.equal(
    alone.queries.map((query) => named(alone, query)),
    whole.queries.map((query) => named(whole, query)),
  );
  const sorted = ({ pictures }: Split) => pictures.toSorted((a, b) => Number(a.id) - Number(b.id));
  assert.equal(sorted(alone), sorted(whole));
  assert.match(alone.notes[0]!, /without lasco_train_corpus/);
});

test("lines of one's own, and a folder of pictures", async () => {
  const files = memoryFiles(jsonlSample());
  assert.equal(await splitsOf("jsonl", files), ["val", "train"]);
  const val = await readSplit("jsonl", files, "val");
  assert.equal(
    val.queries.map((query) => named(val, query)),
    [0, 1, 2].map((i) => ({
      ...{ id: `mine-${i}`, reference: `pictures/${i}.png`, texts: [`number ${i + 1}`] },
      right: i === 1 ? ["pictures/2.png"] : [`pictures/${i + 1}.png`, `pictures/${i + 2}.png`],
    })),
  );
  const train = await readSplit("jsonl", files, "train");
  assert.equal(
    train.queries.map(({ id }) => id),
    ["0", "1", "2", "3", "4"],
  );
  assert.is(val.galleries[0]!.pictures.length, 10);
  const folder = await readSplit("folder", files, "all");
  assert.equal(folder.pictures, val.pictures);
  assert.is(folder.queries.length, 0);
});

test("a folder is walked whatever its name ends with, and a link to nothing is a picture that is missing", async () => {
  const root = mkdtempSync(join(tmpdir(), "casement-data-"));
  try {
    const paths = ["a.png", "holiday.jpg/1.jpg", "holiday.jpg/sub.gif/2.png", "x.svg/3.webp"];
    await writeSample(root, Object.fromEntries(paths.map((path) => [path, "picture"])));
    symlinkSync(join(root, "holiday.jpg"), join(root, "link.png"));
    symlinkSync(join(root, "nowhere"), join(root, "gone.png"));
    symlinkSync(root, join(root, "loop.png"));
    const { pictures } = await readSplit("folder", folderFiles(root), "all");
    assert.equal(
      pictures.map(({ path }) => path),
      ["a.png", "gone.png", ...paths.slice(1, 3), "link.png/1.jpg", "link.png/sub.gif/2.png", paths[3]],
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

/** A sample with one thing changed: `edit` gets the parsed file. */
function spoilt(sample: Sample, file: string, edit: (content: Any) => unknown): Sample {
  const copy = structuredClone(sample);
  return { ...copy, [file]: edit(plain(copy[file])) ?? copy[file] };
}
// biome-ignore lint/suspicious/noExplicitAny: what is spoilt has no type any more
type Any = any;

const [cirr, fiq, lasco, circo] = [
  cirrSample("val"),
  fashioniqSample("val"),
  lascoSample("val"),
  circoSample("val"),
];
const [cap, list] = ["captions/cap.rc2.val.json", "image_splits/split.rc2.val.json"];
const [dress, dresses] = ["captions/cap.dress.val.json", "image_splits/split.dress.val.json"];
const coco = "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json";
const text = (value: unknown) => JSON.stringify(value, null, 1);
const faults: [FolderData, string, Sample, RegExp][] = [
  [
    "fashioniq",
    "double triplet",
    spoilt(fiq, dress, (c) => {
      c.push(c[2]);
    }),
    /cap\.dress\.val\.json, entry 12: the triplet .* is that of captions\/cap\.dress\.val\.json, entry 2/,
  ],
  [
    "jsonl",
    "double triplet",
    spoilt(jsonlSample(), "train.jsonl", (c) => c + c.split("\n")[2].replace("mine-2", "mine-9")),
    /line 10: the triplet \["pictures\/2\.png","number 3","pictures\/3\.png","pictures\/4\.png"\] is that of train\.jsonl, line 3/,
  ],
  [
    "cirr",
    "malformed",
    spoilt(cirr, cap, (c) => text(c).replace('"pairid": 121', '"pairid": ')),
    /cap\.rc2\.val\.json: malformed JSON in entry 3 \(line \d+, column \d+\): value expected/,
  ],
  [
    "cirr",
    "cut off",
    spoilt(cirr, cap, (c) => text(c).slice(0, -30)),
    /malformed JSON in entry 11 .*ends early/,
  ],
  ["cirr", "empty", spoilt(cirr, cap, () => ""), /cap\.rc2\.val\.json: malformed JSON.*ends early/],
  [
    "cirr",
    "a comma too many",
    spoilt(cirr, cap, (c) => text(c).replace(/\n\]$/, ",\n]")),
    /malformed JSON in entry 11 .*value expected, not "\]"/,
  ],
  ["cirr", "two at once", spoilt(cirr, cap, (c) => `${text(c)}[]`), /the end expected/],
  ["cirr", "a web page", spoilt(cirr, cap, () => "<!DOCTYPE html>"), /cap\.rc2\.val\.json is a web page/],
  [
    "cirr",
    "a pointer",
    spoilt(cirr, cap, () => "version https://git-lfs.github.com/spec/v1\noid x"),
    /Git LFS pointer/,
  ],
  ["cirr", "an object", spoilt(cirr, cap, () => ({})), /a list was expected/],
  [
    "cirr",
    "a text as pairid",
    spoilt(cirr, cap, (c) => {
      c[4].pairid = "128";
    }),
    /entry 4: field pairid: .*\("128"\)/,
  ],
  [
    "cirr",
    "no caption",
    spoilt(cirr, cap, (c) => {
      delete c[5].caption;
    }),
    /entry 5: field caption/,
  ],
  [
    "cirr",
    "null",
    spoilt(cirr, cap, (c) => {
      c[6] = null;
    }),
    /entry 6: /,
  ],
  [
    "cirr",
    "no target",
    spoilt(cirr, cap, (c) => {
      delete c[5].target_hard;
    }),
    /entry 5 \(pairid 135\): field target_hard is missing/,
  ],
  [
    "cirr",
    "unknown reference",
    spoilt(cirr, cap, (c) => {
      c[2].reference = "val-99";
    }),
    /entry 2 \(pairid 114\): picture "val-99" is not in image_splits/,
  ],
  [
    "cirr",
    "unknown target",
    spoilt(cirr, cap, (c) => {
      c[2].target_hard = "val-99";
    }),
    /entry 2 .*"val-99" is not in/,
  ],
  [
    "cirr",
    "unknown member",
    spoilt(cirr, cap, (c) => {
      c[2].img_set.members[5] = "val-99";
    }),
    /entry 2 .*"val-99"/,
  ],
  [
    "cirr",
    "double member",
    spoilt(cirr, cap, (c) => {
      c[2].img_set.members[5] = c[2].img_set.members[4];
    }),
    /entry 2 .*members twice/,
  ],
  [
    "cirr",
    "target outside its subset",
    spoilt(cirr, cap, (c) => {
      c[2].target_hard = "val-0-0-img1";
    }),
    /entry 2 .*target_hard is not among/,
  ],
  [
    "cirr",
    "target = reference",
    spoilt(cirr, cap, (c) => {
      c[2].target_hard = c[2].reference;
    }),
    /entry 2 .*the target is the reference/,
  ],
  [
    "cirr",
    "double pairid",
    spoilt(cirr, cap, (c) => {
      c[7].pairid = c[3].pairid;
    }),
    /entry 7 \(pairid 121\): pairid 121 is that of .*entry 3/,
  ],
  [
    "cirr",
    "double name",
    spoilt(cirr, list, (c) => text(c).replace("val-5-0-img1", "val-4-0-img1")),
    /"val-4-0-img1" is there twice/,
  ],
  [
    "cirr",
    "a number as path",
    spoilt(cirr, list, (c) => {
      c["val-5-0-img1"] = 5;
    }),
    /split\.rc2\.val\.json, "val-5-0-img1": a path/,
  ],
  [
    "cirr",
    "a path that leaves",
    spoilt(cirr, list, (c) => {
      c["val-5-0-img1"] = "../../../etc/passwd";
    }),
    /"val-5-0-img1".*leads out of the folder/,
  ],
  [
    "fashioniq",
    "one caption",
    spoilt(fiq, dress, (c) => {
      c[1].captions.pop();
    }),
    /cap\.dress\.val\.json, entry 1: field captions/,
  ],
  [
    "fashioniq",
    "a picture of another category",
    spoilt(fiq, dress, (c) => {
      c[1].target = "B00S1001";
    }),
    /entry 1: picture "B00S1001" is not in image_splits\/split\.dress/,
  ],
  [
    "fashioniq",
    "no target",
    spoilt(fiq, dress, (c) => {
      delete c[1].target;
    }),
    /entry 1: field target is missing/,
  ],
  [
    "fashioniq",
    "target = candidate",
    spoilt(fiq, dress, (c) => {
      c[1].target = c[1].candidate;
    }),
    /entry 1: the target is the candidate/,
  ],
  [
    "fashioniq",
    "double id",
    spoilt(fiq, dresses, (c) => {
      c.push(c[3]);
    }),
    /split\.dress\.val\.json, entry 16: .*twice/,
  ],
  [
    "fashioniq",
    "a number as id",
    spoilt(fiq, dresses, (c) => {
      c[3] = 3;
    }),
    /split\.dress\.val\.json, entry 3: .*\(3\)/,
  ],
  [
    "lasco",
    "unknown query image",
    spoilt(lasco, "lasco_val.json", (c) => {
      c[2]["query-image"][0] = 99;
    }),
    /lasco_val\.json, entry 2 \(qid 5002\): picture "99" is not in lasco_val_corpus/,
  ],
  [
    "lasco",
    "unknown target",
    spoilt(lasco, "lasco_val.json", (c) => {
      c[2]["target-image"][0] = 99;
    }),
    /entry 2 .*"99"/,
  ],
  [
    "lasco",
    "double qid",
    spoilt(lasco, "lasco_val.json", (c) => {
      c[2].qid = 5000;
    }),
    /entry 2 .*qid 5000 is that of lasco_val\.json, entry 0/,
  ],
  [
    "lasco",
    "no pair",
    spoilt(lasco, "lasco_val.json", (c) => {
      c[2]["target-image"] = 12;
    }),
    /entry 2: field target-image/,
  ],
  [
    "lasco",
    "double picture",
    spoilt(lasco, "lasco_val_corpus.json", (c) => {
      c[4].id = 11;
    }),
    /lasco_val_corpus\.json, entry 4: picture 11 is there twice/,
  ],
  [
    "lasco",
    "no corpus",
    { "lasco_val.json": lasco["lasco_val.json"] },
    /lasco_val_corpus\.json can't be read/,
  ],
  [
    "circo",
    "unknown answer",
    spoilt(circo, "annotations/val.json", (c) => {
      c[3].gt_img_ids[1] = 1;
    }),
    /annotations\/val\.json, entry 3 \(id 3\): picture "1" is not in/,
  ],
  [
    "circo",
    "another first answer",
    spoilt(circo, "annotations/val.json", (c) => {
      c[3].target_img_id = 100;
    }),
    /entry 3 .*not the first of gt_img_ids/,
  ],
  [
    "circo",
    "no answers",
    spoilt(circo, "annotations/val.json", (c) => {
      delete c[3].gt_img_ids;
      delete c[3].target_img_id;
    }),
    /entry 3 .*gt_img_ids is missing/,
  ],
  [
    "circo",
    "double answer",
    spoilt(circo, "annotations/val.json", (c) => {
      c[3].gt_img_ids[1] = c[3].gt_img_ids[2];
    }),
    /entry 3 .*twice/,
  ],
  [
    "circo",
    "the reference as answer",
    spoilt(circo, "annotations/val.json", (c) => {
      c[3].gt_img_ids[1] = c[3].reference_img_id;
    }),
    /entry 3 .*the reference is among/,
  ],
  [
    "circo",
    "double picture",
    spoilt(circo, coco, (c) => {
      c.images[3].id = 100;
    }),
    /image_info_unlabeled2017\.json, images 3: picture 100 is there twice/,
  ],
  ["circo", "no pictures", spoilt(circo, coco, () => ({})), /image_info_unlabeled2017\.json: field images/],
  [
    "jsonl",
    "malformed",
    spoilt(jsonlSample(), "train.jsonl", (c) => c.replace('{"reference":"pictures/1.png"', "{reference")),
    /train\.jsonl, line 2: malformed JSON/,
  ],
  [
    "jsonl",
    "unknown target",
    spoilt(jsonlSample(), "train.jsonl", (c) =>
      c.replace('"target":"pictures/2.png"', '"target":"pictures/77.txt"'),
    ),
    /train\.jsonl, line 2: "pictures\/77\.txt" is no picture/,
  ],
  [
    "jsonl",
    "double id",
    spoilt(jsonlSample(), "train.jsonl", (c) => c.replace("mine-1", "mine-0")),
    /line 2: id mine-0 is that of train\.jsonl, line 1/,
  ],
  [
    "jsonl",
    "a number as text",
    spoilt(jsonlSample(), "train.jsonl", (c) => c.replace('"number 2"', "2")),
    /line 2: field text/,
  ],
];
for (const [data, what, sample, message] of faults) {
  test(`${data}: ${what}`, async () => {
    const error: Error = await readSplit(data, memoryFiles(sample), "val").then(
      () => assert.unreachable("no error"),
      (error) => error,
    );
    assert.is(error.name, "DataError");
    assert.match(error.message, message);
  });
}

test("texts are read as people's editors leave them", async () => {
  const sample = jsonlSample();
  const files = memoryFiles(sample);
  const lines = sample["train.jsonl"] as string;
  const wanted = await readSplit("jsonl", files, "train");
  const utf16 = (text: string, little: boolean) => {
    const bytes = new Uint8Array(2 * text.length);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), little);
    return bytes;
  };
  const written = [
    new TextEncoder().encode(`\ufeff${lines.replaceAll("\n", "\r\n")}`),
    ...[true, false].map((little) => utf16(`\ufeff${lines}`, little)),
  ];
  for (const bytes of written) {
    const read = async (path: string) => (path === "train.jsonl" ? bytes : files.read(path));
    assert.equal((await readSplit("jsonl", { ...files, read }, "train")).queries, wanted.queries);
  }
  const read = async (path: string) =>
    path === "train.jsonl" ? Uint8Array.of(0x7b, 0xe9) : files.read(path);
  await readSplit("jsonl", { ...files, read }, "train").then(
    () => assert.unreachable(),
    ({ message }) => assert.match(message, /train\.jsonl is no text in UTF-8/),
  );
});

test("what a page needs imports nothing of Node", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const nodes = ["augment-threads", "check", "decode", "node", "open", "packer", "shards"].map(
    (name) => `train/data/${name}.ts`,
  );
  const rooms = ["data", "objective", "loop", "eval"].map((room) => `train/${room}`);
  const files = rooms.flatMap((room) => readdirSync(join(root, room)).map((name) => `${room}/${name}`));
  const seen = new Set<string>();
  const walk = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const imports = readFileSync(join(root, file), "utf8").matchAll(/^(?:import|export) [^"]*"([^"]+)";/gms);
    for (const [, specifier] of imports) {
      assert.not.match(specifier!, /^node:/, file);
      // What the engine does for Node is its own concern, behind imports that only Node comes to.
      if (specifier!.startsWith(".") && !specifier!.includes("/engine/")) {
        const to = relative(root, join(root, dirname(file), specifier!)).replace(/\?.*/, "");
        if (to.endsWith(".ts")) walk(to);
      }
    }
  };
  for (const file of [...files, "train/config.ts"])
    if (file.endsWith(".ts") && !nodes.includes(file)) walk(file);
  assert.ok(seen.size > 20, `${seen.size} files`);
  for (const file of nodes) assert.ok(!seen.has(file), file);
});

test("a split or a data set that is not there is told with what is", async () => {
  const error = (data: FolderData, sample: Sample, split: string) =>
    readSplit(data, memoryFiles(sample), split).then(
      () => "",
      ({ message }) => message,
    );
  assert.match(
    await error("cirr", { ...cirr, ...cirrSample("test1") }, "test"),
    /no split "test" of cirr, but val, test1/,
  );
  for (const data of ["cirr", "fashioniq", "lasco", "circo", "jsonl"] as const) {
    assert.match(await error(data, { "x/y.txt": "" }, "val"), /memory holds no/);
  }
});

test("the second pass over a JSON text finds a fault just where JSON.parse does", () => {
  const whole = text([{ a: [1, -2.5e3, true], 'b\\"\u00e9': null }, "x,]", [], {}, 0]);
  let broken = 0;
  for (let at = 0; at <= whole.length; at++) {
    for (const put of ["", ",", "]", "}", ":", '"', "\\", "0", "x", "[", "\n", "\u0001"]) {
      for (const cut of [0, 1, 2]) {
        const changed = whole.slice(0, at) + put + whole.slice(at + cut);
        let parses = true;
        try {
          JSON.parse(changed);
        } catch {
          parses = false;
        }
        const { fault } = scan(changed);
        assert.is(fault === null, parses, JSON.stringify(changed));
        if (parses) continue;
        broken++;
        assert.throws(() => parseJson("f.json", changed), /f\.json: malformed JSON/);
      }
    }
  }
  assert.ok(broken > 1000);
  const places: [string, RegExp][] = [
    ['[\n{"a": 1},\n{"a" 2}]', /in entry 1 \(line 3, column 6\): colon expected, not "2/],
    ['{"a": 1, "b": [1 2]}', /at "b" \(line 1, column 18\): a comma or \] expected/],
    ['["a\tb"]', /f\.json: malformed JSON \(line 1, column 2\): value or \] expected/],
    ["[01]", /\(line 1, column 2\): value or \] expected, not "01\]"/],
  ];
  for (const [malformed, message] of places) {
    assert.throws(() => parseJson("f.json", malformed), message);
  }
  assert.equal(scan('{"a":{"b":1},"a":[{"c":2}],"d":3}').keys, ["a", "a", "d"]);
});

test("359,268 triplets load in 10 seconds", async () => {
  const [count, pictures] = [359_268, 80_000];
  const picture = (i: number) => [
    i % pictures,
    `train2014/COCO_train2014_${`${i % pictures}`.padStart(12, "0")}.jpg`,
  ];
  const queries = Array.from({ length: count }, (_, i) => ({
    ...{ qid: i, "query-image": picture(i * 7), "query-text": `The person is riding bike number ${i}` },
    "target-image": picture(i * 7 + 1 + (i % 1000)),
  }));
  const files = memoryFiles({ "lasco_train.json": JSON.stringify(queries) });
  // Of the processor's time: others may be at work on the machine.
  const before = process.cpuUsage();
  const split = await readSplit("lasco", files, "train");
  const { user, system } = process.cpuUsage(before);
  assert.is(split.queries.length, count);
  assert.equal(named(split, split.queries[300_000]!), {
    ...{ id: "300000", reference: `${(300_000 * 7) % pictures}`, texts: [queries[300_000]!["query-text"]] },
    right: [`${(300_000 * 7 + 1) % pictures}`],
  });
  assert.ok((user + system) / 1e6 < 10, `${(user + system) / 1e6} s`);
});

test.run();
