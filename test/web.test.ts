// The page in headless Chromium, as people meet it: searches, wrong files, long texts, quick typing, two tabs, a lost
// device, kernels measured and edited, no network, no WebGPU; and what it must never do.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { BrowserContext, Page, Worker } from "playwright-core";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allKernels } from "../cases/kernels.ts";
import { findChromium } from "../cli/advice.mjs";
import { Engine } from "../engine/index.ts";
import { parseConfig } from "../train/config.ts";
import tiny from "../train/configs/emoji-tiny.json" with { type: "json" };
import { openEmoji } from "../train/data/emoji/index.ts";
import type { Metrics } from "../train/eval/metrics.ts";
import type { StepRecord } from "../train/loop/record.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { saveCheckpoint } from "../train/run/checkpoint.ts";
import { folderStore } from "../train/run/disk.ts";
import { Journal } from "../train/run/journal.ts";
import { makeTokenizer } from "../train/run/tokenizer.ts";
import { makeTrainer } from "../train/run/trainer.ts";
import { type Served, serve } from "../web/build/serve.ts";
import { buildSite } from "../web/build/site.ts";
import type { Figures } from "../web/page/kernels/report.ts";
import { modelNames } from "../web/site-files.ts";
import { Engines } from "../web/worker/kernels/engines.ts";
import { guardLoops } from "../web/worker/kernels/guard.ts";
import { textOf } from "../web/worker/kernels/text.ts";
import { readModel } from "../web/worker/model.ts";
import { type Bench, Benches } from "../web/worker/search/bench.ts";
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
  longTasks: { startTime: number; duration: number }[];
  /** From when to when the test's own tools ran in the page. */
  toolTimes: [from: number, to: number][];
}

