// Moving pictures while training.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { drawMove, movePicture } from "../train/data/augment.ts";

test("a picture moves right and down, its edges fill the gap", () => {
  const size = 4;
  const pixels = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * 37) % 251);
  for (const [dx, dy] of [
    [0, 0],
    [1, -2],
    [-3, 1],
  ] as const) {
    const out = new Uint8Array(pixels.length);
    movePicture(pixels, size, [dx, dy], out);
    const edge = (at: number) => Math.min(3, Math.max(0, at));
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++) {
          assert.is(out[(y * size + x) * 3 + c], pixels[(edge(y - dy) * size + edge(x - dx)) * 3 + c]);
        }
  }
});

test("moves are the same for the same key, within the bounds, and as frequent as asked", () => {
  const key = { key: 11, stream: 3 };
  const moves = Array.from({ length: 4000 }, (_, i) => drawMove({ shift: 2, share: 0.25 }, key, i));
  assert.equal(drawMove({ shift: 2, share: 0.25 }, key, 1234), moves[1234]);
  const seen = new Set(moves.flat());
  assert.equal([...seen].sort(), [-1, -2, 0, 1, 2]);
  // A quarter is drawn, and 24 of the 25 offsets move the picture.
  const moved = moves.filter(([dx, dy]) => dx !== 0 || dy !== 0).length / moves.length;
  assert.ok(Math.abs(moved - 0.24) < 0.03, `${moved}`);
});

test.run();
