// Picture files become RGB bytes here, in a browser, by its own decoders; decode.ts does the same in Node. What comes
// after decoding is one routine for both, model/picture.ts.
import { flattenAlpha, type Preparation, preparePicture, resizeBicubic } from "../../model/picture.ts";

/** Pixels and bytes of the largest picture that is decoded: what it takes in memory, a page may not have. */
const mostPixels = 50e6;
const mostBytes = 100e6;

/**
 * Decodes one picture and makes it a square of `size`, squashed unless told otherwise, as `decodeSquare` of decode.ts does:
 * EXIF rotation and colour profiles are not applied, of an animation the first frame counts.
 * @returns uint8 [size, size, 3], RGB on white
 * @throws where the browser can't decode it, and where it has over 50 million pixels or 100 MB
 */
export async function decodeBlob(
  blob: Blob,
  size: number,
  preparation?: Omit<Preparation, "size">,
): Promise<Uint8Array> {
  if (blob.size > mostBytes)
    throw new Error(`the file has ${Math.round(blob.size / 1e6)} MB; the most is ${mostBytes / 1e6}`);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const bitmap = await createImageBitmap(withoutExif(bytes), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  try {
    const { width, height } = bitmap;
    if (width * height > mostPixels) {
      throw new Error(`the picture has ${width} x ${height} pixels; the most is ${mostPixels / 1e6} million`);
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error(`no canvas for a picture of ${width} x ${height} pixels`);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const rgb = flattenAlpha(data, width, height);
    return preparation
      ? preparePicture(rgb, width, height, { ...preparation, size })
      : resizeBicubic(rgb, width, height, size);
  } finally {
    bitmap.close();
  }
}

/**
 * A JPEG or PNG without its EXIF: `createImageBitmap` turns a picture as that says, and has no option against it. That of
 * WebP and AVIF is not heeded by browsers.
 */
function withoutExif(bytes: Uint8Array<ArrayBuffer>): Blob {
  const isPng = bytes[0] === 0x89 && bytes[1] === 0x50;
  const isJpeg = bytes[0] === 0xff && bytes[1] === 0xd8;
  return new Blob(isPng ? pngWithoutExif(bytes) : isJpeg ? jpegWithoutExif(bytes) : [bytes]);
}

/** Chunks are length, type, contents, checksum, after a signature of 8 bytes. */
function pngWithoutExif(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const exif = 0x65584966;
  const kept = [bytes.subarray(0, 8)];
  let at = 8;
  while (at + 12 <= bytes.length) {
    const end = at + 12 + view.getUint32(at);
    if (view.getUint32(at + 4) !== exif) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return [...kept, bytes.subarray(at)];
}

function jpegWithoutExif(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const [app1, startOfScan] = [0xe1, 0xda];
  const kept = [bytes.subarray(0, 2)];
  let at = 2;
  while (bytes[at] === 0xff && bytes[at + 1] !== 0xff && bytes[at + 1] !== startOfScan) {
    const end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (bytes[at + 1] !== app1) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return [...kept, bytes.subarray(at)];
}
