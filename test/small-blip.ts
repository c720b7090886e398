// A BLIP small enough for seconds, as a folder of Hugging Face's, with whatever shall be wrong with it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../model/safetensors.ts";
import { namedValues } from "./checkpoint-files.ts";

/** Shapes by name, Hugging Face's. */
export const shapes: Readonly<Record<string, readonly number[]>> = JSON.parse(
  readFileSync(new URL("fixtures/parity.json", import.meta.url), "utf8"),
).blip.tiny.shapes;

/** 23 tokens for 24 rows: the file knows [DEC], as some do, and [ENC] is BLIP's own. */
export const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", ..."abcdefghijklmnopq"];
export const wordTable = "text_encoder.embeddings.word_embeddings.weight";

export const config = JSON.stringify({
  model_type: "blip",
  vision_config: { num_attention_heads: 2 },
  text_config: { num_attention_heads: 3 },
});

/** What lies beside the weights. */
export const beside: Files = { "config.json": config, "vocab.txt": `${words.join("\n")}\n` };

export const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

export function valuesOf(name: string, shape = shapes[name]!): Float32Array<ArrayBuffer> {
  return namedValues(name, sizeOf(shape), 0.3);
}

/** The weights as a safetensors file, without names that match `leave`. `change` sets shapes, `alter` may set values. */
export function safetensors({
  leave = /^$/,
  change = {},
  alter = () => {},
}: {
  leave?: RegExp;
  change?: Readonly<Record<string, readonly number[]>>;
  alter?: (name: string, values: Float32Array) => void;
} = {}): Uint8Array {
  const kept = Object.entries({ ...shapes, ...change }).filter(([name]) => !leave.test(name));
  const tensors = kept.map(([name, shape]) => {
    const data = valuesOf(name, shape);
    alter(name, data);
    return [name, { dtype: "F32" as const, shape, data }] as const;
  });
  return writeSafetensors(new Map(tensors));
}

export type Files = Record<string, string | Uint8Array>;

/** Makes folders with files within one. */
export function folders(within: string): (files: Files) => string {
  let count = 0;
  return (files) => {
    const path = join(within, `${count++}`);
    mkdirSync(path);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
    return path;
  };
}
