// Data sets in miniature with pictures: real annotation layouts, emoji as JPEG files of odd sizes in their places.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { folderFiles } from "../train/data/node.ts";
import { readSplit, splitsOf } from "../train/data/read.ts";
import type { FolderData } from "../train/data/types.ts";
import { type Sample, writeSample } from "./data-samples.ts";

const emojiFolder = join(
  dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json")),
  "img/google/64",
);

/** Writes a data set with a picture for every path that its splits name. Returns the paths, relative to the folder. */
export async function writeMiniature(data: FolderData, root: string, sample: Sample): Promise<string[]> {
  await writeSample(root, sample);
  const files = (await readdir(emojiFolder)).filter((name) => name.endsWith(".png")).toSorted();
  const paths = new Set<string>();
  for (const name of await splitsOf(data, folderFiles(root))) {
    const { pictures } = await readSplit(data, folderFiles(root), name);
    for (const { path } of pictures) paths.add(path);
  }
  for (const [i, path] of [...paths].entries()) {
    const picture = sharp(join(emojiFolder, files[(i * 37) % files.length]!))
      .resize(41 + (i % 9), 33 + (i % 5), { fit: "fill" })
      .flatten({ background: "white" });
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), await picture.jpeg().toBuffer());
  }
  return [...paths];
}
