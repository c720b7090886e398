// Element types of tensors and their passage between host and GPU memory. Half precision is IEEE 754 binary16;
// Node 20 has no Float16Array, so its bits are packed and unpacked here.

/** Element type of a tensor. */
export type DType = "f32" | "f16" | "u32" | "i32";

/** What host code reads from a tensor: f16 is widened to f32. */
export type HostArray = Float32Array | Uint32Array | Int32Array;

/** Bytes per element. */
export const bytesPerElement: Record<DType, number> = { f32: 4, f16: 2, u32: 4, i32: 4 };

const scratch = new DataView(new ArrayBuffer(4));

/** Rounds a number to the nearest binary16 (ties to even) and gives its 16 bits. */
export function toHalfBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const shifted = exponent - 112;
  if (shifted >= 31) return sign | 0x7c00;
  if (shifted <= 0) {
    if (shifted < -10) return sign;
    const full = mantissa | 0x800000;
    const drop = 14 - shifted;
    return sign | roundShift(full, drop);
  }
  return sign + roundShift((shifted << 23) | mantissa, 13);
}

/** Shifts right by `drop` bits, rounding to nearest, ties to even. */
function roundShift(value: number, drop: number): number {
  const kept = value >>> drop;
  const rest = value & ((1 << drop) - 1);
  const half = 1 << (drop - 1);
  return rest > half || (rest === half && kept & 1) ? kept + 1 : kept;
}

/** The number that 16 bits of binary16 stand for. */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Packs numbers into the bytes of `dtype`, padded with zeros to a multiple of four bytes. */
export function toBytes(values: ArrayLike<number>, dtype: DType): Uint8Array<ArrayBuffer> {
  const bytes = new ArrayBuffer(Math.ceil((values.length * bytesPerElement[dtype]) / 4) * 4);
  if (dtype === "f32") new Float32Array(bytes).set(values);
  else if (dtype === "u32") new Uint32Array(bytes).set(values);
  else if (dtype === "i32") new Int32Array(bytes).set(values);
  else {
    const halves = new Uint16Array(bytes);
    for (let i = 0; i < values.length; i++) halves[i] = toHalfBits(values[i]!);
  }
  return new Uint8Array(bytes);
}

/** Reads `count` elements of `dtype` from bytes that the caller gives away. */
export function fromBytes(bytes: ArrayBuffer, dtype: DType, count: number): HostArray {
  if (dtype === "f32") return new Float32Array(bytes, 0, count);
  if (dtype === "u32") return new Uint32Array(bytes, 0, count);
  if (dtype === "i32") return new Int32Array(bytes, 0, count);
  const halves = new Uint16Array(bytes, 0, count);
  return Float32Array.from(halves, fromHalfBits);
}
