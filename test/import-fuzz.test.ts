// Checkpoints are untrusted input: thousands of broken safetensors, zip and pickle files, each of which must end in a
// CheckpointError or in a well-formed load, quickly, in no more memory than the file's size and 64 MB.
import { readdirSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openCheckpoint } from "../model/checkpoint/open.ts";
import { planImport } from "../model/checkpoint/plan.ts";
import { openSharded } from "../model/checkpoint/safetensors.ts";
import { memorySource } from "../model/checkpoint/source.ts";
import { CheckpointError, elementBytes, isFloat, type StoredType } from "../model/safetensors.ts";
import {
  concat,
  concatAll,
  Draws,
  namedCheckpoint,
  op,
  pickle,
  tensorOps,
  tensorPickle,
  torchZip,
  type ZipPart,
  zipFile,
} from "./checkpoint-files.ts";

/** Longest that one file may take; two busy cores need tens of milliseconds for the largest. */
const limitMs = 3000;
/** Memory beyond a file's own size. */
const limitBytes = 64 << 20;

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
const safetensors = [
  fixture("small.safetensors"),
  fixture("checkpoints/sharded/model-00001-of-00002.safetensors"),
];
const streams = ["old", "wrapped-old", "foreign-old"].map((name) => fixture(`checkpoints/${name}.pth`));
const zips = ["new", "wrapped-new", "protocol5", "deflated", "foreign", "foreign5"].map((name) =>
  fixture(`checkpoints/${name}.pth`),
);

const counts = { loaded: 0, refused: 0, slowest: 0, largest: 0 };

/** Memory that this process holds for JavaScript; array buffers lie outside of the heap. */
function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Opens a file and reads every float of it; anything but a CheckpointError or a whole load fails the test. */
async function attempt(bytes: Uint8Array, what: string): Promise<boolean> {
  const before = memory();
  const start = performance.now();
  let most = 0;
  // Between the reads, where nothing can have been given back unnoticed for long.
  const watch = () => {
    most = Math.max(most, memory() - before);
  };
  let whole = true;
  try {
    const { tensors } = await openCheckpoint(memorySource(bytes, what));
    watch();
    for (const [name, entry] of tensors) {
      if (!isFloat(entry.dtype)) continue;
      const values = await entry.read();
      watch();
      const size = entry.shape.reduce((product, extent) => product * extent, 1);
      assert.is(values.length, size, `${what}: ${name}`);
    }
  } catch (error) {
    assert.instance(error, CheckpointError, `${what}: ${(error as Error).stack}`);
    watch();
    whole = false;
  }
  const taken = performance.now() - start;
  assert.ok(taken < limitMs, `${what} took ${taken} ms`);
  assert.ok(most < bytes.length + limitBytes, `${what} took ${most >> 20} MB`);
  counts.slowest = Math.max(counts.slowest, taken);
  counts.largest = Math.max(counts.largest, most - bytes.length);
  counts[whole ? "loaded" : "refused"]++;
  return whole;
}

/** Numbers that break readers: the ends of every width, negative ones, and small ones. */
const awkward = [
  0,
  1,
  2,
  7,
  8,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 40,
  2 ** 53,
  2 ** 62,
];

/** One to four changes at places that `place` chooses. */
function mutate(source: Uint8Array, draws: Draws, place: (length: number) => number): Uint8Array {
  let bytes = Uint8Array.from(source);
  for (let edits = 1 + draws.below(4); edits > 0; edits--) {
    const at = Math.min(place(bytes.length), bytes.length - 1);
    const kind = draws.below(8);
    if (kind <= 1) bytes[at] ^= 1 << draws.below(8);
    else if (kind === 2) bytes[at] = draws.below(256);
    else if (kind === 3) bytes = bytes.slice(0, Math.max(1, at));
    else if (kind === 4) bytes.copyWithin(at, draws.below(bytes.length), draws.below(bytes.length));
    else if (kind === 5) bytes = concat(bytes.subarray(0, at), bytes.subarray(draws.below(at + 1)));
    else if (kind === 6) bytes = concat(bytes.subarray(0, at), [draws.below(256)], bytes.subarray(at));
    else {
      const width = draws.pick([1, 2, 4, 8]);
      const value = BigInt(draws.pick(awkward));
      for (let i = 0; i < width && at + i < bytes.length; i++)
        bytes[at + i] = Number((value >> BigInt(8 * i)) & 255n);
    }
  }
  return bytes;
}

