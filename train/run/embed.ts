// Embeddings of a single picture, text or query.
import { decodeSquare } from "../data/decode.ts";
import { inMemory } from "../data/memory.ts";
import { embedPictures, embedQueries, embedTexts } from "../eval/embed.ts";
import type { LoadedModel } from "./open.ts";

/** What an embedding stands for. */
export type EmbeddingKind = "target" | "query" | "text";

/**
 * Embeds a picture as a target, a picture and a text as a query, or a text by itself.
 * @param image picture file
 * @returns f32 [projection], of unit length
 * @throws where the file is no picture, or neither is given; NotFiniteError
 */
export async function embed(
  { engine, model, tokenizer }: LoadedModel,
  { image, text }: { image?: string; text?: string },
): Promise<{ kind: EmbeddingKind; embedding: Float32Array }> {
  const size = model.config.vision.imageSize;
  if (image === undefined) {
    if (text === undefined) throw new Error("neither a picture nor a text to embed");
    return { kind: "text", embedding: await embedTexts(engine, model, tokenizer, [text]) };
  }
  const { fit, zoom, filter } = model.config.vision;
  const pixels = await decodeSquare(image, size, { fit, zoom, filter });
  const pictures = inMemory({ size, names: [image], pixels });
  if (text === undefined) {
    return { kind: "target", embedding: await embedPictures(engine, model, pictures, [0]) };
  }
  const queries = [{ reference: 0, text }];
  return { kind: "query", embedding: await embedQueries(engine, model, tokenizer, pictures, queries) };
}
