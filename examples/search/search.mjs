// Composed search by a run of `casement train` or an import: nothing here needs Node, so a page can do the same with files
// that it was given or has fetched.
import { Engine } from "casement/engine";
import { Case, memorySource, openSafetensors, preparePicture, Tokenizer } from "casement/model";
import { embedPictures, embedQueries, inMemory, nearest } from "casement/train";

/**
 * Opens a model.
 * @param files what is in config.json, which was checked when it was written (`parseConfig` of casement/train checks one
 * from elsewhere), and in tokenizer.json, and the bytes of model.safetensors
 */
export async function openModel({ config, tokenizer, weights }) {
  const words = Tokenizer.fromJSON(tokenizer);
  const engine = await Engine.create();
  const model = new Case(engine, config.model, words.size, { trainable: () => false });
  const { tensors } = await openSafetensors(memorySource(weights, "model.safetensors"));
  await model.parameters.stream(tensors);
  return { engine, model, tokenizer: words };
}

/** Pictures as the model sees them, of { name, rgb, width, height } with three bytes a pixel. */
export function gallery({ model }, pictures) {
  const { imageSize: size, fit, zoom, filter } = model.config.vision;
  const pixels = new Uint8Array(pictures.length * size * size * 3);
  for (const [i, { rgb, width, height }] of pictures.entries())
    pixels.set(preparePicture(rgb, width, height, { size, fit, zoom, filter }), i * size * size * 3);
  return inMemory({ size, names: pictures.map(({ name }) => name), pixels });
}

/** The `k` pictures of a gallery, best first, that look like the picture `reference` with what the text changes. */
export async function search({ engine, model, tokenizer }, pictures, reference, text, k) {
  const others = Array.from(pictures.names.keys()).filter((id) => id !== reference);
  const targets = await embedPictures(engine, model, pictures, others);
  const query = await embedQueries(engine, model, tokenizer, pictures, [{ reference, text }]);
  const found = await nearest(engine, query, targets, k);
  return found.map(({ place, score }) => ({ name: pictures.names[others[place]], score }));
}