/** A safetensors file of a header's text and so many bytes of data. */
function headed(text: string, dataBytes = 0): Uint8Array {
  const body = new TextEncoder().encode(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(body.length), true);
  return concat(length, body, new Uint8Array(dataBytes));
}

function anywhere(draws: Draws): (length: number) => number {
  return (length) => draws.below(length);
}

test("every truncation of a file is refused", async () => {
  for (const whole of [safetensors[0], streams[1], zips[1]]) {
    for (let length = 0; length < whole.length; length++) {
      assert.not.ok(await attempt(whole.subarray(0, length), `the first ${length} of ${whole.length} bytes`));
    }
  }
});

/** What a tensor's entry in a header may be instead of what it should be. */
const oddTypes = ["F64", "U8", "f32", "F8", "", "__proto__", "constructor", 7, null, ["F32"]];
const oddNames = ["t0", "t1", "__metadata__", "__proto__", "../../etc/passwd", "/etc/passwd", ""];
const oddExtents = [...awkward, -1, 0.5, "2", null, [2], {}];

test("1,000 safetensors headers whose fields lie: the tensors tile the data, or the file is refused", async () => {
  let legalOnes = 0;
  for (let round = 0; round < 1000; round++) {
    const draws = new Draws(17, round);
    let at = 0;
    const tensors = Array.from({ length: 1 + draws.below(4) }, (_, i) => {
      const dtype: unknown = draws.pick(["F32", "F16", "BF16", "F64", "I64", "BOOL"]);
      const shape: unknown[] = Array.from({ length: draws.below(4) }, () => draws.below(4));
      const size = (shape as number[]).reduce((a, b) => a * b, elementBytes[dtype as StoredType]);
      const offsets: unknown[] = [at, at + size];
      at += size;
      return { name: `t${i}`, dtype, shape, offsets };
    });
    for (let edits = draws.below(4); edits > 0; edits--) {
      const one = draws.pick(tensors);
      const kind = draws.below(5);
      if (kind === 0) one.dtype = draws.pick(oddTypes);
      else if (kind === 1) one.shape[draws.below(one.shape.length)] = draws.pick(oddExtents);
      else if (kind === 2) one.name = draws.pick(oddNames);
      else if (kind === 3)
        one.offsets[draws.below(2)] = draws.pick([...draws.pick(tensors).offsets, ...awkward, -4, null]);
      else {
        const { dtype, shape, offsets } = draws.pick(tensors);
        Object.assign(one, { dtype, shape: [...shape], offsets: [...offsets] });
      }
    }
    // Often just what the last tensor ends with, so that an overlap is the only thing wrong.
    const ends = tensors.map(({ offsets }) => offsets[1]).filter((end) => Number(end) <= 2 * at) as number[];
    const available = Math.max(
      0,
      draws.pick([at, Math.max(0, ...ends)]) + draws.pick([0, 0, 0, 0, 0, 0, -1, 1, 8]),
    );
    // Joined by hand, so that a name can be there twice.
    const entries = tensors.map(
      ({ name, dtype, shape, offsets }) =>
        `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`,
    );
    const loaded = await attempt(headed(`{${entries.join()}}`, available), entries.join());
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
    const names = new Set(tensors.map(({ name }) => name));
    let end = 0;
    // A type that is not known takes any bytes, and is refused once its tensor is read.
    const other = (dtype: unknown) => dtype === "F8";
    const legal =
      names.size === tensors.length &&
      !names.has("__metadata__") &&
      tensors.every(
        ({ dtype, shape, offsets }) =>
          typeof dtype === "string" &&
          (Object.hasOwn(elementBytes, dtype) || other(dtype)) &&
          [...shape, ...offsets].every(isCount) &&
          isCount((shape as number[]).reduce((a, b) => a * b, 1)) &&
          (offsets[0] as number) <= (offsets[1] as number) &&
          (other(dtype) ||
            (shape as number[]).reduce((a, b) => a * b, elementBytes[dtype as StoredType]) ===
              (offsets[1] as number) - (offsets[0] as number)),
      ) &&
      (tensors as { offsets: number[] }[])
        .sort((a, b) => a.offsets[0] - b.offsets[0] || a.offsets[1] - b.offsets[1])
        .every(({ offsets: [from, to] }) => {
          const follows = from === end;
          end = to;
          return follows;
        }) &&
      end === available;
    assert.is(loaded, legal, entries.join());
    legalOnes += Number(legal);
  }
  assert.ok(legalOnes > 100 && legalOnes < 600, `${legalOnes}`);
});