/** Takes note of long tasks but for those of the test's tools; before a page is loaded anew, too. */
async function gatherTasks(): Promise<void> {
  const found = await page.evaluate(() => {
    const { longTasks, toolTimes } = globalThis as unknown as Observed;
    return longTasks
      .splice(0)
      .filter(
        ({ startTime, duration }) =>
          !toolTimes.some(([from, to]) => startTime < to && from < startTime + duration),
      );
  });
  longTasks.push(...found.map(({ duration }) => duration));
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
    const tasks: Observed["longTasks"] = [];
    Object.assign(globalThis, { longTasks: tasks, toolTimes: [] });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) tasks.push({ startTime, duration });
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
const statusOf = (path: string, { address } = served, headers = {}) =>
  new Promise<{ status: number; policy: string }>((resolve, reject) => {
    const { hostname, port } = new URL(address);
    request({ hostname, port, path, headers }, (response) => {
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

test("for other machines it answers by any name, and prints an address that has WebGPU", async () => {
  const host = { host: "desk.example:4173" };
  assert.is((await statusOf("/", served, host)).status, 403);
  const open = await serve(site, { host: "0.0.0.0", port: 0 });
  try {
    assert.is(new URL(open.address).hostname, "localhost");
    assert.is((await statusOf("/", open, host)).status, 200);
  } finally {
    await open.close();
  }
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
  await page.locator(".column.both .answer").first().press("Enter");
  await says(page, /rank 1$/, ".verdict");
  assert.is(
    await page.locator(".column.both .answer.right:focus").count(),
    1,
    "a keyboard goes on from there",
  );
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
  // Words that an answer makes anew have lost the focus.
  await page.waitForFunction(() => {
    [...document.querySelectorAll<HTMLElement>(".word")].at(-1)?.focus();
    return document.querySelectorAll(".overlay span").length > 0;
  });
  const shares = await page.locator(".overlay span").allTextContents();
  assert.is(shares.length, 4);
  const sum = shares.reduce((sum, share) => sum + Number.parseInt(share, 10), 0);
  assert.ok(Math.abs(sum - 100) <= 2, `${shares}`);
});

/** Drops or pastes so many small pictures on an element. Returns whether the browser was kept from taking them itself. */
const give = (selector: string, how: "drop" | "paste", many = 1) =>
  page.locator(selector).evaluate(
    async (element, [how, many]) => {
      const data = new DataTransfer();
      for (let i = 0; i < many; i++) {
        const canvas = new OffscreenCanvas(8, 8);
        canvas.getContext("2d")!.fillRect(0, 0, 1 + (i % 8), 1 + (i >> 3));
        data.items.add(new File([await canvas.convertToBlob()], `drawn-${i}.png`, { type: "image/png" }));
      }
      const options = { bubbles: true, cancelable: true };
      const event =
        how === "drop"
          ? new DragEvent("drop", { ...options, dataTransfer: data })
          : new ClipboardEvent("paste", { ...options, clipboardData: data });
      return !element.dispatchEvent(event);
    },
    [how, many] as const,
  );

browserTest(
  "what is dropped beside a field, pasted on another tab or no picture changes nothing",
  async () => {
    const before = await page.locator("figcaption").first().textContent();
    assert.is(await give(".found", "drop"), true);
    await page.evaluate(() => location.assign("#device"));
    await page.locator("#panel-device").waitFor();
    assert.is(await give("body", "paste"), false);
    await page.evaluate(() => location.assign("#search"));
    await page.locator("#panel-search").waitFor();
    assert.is(await give("body", "paste", 0), true);
    await says(page, /What was pasted is no picture/);
    assert.is(await page.locator("figcaption").first().textContent(), before);
  },
);

browserTest("broken, huge and animated pictures get a clear message each", async () => {
  const drawing = join(scratch, "drawing.svg");
  writeFileSync(drawing, '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
  await page.setInputFiles("#reference", drawing);
  await says(page, /drawing\.svg can't be used as a picture: .* give a copy in one of these/);
  const broken = join(scratch, "broken.png");
  writeFileSync(broken, "\x89PNG\r\n\x1a\n and no more");
  await page.setInputFiles("#reference", broken);
  await says(page, /broken\.png can't be used as a picture/);
  // An answer that comes later does not take the words away.
  await ask(page, "with broken.png still told of");
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
    await ask(page, "肌を暗くする");
    await says(page, /The model knows none of these words/);
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
  // The second drop waits for the first, and leaves the buttons as they were.
  await give(".library .card >> nth=0", "drop", 2);
  await give(".library .card >> nth=0", "drop", 17);
  await says(page, /17 pictures were added/);
  await says(page, /and 20 of yours are searched/);
  assert.is(await page.locator("#add-pictures").isDisabled(), false);
  // Stopped, what was added stays, in whole batches.
  await give(".library .card >> nth=0", "drop", 160);
  await page.waitForFunction(() => {
    const stop = [...document.querySelectorAll("button")].find((one) => one.textContent === "Stop adding")!;
    stop.click();
    return !stop.hidden;
  });
  await says(page, /^\d+ pictures were added; stopped, \d+ were not\./);
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

/** Has a worker remember the device that it used last. */
async function catchDevice(worker: Worker): Promise<void> {
  await worker.evaluate(() => {
    const { prototype } = GPUDevice;
    const create = prototype.createCommandEncoder;
    prototype.createCommandEncoder = function (this: GPUDevice, ...args) {
      Object.assign(globalThis, { seenDevice: this });
      return create.apply(this, args);
    };
  });
}

browserTest("a lost device comes back with its state", async () => {
  await page.setInputFiles("#reference", waving);
  await says(page, /^1f44b\.png$/, "figcaption");
  await ask(page, "dark skin");
  const wanted = await namesIn(page, "both");
  const [worker] = page.workers();
  await catchDevice(worker!);
  await ask(page, "light skin");
  await says(page, /^light$/, ".words");
  // In the midst of the next question, which is asked once more.
  await worker!.evaluate(() => {
    const { prototype } = GPUQueue;
    const { submit } = prototype;
    prototype.submit = function (...args) {
      prototype.submit = submit;
      (globalThis as unknown as { seenDevice: GPUDevice }).seenDevice.destroy();
      return submit.apply(this, args);
    };
  });
  await ask(page, "dark skin");
  await says(page, /The GPU was lost and is back/);
  assert.equal(await namesIn(page, "both"), wanted);
});

/** What axe finds wrong with what is shown. */
async function violations(tab: Page): Promise<string[]> {
  if (tab === page) await gatherTasks();
  const from = await tab.evaluate(() => performance.now());
  // As a tool of the test's: the page's policy lets no script in.
  await tab.evaluate(`${await source()};0`);
  return tab.evaluate(async (from) => {
    const { axe, toolTimes } = globalThis as unknown as Partial<Observed> & {
      axe: typeof import("axe-core");
    };
    const { violations } = await axe.run();
    toolTimes?.push([from, performance.now()]);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
  }, from);
}
const source = () =>
  import("node:fs/promises").then(({ readFile }) => readFile(require.resolve("axe-core/axe.min.js"), "utf8"));

browserTest(
  "this device: adapter, limits and kernels; the check names cases and can be stopped",
  async () => {
    await page.keyboard.press("Escape");
    await page.locator("#tab-search").focus();
    await page.keyboard.press("End");
    await says(page, /maxStorageBufferBindingSize/);
    await says(page, /subgroups of \d+/);
    await page.locator("button", { hasText: "Check this device" }).click();
    await page.locator("tbody tr").first().waitFor({ timeout: 120_000 });
    await page.locator("button", { hasText: /^Stop$/ }).click();
    await says(page, /^Stopped\. \d+ cases are right, 0 wrong/);
    assert.equal(await violations(page), []);
    await page.keyboard.press("Home");
  },
);

/** The WGSL of gelu as the Kernels tab has it. */
const geluText = textOf(allKernels.find(({ name }) => name === "gelu")!, true);
const geluCase = "gelu 577x3072 f32";
const lineOf = (text: string, part: string) => text.slice(0, text.indexOf(part)).split("\n").length;

/** Pastes a text into the editor in the place of all, and has it checked. Returns what is said of it. */
async function tryText(text: string): Promise<string> {
  const content = page.locator(".cm-content");
  await content.focus();
  await page.keyboard.press("Control+a");
  await content.evaluate((element, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, text);
  assert.is(await page.locator(".workshop .verdict p").count(), 0, "what was said is of another text");
  await page.keyboard.press("Control+Enter");
  const verdict = page.locator(".workshop .verdict");
  await verdict.locator("p").first().waitFor({ timeout: 180_000 });
  return (await verdict.textContent())!;
}

test("loops are counted wherever they stand, and lines stay what they are", () => {
  const text = `// for (;;) {}
fn f(n: u32) -> u32 { /* while /* nested */ loop { */
  var sum = 0u;
  for (var i = 0u; i < max(n, (2u)); i++) { while sum < i { sum++; } }
  loop { sum++; if (sum > 9u) { break; } continuing { sum++; } }
  return sum; // loop {
}`;
  const guarded = guardLoops(text, 7);
  assert.equal(guarded.lines, [4, 4, 5]);
  const left = (number: number) => `{ atomicStore(&turnsGuard[0], ${number}u); break; }`;
  const counted = (number: number) => ` turnsOf${number}++; if (turnsOf${number} > 7u) ${left(number)}`;
  const begun = (number: number) => `var turnsOf${number} = min(params.gridStart.x, 1u); `;
  const wanted = text
    .replace("for (var i", `${begun(1)}for (var i`)
    .replace("i++) {", `i++) {${counted(1)}`)
    .replace("while sum < i {", `${begun(2)}while sum < i {${counted(2)}`)
    .replace("  loop {", `  ${begun(3)}loop {${counted(3)}`);
  assert.is(guarded.text, wanted);
  // Nothing stands behind a loop that has no break of its own: it is left by a return.
  const leaves = (text: string) => /turnsGuard\[0\], 1u\); (.*?;)/.exec(guardLoops(text, 7).text)![1];
  const within = "loop { break; } switch n { default { break; } }";
  assert.is(
    leaves(`fn f(n: u32) -> vec4<f32> { for (var i = 0; ; i++) { ${within} } }`),
    "return vec4<f32>();",
  );
  assert.is(
    leaves(`fn f() -> u32 { return 1u; } fn g() { loop { if (x) { return; } ${within} } }`),
    "return;",
  );
  assert.is(leaves(`fn g() { loop { ${within} if (x) { break; } } }`), "break;");
  assert.is(leaves("fn g() { for (; i < 3; ) { } }"), "break;");
});

test("no question meets a model before its pictures lie there, also where the next device is lost in between", async () => {
  const part = (name: string) => ({ name, file: new Blob([readFileSync(join(run, name))]) });
  const files = await readModel(modelNames.map(part), false);
  const news: string[] = [];
  const furnished = new Set<Bench>();
  let losses = 0;
  const benches = new Benches(
    async (bench) => {
      await pause(50);
      if (losses-- > 0) bench.engine.device.destroy();
      await bench.engine.idle();
      furnished.add(bench);
    },
    ({ kind }) => news.push(kind),
  );
  const ask = () =>
    benches.use(async (bench) => {
      await bench.engine.idle();
      return furnished.has(bench);
    });
  const { engine } = await benches.take({ files, rows: null });
  assert.ok(await ask());
  losses = 1;
  engine.device.destroy();
  assert.equal(await Promise.all([ask(), ask()]), [true, true]);
  assert.ok(await ask());
  assert.equal(news, ["lost", "back"]);
  // Another model that can't be put there leaves the one before.
  losses = 9;
  await benches.take({ files, rows: null }).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /lost/),
  );
  assert.ok(await ask());
  await benches.use(async ({ engine }) => engine.dispose());
});

test("a device that does not answer is given up, and the next question opens another", async () => {
  const engines = new Engines(() => {});
  const engine = await engines.get("times");
  engines.begin();
  await engines
    .within(engine, 0.02, () => new Promise(() => {}))
    .then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /did not answer for 0\.02 seconds/),
    );
  const next = await engines.get("times");
  assert.is.not(next, engine);
  assert.is(await engines.within(next, 60, () => next.tensor([3], [1]).item()), 3);
  engines.stop();
  await engines
    .within(next, 60, async () => 1)
    .then(
      () => assert.unreachable(),
      (error: Error) => assert.is(error.name, "StoppedError"),
    );
  for (const one of [engine, next]) one.dispose();
});

browserTest("a case is timed, held against float64, and has its dot in the roofline", async () => {
  await page.locator("#tab-kernels").click();
  await says(page, /\d+ kernels run here/);
  await page.fill("#kernel-filter", "f16");
  await says(page, /can't run here: the adapter has no f16/);
  await page.fill("#kernel-filter", "gelu 577x3072 f,");
  // One of the two has no f16 here.
  await page.getByRole("button", { name: "Measure these 1", exact: true }).waitFor();
  assert.is(await page.locator(".kernels tbody tr:visible").count(), 2);
  await page.fill("#kernel-filter", "no such case");
  await says(page, /^No case has "no such case" in its name\.$/);
  await page.fill("#kernel-filter", geluCase);
  await page.getByRole("button", { name: "Measure these 1" }).click();
  await page.getByText(/1 of \d+ cases are measured/).waitFor({ timeout: 180_000 });
  const [milliseconds, spread, rate, share] = await page
    .locator(`tr[data-case="${geluCase}"] td.number`)
    .allTextContents();
  assert.ok(Number(milliseconds) > 0);
  assert.match(spread!, /^\d+ %$/);
  assert.match(rate!, /^[\d.,]+ (GB|GFLOP)\/s$/);
  assert.match(share!, /^\d+ %$/);
  assert.match(
    (await page.locator("svg.roofline").getAttribute("aria-label"))!,
    /peaks are [\d.,]+ GFLOP\/s and [\d.,]+ GB\/s; gelu 577x3072 f32 [\d.,]+ GFLOP\/s/,
  );
});

browserTest(
  "an edit that is wrong is told with the element, one that does not compile with its line",
  async () => {
    await page.locator(".part", { hasText: /^gelu$/ }).click();
    await page.waitForFunction(
      () => document.querySelector<HTMLSelectElement>("#kernel-name")?.value === "gelu",
    );
    assert.is(await page.inputValue("#kernel-case"), geluCase);
    assert.match(
      await tryText(geluText.replace("(1.0 + erf", "(1.0 - erf")),
      /Wrong in 3 of \d+ cases; \d+ more were not tried\.gelu .*element \d+: -?[\d.e-]+ instead of -?[\d.e-]+/,
    );
    const broken = geluText.replace("return 0.5 * x", "return 0.5 * oops");
    assert.match(await tryText(broken), /does not compile: one error.*unresolved value 'oops'/);
    const line = lineOf(broken, "oops");
    await page.getByRole("button", { name: `line ${line}`, exact: true }).click();
    assert.match((await page.locator(".cm-activeLine").textContent())!, /oops/);
    assert.is(await page.locator(".cm-lint-marker-error").count(), 1);
  },
);

browserTest("a loop that never ends is left, and the page says which", async () => {
  const endless = geluText.replace("let first", "for (var n = 0u; n < 2u; n += 0u) {}\n  let first");
  assert.match(await tryText(endless), /The loop on line 6 does not end: it was left after 65,536 turns/);
});

browserTest(
  "a right edit is timed beside the original and moves its dot; the original comes back",
  async () => {
    const same = geluText.replace("return 0.5 * x *", "// <img src=x onerror=alert(1)>\n  return x * 0.5 *");
    assert.match(
      await tryText(same),
      /^Right in \d cases\. gelu 577x3072 f32 takes [\d.]+ ms instead of [\d.]+: [\d.]+ times as fast, by rounds [\d.]+ to [\d.]+\.$/,
    );
    assert.is(await page.locator("svg.roofline .moved").count(), 1);
    await page.getByRole("button", { name: "Put back the original" }).click();
    assert.is(await page.getByRole("button", { name: "Put back the original" }).isDisabled(), true);
    assert.is(await page.locator("svg.roofline .moved").count(), 0);
    // By Ctrl-Z as anybody would.
    await page.locator(".cm-content").focus();
    await page.keyboard.press("Control+z");
    assert.match((await page.locator(".cm-content").textContent())!, /onerror/);
  },
);

browserTest("a lost device is told, and the next run opens it again", async () => {
  const worker = page.workers().find((one) => /kernels/.test(one.url()))!;
  await worker.evaluate(() => {
    const { prototype } = GPUDevice;
    const create = prototype.createCommandEncoder;
    prototype.createCommandEncoder = function (this: GPUDevice, ...args) {
      prototype.createCommandEncoder = create;
      setTimeout(() => this.destroy());
      return create.apply(this, args);
    };
  });
  await page.getByRole("button", { name: "Check and time" }).click();
  await says(page, /The GPU was lost/, ".kernels");
  await page.getByRole("button", { name: "Check and time" }).click();
  await says(page, /^Right in/, ".workshop .verdict");
});

browserTest(
  "figures go along as JSON and as a file that opens by itself, without what people wrote as HTML",
  async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy as JSON" }).click();
    await says(page, /^Copied\.$/);
    const figures = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as Figures;
    const [timed] = figures.cases;
    assert.is(timed!.name, geluCase);
    assert.ok(timed!.error < 1e-5 && timed!.samples.length >= 3 && figures.peak!.gbps > 0);
    assert.is(figures.edits[0]!.outcome!.kind, "right");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save as HTML" }).click(),
    ]);
    const file = join(scratch, "kernels.html");
    await download.saveAs(file);
    const report = await context.newPage();
    await report.goto(pathToFileURL(file).href);
    await says(report, /Right in \d cases/);
    await says(report, /<img src=x onerror=alert\(1\)>/, "mark");
    assert.is(await report.locator("script, img").count(), 0);
    assert.is((await report.locator("svg circle").count()) > 0, true);
    const row = await report.locator("tbody tr").allTextContents();
    assert.match(row[0]!, `${geluCase}`);
    assert.equal(await violations(report), []);
    await report.close();
  },
);

/** Axe finds nothing wrong in light and in dark on a phone, and nothing is wider than the smallest of those. */
async function isFit(): Promise<void> {
  const size = page.viewportSize()!;
  assert.equal(await violations(page), []);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 320, height: 700 });
  assert.equal(await violations(page), []);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `${width} pixels wide on a phone`);
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: "light" });
}

