// Data roaming on some 950 questions of our own in VQA2.0's layout, all of its 65 types among them: every text is held to the one
// that was read and found right (test/roam/texts.txt), what is written is read as LaSCo, and bad files are told by entry.
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { randomBits } from "../engine/index.ts";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import { DataError } from "../train/data/types.ts";
import { changeNothing, isUnseen, saysNothing } from "../train/roam/filters.ts";
import { readPairs } from "../train/roam/pairs.ts";
import { reasons } from "../train/roam/reasons.ts";
import { type RoamOptions, roam } from "../train/roam/roam.ts";
import { rulesOf } from "../train/roam/rules/table.ts";
import { published, TextCounts } from "../train/roam/statistics.ts";
import { Cutter, readList } from "../train/roam/stream.ts";
import { lockFolder } from "../train/run/lock.ts";
import { failClearly, runCommand } from "./command.ts";
import { writeSample } from "./data-samples.ts";
import {
  annotation,
  asked,
  captionsSample,
  imageOf,
  questionOf,
  vqaEntries,
  vqaNames,
  vqaSample,
} from "./roam/vqa.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "casement-roam-"));
test.after(() => rmSync(dir, { recursive: true, force: true }));
const at = (...names: string[]) => join(dir, ...names);
await writeSample(at("vqa"), {
  ...vqaSample(),
  ...vqaSample(asked.slice(0, 60), "val"),
  ...captionsSample(),
});

