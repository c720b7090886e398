// Opens a TypeScript module in headless Chromium with WebGPU on SwiftShader: built by Vite into a temporary
// folder and served on loopback, since WebGPU exists only in secure contexts.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { build, preview } from "vite";
import { findChromium } from "../../cli/advice.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** An open page, with what stops the browser and the server behind it. */
export interface OpenPage {
  page: Page;
  close(): Promise<void>;
}

/** Starts headless Chromium with a profile of its own; `gpu` says whether pages find WebGPU. */
export function launch(
  executablePath: string,
  profile: string,
  { gpu = true, ...options }: { gpu?: boolean } & Parameters<typeof chromium.launchPersistentContext>[1] = {},
): Promise<BrowserContext> {
  const args = gpu ? FLAGS : FLAGS.filter((flag) => !flag.includes("webgpu"));
  return chromium.launchPersistentContext(profile, { executablePath, args, ...options });
}

/** Builds page.html with `entry` in the place of ops.ts. */
async function buildPage(entry: string, outDir: string): Promise<void> {
  await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    // Relative addresses, and the newest syntax: the browser is always a current one.
    base: "./",
    build: {
      outDir,
      emptyOutDir: true,
      target: "esnext",
      minify: false,
      modulePreload: false,
      rolldownOptions: { input: join(folder, "page.html") },
    },
    plugins: [
      {
        name: "casement-entry",
        transformIndexHtml: { order: "pre", handler: (html) => html.replace("./ops.ts", `./${entry}`) },
      },
    ],
  });
}

/**
 * Builds the module `entry` (a file name under test/browser/) and opens it in headless Chromium.
 * Errors on the page's console go to standard error.
 * @returns the page once the module has been evaluated, or why it can't be opened here.
 */
export async function openPage(entry: string): Promise<OpenPage | { skipped: string }> {
  const executablePath = findChromium();
  if (!executablePath) return { skipped: "no Chromium here" };

  // An entry that is missing would otherwise show only as an empty page.
  await readFile(join(folder, entry));
  const scratch = await mkdtemp(join(tmpdir(), "casement-browser-"));
  const outDir = join(scratch, "site");
  const cleanups: (() => Promise<void>)[] = [
    () => rm(scratch, { recursive: true, force: true, maxRetries: 5 }),
  ];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    await buildPage(entry, outDir);
    const server = await preview({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { outDir },
      preview: { host: "127.0.0.1", port: 0, open: false },
    });
    cleanups.push(() => server.close());
    const address = server.httpServer.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");

    const context = await launch(executablePath, join(scratch, "profile"));
    cleanups.push(() => context.close());
    const page = context.pages()[0] ?? (await context.newPage());
    page.on("console", (message) => {
      if (message.type() === "error") console.error(`browser console: ${message.text()}`);
    });
    page.on("pageerror", (error) => console.error(`browser error: ${error.message}`));
    await page.goto(`http://127.0.0.1:${address.port}/page.html`, { waitUntil: "load" });
    return { page, close };
  } catch (error) {
    await close();
    throw error;
  }
}
