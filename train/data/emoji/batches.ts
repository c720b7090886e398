// Training batches in which few pictures make many triplets. Pictures come in small grids (the values of one
// attribute, times one further change), so that a picture which fits only the text, or only the reference, is
// always among the negatives.
import { seedKey } from "../../../engine/index.ts";
import type { Batch, BatchOptions } from "../dataset.ts";
import { type Random, random } from "../random.ts";
import type { Edits } from "./edits.ts";
import { KINDS } from "./phrases.ts";

// A kind's share of the triplets grows with this power of its number of edits: at 1 skin tone and role would
// drown clocks and hair, at 0 the 56 arrows would be learnt by heart while roles are hardly seen.
const BALANCE = 0.25;
const COUNT_CAP = 20_000; // role edits alone number more than all others: they count as this many
const ROW = 4; // pictures in a grid's row

/** A source of batches over the edits whose two pictures are both for training. */
export class BatchSampler {
  readonly #edits: Edits;
  readonly #classes: Int32Array;
  /** Edits by reference picture: those of picture p are #byReference[#start[p]] up to #start[p + 1]. */
  readonly #byReference: Int32Array;
  readonly #start: Int32Array;
  readonly #byKind: number[][] = KINDS.map(() => []);
  /** Each kind's share of the triplets, up to a common factor. */
  readonly #weights: number[];
  /** How often a grid starts from each kind, up to a common factor. */
  readonly #drawWeights: number[];

