// Emoji pictures in one packed uint8 file, decoded once: decoding 11,000 files takes far longer than reading
// one. The file names what it was made from, and is rebuilt when that or its bytes don't hold.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resizeBicubic } from "../../../model/picture.ts";
import { decodePicture, decodeSquare } from "../decode.ts";
import { inMemory, type PictureSet } from "../memory.ts";
import { type Cell, type Source, sourceVersions } from "./sources.ts";

// A file is: 4 bytes magic, uint32 header length, header (JSON), pixels.
const MAGIC = "CEMO";
// sharp decodes in libuv's pool of 4 threads; more in flight only keeps that pool fed.
const IN_FLIGHT = 8;
const CODE = ["../../../model/picture.ts", "../decode.ts", "./cache.ts", "./sources.ts"];

interface Header {
  key: string;
  names: readonly string[];
  /** Of the pixels. */
  sha256: string;
}

function sha256(...parts: (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Changes when the size, the packages, the list of pictures or the code that makes the pixels change. */
function cacheKey(names: string[], size: number): string {
  const code = CODE.map((path) => readFileSync(new URL(path, import.meta.url)));
  return sha256(`${size}\n`, sourceVersions().join("\n"), names.join("\n"), ...code);
}

/** The pictures in `file`, or nothing when it is missing, of another key, cut short or corrupt. */
function readCache(file: string, key: string, size: number): PictureSet | undefined {
  try {
    const bytes = readFileSync(file);
    if (bytes.toString("latin1", 0, 4) !== MAGIC) return undefined;
    const start = 8 + bytes.readUInt32LE(4);
    const header = JSON.parse(bytes.toString("utf8", 8, start)) as Header;
    const pixels = new Uint8Array(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
    if (header.key !== key || header.sha256 !== sha256(pixels)) return undefined;
    return inMemory({ size, names: header.names, pixels });
  } catch {
    return undefined; // a cache that can't be read is the same as none
  }
}

function writeCache(file: string, key: string, { names, pixels }: PictureSet): void {
  const header = Buffer.from(JSON.stringify({ key, names, sha256: sha256(pixels) } satisfies Header));
  const prefix = Buffer.alloc(8);
  prefix.write(MAGIC, "latin1");
  prefix.writeUInt32LE(header.length, 4);
  // Under its own name first: a crash or a second process must never leave half a file at the real one.
  const unfinished = `${file}.${process.pid}.tmp`;
  writeFileSync(unfinished, Buffer.concat([prefix, header, pixels]));
  renameSync(unfinished, file);
}

async function decodeAll(
  sources: Source[],
  names: string[],
  size: number,
  onProgress?: (done: number, total: number) => void,
): Promise<PictureSet> {
  const bytes = size * size * 3;
  const pixels = new Uint8Array(sources.length * bytes);
  let done = 0;
  const put = (i: number, picture: Uint8Array) => {
    pixels.set(picture, i * bytes);
    onProgress?.(++done, sources.length);
  };
  const sheets = new Map<string, number[]>();
  const files: number[] = [];
  sources.forEach(({ cell }, i) => {
    if (!cell) files.push(i);
    else if (sheets.has(cell.sheet)) sheets.get(cell.sheet)!.push(i);
    else sheets.set(cell.sheet, [i]);
  });
  await Promise.all(
    [...sheets].map(async ([path, ids]) => {
      const { rgb, width } = await decodePicture(path);
      for (const i of ids) {
        const cell = sources[i].cell!;
        put(i, resizeBicubic(cut(rgb, width, cell), cell.side, cell.side, size));
      }
    }),
  );
  const worker = async () => {
    for (let i = files.pop(); i !== undefined; i = files.pop())
      put(i, await decodeSquare(sources[i].path, size));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return inMemory({ size, names, pixels });
}

/** uint8 [side, side, 3], a cell of a sheet that is `width` pixels wide. */
function cut(rgb: Uint8Array, width: number, { x, y, side }: Cell): Uint8Array {
  const picture = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const from = ((y + row) * width + x) * 3;
    picture.set(rgb.subarray(from, from + side * 3), row * side * 3);
  }
  return picture;
}

/**
 * The pixels of all sources, from the cache where it is whole, else decoded and cached.
 * @param size side in pixels
 * @param folder where cache files lie; made when missing
 * @param onProgress called after each decoded picture
 * @throws when a picture can't be decoded or the folder can't be written
 */
export async function loadPictures(
  sources: Source[],
  size: number,
  folder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<PictureSet> {
  const names = sources.map(({ vendor, code }) => `${vendor}/${code}`);
  const key = cacheKey(names, size);
  const file = join(folder, `emoji-${size}-${key.slice(0, 12)}.bin`);
  const cached = readCache(file, key, size);
  if (cached) return cached;
  const pictures = await decodeAll(sources, names, size, onProgress);
  mkdirSync(folder, { recursive: true });
  writeCache(file, key, pictures);
  return pictures;
}
