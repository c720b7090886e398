// The page in headless Chromium, as people meet it: searches, wrong files, long texts, quick typing, two tabs, a lost
// device, no network, no WebGPU; and what it must never do.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BrowserContext, Page } from "playwright-core";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findChromium } from "../cli/advice.mjs";
import { type Served, serve } from "../web/build/serve.ts";
import { buildSite } from "../web/build/site.ts";
import { launch } from "./browser/harness.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), "casement-web-"));
const site = join(scratch, "site");
const chromium = findChromium();
const waving = join(root, "node_modules/emoji-datasource-google/img/google/64/1f44b.png");
const run = join(root, "checkpoints/emoji-small");
/** The machine may have other work: everything takes longer by so much. */
const load = () => Math.max(1, loadavg()[0]! / availableParallelism());

let context: BrowserContext;
let page: Page;
let served: Served;
const faults: string[] = [];
/** Milliseconds of tasks on the page's thread that took over 50. */
const longTasks: number[] = [];

interface Observed {
  longTasks: number[];
}

/** Takes note of long tasks; before a page is loaded anew, too. */
async function gatherTasks(): Promise<void> {
  const found = await page.evaluate(() => (globalThis as unknown as Observed).longTasks.splice(0));
  longTasks.push(...found);
}

function watch(context: BrowserContext): void {
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
  });
  context.on("weberror", (error) => faults.push(error.error().message));
}

/** Waits until a text has been answered. */
const answered = (page: Page, text: string) =>
  page.waitForFunction(
    (text) => document.querySelector<HTMLElement>(".search")?.dataset.text === text,
    text,
    {
      timeout: 60_000,
    },
  );
const namesIn = (page: Page, way: string) =>
  page
    .locator(`.column.${way} .answer`)
    .evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset.name));
const says = (page: Page, words: RegExp, where = "body") =>
  page.locator(where).getByText(words).first().waitFor({ timeout: 60_000 });

async function ask(page: Page, text: string): Promise<void> {
  await page.fill("#change", text);
  await answered(page, text);
}

/** Opens the page and waits for its first answers. */
async function openTab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(served.address, { waitUntil: "load" });
  await page.waitForSelector(".column .answer", { timeout: 120_000 });
  return page;
}

/** A test in the browser, skipped by name where there is none. */
function browserTest(title: string, work: () => Promise<void>): void {
  test(title, async () => {
    if (!chromium) console.log(`\nskipped: ${title} (no Chromium here)`);
    else await work();
  });
}

test.before(async () => {
  await buildSite(site);
  served = await serve(site, { port: 0 });
  if (!chromium) return;
  context = await launch(chromium, join(scratch, "profile"));
  watch(context);
  await context.addInitScript(() => {
    const tasks: number[] = [];
    Object.assign(globalThis, { longTasks: tasks });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe({ type: "longtask", buffered: true });
  });
  const start = performance.now();
  page = await openTab(context);
  console.log(
    `\nfrom load to the first answer: ${((performance.now() - start) / 1000).toFixed(1)} s, load ${load().toFixed(1)}`,
  );
});

test.after(async () => {
  await context?.close();
  await served?.close();
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
});

/** The status of a path as it stands, which `fetch` would tidy first. */
const statusOf = (path: string) =>
  new Promise<{ status: number; policy: string }>((resolve, reject) => {
    const { hostname, port } = new URL(served.address);
    request({ hostname, port, path }, (response) => {
      response.resume();
      resolve({ status: response.statusCode!, policy: `${response.headers["content-security-policy"]}` });
    })
      .on("error", reject)
      .end();
  });

test("the server binds loopback, serves nothing outside of its folder, and forbids inline scripts and eval", async () => {
  assert.is(new URL(served.address).hostname, "127.0.0.1");
  writeFileSync(join(scratch, "outside.txt"), "secret");
  for (const path of [
    "/../outside.txt",
    "/%2e%2e/outside.txt",
    "/..%2foutside.txt",
    "/assets/../../outside.txt",
    "/none",
  ]) {
    const { status } = await statusOf(path);
    assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
  }
  const { status, policy } = await statusOf("/");
  assert.is(status, 200);
  assert.match(policy, /script-src 'self'/);
  assert.not.match(policy, /unsafe/);
});

test("a folder with other files is left alone", async () => {
  const other = join(scratch, "other");
  mkdirSync(other);
  writeFileSync(join(other, "mine.txt"), "");
  await buildSite(other).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /is not empty/),
  );
});

