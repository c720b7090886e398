// Embeddings of pictures and of queries by a model, in batches that the device has room for.
import type { Engine, Tensor } from "../../engine/index.ts";
import { packSource } from "../../kernels/attention/attention.ts";
import { packBytes } from "../../kernels/patch/patch.ts";
import type { Case } from "../../model/case.ts";
import type { ModelConfig } from "../../model/config.ts";
import { firstNotFinite } from "../../model/finite.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { imageTokens } from "../../model/vit.ts";
import type { Pictures } from "../data/types.ts";
import { normalizePictures, packTexts, upload, words } from "../inputs.ts";

/** Pictures, and queries, that are encoded at a time, where the device has room for as many. */
const pictureBatch = 128;
const queryBatch = 64;

/** How many pictures can be encoded at a time, `most` at most: their widest activations lie in one buffer each. */
export function batchOf({ engine, config }: Case, most: number): number {
  const { width, mlpRatio, imageSize } = config.vision;
  const widest = Math.max(imageTokens(config.vision) * width * Math.max(3, mlpRatio), 3 * imageSize ** 2);
  return Math.max(1, Math.min(most, Math.floor(engine.largestStorage / (4 * widest))));
}

/** An embedding came out NaN or infinite, so that nothing can be said of it or ranked by it. */
export class NotFiniteError extends Error {
  override name = "NotFiniteError";
}

/**
 * Throws NotFiniteError, naming the first of the embeddings that is not finite.
 * @param rows row-major [embeddings, width]
 * @param nameOf what the i-th is of
 */
export function requireFinite(
  rows: Float32Array,
  width: number,
  { parameters }: Case,
  nameOf: (i: number) => string,
): void {
  const first = firstNotFinite(rows);
  if (first < 0) return;
  const why =
    parameters.precision === "f16"
      ? "numbers of the model pass 65504, the largest of f16. In f32 it works: --precision f32."
      : "numbers of the model pass what f32 holds.";
  throw new NotFiniteError(`The embedding of ${nameOf(Math.floor(first / width))} is not finite: ${why}`);
}

/** Embeddings of pictures as targets, row-major [ids, projection]. Throws NotFiniteError. */
export async function embedPictures(
  engine: Engine,
  model: Case,
  pictures: Pictures,
  ids: ArrayLike<number>,
  onProgress: (done: number) => void = () => {},
): Promise<Float32Array> {
  const width = model.config.projection;
  const all = new Float32Array(ids.length * width);
  const batch = batchOf(model, pictureBatch);
  for (let from = 0; from < ids.length; from += batch) {
    const part = Array.prototype.slice.call(ids, from, from + batch) as number[];
    const pixels = await pictures.read(part);
    const rows = engine.inference(() =>
      model.embedTargets(encodePictures(engine, model, pixels, part.length)),
    );
    const embeddings = (await rows.read()) as Float32Array;
    rows.dispose();
    requireFinite(embeddings, width, model, (i) => pictures.names[part[i]!]!);
    all.set(embeddings, from * width);
    onProgress(from + part.length);
  }
  return all;
}

/** @param pixels uint8 [count, size, size, 3] */
function encodePictures(engine: Engine, model: Case, pixels: Uint8Array, count: number): Tensor {
  const { vision } = model.config;
  const { packed } = upload(engine, { packed: words(packBytes(pixels)) });
  return model.encodeImages(
    normalizePictures(packed, count, vision.imageSize, vision, model.parameters.precision),
  );
}

/** Embeddings of queries, row-major [queries, projection]. Throws NotFiniteError. */
export async function embedQueries(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  pictures: Pictures,
  queries: readonly { reference: number; text: string }[],
  onProgress: (done: number) => void = () => {},
): Promise<Float32Array> {
  const width = model.config.projection;
  const all = new Float32Array(queries.length * width);
  const batch = batchOf(model, queryBatch);
  for (let from = 0; from < queries.length; from += batch) {
    const part = queries.slice(from, from + batch);
    const references = [...new Set(part.map((query) => query.reference))];
    const row = new Map(references.map((id, i) => [id, i]));
    const source = part.map((query) => row.get(query.reference)!);
    const texts = part.map((query) => query.text);
    const pixels = await pictures.read(references);
    const rows = engine.inference(() => {
      const tokens = encodePictures(engine, model, pixels, references.length);
      const inputs = upload(engine, {
        ...packTexts(tokenizer, model.config, texts),
        source: words(packSource(source, references.length)),
      });
      return model.embedQueries(inputs, tokens, inputs.source, null);
    });
    const embeddings = (await rows.read()) as Float32Array;
    rows.dispose();
    requireFinite(embeddings, width, model, (i) => {
      const { reference, text } = part[i]!;
      return `${pictures.names[reference]} with ${JSON.stringify(text)}`;
    });
    all.set(embeddings, from * width);
    onProgress(from + part.length);
  }
  return all;
}

/**
 * Embeddings of texts by themselves, row-major [texts, projection]: the text encoder with no picture to attend to, as BLIP
 * retrieval has it. Throws NotFiniteError.
 */
export async function embedTexts(
  engine: Engine,
  model: Case,
  tokenizer: Tokenizer,
  texts: readonly string[],
  onProgress: (done: number) => void = () => {},
): Promise<Float32Array> {
  const width = model.config.projection;
  // Without a picture BLIP's texts start with [CLS]; [ENC] is for the multimodal encoder. They are shown whatever the fusion.
  const text = { ...model.config.text, firstToken: "cls" as const };
  const config: ModelConfig = { ...model.config, text, fusion: "text" };
  const all = new Float32Array(texts.length * width);
  const batch = batchOf(model, queryBatch);
  for (let from = 0; from < texts.length; from += batch) {
    const part = texts.slice(from, from + batch);
    const rows = engine.inference(() => model.embedTexts(upload(engine, packTexts(tokenizer, config, part))));
    const embeddings = (await rows.read()) as Float32Array;
    rows.dispose();
    requireFinite(embeddings, width, model, (i) => JSON.stringify(part[i]));
    all.set(embeddings, from * width);
    onProgress(from + part.length);
  }
  return all;
}
