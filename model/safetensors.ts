// The safetensors container: eight bytes of header length, a JSON header, then the tensors' bytes without a gap.
// Written byte for byte as the safetensors library of Hugging Face writes it, and read as untrusted input.
import { fromHalfBits } from "../engine/base/dtype.ts";

/** Bytes per element, in the library's order of alignment: a file holds the last of these first. */
export const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** Element type of a stored tensor. */
export type StoredType = keyof typeof elementBytes;

const order = Object.keys(elementBytes) as StoredType[];

/** The typed array that holds each element type; types without an array of their own travel as their bits. */
const arrayNames: Record<StoredType, string> = {
  BOOL: "Uint8Array",
  U8: "Uint8Array",
  I8: "Int8Array",
  F8_E5M2: "Uint8Array",
  F8_E4M3: "Uint8Array",
  I16: "Int16Array",
  U16: "Uint16Array",
  F16: "Uint16Array",
  BF16: "Uint16Array",
  I32: "Int32Array",
  U32: "Uint32Array",
  F32: "Float32Array",
  F64: "Float64Array",
  I64: "BigInt64Array",
  U64: "BigUint64Array",
};

/** The typed arrays that a tensor to be written may come as. */
export type StoredArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** What a file's header says of a tensor. */
export interface TensorHeader {
  name: string;
  dtype: StoredType;
  shape: readonly number[];
}

/** A tensor's place in a file: from byte `begin` to byte `end` of the data that follow the header. */
export interface TensorRange extends TensorHeader {
  begin: number;
  end: number;
}

/** A tensor to write: its little-endian bytes, or the typed array of its element type (the bits of F16 and BF16). */
export interface TensorToStore {
  dtype: StoredType;
  shape: readonly number[];
  data: StoredArray;
}

/** A tensor read from a file: `data` is a view of the file's bytes, row-major and little-endian. */
export interface StoredTensor {
  dtype: StoredType;
  shape: number[];
  data: Uint8Array;
}

/** What a file holds. */
export interface SafetensorsFile {
  tensors: Map<string, StoredTensor>;
  /** The header's strings; an object without a prototype. */
  metadata: Record<string, string>;
}

/** A checkpoint that can't be read or written; the message names the tensor and what is wrong with it. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
}

/** Longest header that the library reads. */
const HEADER_LIMIT = 100_000_000;
const METADATA = "__metadata__";
/** Brackets that may be open at once in a header; three are needed, and JSON.parse takes memory for each. */
const MOST_NESTED = 100;

/** Half of a UTF-16 pair by itself, which UTF-8 has no bytes for. */
const loneSurrogate = /\p{Cs}/u;

/**
 * Bytes that a tensor of this type and shape takes. Throws CheckpointError for a shape that isn't a list of whole
 * numbers of zero or more, or whose product passes 2^53.
 */
function byteLength(name: string, dtype: StoredType, shape: unknown): number {
  if (!Array.isArray(shape)) throw new CheckpointError(`tensor ${quote(name)}: its shape is not a list`);
  let bytes: number = elementBytes[dtype];
  for (const size of shape) {
    if (!isCount(size))
      throw new CheckpointError(`tensor ${quote(name)}: bad size ${quote(size)} in its shape`);
    bytes *= size;
    if (!isCount(bytes))
      throw new CheckpointError(`tensor ${quote(name)}: its shape [${shape}] is too large`);
  }
  return bytes;
}

/** Whether a value is a whole number from 0 to 2^53 - 1. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A value as it may appear in a message: quoted and not longer than a line. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** Whether a value is one of the element types. */
export function isStoredType(value: unknown): value is StoredType {
  return typeof value === "string" && Object.hasOwn(elementBytes, value);
}

/** Orders strings by code point, as their UTF-8 bytes compare; `<` would compare UTF-16 units. */
export function byCodePoint(a: string, b: string): number {
  const left = Array.from(a, (c) => c.codePointAt(0)!);
  const right = Array.from(b, (c) => c.codePointAt(0)!);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i] - right[i];
  }
  return left.length - right.length;
}

