// Safetensors files of any size, read tensor by tensor, and those that an index spreads over several files.
import {
  CheckpointError,
  elementBytes,
  headerLength,
  type OtherRange,
  quote,
  readLayout,
} from "../safetensors.ts";
import { type ByteSource, readBytes } from "./source.ts";
import { type Checkpoint, readFloats, type TensorEntry } from "./tensor.ts";

/** The longest header that is read: some 15,000 tensors. Parsed, it may take twenty times its bytes. */
const headerLimit = 2_000_000;

/** Opens a safetensors file. Throws CheckpointError as `readLayout` does, and for a header of over 2 MB. */
export async function openSafetensors(source: ByteSource): Promise<Checkpoint> {
  const first = await source.read(0, 8);
  const start = 8 + headerLength(first, source.size, headerLimit);
  const header = await readBytes(source, 8, start - 8, "the header");
  const tensors = new Map<string, TensorEntry>();
  const others: OtherRange[] = [];
  const { ranges, metadata } = readLayout(header, source.size - start, others);
  for (const { name, dtype, shape } of others) {
    const fault = `its type ${dtype} is not read`;
    const read = () => Promise.reject(new CheckpointError(`tensor ${quote(name)}: ${fault}`));
    tensors.set(name, { dtype, shape, fault, read });
  }
  for (const { name, dtype, shape, begin, end } of ranges) {
    const count = (end - begin) / elementBytes[dtype];
    const what = `tensor ${quote(name)}`;
    tensors.set(name, { dtype, shape, read: () => readFloats(source, dtype, start + begin, count, what) });
  }
  return { format: "safetensors", tensors, metadata };
}

/**
 * Opens the files that a `model.safetensors.index.json` names. Throws CheckpointError for an index of another form,
 * for a file name that is a path, and for a tensor that is not in the file where it should be.
 * @param index the parsed index
 * @param open opens a file beside the index by its name
 */
export async function openSharded(
  index: unknown,
  open: (file: string) => Promise<Checkpoint>,
): Promise<Checkpoint> {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new CheckpointError("the index has no weight_map");
  }
  const shards = new Map<string, Checkpoint>();
  const tensors = new Map<string, TensorEntry>();
  for (const [name, file] of Object.entries(map)) {
    // Names only: an index from elsewhere must not reach into other folders.
    if (typeof file !== "string" || !/^(?!\.)[^/\\:\p{Cc}]{1,255}$/u.test(file)) {
      throw new CheckpointError(`the index puts ${quote(name)} in ${quote(file)}, which is no file name`);
    }
    if (!shards.has(file)) shards.set(file, await open(file));
    const entry = shards.get(file)!.tensors.get(name);
    if (!entry) throw new CheckpointError(`the index puts ${quote(name)} in ${file}, which lacks it`);
    tensors.set(name, entry);
  }
  // As Hugging Face's loader does: what a file holds counts whether the index knows it or not.
  for (const shard of shards.values()) {
    for (const [name, entry] of shard.tensors) if (!tensors.has(name)) tensors.set(name, entry);
  }
  const [{ format } = { format: "nothing" }] = shards.values();
  return { format: `${format} in ${shards.size} files`, tensors };
}
