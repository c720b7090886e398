// A run that has ended, small enough for seconds: a model as it is before training, of pictures of 16 pixels.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../engine/index.ts";
import { Case } from "../model/case.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import { streamTensors } from "../train/run/checkpoint.ts";
import { folderStore } from "../train/run/disk.ts";

const digits = [..."0123456789"];
const words = ["make", "it", "number", "is", "has", "buttons", ...digits, ...digits.map((one) => `##${one}`)];
/** Knows the words of the miniatures' texts. */
export const tokenizer = new Tokenizer([...specialTokens, ...words]);
/** Numbers in an embedding. */
export const width = 16;

/** Writes the folder of a run on CIRR, of which `root` is the folder. */
export async function writeRun(
  dir: string,
  { seed, root, fusion = "early" }: { seed: number; root: string; fusion?: string },
): Promise<void> {
  const model = {
    vision: { imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 24 },
    ...{ projection: width, fusion },
  };
  const training = { epochs: 1, triplets: 5, warmup: 1 };
  const config = parseConfig({ name: "small", seed, model, data: { kind: "cirr", root }, training }, "small");
  const engine = await Engine.create();
  const made = new Case(engine, config.model, tokenizer.size);
  made.parameters.initialize(seed);
  mkdirSync(dir, { recursive: true });
  await streamTensors(folderStore(dir), "model.safetensors", made.parameters.entries());
  engine.dispose();
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
}