/**
 * Lays tensors out in a file: the widest element type first, then by name, so that every tensor is aligned; metadata
 * by name. Throws CheckpointError for an unknown type, a bad shape, the name `__metadata__`, a name that is not valid
 * Unicode, or a header over 100 MB.
 * @returns the bytes before the data, and the tensors in the order in which their data follow
 */
export function layoutSafetensors(
  tensors: readonly TensorHeader[],
  metadata: Record<string, string> = {},
): { header: Uint8Array<ArrayBuffer>; ranges: TensorRange[] } {
  const parts: string[] = [];
  const strings = Object.entries(metadata).sort(([a], [b]) => byCodePoint(a, b));
  for (const [key, value] of strings) {
    if (typeof value !== "string")
      throw new CheckpointError(`metadata ${quote(key)}: its value is not a string`);
    if (loneSurrogate.test(key) || loneSurrogate.test(value)) {
      throw new CheckpointError(`metadata ${quote(key)}: not valid Unicode`);
    }
  }
  if (strings.length > 0) {
    // Joined by hand: an object would put keys that look like numbers first and lose the key __proto__.
    const pairs = strings.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    parts.push(`"${METADATA}":{${pairs.join(",")}}`);
  }
  const sized = tensors.map((tensor) => {
    const { name, dtype, shape } = tensor;
    if (name === METADATA) throw new CheckpointError(`tensor "${METADATA}": the name is reserved`);
    if (loneSurrogate.test(name))
      throw new CheckpointError(`tensor ${quote(name)}: its name is not valid Unicode`);
    if (!isStoredType(dtype))
      throw new CheckpointError(`tensor ${quote(name)}: unknown dtype ${quote(dtype)}`);
    return { name, dtype, shape, bytes: byteLength(name, dtype, shape) };
  });
  sized.sort((a, b) => order.indexOf(b.dtype) - order.indexOf(a.dtype) || byCodePoint(a.name, b.name));
  let end = 0;
  const ranges = sized.map(({ name, dtype, shape, bytes }) => {
    const begin = end;
    end += bytes;
    const entry = { dtype, shape: [...shape], data_offsets: [begin, end] };
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    return { name, dtype, shape, begin, end };
  });
  const text = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > HEADER_LIMIT) throw new CheckpointError(`the header takes ${length} bytes, over 100 MB`);
  const header = new Uint8Array(8 + length);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  header.fill(0x20, 8 + text.length);
  return { header, ranges };
}

/**
 * Packs tensors into a file as `layoutSafetensors` places them. Throws CheckpointError as it does, and for an array of
 * another type than `dtype` or a length that does not fit the shape.
 */
export function writeSafetensors(
  tensors: Record<string, TensorToStore> | ReadonlyMap<string, TensorToStore>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const entries = new Map(tensors instanceof Map ? tensors : Object.entries(tensors));
  const headers = Array.from(entries, ([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const { header, ranges } = layoutSafetensors(headers, metadata);
  const bytes = new Uint8Array(header.length + (ranges.at(-1)?.end ?? 0));
  bytes.set(header);
  for (const { name, dtype, shape, begin, end } of ranges) {
    const { data } = entries.get(name)!;
    const kind = data[Symbol.toStringTag];
    if (kind !== "Uint8Array" && kind !== arrayNames[dtype]) {
      throw new CheckpointError(`tensor ${quote(name)}: ${dtype} can't be stored from a ${kind}`);
    }
    if (data.byteLength !== end - begin) {
      throw new CheckpointError(
        `tensor ${quote(name)}: ${dtype} [${shape}] takes ${end - begin} bytes, its data has ${data.byteLength}`,
      );
    }
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length + begin);
  }
  return bytes;
}

/** Whether more than `MOST_NESTED` brackets are open at once, those within strings left out. */
function nestsDeeply(bytes: Uint8Array): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString && byte === 0x5c) i++;
    else if (byte === 0x22) inString = !inString;
    else if (!inString && (byte === 0x5b || byte === 0x7b) && ++depth > MOST_NESTED) return true;
    else if (!inString && (byte === 0x5d || byte === 0x7d)) depth--;
  }
  return false;
}

