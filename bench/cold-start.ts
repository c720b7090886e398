// From process start to the first finished training step of emoji-tiny, with nothing cached: no compiled shaders (Mesa's
// cache in an empty folder), no decoded pictures, no compiled TypeScript (tsx keeps it in the temporary folder).
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const limit = 120_000;

/** Milliseconds. Throws where training ends before its first step. */
export async function coldStart(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), "casement-cold-"));
  // Pictures are cached in the repository; what is there steps aside.
  const cache = join(root, ".cache");
  const aside = join(root, ".cache.aside");
  // An earlier measurement may have been killed.
  if (existsSync(aside) && !existsSync(cache)) await rename(aside, cache);
  const cached = existsSync(cache);
  if (cached) await rename(cache, aside);
  try {
    const temporary = join(dir, "tmp");
    await mkdir(temporary);
    const out = join(dir, "run");
    const start = performance.now();
    const args = ["cli/casement.mjs", "train", "--config", "train/configs/emoji-tiny.json", "--out", out];
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: {
        ...process.env,
        MESA_SHADER_CACHE_DIR: join(dir, "mesa"),
        XDG_CACHE_HOME: join(dir, "cache"),
        TMPDIR: temporary,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    try {
      const lines = join(out, "metrics.jsonl");
      while (!existsSync(lines) || !readFileSync(lines, "utf8").includes("\n")) {
        if (child.exitCode !== null || performance.now() - start > limit)
          throw new Error(`emoji-tiny did not come to its first step.\n${errors}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return performance.now() - start;
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  } finally {
    if (cached) {
      await rm(cache, { recursive: true, force: true });
      await rename(aside, cache);
    }
    await rm(dir, { recursive: true, force: true });
  }
}
