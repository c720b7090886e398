// Rows of equal length on disk, in files of a gigabyte at most, so that no size of a data set asks for one huge buffer or
// file: pictures' pixels, or a frozen encoder's tokens. Beside them lies a record of each row: the stamp of what it was
// made from and the SHA-256 of its bytes, written when the row itself is. So a row that was being written when the process
// was killed counts as not there, one whose source has changed as well, and one whose bytes have changed on the disk is
// found when it is first read. Rows have fixed places and the same source makes the same bytes, so that two processes
// which write one row at the same time do no harm.
import { createHash } from "node:crypto";
import { closeSync, constants, existsSync, openSync, read, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";

/** Bytes of a stamp, which says what a row was made from. */
export const stampBytes = 16;
const digestBytes = 32;
const recordBytes = stampBytes + digestBytes;
const recordsName = "records";
/** Bytes that are hashed without a break; about 8 ms. */
const mostUnbroken = 8 * 2 ** 20;

const readAt = promisify(read);

/** Where rows lie. */
export interface Layout {
  folder: string;
  rows: number;
  rowBytes: number;
  rowsPerShard: number;
}

/**
 * Lays rows out in shards of so many bytes at most.
 * @throws where not even one row fits
 */
export function layOut(folder: string, rows: number, rowBytes: number, shardBytes = 2 ** 30): Layout {
  const rowsPerShard = Math.floor(shardBytes / rowBytes);
  if (rowsPerShard < 1)
    throw new RangeError(
      `a shard of ${shardBytes} bytes holds no row of ${rowBytes}; choose smaller pictures`,
    );
  return { folder, rows, rowBytes, rowsPerShard };
}

/** A stamp of texts and bytes. */
export function stampOf(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest().subarray(0, stampBytes);
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

export class Shards {
  private readonly records: Buffer;
  private readonly there: Uint8Array;
  /** 1 where this process has compared a row's bytes with their digest. */
  private readonly checked: Uint8Array;
  private readonly open = new Map<string, number>();

  /**
   * Opens a folder that is there, of rows or of none.
   * @param stamps uint8 [rows, stampBytes], what each row should be made from
   * @throws what the file system does
   */
  constructor(
    readonly layout: Layout,
    private readonly stamps: Uint8Array,
  ) {
    const { rows } = layout;
    if (stamps.length !== rows * stampBytes)
      throw new RangeError(`${rows} rows need ${rows * stampBytes} bytes of stamps, not ${stamps.length}`);
    this.records = Buffer.alloc(rows * recordBytes);
    this.there = new Uint8Array(rows);
    this.checked = new Uint8Array(rows);
    this.refresh();
  }

  /** Sees what other threads and processes have written. */
  refresh(): void {
    const { folder, rows, rowBytes, rowsPerShard } = this.layout;
    const file = this.file(recordsName);
    for (let at = 0; at < this.records.length; ) {
      const got = readSync(file, this.records, at, this.records.length - at, at);
      if (got === 0) {
        this.records.fill(0, at);
        break;
      }
      at += got;
    }
    for (let from = 0; from < rows; from += rowsPerShard) {
      const info = statSync(join(folder, this.shardOf(from)), { throwIfNoEntry: false });
      const whole = Math.floor((info?.size ?? 0) / rowBytes);
      const end = Math.min(rows, from + rowsPerShard);
      for (let row = from; row < end; row++) {
        const stamp = this.stamps.subarray(row * stampBytes, (row + 1) * stampBytes);
        const record = row * recordBytes;
        const fits = this.records.compare(stamp, 0, stampBytes, record, record + stampBytes) === 0;
        this.there[row] = Number(fits && row - from < whole);
      }
    }
  }

  /** Whether a row was made from what it should be. */
  has(row: number): boolean {
    return this.there[row] === 1;
  }

  /** The rows that are still to be made. */
  missing(): number[] {
    return Array.from(this.there.keys()).filter((row) => !this.has(row));
  }

  /** SHA-256 of a row's bytes. The row must be there. */
  digest(row: number): Uint8Array {
    return this.records.subarray(row * recordBytes + stampBytes, (row + 1) * recordBytes);
  }

  /** Writes a row. Throws what the file system does, such as ENOSPC; the row then counts as not there. */
  write(row: number, bytes: Uint8Array): void {
    const { rowBytes, rowsPerShard } = this.layout;
    if (bytes.length !== rowBytes) throw new RangeError(`a row has ${rowBytes} bytes, not ${bytes.length}`);
    writeAll(this.file(this.shardOf(row)), bytes, (row % rowsPerShard) * rowBytes);
    const record = this.records.subarray(row * recordBytes, (row + 1) * recordBytes);
    record.set(this.stamps.subarray(row * stampBytes, (row + 1) * stampBytes));
    record.set(digestOf(bytes), stampBytes);
    writeAll(this.file(recordsName), record, row * recordBytes);
    this.there[row] = 1;
  }

  /**
   * The bytes of rows one after the other, uint8 [rows, rowBytes]. Each row is compared with its digest when this process
   * first reads it; one that does not fit is made again, and written.
   * @param remake makes a row's bytes
   */
  async read(rows: ArrayLike<number>, remake: (row: number) => Promise<Uint8Array>): Promise<Uint8Array> {
    const { rowBytes } = this.layout;
    const out = new Uint8Array(rows.length * rowBytes);
    const place = (at: number) => out.subarray(at * rowBytes, (at + 1) * rowBytes);
    /** Where a row first stands, as a repeated one is read once. */
    const first = new Map<number, number>();
    // Before anything is read: another reading that runs meanwhile may find a fault in bytes that this one has.
    const doubtful: number[] = [];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (first.has(row)) continue;
      first.set(row, i);
      if (!this.has(row) || !this.checked[row]) doubtful.push(row);
    }
    const spans = this.spansOf(first);
    await Promise.all(spans.map((span) => this.fill(span, out, doubtful)));
    let unbroken = 0;
    for (const row of doubtful) {
      // Who waits for the thread, to feed the GPU above all, goes first.
      if (unbroken > mostUnbroken) {
        await setImmediate();
        unbroken = 0;
      }
      unbroken += rowBytes;
      const bytes = place(first.get(row)!);
      if (!this.has(row) || !digestOf(bytes).equals(this.digest(row))) {
        bytes.set(await remake(row));
        this.write(row, bytes);
      }
      this.checked[row] = 1;
    }
    for (let i = 0; i < rows.length; i++) {
      const at = first.get(rows[i]!)!;
      if (at !== i) place(i).set(place(at));
    }
    return out;
  }

  /** Nothing may be read or written after it. */
  close(): void {
    for (const file of this.open.values()) closeSync(file);
    this.open.clear();
  }

  private shardOf(row: number): string {
    return `shard-${String(Math.floor(row / this.layout.rowsPerShard)).padStart(4, "0")}`;
  }

  /** Its descriptor, opened once: Node would close a FileHandle that nobody holds, with a warning. */
  private file(name: string): number {
    let file = this.open.get(name);
    if (file === undefined) {
      file = openFor(join(this.layout.folder, name));
      this.open.set(name, file);
    }
    return file;
  }

  /** What can be read at a time: rows that follow each other on the disk as they are asked for. */
  private spansOf(first: ReadonlyMap<number, number>): Span[] {
    const { rowsPerShard } = this.layout;
    const spans: Span[] = [];
    for (const [row, at] of first) {
      const last = spans.at(-1);
      const follows = last && row === last.row + last.count && at === last.at + last.count;
      if (follows && row % rowsPerShard !== 0) last.count++;
      else spans.push({ row, at, count: 1 });
    }
    return spans;
  }

  /** Reads a span to its place; rows that the file is too short for are doubtful. */
  private async fill({ row, at, count }: Span, out: Uint8Array, doubtful: number[]): Promise<void> {
    const { rowBytes, rowsPerShard } = this.layout;
    const file = this.file(this.shardOf(row));
    const start = (row % rowsPerShard) * rowBytes;
    const length = count * rowBytes;
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await readAt(file, out, at * rowBytes + filled, length - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    for (let i = Math.floor(filled / rowBytes); i < count; i++)
      if (!doubtful.includes(row + i)) doubtful.push(row + i);
  }
}

interface Span {
  row: number;
  /** Place of its first row among those asked for. */
  at: number;
  count: number;
}

/** A file to read and write; to read alone where nobody may write, such as a cache that many people share. */
function openFor(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  } catch (error) {
    const readOnly = ["EACCES", "EPERM", "EROFS"].includes((error as NodeJS.ErrnoException).code!);
    if (!readOnly || !existsSync(path)) throw error;
    return openSync(path, constants.O_RDONLY);
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
}
