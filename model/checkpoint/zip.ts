// Zip files as torch.save writes them: entries found through the central directory, stored as they are or deflated,
// with zip64's long sizes (PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5). Names are labels here and never paths.
import { CheckpointError, quote } from "../safetensors.ts";
import { type ByteSource, memorySource, partOf, readBytes } from "./source.ts";

export interface ZipEntry {
  name: string;
  /** Bytes when unpacked. */
  size: number;
  /** The unpacked bytes. Throws CheckpointError for deflated data that are broken or not of the declared size. */
  open(): Promise<ByteSource>;
}

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const locatorSignature = 0x07064b50;
const longEndSignature = 0x06064b50;

const endBytes = 22;
const locatorBytes = 20;
const centralBytes = 46;
const localBytes = 30;
/** The end record is followed by a comment of at most so many bytes. */
const commentBytes = 0xffff;

const mostEntries = 32_768;
const mostCentralBytes = 8 << 20;
/** Deflate can't do better than 1032 to 1; who declares more is lying. */
const bestRatio = 1032;
/** What a deflated entry may take beyond half the file, for it is unpacked in memory. torch.save never deflates. */
const inflatedBytes = 16 << 20;

/** What the central directory says of an entry. */
interface Listed {
  name: string;
  method: number;
  crc: number;
  packed: number;
  size: number;
  local: number;
}

/**
 * Lists a zip file. Throws CheckpointError for a file that is cut, encrypted, in several parts, packed by anything but
 * deflate, with a name twice, with entries that overlap each other or the directory, or that unpack to too much.
 */
export async function openZip(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const { begin, bytes, count } = await readDirectory(source);
  const listed = parseDirectory(bytes, count);
  const entries = new Map<string, ZipEntry>();
  const unpack = keepLast((entry: Listed, at: number) => inflate(source, entry, at));
  let free = 0;
  // In the order of their places, so that each must start where the one before has ended, or later.
  for (const entry of listed.sort((a, b) => a.local - b.local)) {
    const what = `zip entry ${quote(entry.name)}`;
    if (entry.local < free) throw new CheckpointError(`${what} overlaps the one before it`);
    const at = entry.local + (await localLength(source, entry, what));
    free = at + entry.packed;
    if (free > begin) throw new CheckpointError(`${what} reaches into the central directory or beyond it`);
    checkSizes(entry, source.size, what);
    if (entries.has(entry.name)) throw new CheckpointError(`${what} is there twice`);
    entries.set(entry.name, {
      name: entry.name,
      size: entry.size,
      open: async () =>
        entry.method === 0 ? partOf(source, at, entry.size, what) : memorySource(await unpack(entry, at)),
    });
  }
  return entries;
}

/** Finds the central directory through the record at the file's end. */
async function readDirectory(
  source: ByteSource,
): Promise<{ begin: number; bytes: Uint8Array; count: number }> {
  const tailBytes = Math.min(source.size, endBytes + commentBytes);
  const tailAt = source.size - tailBytes;
  const tail = viewOf(await readBytes(source, tailAt, tailBytes, "the zip file"));
  let at = tailBytes - endBytes;
  while (at >= 0 && !(tail.getUint32(at, true) === endSignature && endsAt(tail, at) === tailBytes)) at--;
  if (at < 0) throw new CheckpointError("the zip file has no end record, so it was cut");
  let disks = [tail.getUint16(at + 4, true), tail.getUint16(at + 6, true)];
  let count = tail.getUint16(at + 10, true);
  let length = tail.getUint32(at + 12, true);
  let begin = tail.getUint32(at + 16, true);
  let limit = tailAt + at;
  const locatorAt = limit - locatorBytes;
  const locator =
    locatorAt >= 0 ? viewOf(await readBytes(source, locatorAt, locatorBytes, "the zip64 locator")) : null;
  if (locator?.getUint32(0, true) === locatorSignature) {
    limit = wide(locator, 8, "the zip64 end record");
    const end = viewOf(await readBytes(source, limit, 56, "the zip64 end record"));
    if (end.getUint32(0, true) !== longEndSignature) {
      throw new CheckpointError("the zip file has no zip64 end record where its locator says");
    }
    disks = [end.getUint32(16, true), end.getUint32(20, true)];
    count = wide(end, 32, "the number of zip entries");
    length = wide(end, 40, "the central directory");
    begin = wide(end, 48, "the central directory");
  }
  if (disks.some((disk) => disk !== 0)) throw new CheckpointError("the zip file is one of several parts");
  if (count > mostEntries || length > mostCentralBytes) {
    throw new CheckpointError(`the zip file lists ${count} entries in ${length} bytes, too many`);
  }
  if (begin + length > limit) throw new CheckpointError("the central directory reaches beyond its place");
  return { begin, bytes: await readBytes(source, begin, length, "the central directory"), count };
}

/** Where a zip file ends whose end record is at `at`. */
function endsAt(tail: DataView, at: number): number {
  return at + endBytes + tail.getUint16(at + 20, true);
}

