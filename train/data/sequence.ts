// Several data sets one after the other, as one: LaSCo, then CIRR.
import type { TrainingSet } from "./dataset.ts";
import { checkId } from "./memory.ts";
import type { Pictures } from "./types.ts";

/** Pictures of several sets, the ids of each after those of the one before. Throws where their sizes differ. */
export function joinPictures(sets: readonly Pictures[]): Pictures {
  if (sets.length === 1) return sets[0]!;
  const size = sets[0]!.size;
  const starts: number[] = [];
  let count = 0;
  for (const set of sets) {
    if (set.size !== size)
      throw new Error(`pictures of ${set.size} and of ${size} pixels do not go together`);
    starts.push(count);
    count += set.count;
  }
  const bytes = 3 * size * size;
  const setOf = (id: number) => starts.findLastIndex((start) => checkId(id, count) >= start);
  return {
    ...{ count, size, names: sets.flatMap(({ names }) => names) },
    ...(sets.every(({ digest }) => digest) && {
      digest: (id: number) => sets[setOf(id)]!.digest!(id - starts[setOf(id)]!),
    }),
    async read(ids) {
      const out = new Uint8Array(ids.length * bytes);
      const places = Array.from(ids, setOf);
      await Promise.all(
        sets.map(async (set, s) => {
          const mine = [...places.keys()].filter((i) => places[i] === s);
          if (mine.length === 0) return;
          const read = await set.read(mine.map((i) => ids[i]! - starts[s]!));
          for (const [from, i] of mine.entries())
            out.set(read.subarray(from * bytes, (from + 1) * bytes), i * bytes);
        }),
      );
      return out;
    },
  };
}

/** A data set of a sequence, and the optimiser steps that are taken on it. */
export interface Stage {
  set: TrainingSet;
  steps: number;
}

/** Data sets in a sequence; the last has all the steps that are left. */
export function sequence(stages: readonly Stage[]): TrainingSet {
  if (stages.length === 1) return stages[0]!.set;
  const sets = stages.map(({ set }) => set);
  const firstSteps: number[] = [];
  const firstPictures: number[] = [];
  for (const [i, { steps }] of stages.entries()) {
    firstSteps.push(i === 0 ? 0 : firstSteps[i - 1]! + stages[i - 1]!.steps);
    firstPictures.push(i === 0 ? 0 : firstPictures[i - 1]! + sets[i - 1]!.pictures.count);
    if (!Number.isInteger(steps) || steps < 1) throw new RangeError(`a stage of ${steps} steps`);
  }
  return {
    name: sets.map(({ name }) => name).join(", then "),
    pictures: joinPictures(sets.map(({ pictures }) => pictures)),
    triplets: sets.reduce((sum, { triplets }) => sum + triplets, 0),
    texts: () => [...new Set(sets.flatMap((set) => set.texts()))],
    sampleBatch(options) {
      const stage = firstSteps.findLastIndex((first) => options.step >= first);
      const batch = sets[stage]!.sampleBatch({ ...options, step: options.step - firstSteps[stage]! });
      return { ...batch, pictures: batch.pictures.map((id) => id + firstPictures[stage]!) };
    },
  };
}
