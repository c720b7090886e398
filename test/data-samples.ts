// Data sets in miniature, each in its own layout, and the real annotation files where this machine has them.
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Files } from "../train/data/types.ts";

/** Annotation files of the data sets themselves, beside the repository. */
const real = fileURLToPath(new URL("../../shared/data/", import.meta.url));

/** The folder of a data set's own annotation files; null where this machine has none. */
export function realFolder(name: string): string | null {
  return existsSync(join(real, name)) ? join(real, name) : null;
}

export type Sample = Record<string, unknown>;
const textOf = (content: unknown) => (typeof content === "string" ? content : JSON.stringify(content));

/** Files in memory: text as it is, anything else as JSON. */
export function memoryFiles(sample: Sample): Files {
  const bytes = new Map(
    Object.entries(sample).map(([path, content]) => [path, new TextEncoder().encode(textOf(content))]),
  );
  return {
    name: "memory",
    async read(path) {
      if (!bytes.has(path)) throw new Error("no such file");
      return bytes.get(path)!;
    },
    async list(folder) {
      const within = folder === "" ? "" : `${folder}/`;
      const names = [...bytes.keys()].filter((path) => path.startsWith(within));
      return [...new Set(names.map((path) => path.slice(within.length).split("/")[0]!))];
    },
    isFolder: (folder) => [...bytes.keys()].some((path) => path.startsWith(`${folder}/`)),
    size: async (path) => bytes.get(path)?.length ?? null,
  };
}

/** Writes a sample to a folder. */
export async function writeSample(root: string, sample: Sample): Promise<void> {
  for (const [path, content] of Object.entries(sample)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), textOf(content));
  }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** CIRR with `count` pictures and queries; of test1 the targets are secret. */
export function cirrSample(split: "train" | "val" | "test1", count = 12): Sample {
  const name = (i: number) => `${split}-${i % count}-0-img1`;
  const queries = range(count).map((i) => {
    const members = [3, 1, 0, 2, 5, 4].map((n) => name(i + n));
    const targets = { target_hard: name(i + 1), target_soft: { [name(i + 1)]: 1, [name(i + 5)]: -1 } };
    const set = { id: i, members, reference_rank: 2 };
    return {
      ...{ pairid: 100 + 7 * i, reference: name(i), caption: `make it number ${i + 1}`, img_set: set },
      ...(split === "test1" ? {} : targets),
    };
  });
  const folder = split === "val" ? "dev" : split;
  return {
    [`captions/cap.rc2.${split}.json`]: queries,
    [`image_splits/split.rc2.${split}.json`]: Object.fromEntries(
      range(count).map((i) => [name(i), `./${folder}/${name(i)}.png`]),
    ),
  };
}

/** FashionIQ; every fourth picture of a category is in no query. */
export function fashioniqSample(
  split: "train" | "val" | "test",
  categories = ["dress", "shirt", "toptee"],
  count = 16,
): Sample {
  const parts = categories.map((category, c) => {
    const id = (i: number) => `B00${category.slice(0, 1).toUpperCase()}${1000 + (i % count)}`;
    const used = range(count).filter((i) => i % 4 !== c);
    const queries = used.map((i, n) => ({
      candidate: id(i),
      ...(split === "test" ? {} : { target: id(used[(n + 1) % used.length]!) }),
      captions: [`is number ${i}.`, `Has ${c} buttons, `],
    }));
    return {
      [`captions/cap.${category}.${split}.json`]: queries,
      [`image_splits/split.${category}.${split}.json`]: range(count).map(id),
    };
  });
  return Object.assign({}, ...parts);
}

/** LaSCo: the corpus of val is a list, that of train an object. */
export function lascoSample(split: "train" | "val", count = 12): Sample {
  const path = (i: number) => `${split}2014/COCO_${split}2014_${`${i}`.padStart(12, "0")}.jpg`;
  const picture = (i: number) => [10 + (i % count), path(10 + (i % count))];
  const queries = range(count).map((i) => ({
    qid: 5000 + i,
    "query-image": picture(i),
    "query-text": `There are ${i} dogs`,
    "target-image": picture(i + 3),
  }));
  const corpus = range(count).map((i) => ({ id: 10 + i, path: `${split}/${path(10 + i)}` }));
  return {
    [`lasco_${split}.json`]: queries,
    [`lasco_${split}_corpus.json`]:
      split === "val" ? corpus : Object.fromEntries(corpus.map(({ id, path }) => [id, path])),
  };
}

/** CIRCO: from one to four right answers. */
export function circoSample(split: "val" | "test", count = 60, queries = 9): Sample {
  const id = (i: number) => 100 + 3 * (i % count);
  const annotations = range(queries).map((i) => {
    const answers = range(1 + (i % 4)).map((n) => id(i + 1 + 2 * n));
    const right = { target_img_id: answers[0], gt_img_ids: answers, semantic_aspects: ["cardinality"] };
    return {
      ...{ id: i, reference_img_id: id(i), shared_concept: "a dog", relative_caption: `has ${i} friends` },
      ...(split === "val" ? right : {}),
    };
  });
  const images = range(count).map((i) => ({ id: id(i), file_name: `${`${id(i)}`.padStart(12, "0")}.jpg` }));
  return {
    [`annotations/${split}.json`]: annotations,
    "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json": { info: {}, images },
  };
}

/** A folder of one's own: paths beside the lines, two splits, pictures that are in no line. */
export function jsonlSample(count = 8): Sample {
  const path = (i: number) => `pictures/${i % count}.png`;
  const lines = range(count).map((i) => ({
    ...{
      reference: path(i),
      text: `number ${i + 1}`,
      target: i % 2 ? path(i + 1) : [path(i + 1), path(i + 2)],
    },
    ...(i < 3 ? { id: `mine-${i}`, split: "val" } : {}),
  }));
  const pictures = range(count + 2).map((i) => [`pictures/${i}.png`, "not read here"]);
  return {
    "train.jsonl": `${lines.map((line) => JSON.stringify(line)).join("\n")}\n\n`,
    ...Object.fromEntries(pictures),
    "pictures/readme.txt": "no picture",
  };
}
