// Writes the gallery: every picture of Emoji-CoIR at the size that the model sees, lossless, many to a sheet, the embeddings
// of a run, and what makes the pictures a data set to train on. What is made is kept under .cache by all that it is made of.
import { createHash } from "node:crypto";
import { cp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { type EmojiDataset, openEmoji } from "../../train/data/emoji/index.ts";
import { readLabels, readSubcategories, sourceVersions } from "../../train/data/emoji/sources.ts";
import { embedPictures } from "../../train/eval/embed.ts";
import { makeFolder } from "../../train/make-folder.ts";
import { cacheFolder } from "../../train/place.ts";
import { hashOf } from "../../train/run/given.ts";
import { openModel } from "../../train/run/open.ts";
import { type Example, fingerprint, type GalleryFile, type PictureSource, sheetName } from "../gallery.ts";
import { type TrainingFile, trainingName } from "../training.ts";

const columns = 16;
const perSheet = columns * columns;
/** Code that decides what comes out. */
const code = ["./gallery.ts", "../gallery.ts", "../training.ts"];

/** Whose pictures the packages carry, and on what terms. */
const credits: Record<string, Omit<PictureSource, "package" | "version">> = {
  "emoji-datasource-google": {
    what: "Noto Emoji, Google",
    license: "Apache License 2.0",
    url: "https://github.com/googlefonts/noto-emoji",
  },
  "emoji-datasource-twitter": {
    what: "Twemoji, Twitter and other contributors",
    license: "CC BY 4.0",
    url: "https://github.com/jdecked/twemoji",
  },
  "@lobehub/fluent-emoji-3d": {
    what: "Fluent Emoji, Microsoft",
    license: "MIT",
    url: "https://github.com/microsoft/fluentui-emoji",
  },
};

/** Writes the gallery of a run into a folder. */
export async function writeGallery(run: string, out: string, tell: (line: string) => void): Promise<void> {
  const weights = await hashOf(join(run, "model.safetensors"));
  const texts = await Promise.all(code.map((path) => readFile(new URL(path, import.meta.url))));
  const hash = createHash("sha256").update(`${weights}\n${sourceVersions().join("\n")}\n`);
  for (const text of texts) hash.update(text);
  const kept = join(cacheFolder, `gallery-${hash.digest("hex").slice(0, 12)}`);
  if (!(await stat(kept).catch(() => null))) {
    const draft = `${kept}.${process.pid}.draft`;
    await makeFolder(draft);
    try {
      await makeGallery(run, weights, draft, tell);
      // Another process may have been faster.
      await rename(draft, kept).catch(() => {});
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }
  await cp(kept, out, { recursive: true });
}

async function makeGallery(
  run: string,
  weights: string,
  out: string,
  tell: (line: string) => void,
): Promise<void> {
  const { engine, model, config } = await openModel(run);
  const { imageSize: size, fit, zoom, filter } = config.model.vision;
  tell("reading the gallery's pictures");
  const emoji = await openEmoji({ size, preparation: { fit, zoom, filter } });
  const data = await emoji.whole();
  const { pictures } = data;
  tell(`embedding ${pictures.count} pictures on ${engine.adapterName}`);
  const all = Array.from({ length: pictures.count }, (_, id) => id);
  const embeddings = await embedPictures(engine, model, pictures, all);
  engine.dispose();
  await writeFile(join(out, "embeddings.bin"), embeddings);

  const sheets = Math.ceil(pictures.count / perSheet);
  const side = columns * size;
  const prints: string[] = [];
  for (let sheet = 0; sheet < sheets; sheet++) {
    const pixels = new Uint8Array(side * side * 3);
    const ids = all.slice(sheet * perSheet, (sheet + 1) * perSheet);
    const read = await pictures.read(ids);
    for (const i of ids.keys()) {
      const picture = Uint8Array.from(read.subarray(i * size * size * 3, (i + 1) * size * size * 3));
      prints.push(await fingerprint(picture));
      const [left, top] = [(i % columns) * size, Math.floor(i / columns) * size];
      for (let y = 0; y < size; y++)
        pixels.set(picture.subarray(y * size * 3, (y + 1) * size * 3), ((top + y) * side + left) * 3);
    }
    const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
    await image.webp({ lossless: true, effort: 2 }).toFile(join(out, sheetName(sheet)));
  }

  const labels = readLabels();
  const file: GalleryFile = {
    ...{ weights, size, columns, perSheet, sheets, names: [...pictures.names] },
    examples: examplesOf(data),
    phrasings: [...new Set(data.edits.texts.map((texts) => JSON.stringify(texts)))].map((key) =>
      JSON.parse(key),
    ),
    labels: data.items.map((item) => labelOf(item, labels)),
    prints,
    sources: sourceVersions().map((spelling) => {
      const at = spelling.lastIndexOf("@");
      const name = spelling.slice(0, at);
      return { ...credits[name]!, package: name, version: spelling.slice(at + 1) };
    }),
  };
  await writeFile(join(out, "gallery.json"), JSON.stringify(file));
  const training: TrainingFile = {
    preparation: { size, fit, zoom, filter },
    classes: [...emoji.training.classes],
    labels: [...labels],
    subcategories: [...readSubcategories()],
  };
  await writeFile(join(out, trainingName), JSON.stringify(training));
  await emoji.close();
}

/** Words for one picture: the emoji's English name, its skin, who drew it. */
function labelOf(
  { code, concept, vendor, attributes }: EmojiDataset["items"][number],
  labels: Map<string, string>,
) {
  const plain = code.split("-").filter((point) => !/^1f3f[b-f]$/.test(point));
  const name = labels.get(code) ?? labels.get(plain.join("-")) ?? concept;
  const { tone } = attributes;
  return `${name}${tone && tone !== "default" ? `, ${tone} skin` : ""}, by ${vendor}`;
}

/** A question of every kind of change with its answers, from the held-out splits. */
function examplesOf({ splits }: EmojiDataset): Example[] {
  const kinds = new Set<string>();
  const examples: Example[] = [];
  // What the model is best at comes first.
  for (const name of ["combinations", "concepts", "vendor"]) {
    const { queries } = splits[name]!;
    for (const kind of [...new Set(queries.map(({ kind }) => kind!))].sort()) {
      if (kinds.has(kind)) continue;
      kinds.add(kind);
      const own = queries.filter((query) => query.kind === kind);
      const { reference, right, texts } = own[own.length >> 1]!;
      examples.push({ reference, text: texts[0]!, right: [...right] });
    }
  }
  return examples;
}
