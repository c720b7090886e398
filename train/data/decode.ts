// Picture files become RGB bytes here, in Node, by sharp. The numbers in the file are the colours, as with Pillow's
// `convert("RGB")`: colour profiles are not applied and pictures not turned as EXIF says, for the published models were
// trained without either; transparency is laid on white, of 16 bits the upper 8 count, of an animation the first frame
// (docs/checkpoints.md). bitmaps.ts keeps to the same in a page. sharp is an optional peer of the package, so it is
// imported only when a file is first decoded.
import { flattenAlpha, type Preparation, preparePicture } from "../../model/picture.ts";

/** A decoded picture: uint8 [height, width, 3], RGB on white. */
export interface Picture {
  rgb: Uint8Array;
  width: number;
  height: number;
}

let sharpModule: Promise<typeof import("sharp").default> | undefined;

function loadSharp(): Promise<typeof import("sharp").default> {
  sharpModule ??= import("sharp").then(
    ({ default: sharp }) => {
      // It would go on showing a file that has changed since, and no picture is asked for twice.
      sharp.cache(false);
      return sharp;
    },
    (cause) => {
      throw new Error("decoding picture files needs the package sharp: npm install sharp", { cause });
    },
  );
  return sharpModule;
}

/** CMYK bytes as RGB, by Pillow's formula (src/libImaging/Convert.c, cmyk2rgb); browsers have the same. */
function rgbOfCmyk(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - cmyk[from + 3];
    for (let c = 0; c < 3; c++) rgb[to++] = light - Math.round((cmyk[from + c] * light) / 255);
  }
  return rgb;
}

/** The first line of what libvips says: what follows depends on what its threads met before. */
function undecodable(path: string, cause: unknown): Error {
  const [why] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  return new Error(`cannot decode picture ${path}: ${why}`, { cause });
}

/**
 * Decodes one picture file (PNG, JPEG, WebP, ...) to RGB on white, at its own size.
 * @throws when sharp is missing, and when the file is missing, unreadable or empty; the message names the file
 */
export async function decodePicture(path: string): Promise<Picture> {
  const sharp = await loadSharp();
  let decoded: { data: Buffer; info: { width: number; height: number; channels: number } };
  let isCmyk: boolean;
  try {
    const file = sharp(path, { ignoreIcc: true });
    isCmyk = (await file.metadata()).space === "cmyk";
    const pixels = isCmyk
      ? file.pipelineColourspace("cmyk").toColourspace("cmyk")
      : file.toColourspace("srgb");
    decoded = await pixels.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  } catch (cause) {
    throw undecodable(path, cause);
  }
  const { width, height, channels } = decoded.info;
  try {
    const hasAlpha = !isCmyk && channels !== 3;
    const flat = () => (hasAlpha ? flattenAlpha(decoded.data, width, height) : decoded.data);
    return { rgb: isCmyk ? rgbOfCmyk(decoded.data) : flat(), width, height };
  } catch (cause) {
    throw new Error(`cannot use picture ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

/**
 * Decodes one picture file for its faults alone, in half of the time.
 * @throws as decodePicture
 */
export async function tryPicture(path: string): Promise<void> {
  const sharp = await loadSharp();
  try {
    await sharp(path, { ignoreIcc: true }).raw({ depth: "uchar" }).toBuffer();
  } catch (cause) {
    throw undecodable(path, cause);
  }
}

/** How pictures become squares where no model says it. */
export const squash = { fit: "squash", zoom: 1, filter: "bicubic" } as const;

/**
 * Decodes one picture file and makes it a square of `size`, squashed unless told otherwise.
 * @returns uint8 [size, size, 3], RGB
 * @throws as decodePicture
 */
export async function decodeSquare(
  path: string,
  size: number,
  preparation: Omit<Preparation, "size"> = squash,
): Promise<Uint8Array> {
  const { rgb, width, height } = await decodePicture(path);
  return preparePicture(rgb, width, height, { ...preparation, size });
}
