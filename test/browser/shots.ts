// Takes the pictures of docs/images: each tab of the page in light, in dark and on a phone. Run it by itself:
// node --import ./cli/register.mjs test/browser/shots.ts
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { findChromium } from "../../cli/advice.mjs";
import { serve } from "../../web/build/serve.ts";
import { buildSite } from "../../web/build/site.ts";
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
for (const tab of ["search", "device"]) {
  await page!.locator(`#tab-${tab}`).click();
  if (tab === "device") await page!.getByText("maxBufferSize").waitFor();
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
