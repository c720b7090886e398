// The vocabulary's bytes, and token ids equal to those that Hugging Face's BertTokenizer gives (made by
// reference/tokenizer.py), with the special tokens, truncation and padding that casement adds.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { modelSchema } from "../model/config.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { addedTokens, bertSize, bertVocabulary, subsetVocabulary } from "../model/vocabulary.ts";
import { tellCut } from "../train/inputs.ts";

interface Fixture {
  cases: { text: string; ids: number[] }[];
  truncated: { maxLength: number; ids: number[][] }[];
  padded: { count: number; maxLength: number; ids: number[][]; mask: number[][] };
  fixed: { ids: number[][]; mask: number[][] };
  captions: { file: string; count: number; sha256: string }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("fixtures/tokenizer.json", import.meta.url), "utf8"),
);
const vocabulary = await bertVocabulary();
const tokenizer = new Tokenizer(vocabulary);
const [CLS, SEP, ENC, REV] = [101, 102, 30523, 30524];

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

test("the vocabulary is bert-base-uncased's, byte for byte, then [DEC], [ENC], [REV]", () => {
  const text = `${vocabulary.slice(0, bertSize).join("\n")}\n`;
  assert.is(sha256(text), "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3");
  assert.equal(vocabulary.slice(bertSize), [...addedTokens]);
  assert.equal(
    ["[PAD]", "[CLS]", "[SEP]", "[DEC]", "[ENC]", "[REV]"].map((token) => tokenizer.id(token)),
    [0, CLS, SEP, 30522, ENC, REV],
  );
  assert.is(tokenizer.size, 30525);
});

test("ids equal Hugging Face's on every text", () => {
  assert.ok(fixture.cases.length >= 300);
  for (const { text, ids } of fixture.cases) {
    assert.equal(tokenizer.encode(text, { maxLength: 10_000, first: "cls" }), ids, JSON.stringify(text));
    // The second time comes from the cache.
    assert.equal(tokenizer.encode(text, { maxLength: 10_000, first: "enc" }), [ENC, ...ids.slice(1)]);
  }
});

test("truncation equals Hugging Face's", () => {
  for (const { maxLength, ids } of fixture.truncated) {
    fixture.cases.forEach(({ text }, i) => {
      assert.equal(tokenizer.encode(text, { maxLength, first: "cls" }), ids[i], JSON.stringify(text));
    });
  }
});

test("padding equals Hugging Face's, to the longest and to a fixed length", () => {
  const { count, maxLength, ids, mask } = fixture.padded;
  const texts = fixture.cases.slice(0, count).map(({ text }) => text);
  const batch = tokenizer.encodeBatch(texts, { maxLength, first: "cls" });
  assert.is(batch.length, ids[0].length);
  assert.equal([...batch.ids], ids.flat());
  assert.equal([...batch.mask], mask.flat());
  const fixed = tokenizer.encodeBatch(texts, { maxLength, first: "cls", length: maxLength });
  assert.is(fixed.length, maxLength);
  assert.equal([...fixed.ids], fixture.fixed.ids.flat());
  assert.equal([...fixed.mask], fixture.fixed.mask.flat());
  const short = tokenizer.encodeBatch(["red"], { maxLength, first: "cls", length: 5 });
  assert.equal([...short.ids], [CLS, 2417, SEP, 0, 0]);
  assert.equal([...short.mask], [1, 1, 1, 0, 0]);
});

for (const { file, count, sha256: expected } of fixture.captions) {
  const name = `ids equal Hugging Face's on the captions of ${file}`;
  test(name, () => {
    const url = new URL(`../../shared/data/${file}`, import.meta.url);
    if (!existsSync(url)) {
      console.log(`skipped: ${name} (the file is not there)`);
      return;
    }
    const rows: { caption?: string; captions?: string[] }[] = JSON.parse(readFileSync(url, "utf8"));
    const texts = rows.flatMap(({ caption, captions }) => captions ?? [caption!]);
    assert.is(texts.length, count);
    const ids = texts.map((text) => tokenizer.encode(text, { maxLength: 35, first: "cls" }));
    assert.is(sha256(JSON.stringify(ids)), expected);
  });
}

test("what a text loses by its length is counted and told", () => {
  const text = "make the dress red with short sleeves";
  const pieces = tokenizer.pieces(text).length;
  assert.is(tokenizer.excess(text, { maxLength: pieces + 2 }), 0);
  assert.is(tokenizer.excess(text, { maxLength: pieces + 1 }), 1);
  assert.is(tokenizer.excess(text, { maxLength: pieces + 2, reverse: true }), 1);
  assert.is(tokenizer.excess("", { maxLength: 3 }), 0);
  const config = modelSchema.parse({ text: { maxLength: 6 } });
  assert.is(tellCut(tokenizer, config, ["red", "make it red"], "queries"), null);
  assert.is(
    tellCut(tokenizer, config, ["red", text, "make it red"], "queries"),
    '1 of 3 queries are longer than the model\'s 6 tokens and cut there: "… with short sleeves" is lost.',
  );
  assert.match(tellCut(tokenizer, config, [text], "queries")!, /^The text is longer/);
});

