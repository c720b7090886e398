// What torch.save writes: since PyTorch 1.6 a zip file with a pickle and one entry per storage, before that a stream of
// pickles with the storages behind them (torch/serialization.py: _save, _legacy_save). State dicts only.
import { CheckpointError, elementBytes, quote, type StoredType } from "../safetensors.ts";
import { findStateDict, heldIn } from "./dictionary.ts";
import {
  Opaque,
  PickledDict,
  PickledList,
  PickledStorage,
  PickledTensor,
  PickledTuple,
  runPickle,
  Skipped,
  storageBytes,
  type Value,
} from "./pickle.ts";
import { type ByteSource, partOf, readBytes } from "./source.ts";
import { type Checkpoint, countOf, readView, type TensorEntry } from "./tensor.ts";
import { openZip, type ZipEntry } from "./zip.ts";

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocol = 1001;

/**
 * Tensors may share a storage, as tied weights do, or repeat it. Together they may ask for this many times what the file
 * holds, and for so many bytes more: a small file must not take hours to read.
 */
const mostSharing = 4;
const mostRepeated = 16 << 20;

/** Finds a storage's bytes. Throws CheckpointError. */
type Locate = (storage: PickledStorage) => Promise<ByteSource>;

/** Opens the zip form. Throws CheckpointError. */
export async function openTorchZip(source: ByteSource): Promise<Checkpoint> {
  const entries = await openZip(source);
  const pickles = [...entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    const held = [...entries.keys()].slice(0, 4).map(quote).join(", ");
    throw new CheckpointError(
      `the zip file is not one of torch.save's: no data.pkl${held && `, but ${held}`}; unpack an archive first`,
    );
  }
  const folder = pickles[0].slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw new CheckpointError("this is a TorchScript archive; save the model's state_dict() instead");
  }
  const order = await readEntry(entries.get(`${folder}byteorder`), 16);
  if (order && new TextDecoder().decode(order).trim() !== "little") {
    throw new CheckpointError("the tensors are in big-endian order, which is not read");
  }
  const { value } = await runPickle(await entries.get(pickles[0])!.open());
  const entryOf = (storage: PickledStorage) => {
    const entry = entries.get(`${folder}data/${storage.key}`);
    if (!entry) throw new CheckpointError(`the zip file lacks storage ${quote(storage.key)}`);
    const bytes = storageBytes(storage) ?? entry.size;
    if (entry.size !== bytes) {
      throw new CheckpointError(`storage ${quote(storage.key)} has ${entry.size} bytes, not ${bytes}`);
    }
    return entry;
  };
  const storages = storagesOf(value);
  for (const storage of storages.values()) entryOf(storage);
  return stateDict("PyTorch zip", value, storages, async (storage) => entryOf(storage).open());
}

/** Opens the old form: magic number, protocol, system, state dict and the storages' keys, each pickled by itself. */
export async function openTorchStream(source: ByteSource): Promise<Checkpoint> {
  let at = 0;
  const next = async (whole = false) => {
    const { value, end } = await runPickle(source, at, whole);
    at = end;
    return value;
  };
  if ((await next()) !== magicNumber) throw new CheckpointError("this is a pickle, but none of torch.save's");
  const version = await next();
  if (version !== protocol)
    throw new CheckpointError(`torch's protocol is ${protocol}, not ${show(version)}`);
  const system = await next();
  if (!(system instanceof PickledDict) || system.get("little_endian") !== true) {
    throw new CheckpointError("the tensors are not said to be in little-endian order");
  }
  const value = await next();
  const keys = await next(true);
  if (!(keys instanceof PickledTuple || keys instanceof PickledList))
    throw new CheckpointError("the stream does not list its storages");
  const storages = storagesOf(value);
  const places = new Map<string, ByteSource>();
  for (const key of keys.items) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (typeof key !== "string" || !storage || places.has(key)) {
      throw new CheckpointError(`the stream lists a storage ${show(key)} that is unknown or there twice`);
    }
    const what = `storage ${quote(key)}`;
    const head = await readBytes(source, at, 8, what);
    const count = new DataView(head.buffer, head.byteOffset, 8).getBigInt64(0, true);
    if (count !== BigInt(storage.count)) {
      throw new CheckpointError(`${what} has ${count} elements, not ${storage.count}`);
    }
    const bytes = storageBytes(storage);
    if (bytes === null) throw new CheckpointError(`${what} is a torch.${storage.dtype}, which is not known`);
    places.set(key, partOf(source, at + 8, bytes, what));
    at += 8 + bytes;
  }
  for (const key of storages.keys()) {
    if (!places.has(key)) throw new CheckpointError(`the stream lacks storage ${quote(key)}`);
  }
  return stateDict("PyTorch stream", value, storages, async ({ key }) => places.get(key)!);
}

