// Takes the pictures of docs/images: each tab of the page in light, in dark and on a phone. Run it by itself:
// node --import ./cli/register.mjs test/browser/shots.ts [TAB...]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { allKernels } from "../../cases/kernels.ts";
import { findChromium } from "../../cli/advice.mjs";
import { serve } from "../../web/build/serve.ts";
import { buildSite } from "../../web/build/site.ts";
import { textOf } from "../../web/worker/kernels/text.ts";
import { launch } from "./harness.ts";

const images = fileURLToPath(new URL("../../docs/images", import.meta.url));
const executablePath = findChromium();
if (!executablePath) throw new Error("there is no Chromium here");
const scratch = await mkdtemp(join(tmpdir(), "casement-shots-"));
const site = join(scratch, "site");
await buildSite(site);
const served = await serve(site, { port: 0 });
const context = await launch(executablePath, join(scratch, "profile"), { reducedMotion: "reduce" });
const [page] = context.pages();
await page!.goto(served.address);
await page!.locator(".word").first().waitFor({ timeout: 120_000 });

const desk = { width: 1200, height: 800 };
const phone = { width: 390, height: 844 };
/** A run of minutes, long enough for curves. */
const run = { steps: 240, pictures: 48, triplets: 64, warmup: 20 };
const longest = 15 * 60_000;

/** Measures some small cases and times a kernel's edit. */
async function fillKernels(page: Page): Promise<void> {
  await page.getByText(/kernels run here/).waitFor({ timeout: 120_000 });
  const cases = [
    "64x64x64",
    "128x128x128",
    "256x256x256 f32",
    "384x96x640",
    "640x288x96",
    "gelu 577x3072 f32",
  ];
  await page.fill("#kernel-filter", [...cases, "sum 1000x1000", "layernorm 4616x768 f32"].join(", "));
  await page.getByRole("button", { name: /^Measure these/ }).click();
  await page.getByText(/cases are measured/).waitFor({ timeout: 600_000 });
  await page.locator(".part", { hasText: /^gelu$/ }).click();
  const text = textOf(allKernels.find(({ name }) => name === "gelu")!, true);
  const [line] = text.match(/^.*return 0\.5 \* x \* .*$/m)!;
  const edit = "  let half = 0.5 * x;\n  return fma(half, erf(x * 0.70710678118654752), half);";
  const content = page.locator(".cm-content");
  await content.focus();
  await page.keyboard.press("Control+a");
  await content.evaluate(
    (element, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    },
    text.replace(line, edit),
  );
  await page.keyboard.press("Control+Enter");
  await page.getByText(/^Right in/).waitFor({ timeout: 600_000 });
  await page.locator(".cm-scroller").evaluate((scroller) => scroller.scrollTo(0, 310));
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
}

// Some take minutes on a processor.
const wanted = process.argv.slice(2);
for (const tab of ["search", "train", "kernels", "device"].filter(
  (tab) => wanted.length === 0 || wanted.includes(tab),
)) {
  await page!.locator(`#tab-${tab}`).click();
  if (tab === "train") {
    await page!.locator(".field").first().waitFor();
    for (const group of await page!.locator(".fields summary").all()) await group.click();
    for (const [name, value] of Object.entries(run)) await page!.fill(`#train-training-${name}`, `${value}`);
    for (const group of await page!.locator(".fields summary").all()) await group.click();
    await page!.locator("button", { hasText: "Start training" }).click();
    await page!.locator('.train[data-state="finished"]').waitFor({ timeout: longest });
  }
  if (tab === "device") await page!.getByText("maxBufferSize").waitFor();
  if (tab === "kernels") await fillKernels(page!);
  for (const [name, colorScheme, size] of [
    ["light", "light", desk],
    ["dark", "dark", desk],
    ["phone", "light", phone],
  ] as const) {
    await page!.emulateMedia({ colorScheme });
    await page!.setViewportSize(size);
    if (tab === "search") await page!.locator(".word").last().focus();
    await page!.evaluate(() => scrollTo(0, 0));
    const shot = await page!.screenshot({ fullPage: name !== "phone" });
    await sharp(shot)
      .png({ palette: true, effort: 10 })
      .toFile(join(images, `web-${tab}-${name}.png`));
  }
}
await context.close();
await served.close();
await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
