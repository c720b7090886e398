// A Node module hook that changes what is imported, by the environment: CASEMENT_FAULT is JSON {file, start, end, text}, one
// source with text in place of [start, end); CASEMENT_SEEN names a folder of instrumented copies, which take the place of
// the sources that they have the paths of (seen.ts). Paths are from the root.
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fault = process.env.CASEMENT_FAULT ? JSON.parse(process.env.CASEMENT_FAULT) : null;
const copies = process.env.CASEMENT_SEEN;

/** The text that takes a source's place, or null. */
function changed(path) {
  const name = relative(root, path);
  if (fault?.file === name) {
    const text = readFileSync(path, "utf8");
    return text.slice(0, fault.start) + fault.text + text.slice(fault.end);
  }
  if (copies && existsSync(join(copies, name))) return readFileSync(join(copies, name), "utf8");
  return null;
}

export async function load(url, context, nextLoad) {
  const [path, query] = url.split("?");
  if (!path.startsWith("file:") || !/\.(ts|wgsl)$/.test(path)) return nextLoad(url, context);
  const raw = query === "raw" && path.endsWith(".wgsl");
  // This file is registered twice: one registration is asked for WGSL, the other for TypeScript.
  if (raw !== import.meta.url.endsWith("?wgsl")) return nextLoad(url, context);
  const text = changed(fileURLToPath(path));
  if (text === null) return nextLoad(url, context);
  const source = raw ? `export default ${JSON.stringify(text)};` : text;
  return { format: "module", shortCircuit: true, source };
}
