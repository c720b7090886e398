// A model from the files of a run's folder, wherever they lie: the committed one from the server, one's own from the disk.
import { type Engine, sizeOf } from "../../engine/index.ts";
import { Case, caseSpecs } from "../../model/case.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import type { ByteSource } from "../../model/checkpoint/source.ts";
import { modelTensors } from "../../model/checkpoint/tensor.ts";
import { attendsToPicture } from "../../model/fusion.ts";
import type { Precision } from "../../model/parameters.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { parseConfig, type RunConfig } from "../../train/config.ts";
import { files } from "../../train/run/store.ts";
import type { ModelNews, PictureFile } from "../messages.ts";

/** From so many parameters on a model computes in f16 where that is offered, to take half of the memory. */
const large = 30e6;

/** A run's folder, read as far as its weights, which stay where they are. */
export interface ModelFiles {
  own: boolean;
  config: RunConfig;
  tokenizer: Tokenizer;
  weights: Blob;
}

export interface LoadedModel {
  news: ModelNews;
  /** Names the model among those that one's own pictures were embedded by. */
  key: string;
  config: RunConfig;
  tokenizer: Tokenizer;
  model: Case;
}

export function blobSource(blob: Blob, name: string): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, Math.min(blob.size, offset + length)).arrayBuffer()),
  };
}

/** Reads a run's folder. Throws where one of its files is missing, ConfigError, and what the tokenizer throws. */
export async function readModel(given: readonly PictureFile[], own: boolean): Promise<ModelFiles> {
  const find = (wanted: string) => {
    const found = given.find(({ name }) => name.split("/").at(-1) === wanted);
    if (!found)
      throw new Error(
        `${wanted} is not among the files; a run's folder has ${files.config}, ${files.tokenizer} and ${files.model}.`,
      );
    return found.file;
  };
  const json = async (name: string): Promise<unknown> => {
    const text = await find(name).text();
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new Error(`${name} is no JSON: ${(cause as Error).message}`, { cause });
    }
  };
  const config = parseConfig(await json(files.config), files.config);
  const tokenizer = Tokenizer.fromJSON(await json(files.tokenizer));
  return { own, config, tokenizer, weights: find(files.model) };
}

/** Brings a model to the GPU, tensor by tensor. Throws CheckpointError, TensorError and DeviceError. */
export async function loadModel(engine: Engine, given: ModelFiles): Promise<LoadedModel> {
  const { config, tokenizer, weights, own } = given;
  const { vision, fusion } = config.model;
  const parameters = caseSpecs(config.model, tokenizer.size).reduce(
    (sum, { shape }) => sum + sizeOf(shape),
    0,
  );
  const wanted: Precision = parameters > large ? "f16" : config.precision;
  const precision = engine.hasF16 ? wanted : "f32";
  const model = new Case(engine, config.model, tokenizer.size, { trainable: () => false, precision });
  try {
    const { tensors } = await openCheckpoint(blobSource(weights, files.model));
    await model.parameters.stream(modelTensors(tensors));
  } catch (error) {
    model.dispose();
    throw error;
  }
  const patches = attendsToPicture(fusion) ? vision.imageSize / vision.patchSize : 0;
  const news = { name: config.name, own, parameters, precision, imageSize: vision.imageSize, patches };
  return { news, key: await keyOf(given), config, tokenizer, model };
}

/** A name for weights without reading all of them: their size, and their first and last megabyte. */
async function keyOf({ weights, config }: ModelFiles): Promise<string> {
  const part = 1 << 20;
  const ends = [weights.slice(0, part), weights.slice(Math.max(0, weights.size - part))];
  const text = new Blob([JSON.stringify(config.model), `${weights.size}`, ...ends]);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await text.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
