// Which container a file is, by its first bytes; its name does not count.
import { CheckpointError } from "../safetensors.ts";
import { openSafetensors } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";
import type { Checkpoint } from "./tensor.ts";
import { openTorchStream, openTorchZip } from "./torch.ts";

/** Where "ustar" stands in a tar file. */
const tarAt = 257;

/**
 * Opens a checkpoint of any form that is read: safetensors, and torch.save's zip and stream. Only descriptions of the
 * tensors are read now. Throws CheckpointError, naming the source, for another form and for whatever is wrong with it.
 */
export async function openCheckpoint(source: ByteSource): Promise<Checkpoint> {
  try {
    return await openAny(source);
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause;
    throw new CheckpointError(`${source.name}: ${cause.message}`, { cause });
  }
}

async function openAny(source: ByteSource): Promise<Checkpoint> {
  const head = await source.read(0, Math.min(source.size, tarAt + 5));
  const text = (from: number, to: number) => String.fromCharCode(...head.subarray(from, to));
  if (text(0, 4) === "PK\x03\x04") return openTorchZip(source);
  // Before the pickle: a header's length may well begin with the pickle's first byte, 0x80.
  if (text(8, 9) === "{" || head.length < 9) return openSafetensors(source);
  if (text(tarAt, tarAt + 5) === "ustar") {
    throw new CheckpointError(
      "this is a tar file, as PyTorch wrote before 0.1.10; load it in PyTorch and save it again",
    );
  }
  if (text(0, 1) === "\x80") return openTorchStream(source);
  throw new CheckpointError("neither safetensors nor a file of torch.save's");
}