const inputs = (split = "train", folder = "vqa") => {
  const { questions, annotations, pairs } = vqaNames(split);
  return { questions: at(folder, questions), annotations: at(folder, annotations), pairs: at(folder, pairs) };
};
const settings = (out: string, more: Partial<RoamOptions> = {}): RoamOptions => ({
  ...{ files: inputs(), out: at(out), captionShare: 50, longest: 100, seed: 0, by: "rules" },
  ...{ events: { message() {}, progress() {} }, stop: () => false },
  ...more,
});
const linesIn = (out: string, split = "train") =>
  readFileSync(at(out, `roam_${split}.jsonl`), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const roamed = (await roam(settings("rules")))!;

test("the questions are of all of VQA's types", () => {
  assert.is(rulesOf.size, 65);
  assert.ok(asked.length >= 300, `${asked.length}`);
  assert.equal([...new Set(asked.map(({ type }) => type))].sort(), [...rulesOf.keys()].sort());
  assert.is(new Set(asked.map(({ type, question }) => `${type} ${question}`)).size, asked.length);
});

test("every text is the one that was read", () => {
  const file = join(root, "test/roam/texts.txt");
  const shown = linesIn("rules").map(({ type, question, answers, text, leftOut }) =>
    [type, question, answers.join(" -> "), text ?? `(${leftOut})`].join(" | "),
  );
  // CASEMENT_WRITE=1 writes them anew, to be read again by whoever changes a rule.
  if (process.env.CASEMENT_WRITE) writeFileSync(file, `${shown.join("\n")}\n`);
  const read = readFileSync(file, "utf8").trimEnd().split("\n");
  for (const [i, line] of shown.entries()) assert.is(line, read[i]);
  assert.is(shown.length, read.length);
});

test("every text has the form of one", () => {
  for (const { text, answers, question } of linesIn("rules")) {
    if (text === undefined) continue;
    const what = `${question} ${answers}: ${text}`;
    assert.match(text, /^[A-Z][^?]*[\w"'’]$/, what);
    assert.not.match(text, /undefined|null|\s\s|\b(an? (an?|the)|the the|be be|is is|some some)\b/i, what);
    assert.not.match(text, /\ba [aeio][a-z]{2}|\ban [bcdfgjkmpqtvwyz][a-z]/i, what);
    // What the target has is in the text, in its own words or counted.
    const to = answers[1] as string;
    if (/^[a-z]{3,}$/.test(to) && !/^(yes|none|nobody|nothing)$/.test(to))
      assert.ok(text.toLowerCase().includes(to), what);
  }
});

test("LaSCo's own form, and its reader reads it", async () => {
  const entries = JSON.parse(readFileSync(at("rules/lasco_train.json"), "utf8"));
  assert.is(entries.length, roamed.triplets);
  assert.equal(Object.keys(entries[0]), ["qid", "query-image", "query-text", "target-image"]);
  assert.equal(entries[0]["query-image"], [imageOf(0, 0), "train2014/COCO_train2014_000000000009.jpg"]);
  assert.equal(entries[0]["target-image"], [imageOf(0, 1), "train2014/COCO_train2014_000000000012.jpg"]);
  const split = await readSplit("lasco", folderFiles(at("rules")), "train");
  assert.is(split.queries.length, roamed.triplets);
  assert.is(split.pictures.length, 2 * asked.length);
  assert.is(split.pictures[0]!.path, "train2014/COCO_train2014_000000000009.jpg");
  assert.equal(
    split.galleries.map(({ name }) => name),
    ["whole corpus"],
  );
  const { queries, pictures } = split;
  for (const [i, query] of queries.entries()) {
    assert.is(pictures[query.reference]!.id, `${entries[i]["query-image"][0]}`);
    assert.is(pictures[query.right[0]!]!.id, `${entries[i]["target-image"][0]}`);
    assert.equal(query.texts, [entries[i]["query-text"]]);
  }
  await roam(settings("rules", { files: inputs("val") }));
  const val = await readSplit("lasco", folderFiles(at("rules")), "val");
  assert.is(val.pictures.length, 120);
  assert.match(val.pictures[0]!.path, /^val2014\/COCO_val2014_\d{12}\.jpg$/);
});

test("both directions of a pair have texts of their own, and say where they come from", () => {
  const lines = linesIn("rules");
  assert.is(lines.length, 2 * asked.length);
  for (let i = 0; i < lines.length; i += 2) {
    const [there, back] = [lines[i], lines[i + 1]];
    assert.equal([there.qid, back.qid], [i, i + 1]);
    assert.equal(there.questions, [questionOf(i / 2, 0), questionOf(i / 2, 1)]);
    assert.equal(back.questions, there.questions.toReversed());
    assert.equal(back.answers, there.answers.toReversed());
    if (there.text && back.text) assert.is.not(there.text, back.text);
    for (const { text, by, leftOut } of [there, back]) assert.ok(text ? by && !leftOut : leftOut && !by);
  }
});

test("the same files give the same bytes, another seed other wordings", async () => {
  const again = (await roam(settings("again")))!;
  assert.equal({ ...again, out: "", statistics: [] }, { ...roamed, out: "", statistics: [] });
  for (const name of roamed.files) {
    assert.equal(readFileSync(at("again", name)), readFileSync(at("rules", name)), name);
  }
  // Over what is from here it writes again.
  await roam(settings("again", { seed: 1 }));
  const [one, other] = [linesIn("rules"), linesIn("again")];
  const same = one.filter(({ text }, i) => text === other[i].text).length;
  assert.ok(same > one.length / 10 && same < one.length, `${same}`);
});

test("fewer pairs are the first ones", async () => {
  await roam(settings("few", { limit: 7 }));
  assert.equal(linesIn("few"), linesIn("rules").slice(0, 14));
});

test("what is left out, and why", async () => {
  const odd = [
    { type: "what color is the", question: "What color is the cat?", answers: ["gray", "grey"] },
    { type: "how many", question: "How many dogs are there?", answers: ["2", "two"] },
    { type: "what is the", question: "What is the dog on?", answers: ["couch", "the sofa"] },
    { type: "why", question: "Why is it wet?", answers: ["rain", "snow"] },
    { type: "what is the", question: "What is the man holding?", answers: ["not sure", "bat"] },
    { type: "none of the above", question: "Blah blah blah?", answers: ["one thing", "another"] },
    { type: "what does the", question: "What does the sign say?", answers: ["a".repeat(99), "stop"] },
    { type: "is the", question: "Is the cat black?", answers: ["yes", "no"] },
    { type: "is the", question: "Is the cat black?", answers: ["yes", "no"] },
  ] as const;
  const { questions, annotations, pairs } = vqaEntries(odd as never);
  // The last pair asks the same of the same pictures, by other questions; a pair may also lie on one picture, or differ.
  const images = [imageOf(7, 0), imageOf(7, 1)];
  const more: [number, number, string][] = [
    [900, images[0]!, "Is the cat black?"],
    [901, images[1]!, "Is the cat black?"],
    [902, images[0]!, "Is the cat black?"],
    [903, images[0]!, "Is the cat black?"],
    [904, images[0]!, "Is the cat black?"],
    [905, images[1]!, "Is the dog black?"],
  ];
  for (const [i, [id, image, question]] of more.entries()) {
    questions.push({ question_id: id, image_id: image, question });
    annotations.push(annotation(id, image, "is the", i % 2 === 0 ? "yes" : "no"));
  }
  pairs.push([900, 901], [902, 903], [904, 905]);
  const names = vqaNames();
  await writeSample(at("odd"), {
    [names.questions]: { data_subtype: "train2014", questions },
    [names.annotations]: { data_subtype: "train2014", annotations },
    [names.pairs]: pairs,
  });
  await roam(settings("odd-out", { files: inputs("train", "odd"), longest: 60 }));
  const why = linesIn("odd-out").map(({ text, leftOut }) => leftOut ?? text);
  const two = (reason: string) => [reason, reason];
  assert.equal(why.slice(0, 14), [
    ...[...two(reasons.answers), ...two(reasons.answers), ...two(reasons.answers), ...two(reasons.unseen)],
    ...["The man should be holding a bat", reasons.unknown, ...two(reasons.rule)],
    ...['The sign should say "stop"', reasons.long],
  ]);
  const seven = why.slice(14, 16);
  // Wordings differ by triplet, so that only some of those that ask the same are there twice.
  for (const [i, text] of why.slice(18, 20).entries())
    assert.ok(text === reasons.twice || text !== seven[i], text);
  assert.equal(why.slice(20), [...two(reasons.picture), ...two(reasons.questions)]);
});

test("answers that come to the same, that say nothing, and questions of what is not to be seen", () => {
  for (const [a, b] of [
    ...[
      ["couch", "sofa"],
      ["TV", "television"],
      ["2", "two"],
      ["on the table", "table"],
      ["a dog", "dogs"],
    ],
    ...[
      ["bike", "bicycle"],
      ["cell phone", "cellphone"],
      ["gray", "grey"],
      ["plane", "airplane"],
      ["Yes", "yes"],
    ],
  ] as [string, string][])
    assert.ok(changeNothing(a, b), `${a}, ${b}`);
  for (const [a, b] of [
    ["red", "red and white"],
    ["glasses", "sunglasses"],
    ["1", "11"],
    ["bus", "buses on road"],
    ["no", "yes"],
  ])
    assert.not.ok(changeNothing(a!, b!), `${a}, ${b}`);
  for (const answer of ["unknown", "can't tell", "I don't know", "not sure", "?", "", "N/A"])
    assert.ok(saysNothing(answer), answer);
  for (const answer of ["nothing", "no one", "know", "0", "question mark"])
    assert.not.ok(saysNothing(answer), answer);
  for (const question of [
    "Why is he here?",
    "Do you think it is hot?",
    "What is the tool used for?",
    "Would you eat it?",
  ])
    assert.ok(isUnseen(question), question);
  for (const question of [
    "Do you see a cat?",
    "Can you see the sky?",
    "What is the man using?",
    "Is it hot?",
  ])
    assert.not.ok(isUnseen(question), question);
});

test("captions take a share of the texts", async () => {
  const captions = at("vqa/captions_train2014.json");
  const all = (await roam(settings("ca", { captions })))!;
  assert.is(all.triplets, roamed.triplets);
  const entries = JSON.parse(readFileSync(at("ca/lasco_train.json"), "utf8"));
  const plain = JSON.parse(readFileSync(at("rules/lasco_train.json"), "utf8"));
  let count = 0;
  for (const [i, entry] of entries.entries()) {
    assert.is(entry.qid, plain[i].qid);
    const match = /^The (\w+) caption of picture (\d+)\.$/.exec(entry["query-text"]);
    if (match) count++;
    if (match) assert.is(Number(match[2]), entry["target-image"][0]);
    else assert.is(entry["query-text"], plain[i]["query-text"]);
  }
  assert.is(count, all.texts.caption);
  // More than a thousand coins: over 6 standard deviations.
  assert.ok(Math.abs(count / entries.length - 0.5) < 0.115, `${count} of ${entries.length}`);
  const words = new Set(
    entries.map((entry: Record<string, string>) => /^The (\w+) caption/.exec(entry["query-text"]!)?.[1]),
  );
  assert.is(words.size, 6);
  assert.is((await roam(settings("ca0", { captions, captionShare: 0 })))!.texts.caption, undefined);
  const every = (await roam(settings("ca100", { captions, captionShare: 100 })))!;
  assert.equal(every.texts, { caption: roamed.triplets });
  const other = roam(settings("ca-val", { captions, files: inputs("val") }));
  await other.then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /captions_train2014\.json has no caption of any target/),
  );
});

test("statistics are counted as they say, beside LaSCo's own", async () => {
  const counts = new TextCounts();
  for (const text of ["Make it RED", "make the cat's eyes red", "3 dogs — é"]) counts.add(text);
  // make it red the cat s eyes 3 dogs é
  assert.equal(counts.row("x", { train: 5, val: null }), {
    ...{
      name: "x",
      triplets: 3,
      trainPictures: 5,
      valPictures: null,
      tokens: 10,
      length: (11 + 23 + 10) / 3,
    },
  });
  assert.equal(published, {
    ...{ name: "LaSCo, as published", triplets: 389_305, trainPictures: 81_653, valPictures: 39_826 },
    ...{ tokens: 13_488, length: 30.7 },
  });
  const { code, out } = await runCommand(dir, ["roam", ...flags(), "--out", "rules"]);
  assert.is(code, 0);
  const both = roamed.triplets + JSON.parse(readFileSync(at("rules/lasco_val.json"), "utf8")).length;
  const of = (n: number) => n.toLocaleString("en-US");
  assert.match(out, new RegExp(`rules, train +${of(roamed.triplets)} +${of(2 * asked.length)} +- `));
  assert.match(out, new RegExp(`rules, train and val +${of(both)} +${of(2 * asked.length)} +120 `));
  assert.match(out, /LaSCo, as published +389,305 +81,653 +39,826 +13,488 +30\.7\n/);
});

/** The options that name the files. */
function flags(files: Partial<ReturnType<typeof inputs>> = {}): string[] {
  return Object.entries({ ...inputs(), ...files }).flatMap(([name, file]) => [`--${name}`, file]);
}

test("--json is one value with what was made", async () => {
  const { code, out } = await runCommand(dir, [
    "roam",
    ...flags(),
    "--out",
    "json",
    "--json",
    "--limit",
    "20",
  ]);
  assert.is(code, 0);
  const value = JSON.parse(out);
  assert.equal(Object.keys(value), [
    ...["finished", "out", "split", "files", "by", "pairs", "triplets", "texts", "leftOut", "statistics"],
  ]);
  assert.is(value.pairs, 20);
  assert.equal(readdirSync(at("json")).sort(), [...value.files, "roam_train.json"].sort());
  const made = JSON.parse(readFileSync(at("json/roam_train.json"), "utf8"));
  assert.equal(
    made.sources.map(({ file }: { file: string }) => file),
    [vqaNames().pairs, vqaNames().questions, vqaNames().annotations],
  );
  assert.equal(Object.keys(made.sha256).sort(), [...value.files].sort());
});

test("what is wrong with the files is told by file and entry", async () => {
  const names = vqaNames();
  const sample = vqaSample(asked.slice(0, 4));
  const { questions, annotations, pairs } = vqaEntries(asked.slice(0, 4));
  const text = (value: unknown) => JSON.stringify(value);
  const whole = (value: unknown) => ({ data_subtype: "train2014", ...(value as object) });
  const q = questions[1]!.question_id;
  const cases: [string, unknown, RegExp][] = [
    [
      "questions",
      whole({ questions: [...questions, questions[1]] }),
      /questions\.json, entry 9: question 9000 is there twice/,
    ],
    [
      "questions",
      whole({ questions: [{ ...questions[0], image_id: "3" }] }),
      /questions\.json, entry 0: field image_id: .*\("3"\)/,
    ],
    [
      "questions",
      whole({ questions: [...questions.slice(0, 2), { image_id: 1, question_id: 5 }] }),
      /entry 2: field question: /,
    ],
    [
      "questions",
      whole({ questions: questions.slice(0, 3) }),
      /annotations\.json, entry 3: question 15001 is not in v2_Open/,
    ],
    [
      "questions",
      whole({
        questions: questions.map((one) => ({ ...one, image_id: one.question_id === q ? 77 : one.image_id })),
      }),
      /annotations\.json, entry 1: picture 9, but .* of picture 77/,
    ],
    [
      "questions",
      whole({ annotations }),
      /has no list "questions"; what it has: "annotations", "data_subtype"/,
    ],
    ["questions", questions, /an object with the list "questions" was expected, not "\[/],
    ["questions", { questions, data_subtype: "val2014" }, /is of val2014, .* of train2014/],
    [
      "questions",
      { questions, data_subtype: "test2015" },
      /data_subtype "test2015" has no complementary pairs/,
    ],
    [
      "questions",
      text(sample[names.questions]).slice(0, -30),
      /questions\.json: malformed JSON in questions, entry 8 \(line 1, column \d+\): the file ends early/,
    ],
    [
      "questions",
      text(whole({ questions })).replace('},{"image_id":12', '}\n{"image_id":12'),
      /in questions, entry 1 \(line 2, column 1\): a comma or \] expected, not "\{/,
    ],
    [
      "questions",
      text(whole({ questions })).replace('"question_id":9000', '"question_id":09000'),
      /in questions, entry 1 \(line 1, column \d+\): /,
    ],
    [
      "questions",
      text(whole({ questions })).replace("How many dogs", 'How "many" dogs'),
      /in questions, entry 1 \(line 1, column \d+\): a comma or \} expected, not "many/,
    ],
    [
      "questions",
      text(whole({ questions })).replace("]}", "],}"),
      /malformed JSON at "questions" \(line 1, column \d+\): key expected, not "\}"/,
    ],
    [
      "questions",
      text(whole({ questions })).replace("}]}", "},]}"),
      /in questions, entry 9 \(line 1, column \d+\): entry expected, not "\]\}"/,
    ],
    ["questions", `${text(whole({ questions }))}{`, /the end expected, not "\{"/],
    ["questions", "", /questions\.json is empty/],
    ["questions", "PK\u0003\u0004", /is a zip archive; unpack it first/],
    ["questions", "<!doctype html>", /is a web page/],
    ["questions", "version https://git-lfs.github.com/spec/v1\n", /Git LFS pointer/],
    [
      "annotations",
      whole({ annotations: annotations.slice(0, 6) }),
      /pairs\.json, entry 2: question 24002 has no answer in v2_mscoco_train2014_annotations\.json/,
    ],
    [
      "annotations",
      whole({ annotations: [...annotations, annotations[2]] }),
      /annotations\.json, entry 9: question 12000 is there twice/,
    ],
    [
      "annotations",
      whole({
        annotations: annotations.map((one, i) => (i === 4 ? { ...one, multiple_choice_answer: 3 } : one)),
      }),
      /annotations\.json, entry 4: field multiple_choice_answer: /,
    ],
    [
      "pairs",
      [...pairs, [1, 2]],
      /pairs\.json, entry 4: question 1 is not in v2_OpenEnded.*; are the files of one split\?/,
    ],
    [
      "pairs",
      [...pairs, pairs[1]!.toReversed()],
      /pairs\.json, entry 4: the pair \[18001,15001\] is there already/,
    ],
    ["pairs", [[9000, 9000]], /entry 0: question 9000 is paired with itself/],
    ["pairs", [[9000]], /pairs\.json, entry 0: /],
    ["pairs", { pairs }, /a list was expected, not "\{/],
    ["pairs", [], /pairs\.json has no pairs/],
    ["pairs", "[[9000,12000],[1,]]", /pairs\.json: malformed JSON in entry 1 \(line 1, column 18\): /],
  ];
  for (const [i, [kind, content, message]] of cases.entries()) {
    await writeSample(at(`bad${i}`), { ...sample, [names[kind as "pairs"]]: content });
    const error = await readPairs(inputs("train", `bad${i}`)).then(
      () => null,
      (error) => error,
    );
    assert.instance(error, DataError, `${i}: ${message}: ${error?.stack}`);
    assert.match(error.message, message, `${i}: ${error.message}`);
  }
  await readPairs({ ...inputs(), pairs: at("nowhere.json") }).then(
    () => assert.unreachable(),
    (error) => {
      assert.instance(error, DataError);
      assert.match(error.message, /nowhere\.json can't be read: ENOENT/);
    },
  );
});

test("lists are cut as JSON.parse reads them, wherever the bytes are parted", () => {
  const odd = ['a"b\\', "é☃👩‍🚀", "]}[{,:", "\\u0041", "", "\n"];
  const value = {
    before: { a: [1, { b: "]" }] },
    'é"': -1.5e3,
    list: [...odd, 1, null, true, [], {}, [[{ x: odd }]]],
    after: [odd, 2],
    end: "x\\",
  };
  for (const text of [JSON.stringify(value), JSON.stringify(value, null, "\t")]) {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const entries: unknown[] = [];
      const cutter = new Cutter("x.json", "list", (entry) => entries.push(entry));
      cutter.take(bytes.subarray(0, cut));
      cutter.take(bytes.subarray(cut));
      const { values, keys } = cutter.end();
      assert.equal(entries, value.list, `cut at ${cut}`);
      assert.equal(values, { 'é"': -1500, end: "x\\" });
      assert.equal(keys, ["before", "after"]);
    }
    const entries: unknown[] = [];
    const cutter = new Cutter("x.json", "list", (entry) => entries.push(entry));
    for (const byte of bytes) cutter.take(Buffer.from([byte]));
    cutter.end();
    assert.equal(entries, value.list);
  }
});

test("what JSON.parse refuses is refused, at whatever byte it was broken", () => {
  const text = JSON.stringify({
    a: 1,
    list: [
      { q: 'x"y', n: [1, 2] },
      { q: "z", n: [] },
    ],
    b: "c",
  });
  let [refused, taken] = [0, 0];
  for (let i = 0; i < 2000; i++) {
    const bits = (n: number) => randomBits({ key: 7, stream: 3 }, 4 * i + n);
    const place = bits(0) % text.length;
    const character = '"{}[]:,\\ x0-'[bits(1) % 12]!;
    const broken = [
      text.slice(0, place) + text.slice(place + 1),
      text.slice(0, place) + character + text.slice(place),
      text.slice(0, place) + character + text.slice(place + 1),
    ][bits(2) % 3]!;
    let whole: { list?: unknown } | null;
    try {
      whole = JSON.parse(broken);
    } catch {
      whole = null;
    }
    const entries: unknown[] = [];
    let error: Error | null = null;
    try {
      const cutter = new Cutter("x.json", "list", (entry) => entries.push(entry));
      cutter.take(Buffer.from(broken));
      cutter.end();
    } catch (thrown) {
      error = thrown as Error;
    }
    if (error === null) {
      taken++;
      assert.ok(whole, broken);
      assert.equal(entries, whole.list, broken);
    } else if (whole === null) refused++;
    else
      assert.ok(
        !Array.isArray(whole.list) || /twice|no list/.test(error.message),
        `${broken}: ${error.message}`,
      );
  }
  assert.ok(refused > 500 && taken > 100, `${refused} ${taken}`);
});

test("files in UTF-16, and with a mark in front, are read", async () => {
  const names = vqaNames();
  const text = JSON.stringify(vqaSample(asked.slice(0, 9))[names.questions]);
  mkdirSync(at("marks"));
  cpSync(at("vqa"), at("marks"), { recursive: true });
  for (const bytes of [Buffer.from(`\ufeff${text}`), Buffer.from(`\ufeff${text}`, "utf16le")]) {
    writeFileSync(at("marks", names.questions), bytes);
    let entries = 0;
    const beside = await readList(at("marks", names.questions), "questions", () => entries++);
    assert.is(entries, 19);
    assert.is(beside!.values.data_subtype, "train2014");
  }
});

test("a folder with another data set, or another process in it, is left alone", async () => {
  mkdirSync(at("real"));
  writeFileSync(at("real/lasco_train.json"), "[]");
  await failClearly(dir, [
    [["roam", ...flags(), "--out", "real"], /real holds lasco_train\.json, which is not from here/],
    [["roam", ...flags({ pairs: "nowhere.json" }), "--out", "none"], /nowhere\.json can't be read/],
    [["roam", ...flags(), "--out", "none", "--limit", "0"], /--limit must be a whole number from 1/, 2],
    [["roam", ...flags().slice(2), "--out", "none"], /--questions FILE is missing/, 2],
  ]);
  assert.is(readFileSync(at("real/lasco_train.json"), "utf8"), "[]");
  mkdirSync(at("locked"));
  const unlock = await lockFolder(at("locked"), "locked", () => {});
  await failClearly(dir, [[["roam", ...flags(), "--out", "locked"], /locked is in use by process \d+/]]);
  await unlock(at("locked"));
  assert.not.ok(existsSync(at("none")));
});

test("what a killed process left half written is cleared away", async () => {
  mkdirSync(at("killed"));
  for (const name of ["lasco_train.json.77.draft", "roam_train.jsonl.78.draft", "notes.draft"]) {
    writeFileSync(at("killed", name), "[");
  }
  await roam(settings("killed"));
  assert.equal(readdirSync(at("killed")).sort(), [...roamed.files, "notes.draft", "roam_train.json"].sort());
  for (const name of roamed.files)
    assert.equal(readFileSync(at("killed", name)), readFileSync(at("rules", name)));
});

test("Ctrl-C leaves nothing half written, and says so", async () => {
  // Twenty thousand pairs: reading and rephrasing them takes seconds.
  const many = Array.from({ length: 20_000 }, (_, i) => asked[i % asked.length]!);
  const { questions, annotations, pairs } = vqaEntries(many);
  const names = vqaNames();
  const short = annotations.map(({ answers, ...rest }) => ({ ...rest, answers: answers.slice(0, 1) }));
  await writeSample(at("many"), {
    [names.questions]: { data_subtype: "train2014", questions },
    [names.annotations]: { data_subtype: "train2014", annotations: short },
    [names.pairs]: pairs,
  });
  const args = ["roam", ...flags(inputs("train", "many")), "--out", "stopped", "--json"];
  const child = spawn(process.execPath, [join(root, "cli/casement.mjs"), ...args], { cwd: dir });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    err += data;
    if (err.includes("pairs read") && child.exitCode === null && !child.killed) child.kill("SIGINT");
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.is(code, 130, err);
  assert.equal(JSON.parse(out), { out: "stopped", finished: false });
  if (existsSync(at("stopped"))) assert.equal(readdirSync(at("stopped")), []);
});

test.run();