/**
 * Parses the header. JSON.parse keeps the last of two equal keys in silence, so a second pass over the valid text
 * looks for one: two readers of the same file must not see different tensors.
 */
function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  try {
    // A byte order mark stays, and fails below, as in the reference library.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CheckpointError("the header is not valid UTF-8");
  }
  if (!text.startsWith("{")) throw new CheckpointError("the header does not start with {");
  if (nestsDeeply(bytes)) throw new CheckpointError("the header is not valid JSON: it nests too deeply");
  const open: (Set<string> | null)[] = [];
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text);
    for (const [token, colon] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g)) {
      if (token === "{") open.push(new Set());
      else if (token === "[") open.push(null);
      else if (token === "}" || token === "]") open.pop();
      else if (colon) {
        const name = JSON.parse(token.slice(0, token.length - colon.length)) as string;
        const seen = open.at(-1)!;
        if (seen.has(name)) throw new CheckpointError(`the header names ${quote(name)} twice`);
        seen.add(name);
      }
    }
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`the header is not valid JSON: ${(error as Error).message}`);
  }
  return header;
}

/** The keys of a value that must be an object; throws CheckpointError, with `what` in its message, for any other. */
function entriesOf(value: unknown, what: string): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${what}: not an object`);
  }
  return Object.entries(value);
}

/**
 * The length of the header, from a file's first eight bytes. Throws CheckpointError where they are not all there, and
 * for a header of over `limit` bytes or beyond the file's end.
 * @param size bytes of the whole file
 */
export function headerLength(bytes: Uint8Array, size: number, limit = HEADER_LIMIT): number {
  if (bytes.length < 8)
    throw new CheckpointError(`truncated: ${bytes.length} bytes, not even a header length`);
  const declared = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (declared > BigInt(limit))
    throw new CheckpointError(`the header length ${declared} is over ${limit / 1e6} MB`);
  if (8 + Number(declared) > size) {
    throw new CheckpointError(`truncated: the header takes ${declared} bytes, the file has ${size - 8} left`);
  }
  return Number(declared);
}

/** A range of a tensor whose element type is not known here: its shape says nothing about its bytes. */
export type OtherRange = Omit<TensorRange, "dtype"> & { dtype: string };

/** What later writers may call an element type. */
const otherType = /^[A-Z][A-Z0-9_]{0,19}$/;

/**
 * Reads a header, without its length. Throws CheckpointError for whatever the format does not allow: bad UTF-8 or
 * JSON, a name given twice, an unknown dtype, offsets that overlap, leave a hole or do not fit the shape, and data
 * that end before the last tensor or go on behind it.
 * @param available bytes that follow the header
 * @param others takes the tensors of element types that are not known, which are an error unless it is there
 * @returns the tensors in the order of their bytes
 */
export function readLayout(
  bytes: Uint8Array,
  available: number,
  others?: OtherRange[],
): { ranges: TensorRange[]; metadata: Record<string, string> } {
  const header = parseHeader(bytes);
  const metadata: Record<string, string> = Object.create(null);
  const ranges: OtherRange[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) {
      // As the library takes it.
      if (value === null) continue;
      for (const [key, text] of entriesOf(value, METADATA)) {
        if (typeof text !== "string")
          throw new CheckpointError(`metadata ${quote(key)}: its value is not a string`);
        metadata[key] = text;
      }
      continue;
    }
    const what = `tensor ${quote(name)}`;
    const fields = new Map(entriesOf(value, what));
    for (const key of fields.keys()) {
      if (key !== "dtype" && key !== "shape" && key !== "data_offsets") {
        throw new CheckpointError(`${what}: unknown field ${quote(key)}`);
      }
    }
    const dtype = fields.get("dtype");
    const other = others && typeof dtype === "string" && otherType.test(dtype) && !isStoredType(dtype);
    if (!isStoredType(dtype) && !other) throw new CheckpointError(`${what}: unknown dtype ${quote(dtype)}`);
    const expected = byteLength(name, isStoredType(dtype) ? dtype : "U8", fields.get("shape"));
    const offsets = fields.get("data_offsets");
    if (
      !Array.isArray(offsets) ||
      offsets.length !== 2 ||
      !offsets.every(isCount) ||
      offsets[0] > offsets[1]
    ) {
      throw new CheckpointError(`${what}: bad data_offsets ${quote(offsets)}`);
    }
    const [begin, end] = offsets as [number, number];
    const shape = fields.get("shape") as number[];
    if (isStoredType(dtype) && end - begin !== expected) {
      throw new CheckpointError(
        `${what}: ${dtype} [${shape}] takes ${expected} bytes, its range has ${end - begin}`,
      );
    }
    ranges.push({ name, dtype: dtype as string, shape, begin, end });
  }
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of ranges) {
    if (begin !== at) {
      const fault = begin < at ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new CheckpointError(
        `tensor ${quote(name)}: its range ${begin} to ${end} ${fault}, which ends at ${at}`,
      );
    }
    if (end > available) {
      throw new CheckpointError(
        `tensor ${quote(name)}: truncated: it ends at ${end}, the data at ${available}`,
      );
    }
    at = end;
  }
  if (at !== available) throw new CheckpointError(`${available - at} bytes follow the last tensor`);
  const isKnown = (range: OtherRange): range is TensorRange => isStoredType(range.dtype);
  others?.push(...ranges.filter((range) => !isKnown(range)));
  return { ranges: ranges.filter(isKnown), metadata };
}

/**
 * Reads a file, in the order of its bytes. Throws CheckpointError as `readLayout` does, and for a truncated file or a
 * header over 100 MB.
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const start = 8 + headerLength(bytes, bytes.length);
  const { ranges, metadata } = readLayout(bytes.subarray(8, start), bytes.length - start);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of ranges) {
    tensors.set(name, { dtype, shape: [...shape], data: bytes.subarray(start + begin, start + end) });
  }
  return { tensors, metadata };
}

let halves: Float32Array | undefined;

/** The value of every binary16, by its bits: a look-up is several times faster than decoding millions of them. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => fromHalfBits(bits));
  return halves;
}

/** Whether tensors of a type are read as float32. */
export function isFloat(dtype: string): dtype is "F32" | "F16" | "BF16" | "F64" {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16" || dtype === "F64";
}

/**
 * Writes the elements of F32, F16, BF16 or F64 bytes as float32 into `values`, from element `at` on. Throws
 * CheckpointError for another dtype or a number of bytes that is no whole number of elements.
 */
export function decodeFloats(
  dtype: StoredType,
  bytes: Uint8Array,
  values: Float32Array<ArrayBuffer>,
  at = 0,
): void {
  if (!isFloat(dtype)) throw new CheckpointError(`${dtype} is not read as float32`);
  if (bytes.byteLength % elementBytes[dtype] !== 0) {
    throw new CheckpointError(`${dtype}: ${bytes.byteLength} bytes are no whole number of elements`);
  }
  if (dtype === "F32") {
    new Uint8Array(values.buffer, values.byteOffset + 4 * at).set(bytes);
    return;
  }
  // Copied first: a view into a file need not be aligned.
  const copy = new Uint8Array(bytes).buffer;
  if (dtype === "F64") {
    values.set(new Float64Array(copy), at);
    return;
  }
  const bits = new Uint16Array(copy);
  if (dtype === "F16") {
    const table = halfTable();
    for (let i = 0; i < bits.length; i++) values[at + i] = table[bits[i]];
  } else {
    // A bfloat16 is the upper half of a float32.
    const words = new Uint32Array(values.buffer, values.byteOffset);
    for (let i = 0; i < bits.length; i++) words[at + i] = bits[i] << 16;
  }
}

/**
 * The elements of an F32, F16, BF16 or F64 tensor as float32, in a new array. Throws CheckpointError for another dtype
 * or for data of an odd length.
 */
export function toFloat32({ dtype, data }: StoredTensor): Float32Array<ArrayBuffer> {
  const values = new Float32Array(Math.floor(data.byteLength / elementBytes[dtype]));
  decodeFloats(dtype, data, values);
  return values;
}
