// Reads TensorBoard's event files by the formats' definitions alone, bit by bit, so that it shares no table with the writer.
import * as assert from "uvu/assert";

/** CRC-32C, Castagnoli's polynomial, by long division. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of data) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  return Number(crc ^ 0xffffffffn);
}

const mask = (crc: number) =>
  Number(((BigInt(crc >>> 15) | (BigInt(crc) << 17n)) + 0xa282ead8n) & 0xffffffffn);

/** A message's fields: whole numbers as bigint, everything else as bytes. */
export function fieldsOf(message: Uint8Array): [field: number, value: bigint | Uint8Array][] {
  const fields: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const wire = key & 7;
    if (wire === 0) fields.push([key >> 3, varint()]);
    else {
      const length = { 1: 8, 2: -1, 5: 4 }[wire];
      assert.ok(length, `wire type ${wire}`);
      const size = length! < 0 ? Number(varint()) : length!;
      fields.push([key >> 3, message.slice(at, at + size)]);
      at += size;
    }
  }
  assert.is(at, message.length, "a message ends with a field");
  return fields;
}

export interface Read {
  time: number;
  step: number;
  version?: string;
  /** SessionLog's status. */
  session?: number;
  scalars: Record<string, number>;
}

const text = (value: bigint | Uint8Array) => new TextDecoder().decode(value as Uint8Array);
const view = (value: bigint | Uint8Array) => new DataView((value as Uint8Array).buffer);

/** The events of a file. Fails at a record that is not whole. */
export function readEvents(content: Uint8Array): Read[] {
  const events: Read[] = [];
  // A copy of its own: parts of a Buffer share its memory.
  const file = Uint8Array.from(content);
  const whole = new DataView(file.buffer);
  for (let at = 0; at < file.length; ) {
    const length = Number(whole.getBigUint64(at, true));
    assert.is(whole.getUint32(at + 8, true), mask(crc32c(file.subarray(at, at + 8))), "CRC of the length");
    const data = file.subarray(at + 12, at + 12 + length);
    assert.is(whole.getUint32(at + 12 + length, true), mask(crc32c(data)), "CRC of the data");
    at += length + 16;
    const event: Read = { time: Number.NaN, step: 0, scalars: {} };
    for (const [field, value] of fieldsOf(data)) {
      if (field === 1) event.time = view(value).getFloat64(0, true);
      else if (field === 2) event.step = Number(value);
      else if (field === 3) event.version = text(value);
      else if (field === 7) event.session = Number(fieldsOf(value as Uint8Array).find(([n]) => n === 1)![1]);
      else if (field === 5)
        for (const [inner, entry] of fieldsOf(value as Uint8Array)) {
          assert.is(inner, 1, "a summary holds values");
          const parts = new Map(fieldsOf(entry as Uint8Array));
          event.scalars[text(parts.get(1)!)] = view(parts.get(2)!).getFloat32(0, true);
        }
      else assert.unreachable(`field ${field} of an event`);
    }
    events.push(event);
  }
  return events;
}