browserTest("the Kernels tab by axe, in dark and on a phone", isFit);

/** What the form begins with, small enough for seconds. */
const small = {
  ...tiny,
  name: "small",
  seed: 3,
  model: {
    ...tiny.model,
    vision: { ...tiny.model.vision, width: 16, depth: 1, heads: 2 },
    text: { ...tiny.model.text, width: 16, depth: 1, heads: 2, intermediate: 32, dropout: 0.1 },
    projection: 16,
  },
  training: {
    ...tiny.training,
    ...{ steps: 40, pictures: 8, triplets: 12, learningRate: 0.001, warmup: 2, checkpointEvery: 4 },
  },
};

/** The same run by Node: its first steps, and its folder as it stands after ten of them. */
async function trainInNode(folder: string): Promise<StepRecord[]> {
  const config = parseConfig(small, "small");
  const engine = await Engine.create();
  const emoji = await openEmoji({ size: 32 });
  const tokenizer = await makeTokenizer(config, emoji.training);
  const model = makeModel(engine, config, tokenizer.size);
  model.parameters.initialize(config.seed);
  const trainer = makeTrainer(engine, model, tokenizer, emoji.training, config);
  const store = folderStore(folder);
  const journal = new Journal(store);
  const records: StepRecord[] = [];
  await store.write("config.json", JSON.stringify(config));
  await store.write("tokenizer.json", JSON.stringify(tokenizer.toJSON()));
  await journal.open();
  const onStep = async (record: StepRecord) => {
    records.push(record);
    if (record.step <= 10) await journal.step(record);
  };
  await trainer.run(10, onStep);
  await saveCheckpoint(store, model.parameters, trainer.optimizer, trainer.seconds);
  await trainer.run(12, onStep);
  trainer.dispose();
  engine.dispose();
  await emoji.close();
  return records;
}