function parseDirectory(bytes: Uint8Array, count: number): Listed[] {
  const view = viewOf(bytes);
  const listed: Listed[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + centralBytes > bytes.length || view.getUint32(at, true) !== centralSignature) {
      throw new CheckpointError(`the central directory ends or breaks off at entry ${i} of ${count}`);
    }
    const flags = view.getUint16(at + 8, true);
    const nameEnd = at + centralBytes + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > bytes.length) throw new CheckpointError(`the central directory ends within entry ${i}`);
    const name = text(bytes.subarray(at + centralBytes, nameEnd), `the name of zip entry ${i}`);
    const entry: Listed = {
      name,
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      local: view.getUint32(at + 42, true),
    };
    if (flags & 0x2041) throw new CheckpointError(`zip entry ${quote(name)} is encrypted`);
    readLongSizes(new DataView(bytes.buffer, bytes.byteOffset + nameEnd, extraEnd - nameEnd), entry);
    listed.push(entry);
    at = next;
  }
  if (at !== bytes.length) throw new CheckpointError("the central directory goes on behind its last entry");
  return listed;
}

/** Replaces sizes that did not fit in 32 bits by those of the zip64 field, which holds only the ones that it replaces. */
function readLongSizes(extra: DataView, entry: Listed): void {
  const what = `zip entry ${quote(entry.name)}`;
  const long = (["size", "packed", "local"] as const).filter((key) => entry[key] === 0xffffffff);
  if (long.length === 0) return;
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue;
    const length = extra.getUint16(at + 2, true);
    if (length < 8 * long.length || at + 4 + length > extra.byteLength) break;
    long.forEach((key, i) => {
      entry[key] = wide(extra, at + 4 + 8 * i, what);
    });
    return;
  }
  throw new CheckpointError(`${what} lacks the zip64 sizes that it refers to`);
}

/** Bytes of the header before an entry's data; it must be a header and bear the name of the directory. */
async function localLength(source: ByteSource, { local, name }: Listed, what: string): Promise<number> {
  const header = viewOf(await readBytes(source, local, localBytes, `the header of ${what}`));
  const nameBytes = header.getUint16(26, true);
  const found = await readBytes(source, local + localBytes, nameBytes, `the header of ${what}`);
  if (header.getUint32(0, true) !== localSignature || text(found, what) !== name) {
    throw new CheckpointError(`${what} is not where the central directory says`);
  }
  return localBytes + nameBytes + header.getUint16(28, true);
}

function checkSizes({ method, packed, size }: Listed, fileSize: number, what: string): void {
  if (method !== 0 && method !== 8) {
    throw new CheckpointError(`${what} is packed by method ${method}; only stored and deflated are read`);
  }
  if (method === 0 && packed !== size) {
    throw new CheckpointError(`${what} is stored, but declares ${size} bytes for ${packed}`);
  }
  if (method === 8 && (size > bestRatio * packed + 64 || size > inflatedBytes + fileSize / 2)) {
    throw new CheckpointError(`${what} declares ${size} bytes for ${packed} packed ones: refused`);
  }
}

/**
 * Unpacks an entry. The platform unpacks gzip, not bare deflate, everywhere that we run, so the data go in between
 * gzip's header and trailer; it then checks the sum and the size as well.
 */
async function inflate(
  source: ByteSource,
  { name, crc, packed, size }: Listed,
  at: number,
): Promise<Uint8Array> {
  const what = `zip entry ${quote(name)}`;
  const stream = new DecompressionStream("gzip");
  const writer = stream.writable.getWriter();
  const feed = async () => {
    await writer.write(Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255));
    for (let from = 0; from < packed; from += 65_536) {
      const length = Math.min(65_536, packed - from);
      // A copy, for the stream keeps what it is given.
      await writer.write(new Uint8Array(await readBytes(source, at + from, length, what)));
    }
    const trailer = new DataView(new ArrayBuffer(8));
    trailer.setUint32(0, crc, true);
    trailer.setUint32(4, size % 2 ** 32, true);
    await writer.write(new Uint8Array(trailer.buffer));
    await writer.close();
  };
  // Whatever ends the reading tells; these would only be left unhandled.
  writer.closed.catch(() => {});
  const fed = feed();
  fed.catch(() => {});
  const reader = stream.readable.getReader();
  const unpacked = new Uint8Array(size);
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) throw new Error(`more than the declared ${size} bytes`);
      unpacked.set(value, filled);
      filled += value.length;
    }
    await fed;
    if (filled !== size) throw new Error(`${filled} bytes instead of the declared ${size}`);
  } catch (cause) {
    await Promise.allSettled([reader.cancel(), writer.abort()]);
    throw new CheckpointError(`${what} can't be unpacked: ${(cause as Error).message}`, { cause });
  }
  return unpacked;
}

/** Remembers the last result: tensors of one storage follow one another. */
function keepLast<T>(make: (entry: Listed, at: number) => Promise<T>): typeof make {
  let last: { entry: Listed; result: Promise<T> } | null = null;
  return (entry, at) => {
    if (last?.entry !== entry) last = { entry, result: make(entry, at) };
    return last.result;
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit number; throws CheckpointError where it passes 2^53. */
function wide(view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new CheckpointError(`${what}: ${value} is too large`);
  return Number(value);
}

function text(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CheckpointError(`${what} is not valid UTF-8`);
  }
}
