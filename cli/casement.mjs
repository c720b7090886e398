#!/usr/bin/env node
// Starts the command line: in the repository from its TypeScript sources, which tsx compiles on the fly while wgsl-hook.mjs
// makes `import text from "./x.wgsl?raw"` mean in Node what it means under Vite; from what is built where it is installed.
import { existsSync, writeSync } from "node:fs";
import { endWithParent, relay, relayed } from "./relay.mjs";

if (process.argv.includes("--json") && !relayed()) relay(import.meta.url, process.argv.slice(2));
else {
  endWithParent();
  // While the sources load there is nothing to save.
  const quit = () => {
    if (relayed()) writeSync(Number(process.env.CASEMENT_RESULTS), '{ "error": "Interrupted." }\n');
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, quit);
  if (existsSync(new URL("./process.ts", import.meta.url))) {
    await import("./register.mjs");
    await import("./process.ts");
  } else await import("../dist/cli/process.js");
}
