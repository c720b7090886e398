// Whether a tab stays as it is: a thousand searches and five hundred training steps, with the memory of the browser's GPU process,
// which is the GPU's where SwiftShader is the adapter, and the heaps of page and workers, each after a collection. Run it by
// itself: node --import ./cli/register.mjs test/browser/endurance.ts [SEARCHES] [STEPS]
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CDPSession, Page } from "playwright-core";
import { findChromium } from "../../cli/advice.mjs";
import { serve } from "../../web/build/serve.ts";
import { buildSite } from "../../web/build/site.ts";
import { launch } from "./harness.ts";

const [searches = 1000, steps = 500] = process.argv.slice(2).map(Number);
const executablePath = findChromium();
if (!executablePath) throw new Error("there is no Chromium here");
const scratch = await mkdtemp(join(tmpdir(), "casement-endurance-"));
const site = join(scratch, "site");
const profile = join(scratch, "profile");
await buildSite(site);
const served = await serve(site, { port: 0 });
// Workers have no tools of their own here: they collect by a function that this flag gives them.
const context = await launch(executablePath, profile, { flags: ["--js-flags=--expose-gc"] });
const page = context.pages()[0] as Page;

/** Resident memory, in MiB, of this browser's process for the GPU, and of the one that has page and workers. */
function residentMiB(): { gpu: number; page: number } {
  const sizes = { gpu: 0, page: 0 };
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parts = processes.flatMap((id) => {
    try {
      const command = readFileSync(`/proc/${id}/cmdline`, "utf8");
      const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0);
      return [
        { id, command, parent: /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))![1]!, kib },
      ];
    } catch {
      return [];
    }
  });
  const root = parts.find(({ command }) => command.includes(profile) && !command.includes("--type="))?.id;
  const isOurs = (id: string): boolean =>
    id === root || parts.some((part) => part.id === id && part.parent !== "0" && isOurs(part.parent));
  for (const { id, command, kib } of parts) {
    if (!isOurs(id)) continue;
    if (command.includes("--type=gpu-process")) sizes.gpu += kib / 1024;
    if (command.includes("--type=renderer")) sizes.page = Math.max(sizes.page, kib / 1024);
  }
  return sizes;
}

const devtools: CDPSession = await context.newCDPSession(page);
await devtools.send("HeapProfiler.enable");

/** MiB of the page's own heap after a collection. */
async function heapMiB(): Promise<number> {
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = (await devtools.send("Runtime.getHeapUsage")) as { usedSize: number };
  return usedSize / 2 ** 20;
}

async function tell(what: string): Promise<void> {
  for (const worker of page.workers())
    await worker.evaluate(() => (globalThis as unknown as { gc(): void }).gc());
  const heap = await heapMiB();
  const { gpu, page: workers } = residentMiB();
  console.log(
    `${what}: GPU process ${gpu.toFixed(0)} MiB, page and workers ${workers.toFixed(0)} MiB, page's heap ${heap.toFixed(1)} MiB`,
  );
}

await page.goto(served.address);
await page.waitForSelector(".column .answer", { timeout: 120_000 });
const words = [
  "at night",
  "with a red hat",
  "in blue",
  "smiling",
  "as a woman",
  "much older",
  "facing left",
  "no hair",
];
const times: number[] = [];
for (let i = 0; i < searches; i++) {
  const text = `${words[i % words.length]} ${i}`;
  const start = performance.now();
  // Not page.fill: of what is typed the browser keeps its own list to undo, a thousand elements long.
  await page.evaluate((text) => {
    const field = document.querySelector<HTMLInputElement>("#change")!;
    field.value = text;
    field.dispatchEvent(new Event("input"));
  }, text);
  await page.waitForFunction(
    (text) => document.querySelector<HTMLElement>(".search")?.dataset.text === text,
    text,
    { timeout: 60_000, polling: 5 },
  );
  times.push(performance.now() - start);
  if (i === 49 || (i + 1) % Math.ceil(searches / 5) === 0) await tell(`after ${i + 1} searches`);
}
times.sort((a, b) => a - b);
const at = (share: number) => times[Math.floor(share * (times.length - 1))]!.toFixed(0);
console.log(`a keystroke to its answers: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`);

await page.locator("#tab-train").click();
await page.locator(".field").first().waitFor();
for (const group of await page.locator(".fields summary").all()) await group.click();
for (const [name, value] of Object.entries({ steps, pictures: 48, triplets: 64, warmup: 20 }))
  await page.fill(`#train-training-${name}`, `${value}`);
await page.locator("button", { hasText: "Start training" }).click();
const done = page.locator('.train[data-state="finished"]').waitFor({ timeout: 3_600_000 });
let finished = false;
done.then(() => {
  finished = true;
});
while (!finished) {
  await page.waitForTimeout(20_000);
  const progress = (await page.locator(".train").textContent()) ?? "";
  await tell(`training, ${/\d+ of \d+/.exec(progress)?.[0] ?? "not begun"}`);
}
await context.close();
await served.close();
await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