test("300 indexes whose files are none open nothing but plain names", async () => {
  const shard = await openCheckpoint(memorySource(safetensors[1]));
  const [known] = shard.tensors.keys();
  const plain = ["a.safetensors", "b.safetensors"];
  const odd = [
    "../a.safetensors",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    "C:\\a",
    "a\0b",
    "a\nb",
    1,
    null,
    {},
    [],
  ];
  for (let round = 0; round < 300; round++) {
    const draws = new Draws(18, round);
    const map = Object.fromEntries(
      Array.from({ length: 1 + draws.below(3) }, () => [
        draws.pick([known, known, known, "missing", "__proto__"]),
        draws.below(3) === 0 ? draws.pick(odd) : draws.pick(plain),
      ]),
    );
    const index = draws.pick<unknown>([
      { weight_map: map },
      { weight_map: map },
      { weight_map: [map] },
      map,
      null,
    ]);
    const asked: string[] = [];
    try {
      const { tensors } = await openSharded(index, async (file) => {
        asked.push(file);
        return shard;
      });
      assert.ok([...tensors.keys()].every((name) => shard.tensors.has(name)));
      counts.loaded++;
    } catch (error) {
      assert.instance(error, CheckpointError, `${JSON.stringify(index)}: ${(error as Error).stack}`);
      counts.refused++;
    }
    assert.ok(
      asked.every((file) => plain.includes(file)),
      `${asked}`,
    );
  }
});

test("1,200 safetensors files with broken headers and lengths", async () => {
  for (let round = 0; round < 1200; round++) {
    const draws = new Draws(11, round);
    const source = draws.pick(safetensors);
    const header = 8 + Number(new DataView(source.buffer).getBigUint64(0, true));
    const place = (length: number) => draws.below(draws.below(10) === 0 ? length : header);
    await attempt(mutate(source, draws, place), `safetensors ${round}`);
  }
});

test("1,500 broken zip files and streams of torch.save's", async () => {
  for (let round = 0; round < 1500; round++) {
    const draws = new Draws(12, round);
    const source = draws.pick(draws.below(3) === 0 ? streams : zips);
    // The directory is at a zip file's end, the pickles at a stream's start.
    const place = (length: number) =>
      draws.below(2) === 0 ? length - 1 - draws.below(600) : draws.below(length);
    await attempt(
      mutate(source, draws, (length) => Math.max(0, place(length))),
      `torch ${round}`,
    );
  }
});

