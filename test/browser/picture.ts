// Pictures in the browser: the shared resize on raw pixels, and whole files through the browser's own decoders.
import { resizeBicubic } from "../../model/picture.ts";
import { decodeBlob } from "../../train/data/bitmaps.ts";
import type { DecodedCase, ResizedCase } from "../picture-cases.ts";

function resize({ rgb, width, height, size }: ResizedCase): number[] {
  return [...resizeBicubic(Uint8Array.from(rgb), width, height, size)];
}

async function decode({ file, size }: DecodedCase): Promise<number[]> {
  const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
  return [...(await decodeBlob(new Blob([bytes]), size))];
}

/** What the test calls from outside through `page.evaluate`. */
const picturePage = { resize, decode };
export type PicturePage = typeof picturePage;
Object.assign(globalThis, { picturePage });
