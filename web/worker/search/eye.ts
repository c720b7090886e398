// What sees pictures: a model, or raw pixels where there is no WebGPU. Files and references are made ready for either alike.
import type { Engine } from "../../../engine/index.ts";
import type { Preparation } from "../../../model/picture.ts";
import { inMemory } from "../../../train/data/memory.ts";
import { embedPictures } from "../../../train/eval/embed.ts";
import { shadesOf, shadesWidth } from "../../../train/eval/pixels.ts";
import { fingerprint } from "../../gallery.ts";
import type { PictureFile } from "../../messages.ts";
import type { LoadedModel } from "../model.ts";
import type { Print } from "./own.ts";
import { readPicture } from "./pictures.ts";

/** A picture as it is seen: uint8 [size, size, 3]. */
interface Ready {
  name: string;
  pixels: Uint8Array<ArrayBuffer>;
}

export interface Eye {
  /** Names it among those that pictures have prints of. */
  readonly key: string;
  readonly preparation: Preparation;
  /** Numbers of a row. */
  readonly width: number;
  printsOf(pictures: readonly Ready[]): Promise<Print[]>;
}

const rawSize = 32;
export const rawEye: Eye = {
  key: "pixels",
  preparation: { size: rawSize, fit: "squash", zoom: 1, filter: "bicubic" },
  width: shadesWidth,
  printsOf: async (pictures) => pictures.map(({ pixels }) => ({ print: "", row: shadesOf(pixels, rawSize) })),
};

export function eyeOf(engine: Engine, { key, model, config }: LoadedModel): Eye {
  const { imageSize: size, fit, zoom, filter } = config.model.vision;
  const width = config.model.projection;
  const bytes = 3 * size * size;
  return {
    ...{ key, preparation: { size, fit, zoom, filter }, width },
    async printsOf(pictures) {
      const pixels = new Uint8Array(pictures.length * bytes);
      for (const [i, picture] of pictures.entries()) pixels.set(picture.pixels, i * bytes);
      const names = pictures.map(({ name }) => name);
      const rows = await embedPictures(engine, model, inMemory({ size, names, pixels }), [...names.keys()]);
      const printOf = async ({ pixels }: Ready, i: number) => ({
        print: await fingerprint(pixels),
        row: rows.slice(i * width, (i + 1) * width),
      });
      return Promise.all(pictures.map(printOf));
    },
  };
}

/** Decodes files and has them seen; an error stands where a file is no picture. Throws what the model throws. */
export async function seeFiles(eye: Eye, files: readonly PictureFile[]): Promise<(Print | Error)[]> {
  const decoded: (Ready | Error)[] = [];
  for (const { file, name } of files)
    decoded.push(
      await readPicture(file, name, eye.preparation).then(
        (pixels) => ({ name, pixels }),
        (error: Error) => error,
      ),
    );
  const prints = await eye.printsOf(decoded.filter((one): one is Ready => !(one instanceof Error)));
  return decoded.map((one) => (one instanceof Error ? one : prints.shift()!));
}
