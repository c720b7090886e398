// casement's ground in a browser: Chromium gives an adapter, and a compute shader run there is right.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openPage } from "./browser/harness.ts";
import type { CasementPage } from "./browser/page.ts";

declare const casementPage: CasementPage;

const opened = await openPage("page.ts");

test.after(async () => {
  if ("page" in opened) await opened.close();
});

test("a compute shader squares numbers in the browser", async () => {
  if ("skipped" in opened) {
    console.log(`\nskipped: a compute shader squares numbers in the browser (${opened.skipped})`);
    return;
  }
  const adapter = await opened.page.evaluate(() => casementPage.describeAdapter());
  assert.ok(adapter, "the browser gives no adapter");
  const numbers = Array.from({ length: 100 }, (_, i) => i - 50);
  const squares = await opened.page.evaluate((values) => casementPage.squareAll(values), numbers);
  assert.equal(
    squares,
    numbers.map((x) => x * x),
  );
});

test.run();
