// Ranking against a plain sort of the same scores: ties count against the right answer, the reference is no answer, and
// of several right ones the best counts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, randomBits } from "../engine/index.ts";
import type { Query, Split } from "../train/data/dataset.ts";
import { rankAll } from "../train/eval/evaluate.ts";

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
    reference: i === 149 ? 1000 : reference,
    target,
    // Those that the gallery lacks count for nothing.
    positives: [[], [other], [other, another, 1001]][i % 3]!,
    ...{ text: "", kind: "" },
  };
});
const split: Split = { name: "small", gallery, queries };
const queryRows = Float32Array.from({ length: queries.length * width }, (_, i) => draw(3, i, 5) - 2);

for (const biased of [false, true]) {
  test(`ranks and answers are a sort's${biased ? ", with a bias" : ""}`, async () => {
    const bias = biased ? Float32Array.from(gallery, (_, place) => draw(4, place, 3)) : undefined;
    const ranked = await rankAll(engine, split, queryRows, galleryRows, width, { top, bias });
    assert.is(ranked.length, queries.length);
    let tied = 0;
    for (const [i, { reference, target, positives }] of queries.entries()) {
      const scored = Array.from(gallery, (id, place) => {
        let score = bias?.[place] ?? 0;
        for (let c = 0; c < width; c++) score += queryRows[i * width + c]! * galleryRows[place * width + c]!;
        return { id, place, score };
      });
      const isRight = (id: number) => id === target || positives.includes(id);
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
  const ranked = await rankAll(engine, split, queryRows, galleryRows, width);
  assert.ok(ranked.every(({ best }) => best.length === 0));
});

test.after(() => engine.dispose());
test.run();
