// Picture files as people give them: decoded for the model, a small copy to show, and what to say of them.
import { type Preparation, preparePicture } from "../../../model/picture.ts";
import { decodeBlob } from "../../../train/data/bitmaps.ts";
import type { Pictures } from "../../../train/data/types.ts";

const thumbSide = 128;
/** Drawings, and what phones and scanners make: pictures to people, which few browsers decode in a worker. */
const undecoded = /\.(svgz?|hei[cf]|tiff?|jxl)$/i;

/** uint8 [size, size, 3]. Throws, naming the file, where it is no picture or too large. */
export async function readPicture(
  file: Blob,
  name: string,
  { size, ...preparation }: Preparation,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return Uint8Array.from(await decodeBlob(file, size, preparation));
  } catch (cause) {
    const why = cause instanceof Error || cause instanceof DOMException ? cause.message : `${cause}`;
    const advice = undecoded.test(name)
      ? " Browsers read PNG, JPEG and WebP: give a copy in one of these."
      : "";
    throw new Error(`${name} can't be used as a picture: ${why.replace(/\.$/, "")}.${advice}`, { cause });
  }
}

/** A small copy as people would see it, turned as the file says. */
export async function thumbOf(file: Blob): Promise<Blob> {
  const whole = await createImageBitmap(file);
  try {
    const scale = Math.min(1, thumbSide / Math.max(whole.width, whole.height));
    const [width, height] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = new OffscreenCanvas(width!, height!);
    canvas.getContext("2d")!.drawImage(whole, 0, 0, width!, height!);
    return await canvas.convertToBlob({ type: "image/png" });
  } finally {
    whole.close();
  }
}

/** Whether a file moves, where the browser can tell. */
export async function isAnimated(file: Blob): Promise<boolean> {
  if (typeof ImageDecoder === "undefined" || file.type === "") return false;
  if (!(await ImageDecoder.isTypeSupported(file.type))) return false;
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: file.type });
  try {
    await decoder.tracks.ready;
    return (decoder.tracks.selectedTrack?.frameCount ?? 1) > 1;
  } catch {
    return false;
  } finally {
    decoder.close();
  }
}

/** Pictures at the size of another model. */
export function resized(pictures: Pictures, preparation: Preparation): Pictures {
  const { size } = preparation;
  if (size === pictures.size) return pictures;
  const bytes = 3 * pictures.size ** 2;
  return {
    ...{ count: pictures.count, names: pictures.names, size },
    async read(ids) {
      const given = await pictures.read(ids);
      const out = new Uint8Array(ids.length * 3 * size * size);
      for (let i = 0; i < ids.length; i++) {
        const picture = given.subarray(i * bytes, (i + 1) * bytes);
        out.set(preparePicture(picture, pictures.size, pictures.size, preparation), i * 3 * size * size);
      }
      return out;
    },
  };
}
