// Picture files become RGB bytes here, in Node, by sharp. sharp is an optional peer of the package, so it is
// imported only when a file is first decoded.
import { flattenAlpha, resizeBicubic } from "../model/picture.ts";

/** A decoded picture: uint8 [height, width, 3], RGB on white. */
export interface Picture {
  rgb: Uint8Array;
  width: number;
  height: number;
}

let sharpModule: Promise<typeof import("sharp").default> | undefined;

function loadSharp(): Promise<typeof import("sharp").default> {
  sharpModule ??= import("sharp").then(
    (module) => module.default,
    (cause) => {
      throw new Error("decoding picture files needs the package sharp: npm install sharp", { cause });
    },
  );
  return sharpModule;
}

/**
 * Decodes one picture file (PNG, JPEG, WebP, ...) to RGB on white, at its own size. EXIF rotation is not
 * applied: Pillow, with which the published models were trained, doesn't either.
 * @throws when sharp is missing, and when the file is missing, unreadable or empty; the message names the file
 */
export async function decodePicture(path: string): Promise<Picture> {
  const sharp = await loadSharp();
  let decoded: { data: Buffer; info: { width: number; height: number; channels: number } };
  try {
    decoded = await sharp(path)
      .toColourspace("srgb")
      .ensureAlpha()
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
  } catch (cause) {
    throw new Error(`cannot decode picture ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  const { width, height } = decoded.info;
  try {
    return { rgb: flattenAlpha(decoded.data, width, height), width, height };
  } catch (cause) {
    throw new Error(`cannot use picture ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

/**
 * Decodes one picture file and squashes it to size x size.
 * @returns uint8 [size, size, 3], RGB
 * @throws as decodePicture
 */
export async function decodeSquare(path: string, size: number): Promise<Uint8Array> {
  const { rgb, width, height } = await decodePicture(path);
  return resizeBicubic(rgb, width, height, size);
}