test("800 zip files whose fields lie", async () => {
  for (let round = 0; round < 800; round++) {
    const draws = new Draws(13, round);
    const parts: ZipPart[] = [
      { name: "a/data.pkl", data: tensorPickle() },
      { name: "a/data/0", data: new Uint8Array(16) },
      {
        name: draws.pick(["a/version", "../../../etc/passwd", "/a", "a\\b", "", "a/data/0", "a/data.pkl"]),
        data: new Uint8Array(4),
      },
    ];
    for (let edits = 1 + draws.below(3); edits > 0; edits--) {
      const part = draws.pick(parts);
      const field = draws.pick([
        "packed",
        "size",
        "local",
        "crc",
        "flags",
        "method",
        "deflate",
        "long",
      ] as const);
      if (field === "deflate" || field === "long") part[field] = true;
      else if (field === "flags" || field === "method") part[field] = draws.pick([0, 1, 8, 12, 64, 65_535]);
      else if (field === "crc") part.crc = draws.below(2 ** 31);
      else part[field] = draws.pick([...awkward.slice(0, -1), 16, 15, 17, 100, 200]);
    }
    const options = draws.below(4) === 0 ? { count: draws.pick([0, 1, 2, 4, 65_535]) } : {};
    await attempt(zipFile(parts, options), `zip ${round}`);
  }
});

test("1,500 broken pickles in whole zip files", async () => {
  const good = tensorPickle();
  const floats = { 0: new Uint8Array(16) };
  const codes = [
    ...new Set([...good, ...Object.values(op).flatMap((code) => (Array.isArray(code) ? code : []))]),
  ];
  for (let round = 0; round < 1500; round++) {
    const draws = new Draws(14, round);
    let bytes: Uint8Array;
    if (draws.below(3) > 0) bytes = mutate(good, draws, anywhere(draws));
    else {
      // Opcodes in any order; those that take numbers get small ones.
      const steps = Array.from({ length: 1 + draws.below(60) }, () =>
        draws.below(4) === 0
          ? draws.pick([
              op.put(draws.below(4)),
              op.get(draws.below(4)),
              op.int(draws.pick(awkward.slice(0, -1))),
              op.text("w"),
              tensorOps(),
            ])
          : [draws.pick(codes)],
      );
      bytes = pickle(...steps);
    }
    await attempt(torchZip(bytes, floats), `pickle ${round}`);
  }
});

test("300 shapes, strides and offsets: a tensor is within its storage or refused", async () => {
  const numbers = [0, 1, 2, 3, 4, 5, 16, 2 ** 31, 2 ** 32, 2 ** 52];
  for (let round = 0; round < 300; round++) {
    const draws = new Draws(15, round);
    const axes = draws.below(4);
    const some = (limit: number) => Array.from({ length: axes }, () => draws.pick(numbers.slice(0, limit)));
    const options = {
      ...{ count: 16, offset: draws.pick(numbers.slice(0, 8)) },
      ...{ shape: some(draws.pick([5, 10])), strides: some(draws.pick([6, 10])) },
    };
    const loaded = await attempt(
      torchZip(tensorPickle(options), { 0: new Uint8Array(64) }),
      JSON.stringify(options),
    );
    const { shape, strides, offset } = options;
    const elements = shape.reduce((a, b) => a * b, 1);
    const last = shape.reduce((sum, extent, i) => sum + (extent - 1) * strides[i], offset);
    // A stride of zero repeats an element, a million times at most.
    const legal = offset <= 16 && elements <= 2 ** 20 && (elements === 0 || last < 16);
    assert.is(loaded, legal, JSON.stringify(options));
  }
});