const state = (tab: Page, wanted: string) =>
  tab.locator(`.train[data-state="${wanted}"]`).waitFor({ timeout: 120_000 });
const stepIs = (wanted: number) =>
  page.waitForFunction(
    (wanted) => Number(document.querySelector<HTMLElement>(".train")?.dataset.step) >= wanted,
    wanted,
    { timeout: 120_000 },
  );
const press = (text: string) => page.locator(".train button", { hasText: text }).click();
/** The steps that the page's storage has told of. */
async function stored(): Promise<StepRecord[]> {
  const text = await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("casement-run");
    return (await (await folder.getFileHandle("metrics.jsonl")).getFile()).text();
  });
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}
/** What of steps doesn't depend on how long they took. */
const numbers = (records: readonly StepRecord[]) =>
  records.map(({ samples_per_second: _, seconds: __, ...record }) => record);
const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-4, `${a} and ${b}`);

const unfold = () =>
  page.evaluate(() => {
    for (const group of document.querySelectorAll<HTMLDetailsElement>(".train details")) group.open = true;
  });

/** Fills the fields of a configuration in. */
async function fillForm(config: object, path = "train"): Promise<void> {
  for (const [key, value] of Object.entries(config)) {
    const id = `${path}-${key}`;
    const field = page.locator(`#${id}`);
    if (typeof value === "object") await fillForm(value, id);
    else if (!/imageSize|kind/.test(key)) {
      if (await field.evaluate(({ tagName }) => tagName === "SELECT")) await field.selectOption(`${value}`);
      else await field.fill(`${value}`);
    }
  }
}

