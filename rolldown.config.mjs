// `npm run build`: the package, file for file as in the sources, so that an app's bundler leaves out what the app does not
// use and a page can import the files as they are. WGSL becomes modules without its comments; packages stay imports.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "rolldown";

/** WGSL as it is compiled: without comments, indentation and empty lines. */
const bareWgsl = {
  name: "bare-wgsl",
  load(id) {
    if (!id.endsWith(".wgsl?raw")) return null;
    const text = readFileSync(id.slice(0, -"?raw".length), "utf8");
    const lines = text.split("\n").map((line) => line.replace(/\/\/.*/, "").trim());
    return `export default ${JSON.stringify(lines.filter(Boolean).join("\n"))};`;
  },
};

export default defineConfig({
  cwd: fileURLToPath(new URL(".", import.meta.url)),
  input: [
    // What apps import,
    ...["engine", "kernels", "model", "train"].map((folder) => `${folder}/index.ts`),
    "cases/driver.ts",
    "train/data/emoji/index.ts",
    // the command line, and what it starts as processes and threads of their own.
    ...["cli/process.ts", "cli/driver-process.ts", "cli/probe.mjs"],
    ...["train/data/augment-threads.ts", "train/data/packer.ts"],
  ],
  external: (id) =>
    !/^(\.|[A-Za-z]:[\\/]|\/)/.test(id) && !/^(engine|kernels|model|train|cases|cli)\//.test(id),
  plugins: [bareWgsl],
  // No module is imported for what it does.
  treeshake: { moduleSideEffects: false },
  output: {
    dir: "dist",
    cleanDir: true,
    preserveModules: true,
    preserveModulesRoot: ".",
    entryFileNames: ({ facadeModuleId }) =>
      `[name]${/\.mjs$|\.wgsl(?=\?raw$)/.exec(facadeModuleId)?.[0] ?? ""}`.replace(
        /(\.mjs)?$/,
        (end) => end || ".js",
      ),
  },
});