async function readEntry(entry: ZipEntry | undefined, limit: number): Promise<Uint8Array | null> {
  if (!entry) return null;
  const what = `zip entry ${quote(entry.name)}`;
  if (entry.size > limit) throw new CheckpointError(`${what} has ${entry.size} bytes, over ${limit}`);
  return readBytes(await entry.open(), 0, entry.size, what);
}

/** The storages that a pickle refers to, by key. Throws CheckpointError where two descriptions of one differ. */
function storagesOf(root: Value): Map<string, PickledStorage> {
  const storages = new Map<string, PickledStorage>();
  const seen = new Set<Value>();
  const waiting = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (value === null || typeof value !== "object" || seen.has(value)) continue;
    seen.add(value);
    for (const item of heldIn(value)) if (typeof item === "object") waiting.push(item);
    if (value instanceof PickledTensor) waiting.push(value.storage);
    if (!(value instanceof PickledStorage)) continue;
    const known = storages.get(value.key) ?? value;
    if (known.dtype !== value.dtype || known.count !== value.count) {
      throw new CheckpointError(`storage ${quote(value.key)} is described in two ways`);
    }
    storages.set(value.key, value);
  }
  return storages;
}

/**
 * The state dict's tensors by name. What is opaque under a name is listed as a tensor that can't be read, for it may be
 * one that is needed. Throws CheckpointError as `findStateDict` does, for a name given twice, and for tensors of too
 * much more than the storages hold.
 */
function stateDict(
  format: string,
  root: Value,
  storages: ReadonlyMap<string, PickledStorage>,
  locate: Locate,
): Checkpoint {
  const { held, keys, notes } = findStateDict(root);
  const tensors = new Map<string, TensorEntry>();
  let left = mostRepeated;
  for (const storage of storages.values()) left += mostSharing * (storageBytes(storage) ?? 0);
  for (const [name, value] of held) {
    if (tensors.has(name)) throw new CheckpointError(`tensor ${quote(name)} is there twice`);
    const what = `tensor ${quote(name)}`;
    const fault =
      value instanceof Skipped
        ? `it is ${value.name}, no tensor`
        : value instanceof Opaque
          ? `it is what ${value.name} would make, which is never called; save it as a plain tensor`
          : value.fault;
    if (fault !== null || value instanceof Opaque) {
      const [dtype, shape] =
        value instanceof Opaque ? [value.name, []] : [value.storage.dtype, value.view.shape];
      const read = () => Promise.reject(new CheckpointError(`${what}: ${fault}`));
      tensors.set(name, { dtype, shape, fault: fault!, read });
      continue;
    }
    const { storage, view } = value;
    // Its fault would be a storage of another type.
    const dtype = storage.dtype as StoredType;
    left -= countOf(view.shape) * elementBytes[dtype];
    if (left < 0) throw new CheckpointError(`the tensors share storages over ${mostSharing} times: refused`);
    tensors.set(name, {
      ...{ dtype, shape: view.shape },
      read: async () => readView(await locate(storage), dtype, view, what),
    });
  }
  return { format, tensors, keys, notes };
}

function show(value: Value): string {
  return typeof value === "string" || typeof value === "number" ? quote(value) : "of another type";
}
