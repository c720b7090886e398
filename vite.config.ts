// `npm run build`: what an app imports, `casement/engine`, `casement/kernels`, `casement/objective` and `casement/driver`,
// as plain modules with the WGSL inside.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    lib: {
      entry: {
        engine: "engine/index.ts",
        kernels: "kernels/index.ts",
        objective: "train/objective/losses.ts",
        driver: "cases/driver.ts",
      },
      formats: ["es"],
    },
    target: "esnext",
    minify: false,
  },
});
