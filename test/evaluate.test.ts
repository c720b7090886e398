// Ranking against a plain sort of the same scores: ties count against the right answer, the reference is no answer, and
// of several right ones the best counts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits } from "../engine/index.ts";
import type { Query, Split } from "../train/data/types.ts";
import { rankSplit } from "../train/eval/protocols.ts";
import { rankOf } from "../train/eval/rank.ts";

const engine = await Engine.create({ poison: true });
const [width, pictures, top] = [3, 23, 6];

/** A whole number below `below`, small, so that scores tie. */
const draw = (stream: number, index: number, below: number) => randomBits({ key: 3, stream }, index) % below;
/** Picture ids are not places. */
const gallery = Int32Array.from({ length: pictures }, (_, place) => 5 + 3 * place);
const galleryRows = Float32Array.from({ length: pictures * width }, (_, i) => draw(0, i, 5) - 2);

/** More queries than one batch holds; the last has a reference from elsewhere. */
const queries = Array.from({ length: 150 }, (_, i): Query => {
  const [reference, target, other, another] = [0, 1, 2, 3]
    .map((n) => (draw(1, i, pictures) + n * (1 + draw(2, i, 5))) % pictures)
    .map((place) => gallery[place]!) as [number, number, number, number];
  return {
    id: `${i}`,
    reference: i === 149 ? 1000 : reference,
    texts: [""],
    // Those that the gallery lacks count for nothing.
    right: [target, ...[[], [other], [other, another, 1001]][i % 3]!],
  };
});
const split: Split = {
  ...{ data: "emoji", name: "small", sources: [], notes: [] },
  pictures: Array.from({ length: 1002 }, (_, i) => ({ id: `${i}`, path: `${i}` })),
  queries,
  galleries: [{ name: "small", pictures: gallery }],
};
/** Values of the gallery's pictures at their ids. */
const atIds = (values: Float32Array, width: number) => {
  const all = new Float32Array(split.pictures.length * width);
  for (const [place, id] of gallery.entries())
    all.set(values.subarray(place * width, (place + 1) * width), id * width);
  return all;
};
const rank = async (options: { bias?: Float32Array; top?: number } = {}) => {
  const embedded = {
    queries: { values: queryRows, width },
    pictures: { values: atIds(galleryRows, width), width },
    bias: options.bias && atIds(options.bias, 1),
  };
  const top = () => options.top ?? 0;
  const [ranks] = await rankSplit(engine, split, embedded, { similarity: "dot", top });
  return ranks!.ranked.map(({ all, best }) => ({ rank: rankOf(all, false), best }));
};
const queryRows = Float32Array.from({ length: queries.length * width }, (_, i) => draw(3, i, 5) - 2);

for (const biased of [false, true]) {
  test(`ranks and answers are a sort's${biased ? ", with a bias" : ""}`, async () => {
    const bias = biased ? Float32Array.from(gallery, (_, place) => draw(4, place, 3)) : undefined;
    const ranked = await rank({ top, bias });
    assert.is(ranked.length, queries.length);
    let tied = 0;
    for (const [i, { reference, right }] of queries.entries()) {
      const scored = Array.from(gallery, (id, place) => {
        let score = bias?.[place] ?? 0;
        for (let c = 0; c < width; c++) score += queryRows[i * width + c]! * galleryRows[place * width + c]!;
        return { id, place, score };
      });
      const isRight = (id: number) => right.includes(id);
      const best = Math.max(...scored.filter(({ id }) => isRight(id)).map(({ score }) => score));
      const wrong = scored.filter(({ id }) => id !== reference && !isRight(id));
      assert.is(ranked[i]!.rank, 1 + wrong.filter(({ score }) => score >= best).length, `query ${i}`);
      if (wrong.some(({ score }) => score === best)) tied++;
      const answers = scored
        .filter(({ id }) => id !== reference)
        .sort((a, b) => b.score - a.score || a.place - b.place)
        .slice(0, top)
        .map(({ place, score }) => ({ place, score }));
      assert.equal(ranked[i]!.best, answers, `query ${i}`);
    }
    assert.ok(tied > 50, "ties are what this is about");
  });
}

test("without a wish for answers there are none", async () => {
  const ranked = await rank();
  assert.ok(ranked.every(({ best }) => best.length === 0));
});

test.after(() => engine.dispose());
test.run();
