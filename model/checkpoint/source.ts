// Bytes that are read where they lie, so that a checkpoint of 900 MB is never in memory as a whole: a file in Node, a
// Blob in the browser, an array in a test.
import { CheckpointError } from "../safetensors.ts";

export interface ByteSource {
  /** What messages call it. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** The bytes from `offset` on; may give fewer than `length` at the end, never more. Callers use `readBytes`. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes in memory. */
export function memorySource(bytes: Uint8Array, name = "bytes in memory"): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** Part of a source; throws CheckpointError where it does not lie within. */
export function partOf(source: ByteSource, begin: number, size: number, what: string): ByteSource {
  requireWithin(source, begin, size, what);
  return {
    name: source.name,
    size,
    read: (offset, length) => source.read(begin + offset, Math.min(length, size - offset)),
  };
}

/** Exactly `length` bytes; throws CheckpointError, with `what` in its message, where the source has not as many. */
export async function readBytes(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  requireWithin(source, offset, length, what);
  const bytes = await source.read(offset, length);
  // The file may have been cut since it was opened.
  if (bytes.length !== length) throw new CheckpointError(`truncated: ${what} ends early`);
  return bytes;
}

function requireWithin(source: ByteSource, offset: number, length: number, what: string): void {
  const safe = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!safe || offset + length > source.size) {
    throw new CheckpointError(
      `truncated: ${what} takes bytes ${offset} to ${offset + length}, there are ${source.size}`,
    );
  }
}
