// What people's files look like: state dicts under any key, among whatever a trainer put beside them, in folders with
// other people's text files; and files that are none, which say what they are and what to do.
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ImportPlan, planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { CheckpointError, writeSafetensors } from "../model/safetensors.ts";
import { loadConfig } from "../train/run/config-file.ts";
import { findCheckpoint } from "../train/run/sources.ts";
import {
  Draws,
  Foreign,
  namedCheckpoint,
  op,
  pickle,
  Stored,
  tensorOps,
  torchFile,
  torchZip,
} from "./checkpoint-files.ts";
import {
  beside,
  config,
  type Files,
  folders,
  safetensors,
  shapes,
  sizeOf,
  valuesOf,
  words,
  wordTable,
} from "./small-blip.ts";

const work = mkdtempSync(join(tmpdir(), "casement-files-"));
test.after(() => rmSync(work, { recursive: true, force: true }));
const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url));
const folder = folders(work);
/** A DINOv2's shapes and config.json. */
const dinov2: { title: string; config: unknown; shapes: Record<string, number[]> } = JSON.parse(
  readFileSync(join(fixtures, "encoders.json"), "utf8"),
).cases.find(({ title }: { title: string }) => title.startsWith("Dinov2Model"));

/** A small BLIP's state dict with something before each name. */
function state(prefix = ""): Map<string, unknown> {
  return new Map(
    Object.keys(shapes).map((name) => [`${prefix}${name}`, new Stored(valuesOf(name), shapes[name]!)]),
  );
}

async function planned(path: string): Promise<{ plan: ImportPlan; values: Map<string, Float32Array> }> {
  const { checkpoint, close, ...found } = await findCheckpoint(path);
  try {
    const plan = await planImport(checkpoint, found);
    requireWhole(plan);
    const values = new Map<string, Float32Array>();
    for (const { name, read } of plan.parameters) values.set(name, await read());
    return { plan, values };
  } finally {
    await close();
  }
}

/** Imports, and asks whether the weights are the small BLIP's. */
async function loads(path: string): Promise<ImportPlan> {
  const { plan, values } = await planned(path);
  for (const name of ["vision_proj.weight", "text_encoder.encoder.layer.1.output.dense.bias"]) {
    assert.equal([...values.get(name)!], [...valuesOf(name)], path);
  }
  const table = [...valuesOf(wordTable)];
  assert.equal([...values.get(wordTable)!].slice(0, table.length), table);
  return plan;
}

async function refuses(path: string, pattern: RegExp): Promise<void> {
  const error = await planned(path).then(
    () => null,
    (thrown) => thrown,
  );
  assert.instance(error, CheckpointError, `${path} ${pattern}: ${error?.stack}`);
  assert.match(error.message, pattern);
  assert.ok(error.message.length < 1000, error.message);
}

const namespace = new Foreign(["argparse", "Namespace"], 1);
const optimizer = {
  state: new Map([
    [
      0,
      {
        step: new Stored(Float32Array.of(1), [1]),
        exp_avg: new Stored(valuesOf(wordTable), shapes[wordTable]!),
      },
    ],
  ]),
  param_groups: [{ lr: 1, params: [0, 1] }],
};

test("a state dict is found under any key, at any depth, with any prefix, in either form", async () => {
  const keys = ["state_dict", "model_state_dict", "net", "ema", "BLIPRetrieval", "model", "weights", "0"];
  const prefixes = ["", "module.", "model.", "_orig_mod.module.", "student.backbone.", "blip."];
  const names = [
    "last.ckpt",
    "best.pt",
    "a b.pth",
    "pytorch_model.bin",
    "model_best.pth.tar",
    "gewichte-ü.PTH",
  ];
  for (let round = 0; round < 24; round++) {
    const draws = new Draws(41, round);
    let value: unknown = state(draws.pick(prefixes));
    for (let depth = draws.below(4); depth > 0; depth--) {
      value =
        draws.below(4) === 0
          ? [namespace, value]
          : { epoch: 3, args: namespace, [draws.pick(keys)]: value, optimizer };
    }
    const name = draws.pick(names);
    const path = folder({ ...beside, [name]: torchFile(value, draws.below(2) === 0) });
    await loads(draws.below(2) === 0 ? path : join(path, name));
  }
});