let byNode: StepRecord[] = [];
/** The run that nothing interrupted. */
let whole: StepRecord[] = [];
const nodeRun = join(scratch, "node-run");

browserTest("Train: a run that this page can't read is told of and can be removed", async () => {
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("casement-run", { create: true });
    const config = { name: "x".repeat(300), training: { steps: "many" } };
    for (const [name, text] of [
      ["config.json", JSON.stringify(config)],
      ["checkpoint-0000004.safetensors", "older"],
    ]) {
      const writing = await (await folder.getFileHandle(name!, { create: true })).createWritable();
      await writing.write(text!);
      await writing.close();
    }
  });
  await page.locator("#tab-train").click();
  await state(page, "paused");
  await isFit();
  await press("Go on");
  await says(page, /training\.steps: .*expected number/, ".train .message");
  await press("Prepare the files");
  await says(page, /checkpoint-0000004\.safetensors/, ".train .message");
  await press("Remove this run");
  await press("Remove it for good");
  await state(page, "none");
});

browserTest("Train: what is filled in is checked, and too much for the machine is refused", async () => {
  byNode = await trainInNode(nodeRun);
  await unfold();
  await isFit();
  await fillForm(small);
  await page.fill("#train-training-learningRate", "fast");
  await press("Start training");
  await says(page, /training\.learningRate: .*expected number/);
  await fillForm({ training: { learningRate: 0.001 }, model: { vision: { width: 8192, depth: 24 } } });
  await press("Start training");
  await says(page, /Training would take [\d.]+ GiB on the GPU, and this machine has/);
  await state(page, "none");
  await fillForm(small);
  await press("Estimate memory");
  await says(page, /^Training takes \d.* on the GPU at most/);
});

