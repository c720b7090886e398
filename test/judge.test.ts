// The figures of every protocol against a plain reference: all scores in double precision, sorted, the right answer put
// behind what it ties with. Identical to the last digit, on the data sets' own annotation files where this machine has them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine } from "../engine/index.ts";
import { type CaptionWay, textOf } from "../train/data/captions.ts";
import { isLost, withoutPictures } from "../train/data/missing.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import type { Files, FolderData, Query } from "../train/data/types.ts";
import { judge, provenanceOf } from "../train/eval/protocols.ts";
import { averagePrecision, best, type Row, rankOf, recallAt, standings } from "../train/eval/rank.ts";
import { eachRow } from "../train/eval/scores.ts";
import {
  circoSample,
  cirrSample,
  fashioniqSample,
  jsonlSample,
  lascoSample,
  memoryFiles,
  realFolder,
  type Sample,
} from "./data-samples.ts";
import { embedded, figuresOf, mean, random, randomRows, ranksOf } from "./plain-ranks.ts";

const engine = await Engine.create({ poison: true });

async function compare(files: Files, data: FolderData, name: string, width: number): Promise<void> {
  const { split, pictures, queries } = await embedded(files, data, name, width);
  const results = await judge(
    engine,
    split,
    { queries, pictures },
    {
      ...{ similarity: "cosine", captions: "clip4cir", hash: { weights: "0123456789abcdef" } },
      references: ["removed", "kept"],
    },
  );
  const single = results.filter(({ category }) => category !== "mean");
  assert.is(single.length, 2 * split.galleries.length);
  const asked = ranksOf(split, queries, pictures);
  for (const [i, result] of single.entries()) {
    const gallery = split.galleries[Math.floor(i / 2)]!;
    assert.is(result.gallery, gallery.name);
    assert.is(result.reference, ["removed", "kept"][i % 2]);
    const metrics = figuresOf(data, asked[i]!);
    assert.equal(result.metrics, metrics, provenanceOf(result));
    assert.ok(Object.values(metrics).some((value) => value > 0 && value < 1));
  }
  for (const result of results.filter(({ category }) => category === "mean")) {
    const parts = single.filter(
      (one) => one.gallery === result.gallery && one.reference === result.reference,
    );
    for (const key of ["r10", "r50"])
      assert.is(result.metrics[key], mean(parts.map(({ metrics }) => metrics[key]!)));
  }
}

for (const [data, name, sample] of [
  ["cirr", "val", cirrSample("val", 90)],
  ["fashioniq", "val", fashioniqSample("val", undefined, 120)],
  ["lasco", "val", lascoSample("val", 130)],
  ["circo", "val", circoSample("val", 150, 120)],
  ["jsonl", "train", jsonlSample(110)],
] as [FolderData, string, Sample][]) {
  test(`${data}: a small one's figures are the reference's`, () =>
    compare(memoryFiles(sample), data, name, 6));
}

for (const data of ["cirr", "fashioniq"] as const) {
  test(`${data}: figures on the data set's own files are the reference's`, async () => {
    const folder = realFolder(data);
    if (folder === null) return console.log(`\nskipped: ${data} (no annotation files beside the repository)`);
    await compare(folderFiles(folder), data, "val", 24);
  });
}

test("lasco: figures over the data set's own corpus are the reference's", async () => {
  const folder = realFolder("lasco");
  if (folder === null) return console.log("\nskipped: lasco (no annotation files beside the repository)");
  const files = folderFiles(folder);
  const corpus = JSON.parse(new TextDecoder().decode(await files.read("lasco_val_corpus.json")));
  const picture = (i: number) => {
    const { id, path } = corpus[i % corpus.length];
    return [id, path.replace("val/", "")];
  };
  // Its triplets are not here: these are like them.
  const triplets = Array.from({ length: 700 }, (_, i) => ({
    ...{ qid: i, "query-image": picture(i * 57), "query-text": "It is night" },
    "target-image": picture(i * 57 + 1 + i),
  }));
  const names = ["lasco_val.json", "lasco_val_corpus.json"];
  await compare(memoryFiles({ [names[0]!]: triplets, [names[1]!]: corpus }), "lasco", "val", 16);
});