test("of two state dicts the model's is taken and the other is told; two equal ones are refused", async () => {
  const other = new Map(
    Object.keys(shapes).map((name) => [
      name,
      new Stored(new Float32Array(sizeOf(shapes[name]!)), shapes[name]!),
    ]),
  );
  for (const copy of ["ema", "model_ema", "teacher", "state_dict_ema", "best"]) {
    const path = folder({ ...beside, "a.pth": torchFile({ [copy]: other, model: state() }) });
    const { notes } = await loads(path);
    assert.ok(
      notes.includes('the tensors are those of "model"') && notes.includes(`not taken: "${copy}"`),
      notes.join(),
    );
  }
  await refuses(
    folder({ ...beside, "a.pth": torchFile({ first: state(), second: other }) }),
    /"first", "second" hold the same/,
  );
  for (const [one, two] of [
    ["best", "last"],
    ["init", "final"],
    ["old", "new"],
    ["schema", "cinema"],
  ]) {
    for (const value of [
      { [one!]: other, [two!]: state() },
      { [one!]: { model: other }, [two!]: { model: state() } },
    ])
      await refuses(folder({ ...beside, "a.pth": torchFile(value) }), /which dictionary is meant/);
  }
  const shared = state();
  await loads(folder({ ...beside, "a.pth": torchFile({ first: shared, second: shared }) }));
  // One as DataParallel names it: together they are no model in parts.
  await loads(folder({ ...beside, "a.pth": torchFile({ student: state("module."), teacher: other }) }));
  const student = new Map([
    ...state("student."),
    ...[...other].map(([name, value]) => [`teacher.${name}`, value] as const),
  ]);
  await loads(folder({ ...beside, "a.pth": torchFile(student) }));
});

test("a state dict for each part of a model is one", async () => {
  const parts: Record<string, Map<string, unknown>> = {};
  for (const [name, value] of state()) {
    const [part, ...rest] = name.split(".");
    parts[part!] ??= new Map();
    parts[part!]!.set(rest.join("."), value);
  }
  await loads(folder({ ...beside, "a.pth": torchFile(parts) }));
  await loads(folder({ ...beside, "a.pth": torchFile({ epoch: 1, parts, optimizer }) }));
  // Parts whose names are whole already.
  for (const prefix of ["", "module."]) {
    const all = [...state(prefix)];
    const [vision, text] = [true, false].map(
      (seen) => new Map(all.filter(([name]) => name.includes("vision") === seen)),
    );
    await loads(folder({ ...beside, "a.pth": torchFile({ vision, text }) }));
    await loads(folder({ ...beside, "a.pth": torchFile({ epoch: 1, net: { vision, text }, optimizer }) }));
  }
});

test("whatever its length, what a trainer keeps beside a model is no harm", async () => {
  const count = (length: number, item: (i: number) => unknown) => Array.from({ length }, (_, i) => item(i));
  const scalar = (i: number) => new Foreign(["numpy.core.multiarray", "scalar"], dtype, `${i}`);
  const dtype = new Foreign(["numpy", "dtype"], "f8", false, true);
  const things: Record<string, unknown> = {
    losses: count(1_200_000, (i) => i),
    "numpy's losses": count(150_000, scalar),
    records: count(250_000, (i) => ({ step: i, loss: [i, i] })),
    rows: count(1200, () => count(1000, (i) => i)),
    paths: count(400_000, (i) => `images/train/${i}.png`),
    log: "x".repeat(20_000_000),
    "numpy's array": new Foreign(["_codecs", "encode"], "ÿ".repeat(5_000_000), "latin1"),
    name: new Map([["n".repeat(2_000_000), 1]]),
  };
  for (const [what, thing] of Object.entries(things)) {
    // Before the model in a zip file, behind it in a stream.
    const zip = what.length % 2 === 0;
    const value = zip ? { thing, model: state() } : { model: state(), thing };
    const path = folder({ ...beside, "a.pth": torchFile(value, !zip) });
    const started = performance.now();
    await loads(path);
    assert.ok(performance.now() - started < 10_000, what);
  }
});

