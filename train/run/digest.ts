// A digest of a checkpoint's weights that one line of PyTorch computes as well (docs/checkpoints.md), so that anybody can
// see that the file was read right: SHA-256 over the SHA-256 of each tensor of floats, as little-endian float32, in the
// order of their names.
import { createHash } from "node:crypto";
import type { Checkpoint, TensorEntry } from "../../model/checkpoint/tensor.ts";
import { byCodePoint, isFloat } from "../../model/safetensors.ts";

/** The tensors of a checkpoint, and the digest of all that hold floats. */
export interface Digested {
  tensors: Map<string, TensorEntry>;
  /** Reads what has not been read yet. Throws CheckpointError as reading does. */
  digest(): Promise<{ tensors: number; sha256: string }>;
}

/** The same tensors, each of which is digested as it is read: most of a checkpoint is read once, for the import. */
export function digested({ tensors }: Checkpoint): Digested {
  const digests = new Map<string, Buffer>();
  const entries = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors) {
    const read = async () => {
      const values = await entry.read();
      digests.set(name, createHash("sha256").update(values).digest());
      return values;
    };
    entries.set(name, { ...entry, read });
  }
  return {
    tensors: entries,
    async digest() {
      const names = Array.from(entries)
        .filter(([, { dtype, fault }]) => isFloat(dtype) && fault === undefined)
        .map(([name]) => name)
        .sort(byCodePoint);
      const whole = createHash("sha256");
      for (const name of names) {
        if (!digests.has(name)) await entries.get(name)!.read();
        whole.update(digests.get(name)!);
      }
      return { tensors: names.length, sha256: whole.digest("hex") };
    },
  };
}
