// Search against brute force: every cosine in double precision, sorted, equal ones in the gallery's order; and the command on
// a folder of pictures of which some are copies of others, and of the query.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine } from "../engine/index.ts";
import { decodeSquare } from "../train/data/decode.ts";
import { inMemory } from "../train/data/memory.ts";
import { embedPictures, embedQueries } from "../train/eval/embed.ts";
import { nearest } from "../train/eval/search.ts";
import { openModel } from "../train/run/open.ts";
import { runCommand } from "./command.ts";
import { cirrSample } from "./data-samples.ts";
import { writeMiniature } from "./miniatures.ts";
import { cosines, randomRows } from "./plain-ranks.ts";
import { tokenizer, width, writeRun } from "./small-run.ts";

const engine = await Engine.create({ poison: true });
const dir = mkdtempSync(join(tmpdir(), "casement-search-"));
const at = (...names: string[]) => join(dir, ...names);

/** Places of the best, best first, and their cosines. */
function bruteForce(query: Float32Array, gallery: Float32Array, k: number) {
  const matrix = (values: Float32Array) => ({ values, width: query.length });
  const length = Math.sqrt(query.reduce((sum, value) => sum + value ** 2, 0));
  const scores = cosines(matrix(query), 0, matrix(gallery)).map((score) => score / length);
  return [...scores.keys()]
    .toSorted((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, k)
    .map((place) => ({ place, score: scores[place]! }));
}

test("the nearest are a sort's, copies in their order, also where there are fewer than were asked for", async () => {
  const wide = 24;
  // Every ninth row is that before it.
  const { values: gallery } = randomRows(40, 500, wide);
  const { values: queries } = randomRows(41, 8, wide);
  let copies = 0;
  for (let i = 0; i < 8; i++) {
    // The last query is a row of the gallery which comes twice.
    const query = i < 7 ? queries.slice(i * wide, (i + 1) * wide) : gallery.slice(17 * wide, 18 * wide);
    for (const k of [1, 20, 499, 500, 600]) {
      const [found, wanted] = [await nearest(engine, query, gallery, k), bruteForce(query, gallery, k)];
      assert.equal(
        found.map(({ place }) => place),
        wanted.map(({ place }) => place),
      );
      for (const [n, { score }] of found.entries())
        assert.ok(Math.abs(score - wanted[n]!.score) < 1e-12, `${score}`);
      copies += found.filter(({ score }, n) => n > 0 && score === found[n - 1]!.score).length;
    }
    if (i === 7)
      assert.equal(
        (await nearest(engine, query, gallery, 2)).map(({ place }) => place),
        [17, 18],
      );
  }
  assert.ok(copies > 1000, `${copies} ties`);
  assert.equal(await nearest(engine, queries.slice(0, wide), new Float32Array(0), 3), []);
});

test("the command's answers are brute force's over the folder, without copies of the query", async () => {
  const names = await writeMiniature("cirr", at("cirr"), cirrSample("val", 40));
  await writeRun(at("run"), { seed: 3, root: at("cirr") });
  mkdirSync(at("pictures"));
  for (const [i, name] of names.entries()) copyFileSync(at("cirr", name), at("pictures", `${100 + i}.png`));
  for (const [from, to] of [
    ["103", "103-copy"],
    ["107", "099-copy"],
    ["120", "own-1"],
    ["120", "own-2"],
  ])
    copyFileSync(at("pictures", `${from}.png`), at("pictures", `${to}.png`));
  const image = at("pictures", "120.png");
  const text = "make it number 7";
  const loaded = await openModel(at("run"));
  const { imageSize: size, fit, zoom, filter } = loaded.config.model.vision;
  const decode = (file: string) => decodeSquare(file, size, { fit, zoom, filter });
  const files = readdirSync(at("pictures")).toSorted();
  const gallery = files.filter((name) => !["120.png", "own-1.png", "own-2.png"].includes(name));
  const pixels: Uint8Array[] = [];
  for (const name of gallery) pixels.push(await decode(at("pictures", name)));
  const pictures = inMemory({ size, names: gallery, pixels: new Uint8Array(Buffer.concat(pixels)) });
  const own = inMemory({ size, names: [image], pixels: await decode(image) });
  const rows = await embedPictures(loaded.engine, loaded.model, pictures, [...gallery.keys()]);
  const query = await embedQueries(loaded.engine, loaded.model, tokenizer, own, [{ reference: 0, text }]);
  loaded.engine.dispose();
  assert.is(query.length, width);
  const wanted = bruteForce(query, rows, 41);
  assert.is(gallery.length, 41);
  const args = ["search", "--run", "run", "--data", "folder", "--root", "pictures", "--image", image];
  const { code, out, err } = await runCommand(dir, [...args, "--text", text, "-k", "60", "--json"]);
  assert.is(code, 0, err);
  const { answers } = JSON.parse(out) as { answers: { rank: number; name: string; score: number }[] };
  assert.equal(
    answers.map(({ name }) => name),
    wanted.map(({ place }) => gallery[place]),
  );
  for (const [i, { rank, score }] of answers.entries()) {
    assert.is(rank, i + 1);
    assert.ok(Math.abs(score - wanted[i]!.score) < 1e-5, `${score} for ${wanted[i]!.score}`);
  }
});

test.after(() => {
  engine.dispose();
  rmSync(dir, { recursive: true, force: true });
});
test.run();