test("a stream of hundreds of storages is read", async () => {
  const moment = (i: number) => ({ exp_avg: new Stored(Float32Array.of(i, -i), [2]) });
  const optimizer = Array.from({ length: 400 }, (_, i) => moment(i));
  for (const value of [
    { model: state(), optimizer },
    { optimizer, model: state() },
  ])
    await loads(folder({ ...beside, "a.pth": torchFile(value, true) }));
});

test("a tensor in a long list of records keeps its dictionary, and only what is needed in long bytes is an error", async () => {
  const epochs: unknown[] = Array.from({ length: 5000 }, (_, i) => ({ epoch: i }));
  epochs[4000] = { weights: state() };
  await loads(folder({ ...beside, "a.pth": torchFile({ epochs }) }));
  const name = "text_encoder.encoder.layer.0.output.dense.weight";
  const array = new Foreign(["numpy.core.multiarray", "_reconstruct"], "ÿ".repeat(40_000));
  const text = "x".repeat(10_000);
  const path = (value: unknown) =>
    folder({
      ...beside,
      "a.pth": torchFile({
        net: new Map([...state()].map(([key, held]) => [key, key === name ? value : held])),
      }),
    });
  await refuses(path(array), /"text_encoder\.encoder\.layer\.0\.output\.dense\.weight": it is what numpy/);
  await refuses(
    path(text),
    /"text_encoder\.encoder\.layer\.0\.output\.dense\.weight": it is a text of 10000 bytes/,
  );
  const arrays = new Map(Object.keys(shapes).map((key) => [key, array]));
  await refuses(
    folder({ ...beside, "a.pth": torchFile({ state_dict: arrays }) }),
    /tensor "[\w.]+": it is what numpy/,
  );
});

test("values that contain themselves are no harm", async () => {
  const dict = (...inner: (Uint8Array | readonly number[])[]) =>
    torchZip(pickle(op.dict, op.put(0), ...inner), { 0: new Uint8Array(16) });
  const held = [op.text("vision_proj.bias"), tensorOps(), op.setItem];
  for (const cyclic of [
    [op.get(0)],
    [op.list, op.put(1), op.get(1), op.append],
    [op.list, op.put(1), op.get(1), op.tuple1, op.append],
    [op.list, op.put(1), op.get(0), op.append],
  ]) {
    const source = folder({ "a.pth": dict(...held, op.text("x"), ...cyclic, op.setItem) });
    const { checkpoint, close } = await findCheckpoint(source);
    assert.equal([...checkpoint.tensors.keys()], ["vision_proj.bias"]);
    await close();
  }
});

