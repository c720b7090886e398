// Picture preprocessing against Pillow, and its errors. Fixture: test/reference/picture-resize.py.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { flattenAlpha, resizeBicubic } from "../model/picture.ts";
import { decodePicture, decodeSquare } from "../train/pictures.ts";

interface Fixture {
  cases: { width: number; height: number; size: number; rgb: number[]; resized: number[] }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("fixtures/picture-resize.json", import.meta.url), "utf8"),
);

for (const { width, height, size, rgb, resized } of fixture.cases) {
  test(`${width} x ${height} squashed to ${size} equals Pillow`, () => {
    assert.equal([...resizeBicubic(Uint8Array.from(rgb), width, height, size)], resized);
  });
}

test("a picture of the right size is copied", () => {
  const rgb = Uint8Array.from([1, 2, 3]);
  const copy = resizeBicubic(rgb, 1, 1, 1);
  assert.equal([...copy], [1, 2, 3]);
  assert.is.not(copy, rgb);
});

test("transparency is laid on white", () => {
  const rgba = Uint8Array.from([10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 51]);
  assert.equal([...flattenAlpha(rgba, 3, 1)], [10, 20, 30, 255, 255, 255, 204, 224, 244]);
});

test("wrong sizes are named", () => {
  assert.throws(() => resizeBicubic(new Uint8Array(0), 0, 4, 8), /0 x 4 pixels/);
  assert.throws(() => resizeBicubic(new Uint8Array(5), 2, 2, 8), /needs 12 bytes.*got 5/);
  assert.throws(() => resizeBicubic(new Uint8Array(3), 1, 1, 0), /size 0/);
  assert.throws(() => flattenAlpha(new Uint8Array(3), 1, 1), /needs 4 bytes/);
});

test("files decode to RGB on white, and unreadable ones are named", async () => {
  const folder = mkdtempSync(join(tmpdir(), "casement-picture-"));
  try {
    const file = join(folder, "grey.png");
    await sharp({ create: { width: 3, height: 2, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .greyscale()
      .png()
      .toFile(file);
    const picture = await decodePicture(file);
    assert.equal([picture.width, picture.height, ...picture.rgb], [3, 2, ...Array(18).fill(255)]);
    assert.is((await decodeSquare(file, 4)).length, 48);
    for (const [name, bytes] of Object.entries({ "empty.png": "", "text.jpg": "not a picture" })) {
      writeFileSync(join(folder, name), bytes);
      const failure = await decodePicture(join(folder, name)).catch((error: Error) => error);
      assert.instance(failure, Error);
      assert.match((failure as Error).message, name);
    }
    const missing = await decodePicture(join(folder, "missing.png")).catch((error: Error) => error);
    assert.match((missing as Error).message, "missing.png");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
