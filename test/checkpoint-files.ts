// Makers of checkpoint files, right and wrong ones: zip files whose every field can be set, pickles from opcodes, and
// BLIP-like tensors whose values both this file and reference/parity.py compute from their names.
import { deflateRawSync } from "node:zlib";
import { randomBits } from "../engine/base/random.ts";
import type { Checkpoint } from "../model/checkpoint/tensor.ts";

type Bytes = Uint8Array | readonly number[];

export function concat(...parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  return concatAll(parts);
}

/** The same for more parts than a call can have. */
export function concatAll(parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Little-endian bytes of whole numbers, each given as [bytes, value]. */
function fields(...numbers: readonly (readonly [number, number])[]): Uint8Array {
  return concat(
    ...numbers.map(([size, value]) =>
      Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n)),
    ),
  );
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** An entry of `zipFile`; what is set here overrides what would be right. */
export interface ZipPart {
  name: string;
  data: Uint8Array;
  deflate?: boolean;
  /** Sizes and place in a zip64 field. */
  long?: boolean;
  method?: number;
  flags?: number;
  crc?: number;
  packed?: number;
  size?: number;
  local?: number;
  localName?: string;
}

/** A zip file. `count` overrides the number of entries; `comment` follows the end record. */
export function zipFile(
  parts: readonly ZipPart[],
  options: { count?: number; comment?: string } = {},
): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    const data = part.deflate ? deflateRawSync(part.data) : part.data;
    const method = part.method ?? (part.deflate ? 8 : 0);
    const crc = part.crc ?? crc32(part.data);
    const [packed, size, place] = [
      part.packed ?? data.length,
      part.size ?? part.data.length,
      part.local ?? at,
    ];
    const flags = part.flags ?? 0;
    const localName = ascii(part.localName ?? part.name);
    const name = ascii(part.name);
    const short = (value: number) => (part.long ? 0xffffffff : Math.min(value, 0xffffffff));
    const head = fields([4, 0x04034b50], [2, 20], [2, flags], [2, method], [4, 0], [4, crc]);
    const sizes = fields([4, short(packed)], [4, short(size)]);
    const local = concat(head, sizes, fields([2, localName.length], [2, 0]), localName, data);
    const extra = part.long ? fields([2, 1], [2, 24], [8, size], [8, packed], [8, place]) : new Uint8Array(0);
    directory.push(
      concat(
        fields([4, 0x02014b50], [2, 20], [2, 20], [2, flags], [2, method], [4, 0], [4, crc]),
        sizes,
        fields([2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, short(place)]),
        name,
        extra,
      ),
    );
    locals.push(local);
    at += local.length;
  }
  const central = concat(...directory);
  const count = options.count ?? parts.length;
  const comment = ascii(options.comment ?? "");
  const long = parts.some((part) => part.long);
  const place = fields([8, count], [8, count], [8, central.length], [8, at]);
  const longEnd = concat(fields([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0]), place);
  const locator = fields([4, 0x07064b50], [4, 0], [8, at + central.length], [4, 1]);
  const end = concat(
    fields([4, 0x06054b50], [2, 0], [2, 0]),
    long ? fields([2, 0xffff], [2, 0xffff], [4, 0xffffffff], [4, 0xffffffff]) : new Uint8Array(0),
    long ? new Uint8Array(0) : fields([2, count % 65536], [2, count % 65536], [4, central.length], [4, at]),
    fields([2, comment.length]),
    comment,
  );
  return concat(...locals, central, ...(long ? [longEnd, locator] : []), end);
}

/** A zip file as torch.save makes it. */
export function torchZip(pickle: Uint8Array, storages: Record<string, Uint8Array> = {}): Uint8Array {
  return zipFile([
    { name: "archive/data.pkl", data: pickle },
    { name: "archive/version", data: ascii("3\n") },
    ...Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data })),
  ]);
}

/** Opcodes of pickles, by what they do. */
export const op = {
  proto: [0x80, 2],
  stop: [0x2e],
  mark: [0x28],
  none: [0x4e],
  pop: [0x30],
  dict: [0x7d],
  list: [0x5d],
  tuple: [0x74],
  tuple0: [0x29],
  tuple1: [0x85],
  tuple2: [0x86],
  append: [0x61],
  setItem: [0x73],
  setItems: [0x75],
  reduce: [0x52],
  build: [0x62],
  persistent: [0x51],
  instance: [0x81],
  instanceNamed: [0x92],
  object: [0x6f],
  set: [0x8f],
  addItems: [0x90],
  frozenSet: [0x91],
  twice: [0x32],
  stackGlobal: [0x93],
  global: (module: string, name: string) => concat([0x63], ascii(`${module}\n${name}\n`)),
  text: (text: string) => concat([0x58], fields([4, ascii(text).length]), ascii(text)),
  int: (value: number) =>
    value < 2 ** 31 ? concat([0x4a], fields([4, value])) : concat([0x8a, 8], fields([8, value])),
  put: (key: number) => [0x71, key],
  get: (key: number) => [0x68, key],
};

export function pickle(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return concat(op.proto, ...parts, op.stop);
}

