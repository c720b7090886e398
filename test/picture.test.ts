// Picture preprocessing against Pillow, in Node and in a browser, and its errors.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { flattenAlpha, type Preparation, preparePicture, resizeBicubic } from "../model/picture.ts";
import { decodePicture, decodeSquare } from "../train/data/decode.ts";
import { openPage } from "./browser/harness.ts";
import type { PicturePage } from "./browser/picture.ts";
import { cases, files, meanDifferences } from "./picture-cases.ts";

declare const picturePage: PicturePage;

/** A picture of another profile that was handed out. */
const handedOut = new URL("../../shared/data/hard-cases/p3.png", import.meta.url);

const opened = await openPage("picture.ts");
const scratch = mkdtempSync(join(tmpdir(), "casement-picture-"));

/** A test in the browser, skipped by name where there is none. */
function browserTest(title: string, work: (page: Page) => Promise<void>): void {
  test(title, async () => {
    if ("skipped" in opened) console.log(`\nskipped: ${title} (${opened.skipped})`);
    else await work(opened.page);
  });
}

for (const one of cases) {
  const { width, height, size, rgb, resized } = one;
  const title = `${width} x ${height} squashed to ${size} equals Pillow`;
  test(title, () => {
    assert.equal([...resizeBicubic(Uint8Array.from(rgb), width, height, size)], resized);
  });
  browserTest(`${title} (browser)`, async (page) => {
    assert.equal(await page.evaluate((one) => picturePage.resize(one), one), resized);
  });
}

const prepared: {
  cases: (Preparation & { width: number; height: number; rgb: number[]; made: number[] })[];
} = JSON.parse(readFileSync(new URL("fixtures/picture-prepare.json", import.meta.url), "utf8"));

test("other models' squares equal torchvision's", () => {
  assert.ok(prepared.cases.length > 20);
  for (const { width, height, rgb, made, ...preparation } of prepared.cases) {
    const { size, fit, zoom, filter } = preparation;
    const mine = preparePicture(Uint8Array.from(rgb), width, height, { size, fit, zoom, filter });
    assert.equal([...mine], made, JSON.stringify({ width, height, ...preparation }));
  }
});

for (const one of files) {
  const { name, file, size, resized } = one;
  const title = `${name} decoded and squashed to ${size} equals Pillow within 1/255 per channel`;
  const holds = (found: ArrayLike<number>) => {
    assert.is(found.length, resized.length);
    const differences = meanDifferences(found, resized);
    assert.ok(Math.max(...differences) <= 1, `${differences}`);
    console.log(`${title}: ${Math.max(...differences).toFixed(3)}`);
  };
  test(title, async () => {
    const path = join(scratch, name);
    writeFileSync(path, Buffer.from(file, "base64"));
    holds(await decodeSquare(path, size));
  });
  browserTest(`${title} (browser)`, async (page) => {
    holds(await page.evaluate((one) => picturePage.decode(one), one));
  });
}

if (existsSync(handedOut)) {
  test("a Display P3 picture gives the numbers in its file, as Pillow does", async () => {
    const { rgb, width } = await decodePicture(fileURLToPath(handedOut));
    const pixel = (x: number, y: number) => [...rgb.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    assert.equal(
      [pixel(4, 6), pixel(5, 7), pixel(15, 11)],
      [
        [78, 119, 92],
        [94, 139, 110],
        [237, 221, 233],
      ],
    );
  });
  browserTest("a Display P3 picture gives the same bytes (browser)", async (page) => {
    const one = { name: "p3.png", file: readFileSync(handedOut, "base64"), size: 7, resized: [] };
    const found = await page.evaluate((one) => picturePage.decode(one), one);
    assert.equal(found, [...(await decodeSquare(fileURLToPath(handedOut), 7))]);
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
  const file = join(scratch, "grey.png");
  await sharp({ create: { width: 3, height: 2, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
    .greyscale()
    .png()
    .toFile(file);
  const picture = await decodePicture(file);
  assert.equal([picture.width, picture.height, ...picture.rgb], [3, 2, ...Array(18).fill(255)]);
  assert.is((await decodeSquare(file, 4)).length, 48);
  for (const [name, bytes] of Object.entries({ "empty.png": "", "text.jpg": "not a picture" })) {
    writeFileSync(join(scratch, name), bytes);
    const failure = await decodePicture(join(scratch, name)).catch((error: Error) => error);
    assert.instance(failure, Error);
    assert.match((failure as Error).message, name);
  }
  const missing = await decodePicture(join(scratch, "missing.png")).catch((error: Error) => error);
  assert.match((missing as Error).message, "missing.png");
});

test.after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  if ("page" in opened) await opened.close();
});

test.run();