browserTest("Train: a run by the numbers of Node, and Node judges it", async () => {
  await press("Start training");
  await stepIs(1);
  assert.is(await page.locator(".sheet .query").count(), 8);
  await state(page, "finished");
  whole = await stored();
  assert.is(whole.length, 40);
  near(whole[0]!.loss, byNode[0]!.loss);
  for (const [i, { loss }] of byNode.entries())
    assert.ok(Math.abs(whole[i]!.loss - loss) < 1e-2, `step ${i + 1}: ${whole[i]!.loss} and ${loss}`);
  assert.is(await page.locator(".plot canvas").count(), 2);
  await says(page, /At step 40: 8 of the 64 questions/, ".contact");
  await page.evaluate(() => scrollTo(0, 0));
  assert.equal(await violations(page), []);

  const folder = join(scratch, "from-page");
  await press("Prepare the files");
  const links = page.locator(".keeping a");
  await links.first().waitFor();
  const names = await links.allTextContents();
  for (const name of names) {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      links.filter({ hasText: name }).click(),
    ]);
    await download.saveAs(join(folder, name));
  }
  assert.ok(names.includes("checkpoint-0000040.safetensors"), `${names}`);
  const args = ["eval", "--run", folder, "--split", "combinations", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, "cli/casement.mjs"), ...args]);
  const { results, steps } = JSON.parse(stdout) as Metrics;
  assert.is(steps, 40);
  const { r1, r50 } = results[0]!.metrics;
  assert.ok(r50! > r1! && r50! < 1, `${r1} ${r50}`);
});