/** Opcodes for a tensor of storage "0" with so many floats. */
export function tensorOps({
  count = 4,
  offset = 0,
  shape = [4],
  strides = [1],
  type = "FloatStorage",
  key = "0",
} = {}): Uint8Array {
  const ints = (values: number[]) => concat(op.mark, ...values.map(op.int), op.tuple);
  return concat(
    op.global("torch._utils", "_rebuild_tensor_v2"),
    op.mark,
    ...[op.mark, op.text("storage"), op.global("torch", type), op.text(key), op.text("cpu"), op.int(count)],
    ...[op.tuple, op.persistent, op.int(offset), ints(shape), ints(strides)],
    ...[[0x89], op.global("collections", "OrderedDict"), op.tuple0, op.reduce],
    ...[op.tuple, op.reduce],
  );
}

/** A pickled dictionary with one tensor. */
export function tensorPickle(options: Parameters<typeof tensorOps>[0] = {}): Uint8Array {
  return pickle(op.dict, op.text("w"), tensorOps(options), op.setItem);
}

/** What `torchFile` pickles as a tensor: f32, in a storage of its own. */
export class Stored {
  constructor(
    readonly values: Float32Array,
    readonly shape: readonly number[],
  ) {}
}

/** What `torchFile` pickles as a call of something that no reader should call. */
export class Foreign {
  constructor(
    readonly global: readonly [module: string, name: string],
    ...given: unknown[]
  ) {
    this.given = given;
  }

  readonly given: unknown[];
}

/** A file of torch.save's of lists, dictionaries, texts, numbers, `Stored` and `Foreign`; the old form where `stream` is set. */
export function torchFile(value: unknown, stream = false): Uint8Array {
  const storages: Record<string, Uint8Array> = {};
  const keys = new Map<Stored, string>();
  const opcodes = (value: unknown): Uint8Array => {
    if (value === null) return concat(op.none);
    if (typeof value === "boolean") return concat([value ? 0x88 : 0x89]);
    if (typeof value === "number") return concat(op.int(value));
    if (typeof value === "string") return op.text(value);
    if (Array.isArray(value)) {
      // In batches, as Python's does.
      const batches = Array.from({ length: Math.ceil(value.length / 1000) }, (_, i) =>
        concatAll([op.mark, ...value.slice(1000 * i, 1000 * (i + 1)).map(opcodes), [0x65]]),
      );
      return concatAll([op.list, ...batches]);
    }
    if (value instanceof Foreign) {
      const given = concat(op.mark, ...value.given.map(opcodes), op.tuple);
      return concat(op.global(...value.global), given, op.reduce);
    }
    if (value instanceof Stored) {
      const { values, shape } = value;
      const key = keys.get(value) ?? `${keys.size}`;
      keys.set(value, key);
      storages[key] = new Uint8Array(values.slice().buffer);
      const strides = shape.map((_, i) =>
        shape.slice(i + 1).reduce((product, extent) => product * extent, 1),
      );
      return tensorOps({ key, count: values.length, shape: [...shape], strides });
    }
    const entries = value instanceof Map ? [...value] : Object.entries(value as object);
    return concat(op.dict, op.mark, ...entries.flatMap((entry) => entry.map(opcodes)), op.setItems);
  };
  const body = pickle(opcodes(value));
  if (!stream) return torchZip(body, storages);
  return concat(
    pickle([0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]),
    pickle(op.int(1001)),
    pickle(op.dict, op.text("little_endian"), [0x88], op.setItem),
    body,
    pickle(opcodes(Object.keys(storages))),
    ...Object.values(storages).flatMap((bytes) => [fields([8, bytes.length / 4]), bytes]),
  );
}

/**
 * Values that depend on a tensor's name and each element's place only, uniform within ±`scale` around 1 for the weights
 * of norms and around 0 otherwise. reference/parity.py computes the same.
 */
export function namedValues(name: string, size: number, scale = 0.1): Float32Array<ArrayBuffer> {
  let seed = 2166136261;
  for (const byte of ascii(name)) seed = Math.imul(seed ^ byte, 16777619);
  const centre = /norm\w*\.weight$/i.test(name) ? 1 : 0;
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    let bits = Math.imul(i, 0x9e3779b1) ^ seed;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    bits = (bits ^ (bits >>> 16)) >>> 8;
    values[i] = centre + scale * (bits / 2 ** 23 - 1);
  }
  return values;
}

/** A checkpoint of `namedValues`. */
export function namedCheckpoint(
  shapes: Readonly<Record<string, readonly number[]>>,
  scale?: number,
): Checkpoint {
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [
      name,
      { dtype: "F32" as const, shape, read: async () => namedValues(name, size, scale) },
    ] as const;
  });
  return { format: "made here", tensors: new Map(entries) };
}

/** Whole numbers for a round of a test that repeats. */
export class Draws {
  private index = 0;

  constructor(
    private readonly seed: number,
    private readonly round: number,
  ) {}

  below(limit: number): number {
    return randomBits({ key: this.seed, stream: this.round }, this.index++) % Math.max(1, limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}
