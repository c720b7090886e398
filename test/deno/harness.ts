// Starts Deno, where WebGPU is wgpu and naga, as in Firefox, on the op table. Deno reads TypeScript but no `.wgsl?raw`, so
// Vite builds ops.ts into one file first.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import type { CaseResult } from "../../cases/check.ts";
import type { Home } from "../home.ts";

/** Deno's own program: that of the package `deno` is put in its place by an install script, which may not have run. */
export function findDeno(): string | undefined {
  const { platform, arch } = process;
  const [name, program] = [
    `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`,
    platform === "win32" ? "deno.exe" : "deno",
  ];
  const path = fileURLToPath(new URL(`../../node_modules/${name}/${program}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

async function bundle(outDir: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: "error",
    build: {
      outDir,
      target: "esnext",
      minify: false,
      lib: { entry: fileURLToPath(new URL("ops.ts", import.meta.url)), formats: ["es"], fileName: "ops" },
    },
  });
  return join(outDir, "ops.js");
}

/** One Deno on these cases, their pipelines compiled. */
async function start(deno: string, script: string, names: readonly string[]): Promise<Home> {
  const child = spawn(deno, ["run", "--unstable-webgpu", "--allow-all", script], {
    env: { ...process.env, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(), NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      reject(new Error(`Deno ended with ${signal ?? `exit status ${code}`}.`)),
    );
  });
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    const { value } = await Promise.race([lines.next(), ended]);
    if (value === undefined) return ended;
    const said = JSON.parse(value) as CaseResult & { error?: string };
    if (said.error) throw new Error(said.error);
    return said;
  };
  await ask(JSON.stringify(names));
  return {
    async run(name) {
      const result = await ask(name);
      for (const [label, values] of Object.entries(result.outputs))
        result.outputs[label] = Array.from(values, Number);
      return result;
    },
    async close() {
      child.stdin.end();
      await ended.catch(() => {});
    },
  };
}

/**
 * Opens cases of the op table in Deno, all their pipelines compiled. wgpu compiles them one after the other on one thread, so there are
 * two, each with a half of the cases. Returns why it can't where it can't.
 */
export async function openDeno(names: readonly string[]): Promise<Home | { skipped: string }> {
  const deno = findDeno();
  if (!deno) return { skipped: `no Deno for ${process.platform} ${process.arch}` };
  const scratch = await mkdtemp(join(tmpdir(), "casement-deno-"));
  const script = await bundle(scratch);
  const middle = Math.ceil(names.length / 2);
  const halves = [names.slice(0, middle), names.slice(middle)];
  const homes = await Promise.all(halves.map((half) => start(deno, script, half)));
  return {
    run: (name) => homes[halves.findIndex((half) => half.includes(name))]!.run(name),
    async close() {
      for (const home of homes) await home.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