test("files made to take time or memory", async () => {
  const opcodes = 400_000;
  const many = (code: readonly number[], count = opcodes) =>
    new Uint8Array(count * code.length).map((_, i) => code[i % code.length]);
  const floats = { 0: new Uint8Array(16) };
  const zeros = (megabytes: number) => new Uint8Array(megabytes << 20);
  const longName = "n".repeat(1 << 20);
  const cases: [string, Uint8Array][] = [
    ["dictionaries", torchZip(pickle(many(op.dict)))],
    ["lists", torchZip(pickle(many(op.list, 195_000)))],
    ["marks", torchZip(pickle(many(op.mark)))],
    ["numbers", torchZip(pickle(many([0x4b, 7], 8_000_000)))],
    ["fractions upon marks", torchZip(pickle(many([0x28, 0x47, ...new Array(8).fill(64)], 390_000)))],
    ["memorised numbers", torchZip(pickle(op.none, many([0x94], 4_000_000)))],
    ["one list again and again", torchZip(pickle(op.list, op.put(0), many(op.get(0), 4_000_000), op.tuple))],
    [
      "one dictionary in a long list",
      torchZip(
        pickle(op.dict, op.text("w"), tensorOps(), op.setItem, op.put(0), op.list, [
          ...[...op.mark, ...many(op.get(0), 900_000), 0x65],
        ]),
        floats,
      ),
    ],
    [
      "large values looked at for tensors again and again",
      torchZip(
        pickle(
          ...[op.dict, op.text("w"), op.list, op.mark, many([0x4b, 7], 900), tensorOps(), [0x65], op.put(0)],
          ...[op.setItem, op.text("x"), op.list, op.mark, many([0x68, 0], 800_000), [0x65], op.setItem],
        ),
        floats,
      ),
    ],
    ["records", torchZip(pickle(op.list, many([0x28, ...op.dict, 0x4b, 1, 0x4b, 2, 0x73, 0x65], 900_000)))],
    ["long texts", torchZip(concatAll(Array.from({ length: 300 }, () => op.text(longName.slice(0, 5000)))))],
    [
      "fractions",
      torchZip(pickle(op.list, op.mark, many([0x47, ...new Array(8).fill(64)], 950_000), [0x65])),
    ],
    ["sets", torchZip(pickle(many(op.set)))],
    [
      "instances",
      torchZip(pickle(op.global("a", "b"), many([...op.twice, ...op.tuple0, ...op.instance], 130_000))),
    ],
    ["nested tuples", torchZip(pickle(op.none, many(op.tuple1, 195_000)))],
    ["nested lists", torchZip(pickle(many(op.list, 98_000), many(op.append, 97_999)))],
    ["doubling tuples", torchZip(pickle(op.none, many([...op.put(0), ...op.get(0), ...op.tuple2], 48_000)))],
    [
      "memo",
      torchZip(
        pickle(
          op.none,
          concatAll(Array.from({ length: 190_000 }, (_, i) => [0x72, i & 255, (i >> 8) & 255, i >> 16, 0])),
        ),
      ),
    ],
    [
      "one long tuple for many tensors",
      torchZip(
        pickle(
          op.mark,
          many(op.none, 100_000),
          op.tuple,
          op.put(0),
          many([...op.get(0), ...op.get(0)], 48_000),
        ),
      ),
    ],
    [
      "long names",
      torchZip(
        pickle(
          op.dict,
          op.mark,
          ...Array.from({ length: 7 }, (_, i) => concat(op.text(longName.slice(i + 1)), tensorOps())),
          op.setItems,
        ),
        floats,
      ),
    ],
    [
      "many tensors of one storage",
      torchZip(
        pickle(
          op.dict,
          op.mark,
          ...Array.from({ length: 7000 }, (_, i) =>
            concat(op.text(`w${i}`), tensorOps({ count: 1 << 20, shape: [1 << 20] })),
          ),
          op.setItems,
        ),
        { 0: zeros(4) },
      ),
    ],
    ["an endless name", torchZip(pickle([0x63], zeros(3).fill(97)))],
    ["a long pickle", torchZip(zeros(9))],
    [
      "a bomb within bounds",
      zipFile([
        { name: "a/data.pkl", data: tensorPickle({ count: 3 << 20, shape: [3 << 20] }) },
        { name: "a/data/0", data: zeros(12), deflate: true },
      ]),
    ],
    [
      "a bomb",
      zipFile([
        { name: "a/data.pkl", data: tensorPickle({ count: 25 << 20, shape: [25 << 20] }) },
        { name: "a/data/0", data: zeros(100), deflate: true },
      ]),
    ],
    ["a bombed pickle", zipFile([{ name: "a/data.pkl", data: zeros(15), deflate: true }])],
    [
      "many entries",
      zipFile(Array.from({ length: 20_000 }, (_, i) => ({ name: `a/${i}`, data: new Uint8Array(0) }))),
    ],
    ["a nested header", headed(`{"w":${"[".repeat(950_000)}${"]".repeat(950_000)}}`)],
    ["a header of lists", headed(`{"w":[${"[],".repeat(650_000)}1]}`)],
    [
      "a header of numbers",
      headed(`{"w":{"dtype":"F32","shape":[${"1,".repeat(950_000)}1],"data_offsets":[0,4]}}`),
    ],
    ["a header of empty objects", headed(`{"w":[${"{},".repeat(650_000)}1]}`)],
    ["a header of objects", headed(`{"w":[${'{"a":1},'.repeat(245_000)}1]}`)],
    [
      "a header of names",
      headed(
        `{${Array.from({ length: 45_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`)
          .join(",")
          .slice(0, 1_900_000)}}`,
      ),
    ],
    ["a long header", headed(`{"w":"${"a".repeat(5_000_000)}"}`)],
    ["a stream without an end", concat(streams[0].subarray(0, 60), zeros(20))],
    ["a stream of marks", concat(streams[0].subarray(0, 60), zeros(20).fill(0x28))],
  ];
  for (const [what, bytes] of cases) {
    const before = process.resourceUsage().maxRSS;
    await attempt(bytes, what);
    const grown = (process.resourceUsage().maxRSS - before) * 1024;
    assert.ok(grown < bytes.length + limitBytes, `${what}: the process grew by ${grown >> 20} MB`);
  }
});

test("600 models of wrong sizes are planned or refused", async () => {
  const depths = [0, 1];
  const layers = depths.flatMap((i) => [
    [`blocks.${i}.norm1.weight`, [64]],
    [`blocks.${i}.attn.qkv.weight`, [192, 64]],
    [`blocks.${i}.mlp.fc1.weight`, [256, 64]],
  ]) as [string, number[]][];
  const whole: [string, number[]][] = [
    ["cls_token", [1, 1, 64]],
    ["pos_embed", [1, 10, 64]],
    ["patch_embed.proj.weight", [64, 3, 8, 8]],
    ...layers,
    ["norm.weight", [64]],
  ];
  for (let round = 0; round < 600; round++) {
    const draws = new Draws(16, round);
    const changed = whole.map(([name, shape]) => [name, [...shape]] as [string, number[]]);
    for (let edits = 1 + draws.below(3); edits > 0; edits--) {
      const one = draws.pick(changed);
      const kind = draws.below(4);
      if (kind === 0) one[0] = one[0].replace(/\d+/, `${draws.pick(awkward)}`);
      else if (kind === 1) one[1] = one[1].slice(draws.below(2), 3);
      else one[1][draws.below(one[1].length)] = draws.pick(awkward);
    }
    const start = performance.now();
    try {
      const options = {
        partial: draws.below(2) === 0,
        imageSize: draws.below(3) === 0 ? draws.pick(awkward) : undefined,
      };
      const { parameters } = await planImport(namedCheckpoint(Object.fromEntries(changed)), options);
      assert.ok(parameters.length < 1000);
    } catch (error) {
      assert.instance(error, CheckpointError, `model ${round}: ${(error as Error).stack}`);
    }
    assert.ok(performance.now() - start < limitMs);
  }
});

test("nothing in the readers could run what a file holds, and no name of a file's reached an object", () => {
  const folder = new URL("../model/checkpoint/", import.meta.url);
  for (const name of readdirSync(folder)) {
    const source = readFileSync(new URL(name, folder), "utf8");
    assert.not.match(source, /\beval\(|\bFunction\(|\bimport\(|"node:|\brequire\(/, name);
  }
  const inherited = [];
  for (const key in {}) inherited.push(key);
  assert.equal(inherited, []);
});

test("most were refused, some loaded", () => {
  const { loaded, refused, slowest, largest } = counts;
  console.log(
    `${loaded} loaded, ${refused} refused; slowest ${slowest.toFixed(0)} ms, ${(largest / 2 ** 20).toFixed(0)} MB beyond the file`,
  );
  assert.ok(loaded + refused >= 10_000 && loaded > 500 && refused > 9000);
});

test.run();
