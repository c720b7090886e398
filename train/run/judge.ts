// Figures of a model on a split, while training as at its end.
import type { Engine } from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import type { CaptionWay } from "../data/captions.ts";
import type { OpenSplit } from "../data/dataset.ts";
import type { Pictures } from "../data/types.ts";
import { embedPictures } from "../eval/embed.ts";
import { embedSplit, evaluateSplit, type SplitResult } from "../eval/evaluate.ts";
import type { JudgeOptions } from "../eval/protocols.ts";
import type { RunEvents } from "./events.ts";
import type { LoadedModel } from "./open.ts";

/**
 * Figures of one split, whose queries are embedded first.
 * @param targets embeddings of its pictures, as `embedGalleries` makes them
 */
export async function judgeSplit(
  { engine, model, tokenizer }: Omit<LoadedModel, "weights">,
  open: OpenSplit,
  targets: Float32Array,
  options: Pick<JudgeOptions, "hash" | "references" | "filter"> & { captions: CaptionWay; events: RunEvents },
): Promise<SplitResult> {
  const { events, captions } = options;
  const { name, queries } = open.split;
  const embedded = await embedSplit(engine, model, tokenizer, open, targets, captions, (done) =>
    events.progress("embedding the queries", done, queries.length),
  );
  return evaluateSplit(engine, open, embedded, {
    ...options,
    onProgress: (done, total) => events.progress(`ranking ${name}`, done, total),
  });
}

/** Embeddings of the galleries' pictures as targets, by where the pictures lie. */
export async function embedGalleries(
  engine: Engine,
  model: Case,
  splits: readonly OpenSplit[],
  events: RunEvents,
): Promise<Map<Pictures, { targets: Float32Array; first: number }>> {
  const wanted = new Map<Pictures, Set<number>>();
  for (const { split, pictures } of splits) {
    const ids = wanted.get(pictures) ?? new Set();
    for (const gallery of split.galleries) for (const id of gallery.pictures) ids.add(id);
    wanted.set(pictures, ids);
  }
  const width = model.config.projection;
  const total = [...wanted.values()].reduce((sum, { size }) => sum + size, 0);
  const all = new Map<Pictures, { targets: Float32Array; first: number }>();
  let [done, first] = [0, 0];
  for (const [pictures, set] of wanted) {
    const ids = [...set].sort((a, b) => a - b);
    const rows = await embedPictures(engine, model, pictures, ids, (count) =>
      events.progress("embedding the gallery", done + count, total),
    );
    const targets = new Float32Array(pictures.count * width);
    for (const [i, id] of ids.entries()) targets.set(rows.subarray(i * width, (i + 1) * width), id * width);
    all.set(pictures, { targets, first });
    done += ids.length;
    first += pictures.count;
  }
  return all;
}
