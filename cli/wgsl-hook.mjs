// A Node module hook: `import text from "./kernel.wgsl?raw"` yields the file's text, as Vite's ?raw does.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export async function load(url, context, nextLoad) {
  if (!url.endsWith(".wgsl?raw")) return nextLoad(url, context);
  const text = await readFile(fileURLToPath(url.slice(0, -"?raw".length)), "utf8");
  return { format: "module", shortCircuit: true, source: `export default ${JSON.stringify(text)};` };
}
