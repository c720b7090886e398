// Training batches of a split of triplets: each triplet once an epoch, in an order that seed and epoch give. The pictures of
// a batch are those of its triplets, each once, so their number varies; batches are filled up to a few sizes.
import { seedKey } from "../../engine/index.ts";
import { type CaptionWay, textOf } from "./captions.ts";
import type { Batch, BatchOptions, OpenSplit, TrainingSet } from "./dataset.ts";
import { random } from "./random.ts";
import { DataError } from "./types.ts";

/** So many numbers of pictures a batch can be filled up to, between one and two pictures a triplet. */
const sizes = 4;

/** The triplets of a split, to train on. Throws DataError where it has none whose answer is known. */
export function tripletSet({ split, pictures }: OpenSplit, captions: CaptionWay): TrainingSet {
  const { data, name } = split;
  const triplets = split.queries
    .filter(({ right }) => right.length > 0)
    .map((query) => ({ ...query, text: textOf(query, captions) }));
  const count = triplets.length;
  if (count === 0) throw new DataError(`${data} ${name} has no triplets to train on`);
  const keyOf = (reference: number, text: string) => `${reference} ${text}`;
  // What is asked twice has the answers of both.
  const answers = new Map<string, Set<number>>();
  for (const { reference, text, right } of triplets) {
    const key = keyOf(reference, text);
    const known = answers.get(key);
    if (known) for (const picture of right) known.add(picture);
    else answers.set(key, new Set(right));
  }
  const orders = new Map<string, Int32Array>();
  /** The order of an epoch. A batch needs two at most: the latest ones are kept. */
  const orderOf = (seed: number, epoch: number) => {
    const key = `${seed} ${epoch}`;
    let order = orders.get(key);
    if (!order) {
      order = random(seedKey(seed), epoch).shuffle(Int32Array.from({ length: count }, (_, i) => i));
      if (orders.size > 2) orders.delete(orders.keys().next().value!);
      orders.set(key, order);
    }
    return order;
  };

  const sampleBatch = ({ triplets: wanted, seed, step }: BatchOptions): Batch => {
    const chosen = Array.from({ length: wanted }, (_, i) => {
      const at = step * wanted + i;
      return triplets[orderOf(seed, Math.floor(at / count))[at % count]!]!;
    });
    const column = new Map<number, number>();
    const columnOf = (picture: number) => {
      if (!column.has(picture)) column.set(picture, column.size);
      return column.get(picture)!;
    };
    const reference = Int32Array.from(chosen, (one) => columnOf(one.reference));
    const target = Int32Array.from(chosen, (one) => columnOf(one.right[0]!));
    const ids = Int32Array.from(column.keys());
    const ignore = new Uint8Array(wanted * ids.length);
    for (const [i, { reference, text, right }] of chosen.entries()) {
      for (const picture of answers.get(keyOf(reference, text))!) {
        const at = column.get(picture);
        if (at !== undefined && picture !== right[0]) ignore[i * ids.length + at] = 1;
      }
    }
    const text = chosen.map((one) => one.text);
    const unit = Math.max(1, Math.ceil(wanted / sizes));
    return {
      pictures: ids,
      reference,
      target,
      text,
      kind: text,
      ignore,
      room: Math.ceil(ids.length / unit) * unit,
    };
  };

  const texts = () => [...new Set(triplets.map(({ text }) => text))];
  return { name: `${data} ${name}`, pictures, triplets: count, texts, sampleBatch };
}
