// A tensor of a checkpoint before it is read: type, shape and where its elements lie. Strides are PyTorch's: a saved
// view or a transposed weight has elements that do not follow one another.

import { notFinite } from "../finite.ts";
import { CheckpointError, decodeFloats, elementBytes, quote, type StoredType } from "../safetensors.ts";
import { type ByteSource, readBytes } from "./source.ts";

export interface TensorEntry {
  /** Element type as the file calls it; one that is not known here is no harm until the tensor is needed. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Why the tensor can't be read, where that shows before its bytes do. */
  readonly fault?: string;
  /** The elements as float32, row-major. Throws CheckpointError for a type that is no float, a fault and a cut file. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

/** What a checkpoint holds. */
export interface Checkpoint {
  /** The container, for messages. */
  format: string;
  tensors: Map<string, TensorEntry>;
  /** The file's own words about it, where its form has any. */
  metadata?: Readonly<Record<string, string>>;
  /** What the file has at its top, tensors or not, where that is more than its tensors. */
  keys?: readonly string[];
  /** What was chosen in opening it, for people. */
  notes?: readonly string[];
}

/** The parameters among a checkpoint's tensors, by their names; all of a model's own file. Those of training have a prefix. */
export function modelTensors(tensors: Checkpoint["tensors"]): Checkpoint["tensors"] {
  const prefix = "model.";
  const found = Array.from(tensors).flatMap(([name, entry]): [string, typeof entry][] =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), entry]] : [],
  );
  return found.length > 0 ? new Map(found) : tensors;
}

/** An entry that throws CheckpointError, naming it, where a number that is read is NaN or infinite. */
export function finiteEntry(name: string, entry: TensorEntry): TensorEntry {
  const read = async () => {
    const values = await entry.read();
    const fault = notFinite(values, entry.shape);
    if (fault) {
      const wide = entry.dtype === "F64" ? ", as float32" : "";
      throw new CheckpointError(`tensor ${quote(name)} is ${fault}${wide}`);
    }
    return values;
  };
  return { ...entry, read };
}

/** Bytes that are converted at a time. */
const chunkBytes = 4 << 20;

/** Elements one after the other, from byte `begin` of a source on. */
export async function readFloats(
  source: ByteSource,
  dtype: StoredType,
  begin: number,
  count: number,
  what: string,
): Promise<Float32Array<ArrayBuffer>> {
  const size = elementBytes[dtype];
  // Before the allocation: a number of elements that the source can't hold must not cost memory.
  if (begin + count * size > source.size) throw new CheckpointError(`truncated: ${what} ends early`);
  const values = new Float32Array(count);
  const step = chunkBytes / size;
  for (let at = 0; at < count; at += step) {
    const bytes = await readBytes(source, begin + at * size, Math.min(step, count - at) * size, what);
    decodeFloats(dtype, bytes, values, at);
  }
  return values;
}

/** Which elements of a storage a tensor is made of; all in elements. */
export interface View {
  offset: number;
  shape: readonly number[];
  strides: readonly number[];
}

/** Number of elements of a shape. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Elements that a tensor may have whatever its storage: `expand` repeats a row, or one number, without storing it again. */
const mostExpanded = 1 << 20;
/** Most dimensions of a tensor; PyTorch stops at 64. */
export const mostDimensions = 64;

/**
 * What is wrong with a view of a storage of `count` elements, null where nothing is: it leaves the storage, or has more
 * elements than PyTorch's `expand` is granted, for a few bytes could ask for any amount of memory.
 */
export function viewFault({ offset, shape, strides }: View, count: number): string | null {
  const whole = [offset, ...shape, ...strides].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!whole || shape.length !== strides.length || shape.length > mostDimensions) {
    return `bad shape ${quote(shape)}, strides ${quote(strides)} or offset ${quote(offset)}`;
  }
  const elements = countOf(shape);
  const last = shape.reduce((sum, extent, i) => sum + (extent - 1) * strides[i], offset);
  if (elements > Math.max(count, mostExpanded) || (elements > 0 && last >= count) || offset > count) {
    return `shape [${shape}], strides [${strides}] and offset ${offset} do not fit its storage of ${count} elements`;
  }
  return null;
}

/** Reads a view that has no fault: in one piece where its elements follow one another. */
export async function readView(
  source: ByteSource,
  dtype: StoredType,
  { offset, shape, strides }: View,
  what: string,
): Promise<Float32Array<ArrayBuffer>> {
  const elements = countOf(shape);
  if (elements === 0) return new Float32Array(0);
  const size = elementBytes[dtype];
  if (followOne(shape, strides)) return readFloats(source, dtype, offset * size, elements, what);
  const last = shape.reduce((sum, extent, i) => sum + (extent - 1) * strides[i], 0);
  const spread = await readFloats(source, dtype, offset * size, last + 1, what);
  const values = new Float32Array(elements);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < elements; i++) {
    values[i] = spread[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return values;
}

/** Whether elements follow one another in row-major order; the stride along an extent of 1 does not matter. */
function followOne(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}
