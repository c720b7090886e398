// The op table in headless Chromium, and the driver's check as a page calls it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openPage } from "./browser/harness.ts";
import type { OpsSide } from "./browser/ops.ts";
import { testHome } from "./home.ts";

declare const opsSide: OpsSide;

const opened = await openPage("ops.ts");
if ("page" in opened) await opened.page.evaluate(() => opsSide.open());

await testHome(
  "browser",
  "skipped" in opened
    ? opened
    : {
        run: (name) => opened.page.evaluate((name) => opsSide.run(name), name),
        close: () => opened.close(),
      },
);

test("the driver's check in a page", async () => {
  if ("skipped" in opened) {
    console.log(`\nskipped: the driver's check in a page (${opened.skipped})`);
    return;
  }
  const names = ["softmax 7x577 f32", "topk drawn indices 3x1000 k 10 f32"];
  const verdicts = await opened.page.evaluate((names) => opsSide.checkOps(names), names);
  assert.equal(
    verdicts.map(({ name, failures, skipped }) => ({ name, failures, skipped })),
    names.map((name) => ({ name, failures: [], skipped: null })),
  );
});

test.run();