browserTest(
  "Train: paused, loaded anew and robbed of its device, a run comes to the same numbers; one tab has it",
  async () => {
    await press("Remove this run");
    await press("Remove it for good");
    await state(page, "none");
    const other = await context.newPage();
    await other.goto(`${served.address}#train`);
    await says(other, /The run is open in another tab of this page/);
    await other.close();
    await press("Start training");
    await state(page, "training");
    await press("Pause");
    await state(page, "paused");
    const { length } = await stored();
    assert.ok(length < 35, `${length} steps before the pause`);
    // What a full disk or a closed tab leaves of a checkpoint.
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const folder = await root.getDirectoryHandle("casement-run");
      await folder.getFileHandle("checkpoint-0000039.safetensors", { create: true });
    });
    await gatherTasks();
    await page.reload();
    await state(page, "paused");
    await says(page, new RegExp(`small is paused at step ${length} of 40`));
    assert.is(await page.locator(".sheet .query").count(), 8);
    await press("Go on");
    const [worker] = page.workers();
    await catchDevice(worker!);
    await stepIs(length + 2);
    await worker!.evaluate(() => (globalThis as unknown as { seenDevice: GPUDevice }).seenDevice.destroy());
    await says(page, /The GPU was lost; training goes on from the last checkpoint/);
    await state(page, "finished");
    assert.equal(numbers(await stored()), numbers(whole));
  },
);

browserTest("Train: Node's run goes on in the page, and a run's weights begin another", async () => {
  await press("Remove this run");
  await press("Remove it for good");
  await state(page, "none");
  await page.setInputFiles("#load-run", [join(nodeRun, "config.json")]);
  await says(page, /tokenizer\.json, checkpoint-\*\.safetensors is not among the files/);
  const names = ["config.json", "tokenizer.json", "metrics.jsonl", "checkpoint-0000010.safetensors"];
  await page.setInputFiles(
    "#load-run",
    names.map((name) => join(nodeRun, name)),
  );
  await says(page, /small is paused at step 10 of 40/);
  await page.fill("#train-until", "12");
  await press("Go on");
  await state(page, "finished");
  const records = await stored();
  assert.equal(numbers(records.slice(0, 10)), numbers(byNode.slice(0, 10)));
  assert.is(records.length, 12);
  for (const i of [10, 11]) near(records[i]!.loss, byNode[i]!.loss);
  await press("Remove this run");
  await press("Remove it for good");
  await state(page, "none");
  const parts = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => join(run, name));
  await page.setInputFiles("#load-weights", parts);
  await says(page, /A new run starts from the weights of emoji-small/);
  await unfold();
  await page.fill("#train-model-text-heads", "2");
  await press("Start training");
  await says(page, /model\.text\.heads is 4 there and 2 here/);
  await page.locator("#tab-search").click();
});

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
    // The picture itself does not compete; one's own do, by their pixels.
    assert.is((await namesIn(page, "image")).indexOf("google/1f44b"), -1);
    const blurred = join(scratch, "blurred.png");
    await sharp(waving).blur(0.5).toFile(blurred);
    await page.setInputFiles("#add-pictures", [blurred, join(scratch, "own.png")]);
    await page.waitForFunction(
      () => document.querySelector(".answer")?.getAttribute("data-name") === "blurred.png",
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
  // Of the minutes in which they were gathered, of which the last may have been quiet.
  const busiest = Math.max(
    1,
    ...loadavg()
      .slice(0, 2)
      .map((running) => running / availableParallelism()),
  );
  assert.ok(longest < 100 * busiest, `${longest} ms`);
  assert.equal(faults, []);
});

test.run();