test("ranks are a sort's, whatever lies between rounded and exact scores", () => {
  let close = 0;
  for (let round = 0; round < 300; round++) {
    const draw = (i: number, below: number) => Math.floor(random(10 + round, i) * below);
    const count = 3 + draw(0, 40);
    const values = Array.from({ length: count }, (_, i) => draw(1000 + i, 12) / 4);
    if (round % 3 === 0) values[draw(1, count)] = Number.NaN;
    const error = [0, 0.1, 2][round % 3 === 0 ? 0 : draw(2, 3)]!;
    const row: Row = {
      scores: Float32Array.from(values, (value, i) => value + error * (2 * random(500 + round, i) - 1)),
      ...{ error, exact: (place) => values[place]! },
    };
    const order = [...values.keys()].toSorted((a, b) => random(900 + round, a) - random(900 + round, b));
    const [reference, ...right] = order.slice(0, 2 + draw(3, Math.min(4, count - 2)));
    const among = round % 2 === 0 ? undefined : order.slice(0, 2 + draw(4, count - 1)).concat(right);
    const competing = among ? [...new Set(among)] : order;
    const stand = standings(row, { right, reference: reference!, among: among && competing });
    for (const [i, answer] of right.entries()) {
      const beaten = (place: number) => values[place]! < values[answer]!;
      const wrong = competing.filter((place) => place !== reference && !right.includes(place));
      assert.is(stand[i]!.ahead, wrong.filter((place) => !beaten(place)).length, `round ${round}`);
      assert.is(stand[i]!.behindReference, competing.includes(reference!) && !beaten(reference!));
      close += wrong.filter((place) => Math.abs(values[place]! - values[answer]!) <= error).length;
    }
    const places = order.filter((place) => !Number.isNaN(values[place]!) && place !== reference);
    const top = places.toSorted((a, b) => values[b]! - values[a]! || a - b).slice(0, 5);
    assert.equal(
      best(row, 5, { without: reference }).map(({ place }) => place),
      top,
    );
  }
  assert.ok(close > 1000, `${close} pairs were too close to call`);
});

test("products of huge and of tiny rows keep the order that they have in double precision", async () => {
  const [count, total, width] = [40, 12, 16];
  const draw = (size: number, stream: number, magnitude: (row: number) => number) =>
    Float32Array.from({ length: size * width }, (_, i) =>
      Math.fround((Math.floor(random(stream, i) * 7) - 3) * magnitude(Math.floor(i / width))),
    );
  for (const [big, small] of [
    [1e30, 1e30],
    [1e-30, 1e-25],
    [3e37, 1e-38],
    [1, 1],
  ] as const) {
    const queries = { values: draw(total, 71, (row) => (row % 2 ? big : small)), width };
    const gallery = { values: draw(count, 72, () => big), width };
    let seen = 0;
    await eachRow(engine, { queries, gallery, similarity: "dot" }, (query, { scores, error, exact }) => {
      const products = Array.from({ length: count }, (_, place) => {
        let sum = 0;
        for (let i = 0; i < width; i++)
          sum += queries.values[query * width + i]! * gallery.values[place * width + i]!;
        return sum;
      });
      const most = Math.max(...products.map(Math.abs));
      for (let place = 0; place < count; place++) {
        assert.ok(Math.abs(scores[place]! - exact(place)) <= error, `${scores[place]} of ${exact(place)}`);
        assert.is(Math.sign(exact(place)), Math.sign(products[place]!));
        const other = (place + 1 + query) % count;
        // Sums in another order differ in their last bits.
        if (Math.abs(products[place]! - products[other]!) > 1e-12 * most)
          assert.is(exact(place) < exact(other), products[place]! < products[other]!);
      }
      const largest = Math.max(...scores.map(Math.abs));
      assert.ok(largest > 1e-15 && largest < 1e30 && error < largest / 1e3, `${largest} ${error}`);
      seen++;
    });
    assert.is(seen, total);
  }
});

test("a broken or a constant embedding ranks last", () => {
  const row = (values: number[]): Row => ({
    ...{ scores: Float32Array.from(values), error: 0, exact: (place) => values[place]! },
  });
  const rank = (values: number[], keep = false) =>
    rankOf(standings(row(values), { right: [2], reference: 0 }), keep);
  assert.is(rank([1, 1, 1, 1, 1]), 4);
  assert.is(rank([1, 1, 1, 1, 1], true), 5);
  assert.is(rank([0, 0, Number.NaN, 0, 0]), 4);
  assert.is(rank([0, Number.NaN, 9, 0, 0]), 2);
  assert.is(rank([Number.NaN, 0, 9, 0, 0], true), 2);
  assert.is(rankOf([], false), Number.POSITIVE_INFINITY);
  assert.is(recallAt(1, []), 0);
  assert.is(averagePrecision(5, [], false), 0);
});

test("average precision by hand", () => {
  // Right answers at ranks 2, 3 and 7 of seven: 1/2, 2/3 and 3/7.
  const scores = [7, 6, 5, 4, 3, 2, 1];
  const row: Row = { scores: Float32Array.from(scores), error: 0, exact: (place) => scores[place]! };
  const stand = standings(row, { right: [6, 1, 2], reference: 4 });
  assert.is(averagePrecision(7, stand, true), (1 / 2 + 2 / 3 + 3 / 7) / 3);
  assert.is(averagePrecision(2, stand, true), 1 / 2 / 2);
  // Without the reference the last is at rank 6.
  assert.is(averagePrecision(7, stand, false), (1 / 2 + 2 / 3 + 3 / 6) / 3);
});

