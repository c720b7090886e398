#!/usr/bin/env node
// Starts the command line from its TypeScript sources: tsx compiles them on the fly, wgsl-hook.mjs makes
// `import text from "./x.wgsl?raw"` mean in Node what it means under Vite.
import "./register.mjs";

await import("./main.ts");