browserTest("a search gives the command line's ten", async () => {
  const text = "make the skin dark";
  await page.setInputFiles("#reference", waving);
  await says(page, /^1f44b\.png$/, "figcaption");
  await ask(page, text);
  const args = ["search", "--run", run, "--image", waving, "--text", text, "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, "cli/casement.mjs"), ...args]);
  const { answers } = JSON.parse(stdout) as { answers: { name: string }[] };
  assert.equal(
    await namesIn(page, "both"),
    answers.map(({ name }) => name),
  );
  assert.is((await namesIn(page, "image")).length, 10);
  assert.not.equal(await namesIn(page, "image"), await namesIn(page, "both"));
  assert.not.equal(await namesIn(page, "text"), await namesIn(page, "both"));
});

browserTest("the picture that is meant is ranked in each column and labelled; wordings spread", async () => {
  await page.locator(".column.both .answer").first().click();
  await says(page, /rank 1$/, ".verdict");
  assert.is((await page.locator(".verdict .label").count()) > 0, true);
  await page.fill("#wording", "<img src=x onerror=alert(1)> dark");
  await page.locator(".wordings form button").click();
  await says(page, /onerror/, ".chips");
  assert.is(await page.locator("img[src=x]").count(), 0);
  assert.ok((await page.locator(".chip").count()) >= 2);
});

browserTest("each word shows where it looks, by keyboard too, in shares that sum to 1", async () => {
  const words = page.locator(".word");
  await words.first().waitFor();
  assert.equal(await words.allTextContents(), ["make", "the", "skin", "dark"]);
  await words.last().focus();
  const shares = await page.locator(".overlay span").allTextContents();
  assert.is(shares.length, 4);
  const sum = shares.reduce((sum, share) => sum + Number.parseInt(share, 10), 0);
  assert.ok(Math.abs(sum - 100) <= 2, `${shares}`);
});

browserTest("broken, huge and animated pictures get a clear message each", async () => {
  const broken = join(scratch, "broken.png");
  writeFileSync(broken, "\x89PNG\r\n\x1a\n and no more");
  await page.setInputFiles("#reference", broken);
  await says(page, /broken\.png can't be used as a picture/);
  const huge = join(scratch, "huge.png");
  await sharp({ create: { width: 9000, height: 6000, channels: 3, background: "#357" } })
    .png()
    .toFile(huge);
  await page.setInputFiles("#reference", huge);
  await says(page, /9000 x 6000 pixels; the most is 50 million/);
  const frames = ["#c22", "#22c"].map((background) =>
    sharp({ create: { width: 40, height: 40, channels: 3, background } })
      .png()
      .toBuffer(),
  );
  const animated = join(scratch, "<b>animated</b>.gif".replaceAll("/", "-"));
  await sharp(await Promise.all(frames), { join: { animated: true } })
    .gif()
    .toFile(animated);
  await page.setInputFiles("#reference", animated);
  await says(page, /is animated: its first frame counts/);
  assert.is(await page.locator("figcaption b").count(), 0);
});

browserTest(
  "a text of 10,000 characters is cut with a word about it; quick typing ends at the last answer",
  async () => {
    await page.setInputFiles("#reference", waving);
    await says(page, /^1f44b\.png$/, "figcaption");
    await ask(page, "dark ".repeat(2000));
    await says(page, /longer than the model's 24 tokens/);
    await ask(page, "make the skin dark");
    const wanted = await namesIn(page, "both");
    await ask(page, "");
    assert.equal(await namesIn(page, "both"), []);
    await page.locator("#change").pressSequentially("make the skin dark", { delay: 15 });
    await answered(page, "make the skin dark");
    assert.equal(await namesIn(page, "both"), wanted);
    const times: number[] = [];
    for (const text of ["with white hair", "a woman instead", "light skin"]) {
      const start = performance.now();
      await ask(page, text);
      times.push(performance.now() - start);
    }
    console.log(
      `from a text to its answers, with 120 ms of patience: ${times.map(Math.round)} ms, load ${load().toFixed(1)}`,
    );
  },
);

/** What the page says it has on the GPU. */
async function memoryInUse(): Promise<string> {
  await page.locator("#tab-device").click();
  const line = page.locator("dt", { hasText: "memory in use" });
  // An earlier visit's figure may still be there.
  await line.waitFor();
  await page.waitForTimeout(300);
  const words = await page.locator("dt:has-text('memory in use') + dd").textContent();
  await page.locator("#tab-search").click();
  return words!;
}

browserTest("searches leave nothing on the GPU", async () => {
  const texts = ["dark skin", "make it a woman", "with curly hair now"];
  for (const text of texts) await ask(page, text);
  const before = await memoryInUse();
  for (let i = 0; i < 4; i++) for (const text of texts) await ask(page, text);
  assert.is(await memoryInUse(), before);
});

browserTest("own pictures are kept, found, seen by another tab, and removed", async () => {
  const own = join(scratch, "own.png");
  await sharp(waving).negate({ alpha: false }).toFile(own);
  const files = [own, join(scratch, "broken.png")];
  await page.setInputFiles("#add-pictures", files);
  await says(page, /1 pictures were added. 1 could not be/);
  await says(page, /and 1 of yours are searched/);
  await page.setInputFiles("#reference", waving);
  await ask(page, "negative");
  const found = (page: Page) => page.locator('.answer[data-name="own.png"]').count();
  const other = await openTab(context);
  await says(other, /and 1 of yours are searched/);
  await page.setInputFiles("#reference", own);
  await says(page, /^own\.png$/, "figcaption");
  // The picture itself does not compete.
  await ask(page, "again");
  assert.is(await found(page), 0);
  await page.locator("button", { hasText: "Remove my pictures" }).click();
  await says(page, /and 0 of yours are searched/);
  await says(other, /and 0 of yours are searched/);
  await other.close();
});

browserTest("a run's folder becomes the model, and the page's own one comes back", async () => {
  await page.setInputFiles("#add-pictures", [waving]);
  await says(page, /and 1 of yours are searched/);
  await page.setInputFiles("#open-model", [join(run, "config.json")]);
  await says(page, /tokenizer\.json is not among the files/);
  const files = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => join(run, name));
  await page.setInputFiles("#open-model", files);
  await says(page, /emoji-small is there\. It searches your pictures/);
  await page.setInputFiles("#reference", join(scratch, "own.png"));
  await says(page, /^own\.png$/, "figcaption");
  await ask(page, "a hand");
  assert.equal(await namesIn(page, "both"), ["1f44b.png"]);
  await page.locator("button", { hasText: "Back to the page's own model" }).click();
  await says(page, /10,937 pictures of the page/);
  await page.locator("button", { hasText: "Remove my pictures" }).click();
  await says(page, /and 0 of yours are searched/);
});

browserTest("a lost device comes back with its state", async () => {
  await page.setInputFiles("#reference", waving);
  await ask(page, "dark skin");
  const wanted = await namesIn(page, "both");
  const [worker] = page.workers();
  await worker!.evaluate(() => {
    const { prototype } = GPUDevice;
    const create = prototype.createCommandEncoder;
    prototype.createCommandEncoder = function (this: GPUDevice, ...args) {
      Object.assign(globalThis, { seenDevice: this });
      return create.apply(this, args);
    };
  });
  await ask(page, "light skin");
  await worker!.evaluate(() => (globalThis as unknown as { seenDevice: GPUDevice }).seenDevice.destroy());
  await says(page, /The GPU was lost and is back/);
  await ask(page, "dark skin");
  assert.equal(await namesIn(page, "both"), wanted);
});

/** What axe finds wrong with what is shown. */
async function violations(tab: Page): Promise<string[]> {
  if (tab === page) await gatherTasks();
  // As a tool of the test's: the page's policy lets no script in.
  await tab.evaluate(`${await source()};0`);
  return tab.evaluate(async () => {
    const { axe, longTasks } = globalThis as unknown as Partial<Observed> & {
      axe: typeof import("axe-core");
    };
    const { violations } = await axe.run();
    // Those were axe's own tasks; observers hear of them a little later.
    await new Promise((resolve) => setTimeout(resolve, 200));
    longTasks?.splice(0);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
  });
}
const source = () =>
  import("node:fs/promises").then(({ readFile }) => readFile(require.resolve("axe-core/axe.min.js"), "utf8"));

browserTest(
  "this device: adapter, limits and kernels; the check names cases and can be stopped",
  async () => {
    await page.keyboard.press("Escape");
    await page.locator("#tab-search").focus();
    await page.keyboard.press("ArrowRight");
    await says(page, /maxStorageBufferBindingSize/);
    await says(page, /subgroups of \d+/);
    await page.locator("button", { hasText: "Check this device" }).click();
    await page.locator("tbody tr").first().waitFor({ timeout: 120_000 });
    await page.locator("button", { hasText: "Stop" }).click();
    await says(page, /^Stopped\. \d+ cases are right, 0 wrong/);
    assert.equal(await violations(page), []);
    await page.keyboard.press("Home");
  },
);

browserTest("axe finds nothing wrong, in light, in dark and on a phone", async () => {
  await page.locator("#tab-search").click();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.equal(await violations(page), [], colorScheme);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await violations(page), []);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `${width} pixels wide on a phone`);
});