test("rows that pass a tensor's worth are scored as a whole", async () => {
  // Wide rows: the gallery takes several tensors, and the last has another number of rows.
  const width = 4096;
  const gallery = randomRows(20, 4500, width);
  const queries = randomRows(21, 3, width);
  const bias = Float32Array.from({ length: 4500 }, (_, i) => random(22, i));
  for (const similarity of ["dot", "cosine"] as const) {
    let seen = 0;
    await eachRow(engine, { queries, gallery, similarity, bias }, (query, { scores, error, exact }) => {
      assert.is(scores.length, 4500);
      assert.ok(error < (similarity === "dot" ? 1 : 1e-3));
      for (let place = 0; place < 4500; place += 7) {
        let [product, a, b] = [0, 0, 0];
        for (let i = 0; i < width; i++) {
          const [x, y] = [queries.values[query * width + i]!, gallery.values[place * width + i]!];
          product += x * y;
          a += x * x;
          b += y * y;
        }
        const wanted = (similarity === "dot" ? product : product / Math.sqrt(a * b)) + bias[place]!;
        assert.ok(Math.abs(exact(place) - wanted) < 1e-12 * (1 + Math.abs(wanted)));
        assert.ok(Math.abs(scores[place]! - wanted) <= error, `${scores[place]} for ${wanted}`);
      }
      seen++;
    });
    assert.is(seen, 3);
  }
});

test("a tenth of LaSCo takes a tenth of a minute and of 2 GB", async () => {
  const [asked, count, width] = [3004, 39_826, 256];
  const [queries, gallery] = [randomRows(30, asked, width), randomRows(31, count, width)];
  const before = process.cpuUsage();
  let sum = 0;
  await eachRow(engine, { queries, gallery, similarity: "cosine" }, (query, row) => {
    sum += standings(row, { right: [query], reference: query + 1 })[0]!.ahead;
  });
  const { user, system } = process.cpuUsage(before);
  assert.ok(sum / asked > count / 3 && sum / asked < (2 * count) / 3);
  // Of the processors' time, of which a minute on two cores has two: others may be at work on the machine.
  assert.ok((user + system) / 1e6 < 12, `${(user + system) / 1e6} s`);
  assert.ok(process.resourceUsage().maxRSS < 2e6, `${process.resourceUsage().maxRSS} kB`);
});

test("a figure says what it is of", async () => {
  const { split, pictures, queries } = await embedded(memoryFiles(cirrSample("val")), "cirr", "val", 4);
  const [result] = await judge(
    engine,
    split,
    { queries, pictures },
    {
      ...{ similarity: "cosine", captions: "as written", hash: { weights: "0123456789abcdef" } },
    },
  );
  assert.is(
    provenanceOf(result!),
    "cirr val; 12 queries; gallery: split file, 12 pictures; reference removed; captions: as written; cosine; weights 0123456789ab",
  );
});

test("what is secret can't be judged", async () => {
  const split = await readSplit("cirr", memoryFiles(cirrSample("test1")), "test1");
  const embeddings = { queries: randomRows(1, 12, 4), pictures: randomRows(2, 12, 4) };
  const options = { similarity: "cosine", captions: "", hash: {} } as const;
  await judge(engine, split, embeddings, options).then(
    () => assert.unreachable(),
    ({ message }) => assert.match(message, /answers of cirr test1 are kept by its server/),
  );
});

test("captions are joined as their ways say", () => {
  const query = (texts: string[], concept?: string): Query => ({
    id: "",
    reference: 0,
    right: [],
    texts,
    concept,
  });
  const two = query(["is Solid white. ", " ,Has No sleeves?"]);
  const joined: [CaptionWay, string][] = [
    ["as written", "is Solid white.  and  ,Has No sleeves?"],
    ["clip4cir", "Is solid white and Has No sleeves"],
    ["lower case", "is solid white.  and  ,has no sleeves?"],
  ];
  for (const [way, text] of joined) assert.is(textOf(two, way), text);
  assert.is(textOf(query(["is red"], "a dog"), "with concept"), "a photo of a dog that is red");
  assert.is(textOf(query(["is red"], "a dog"), "as written"), "is red");
});

test("without missing pictures, galleries shrink and queries go", async () => {
  const split = await readSplit("circo", memoryFiles(circoSample("val")), "val");
  const { reference, right } = split.queries[3]!;
  assert.ok(right.length === 4);
  assert.ok(
    isLost(split.queries[3]!, new Set([reference])) && isLost(split.queries[3]!, new Set([right[0]!])),
  );
  const missing = new Set([right[2]!]);
  const left = withoutPictures(split, missing);
  const stays = split.queries.filter((query) => !isLost(query, missing));
  assert.equal(
    left.queries.map(({ id, right }) => [id, right]),
    stays.map(({ id, right }) => [id, right.filter((one) => !missing.has(one))]),
  );
  assert.equal(left.queries.find(({ id }) => id === "3")!.right, right.toSpliced(2, 1));
  assert.is(left.galleries[0]!.pictures.length, split.galleries[0]!.pictures.length - 1);
  assert.match(left.notes[0]!, /without 1 missing pictures and the \d queries/);
  assert.is(withoutPictures(split, new Set()), split);
});

test.after(() => engine.dispose());
test.run();
