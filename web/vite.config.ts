// The page's build, apart from the package's at the root of the repository.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at("."),
  // Relative addresses: the page may lie in any folder of a server.
  base: "./",
  build: {
    target: "esnext",
    modulePreload: false,
    // The policy allows no data: addresses.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: at("index.html"), offline: at("offline.ts") },
      output: {
        // A service worker's address stays the same from build to build.
        entryFileNames: ({ name }) => (name === "offline" ? "offline.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "es" },
});
