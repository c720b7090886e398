// The safetensors reader and writer: equal bytes with the safetensors library's, round trips, and broken files, each
// of which must end in a CheckpointError or load as a well-formed file, and in no other error.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { randomBits } from "../engine/base/random.ts";
import {
  CheckpointError,
  readSafetensors,
  type SafetensorsFile,
  type TensorToStore,
  toFloat32,
  writeSafetensors,
} from "../model/safetensors.ts";

const fixture = new Uint8Array(readFileSync(new URL("fixtures/small.safetensors", import.meta.url)));

/** The tensors of reference/safetensors-file.py; a Map, for an object literal can't hold the name __proto__. */
const tensors = new Map<string, TensorToStore>([
  ["b", { dtype: "F32", shape: [2, 3], data: Float32Array.of(1.5, -2, 3.25, 0, 1e-3, -1e30) }],
  ["a", { dtype: "I64", shape: [3], data: BigInt64Array.of(1n, -2n, 1n << 40n) }],
  ["half", { dtype: "F16", shape: [3], data: Uint16Array.of(0x3c00, 0xb800, 0x7bff) }],
  ["empty", { dtype: "F32", shape: [0, 4], data: new Float32Array(0) }],
  ["scalar", { dtype: "U32", shape: [], data: Uint32Array.of(7) }],
  ["counts", { dtype: "I32", shape: [2], data: Int32Array.of(-1, 2) }],
  ["bytes", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
  ["signed", { dtype: "I8", shape: [1], data: Int8Array.of(-1) }],
  ["flags", { dtype: "BOOL", shape: [2], data: Uint8Array.of(1, 0) }],
  ["double", { dtype: "F64", shape: [1], data: Float64Array.of(0.1) }],
  ["short", { dtype: "I16", shape: [1], data: Int16Array.of(-3) }],
  ["unsigned short", { dtype: "U16", shape: [1], data: Uint16Array.of(3) }],
  ["long", { dtype: "U64", shape: [1], data: BigUint64Array.of(1n << 63n) }],
  ['name "quoted" \\ é 😀 \uff5e', { dtype: "F32", shape: [1], data: Float32Array.of(2) }],
  ["😀", { dtype: "F32", shape: [1], data: Float32Array.of(3) }],
  ["\uff5e", { dtype: "F32", shape: [1], data: Float32Array.of(4) }],
  ["__proto__", { dtype: "F32", shape: [1], data: Float32Array.of(5) }],
]);

/** A file with the given header text, as it is, and so many bytes of data. */
function file(header: string | Uint8Array, dataBytes: number): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** Asserts that an action ends in a CheckpointError whose message has the pattern. */
function refuses(action: () => unknown, pattern: RegExp): void {
  assert.throws(action, (error: Error) => error instanceof CheckpointError && pattern.test(error.message));
}

/** The type, shape and bytes of every tensor, in the order of their names. */
function contents(read: SafetensorsFile) {
  return [...read.tensors]
    .map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data: [...data] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

test("writes the bytes that the safetensors library writes", () => {
  assert.equal([...writeSafetensors(tensors, { format: "pt" })], [...fixture]);
});

test("reads what the library wrote, at any alignment", () => {
  const shifted = new Uint8Array(fixture.length + 3);
  shifted.set(fixture, 3);
  const { tensors: read, metadata } = readSafetensors(shifted.subarray(3));
  assert.equal({ ...metadata }, { format: "pt" });
  assert.is(read.size, tensors.size);
  for (const [name, { dtype, shape, data }] of tensors) {
    const entry = read.get(name)!;
    assert.is(entry.dtype, dtype);
    assert.equal(entry.shape, shape);
    assert.equal([...entry.data], [...new Uint8Array(data.buffer)]);
  }
  assert.equal([...toFloat32(read.get("b")!)], [...(tensors.get("b")!.data as Float32Array)]);
  assert.equal([...toFloat32(read.get("half")!)], [1, -0.5, 65504]);
});

test("a round trip keeps tensors, metadata and awkward names", () => {
  const metadata = JSON.parse('{"z":"1","10":"ten","__proto__":"p","é":"ü\\n"}') as Record<string, string>;
  const read = readSafetensors(writeSafetensors(tensors, metadata));
  assert.equal(Object.entries(read.metadata).sort(), Object.entries(metadata).sort());
  assert.is(Object.getPrototypeOf(read.metadata), null);
  assert.equal(contents(read), contents(readSafetensors(fixture)));
  const nothing = readSafetensors(writeSafetensors({}));
  assert.is(nothing.tensors.size, 0);
});

test("the data start at a multiple of eight", () => {
  for (let length = 1; length < 12; length++) {
    const bytes = writeSafetensors({
      ["n".repeat(length)]: { dtype: "U8", shape: [1], data: Uint8Array.of(9) },
    });
    assert.is((bytes.length - 1) % 8, 0);
    assert.is(bytes.at(-1), 9);
  }
});

test("bfloat16 and half precision widen to float32 exactly", () => {
  const bf16 = new Uint8Array(Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f80, 0x8000).buffer);
  const wide = toFloat32({ dtype: "BF16", shape: [5], data: bf16 });
  assert.equal([...wide], [1, -3.140625, 2 ** -133, Number.POSITIVE_INFINITY, -0]);
  const f16 = new Uint8Array(Uint16Array.of(0x0001, 0x8000, 0xfc00, 0x7e00).buffer);
  assert.equal(
    [...toFloat32({ dtype: "F16", shape: [4], data: f16 })],
    [2 ** -24, -0, Number.NEGATIVE_INFINITY, Number.NaN],
  );
  refuses(() => toFloat32({ dtype: "I64", shape: [1], data: new Uint8Array(8) }), /I64/);
  refuses(() => toFloat32({ dtype: "F16", shape: [1], data: new Uint8Array(3) }), /3 bytes/);
});

test("refuses to write what it could not read back", () => {
  const write = (entry: unknown, name = "w") => writeSafetensors({ [name]: entry as TensorToStore });
  const data = new Float32Array(2);
  refuses(() => write({ dtype: "F4", shape: [2], data }), /"w".*unknown dtype "F4"/);
  refuses(() => write({ dtype: "toString", shape: [2], data }), /unknown dtype/);
  refuses(() => write({ dtype: "I32", shape: [2], data }), /"w".*Float32Array/);
  refuses(() => write({ dtype: "F32", shape: [3], data }), /"w".*takes 12 bytes, its data has 8/);
  refuses(() => write({ dtype: "F32", shape: [-2], data }), /"w".*bad size -2/);
  refuses(() => write({ dtype: "F32", shape: [2], data }, "__metadata__"), /reserved/);
  refuses(() => write({ dtype: "F32", shape: [2], data }, "\ud800"), /Unicode/);
  refuses(() => writeSafetensors({}, { step: 1 as unknown as string }), /"step".*not a string/);
});

test("refuses every kind of broken file by name", () => {
  const one = (fields: string) => file(`{"w":{${fields}}}`, 8);
  const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
  assert.is(readSafetensors(one(good)).tensors.size, 1);
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /truncated/],
    [new Uint8Array(7), /truncated/],
    [one(good).subarray(0, 20), /truncated/],
    [one(good).subarray(0, -1), /"w".*truncated/],
    [new Uint8Array(8).fill(255), /over 100 MB/],
    [file("", 0), /does not start with \{/],
    [file(" {}", 0), /does not start with \{/],
    [file("[]", 0), /does not start with \{/],
    [file("\ufeff{}", 0), /does not start with \{/],
    [file('{"w":', 0), /not valid JSON/],
    [file(Uint8Array.of(0x7b, 0xff, 0x7d), 0), /UTF-8/],
    [file('{"w":1}', 0), /"w".*not an object/],
    [file('{"w":null}', 0), /"w".*not an object/],
    [file('{"__metadata__":[]}', 0), /__metadata__.*not an object/],
    [file('{"__metadata__":{"a":1}}', 0), /"a".*not a string/],
    [file(`{"w":{${good}},"w":{${good}}}`, 8), /"w" twice/],
    [file(`{"w":{${good}},"\\u0077":{${good}}}`, 8), /"w" twice/],
    [one(`${good},"shape":[2]`), /"shape" twice/],
    [one(`${good},"more":1`), /"w".*unknown field "more"/],
    [one('"shape":[2],"data_offsets":[0,8]'), /"w".*unknown dtype/],
    [one('"dtype":"F31","shape":[2],"data_offsets":[0,8]'), /"w".*unknown dtype "F31"/],
    [one('"dtype":"__proto__","shape":[2],"data_offsets":[0,8]'), /"w".*unknown dtype/],
    [one('"dtype":"F32","data_offsets":[0,8]'), /"w".*shape/],
    [one('"dtype":"F32","shape":[-2],"data_offsets":[0,8]'), /"w".*bad size -2/],
    [one('"dtype":"F32","shape":[2.5],"data_offsets":[0,8]'), /"w".*bad size 2.5/],
    [one('"dtype":"F32","shape":[1e9,1e9],"data_offsets":[0,8]'), /"w".*too large/],
    [one('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), /"w".*takes 12 bytes, its range has 8/],
    [one('"dtype":"F32","shape":[2]'), /"w".*data_offsets/],
    [one('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), /"w".*bad data_offsets/],
    [one('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'), /"w".*bad data_offsets/],
    [one('"dtype":"F32","shape":[2],"data_offsets":[0.5,8.5]'), /"w".*bad data_offsets/],
    [one('"dtype":"F32","shape":[2],"data_offsets":[0,8,8]'), /"w".*bad data_offsets/],
    [one('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), /"w".*hole/],
    [one('"dtype":"F32","shape":[1],"data_offsets":[0,4]'), /4 bytes follow/],
    [file(`{"w":{${good}},"v":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8), /"v".*overlaps/],
    [file(`{"w":{${good}},"v":{${good}}}`, 8), /overlaps/],
  ];
  for (const [bytes, pattern] of cases) refuses(() => readSafetensors(bytes), pattern);
});

test("a long or deep header ends in an answer", () => {
  const long = "é\\n".repeat(500_000);
  const header = `{"${long}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`;
  assert.is(readSafetensors(file(header, 1)).tensors.size, 1);
  refuses(
    () => readSafetensors(file(`{"w":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, 0)),
    /nests too deeply/,
  );
});

test("2,000 mutated files load well-formed or end in a CheckpointError", () => {
  let loaded = 0;
  let refused = 0;
  const headerEnd = 8 + Number(new DataView(fixture.buffer).getBigUint64(0, true));
  const tokens = '0123456789"{}[],:-.eE\\ F3264IUB_'.split("").map((c) => c.charCodeAt(0));
  for (let round = 0; round < 2000; round++) {
    let index = 0;
    const below = (limit: number) => randomBits({ key: 7, stream: round }, index++) % limit;
    let bytes = Uint8Array.from(fixture);
    for (let edits = 1 + below(3); edits > 0; edits--) {
      const kind = below(6);
      // Mostly in the header: a changed byte of data is a legal file.
      const at = Math.min(below(10) === 0 ? below(bytes.length) : below(headerEnd), bytes.length - 1);
      if (kind === 0) bytes[at] ^= 1 << below(8);
      else if (kind <= 2) bytes[at] = tokens[below(tokens.length)];
      else if (kind === 3) bytes = bytes.slice(0, Math.max(1, at));
      else if (kind === 4) bytes.copyWithin(at, below(bytes.length), below(bytes.length));
      else bytes = Uint8Array.of(...bytes, ...bytes.subarray(0, below(20)));
    }
    let read: SafetensorsFile;
    try {
      read = readSafetensors(bytes);
    } catch (error) {
      assert.instance(error, CheckpointError, `round ${round}: ${error}`);
      refused++;
      continue;
    }
    loaded++;
    // What loads is a whole file: written again and read again, it is the same.
    const total = [...read.tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    assert.ok(total <= bytes.length - 8);
    assert.equal(contents(readSafetensors(writeSafetensors(read.tensors, read.metadata))), contents(read));
  }
  assert.ok(loaded > 50 && refused > 1000, `${loaded} loaded, ${refused} refused`);
});

test.run();
