// Builds the page: Vite's output, the committed model, the gallery, and the list of all files for the service worker.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { modelNames } from "../site-files.ts";
import { writeGallery } from "./gallery.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = fileURLToPath(new URL("../../checkpoints/emoji-small", import.meta.url));
/** The service worker; a folder that has it holds a page of this build. */
const offline = "offline.js";

/** Builds into a folder, which is emptied. Throws where it holds something else than such a page. */
export async function buildSite(out: string, tell: (line: string) => void = () => {}): Promise<void> {
  const names = await readdir(out).catch((): string[] => []);
  if (names.length > 0 && !names.includes(offline))
    throw new Error(`${out} is not empty and holds no page of this build; choose another folder.`);
  await build({
    configFile: join(root, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: out, emptyOutDir: true },
  });
  await mkdir(join(out, "model"));
  for (const name of modelNames) await copyFile(join(run, name), join(out, "model", name));
  await writeGallery(run, join(out, "gallery"), tell);

  const worker = await readFile(join(out, offline), "utf8");
  const paths = await readdir(out, { recursive: true, withFileTypes: true });
  const files = paths
    .filter((entry) => entry.isFile() && entry.name !== offline)
    .map((entry) => relative(out, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(await readFile(join(out, file)));
  const lists = { files: ["./", ...files], version: hash.digest("hex").slice(0, 16) };
  await writeFile(join(out, offline), `const site = ${JSON.stringify(lists)};\n${worker}`);
}