test("[REV] follows the first token and [SEP] stays last", () => {
  const options = { maxLength: 20, first: "enc" as const };
  assert.equal(tokenizer.encode("red dress", options), [ENC, 2417, 4377, SEP]);
  assert.equal(tokenizer.encode("red dress", { ...options, reverse: true }), [ENC, REV, 2417, 4377, SEP]);
  assert.equal(tokenizer.encode("red dress", { ...options, maxLength: 4, reverse: true }), [
    ENC,
    REV,
    2417,
    SEP,
  ]);
  assert.equal(tokenizer.encode("red dress", { ...options, maxLength: 3, reverse: true }), [ENC, REV, SEP]);
  assert.equal(tokenizer.encode("", options), [ENC, SEP]);
  const each = tokenizer.encodeBatch(["red", "red"], { ...options, reverse: [false, true] });
  assert.equal([...each.ids], [ENC, 2417, SEP, 0, ENC, REV, 2417, SEP]);
  assert.equal([...each.mask], [1, 1, 1, 0, 1, 1, 1, 1]);
  const all = tokenizer.encodeBatch(["red", "red"], { ...options, reverse: true });
  assert.equal([...all.ids], [ENC, REV, 2417, SEP, ENC, REV, 2417, SEP]);
});

test("a caller's change to the ids does not reach the cache", () => {
  const ids = tokenizer.encode("blue", { maxLength: 9, first: "cls" });
  ids.fill(0);
  assert.equal(tokenizer.encode("blue", { maxLength: 9, first: "cls" }), [CLS, 2630, SEP]);
});

test("half a surrogate pair is dropped", () => {
  assert.equal([...tokenizer.pieces("re\ud800d")], [2417]);
});

test("errors say what is wrong", () => {
  const options = { maxLength: 8, first: "enc" as const };
  assert.throws(() => tokenizer.encode("a", { ...options, maxLength: 2 }), /maxLength is 2/);
  assert.throws(() => tokenizer.encode("a", { ...options, maxLength: 4.5 }), /maxLength is 4.5/);
  assert.throws(() => tokenizer.encode("a", { ...options, first: "dec" as "enc" }), /first is dec/);
  assert.throws(() => tokenizer.encode(undefined as unknown as string, options), /not a string/);
  assert.throws(() => tokenizer.encodeBatch([], options), /empty batch/);
  assert.throws(() => tokenizer.encodeBatch(["a"], { ...options, reverse: [] }), /0 entries for 1 texts/);
  assert.throws(() => tokenizer.encodeBatch(["a b c"], { ...options, length: 4 }), /length is 4.*5 or more/);
  assert.throws(() => new Tokenizer(["a", "a"]), /"a" is there twice/);
  assert.throws(() => new Tokenizer(["[PAD]", "[UNK]", "[CLS]"]), /no \[SEP\]/);
  const bare = new Tokenizer(vocabulary.slice(0, bertSize));
  assert.throws(() => bare.encode("a", options), /no \[ENC\]/);
  assert.equal(bare.encode("red", { ...options, first: "cls" }), [CLS, 2417, SEP]);
});

test("a small vocabulary cuts its own texts as the full one does, and spells the rest", () => {
  const texts = fixture.cases.map(({ text }) => text).filter((text) => !text.includes("["));
  const small = subsetVocabulary(vocabulary, texts);
  assert.equal(small.slice(0, 8), [...specialTokens]);
  assert.is(new Set(small).size, small.length);
  const places = small.slice(8).map((token) => tokenizer.id(token));
  assert.ok(places.every((id, i) => i === 0 || id > places[i - 1]));
  const cut = new Tokenizer(small);
  const names = (t: Tokenizer, text: string) => t.pieces(text).map((id) => t.vocabulary[id]);
  const red = new Tokenizer(subsetVocabulary(vocabulary, ["make the dress red"]));
  assert.equal(names(red, "make the dress red"), ["make", "the", "dress", "red"]);
  assert.equal(names(red, "fox 42"), ["f", "##o", "##x", "4", "##2"]);
  assert.is(red.size, 8 + 4 + 72);
  for (const text of texts) assert.equal(names(cut, text), names(tokenizer, text));
});

test("JSON gives the same tokenizer back, and a standard tokenizer.json is read", () => {
  const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
  assert.equal(again.vocabulary, tokenizer.vocabulary);
  const standard = {
    version: "1.0",
    added_tokens: addedTokens.map((content, i) => ({ id: bertSize + i, content, special: true })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.slice(0, bertSize).map((token, id) => [token, id])),
    },
  };
  assert.equal(Tokenizer.fromJSON(standard).vocabulary, tokenizer.vocabulary);
  const cased = { ...standard, normalizer: { ...standard.normalizer, lowercase: false } };
  assert.throws(() => Tokenizer.fromJSON(cased), /normalizer.lowercase is false/);
  for (const [part, wrong] of [
    ["normalizer", null],
    ["normalizer", undefined],
    ["normalizer", { type: "Sequence", normalizers: [standard.normalizer] }],
    ["normalizer", { type: "Lowercase" }],
    ["normalizer", {}],
    ["normalizer", { ...standard.normalizer, strip_accents: false }],
    ["normalizer", { ...standard.normalizer, handle_chinese_chars: false }],
    ["pre_tokenizer", null],
    ["pre_tokenizer", { type: "Whitespace" }],
    ["model", { ...standard.model, max_input_chars_per_word: 5 }],
    ["added_tokens", [...standard.added_tokens, { id: bertSize + 3, content: "<rare>", special: false }]],
  ] as const) {
    assert.throws(() => Tokenizer.fromJSON({ ...standard, [part]: wrong }), new RegExp(`tokenizer: ${part}`));
  }
  const gap = { ...standard, added_tokens: [{ id: bertSize + 5, content: "[DEC]" }] };
  assert.throws(() => Tokenizer.fromJSON(gap), /id 30527 of \[DEC\]/);
  assert.throws(() => Tokenizer.fromJSON({}), /neither a vocabulary/);
  assert.throws(() => Tokenizer.fromJSON(null), /not an object/);
});

test.run();
