// TensorBoard's event files: records as TFRecord frames them, each an Event in Protocol Buffers with a Summary of scalars.
// From the formats' definitions: tensorflow/core/lib/io/record_writer.cc (length, masked CRC-32C of it, data, masked CRC-32C
// of that), tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto (the fields' numbers).

/** Scalars of one step, by their tags. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  time: number;
  step: number;
  scalars: Readonly<Record<string, number>>;
}

/** What a file of events starts with; whoever has it open forgets what an earlier file of the run said. */
export function eventsHeader(time: number): Uint8Array {
  const version = joined([double(1, time), bytes(3, utf8("brain.Event:2"))]);
  // SessionLog { status: START } of step 0: what lies from that step on is said again.
  const start = joined([double(1, time), bytes(7, integer(1, 1))]);
  return joined([frame(version), frame(start)]);
}

/** A record of scalars. */
export function scalarEvent({ time, step, scalars }: ScalarEvent): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(1, joined([bytes(1, utf8(tag)), float(2, value)])),
  );
  return frame(joined([double(1, time), integer(2, step), bytes(5, joined(values))]));
}

/** The numbers in an object, by their paths behind a prefix. */
export function scalarsOf(prefix: string, value: object): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === "number") found[`${prefix}/${key}`] = inner;
    else if (typeof inner === "object" && inner !== null)
      Object.assign(found, scalarsOf(`${prefix}/${key}`, inner));
  }
  return found;
}

function frame(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** CRC-32C's remainders of single bytes; its polynomial is 0x1edc6f41, here with its bits turned round. */
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1;
  return rest;
});

/** Turned and shifted, as a CRC of data that holds CRCs is a poor one. */
function maskedCrc(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = remainders[(crc ^ byte) & 255]! ^ (crc >>> 8);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

// Fields of a message: its number and wire type, then the value.
const integer = (field: number, value: number) => joined([varint(field << 3), varint(value)]);
const double = (field: number, value: number) =>
  fixed(field, 1, 8, (view) => view.setFloat64(0, value, true));
const float = (field: number, value: number) => fixed(field, 5, 4, (view) => view.setFloat32(0, value, true));
const bytes = (field: number, value: Uint8Array) =>
  joined([varint((field << 3) | 2), varint(value.length), value]);

function fixed(field: number, wire: number, size: number, write: (view: DataView) => void): Uint8Array {
  const value = new Uint8Array(size);
  write(new DataView(value.buffer));
  return joined([varint((field << 3) | wire), value]);
}

/** A whole number below 2^53 in groups of seven bits, the lowest first. */
function varint(value: number): Uint8Array {
  const groups: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) groups.push((rest % 128) | 128);
  return Uint8Array.from([...groups, rest]);
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