test("a file without a model lists what it has", async () => {
  await refuses(
    folder({ "a.pth": torchFile({ epoch: 3, args: namespace, scores: [1, 2] }) }),
    /no tensors, but "epoch", "args", "scores"/,
  );
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key ${i}`, i]));
  await refuses(folder({ "a.pth": torchFile(many) }), /no tensors, but "key 0".* and 4992 more/);
  await refuses(folder({ "a.pth": torchFile({ optimizer }) }), /it holds "step", "exp_avg"/);
});

test("PyTorch's own files full of foreign objects give every tensor; what is no float is told once it is needed", async () => {
  const wanted = JSON.parse(readFileSync(join(fixtures, "checkpoints/foreign.json"), "utf8")) as Record<
    string,
    { shape: number[]; values: number[] }
  >;
  assert.is(Object.keys(wanted).length, 11);
  for (const file of ["foreign.pth", "foreign5.pth", "foreign-old.pth"]) {
    const { checkpoint, close } = await findCheckpoint(join(fixtures, "checkpoints", file));
    for (const [name, { shape, values }] of Object.entries(wanted)) {
      const entry = checkpoint.tensors.get(name)!;
      assert.equal([...entry.shape], shape, name);
      assert.equal([...(await entry.read())], values, name);
    }
    for (const name of ["complex", "float8", "sparse", "quantized", "meta", "array"]) {
      const error = await checkpoint.tensors
        .get(name)!
        .read()
        .catch((thrown) => thrown);
      assert.instance(error, CheckpointError);
      assert.match(error.message, new RegExp(`"${name}": .*(torch|numpy)`));
    }
    await close();
  }
});

test("a tensor that is needed and opaque is an error that names it, one that is not is left out", async () => {
  const array = new Foreign(["numpy.core.multiarray", "_reconstruct"], 1, 2);
  const name = "text_encoder.encoder.layer.0.output.dense.weight";
  const needed = (value: unknown) =>
    folder({
      ...beside,
      "a.pth": torchFile({
        model: new Map(
          [...state(), [name, value]].filter(([key, held]) => key !== name || held === value) as [
            string,
            unknown,
          ][],
        ),
      }),
    });
  await refuses(
    needed(array),
    /tensor "text_encoder\.encoder\.layer\.0\.output\.dense\.weight": it is what numpy/,
  );
  await refuses(
    needed(new Foreign(["torch._utils", "_rebuild_parameter"], array)),
    /output\.dense\.weight": it is what torch\._utils\._rebuild_parameter/,
  );
  await loads(folder({ ...beside, "a.pth": torchFile({ model: new Map([...state(), ["scaler", array]]) }) }));
  const arrays = new Map(Object.keys(shapes).map((key) => [key, array]));
  await refuses(folder({ ...beside, "a.pth": torchFile(arrays) }), /tensor "[\w.]+": it is what numpy\.core/);
  // All of it inside of an object that would have to be built.
  const whole = new Foreign(["my.models", "Retrieval"], Object.fromEntries(state()));
  await refuses(
    folder({ ...beside, "a.pth": torchFile(whole) }),
    /inside of a "my\.models\.Retrieval".*state_dict/,
  );
  await refuses(
    folder({ ...beside, "a.pth": torchFile({ model: whole, optimizer }) }),
    /inside of a "my\.models\.Retrieval"/,
  );
});

/** A safetensors file with its header's text changed; data of `extra` bytes behind the rest. */
function reheaded(change: (header: string, end: number) => string, extra = 0): Uint8Array {
  const bytes = safetensors();
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const text = new TextEncoder().encode(change(header.trimEnd(), bytes.length - 8 - length));
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([head, text, bytes.subarray(8 + length), new Uint8Array(extra)]);
}

test("safetensors as other writers make them", async () => {
  const file = (change: Parameters<typeof reheaded>[0], extra?: number) =>
    folder({ ...beside, "model.safetensors": reheaded(change, extra) });
  await loads(file((header) => header.replace("{", '{"__metadata__":null,')));
  await loads(file((header) => header.replace("{", '{"__metadata__":{},')));
  // A type that nobody knows, of a tensor that nobody needs: two numbers in one byte.
  const added = (name: string, type: string) => (header: string, end: number) =>
    header.replace(/}$/, `,"${name}":{"dtype":"${type}","shape":[2,3],"data_offsets":[${end},${end + 3}]}}`);
  const plan = await loads(file(added("scales", "F4"), 3));
  assert.equal(
    plan.unexpected.flatMap(({ names }) => names),
    ["scales"],
  );
  await refuses(
    file((header) => header.replace(/("vision_proj.weight":{"dtype":)"F32"/, '$1"F6_E3M2"')),
    /"vision_proj\.weight": its type F6_E3M2 is not read/,
  );
  await refuses(
    file((header) => header.replace(/("vision_proj.weight":{"dtype":)"F32"/, '$1"I32"')),
    /vision_proj\.weight \(I32/,
  );
  await refuses(file(added("scales", "f4"), 3), /"scales": unknown dtype "f4"/);
  await refuses(file(added("scales", "F4")), /"scales": truncated/);
});

test("an index of several files: names with spaces and letters of any kind, tensors that it forgot, pointers", async () => {
  const half = (odd: boolean) => {
    const entries = Object.keys(shapes).filter((_, i) => (i % 2 === 1) === odd);
    return {
      names: entries,
      bytes: writeSafetensors(
        new Map(
          entries.map((name) => [
            name,
            { dtype: "F32" as const, shape: shapes[name]!, data: valuesOf(name) },
          ]),
        ),
      ),
    };
  };
  const [a, b] = [half(false), half(true)];
  const map = (first: string, second: string, names = b.names) =>
    JSON.stringify({
      weight_map: {
        ...Object.fromEntries(a.names.map((name) => [name, first])),
        ...Object.fromEntries(names.map((name) => [name, second])),
      },
    });
  const [first, second] = ["teil 1 von 2 – ä.safetensors", "teil (2).safetensors"];
  const parts = { ...beside, [first]: a.bytes, [second]: b.bytes };
  for (const index of ["model.safetensors.index.json", "blip.bin.index.json"]) {
    await loads(folder({ ...parts, [index]: `\ufeff${map(first, second)}` }));
    await loads(folder({ ...parts, [index]: map(first, second, b.names.slice(0, 2)) }));
  }
  // The same of torch.save's.
  const pickled = (names: readonly string[]) =>
    torchFile(new Map([...state()].filter(([name]) => names.includes(name))));
  const bins = { "a.bin": pickled(a.names), "b.bin": pickled(b.names) };
  await loads(folder({ ...beside, ...bins, "pytorch_model.bin.index.json": map("a.bin", "b.bin") }));
  await refuses(
    folder({ ...beside, "a.bin": bins["a.bin"], "pytorch_model.bin.index.json": map("a.bin", "b.bin") }),
    /Cannot open .*b\.bin/,
  );
  await refuses(
    folder({ ...parts, "model.safetensors.index.json": map(first, "../b.safetensors") }),
    /no file name/,
  );
  await refuses(
    folder({ ...parts, [second]: pointer, "model.safetensors.index.json": map(first, second) }),
    /teil \(2\)\.safetensors: this is a Git LFS pointer/,
  );
});

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 895117345\n";

test("what a tokenizer_config.json says of texts is computed or refused by its name", async () => {
  const at = (said: object) =>
    folder({
      ...{ ...beside, "model.safetensors": safetensors() },
      "tokenizer_config.json": JSON.stringify(said),
    });
  const token = (content: string, special: boolean) => ({ content, special, single_word: false });
  // As published BERTs and BLIPs have them, before Transformers 5 and since.
  for (const said of [
    { do_lower_case: true, model_max_length: 512 },
    {
      ...{
        cls_token: "[CLS]",
        sep_token: "[SEP]",
        pad_token: "[PAD]",
        mask_token: "[MASK]",
        unk_token: "[UNK]",
      },
      ...{
        clean_up_tokenization_spaces: true,
        do_basic_tokenize: true,
        do_lower_case: true,
        never_split: null,
      },
      ...{ strip_accents: null, tokenize_chinese_chars: true, tokenizer_class: "BertTokenizer" },
      added_tokens_decoder: { 0: token("[PAD]", true), 23: token("[ENC]", false), 24: token("<a>", true) },
    },
    {
      ...{ backend: "tokenizers", tokenizer_class: "TokenizersBackend", processor_class: "BlipProcessor" },
      ...{ unk_token: token("[UNK]", true), strip_accents: true, model_max_length: 1e30 },
    },
  ]) {
    await loads(at(said));
  }
  for (const said of [
    { do_lower_case: false },
    { do_lower_case: null },
    { strip_accents: false },
    { tokenize_chinese_chars: false },
    { do_basic_tokenize: false },
    { never_split: ["red"] },
    { unk_token: "[MASK]" },
    { cls_token: token("<s>", true) },
    { truncation_side: "left" },
    { tokenizer_class: "BertJapaneseTokenizer" },
    { tokenizer_class: "RobertaTokenizerFast" },
    { added_tokens_decoder: { 23: token("<rare>", false) } },
    { word_tokenizer_type: "mecab" },
  ]) {
    await refuses(at(said), new RegExp(`tokenizer_config\\.json:${Object.keys(said)[0]} = `));
  }
});

test("another model's tokenizer is a fault only where there are texts to encode", async () => {
  const tokenizer = JSON.stringify({ model: { type: "BPE", vocab: { a: 0 }, merges: [] } });
  const path = folder({ ...beside, "tokenizer.json": tokenizer, "model.safetensors": safetensors() });
  await refuses(path, /tokenizer\.json with a WordPiece model/);
  const { tokens, close } = await findCheckpoint(path);
  await close();
  const vit = namedCheckpoint(dinov2.shapes);
  const plan = await planImport(vit, { config: dinov2.config, tokens, partial: true });
  requireWhole(plan);
  assert.match(plan.notes.join("\n"), /the vocabulary beside it was not used/);
});

test("pictures are prepared as Transformers 5 has it in processor_config.json", async () => {
  const said = { image_mean: [0.1, 0.2, 0.3], image_std: [0.4, 0.5, 0.6], resample: 2, do_normalize: true };
  const at = (fields: object) =>
    folder({
      ...{ ...beside, "model.safetensors": safetensors() },
      "processor_config.json": JSON.stringify({ image_processor: fields, processor_class: "BlipProcessor" }),
    });
  const { mean, std, filter } = (await loads(at(said))).model.vision;
  assert.equal({ mean, std, filter }, { mean: said.image_mean, std: said.image_std, filter: "bilinear" });
  await refuses(at({ ...said, resample: 0 }), /processor_config\.json:image_processor\.resample = 0/);
});

test("text files as editors leave them: byte-order marks, UTF-16, blank lines, Windows' line ends", async () => {
  const model = { "model.safetensors": safetensors() };
  const wide = (text: string) => Buffer.from(`\ufeff${text}`, "utf16le");
  const lines = words.join("\n");
  for (const [what, files] of Object.entries<Files>({
    "a byte-order mark": { "config.json": `\ufeff${config}`, "vocab.txt": `\ufeff${lines}` },
    "blank lines": { "config.json": `\n\n${config}\n\n`, "vocab.txt": `${lines}\n\n \n` },
    "a blank line after each": { "config.json": config, "vocab.txt": lines.replaceAll("\n", "\n\n") },
    "blank lines at the start": { "config.json": config, "vocab.txt": `\n\n\n${lines}` },
    "line ends of Windows": {
      "config.json": config.replaceAll(",", ",\r\n"),
      "vocab.txt": `${lines.replaceAll("\n", "\r\n")}\r\n`,
    },
    "line ends of old Macs": { "config.json": config, "vocab.txt": lines.replaceAll("\n", "\r") },
    "UTF-16": { "config.json": wide(config), "vocab.txt": wide(lines) },
    "a tokenizer.json with a mark": {
      "config.json": config,
      "tokenizer.json": `\ufeff${JSON.stringify({ vocabulary: words })}`,
    },
    "an empty tokenizer_config.json's mark": {
      "config.json": config,
      "vocab.txt": lines,
      "tokenizer_config.json": "\ufeff{}",
    },
  })) {
    const { vocabulary } = await loads(folder({ ...model, ...files }));
    assert.equal(vocabulary.slice(0, words.length + 2), [...words, "[ENC]", "[REV]"], what);
  }
  // As Hugging Face counts, where there is a row for the blank line.
  const sparse = [...words.slice(0, 10), "", ...words.slice(10)];
  const taller = safetensors({ change: { [wordTable]: [sparse.length, shapes[wordTable]![1]!] } });
  const { plan } = await planned(
    folder({ "config.json": config, "vocab.txt": sparse.join("\n"), "model.safetensors": taller }),
  );
  assert.is(plan.vocabulary.indexOf("q"), sparse.length - 1);
  const at = (name: string, content: string | Uint8Array) => folder({ ...model, ...beside, [name]: content });
  await refuses(at("vocab.txt", pointer), /vocab\.txt: this is a Git LFS pointer.*git lfs pull/);
  await refuses(at("config.json", pointer), /config\.json: this is a Git LFS pointer/);
  await refuses(at("tokenizer.json", pointer), /tokenizer\.json: this is a Git LFS pointer/);
  await refuses(at("config.json", "<!DOCTYPE html>"), /config\.json: this is a web page/);
  await refuses(at("config.json", ""), /config\.json: /);
  // As Python's json writes what is no number.
  const told = { hidden_size: 8, epsilon: "HERE", sizes: [1, "HERE"] };
  for (const word of ["NaN", "Infinity", "-Infinity"]) {
    const text = JSON.stringify({ text_config: told }, null, 2);
    for (const [field, content] of [
      ["epsilon", text.replace('"HERE"', word)],
      ["sizes", text.replace('"HERE"', "1").replace(/1,\s+"HERE"/, word)],
    ])
      await refuses(
        at("config.json", content!),
        new RegExp(`config\\.json: malformed JSON \\(line \\d, column \\d+\\): "${field}" is ${word},`),
      );
  }
  await refuses(at("vocab.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 10)), /vocab\.txt is no text in UTF-8/);
  const run = join(folder({}), "run.json");
  writeFileSync(
    run,
    `\ufeff${JSON.stringify({ name: "a", data: { kind: "emoji" }, model: {}, training: { steps: 21 } })}`,
  );
  assert.is((await loadConfig(run)).training.steps, 21);
});

test("a word table longer than its vocabulary keeps its rows; a shorter one is refused", async () => {
  for (const rows of [32, 64]) {
    const taller = safetensors({ change: { [wordTable]: [rows, shapes[wordTable]![1]!] } });
    for (const known of [words, [...words, "[ENC]"], [...words, "[ENC]", "[REV]"]]) {
      const { plan, values } = await planned(
        folder({ "config.json": config, "vocab.txt": known.join("\n"), "model.safetensors": taller }),
      );
      const fresh = known.includes("[REV]") ? 0 : 1;
      assert.is(plan.vocabulary.length, rows + fresh);
      assert.is(new Set(plan.vocabulary).size, rows + fresh);
      assert.equal(plan.vocabulary.slice(0, known.length), known);
      // BLIP's row follows the vocabulary.
      assert.is(plan.vocabulary.indexOf("[ENC]"), words.length);
      assert.is(plan.vocabulary.indexOf("[REV]"), known.includes("[REV]") ? words.length + 1 : rows);
      const table = valuesOf(wordTable, [rows, shapes[wordTable]![1]!]);
      assert.equal([...values.get(wordTable)!].slice(0, table.length), [...table]);
      assert.match(
        plan.notes.join("\n"),
        new RegExp(
          `the last ${rows - (fresh === 0 ? known.length : words.length + 1)} rows of the word table`,
        ),
      );
    }
  }
  // What a slow tokenizer of Hugging Face's adds stands in a file of its own.
  const added = (ids: Record<string, unknown>) =>
    folder({
      ...beside,
      "added_tokens.json": JSON.stringify(ids),
      "model.safetensors": safetensors({ change: { [wordTable]: [32, shapes[wordTable]![1]!] } }),
    });
  const { vocabulary } = (await planned(added({ "<img>": 23, "[ENC]": 25 }))).plan;
  assert.equal(vocabulary.slice(22, 27), ["q", "<img>", "[row 24]", "[ENC]", "[row 26]"]);
  await refuses(added({ "<img>": 3 }), /added_tokens\.json gives "<img>" the id 3, which is not free/);
  await refuses(added({ "<img>": 2 ** 40 }), /not free/);
  await refuses(added({ "<img>": "4" }), /not free/);
  await refuses(added({ dress: 23 }), /added_tokens\.json: "dress" within a text/);
  const none = safetensors({ change: { [wordTable]: [0, shapes[wordTable]![1]!] } });
  await refuses(folder({ ...beside, "model.safetensors": none }), /table of word embeddings is empty/);
  const shorter = safetensors({ change: { [wordTable]: [12, shapes[wordTable]![1]!] } });
  await refuses(
    folder({ ...beside, "model.safetensors": shorter }),
    /the vocabulary has 23 tokens, the word embeddings 12 rows/,
  );
});

test("folders: which file is meant, links, and what can't be read", async () => {
  const good = safetensors();
  // The safetensors file before the pickle, and what trainers keep besides.
  const poison = torchFile({ "elsewhere.weight": new Stored(new Float32Array(1), [1]) });
  await loads(folder({ ...beside, "model.safetensors": good, "pytorch_model.bin": poison }));
  await loads(
    folder({
      ...beside,
      "last.ckpt": torchFile(state()),
      "optimizer.pt": poison,
      "rng_state_0.pth": poison,
      "training_args.bin": poison,
      "notes.txt": "",
    }),
  );
  await refuses(
    folder({ ...beside, "a.ckpt": poison, "b.pth": poison }),
    /several checkpoints, name one: a\.ckpt, b\.pth/,
  );
  await refuses(folder({ ...beside }), /holds no checkpoint, but config\.json, vocab\.txt/);
  await refuses(folder({}), /holds no checkpoint$/);
  const cache = folder({});
  mkdirSync(join(cache, "snapshots"));
  await refuses(cache, /but snapshots; in a cache of Hugging Face's name a folder in its snapshots/);
  const own = safetensors({ change: { "text_encoder.encoder.layer.0.attention.self.qkv.weight": [72, 24] } });
  await refuses(folder({ ...beside, "model.safetensors": own }), /casement's own: embed, search.*export/);

  await refuses(join(work, "nowhere"), /Cannot open .*nowhere/);
  const linked = folder(beside);
  const target = join(folder({ blob: good }), "blob");
  symlinkSync(target, join(linked, "model.safetensors"));
  await loads(linked);
  await loads(join(linked, "model.safetensors"));
  rmSync(target);
  await refuses(linked, /it is a link to .*blob, which is not there/);
  const shard = folder({ ...beside, "model.safetensors.index.json": '{"weight_map":{"a":"part"}}' });
  mkdirSync(join(shard, "part"));
  await refuses(shard, /part is no file/);
  for (const [name, pattern] of [
    ["page.pth", /page\.pth: this is a web page/],
    ["p.safetensors", /web page/],
  ] as const) {
    await refuses(folder({ ...beside, [name]: "<html><body>403</body></html>" }), pattern);
  }
  await refuses(folder({ ...beside, "model.safetensors": good.subarray(0, good.length - 9) }), /truncated/);
});

test("what its owner may not read is told as such", async () => {
  if (process.getuid?.() !== 0) {
    console.log("\nskipped: what its owner may not read (only root can start a process as nobody)");
    return;
  }
  chmodSync(work, 0o755);
  const file = folder({ ...beside, "model.safetensors": safetensors() });
  chmodSync(join(file, "model.safetensors"), 0);
  const text = folder({ ...beside, "model.safetensors": safetensors() });
  chmodSync(join(text, "vocab.txt"), 0);
  const whole = folder({ ...beside, "model.safetensors": safetensors() });
  chmodSync(whole, 0);
  const script = `
    import { findCheckpoint } from ${JSON.stringify(new URL("../train/run/sources.ts", import.meta.url).href)};
    process.setgid(65534);
    process.setuid(65534);
    for (const path of ${JSON.stringify([file, text, whole])})
      console.log(await findCheckpoint(path).then(() => "opened", (error) => error.name + ": " + error.message));`;
  const args = ["--import", "./cli/register.mjs", "--input-type=module", "-e", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  });
  const told = stdout.trim().split("\n");
  assert.match(told[0]!, /^CheckpointError: Cannot open .*model\.safetensors: EACCES/);
  assert.match(told[1]!, /^CheckpointError: Cannot read .*vocab\.txt: EACCES/);
  assert.match(told[2]!, /^CheckpointError: Cannot read .*: EACCES/);
});

const hard = fileURLToPath(new URL("../../shared/data/hard-cases/", import.meta.url));
test("files that failed once", async () => {
  if (!existsSync(hard)) {
    console.log(
      "\nskipped: files that failed once (they are not beside this checkout; their kinds are tested above)",
    );
    return;
  }
  for (const name of ["I04-lightning", "I05-cir", "I08-namespace", "I12-null-metadata"]) {
    const { plan, values } = await planned(join(hard, name));
    assert.is(plan.vocabulary.length, 40, name);
    assert.is(values.get("vision_proj.weight")!.length, 32 * 64, name);
  }
  const { plan, values } = await planned(join(hard, "I11-padded-vocab"));
  assert.is(plan.vocabulary.length, 48);
  assert.is(values.get(wordTable)!.length, 48 * 64);
  await refuses(join(hard, "I14-lfs"), /Git LFS pointer.*git lfs pull/);
});

test.run();