  /**
   * @param classes int32 [pictures], answer class of each picture
   * @param trainable uint8 [pictures], 1 where training may see the picture
   */
  constructor(edits: Edits, classes: Int32Array, trainable: Uint8Array) {
    this.#edits = edits;
    this.#classes = classes;
    this.#start = new Int32Array(classes.length + 1);
    const kept: number[] = [];
    for (let edit = 0; edit < edits.count; edit++) {
      if (!trainable[edits.reference[edit]] || !trainable[edits.target[edit]]) continue;
      kept.push(edit);
      this.#byKind[edits.kind[edit]].push(edit);
      this.#start[edits.reference[edit] + 1]++;
    }
    for (let id = 0; id < classes.length; id++) this.#start[id + 1] += this.#start[id];
    this.#byReference = Int32Array.from(kept).sort(
      (a, b) => edits.reference[a] - edits.reference[b] || a - b,
    );
    this.#weights = this.#byKind.map((pool) => Math.min(pool.length, COUNT_CAP) ** BALANCE);
    // A row of r pictures makes r(r - 1) triplets, so kinds with few values start more grids.
    this.#drawWeights = this.#byKind.map((pool, kind) => {
      const references = new Set(pool.map((edit) => edits.reference[edit])).size;
      const row = Math.min(ROW, 1 + pool.length / references);
      return references > 0 ? this.#weights[kind] / (row * (row - 1)) : 0;
    });
  }

  /** The training edits, as indices into the edits. */
  get trainingEdits(): Int32Array {
    return this.#byReference;
  }

  /**
   * Draws a batch; see Dataset.sampleBatch.
   * @throws when asked for fewer than 2 pictures or 1 triplet, or more pictures than training has
   */
  sample({ pictures: count, triplets, seed, step }: BatchOptions): Batch {
    const available = this.#start.filter((start, i) => i > 0 && start > this.#start[i - 1]).length;
    if (count < 2 || triplets < 1 || count > available) {
      throw new Error(
        `a batch needs 2 to ${available} pictures and at least 1 triplet, got ${count} and ${triplets}`,
      );
    }
    const stream = random(seedKey(seed), step);
    const pictures = this.#choosePictures(count, stream);
    const position = new Map(pictures.map((id, i) => [id, i]));
    const chosen = this.#chooseEdits(pictures, position, triplets, stream);
    const { reference, target, kind, change, texts } = this.#edits;
    const text = chosen.map((edit) => texts[change[edit]][stream.below(texts[change[edit]].length)]);
    const batch: Batch = {
      pictures: Int32Array.from(pictures),
      reference: Int32Array.from(chosen, (edit) => position.get(reference[edit])!),
      target: Int32Array.from(chosen, (edit) => position.get(target[edit])!),
      text,
      kind: chosen.map((edit) => KINDS[kind[edit]]),
      ignore: new Uint8Array(triplets * count),
      ignoreReversed: this.#otherReferences(pictures, chosen, text),
    };
    for (let t = 0; t < triplets; t++) {
      const answer = this.#classes[target[chosen[t]]];
      for (let p = 0; p < count; p++) {
        if (p !== batch.target[t] && this.#classes[pictures[p]] === answer) batch.ignore[t * count + p] = 1;
      }
    }
    return batch;
  }

  /** Which pictures the text of an edit leads from to its target, or look like its reference: uint8 [edits, pictures]. */
  #otherReferences(pictures: number[], chosen: number[], text: string[]): Uint8Array {
    const { reference, target, change, texts } = this.#edits;
    const classes = this.#classes;
    const found = new Uint8Array(chosen.length * pictures.length);
    const byAnswer = new Map<number, number[]>();
    const byReference = new Map<number, number[]>();
    const append = (map: Map<number, number[]>, key: number, t: number) => {
      const list = map.get(key);
      if (list) list.push(t);
      else map.set(key, [t]);
    };
    for (const [t, edit] of chosen.entries()) {
      append(byAnswer, classes[target[edit]], t);
      append(byReference, classes[reference[edit]], t);
    }
    for (const [p, id] of pictures.entries()) {
      const mark = (t: number) => {
        if (reference[chosen[t]!] !== id) found[t * pictures.length + p] = 1;
      };
      byReference.get(classes[id])?.forEach(mark);
      for (const edit of this.#editsOf(id)) {
        const phrasings = texts[change[edit]];
        for (const t of byAnswer.get(classes[target[edit]]) ?? []) if (phrasings.includes(text[t]!)) mark(t);
      }
    }
    return found;
  }

  #editsOf(picture: number): Int32Array {
    return this.#byReference.subarray(this.#start[picture], this.#start[picture + 1]);
  }

  /** Grids of pictures until there are enough; kinds are drawn by weight, each grid from a random edit. */
  #choosePictures(count: number, stream: Random): number[] {
    const chosen = new Set<number>();
    const add = (id: number) => {
      if (chosen.size < count) chosen.add(id);
    };
    while (chosen.size < count) {
      const pool = this.#byKind[this.#drawKind(stream)];
      const seedEdit = pool[stream.below(pool.length)];
      for (const id of this.#grid(seedEdit, stream)) add(id);
    }
    return [...chosen];
  }

  #drawKind(stream: Random): number {
    let at = stream.next() * this.#drawWeights.reduce((sum, weight) => sum + weight, 0);
    for (let kind = 0; kind < this.#drawWeights.length; kind++) {
      at -= this.#drawWeights[kind];
      if (at < 0) return kind;
    }
    return this.#drawWeights.findIndex((weight) => weight > 0);
  }

  /** A row of pictures that differ in one attribute, then the same row after a further change. */
  #grid(seedEdit: number, stream: Random): number[] {
    const { reference, target, kind, change } = this.#edits;
    const corner = reference[seedEdit];
    const around = this.#editsOf(corner);
    const sameKind = around.filter((edit) => kind[edit] === kind[seedEdit] && edit !== seedEdit);
    const row = [corner, target[seedEdit]];
    for (const edit of stream.shuffle(sameKind).subarray(0, ROW - 2)) row.push(target[edit]);
    const others = around.filter((edit) => kind[edit] !== kind[seedEdit]);
    if (others.length === 0) return row;
    // By kind first: otherwise the second change would nearly always be a role.
    const otherKinds = [...new Set(Array.from(others, (edit) => kind[edit]))];
    const second = otherKinds[stream.below(otherKinds.length)];
    const candidates = others.filter((edit) => kind[edit] === second);
    const wanted = change[candidates[stream.below(candidates.length)]];
    for (const id of [...row]) {
      for (const edit of this.#editsOf(id)) if (change[edit] === wanted) row.push(target[edit]);
    }
    return row;
  }

  /** Exactly `triplets` edits among the pictures: kinds in shares by weight, no edit twice while others last. */
  #chooseEdits(
    pictures: number[],
    position: Map<number, number>,
    triplets: number,
    stream: Random,
  ): number[] {
    const { kind, target } = this.#edits;
    const pools = KINDS.map(() => [] as number[]);
    for (const id of pictures) {
      for (const edit of this.#editsOf(id)) if (position.has(target[edit])) pools[kind[edit]].push(edit);
    }
    for (const pool of pools) stream.shuffle(pool);
    const chosen: number[] = [];
    const taken = pools.map(() => 0);
    while (chosen.length < triplets) {
      // The kind which is furthest behind its share goes next.
      let next = -1;
      for (let k = 0; k < pools.length; k++) {
        if (taken[k] === pools[k].length) continue;
        const behind = (taken[k] + 1) / this.#weights[k];
        if (next < 0 || behind < (taken[next] + 1) / this.#weights[next]) next = k;
      }
      if (next < 0) {
        taken.fill(0); // all used: go round again, with other phrasings
        continue;
      }
      chosen.push(pools[next][taken[next]++]);
    }
    return chosen;
  }
}
