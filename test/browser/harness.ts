// Opens a TypeScript module in headless Chromium with WebGPU on SwiftShader: built by Vite into a temporary
// folder and served on loopback, since WebGPU exists only in secure contexts.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
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

/** What presents a canvas without a GPU: the compositor on SwiftShader as well, else the device is lost at its first frame. */
const PRESENTING = [
  "--use-angle=vulkan",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
  "--disable-vulkan-surface",
  "--ignore-gpu-blocklist",
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
  {
    gpu = true,
    flags = [],
    ...options
  }: { gpu?: boolean; flags?: readonly string[] } & Parameters<
    typeof chromium.launchPersistentContext
  >[1] = {},
): Promise<BrowserContext> {
  const args = [...(gpu ? FLAGS : FLAGS.filter((flag) => !flag.includes("webgpu"))), ...flags];
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

/** Opens what `serve` serves, whose address it returns, in headless Chromium; errors on the page's console go to standard error. */
async function open(
  serve: (scratch: string, cleanups: (() => Promise<void>)[]) => Promise<string>,
  flags: readonly string[] = [],
): Promise<OpenPage | { skipped: string }> {
  const executablePath = findChromium();
  if (!executablePath) return { skipped: "no Chromium here" };
  const scratch = await mkdtemp(join(tmpdir(), "casement-browser-"));
  const cleanups: (() => Promise<void>)[] = [
    () => rm(scratch, { recursive: true, force: true, maxRetries: 5 }),
  ];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const url = await serve(scratch, cleanups);
    const context = await launch(executablePath, join(scratch, "profile"), { flags });
    cleanups.push(() => context.close());
    const page = context.pages()[0] ?? (await context.newPage());
    page.on("console", (message) => {
      if (message.type() === "error") console.error(`browser console: ${message.text()}`);
    });
    page.on("pageerror", (error) => console.error(`browser error: ${error.message}`));
    await page.goto(url, { waitUntil: "load" });
    return { page, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Builds the module `entry` (a file name under test/browser/) and opens it.
 * @returns the page once the module has been evaluated, or why it can't be opened here.
 */
export async function openPage(entry: string): Promise<OpenPage | { skipped: string }> {
  // An entry that is missing would otherwise show only as an empty page.
  await readFile(join(folder, entry));
  return open(async (scratch, cleanups) => {
    const outDir = join(scratch, "site");
    await buildPage(entry, outDir);
    const server = await preview({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { outDir },
      preview: { host: "127.0.0.1", port: 0, open: false },
    });
    cleanups.push(() => server.close());
    return addressOf(server.httpServer, "page.html");
  });
}

/** Opens a page in a folder, whose files are served as they are; `presents` where it draws on a canvas by WebGPU. */
export function openFolder(
  folder: string,
  page: string,
  { presents = false } = {},
): Promise<OpenPage | { skipped: string }> {
  const types: Record<string, string> = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
  };
  return open(
    async (_, cleanups) => {
      const server = createServer(async ({ url }, response) => {
        const file = join(folder, new URL(url!, "http://localhost").pathname);
        const bytes = await readFile(file).catch(() => null);
        response.writeHead(bytes ? 200 : 404, { "content-type": types[extname(file)] ?? "text/plain" });
        response.end(bytes);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanups.push(async () => {
        server.closeAllConnections();
        server.close();
      });
      return addressOf(server, page);
    },
    presents ? PRESENTING : [],
  );
}

function addressOf(server: { address(): ReturnType<Server["address"]> }, page: string): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}/${page}`;
}
