// Which container a file is, by its first bytes; its name does not count.
import { CheckpointError, quote } from "../safetensors.ts";
import { openSafetensors } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";
import type { Checkpoint } from "./tensor.ts";
import { openTorchStream, openTorchZip } from "./torch.ts";

/** As far as a tar file's "ustar". */
const headBytes = 262;

const elsewhere = "not a file of PyTorch's or safetensors; convert it to one of them";

/** How a pointer of Git LFS begins, and what to do about one. */
export const lfsPointer = /^\s*version https:\/\/(git-lfs|hawser)\.github\.com\/spec/;
export const lfsAdvice =
  "this is a Git LFS pointer, not the file that it stands for; " +
  "run `git lfs pull` in its repository, or download the file itself";

/** Files that people take for checkpoints, or get instead of one: how they begin, and what to do about it. */
const otherFiles: readonly (readonly [RegExp | string, string])[] = [
  [lfsPointer, lfsAdvice],
  [
    /^(\xef\xbb\xbf)?\s*<[!?a-z]/i,
    "this is a web page, not a checkpoint: the download was answered with it; " +
      "read it, log in where it asks to, and fetch the file again",
  ],
  [
    /^(\xef\xbb\xbf)?\s*[{[]/,
    "this is JSON text, not a checkpoint; what a download answers with an error looks so",
  ],
  ["\x1f\x8b", "this is packed by gzip; unpack it first (gunzip, or tar xzf)"],
  ["BZh", "this is packed by bzip2; unpack it first"],
  ["\xfd7zXZ", "this is packed by xz; unpack it first"],
  ["\x28\xb5\x2f\xfd", "this is packed by zstd; unpack it first"],
  ["7z\xbc\xaf", "this is an archive; unpack it first"],
  ["Rar!", "this is an archive; unpack it first"],
  ["\x89HDF", `this is HDF5, as Keras writes it, ${elsewhere}`],
  ["GGUF", `this is GGUF, ${elsewhere}`],
  ["\x93NUMPY", `this is a single array of numpy's, ${elsewhere}`],
];

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
  const head = await source.read(0, Math.min(source.size, headBytes));
  const text = String.fromCharCode(...head);
  if (text === "") throw new CheckpointError("truncated: the file is empty");
  if (text.startsWith("PK\x03\x04")) return openTorchZip(source);
  // Before all else: a header's length may begin as any other file does. No header has 2^48 bytes.
  if (text[8] === "{" && text.slice(6, 8) === "\0\0") return openSafetensors(source);
  const other = otherFiles.find(([magic]) =>
    typeof magic === "string" ? text.startsWith(magic) : magic.test(text),
  );
  if (other) throw new CheckpointError(other[1]);
  if (text.endsWith("ustar")) {
    throw new CheckpointError(
      "this is a tar file: unpack an archive first; one that PyTorch wrote before 0.1.10, load there and save again",
    );
  }
  if (text.startsWith("\x80")) return openTorchStream(source);
  if (head.length > 64 && head.every((byte) => byte === 0)) {
    throw new CheckpointError(
      "it begins with nothing but zeros, as a download that broke off does: fetch it again",
    );
  }
  // A server's answer may be no more than "Entry not found".
  const words = /^[\t\n\r\x20-\x7e]+$/.test(text) ? `, but text: ${quote(text.slice(0, 60))}` : "";
  if (words === "" && head.length < 9) return openSafetensors(source);
  throw new CheckpointError(`neither safetensors nor a file of torch.save's${words}`);
}