browserTest("without a network the page opens and answers", async () => {
  await gatherTasks();
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await page.reload();
  await page.waitForSelector(".column .answer", { timeout: 60_000 });
  const { port } = new URL(served.address);
  await served.close();
  try {
    await page.reload();
    await page.waitForSelector(".column.both .answer", { timeout: 60_000 });
  } finally {
    served = await serve(site, { port: Number(port) });
  }
});

browserTest("without WebGPU the page says what to do, and pixels are searched", async () => {
  const bare = await launch(chromium!, join(scratch, "bare"), { gpu: false });
  watch(bare);
  try {
    const page = await openTab(bare);
    await says(page, /gives the page no GPU/);
    await says(page, /version 113/);
    await page.setInputFiles("#reference", waving);
    await says(page, /^1f44b\.png$/, "figcaption");
    await page.waitForFunction(() =>
      document.querySelector(".answer")?.getAttribute("data-name")?.startsWith("google/1f44b"),
    );
    assert.equal(await violations(page), []);
  } finally {
    await bare.close();
  }
});

browserTest("no task on the page's thread takes long, and the console stays quiet", async () => {
  await gatherTasks();
  const longest = Math.max(0, ...longTasks);
  console.log(
    `longest task on the page's thread: ${longest} ms (0: none over 50), load ${load().toFixed(1)}`,
  );
  assert.ok(longest < 100 * load(), `${longest} ms`);
  assert.equal(faults, []);
});

test.run();
